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

namespace fewwatt::benchmarks {

// Workloads that change while they run on a simulated board: what the governor (learners/govern.hpp) makes of it. The suite as
// a file:
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
//   seeds = 5                runs of each of
//   streams = 8                streams for each kind of change, which comes after 20 to 60 measurements, and as many of so
//   measurements = 200         many without a change
//   hour_s = 3600              simulated time of a governed run, in windows of
//   window_s = 5               seconds, the first of which, of
//   switch_s = 0.5             seconds, the program stands still after a change of modes
//   changes = 20               of the workload and of the budget by turns, at random times
struct DriftSuite {
  std::string path, name, board, grid;
  std::vector<std::string> workloads, learners;
  double first_w = 0, last_w = 0;
  double time_noise = 0, power_noise = 0;
  std::size_t seeds = 0, streams = 0, measurements = 0;
  double hour_s = 0, window_s = 0, switch_s = 0;
  std::size_t changes = 0;
};
bool is_drift_suite(const std::string& path);  // throws datasets::DataError when it is no INI file
DriftSuite read_drift_suite(
    const std::string& path);                       // throws datasets::DataError naming file, section and key
void check_drift_learner(const std::string& name);  // throws std::invalid_argument

// What runs, and the clocks that something else has capped; what a capped knob is set to beyond its cap does nothing.
struct World {
  hw::SimulatedWorkload workload;
  std::vector<int> caps;  // per knob of the space
};
class WorldOnBoard {
 public:
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

// The kinds of change: batch-half, batch-double; crossed, of ResNet on MobileNet's data to MobileNet on ResNet's, or back;
// cpu-capped, gpu-capped, memory-capped.
std::vector<std::string> drift_kinds();

// Rows of metrics drift_noticed, drift_recovered (workload: the kind of change), drift_false_alarms (none), govern_inside,
// govern_throughput and govern_longest_over_s and govern_windows_over (mixed), one per learner and seed; the same for any number of threads.
std::vector<Row> run_drift(const DriftSuite& suite, const RunOptions& options, const Progress& progress = {});

}  // namespace fewwatt::benchmarks
