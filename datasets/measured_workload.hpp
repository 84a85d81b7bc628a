#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/jetson/measured_boards.hpp"

namespace fewwatt::datasets {

// A workload on a device that is measured in one power mode after the other: a program that runs there or on a simulated board, or a
// device that answers without one (simulated, or replayed from a profile).
class MeasuredWorkload {
 public:
  virtual ~MeasuredWorkload() = default;
  virtual const hw::PowerModeSpace& space() const = 0;         // the device's modes
  virtual hw::Attempt attempt(const hw::PowerMode& mode) = 0;  // measures a mode once
  // Seconds of its own time since it was opened. An answer without a program takes `window_s` of that, and none of ours.
  virtual double now_s() = 0;
  virtual void wait_s(double seconds) = 0;  // waits by its own time; ends early when told to stop
  // Ends the program and puts back what was changed. Returns a sentence for each thing that could not be put back.
  virtual std::vector<std::string> finish() { return {}; }

  std::string device;                  // name in a profile
  DeviceAttributes device_attributes;  // of the device, for a profile
  DeviceAttributes run_attributes;     // of this run, for the log
  WorkloadAttributes attributes;       // as far as the device knows them
  std::vector<std::string> notices;    // sentences for the user; finish() may add some
};

// What to open.
struct MeasuredWorkloadOptions {
  hw::MeasuringOptions measuring;  // device, program, and how they are measured
  std::uint64_t seed = 0;          // of noise
  // Standard deviation of the log of times and powers that a device answers without a program, drawn anew for each measurement. 0: the
  // device's own answer, the same each time.
  double noise = 0;
};

// Opens a workload for measuring. `stop` is asked several times a second; when it is true, attempts and waits end. `time` must outlive
// what is returned. Throws std::invalid_argument for options that are not valid, DataError where there is no such profile, DeviceError
// in one sentence where the board cannot be measured.
std::unique_ptr<MeasuredWorkload> open_measured_workload(const MeasuredWorkloadOptions& options,
                                                         hw::Monotonic& time, std::function<bool()> stop);

}  // namespace fewwatt::datasets
