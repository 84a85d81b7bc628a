#include "hw/jetson/nvpmodel.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "hw/numbers.hpp"

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

}  // namespace

const NvpmodelConf::Mode* NvpmodelConf::find(int id) const {
  const auto found =
      std::find_if(modes.begin(), modes.end(), [&](const Mode& mode) { return mode.id == id; });
  return found == modes.end() ? nullptr : &*found;
}

NvpmodelConf parse_nvpmodel(const std::string& text, const std::string& where) {
  NvpmodelConf conf;
  enum { none, in_param, in_mode } part = none;
  std::istringstream lines(text);
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
  std::string known;
  for (const auto& other : conf.modes) known += (known.empty() ? "" : ", ") + std::to_string(other.id);
  throw DeviceError("nvpmodel.conf: expected a POWER_MODEL with the ID that " + path +
                    " tells, or with that of PM_CONFIG's DEFAULT, " +
                    (conf.default_id ? std::to_string(*conf.default_id) : "which is not there") +
                    "; found the IDs " + known);
}

std::string nvpmodel_stanza(const Sysfs& files, const NvpmodelConf& conf, const NvpmodelConf::Mode& base,
                            const Board& board, const PowerMode& mode, const std::set<KnobRole>& roles,
                            const std::string& name) {
  const auto space = space_of(board);
  const auto setting = [&](KnobRole role) -> std::optional<std::int64_t> {
    const auto knob = space.knob_with(role);
    return knob ? std::optional<std::int64_t>(mode[*knob]) : std::nullopt;
  };
  const auto cores = setting(KnobRole::cpu_cores).value_or(static_cast<std::int64_t>(board.cpus.size()));
  const std::set<int> on(board.cpus.begin(), board.cpus.begin() + cores);

  std::map<std::pair<std::string, std::string>, std::string> values;  // of parameter and argument
  std::set<KnobRole> covered;
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
        put(KnobRole::cpu_cores, param.name, arg, on.count(*core) > 0 ? 1 : 0);
      } else if (of_clock && core) {
        put_clock(KnobRole::cpu_khz, param.name, arg, 1);
      } else if (of_clock && board.gpu && is_of_gpu(files, path, *board.gpu)) {
        put_clock(KnobRole::gpu_khz, param.name, arg, 1000);
      } else if (arg == "MAX_FREQ" && board.memory && path == board.memory->cap) {
        put_clock(KnobRole::mem_khz, param.name, arg, 1000);
      }
    }
  }
  for (const auto& knob : space.knobs())
    if (roles.count(knob.role) > 0 && covered.count(knob.role) == 0)
      throw DeviceError("nvpmodel.conf has no parameter for " + std::string(to_string(knob.role)));

  int id = 0;
  for (const auto& other : conf.modes) id = std::max(id, other.id + 1);
  std::string text = "< POWER_MODEL ID=" + std::to_string(id) + " NAME=" + name + " >\n";
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
  return text;
}

}  // namespace fewwatt::hw
