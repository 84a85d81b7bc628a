#pragma once

#include <limits>
#include <stdexcept>

#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// What running one unit of a workload in one mode cost.
struct Measurement {
  double time_ms = std::numeric_limits<double>::quiet_NaN();  // NaN = not measured
  double power_w = std::numeric_limits<double>::quiet_NaN();  // NaN = not measured
  int repeats = 1;
  bool throttled = false;
};

// The hardware said no, or cannot be trusted; the message names the path or setting.
class DeviceError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The seam between learning and hardware: a live board, a simulated one, or a recorded one.
class Device {
 public:
  virtual ~Device() = default;
  virtual const PowerModeSpace& space() const = 0;
  // Throws DeviceError when the mode is not in space() or cannot be measured.
  virtual Measurement measure(const PowerMode& mode) = 0;
};

}  // namespace fewwatt::hw
