#include "hw/jetson/board.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "hw/jetson/clocks.hpp"
#include "hw/jetson/memory_clock.hpp"
#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

const std::string kCpus = "/sys/devices/system/cpu";

// Release of Linux for Tegra to JetPack; the first that the release starts with.
struct Release {
  const char *l4t, *jetpack;
};
constexpr Release kReleases[] = {
    {"28.2", "3.2"},   {"32.1", "4.2"},     {"32.3.1", "4.3"},   {"32.4.3", "4.4"}, {"32.4.4", "4.4.1"},
    {"32.5", "4.5"},   {"32.6.1", "4.6"},   {"32.7", "4.6"},     {"34.1", "5.0"},   {"35.1", "5.0.2"},
    {"35.2.1", "5.1"}, {"35.3.1", "5.1.1"}, {"35.4.1", "5.1.2"}, {"35.5", "5.1.3"}, {"35.6", "5.1.4"},
    {"36.2", "6.0"},   {"36.3", "6.0"},     {"36.4.0", "6.1"},   {"36.4.3", "6.2"}, {"36.4", "6.2.1"},
    {"36.5", "6.2.2"}, {"38.2", "7.0"},     {"38.4", "7.1"},     {"39.2", "7.2"},   {"32", "4"},
    {"34", "5"},       {"35", "5"},         {"36", "6"},         {"38", "7"},       {"39", "7"}};

std::string jetpack_of(const std::string& release) {
  for (const auto& [l4t, jetpack] : kReleases) {
    const auto size = std::strlen(l4t);
    if (release.compare(0, size, l4t) == 0 && (release.size() == size || release[size] == '.'))
      return jetpack;
  }
  return "";
}

// "35.4.1" of "# R35 (release), REVISION: 4.1, ...", which stand in one line; "" for none.
std::string release_of(const Sysfs& files) {
  const std::string path = "/etc/nv_tegra_release";
  if (!files.exists(path)) return "";
  constexpr std::string_view kRevision = "REVISION: ";
  const auto run_of = [](std::string_view text, std::string_view of) {
    return text.substr(0, text.find_first_not_of(of));
  };
  std::istringstream lines(files.read(path));
  for (std::string text; std::getline(lines, text);) {
    const std::string_view line = text;
    for (auto at = line.find('R'); at != std::string_view::npos; at = line.find('R', at + 1)) {
      const auto release = run_of(line.substr(at + 1), "0123456789");
      const auto after = at + 1 + release.size();
      if (release.empty() || after == line.size() || line[after] != ' ') continue;
      const auto revision = line.rfind(kRevision);
      if (revision == std::string_view::npos || revision <= after) return "";
      const auto numbers = run_of(line.substr(revision + kRevision.size()), "0123456789.");
      if (numbers.empty()) return "";
      return std::string(release) + '.' + std::string(numbers);
    }
  }
  return "";
}

// Runs `read`; what cannot be read, though it is there, is missing.
template <class Read>
void read_if_possible(const char* what, std::vector<Missing>& missing, const Read& read) {
  try {
    read();
  } catch (const DeviceError& e) {
    missing.push_back({what, e.what()});
  }
}

// What the board is called, and its software. Throws DeviceError where nothing says that it is a Jetson.
void find_name(const Sysfs& files, Board& board) {
  const std::string tree = "/proc/device-tree", family = "/sys/devices/soc0/family";
  read_if_possible("board", board.missing, [&] {
    if (files.exists(tree + "/compatible")) board.compatible = read_strings(files, tree + "/compatible");
  });
  std::erase(board.compatible, "");
  read_if_possible("name", board.missing, [&] {
    if (files.exists(tree + "/model")) board.model = files.read(tree + "/model");
  });
  read_if_possible("release", board.missing, [&] { board.release = release_of(files); });
  board.jetpack = jetpack_of(board.release);
  if (board.is("nvidia,tegra") || board.model.find("Jetson") != std::string::npos) {
    if (board.model.empty()) {
      board.model = "Jetson";
      board.missing.push_back({"name", tree + "/model: no name of the board"});
    }
    return;
  }
  const bool tegra = !board.release.empty() || (files.exists(family) && files.read(family) == "Tegra");
  if (!board.compatible.empty() || !tegra)
    throw DeviceError(
        "this machine is no Jetson: " + tree + "/compatible " +
        (board.compatible.empty()
             ? "is not there, nor /etc/nv_tegra_release (or this is a container that has neither)"
             : "says " + board.compatible.front()));
  if (board.model.empty()) board.model = "Jetson";
  board.missing.push_back(
      {"model", tree + "/compatible is not there (is this a container without /proc and /sys of the "
                       "board?), so clocks that the kernel does not list are not known"});
}

// kHz that all clusters have.
std::vector<std::int64_t> cpu_levels(const Sysfs& files, const std::vector<CpuCluster>& of) {
  std::vector<std::int64_t> common;
  for (std::size_t i = 0; i < of.size(); ++i) {
    const auto levels =
        sorted_levels(read_numbers(files, of[i].folder + "/scaling_available_frequencies", kKhz));
    if (i == 0) {
      common = levels;
      continue;
    }
    std::vector<std::int64_t> both;
    std::set_intersection(common.begin(), common.end(), levels.begin(), levels.end(),
                          std::back_inserter(both));
    common = std::move(both);
  }
  return common;
}

// The same; none where they cannot be read: cores are then still switched.
std::vector<std::int64_t> find_cpu_levels(const Sysfs& files, const std::vector<CpuCluster>& of,
                                          std::vector<Missing>& missing) {
  try {
    if (of.empty()) throw DeviceError(kCpus + "/cpufreq: no clock of the CPU can be read");
    auto levels = cpu_levels(files, of);
    if (levels.empty())
      throw DeviceError(of.front().folder +
                        "/scaling_available_frequencies: no clock that all clusters have");
    return levels;
  } catch (const DeviceError& e) {
    missing.push_back({"cpu_khz", e.what()});
    return {};
  }
}

std::vector<int> switching_order(const std::vector<int>& present, const std::vector<CpuCluster>& of) {
  std::vector<int> order;
  std::set<int> listed;
  const auto add = [&](int cpu) {
    if (std::binary_search(present.begin(), present.end(), cpu) && listed.insert(cpu).second)
      order.push_back(cpu);
  };
  for (const auto& cluster : of)
    for (const int cpu : cluster.cpus) add(cpu);
  for (const int cpu : present) add(cpu);
  return order;
}

// "gpu" of "gpu-gpc-0" and of "17000000.gpu", as a whole word.
bool has_word(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    const auto is_part = [&](std::size_t i) {
      return std::isalnum(static_cast<unsigned char>(text[i])) != 0;
    };
    if ((at == 0 || !is_part(at - 1)) && (end == text.size() || !is_part(end))) return true;
  }
  return false;
}

// A GPU on PCI has no node in the device tree, and a devfreq for each of its clocks: gpu-gpc-0 is that of what computes (graphics
// processing clusters), gpu-nvd-0 that of video. Where it has a single one, that is it.
bool is_gpu_by_name(const Sysfs& files, const std::string& all, const std::string& name) {
  if (files.exists(all + '/' + name + "/device/of_node") || !has_word(name, "gpu")) return false;
  if (has_word(name, "gpc")) return true;
  // gpu-nvd-0 is a part of a GPU; 17000000.gpu is one.
  const bool is_part =
      name.starts_with("gpu-") && name.size() > 4 && std::isalpha(static_cast<unsigned char>(name[4])) != 0;
  if (is_part) return false;
  for (const auto& other : files.list(all))
    if (other != name && has_word(other, "gpu")) return false;
  return true;
}

bool is_gpu(const Sysfs& files, const std::string& devfreq) {
  static const std::set<std::string> names = {"gpu", "gp10b", "gv11b", "ga10b", "gb10b", "gm20b"};
  const auto node = devfreq + "/device/of_node/";
  try {
    if (files.exists(node + "name") && names.count(files.read(node + "name")) > 0) return true;
    if (!files.exists(node + "compatible")) return false;
    for (const auto& text : read_strings(files, node + "compatible")) {
      const auto comma = text.find(',');
      if (names.count(text.substr(comma == std::string::npos ? 0 : comma + 1)) > 0) return true;
    }
  } catch (const SysfsError&) {
  }
  return false;
}

std::optional<GpuClock> find_gpu(const Sysfs& files, std::vector<Missing>& missing) {
  const std::string all = "/sys/class/devfreq";
  for (const auto& name : files.list(all)) {
    const auto link = all + '/' + name;
    if (!is_gpu(files, link) && !is_gpu_by_name(files, all, name)) continue;
    GpuClock gpu;
    try {
      gpu.devfreq = files.resolve(link);
      gpu.device = files.resolve(link + "/device");
      gpu.levels = sorted_levels(read_numbers(files, gpu.devfreq + "/available_frequencies", kHz));
    } catch (const DeviceError& e) {
      missing.push_back({"gpu_khz", e.what()});
      return std::nullopt;
    }
    if (!gpu.levels.empty()) return gpu;
    missing.push_back({"gpu_khz", gpu.devfreq + "/available_frequencies: lists no clock"});
    return std::nullopt;
  }
  missing.push_back(
      {"gpu_khz",
       all + ": no GPU among them; one that was not used since the start may appear after it was"});
  return std::nullopt;
}

}  // namespace

ClockLimits GpuClock::limits() const {
  return {devfreq + "/min_freq", devfreq + "/max_freq", devfreq + "/cur_freq"};
}

ClockLimits CpuCluster::limits() const {
  return {folder + "/scaling_min_freq", folder + "/scaling_max_freq", folder + "/scaling_cur_freq"};
}

bool Board::is(const std::string& part) const {
  return std::any_of(compatible.begin(), compatible.end(),
                     [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

std::string cpu_online_path(int cpu) {
  return kCpus + "/cpu" + std::to_string(cpu) + "/online";
}

std::string cpu_policy_path(int number) {
  return kCpus + "/cpufreq/policy" + std::to_string(number);
}

bool is_online(const Sysfs& files, int cpu) {
  const auto path = cpu_online_path(cpu);
  return !files.exists(path) || read_number(files, path) != 0;
}

std::vector<CpuCluster> clusters(const Sysfs& files, std::vector<Missing>* missing) {
  const auto folder = kCpus + "/cpufreq";
  std::map<std::int64_t, CpuCluster> found;  // by number of the policy
  for (const auto& name : files.list(folder)) {
    if (!name.starts_with("policy")) continue;
    CpuCluster cluster{folder + '/' + name, {}};
    try {
      const auto number = parse_number(name.substr(6), cluster.folder, kCpuNumbers);
      cluster.cpus = read_cpu_list(files, cluster.folder + "/affected_cpus");
      if (cluster.cpus.empty()) continue;  // all off
      cluster.cpus = read_cpu_list(files, cluster.folder + "/related_cpus");
      found.emplace(number, std::move(cluster));
    } catch (const SysfsError&) {
      continue;  // all off
    } catch (const DeviceError& e) {
      if (missing != nullptr) missing->push_back({"cpu_khz of " + name, e.what()});
    }
  }
  std::vector<CpuCluster> all;
  for (auto& [number, cluster] : found) all.push_back(std::move(cluster));
  return all;
}

namespace {

// All CPUs that the kernel lists; without that list, those that have a folder.
std::vector<int> find_cpus(const Sysfs& files, std::vector<Missing>& missing) {
  std::string why;
  try {
    auto cpus = read_cpu_list(files, kCpus + "/present");
    if (!cpus.empty()) return cpus;
    why = kCpus + "/present: expected CPUs, found none";
  } catch (const DeviceError& e) {
    why = e.what();
  }
  std::set<int> found;
  for (const auto& name : files.list(kCpus))
    if (name.starts_with("cpu"))
      if (const auto number = whole_int(name.substr(3), 0, static_cast<int>(kCpuNumbers.most)))
        found.insert(*number);
  const std::vector<int> cpus(found.begin(), found.end());
  if (cpus.empty())
    missing.push_back({"cpu_cores", why});
  else
    missing.push_back(
        {"list of cores", why + "; those that have a folder in " + kCpus + " are taken: " + join(cpus)});
  return cpus;
}

// Cores that are on and have no clock that can be read: those of the others are set alone.
void find_cores_without_clock(const Sysfs& files, const std::vector<CpuCluster>& of, Board& board) {
  std::set<int> with;
  for (const auto& cluster : of) with.insert(cluster.cpus.begin(), cluster.cpus.end());
  std::vector<int> without;
  for (const int cpu : board.cpus)
    if (with.count(cpu) == 0 && is_online(files, cpu)) without.push_back(cpu);
  std::sort(without.begin(), without.end());
  if (without.empty() || with.empty()) return;
  board.missing.push_back({"cpu_khz of the cores " + join(without),
                           kCpus + "/cpufreq: no policy has them; their clock stays as it is"});
}

// A knob whose setting cannot be read can be neither shown nor put back.
void drop_unreadable_knobs(const Sysfs& files, Board& board) {
  const auto try_knob = [&](KnobRole role, bool is_there, const auto& drop) {
    if (!is_there) return;
    try {
      setting_now(files, board, role);
    } catch (const DeviceError& e) {
      board.missing.push_back({std::string(to_string(role)), e.what()});
      drop();
    }
  };
  try_knob(KnobRole::cpu_khz, !board.cpu_levels.empty(), [&] { board.cpu_levels.clear(); });
  try_knob(KnobRole::gpu_khz, board.gpu.has_value(), [&] { board.gpu.reset(); });
  try_knob(KnobRole::mem_khz, board.memory.has_value(), [&] { board.memory.reset(); });
}

}  // namespace

Board find_board(const Sysfs& files, Unreadable unreadable) {
  Board board;
  find_name(files, board);
  const auto on = clusters(files, &board.missing);
  board.cpus = switching_order(find_cpus(files, board.missing), on);
  try {
    find_cores_without_clock(files, on, board);
    for (const int cpu : board.cpus) is_online(files, cpu);
  } catch (const DeviceError& e) {
    board.missing.push_back({"cpu_cores", e.what()});
    if (unreadable == Unreadable::dropped) board.cpus.clear();
  }
  board.cpu_levels = find_cpu_levels(files, on, board.missing);
  board.gpu = find_gpu(files, board.missing);
  board.memory = find_memory(files, board);
  if (unreadable == Unreadable::dropped) drop_unreadable_knobs(files, board);
  return board;
}

bool has_knobs(const Board& board) {
  return !board.cpus.empty() || !board.cpu_levels.empty() || board.gpu || board.memory;
}

PowerModeSpace space_of(const Board& board) {
  const auto khz = [](const std::vector<std::int64_t>& levels, std::int64_t unit) {
    std::vector<int> all;
    for (const auto level : levels) {
      const auto value = as_int(level / unit);
      if (!value) throw DeviceError("the kernel lists a clock of " + std::to_string(level / unit) + " kHz");
      all.push_back(*value);
    }
    return all;
  };
  if (!has_knobs(board)) throw DeviceError("this board has no clock and no core that could be set");
  Knob cores{KnobRole::cpu_cores, {}};
  for (int n = 1; n <= static_cast<int>(board.cpus.size()); ++n) cores.levels.push_back(n);
  std::vector<Knob> knobs;
  if (!cores.levels.empty()) knobs.push_back(std::move(cores));
  if (!board.cpu_levels.empty()) knobs.push_back({KnobRole::cpu_khz, khz(board.cpu_levels, 1)});
  if (board.gpu) knobs.push_back({KnobRole::gpu_khz, khz(board.gpu->levels, 1000)});
  if (board.memory) knobs.push_back({KnobRole::mem_khz, khz(board.memory->levels, 1000)});
  try {
    return PowerModeSpace::grid(std::move(knobs));
  } catch (const std::invalid_argument& e) {
    throw DeviceError(std::string("the clocks that the kernel lists make no power modes: ") + e.what());
  }
}

}  // namespace fewwatt::hw
