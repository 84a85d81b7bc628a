#include "hw/jetson/clocks.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "hw/numbers.hpp"

namespace fewwatt::hw {
namespace {

constexpr double kHeldFor_s = 0.05;  // a rate that was set must still be there

std::string memory_rate_path(const MemoryClock& memory) {
  switch (memory.kind) {
    case MemoryClock::Kind::bpmp:
      return memory.folder + "/rate";
    case MemoryClock::Kind::override_emc:
      return memory.folder + "/clk_rate";
    case MemoryClock::Kind::devfreq:
      return memory.folder + "/cur_freq";
  }
  return "";
}

ClockLimits memory_limits(const MemoryClock& memory) {
  return {memory.folder + "/min_freq", memory.folder + "/max_freq", memory.folder + "/cur_freq"};
}

// What the memory clock's rate is written to, in this order.
std::vector<std::string> memory_controls(const MemoryClock& memory) {
  std::vector<std::string> paths;
  if (!memory.cap.empty()) paths.push_back(memory.cap);
  switch (memory.kind) {
    case MemoryClock::Kind::bpmp:
      paths.push_back(memory.folder + "/mrq_rate_locked");
      paths.push_back(memory.folder + "/state");
      if (!memory.halt.empty()) paths.push_back(memory.halt);
      paths.push_back(memory.folder + "/rate");
      break;
    case MemoryClock::Kind::override_emc:
      paths.push_back(memory.folder + "/clk_update_rate");
      paths.push_back(memory.folder + "/clk_state");
      break;
    case MemoryClock::Kind::devfreq:
      paths.push_back(memory_limits(memory).min_path);
      paths.push_back(memory_limits(memory).max_path);
      break;
  }
  return paths;
}

std::string railgate_path(const GpuClock& gpu) {
  return gpu.device + "/railgate_enable";
}

std::string wanted_found(std::int64_t wanted, std::int64_t found) {
  return "wanted " + std::to_string(wanted) + ", found " + std::to_string(found);
}

// What was read within kKhz.
int khz(std::int64_t value) {
  return as_int(value).value();
}

// The rate that is locked, or the highest that the kernel may choose.
std::int64_t memory_limit(const Sysfs& files, const MemoryClock& memory) {
  const auto free = [&](const std::string& path) {
    return files.exists(path) && read_number(files, path) == 0;
  };
  const auto rate = [&](const std::string& path) { return read_number(files, path, kHz); };
  switch (memory.kind) {
    case MemoryClock::Kind::bpmp:
      if (!free(memory.folder + "/mrq_rate_locked")) return rate(memory_rate_path(memory));
      break;
    case MemoryClock::Kind::override_emc:
      if (!free(memory.folder + "/clk_state")) return rate(memory_rate_path(memory));
      break;
    case MemoryClock::Kind::devfreq:
      return rate(memory_limits(memory).max_path);
  }
  const auto cap = memory.cap.empty() ? 0 : rate(memory.cap);
  return cap > 0 ? std::min(cap, memory.levels.back()) : memory.levels.back();
}

// The levels next to a setting that is no level.
std::string nearest(const Knob& knob, int setting) {
  const auto above = std::upper_bound(knob.levels.begin(), knob.levels.end(), setting);
  std::string text;
  if (above != knob.levels.begin()) text = std::to_string(*(above - 1));
  if (above != knob.levels.end()) text += (text.empty() ? "" : " and ") + std::to_string(*above);
  return text;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::rejected:
      return "rejected";
    case Outcome::busy:
      return "busy";
    case Outcome::rounded:
      return "rounded";
    case Outcome::capped:
      return "capped";
    case Outcome::ignored:
      return "ignored";
    case Outcome::timed_out:
      return "timed out";
  }
  return "";
}

ClockError::ClockError(Outcome outcome, std::string path, const std::string& detail)
    : DeviceError(path + ": " + std::string(to_string(outcome)) + ": " + detail),
      outcome_(outcome),
      path_(std::move(path)) {}

Clocks::Clocks(Sysfs& files, Monotonic& time, Board board, ClocksOptions options)
    : files_(files), time_(time), board_(std::move(board)), options_(options), space_(space_of(board_)) {}

void Clocks::set(const std::string& path, const std::string& value, double deadline_s) {
  const auto number = parse_number(value, path);
  const auto before = read_number(files_, path);
  if (before == number) return;
  write(path, value, deadline_s);
  reach(path, number, before, deadline_s, [](std::int64_t) { return Outcome::rounded; });
}

void Clocks::reach(const std::string& path, std::int64_t wanted, std::int64_t before, double deadline_s,
                   const std::function<Outcome(std::int64_t)>& otherwise) {
  const double until = time_.now_s() + deadline_s;
  for (;;) {
    const auto found = read_number(files_, path);
    if (found == wanted || !options_.wait_for_clocks) return;
    if (time_.now_s() >= until)
      throw ClockError(found == before ? Outcome::ignored : otherwise(found), path,
                       wanted_found(wanted, found));
    time_.wait_s(options_.poll_s);
  }
}

// Tries again while the kernel is busy, for instance with switching a core.
void Clocks::write(const std::string& path, const std::string& value, double deadline_s) {
  const double until = time_.now_s() + deadline_s;
  for (;;) {
    try {
      files_.write(path, value);
      return;
    } catch (const SysfsError& e) {
      if (e.code() != EBUSY) throw ClockError(Outcome::rejected, path, e.what());
      if (time_.now_s() >= until) throw ClockError(Outcome::busy, path, e.what());
    }
    time_.wait_s(options_.poll_s);
  }
}

void Clocks::set_limits(const ClockLimits& limits, const std::vector<std::int64_t>& levels,
                        std::int64_t clock, double deadline_s) {
  const auto set_end = [&](const std::string& path) {
    if (read_number(files_, path) != clock) write(path, std::to_string(clock), deadline_s);
  };
  // Widened first: some kernels refuse a minimum above the maximum, others clamp it without a word.
  const auto low = read_number(files_, limits.min_path), high = read_number(files_, limits.max_path);
  const bool raises = clock > high;
  set_end(raises ? limits.max_path : limits.min_path);
  set_end(raises ? limits.min_path : limits.max_path);
  // A clock at the next level, or between levels, was rounded; one at a level further below is capped by something else.
  const auto at = std::lower_bound(levels.begin(), levels.end(), clock);
  const auto capped = [&](std::int64_t found) {
    return at - levels.begin() > 1 && found < *(at - 1) &&
           std::binary_search(levels.begin(), levels.end(), found);
  };
  const auto reached = [&](const std::string& path, std::int64_t before) {
    reach(path, clock, before, deadline_s,
          [&](std::int64_t found) { return capped(found) ? Outcome::capped : Outcome::rounded; });
  };
  reached(limits.max_path, high);
  reached(limits.min_path, low);
}

void Clocks::set_memory(std::int64_t rate) {
  const auto& memory = *board_.memory;
  if (!memory.cap.empty()) {
    const auto cap = read_number(files_, memory.cap);
    const bool binds = cap != 0 && cap < memory.levels.back();
    try {
      if (binds) files_.write(memory.cap, memory.zero_uncaps ? "0" : std::to_string(memory.levels.back()));
    } catch (const SysfsError& e) {
      if (cap < rate)
        throw ClockError(Outcome::capped, memory.cap, wanted_found(rate, cap) + "; " + std::string(e.what()));
    }
  }
  switch (memory.kind) {
    case MemoryClock::Kind::bpmp: {
      set(memory.folder + "/mrq_rate_locked", "1", options_.memory_deadline_s);
      set(memory.folder + "/state", "1", options_.memory_deadline_s);
      if (!memory.halt.empty()) set(memory.halt, "1", options_.memory_deadline_s);
      break;
    }
    case MemoryClock::Kind::override_emc:
      break;
    case MemoryClock::Kind::devfreq:
      set_limits(memory_limits(memory), memory.levels, rate, options_.memory_deadline_s);
      break;
  }
  const auto path = memory_rate_path(memory);
  const auto before = read_number(files_, path);
  if (memory.kind == MemoryClock::Kind::bpmp && before != rate)
    write(path, std::to_string(rate), options_.memory_deadline_s);
  if (memory.kind == MemoryClock::Kind::override_emc) {
    if (read_number(files_, memory.folder + "/clk_update_rate") != rate)
      write(memory.folder + "/clk_update_rate", std::to_string(rate), options_.memory_deadline_s);
    set(memory.folder + "/clk_state", "1", options_.memory_deadline_s);
  }
  const auto cap = memory.cap.empty() ? 0 : read_number(files_, memory.cap);
  reach(path, rate, before, options_.memory_deadline_s,
        [&](std::int64_t) { return cap != 0 && cap < rate ? Outcome::capped : Outcome::rounded; });
  if (!options_.wait_for_clocks || before == rate) return;
  time_.wait_s(kHeldFor_s);
  if (const auto held = read_number(files_, path); held != rate)
    throw ClockError(Outcome::ignored, path, wanted_found(rate, held) + ": it was set, and went back");
}

void Clocks::apply(const PowerMode& mode) {
  std::set<KnobRole> all;
  for (const auto& knob : space_.knobs()) all.insert(knob.role);
  apply(mode, all);
}

void check_settings(const PowerModeSpace& space, const PowerMode& mode, const std::set<KnobRole>& roles) {
  const auto& knobs = space.knobs();
  if (mode.size() != knobs.size())
    throw std::invalid_argument("a mode of this board has " + std::to_string(knobs.size()) +
                                " settings, found " + std::to_string(mode.size()));
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    if (roles.count(knobs[k].role) == 0) continue;
    if (!std::binary_search(knobs[k].levels.begin(), knobs[k].levels.end(), mode[k]))
      throw std::invalid_argument(std::string(to_string(knobs[k].role)) + ": this board has no " +
                                  std::to_string(mode[k]) + "; the nearest are " +
                                  nearest(knobs[k], mode[k]));
  }
}

void Clocks::apply(const PowerMode& mode, const std::set<KnobRole>& roles) {
  check_settings(space_, mode, roles);
  const auto& knobs = space_.knobs();
  std::size_t cores = board_.cpus.size();
  if (const auto knob = space_.knob_with(KnobRole::cpu_cores)) cores = static_cast<std::size_t>(mode[*knob]);
  const auto switch_core = [&](std::size_t i, bool on) {
    if (is_online(files_, board_.cpus[i]) != on)
      set(cpu_online_path(board_.cpus[i]), on ? "1" : "0", options_.cpu_deadline_s);
  };
  const bool of_cores = roles.count(KnobRole::cpu_cores) > 0;
  for (std::size_t i = 0; of_cores && i < cores; ++i) switch_core(i, true);
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    if (knobs[k].role != KnobRole::cpu_khz || roles.count(KnobRole::cpu_khz) == 0) continue;
    for (const auto& cluster : clusters(files_))
      set_limits(cluster.limits(), board_.cpu_levels, mode[k], options_.cpu_deadline_s);
  }
  for (std::size_t i = board_.cpus.size(); of_cores && i-- > cores;) switch_core(i, false);
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    if (roles.count(knobs[k].role) == 0) continue;
    if (knobs[k].role == KnobRole::gpu_khz) {
      const auto clock = std::int64_t{1000} * mode[k];
      const auto railgate = railgate_path(*board_.gpu);
      if (files_.exists(railgate)) set(railgate, "0", options_.gpu_deadline_s);
      const auto limits = board_.gpu->limits();
      set_limits(limits, board_.gpu->levels, clock, options_.gpu_deadline_s);
      reach(limits.now_path, clock, -1, options_.gpu_deadline_s,
            [](std::int64_t) { return Outcome::timed_out; });
    } else if (knobs[k].role == KnobRole::mem_khz) {
      set_memory(std::int64_t{1000} * mode[k]);
    }
  }
}

PowerMode Clocks::current() const {
  std::vector<int> settings;
  for (const auto& knob : space_.knobs()) settings.push_back(setting_now(files_, board_, knob.role));
  return PowerMode(settings);
}

int setting_now(const Sysfs& files, const Board& board, KnobRole role) {
  if (role == KnobRole::cpu_cores)
    return static_cast<int>(
        std::count_if(board.cpus.begin(), board.cpus.end(), [&](int cpu) { return is_online(files, cpu); }));
  if (role == KnobRole::cpu_khz) {
    const auto on = clusters(files);
    if (on.empty()) throw DeviceError("no clock of the CPU can be read");
    return khz(read_number(files, on.front().limits().max_path, kKhz));
  }
  if (role == KnobRole::gpu_khz) return khz(read_number(files, board.gpu->limits().max_path, kHz) / 1000);
  return khz(memory_limit(files, *board.memory) / 1000);
}

std::vector<std::string> Clocks::controls() const {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (files_.exists(path)) paths.push_back(path);
  };
  for (const int cpu : board_.cpus) add(cpu_online_path(cpu));
  for (const auto& cluster : clusters(files_)) {
    add(cluster.limits().min_path);
    add(cluster.limits().max_path);
  }
  if (board_.gpu) {
    add(railgate_path(*board_.gpu));
    add(board_.gpu->limits().min_path);
    add(board_.gpu->limits().max_path);
  }
  if (board_.memory)
    for (const auto& path : memory_controls(*board_.memory)) add(path);
  return paths;
}

std::vector<std::string> Clocks::watched() const {
  auto paths = controls();
  if (board_.gpu) paths.push_back(board_.gpu->limits().now_path);
  if (board_.memory) paths.push_back(memory_rate_path(*board_.memory));
  // Others set these, and measurements depend on them.
  for (const auto& path : {std::string("/var/lib/nvpmodel/status"),
                           board_.gpu ? board_.gpu->device + "/tpc_pg_mask" : std::string()})
    if (!path.empty() && files_.exists(path)) paths.push_back(path);
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

bool is_control(const Board& board, const std::string& path) {
  for (const int cpu : board.cpus) {
    if (path == cpu_online_path(cpu)) return true;
    // A policy has the number of one of its cores.
    const auto limits = CpuCluster{cpu_policy_path(cpu), {}}.limits();
    if (path == limits.min_path || path == limits.max_path) return true;
  }
  if (board.gpu) {
    const auto limits = board.gpu->limits();
    if (path == limits.min_path || path == limits.max_path || path == railgate_path(*board.gpu)) return true;
  }
  if (!board.memory) return false;
  const auto paths = memory_controls(*board.memory);
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace fewwatt::hw
