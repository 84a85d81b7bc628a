#pragma once

#include <optional>
#include <string>
#include <vector>

#include "benchmarks/controllers/controller_suite.hpp"
#include "benchmarks/controllers/score.hpp"
#include "benchmarks/rows.hpp"
#include "benchmarks/suite.hpp"
#include "datasets/profile.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {

// What a contestant measured in the first episode with the middle one of suite.measurements.
struct ControlPicture {
  std::string contestant;                 // its label
  std::vector<ControlVisit> visits;       // in order
  std::optional<hw::Measurement> answer;  // find: the true cost of what it recommends
};

// What a run of a suite of kind `controllers` gives.
struct ControlResult {
  std::vector<Row> rows;                 // the metrics, see run_controllers()
  std::vector<ControlPicture> pictures;  // of each contestant, in order
  std::vector<hw::Measurement> cloud;    // the true costs of all modes at the beginning of that episode
  std::string workload;                  // of it, "" where it is drawn
};

// Runs the suite. `profiles`: where it replays some. The device of the rows is the board and their workload "all". The sampler is
// "control" and shots are the numbers of measurements; with task = run, and of training, "none" and 0.
//   find  for each episode find_regret; over all of them find_inside
//   run   for each episode run_inside, run_throughput and run_longest_over
//   both  for each episode over_steps, over_watt_steps and episode_reward; over all of them decisions_per_second
//   of agents, for each split, and each episode for which they learn alone or adapt, train_seconds and train_steps
// But for clocks, the rows do not depend on the number of threads.
ControlResult run_controllers(const ControllerSuite& suite, std::vector<datasets::Profile> profiles,
                              const RunOptions& options, const Progress& progress = {},
                              const learners::Registry& registry = learners::builtin());

}  // namespace fewwatt::benchmarks
