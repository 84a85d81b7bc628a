#pragma once

// What fewwatt adapt says of a model that it made.

#include <nlohmann/json.hpp>

#include "learners/learner.hpp"
#include "learners/model.hpp"
#include "learners/programs/adapt_input.hpp"

namespace fewwatt::adapt {

// How long the two steps took.
struct Took {
  double adapt_ms = 0, predict_ms = 0;
};

// fresh: rows that the model before did not have; nullopt where there was none. Adds notices to the input: rows that were not used,
// and values that were left out.
nlohmann::ordered_json report_of(const learners::Model& model, const learners::Predictor& predictor,
                                 Input& input, std::optional<std::size_t> fresh, const Took& took,
                                 const std::string& out);

// The same for people, on standard output.
void print(const nlohmann::ordered_json& report);

}  // namespace fewwatt::adapt
