#pragma once

#include <limits>
#include <stdexcept>

#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// Time and power of one unit of a workload (a minibatch, an epoch or a run) in one mode.
struct Measurement {
  double time_ms = std::numeric_limits<double>::quiet_NaN();  // NaN = not measured
  double power_w = std::numeric_limits<double>::quiet_NaN();  // NaN = not measured
  int repeats = 1;         // number of measurements that these are the mean of
  bool throttled = false;  // whether the device slowed itself down meanwhile
};

// The hardware refused something, or cannot be trusted; the message names the path or setting.
class DeviceError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What can be measured: a live board, a simulated one, or a recorded one.
class Device {
 public:
  virtual ~Device() = default;
  virtual const PowerModeSpace& space() const = 0;  // the modes that it can be set to
  // Measures a mode. Throws DeviceError when the mode is not in space() or cannot be measured.
  virtual Measurement measure(const PowerMode& mode) = 0;
};

}  // namespace fewwatt::hw
