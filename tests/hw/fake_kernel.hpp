#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hw/jetson/monotonic.hpp"
#include "hw/jetson/sysfs.hpp"
#include "tests/fake_sysfs.hpp"

namespace fewwatt::tests {

// Time that passes where it is waited for.
class FakeTime final : public hw::Monotonic {
 public:
  double now_s() override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void wait_s(double seconds) override {
    const std::lock_guard lock(mutex_);
    now_ += seconds;
  }

 private:
  std::mutex mutex_;
  double now_ = 100;
};

// What goes wrong.
struct KernelFaults {
  bool gpu_stuck = false;                 // cur_freq stays at the lowest level
  bool memory_ignores = false;            // a rate that is written changes nothing
  bool memory_reverts = false;            // it changes for one read
  std::optional<long long> memory_cap;    // that cannot be written
  std::set<std::string> busy;             // paths that say EBUSY
  std::map<std::string, long long> caps;  // the highest that a limit can be
  bool dead_clusters_readable = false;    // files of a cluster that is off are there, and refuse writes
  std::set<std::string> rounds;           // clocks one level lower than asked for
  std::map<std::string, int> unreadable;  // path to errno
  int write_error = 0;                    // of opening for writing
  int fail_write_at = -1;                 // the n-th write, from 0
  std::function<void(int)> before_write;  // called with n
};

// A tree with the rules that the kernels of Jetsons have for writes.
class FakeKernel final : public hw::Sysfs {
 public:
  explicit FakeKernel(FakeBoard board) : board_(std::move(board)), tree_(tree_of(board_)) { settle(); }

  KernelFaults faults;
  int writes = 0;

  std::map<std::string, std::string> files() const {
    const std::lock_guard lock(mutex_);
    return tree_.files;
  }
  void put(const std::string& path, const std::string& content) {
    const std::lock_guard lock(mutex_);
    tree_.files[real(path)] = content;
  }

  std::string read(const std::string& path) const override {
    const std::lock_guard lock(mutex_);
    const auto at = real(path);
    if (const auto fault = faults.unreadable.find(at); fault != faults.unreadable.end())
      throw hw::SysfsError(path, "cannot read", fault->second);
    if (is_of_dead_cluster(at) && !faults.dead_clusters_readable)
      throw hw::SysfsError(path, "cannot read", ENOENT);
    if (at == kEmc + "rate" && number_at(kEmc + "mrq_rate_locked") == 0)  // the kernel does as it likes
      tree_.files[at] = std::to_string(board_.memory_hz[static_cast<std::size_t>(++reads_) % 2]) + '\n';
    const auto file = tree_.files.find(at);
    if (file == tree_.files.end()) throw hw::SysfsError(path, "cannot read", ENOENT);
    auto text = hw::trimmed(file->second);
    if (faults.memory_reverts && at == kEmc + "rate")
      tree_.files[at] = std::to_string(board_.memory_hz.front()) + '\n';
    return text;
  }

  void write(const std::string& path, const std::string& value) override {
    const std::lock_guard lock(mutex_);
    const int n = writes++;
    if (faults.before_write) faults.before_write(n);
    if (n == faults.fail_write_at) throw hw::SysfsError(path, "cannot write " + value, EIO);
    const auto at = real(path);
    const auto refuse = [&](int code) { throw hw::SysfsError(path, "cannot write " + value, code); };
    if (tree_.files.count(at) == 0) refuse(ENOENT);
    if (faults.busy.count(at) > 0) refuse(EBUSY);
    if (is_of_dead_cluster(at)) refuse(EINVAL);
    long long number = 0;
    try {
      number = hw::parse_number(value, path);
    } catch (const hw::DeviceError&) {
      refuse(EINVAL);
    }
    const auto store = [&](long long what) { tree_.files[at] = std::to_string(what) + '\n'; };
    if (at.ends_with("/online")) {
      if (number != 0 && number != 1) refuse(EINVAL);
      if (number == 0 && at.find("/cpu0/") != std::string::npos) refuse(EBUSY);
      store(number);
    } else if (at.ends_with("min_freq") || at.ends_with("max_freq")) {
      const bool low = at.ends_with("min_freq");
      const auto levels = at.find("/cpufreq/") != std::string::npos ? board_.cpu_khz : board_.gpu_hz;
      if (faults.rounds.count(at) > 0)
        if (const auto level = std::find(levels.begin(), levels.end(), number);
            level != levels.end() && level != levels.begin())
          number = *(level - 1);
      if (const auto cap = faults.caps.find(at); cap != faults.caps.end())
        number = std::min(number, cap->second);
      const auto other = at.substr(0, at.size() - 8) + (low ? "max_freq" : "min_freq");
      if (asked_.count(other) == 0) asked_[other] = number_at(other);
      if (asked_.count(at) == 0) asked_[at] = number_at(at);
      if (board_.old_kernel && (low ? number > number_at(other) : number < number_at(other))) refuse(EINVAL);
      if (!low && number == 0) number = levels.back();
      asked_[at] = number;
      const auto high = std::clamp(asked_[low ? other : at], levels.front(), levels.back());
      const auto bottom = std::min(std::max(asked_[low ? at : other], levels.front()), high);
      tree_.files[low ? other : at] = std::to_string(high) + '\n';
      tree_.files[low ? at : other] = std::to_string(bottom) + '\n';
    } else if (at == kEmc + "rate") {
      if (!faults.memory_ignores && number_at(kEmc + "mrq_rate_locked") == 1) {
        auto rate = std::min<long long>(number, cap());
        const auto level = std::upper_bound(board_.memory_hz.begin(), board_.memory_hz.end(), rate);
        store(level == board_.memory_hz.begin() ? board_.memory_hz.front() : *(level - 1));
      }
    } else if (at.ends_with("/emc_iso_cap") || at.ends_with("/nvpmodel_clk_cap/emc")) {
      if (faults.memory_cap) refuse(EROFS);
      store(number);
    } else if (at.ends_with("/tpc_pg_mask")) {
      refuse(EBUSY);
    } else {
      store(number);
    }
    settle();
  }

  bool exists(const std::string& path) const override {
    const std::lock_guard lock(mutex_);
    const auto at = real(path);
    if (is_of_dead_cluster(at) && !faults.dead_clusters_readable) return false;
    const auto below = tree_.files.lower_bound(at);
    return below != tree_.files.end() && (below->first == at || below->first.starts_with(at + '/'));
  }
  int write_error(const std::string& path) const override {
    return exists(path) ? faults.write_error : ENOENT;
  }

  std::vector<std::string> list(const std::string& folder) const override {
    const std::lock_guard lock(mutex_);
    std::set<std::string> names;
    const auto add = [&](const auto& entries, const std::string& at) {
      for (auto entry = entries.lower_bound(at + '/');
           entry != entries.end() && entry->first.starts_with(at + '/'); ++entry)
        names.insert(
            entry->first.substr(at.size() + 1, entry->first.find('/', at.size() + 1) - at.size() - 1));
    };
    add(tree_.files, real(folder));
    add(tree_.links, real(folder));
    return {names.begin(), names.end()};
  }

  std::string resolve(const std::string& path) const override {
    const std::lock_guard lock(mutex_);
    return real(path);
  }

 private:
  inline static const std::string kEmc = "/sys/kernel/debug/bpmp/debug/clk/emc/";

  // Without links.
  std::string real(std::string path) const {
    for (int i = 0; i < 20; ++i) {
      bool followed = false;
      for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const auto part = path.substr(0, end);
        if (const auto link = tree_.links.find(part); link != tree_.links.end()) {
          auto target =
              (std::filesystem::path(part).parent_path() / link->second).lexically_normal().string();
          if (target.ends_with('/')) target.pop_back();
          path = target + (end == std::string::npos ? "" : path.substr(end));
          followed = true;
          break;
        }
        if (end == std::string::npos) break;
      }
      if (!followed) return path;
    }
    return path;
  }

  long long number_at(const std::string& path) const {
    return hw::parse_number(hw::trimmed(tree_.files.at(path)), path);
  }

  long long cap() const {
    if (faults.memory_cap) return *faults.memory_cap;
    for (const std::string path :
         {"/sys/kernel/nvpmodel_emc_cap/emc_iso_cap", "/sys/kernel/nvpmodel_clk_cap/emc"})
      if (tree_.files.count(path) > 0 && number_at(path) > 0) return number_at(path);
    return board_.memory_hz.back();
  }

  bool is_on(int cpu) const {
    return number_at("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/online") == 1;
  }

  // Files of a policy none of whose cores is on are gone, but those that name its cores.
  bool is_of_dead_cluster(const std::string& path) const {
    const std::string policies = "/sys/devices/system/cpu/cpufreq/policy";
    if (!path.starts_with(policies)) return false;
    for (std::size_t p = 0; p < board_.clusters.size(); ++p) {
      if (!path.starts_with(policies + std::to_string(board_.policy_numbers[p]) + '/')) continue;
      return std::none_of(board_.clusters[p].begin(), board_.clusters[p].end(),
                          [&](int cpu) { return is_on(cpu); });
    }
    return false;
  }

  // What follows from what was written.
  void settle() {
    std::set<int> on;
    for (std::size_t p = 0; p < board_.clusters.size(); ++p) {
      const auto folder =
          "/sys/devices/system/cpu/cpufreq/policy" + std::to_string(board_.policy_numbers[p]) + '/';
      std::string affected;
      for (const int cpu : board_.clusters[p]) {
        if (!is_on(cpu)) continue;
        on.insert(cpu);
        affected += (affected.empty() ? "" : " ") + std::to_string(cpu);
      }
      tree_.files[folder + "affected_cpus"] = affected + '\n';
      tree_.files[folder + "scaling_cur_freq"] = tree_.files[folder + "scaling_min_freq"];
    }
    tree_.files["/sys/devices/system/cpu/online"] = cpu_range(on);
    const auto gpu = board_.gpu_device + "/devfreq/" + board_.gpu_name + '/';
    const bool gated = faults.gpu_stuck || number_at(board_.gpu_device + "/railgate_enable") == 1;
    tree_.files[gpu + "cur_freq"] =
        gated ? std::to_string(board_.gpu_hz.front()) + '\n' : tree_.files[gpu + "min_freq"];
    if (board_.memory == FakeBoard::Memory::bpmp) {
      if (number_at(kEmc + "mrq_rate_locked") == 0)  // what the kernel finds right
        tree_.files[kEmc + "rate"] = std::to_string(board_.memory_hz.front()) + '\n';
    } else {
      const std::string emc = "/sys/kernel/debug/clk/override.emc/";
      if (!faults.memory_ignores)
        tree_.files[emc + "clk_rate"] = number_at(emc + "clk_state") == 1
                                            ? tree_.files[emc + "clk_update_rate"]
                                            : std::to_string(board_.memory_hz.front()) + '\n';
    }
  }

  FakeBoard board_;
  mutable int reads_ = 0;
  mutable FakeTree tree_;
  mutable std::mutex mutex_;
  std::map<std::string, long long> asked_;  // limits, before clamping
};

}  // namespace fewwatt::tests
