#pragma once

// What fewwatt optimize says of modes and limits.

#include <nlohmann/json.hpp>
#include <string>

#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"

namespace fewwatt::optimize {

using Json = nlohmann::ordered_json;

// Nothing for NaN; else twelve digits: a measured 30 W, whose log is kept, is 30 and not 30.000000000000004.
void add_known(Json& object, const char* name, double value);

// What is known of a mode; names hold the units, unknown numbers are left out.
Json mode_json(const learners::Model& model, std::size_t row, const learners::PowerBudget& budget);

// What was asked for, in numbers.
void add_question(Json& result, const learners::PowerBudget& budget, const learners::Objective& objective);

std::string number(const Json& value);
// "cpu_khz=1000000 gpu_khz=500000: time_ms 8, power_w 5.5, power_probability 0.98"
std::string summary(const Json& mode);
// Whether a limit is there that must hold with the budget's confidence.
bool decides_by_confidence(const learners::PowerBudget& budget);
// "power <= 30 W and time <= 5 ms at confidence 0.95 and predicted time <= 6 ms"; "no limit"
std::string describe(const learners::PowerBudget& budget);

// On standard output. unit: of what one time is.
void print_mode(const Json& chosen, const std::string& unit);
void print_front(const Json& front);

}  // namespace fewwatt::optimize
