#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/runner.hpp"
#include "hw/simulated_device.hpp"
#include "learners/govern.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {

// A suite of workloads that change while they run on a simulated board under the governor (learners/govern.hpp). As a file:
//   [suite]
//   name = drift
//   kind = drift
//   simulate = orin-agx-64   the board,
//   grid = powertrain        its modes,
//   workloads = lstm, ...    and what runs on it
//   learners = auto          that need no checkpoint and give uncertainty
//   budgets = 17:50          W, of which one is drawn, first:last
//   time_noise = 0.01        of the log of what is measured, drawn anew for each measurement
//   power_noise = 0.01
//   streams = 8              streams for each kind of change, which comes after 20 to 60 measurements, and as many without a change
//   measurements = 200       length of a stream without a change
//   hour_s = 3600            simulated duration of a governed run
//   window_s = 5             duration of its windows
//   switch_s = 0.5           how long the program stands still when the mode is changed
//   changes = 20             of the workload and of the budget by turns, at random times of a governed run
//   seeds = 5                how often all of this is run, with other draws
struct DriftSuite {
  std::string path, name, board, grid;                   // of the file; keys name, simulate, grid
  std::vector<std::string> workloads, learners;          // the keys of these names
  double first_w = 0, last_w = 0;                        // key budgets
  double time_noise = 0, power_noise = 0;                // the keys of these names, as the following
  std::size_t seeds = 0, streams = 0, measurements = 0;  // see above
  double hour_s = 0, window_s = 0, switch_s = 0;         // see above
  std::size_t changes = 0;                               // see above
};
// A world on a board: the true times and powers.
bool is_drift_suite(const std::string& path);  // throws datasets::DataError when it is no INI file
// The learners are the registry's. Throws datasets::DataError naming file, section and key.
DriftSuite read_drift_suite(const std::string& path,
                            const learners::Registry& registry = learners::builtin());
// Throws std::invalid_argument.
void check_drift_learner(const std::string& name, const learners::Registry& registry = learners::builtin());

// What runs on the board, and clocks that something else has capped. Setting a knob above its cap has no effect beyond the cap.
struct World {
  hw::SimulatedWorkload workload;  // what runs
  std::vector<int> caps;           // per knob of the space
};
class WorldOnBoard {
 public:
  // `board` must outlive it.
  WorldOnBoard(const hw::SimulatedBoard& board, std::shared_ptr<const hw::PowerModeSpace> space, World world);
  hw::Measurement truth(const hw::PowerMode& mode) const;  // without noise
  // The fastest mode inside the budget; nullopt where there is none.
  std::optional<hw::Measurement> fastest(double budget_w) const;

 private:
  const hw::SimulatedBoard* board_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
  World world_;
  std::vector<hw::Measurement> all_;  // of the space's modes
};

// The kinds of change. batch-half, batch-double: batches of another size. crossed: ResNet on MobileNet's data becomes MobileNet on
// ResNet's, or back. cpu-capped, gpu-capped, memory-capped: something else caps a clock.
std::vector<std::string> drift_kinds();

// Runs the suite. Rows of drift_noticed and drift_recovered have the kind of change as their workload, those of drift_false_alarms
// "none", and those of govern_inside, govern_throughput, govern_longest_over_s and govern_windows_over "mixed"; one row per learner and
// seed. The rows do not depend on the number of threads.
std::vector<Row> run_drift(const DriftSuite& suite, const RunOptions& options, const Progress& progress = {},
                           const learners::Registry& registry = learners::builtin());

}  // namespace fewwatt::benchmarks
