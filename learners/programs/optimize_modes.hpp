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

// A mode of mode_json() in one line, unit of unit_of(), with the probabilities that it keeps the limits:
// "CPU 1000 MHz, GPU 500 MHz: 8 ms ± 0.16 a step, 5.5 W ± 0.82, 44 mJ a step, 92 % sure to stay within 6 W". What is behind a ± holds
// nine of ten measurements.
std::string summary(const Json& mode, const std::string& unit, const learners::PowerBudget& budget);
// Whether a limit is there that must hold with the budget's confidence.
bool decides_by_confidence(const learners::PowerBudget& budget);
// "power <= 30 W and time <= 5 ms at confidence 0.95 and predicted time <= 6 ms"; "no limit"
std::string describe(const learners::PowerBudget& budget);

// On standard output, beside the summary: whether the mode was measured, and the command that measures or sets it.
void print_mode(const Json& chosen, const learners::Model& model, const std::string& unit,
                const learners::PowerBudget& budget);
void print_front(const Json& front, const learners::PowerBudget& budget);

}  // namespace fewwatt::optimize
