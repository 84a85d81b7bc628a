#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

// A temperature of the board.
struct ThermalZone {
  std::string name;              // "tj-thermal"
  std::optional<double> temp_c;  // none: switched off, or not readable
  std::optional<double>
      trip_c;  // the lowest temperature at which the kernel throttles or stops; none: there is none
};

// Something that slows clocks down when the board is hot.
struct CoolingDevice {
  std::string name;        // "cpu-throttle-alert"
  std::int64_t state = 0;  // > 0: it throttles
};

// Everything at one moment that can spoil a measurement.
struct BoardState {
  std::map<std::string, std::int64_t>
      over_current;                    // over-current events since boot, by the path of their counter
  std::vector<CoolingDevice> cooling;  // those that slow clocks down; fans are not among them
  std::vector<ThermalZone> zones;      // without the PMIC's, which always says 100 C
  std::vector<int> online_cpus;        // numbers of the cores that are on
  std::string boot_id;                 // "" = not known
  std::map<std::string, std::string> controls;  // path -> what it holds, or why it cannot be read
};

// Reads the state. `controls`: files that hold the same before and after a valid measurement, such as limits of clocks. Counters, zones
// and cooling devices that cannot be read are left out or empty. Throws DeviceError when the CPUs that are on cannot be
// read. The kernel updates counters about every 2 s: a state read sooner after a run may lack the last events.
BoardState read_board_state(const Sysfs& files, const std::vector<std::string>& controls);

// The reasons not to trust a measurement made between these two states, one sentence each; nullopt when there is none.
std::optional<std::string> why_invalid(const BoardState& before, const BoardState& after);

// The smallest distance of a zone to its trip temperature; infinity where no zone has one.
double hottest_margin_c(const BoardState& state);

}  // namespace fewwatt::hw
