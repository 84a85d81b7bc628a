#include "hw/jetson/validity.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>

#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

constexpr std::int64_t kOff = -256;                   // degrees, of a zone whose unit has no power
constexpr double kColdest_c = -55, kHottest_c = 200;  // beyond lies nonsense
constexpr double kPmic_c = 100;                       // what its zone always says
// Lower trips do not throttle: they adapt voltages, or warn of a hot surface (70 degrees, on Orin).
constexpr double kLowestTrip_c = 80;
const char* const kBpmpSoctherm = "/sys/kernel/debug/bpmp/debug/soctherm";

std::string text_of(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::optional<std::int64_t> number_at(const Sysfs& files, const std::string& path) {
  try {
    return read_number(files, path);
  } catch (const DeviceError&) {
    return std::nullopt;
  }
}

std::string text_at(const Sysfs& files, const std::string& path) {
  try {
    return files.read(path);
  } catch (const DeviceError&) {
    return "";
  }
}

std::optional<double> celsius_at(const Sysfs& files, const std::string& path) {
  const auto value = number_at(files, path);
  if (!value || *value == kOff || *value == kOff * 1000) return std::nullopt;
  const double celsius = static_cast<double>(*value) / 1000;
  return celsius >= kColdest_c && celsius <= kHottest_c ? std::optional(celsius) : std::nullopt;
}

void count(const Sysfs& files, const std::string& path, BoardState& state) {
  if (const auto events = number_at(files, path)) state.over_current[path] = *events;
}

void read_over_current(const Sysfs& files, BoardState& state) {
  std::set<std::string> seen;
  for (const auto& name : files.list("/sys/class/hwmon")) {
    const auto folder = "/sys/class/hwmon/" + name;
    if (text_at(files, folder + "/name") != "soctherm_oc" || !seen.insert(files.resolve(folder)).second)
      continue;
    for (const auto& file : files.list(folder))
      if (file.starts_with("oc") && file.ends_with("_event_cnt")) count(files, folder + '/' + file, state);
  }
  for (const auto& name : files.list(kBpmpSoctherm))
    if (name.starts_with("oc")) count(files, std::string(kBpmpSoctherm) + '/' + name + "/event_cnt", state);
}

bool throttles(const std::string& type) {
  return type.find("throttle") != std::string::npos || type.find("cpufreq") != std::string::npos ||
         type.find("devfreq") != std::string::npos;
}

std::optional<double> lowest_trip_c(const Sysfs& files, const std::string& folder) {
  std::optional<double> lowest;
  const std::string suffix = "_type";
  for (const auto& name : files.list(folder)) {
    if (!name.starts_with("trip_point_") || !name.ends_with(suffix)) continue;
    const auto type = text_at(files, folder + '/' + name);
    if (type != "passive" && type != "hot" && type != "critical") continue;
    const auto trip = celsius_at(files, folder + '/' + name.substr(0, name.size() - suffix.size()) + "_temp");
    if (trip && *trip >= kLowestTrip_c && (!lowest || *trip < *lowest)) lowest = trip;
  }
  return lowest;
}

void read_thermal(const Sysfs& files, BoardState& state) {
  const std::string thermal = "/sys/class/thermal/";
  for (const auto& name : files.list(thermal)) {
    const auto folder = thermal + name;
    const auto type = text_at(files, folder + "/type");
    if (name.starts_with("thermal_zone")) {
      const auto temp_c = celsius_at(files, folder + "/temp");
      if (type.starts_with("PMIC") && temp_c == kPmic_c) continue;
      state.zones.push_back({type.empty() ? name : type, temp_c, lowest_trip_c(files, folder)});
    } else if (name.starts_with("cooling_device") && throttles(type)) {
      if (const auto now = number_at(files, folder + "/cur_state")) state.cooling.push_back({type, *now});
    }
  }
}

// "/sys/.../oc2_event_cnt" and "/sys/.../oc2/event_cnt" -> "oc2 (average current)"
std::string counter_name(const std::string& path) {
  const auto number = path.find_first_of("123456789", path.rfind("/oc"));
  switch (number == std::string::npos ? ' ' : path[number]) {
    case '1':
      return "oc1 (voltage too low)";
    case '2':
      return "oc2 (average current too high)";
    case '3':
      return "oc3 (current too high)";
    default:
      return "of over-current";
  }
}

void add_counters(const BoardState& before, const BoardState& after, std::vector<std::string>& reasons) {
  for (const auto& [path, events] : before.over_current) {
    const auto later = after.over_current.find(path);
    if (later == after.over_current.end())
      reasons.push_back("Counter " + counter_name(path) + " could not be read afterwards: " + path + '.');
    else if (later->second != events)
      reasons.push_back("Counter " + counter_name(path) + " moved by " +
                        std::to_string(later->second - events) + ": " + path + '.');
  }
}

void add_heat(const BoardState& state, const char* when, std::vector<std::string>& reasons) {
  for (const auto& device : state.cooling)
    if (device.state > 0)
      reasons.push_back("Cooling device " + device.name + " throttled " + when + ", state " +
                        std::to_string(device.state) + '.');
  for (const auto& zone : state.zones)
    if (zone.temp_c && zone.trip_c && *zone.temp_c >= *zone.trip_c)
      reasons.push_back("Thermal zone " + zone.name + " was at " + text_of(*zone.temp_c) + " C " + when +
                        ", its trip temperature is " + text_of(*zone.trip_c) + " C.");
}

}  // namespace

BoardState read_board_state(const Sysfs& files, const std::vector<std::string>& controls) {
  BoardState state;
  read_over_current(files, state);
  read_thermal(files, state);
  state.online_cpus = read_cpu_list(files, "/sys/devices/system/cpu/online");
  state.boot_id = text_at(files, "/proc/sys/kernel/random/boot_id");
  for (const auto& path : controls) {
    try {
      state.controls[path] = files.read(path);
    } catch (const DeviceError& error) {
      state.controls[path] = error.what();
    }
  }
  return state;
}

std::optional<std::string> why_invalid(const BoardState& before, const BoardState& after) {
  std::vector<std::string> reasons;
  if (!before.boot_id.empty() && !after.boot_id.empty() && before.boot_id != after.boot_id)
    reasons.push_back("The board has booted in between: boot id " + before.boot_id + " before, " +
                      after.boot_id + " after.");
  add_counters(before, after, reasons);
  add_heat(before, "before", reasons);
  add_heat(after, "after", reasons);
  if (before.online_cpus != after.online_cpus)
    reasons.push_back("CPUs " + join(before.online_cpus, ",") + " were on before, " +
                      join(after.online_cpus, ",") + " after.");
  for (const auto& [path, value] : before.controls) {
    const auto later = after.controls.find(path);
    if (later != after.controls.end() && later->second != value)
      reasons.push_back(path + " held " + value + " before, " + later->second + " after.");
  }
  if (reasons.empty()) return std::nullopt;
  return join(reasons, " ");
}

double hottest_margin_c(const BoardState& state) {
  double margin_c = std::numeric_limits<double>::infinity();
  for (const auto& zone : state.zones)
    if (zone.temp_c && zone.trip_c) margin_c = std::min(margin_c, *zone.trip_c - *zone.temp_c);
  return margin_c;
}

}  // namespace fewwatt::hw
