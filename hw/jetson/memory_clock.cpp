#include "hw/jetson/memory_clock.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include "hw/modules.hpp"

namespace fewwatt::hw {
namespace {

const std::string kBpmp = "/sys/kernel/debug/bpmp/debug";
const std::string kOverrideEmc = "/sys/kernel/debug/clk/override.emc";
const std::string kMemoryDevfreq = "/sys/class/devfreq/bwmgr";

// What was tried last, and why it failed.
std::string reason(const Sysfs& files, const std::string& path) {
  try {
    files.read(path);
    return path + ": holds no level";
  } catch (const DeviceError& e) {
    return e.what();
  }
}

std::vector<std::int64_t> kilo(std::vector<std::int64_t> values) {
  for (auto& value : values) value *= 1000;
  return values;
}

// "204000 665600 2133000 (kHz)"
std::vector<std::int64_t> possible_rates(const Sysfs& files, const std::string& path) {
  std::istringstream words(files.read(path));
  std::vector<std::int64_t> values;
  for (std::string word; words >> word && word.front() != '(';)
    values.push_back(parse_number(word, path, kKhz));
  return values;
}

// Memory clocks of the known board with such modules, where the kernel lists none.
std::vector<std::int64_t> known_memory_levels(const Board& board) {
  static const std::pair<const char*, const char*> parts[] = {{"p3701-", "orin-agx-64"},
                                                              {"p3767-0000", "orin-nx-16"},
                                                              {"p3767-0001", "orin-nx-16"},
                                                              {"p3767-", "orin-nano-8"},
                                                              {"p3668-", "xavier-nx"},
                                                              {"p2888-", "xavier-agx"},
                                                              {"p3448-", "nano"},
                                                              {"p3310-", "tx2"},
                                                              {"p3489-", "tx2"}};
  for (const auto& [part, name] : parts) {
    if (!board.is(part)) continue;
    for (const auto& module : modules()) {
      if (module.name != name) continue;
      for (const auto& knob : module.knobs)
        if (knob.role == KnobRole::mem_khz) return kilo({knob.levels.begin(), knob.levels.end()});
    }
  }
  return {};
}

void keep_within(std::vector<std::int64_t>& levels, std::int64_t lowest, std::int64_t highest) {
  levels.erase(std::remove_if(levels.begin(), levels.end(),
                              [&](std::int64_t level) { return level < lowest || level > highest; }),
               levels.end());
}

// Where the kernel lists no memory clocks in `where`: those of the known board that lie within the bounds that it does tell, and the
// highest, which is one. The board's notes say so.
std::vector<std::int64_t> assumed_memory_levels(Board& board, const std::string& where, std::int64_t lowest,
                                                std::int64_t highest) {
  auto levels = known_memory_levels(board);
  if (levels.empty()) return levels;
  levels.push_back(highest);
  levels = sorted_levels(std::move(levels));
  keep_within(levels, lowest, highest);
  if (levels.empty()) return levels;
  std::string text;
  for (const auto level : levels) text += ' ' + std::to_string(level / 1000);
  board.notes.push_back(
      "mem_khz: the kernel lists no clocks of the memory in " + where +
      "; assumed are the clocks that are known of such a module, up to the highest one that it reports:" +
      text);
  return levels;
}

}  // namespace

std::optional<MemoryClock> find_memory(const Sysfs& files, Board& board) {
  auto& missing = board.missing;
  MemoryClock memory;
  if (files.exists("/sys/kernel/nvpmodel_clk_cap/emc")) {
    memory.cap = "/sys/kernel/nvpmodel_clk_cap/emc";
  } else if (files.exists("/sys/kernel/nvpmodel_emc_cap/emc_iso_cap")) {
    memory.cap = "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap";
    memory.zero_uncaps = true;
  }
  const auto bpmp = kBpmp + "/clk/emc";
  std::string list;  // where the kernel lists the clocks, or would
  std::int64_t lowest = 0, highest = 0;
  try {
    if (files.exists(bpmp + "/rate")) {
      memory.kind = MemoryClock::Kind::bpmp;
      memory.folder = bpmp;
      if (files.exists(kBpmp + "/bwmgr/bwmgr_halt")) memory.halt = kBpmp + "/bwmgr/bwmgr_halt";
      if (files.exists(kBpmp + "/emc/possible_rates"))
        memory.levels = kilo(possible_rates(files, kBpmp + "/emc/possible_rates"));
      if (memory.levels.empty())
        for (const auto& name : files.list(kBpmp + "/emc/tables/regular"))
          memory.levels.push_back(1000 * parse_number(name, kBpmp + "/emc/tables/regular", kKhz));
      lowest = read_number(files, bpmp + "/min_rate", kHz);
      highest = read_number(files, bpmp + "/max_rate", kHz);
      list = kBpmp + "/emc";
    } else if (files.exists(kOverrideEmc + "/clk_update_rate")) {
      memory.kind = MemoryClock::Kind::override_emc;
      memory.folder = kOverrideEmc;
      const std::string bounds = "/sys/kernel/debug/tegra_bwmgr/";
      lowest = read_number(files, bounds + "emc_min_rate", kHz);
      highest = read_number(files, bounds + "emc_max_rate", kHz);
      list = kOverrideEmc;
    } else if (files.exists(kMemoryDevfreq + "/available_frequencies")) {
      memory.kind = MemoryClock::Kind::devfreq;
      memory.folder = files.resolve(kMemoryDevfreq);
      list = memory.folder + "/available_frequencies";
      memory.levels = sorted_levels(read_numbers(files, list, kHz));
      if (memory.levels.empty()) {
        lowest = read_number(files, memory.folder + "/min_freq", kHz);
        highest = read_number(files, memory.folder + "/max_freq", kHz);
      } else {
        lowest = memory.levels.front();
        highest = memory.levels.back();
      }
    } else {
      const bool mounted = files.exists("/sys/kernel/debug/clk") || files.exists(kBpmp);
      missing.push_back(
          {"mem_khz", reason(files, bpmp + "/rate") +
                          (mounted ? ""
                                   : "; only root sees it, where debugfs is mounted: mount -t debugfs none "
                                     "/sys/kernel/debug")});
      return std::nullopt;
    }
  } catch (const DeviceError& e) {
    missing.push_back({"mem_khz", e.what()});
    return std::nullopt;
  }
  memory.levels = sorted_levels(std::move(memory.levels));
  const bool is_listed = !memory.levels.empty();
  if (!is_listed) memory.levels = assumed_memory_levels(board, list, lowest, highest);
  keep_within(memory.levels, lowest, highest);
  if (memory.levels.empty()) {
    missing.push_back(
        {"mem_khz", list +
                        (is_listed ? ": the kernel lists no rate"
                                   : ": the kernel lists no rates, and of this board none is known") +
                        " from " + std::to_string(lowest / 1000) + " to " + std::to_string(highest / 1000) +
                        " kHz"});
    return std::nullopt;
  }
  return memory;
}

}  // namespace fewwatt::hw
