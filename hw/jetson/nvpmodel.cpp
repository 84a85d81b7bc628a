#include "hw/jetson/nvpmodel.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

// NAME=value pairs of "< POWER_MODEL ID=0 NAME=MAXN >", and the word before them as "".
std::map<std::string, std::string> header(std::string line) {
  line.erase(std::remove_if(line.begin(), line.end(), [](char c) { return c == '<' || c == '>'; }),
             line.end());
  std::istringstream words(line);
  std::map<std::string, std::string> found;
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos)
      found.emplace("", word);
    else
      found[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return found;
}

constexpr int kMostId = 1'000'000;  // of a POWER_MODEL; nvpmodel itself has some ten

// The digits that `text` starts with.
std::string_view digits_of(std::string_view text) {
  return text.substr(0, text.find_first_not_of("0123456789"));
}

// The core of a path such as /sys/devices/system/cpu/cpu4/online.
std::optional<int> core_of(std::string_view path) {
  constexpr std::string_view kBefore = "/cpu";
  for (auto at = path.find(kBefore); at != std::string_view::npos; at = path.find(kBefore, at + 1)) {
    const auto rest = path.substr(at + kBefore.size());
    const auto digits = digits_of(rest);
    if (digits.empty() || digits.size() == rest.size() || rest[digits.size()] != '/') continue;
    return whole_int(digits, 0);
  }
  return std::nullopt;
}

int parse_id(const std::string& text, const std::string& where) {
  const auto id = as_int(parse_number(text, where), 0, kMostId);
  if (!id)
    throw DeviceError(where + ": expected an ID of at most " + std::to_string(kMostId) + ", found " + text);
  return *id;
}

bool is_of_gpu(const Sysfs& files, const std::string& path, const GpuClock& gpu) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  try {
    return files.resolve(folder) == gpu.devfreq;
  } catch (const DeviceError&) {
    return false;
  }
}

// The cores of the cluster whose clock `path` holds, of which `core` is one.
std::vector<int> cluster_of(const Sysfs& files, const std::string& path, int core) {
  try {
    return read_cpu_list(files, std::filesystem::path(path).parent_path().string() + "/related_cpus");
  } catch (const DeviceError&) {
    return {core};  // off: there are no files
  }
}

std::set<int> without(std::set<int> numbers, const std::set<int>& others) {
  std::erase_if(numbers, [&](int number) { return others.count(number) > 0; });
  return numbers;
}

}  // namespace

bool is_nvpmodel_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) ||
           std::string_view("._+-").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

const NvpmodelConf::Mode* NvpmodelConf::find(int id) const {
  const auto found =
      std::find_if(modes.begin(), modes.end(), [&](const Mode& mode) { return mode.id == id; });
  return found == modes.end() ? nullptr : &*found;
}

NvpmodelConf parse_nvpmodel(const std::string& text, const std::string& where) {
  NvpmodelConf conf;
  enum { none, in_param, in_mode } part = none;
  std::istringstream lines(with_plain_line_ends(text));
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto at = where + ", line " + std::to_string(number);
    line = trimmed(std::move(line));
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] == '#') continue;
    if (line[start] == '<') {
      auto fields = header(line);
      if (fields[""] == "PARAM") {
        conf.params.push_back({fields["NAME"], fields["TYPE"] == "CLOCK", {}});
        part = in_param;
      } else if (fields[""] == "POWER_MODEL") {
        conf.modes.push_back({parse_id(fields["ID"], at), fields["NAME"], {}});
        part = in_mode;
      } else {
        // Without a default the file says as much as one without PM_CONFIG.
        if (fields[""] == "PM_CONFIG" && fields.count("DEFAULT") > 0)
          conf.default_id = parse_id(fields["DEFAULT"], at);
        part = none;
      }
      continue;
    }
    std::istringstream words(line);
    std::vector<std::string> parts;
    for (std::string word; words >> word;) parts.push_back(word);
    if (part == in_param && parts.size() >= 2) {
      conf.params.back().args.emplace_back(parts[0], parts[1]);
    } else if (part == in_mode && parts.size() >= 3) {
      conf.modes.back().settings.push_back({parts[0], parts[1], parts[2]});
    } else if (part != none) {
      throw DeviceError(at + ": expected " +
                        (part == in_param ? "ARGUMENT PATH" : "PARAMETER ARGUMENT VALUE") + ", found \"" +
                        line + "\"");
    }
  }
  if (conf.modes.empty()) throw DeviceError(where + ": no POWER_MODEL");
  return conf;
}

int nvpmodel_now(const Sysfs& files, const NvpmodelConf& conf) {
  const std::string path = "/var/lib/nvpmodel/status";
  if (files.exists(path)) {
    constexpr std::string_view kBefore = "pmode:";
    const auto text = files.read(path);
    const auto at = text.find(kBefore);
    if (at != std::string::npos) {
      const auto id = whole_int(digits_of(std::string_view(text).substr(at + kBefore.size())), 0, kMostId);
      if (id && conf.find(*id) != nullptr) return *id;
    }
  }
  const auto* mode = conf.default_id ? conf.find(*conf.default_id) : nullptr;
  if (mode == nullptr && conf.modes.size() == 1) mode = &conf.modes.front();
  if (mode != nullptr) return mode->id;
  throw DeviceError("nvpmodel.conf: expected a POWER_MODEL with the ID that " + path +
                    " names, or with that of PM_CONFIG's DEFAULT, " +
                    (conf.default_id ? std::to_string(*conf.default_id) : "which is not there") +
                    "; found the IDs " +
                    join(conf.modes, ", ", [](const auto& other) { return std::to_string(other.id); }));
}

NvpmodelStanza nvpmodel_stanza(const Sysfs& files, const NvpmodelConf& conf, const NvpmodelConf::Mode& base,
                               const Board& board, const PowerMode& mode, const std::set<KnobRole>& roles,
                               const std::string& name) {
  if (!is_nvpmodel_name(name))
    throw std::invalid_argument("the name of a POWER_MODEL: letters, digits and . _ + - only");
  const auto space = space_of(board);
  const auto setting = [&](KnobRole role) -> std::optional<std::int64_t> {
    const auto knob = space.knob_with(role);
    return knob ? std::optional<std::int64_t>(mode[*knob]) : std::nullopt;
  };
  const auto cores = setting(KnobRole::cpu_cores).value_or(static_cast<std::int64_t>(board.cpus.size()));
  const std::set<int> on(board.cpus.begin(), board.cpus.begin() + cores);

  std::map<std::pair<std::string, std::string>, std::string> values;  // of parameter and argument
  std::set<KnobRole> covered;
  std::set<int> switched;                        // cores that have a parameter
  std::map<std::string, std::set<int>> clocked;  // by argument: cores whose clock has one
  std::set<std::string> gpu_ends;
  const auto put = [&](KnobRole role, const std::string& param, const std::string& arg, std::int64_t value) {
    if (roles.count(role) > 0) values[{param, arg}] = std::to_string(value);
    covered.insert(role);
  };
  const auto put_clock = [&](KnobRole role, const std::string& param, const std::string& arg, int unit) {
    if (const auto khz = setting(role)) put(role, param, arg, unit * *khz);
  };
  for (const auto& param : conf.params) {
    for (const auto& [arg, path] : param.args) {
      const bool of_clock = arg == "MAX_FREQ" || arg == "MIN_FREQ";
      const auto core = core_of(path);
      if (!param.is_clock) {
        if (!core || !path.ends_with("/online")) continue;
        switched.insert(*core);
        put(KnobRole::cpu_cores, param.name, arg, on.count(*core) > 0 ? 1 : 0);
      } else if (of_clock && core) {
        for (const int cpu : cluster_of(files, path, *core)) clocked[arg].insert(cpu);
        put_clock(KnobRole::cpu_khz, param.name, arg, 1);
      } else if (of_clock && board.gpu && is_of_gpu(files, path, *board.gpu)) {
        gpu_ends.insert(arg);
        put_clock(KnobRole::gpu_khz, param.name, arg, 1000);
      } else if (arg == "MAX_FREQ" && board.memory && path == board.memory->cap) {
        put_clock(KnobRole::mem_khz, param.name, arg, 1000);
      }
    }
  }
  for (const auto& knob : space.knobs())
    if (roles.count(knob.role) > 0 && covered.count(knob.role) == 0)
      throw DeviceError("nvpmodel.conf has no parameter for " + std::string(to_string(knob.role)));

  NvpmodelStanza stanza;
  if (roles.count(KnobRole::cpu_cores) > 0) {
    switched.insert(board.cpus.front());  // it is always on, and has no file on many boards
    const auto left = without({board.cpus.begin(), board.cpus.end()}, switched), off = without(left, on);
    if (!left.empty())
      stanza.notes.push_back(
          "nvpmodel.conf has no parameter for the cores " + join(left) + ": they stay as they are" +
          (off.empty() ? std::string()
                       : "; with cpu_cores=" + std::to_string(cores) + " these should be off: " + join(off)));
  }
  for (const char* arg : {"MIN_FREQ", "MAX_FREQ"}) {
    std::set<int> with_clock;
    if (roles.count(KnobRole::cpu_khz) > 0)
      for (const auto& cluster : clusters(files)) with_clock.insert(cluster.cpus.begin(), cluster.cpus.end());
    if (const auto left = without(with_clock, clocked[arg]); !left.empty())
      stanza.notes.push_back("nvpmodel.conf has no parameter for the " + std::string(arg) + " of the cores " +
                             join(left) + ": it stays as it is");
    if (roles.count(KnobRole::gpu_khz) > 0 && gpu_ends.count(arg) == 0)
      stanza.notes.push_back("nvpmodel.conf has no parameter for the " + std::string(arg) +
                             " of the GPU: it stays as it is");
  }

  int id = 0;
  for (const auto& other : conf.modes) id = std::max(id, other.id + 1);
  auto& text = stanza.text;
  text = "< POWER_MODEL ID=" + std::to_string(id) + " NAME=" + name + " >\n";
  const auto add = [&](const std::string& param, const std::string& arg, const std::string& value) {
    text += param + ' ' + arg + ' ' + value + '\n';
  };
  // In the order of the base; what that leaves out is added after it.
  for (const auto& [param, arg, value] : base.settings) {
    const auto found = values.find({param, arg});
    add(param, arg, found == values.end() ? value : found->second);
    if (found != values.end()) values.erase(found);
  }
  for (const auto& [key, value] : values) add(key.first, key.second, value);
  return stanza;
}

}  // namespace fewwatt::hw
