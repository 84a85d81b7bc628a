#pragma once

// The options of fewwatt profile.

#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/program.hpp"
#include "learners/control/policy_net.hpp"
#include "learners/optimize/search.hpp"
#include "learners/programs/shared_options.hpp"
#include "learners/registry.hpp"

namespace fewwatt::profile {

inline constexpr double kConfidence = 0.5;  // where the answer is a measured mode

struct Options {
  program::CommonOptions common;
  hw::MeasuringOptions measuring;
  std::string name, out, kind, time_of;
  std::string sampler, goal, search;
  program::LearnerChoice choice;
  learners::SearchOptions searching;                  // with a goal
  learners::Goal aim;                                 // with a goal
  std::optional<double> confidence;                   // of it, where that is asked for
  std::string agent_file;                             // of --search agent:FILE
  std::optional<learners::PolicyModel> agent;         // in that file
  learners::Registry registry = learners::builtin();  // with that agent as learners::kAgentSearch
  double stop_gain = 0, max_s = 0;
  program::Count measurements{0};
  program::Count modes{50}, retries{2};
  std::vector<hw::Settings> given;   // of the modes to measure, where --mode names them
  std::vector<std::string> notices;  // of what was asked for and is done otherwise
  std::vector<std::string> merge;
  std::optional<std::string> live;  // --live
  bool resume = false, go_on = false;
  datasets::WorkloadAttributes attributes;
};

// The search that is chosen, with a goal.
const learners::SearchEntry& chosen_search(const Options& options);
// Whether a sampler or search is chosen that learns.
bool needs_learner(const Options& options);

// The modes of --mode, on what is measured. Throws UsageError for one that has no setting for each knob, or that it does not have, and for
// one that is given twice.
std::vector<hw::PowerMode> given_modes(const Options& options, const hw::PowerModeSpace& space);

// As program::parse().
std::optional<Options> parse(int argc, char** argv);

}  // namespace fewwatt::profile
