#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/suite.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {

// A suite of kind `drift`: the governor (learners/govern.hpp) runs workloads on a simulated board, and they change meanwhile. It is tested
// in two ways. A stream is a number of measurements of one workload, which changes once, after 20 to 60 of them, or never. A governed run
// is an hour with many changes of workload and budget. As a file:
//   [suite]
//   name = drift
//   kind = drift
//   simulate = orin-agx-64   the board
//   grid = powertrain        its modes
//   workloads = lstm, ...    what runs on it
//   learners = auto          that need no checkpoint and give uncertainty
//   budgets = 17:50          first:last, W; each budget is drawn from this range
//   time_noise = 0.01        standard deviation of the log of a measured time, drawn anew for each measurement
//   power_noise = 0.01       the same of power
//   seeds = 5                how often all of this is run, each time with other draws
//   streams = 8              number of streams with each kind of change, and number of streams without a change
//   measurements = 200       length of a stream without a change
//   hour_s = 3600            duration of a governed run, in simulated seconds
//   window_s = 5             duration of a measurement in it
//   switch_s = 0.5           how long the program stands still when the mode is changed
//   changes = 20             number of changes in it, at random times: the workload's and the budget's by turns
struct DriftSuite {
  std::string path, name, board, grid;                   // of the file; keys name, simulate, grid
  std::vector<std::string> workloads, learners;          // the keys of these names
  double first_w = 0, last_w = 0;                        // key budgets
  double time_noise = 0, power_noise = 0;                // the keys of these names, as the following
  std::size_t seeds = 0, streams = 0, measurements = 0;  // see above
  double hour_s = 0, window_s = 0, switch_s = 0;         // see above
  std::size_t changes = 0;                               // see above
};
// The learners are the registry's. Throws datasets::DataError naming file, section and key.
DriftSuite read_drift_suite(const std::string& path,
                            const learners::Registry& registry = learners::builtin());
// Throws std::invalid_argument for an unknown learner, or one that needs a checkpoint or gives no uncertainty.
void check_drift_learner(const std::string& name, const learners::Registry& registry = learners::builtin());

// The kinds of change that streams are tested with: tasks::change_kinds() without another workload.
std::vector<std::string> drift_kinds();

// Runs the suite. There is one row per learner and seed of each metric and workload. The workload of drift_noticed and drift_recovered is
// the kind of change, that of drift_false_alarms "none", and that of govern_inside, govern_throughput, govern_longest_over_s and
// govern_windows_over "mixed". The rows do not depend on the number of threads.
std::vector<Row> run_drift(const DriftSuite& suite, const RunOptions& options, const Progress& progress = {},
                           const learners::Registry& registry = learners::builtin());

}  // namespace fewwatt::benchmarks
