#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

struct ThermalZone {
  std::string name;              // "tj-thermal"
  std::optional<double> temp_c;  // none: switched off, or not readable
  std::optional<double> trip_c;  // the lowest at which the kernel throttles or stops; none: no such
};

struct CoolingDevice {
  std::string name;        // "cpu-throttle-alert"
  std::int64_t state = 0;  // > 0: it throttles
};

// What can spoil a measurement, at one moment.
struct BoardState {
  std::map<std::string, std::int64_t> over_current;  // path of a counter of events since boot -> count
  std::vector<CoolingDevice> cooling;                // those that slow clocks down; fans are not among them
  std::vector<ThermalZone> zones;                    // without the PMIC's constant 100 C
  std::vector<int> online_cpus;
  std::string boot_id;                          // "" = not known
  std::map<std::string, std::string> controls;  // path -> what it holds, or why it cannot be read
};

// `controls`: files that hold the same before and after a valid measurement, such as limits of clocks. Counters, zones
// and cooling devices that cannot be read are left out or empty. Throws DeviceError when the CPUs that are on cannot be
// read. The kernel brings counters up to date about every 2 s: a state read sooner after a run may lack its last events.
BoardState read_board_state(const Sysfs& files, const std::vector<std::string>& controls);

// A sentence for each reason not to trust what was measured between the two; none when there is no reason.
std::optional<std::string> why_invalid(const BoardState& before, const BoardState& after);

// The least that a zone is below its trip temperature; infinity where no zone tells.
double hottest_margin_c(const BoardState& state);

}  // namespace fewwatt::hw
