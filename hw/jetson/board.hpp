#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hw/jetson/sysfs.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// Something a board should have and has not, or that we may not use: "mem_khz", "/sys/kernel/debug/bpmp: No such file ...".
struct Missing {
  std::string what, why;
};

// Files that hold the lowest and the highest clock allowed, and the one that is set.
struct ClockLimits {
  std::string min_path, max_path, now_path;
};

// Clocks of the GPU, devfreq: Hz.
struct GpuClock {
  std::string devfreq;               // folder, without links
  std::string device;                // folder of railgate_enable
  std::vector<std::int64_t> levels;  // Hz, ascending
  ClockLimits limits() const;
};

// Clock of the memory, Hz. A cap, where there is one, bounds it and does not set it.
struct MemoryClock {
  enum class Kind {
    bpmp,          // TX2, Xavier, Orin: debugfs of the boot and power management processor
    override_emc,  // Nano, TX1
    devfreq        // JetPack 7
  };
  Kind kind = Kind::bpmp;
  std::string folder;
  std::string cap;                   // "": none
  bool zero_uncaps = false;          // 0 lifts the cap (JetPack 4 and 5); else the highest level does
  std::string halt;                  // of the bandwidth manager; "": none
  std::vector<std::int64_t> levels;  // Hz, ascending
};

// A Jetson as its kernel describes it. All that can be read is read: tables differ between JetPacks on the same board.
struct Board {
  std::string model;                    // "NVIDIA Jetson AGX Orin Developer Kit"
  std::vector<std::string> compatible;  // "nvidia,p3737-0000+p3701-0005", ..., "nvidia,tegra234"
  std::string release;                  // of Linux for Tegra, "36.4.3"; "" = not known
  std::string jetpack;                  // "6.2", "6", "" = not known
  // All there are, in the order in which they are switched on: cluster by cluster, so that the first one, which never is
  // switched off, comes first.
  std::vector<int> cpus;
  std::vector<std::int64_t> cpu_levels;  // kHz, ascending, that all clusters have; none: not known
  std::optional<GpuClock> gpu;
  std::optional<MemoryClock> memory;
  std::vector<Missing> missing;
  std::vector<std::string> notes;  // sentences: what was assumed where the kernel says nothing

  bool is(const std::string& part) const;  // whether a compatible string contains it
};

// Knobs whose setting cannot be read now. They cannot be set, but what a crash left of them is put back.
enum class Unreadable { dropped, kept };
// Throws DeviceError saying in one sentence that this is no Jetson. What is missing is listed in `missing`, and the space lacks
// the knob that cannot be read without it.
Board find_board(const Sysfs& files, Unreadable unreadable = Unreadable::dropped);

bool has_knobs(const Board& board);
// Every combination of settings. Throws DeviceError where the clocks that the kernel lists make none, or !has_knobs(board).
PowerModeSpace space_of(const Board& board);

// Clusters with a core that is on, as there are now: those of cores that are off may have no files.
struct CpuCluster {
  std::string folder;
  std::vector<int> cpus;
  ClockLimits limits() const;
};
// Those that cannot be read are left out, and named in `missing`, where given.
std::vector<CpuCluster> clusters(const Sysfs& files, std::vector<Missing>* missing = nullptr);

std::string cpu_online_path(int cpu);
std::string cpu_policy_path(int number);      // folder of a cluster
bool is_online(const Sysfs& files, int cpu);  // a CPU without the file is always on

}  // namespace fewwatt::hw
