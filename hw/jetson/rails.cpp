#include "hw/jetson/rails.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <iterator>
#include <set>
#include <sstream>
#include <tuple>

#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

// How far below 0 an INA3221 may read without load: its offset of at most 80 uV is 16 mA at a shunt of 5 mOhm, 0.3 W at 20 V.
constexpr double kOffset_w = 0.5;
constexpr double kShortestConversion_s = 140e-6;  // of an INA3221, for a voltage or a current

// Which rails add up to the module's power, by their labels on NVIDIA's modules. A board that has the first label of a rule must have all.
struct Rule {
  std::vector<std::string> labels;
  std::string only_on;  // part of a compatible string, of boards that have this rule and no other; "" = any
  std::string board;    // that has it, where only_on says so
};
const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {
      {{"VIN"}, "tegra264", "Jetson Thor"},                     // its INA238; feeds the others
      {{"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}, "", ""},   // AGX Orin; VIN_SYS_5V0 feeds VDDQ_VDD2_1V8AO
      {{"SYS5V", "GPU", "CPU", "SOC", "CV", "VDDRQ"}, "", ""},  // AGX Xavier
      {{"VDD_IN"}, "", ""},     // Orin NX and Nano, Xavier NX, TX2, TX1; feeds the others
      {{"POM_5V_IN"}, "", ""},  // Nano; feeds the others
  };
  return all;
}

bool is_on(const std::vector<std::string>& compatible, const std::string& part) {
  return std::any_of(compatible.begin(), compatible.end(),
                     [&](const auto& text) { return text.find(part) != std::string::npos; });
}

// "1-0040"
bool is_bus_address(const std::string& name) {
  const auto dash = name.find('-');
  if (dash == std::string::npos || dash == 0 || name.size() != dash + 5) return false;
  const auto all = [](auto begin, auto end, int (*kind)(int)) {
    return std::all_of(begin, end, [kind](char c) { return kind(static_cast<unsigned char>(c)) != 0; });
  };
  const auto at = name.begin() + static_cast<std::ptrdiff_t>(dash);
  return all(name.begin(), at, std::isdigit) && all(at + 1, name.end(), std::isxdigit);
}

// The last folder of a path that is one.
std::string bus_address_in(const std::string& path) {
  std::string found;
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    if (auto name = path.substr(begin, end - begin); is_bus_address(name)) found = std::move(name);
    begin = end + 1;
  }
  return found;
}

// NC as a word: not SYNC.
bool is_unconnected(const std::string& label) {
  const auto is_part = [&](std::size_t i) { return std::isalnum(static_cast<unsigned char>(label[i])) != 0; };
  for (auto at = label.find("NC"); at != std::string::npos; at = label.find("NC", at + 1))
    if ((at == 0 || !is_part(at - 1)) && (at + 2 == label.size() || !is_part(at + 2))) return true;
  return label == "sum of shunt voltages";
}

std::string with_advice(const SysfsError& error) {
  std::string text = error.what();
  if (error.code() == EACCES || error.code() == EPERM)
    text += " (run as root, or let all read it until the next boot: sudo chmod a+r " + error.path() + ")";
  else if (error.code() == ENODATA)
    text += " (the sensor has switched this channel off)";
  return text;
}

// Runs `read`; what went wrong, or "".
template <class Read>
std::string problem_of(const Read& read) {
  constexpr const char* kCannot = "cannot be read: ";
  try {
    read();
    return "";
  } catch (const SysfsError& error) {
    return kCannot + with_advice(error);
  } catch (const DeviceError& error) {
    return kCannot + std::string(error.what());
  }
}

// What is wrong with the rail's power, or "".
std::string problem_of_power(const Sysfs& files, const Rail& rail) {
  double power_w = 0;
  auto problem = problem_of([&] { power_w = read_power_w(files, rail); });
  if (power_w >= -kOffset_w) return problem;
  std::ostringstream text;
  text << "reads " << power_w
       << " W, which no rail takes: its shunt is connected the other way round, or the sensor is broken";
  return text.str();
}

double number_or(const Sysfs& files, const std::string& path, double otherwise) {
  try {
    return static_cast<double>(read_number(files, path));
  } catch (const DeviceError&) {
    return otherwise;
  }
}

// A sensor's own update_interval [ms] spans all channels and samples; some kernels leave the samples out, and no
// average can be shorter than its conversions.
double averaging_s(const Sysfs& files, const std::string& folder, int channels) {
  const double interval_s = number_or(files, folder + "/update_interval", 0) * 1e-3;
  const double conversions_s =
      number_or(files, folder + "/samples", 0) * 2 * kShortestConversion_s * channels;
  return interval_s > 0 ? std::max(interval_s, conversions_s) : kSensorAveraging_s;
}

// Adds the channel. A channel without a name is read, but is part of no sum.
void add(const Sysfs& files, Rail rail, const std::string& label_path, std::vector<Rail>& rails) {
  rail.has_label = files.exists(label_path);
  if (rail.has_label) rail.problem = problem_of([&] { rail.label = files.read(label_path); });
  if (rail.problem.empty() && rail.label.empty()) rail.has_label = false;
  if (is_unconnected(rail.label)) {
    rail.unused = "not connected (label " + rail.label + ')';
    rail.label.clear();  // it names nothing
  }
  if (rail.unused.empty() && rail.problem.empty()) rail.problem = problem_of_power(files, rail);
  rails.push_back(std::move(rail));
}

// A sensor that is there, and has nothing to read.
std::vector<Rail> without_channels(const std::string& address, const std::string& expected) {
  Rail rail;
  rail.bus_address = address;
  rail.channel = 0;
  rail.unused = "without channels (no " + expected + ')';
  return {rail};
}

std::vector<Rail> ina3221_hwmon(const Sysfs& files, const std::string& folder, const std::string& address) {
  std::vector<int> channels, off;
  for (const int channel : {1, 2, 3}) {
    const auto in = folder + "/in" + std::to_string(channel);
    if (!files.exists(in + "_label") && !files.exists(in + "_input")) continue;
    channels.push_back(channel);
    if (number_or(files, in + "_enable", 1) == 0) off.push_back(channel);
  }
  if (channels.empty()) return without_channels(address, "in1_input");
  const double averaging = averaging_s(files, folder, static_cast<int>(channels.size() - off.size()));
  std::vector<Rail> rails;
  for (const int channel : channels) {
    const auto number = std::to_string(channel);
    Rail rail;
    rail.bus_address = address;
    rail.channel = channel;
    rail.voltage_path = folder + "/in" + number + "_input";
    rail.current_path = folder + "/curr" + number + "_input";
    rail.averaging_s = averaging;
    if (std::count(off.begin(), off.end(), channel) > 0)
      rail.unused = "switched off (in" + number + "_enable is 0)";
    add(files, std::move(rail), folder + "/in" + number + "_label", rails);
  }
  return rails;
}

// Its driver has no labels; tegrastats calls its rail VIN.
std::vector<Rail> ina238_hwmon(const Sysfs& files, const std::string& folder, const std::string& address) {
  Rail rail;
  rail.label = "VIN";
  rail.bus_address = address;
  rail.power_path = folder + "/power1_input";
  rail.power_unit_w = 1e-6;
  rail.problem = problem_of_power(files, rail);
  return {rail};
}

std::vector<Rail> ina3221_iio(const Sysfs& files, const std::string& folder, const std::string& address) {
  std::vector<Rail> rails;
  for (const int channel : {0, 1, 2}) {
    const auto label_path = folder + "/rail_name_" + std::to_string(channel);
    Rail rail;
    rail.bus_address = address;
    rail.channel = channel;
    rail.power_path = folder + "/in_power" + std::to_string(channel) + "_input";
    if (!files.exists(label_path) && !files.exists(rail.power_path)) continue;
    add(files, std::move(rail), label_path, rails);
  }
  return rails.empty() ? without_channels(address, "in_power0_input") : rails;
}

std::string text_or_empty(const Sysfs& files, const std::string& path) {
  try {
    return files.read(path);
  } catch (const DeviceError&) {
    return "";
  }
}

// Sensors that NVIDIA's carriers of TX1 and TX2 have for themselves.
bool is_carriers(const Rail& rail, const std::vector<std::string>& compatible) {
  return (is_on(compatible, "tegra186") || is_on(compatible, "tegra210")) &&
         (rail.bus_address.ends_with("-0042") || rail.bus_address.ends_with("-0043"));
}

// Where NVIDIA's modules have their INA3221.
bool is_modules(const Rail& rail) {
  return rail.bus_address.ends_with("-0040") || rail.bus_address.ends_with("-0041");
}

// Rails of that label, of the module's own sensors if they have it.
std::vector<Rail> labelled(const std::vector<Rail>& rails, const std::string& label,
                           const std::vector<std::string>& compatible) {
  std::vector<Rail> found;
  for (const auto& rail : rails) {
    if (rail.label == label && !is_carriers(rail, compatible)) found.push_back(rail);
  }
  if (std::any_of(found.begin(), found.end(), is_modules))
    found.erase(
        std::remove_if(found.begin(), found.end(), [](const Rail& rail) { return !is_modules(rail); }),
        found.end());
  return found;
}

std::string name_of(const Rail& rail) {
  const auto text = rail.name();
  return rail.bus_address.empty() ? text : text + " of " + rail.bus_address;
}

std::string listed(const std::vector<Rail>& rails) {
  std::vector<std::string> names;
  for (const auto& rail : rails)
    names.push_back(name_of(rail) + (!rail.unused.empty()    ? ", " + rail.unused
                                     : !rail.problem.empty() ? ", " + rail.problem
                                                             : ""));
  return join(names, "; ");
}

DeviceError no_total(const std::string& why, const std::vector<Rail>& rails) {
  return DeviceError("cannot measure the power of the module: " + why + "; rails found: " + listed(rails));
}

// The rule for this board: its own; else the first rule whose first label is there; else the one that lacks the fewest rails. `channels`
// includes those that are no rails.
const Rule& rule_for(const std::vector<Rail>& rails, const std::vector<Rail>& channels,
                     const std::vector<std::string>& compatible) {
  const auto is_there = [&](const std::string& label) { return !labelled(rails, label, compatible).empty(); };
  const Rule* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const auto& rule : rules()) {
    if (!rule.only_on.empty()) {
      if (is_on(compatible, rule.only_on)) return rule;
      continue;
    }
    if (is_there(rule.labels.front())) return rule;
    const auto there = std::count_if(rule.labels.begin(), rule.labels.end(), is_there);
    if (there > most) {
      most = there;
      best = &rule;
    }
  }
  if (best != nullptr) return *best;
  std::vector<std::string> marks;
  for (const auto& rule : rules()) marks.push_back(join(rule.labels, " + "));
  throw no_total(
      "no rail is known to carry all of it, nor parts that add up to it (" + join(marks, ", or ") + ')',
      channels);
}

}  // namespace

std::vector<Rail> find_rails(const Sysfs& files) {
  auto rails = find_channels(files);
  std::erase_if(rails, [](const Rail& rail) { return !rail.unused.empty(); });
  return rails;
}

std::vector<Rail> find_channels(const Sysfs& files) {
  std::vector<Rail> rails;
  std::set<std::string> seen;  // bus addresses, real paths of sensors without one
  const auto add_all = [&](std::vector<Rail> more, const std::string& key) {
    if (more.empty()) return;
    seen.insert(key);
    rails.insert(rails.end(), more.begin(), more.end());
  };
  for (const auto& name : files.list("/sys/class/hwmon")) {
    const auto alias = "/sys/class/hwmon/" + name;
    const auto chip = text_or_empty(files, alias + "/name");
    if (!chip.starts_with("ina3221") && chip != "ina238") continue;
    const auto folder = files.resolve(alias);
    const auto address = bus_address_in(folder);
    const auto& key = address.empty() ? folder : address;
    if (seen.count(key) != 0) continue;
    add_all(chip == "ina238" ? ina238_hwmon(files, folder, address) : ina3221_hwmon(files, folder, address),
            key);
  }
  const std::string driver = "/sys/bus/i2c/drivers/ina3221x";
  for (const auto& address : files.list(driver)) {
    if (!is_bus_address(address) || seen.count(address) != 0) continue;
    for (const auto& name : files.list(driver + '/' + address)) {
      if (!name.starts_with("iio:device") && name != "iio_device") continue;
      if (seen.count(address) == 0)
        add_all(ina3221_iio(files, driver + '/' + address + '/' + name, address), address);
    }
  }
  std::sort(rails.begin(), rails.end(), [](const Rail& a, const Rail& b) {
    return std::tie(a.bus_address, a.channel) < std::tie(b.bus_address, b.channel);
  });
  return rails;
}

std::string Rail::name() const {
  if (!label.empty()) return label;
  return "channel " + std::to_string(channel) + (has_label ? "" : " (no label)");
}

double read_power_w(const Sysfs& files, const Rail& rail) {
  if (!rail.power_path.empty())
    return static_cast<double>(read_number(files, rail.power_path)) * rail.power_unit_w;
  const auto millivolts = static_cast<double>(read_number(files, rail.voltage_path));
  const auto milliamperes = static_cast<double>(read_number(files, rail.current_path));
  return millivolts * milliamperes * 1e-6;
}

TotalPower total_of(const std::vector<Rail>& channels, const std::vector<std::string>& compatible) {
  std::vector<Rail> rails;
  std::copy_if(channels.begin(), channels.end(), std::back_inserter(rails),
               [](const Rail& rail) { return rail.unused.empty(); });
  if (rails.empty() && !channels.empty())
    throw no_total("there are power sensors, but none of their channels is in use", channels);
  if (rails.empty())
    throw DeviceError(
        "no power sensor found: no ina3221 among /sys/class/hwmon/*/name, nothing in "
        "/sys/bus/i2c/drivers/ina3221x (is this a container without /sys?)");
  if (std::all_of(rails.begin(), rails.end(), [](const Rail& rail) { return !rail.has_label; }))
    throw no_total(
        "there is an INA3221, but it has no labels (in1_label), so it is not known which rails it measures; "
        "the "
        "labels come from NVIDIA's device tree, which other kernels may lack",
        channels);
  const auto& rule = rule_for(rails, channels, compatible);
  TotalPower total;
  std::vector<std::string> missing, names, left_out;
  for (const auto& label : rule.labels) {
    const auto found = labelled(rails, label, compatible);
    if (found.empty()) {
      missing.push_back(label);
      continue;
    }
    if (found.size() > 1) throw no_total(label + " is there more than once", channels);
    if (!found.front().problem.empty())
      throw no_total(name_of(found.front()) + ' ' + found.front().problem, channels);
    total.rails.push_back(found.front());
    names.push_back(name_of(found.front()));
  }
  if (!missing.empty())
    throw no_total("missing " + join(missing, ", ") + " (not there, or switched off) of " +
                       (rule.board.empty() ? join(rule.labels, " + ")
                                           : rule.board + ", whose power is " + join(rule.labels, " + ")),
                   channels);
  for (const auto& rail : rails) {
    const bool taken = std::any_of(total.rails.begin(), total.rails.end(), [&](const Rail& other) {
      return std::tie(rail.bus_address, rail.channel) == std::tie(other.bus_address, other.channel);
    });
    if (!taken) left_out.push_back(name_of(rail));
  }
  total.note = join(names, " + ");
  if (!left_out.empty()) total.note += "; not added: " + join(left_out, ", ");
  return total;
}

}  // namespace fewwatt::hw
