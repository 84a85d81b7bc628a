#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// What a learner is, asked before it is used.
struct LearnerFacts {
  std::string_view name;
  std::string_view about;
  bool needs_checkpoint = false;   // must be trained on other workloads first
  bool gives_uncertainty = false;  // Prediction::stddev is filled
  bool weighs_rows = false;        // goes by Samples::noise_factors
  bool joint_targets = false;      // what is known of one target changes what is predicted of the other
  // Smallest support that adapt() accepts. 0: none is needed where the workload's characteristics and those of
  // training workloads are known.
  std::size_t min_shots = 1;
  // Largest support that adapt() takes in full: of more rows with a target it takes spread_support(). 0: any.
  std::size_t most_rows = 0;
};

std::span<const LearnerFacts> learner_facts();
const LearnerFacts& find_learner(
    std::string_view name);  // throws std::invalid_argument listing the known names

// A learner that needs no checkpoint. Throws std::invalid_argument for one that does.
std::unique_ptr<const Learner> make_learner(std::string_view name);

// Whether the learner of a checkpoint takes a support without rows: it may, and has learned from workloads that state what
// they are.
bool needs_no_rows(const Checkpoint& checkpoint);

// The learner that a checkpoint is for. Throws std::invalid_argument when an entry is missing or has the
// wrong shape.
std::unique_ptr<const Learner> make_learner(const Checkpoint& checkpoint);

}  // namespace fewwatt::learners
