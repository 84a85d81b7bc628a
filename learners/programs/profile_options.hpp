#pragma once

// The options of fewwatt profile.

#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/program.hpp"
#include "learners/optimize/search.hpp"
#include "learners/programs/shared_options.hpp"

namespace fewwatt::profile {

inline constexpr double kConfidence = 0.5;  // where the answer is a measured mode

struct Options {
  program::CommonOptions common;
  hw::MeasuringOptions measuring;
  std::string name, out, kind, time_of;
  std::string sampler, goal, search;
  program::LearnerChoice choice;
  learners::SearchOptions searching;  // with a goal
  learners::Goal aim;                 // with a goal
  std::optional<double> confidence;   // of it, where that is asked for
  double stop_gain = 0, max_s = 0;
  program::Count measurements{0};
  program::Count modes{50}, retries{2};
  std::vector<std::string> merge;
  bool resume = false, go_on = false;
  datasets::WorkloadAttributes attributes;
};

// Whether a sampler or search is chosen that learns.
bool needs_learner(const Options& options);

// As program::parse().
std::optional<Options> parse(int argc, char** argv);

}  // namespace fewwatt::profile
