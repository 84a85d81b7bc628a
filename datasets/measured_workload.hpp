#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/jetson/measured_boards.hpp"

namespace fewwatt::datasets {

// A workload on a device, to be measured in one power mode after the other: a program that runs there or on a simulated board,
// or answers that are known.
class MeasuredWorkload {
 public:
  virtual ~MeasuredWorkload() = default;
  virtual const hw::PowerModeSpace& space() const = 0;
  virtual hw::Attempt attempt(const hw::PowerMode& mode) = 0;
  // Seconds of its own time since it was opened. Known answers take `window_s` each, and none of ours.
  virtual double now_s() = 0;
  virtual void wait_s(double seconds) = 0;  // of its own time; ends early when told to stop
  // Ends the program and puts back what was changed; sentences for what could not be.
  virtual std::vector<std::string> finish() { return {}; }

  std::string device;                  // name in a profile
  DeviceAttributes device_attributes;  // what a profile tells of the device, ...
  DeviceAttributes run_attributes;     // ... and of this run
  WorkloadAttributes attributes;       // as far as the device knows them
  std::vector<std::string> notices;    // sentences for the user; finish() may add some
};

struct MeasuredWorkloadOptions {
  hw::MeasuringOptions measuring;
  std::uint64_t seed = 0;
  // Of time and power, for answers that are known, drawn anew for each measurement; 0: the device's own answer, the same
  // each time.
  double noise = 0;
};

// `stop`: asked several times a second; true ends an attempt, and a wait. `time` must outlive it. Throws std::invalid_argument
// for options that are not valid, DataError where there is no such profile, DeviceError in one sentence where the board cannot
// be measured.
std::unique_ptr<MeasuredWorkload> open_measured_workload(const MeasuredWorkloadOptions& options,
                                                         hw::Monotonic& time, std::function<bool()> stop);

}  // namespace fewwatt::datasets
