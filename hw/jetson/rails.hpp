#pragma once

#include <string>
#include <vector>

#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

// Seconds that an INA3221 of a Jetson averages over: 2 x 140 us x 3 channels x 512 samples. Assumed where a sensor does not say.
inline constexpr double kSensorAveraging_s = 0.43;

// One channel of a power sensor. Its power is voltage times current where it has both files, else what power_path holds.
struct Rail {
  std::string label;                        // "VDD_IN"; "" where there is none, or it cannot be read
  bool has_label = true;                    // false: the kernel has no label for it
  std::string bus_address;                  // "1-0040": bus and hexadecimal address; "" = not known
  int channel = 1;                          // as its files are numbered
  std::string voltage_path, current_path;   // mV, mA
  std::string power_path;                   // used where one of these two is ""
  double power_unit_w = 1e-3;               // of power_path: 1e-3 = mW, 1e-6 = uW
  double averaging_s = kSensorAveraging_s;  // over which the sensor averages
  // "" = it can be read; else "cannot be read: " with path, errno and what to do, or "reads -3 W, ..."
  std::string problem;
  std::string unused;  // "" = it is a rail; else "switched off (...)", "not connected (label NC)"

  std::string name() const;  // the label, else "channel 1 (no label)"
};

// All channels of all power sensors, by bus address and channel: INA3221 and INA238 through hwmon, INA3221 through iio
// (JetPack 4). A sensor that the kernel shows twice is listed once; a sensor without channels is listed as an unused channel 0.
std::vector<Rail> find_channels(const Sysfs& files);
// The channels that are in use.
std::vector<Rail> find_rails(const Sysfs& files);

// The present power of a rail. Throws DeviceError naming the path.
double read_power_w(const Sysfs& files, const Rail& rail);

// The rails whose sum is the power of the module.
struct TotalPower {
  std::vector<Rail> rails;  // whose powers are added up
  std::string note;         // what is added up, and what is not, for people
};
// Which rails to add up on this board. `channels`: what find_channels() or find_rails() gives. `compatible`: the strings of
// /proc/device-tree/compatible. Throws DeviceError listing the rails found, where one that is needed is missing, has a problem, or is
// there more than once.
TotalPower total_of(const std::vector<Rail>& channels, const std::vector<std::string>& compatible);

}  // namespace fewwatt::hw
