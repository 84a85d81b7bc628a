#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hw/jetson/sysfs.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// Something that a board should have but lacks, or that we may not use.
struct Missing {
  std::string what;  // "mem_khz"
  std::string why;   // "/sys/kernel/debug/bpmp: No such file ..."
};

// Files that hold the lowest and the highest clock allowed, and the one that is set.
struct ClockLimits {
  std::string min_path, max_path, now_path;  // paths below /sys
};

// The GPU's clock, as devfreq has it, in Hz.
struct GpuClock {
  std::string devfreq;               // folder, without links
  std::string device;                // folder of railgate_enable
  std::vector<std::int64_t> levels;  // Hz, ascending
  ClockLimits limits() const;        // the files of the devfreq folder
};

// The memory's clock, in Hz. A cap, where there is one, is an upper bound and does not set the clock.
struct MemoryClock {
  // Where the kernel keeps it.
  enum class Kind {
    bpmp,          // TX2, Xavier, Orin: debugfs of the boot and power management processor
    override_emc,  // Nano, TX1
    devfreq        // JetPack 7
  };
  Kind kind = Kind::bpmp;    // where its files are
  std::string folder;        // of its files
  std::string cap;           // path of the cap; "": none
  bool zero_uncaps = false;  // true: writing 0 lifts the cap (JetPack 4 and 5); false: the highest level does
  std::string halt;          // path that stops the bandwidth manager; "": none
  std::vector<std::int64_t> levels;  // Hz, ascending
};

// A Jetson as its kernel describes it. Everything is read from the kernel, because tables differ between JetPacks on the same board.
struct Board {
  std::string model;                    // "NVIDIA Jetson AGX Orin Developer Kit"
  std::vector<std::string> compatible;  // "nvidia,p3737-0000+p3701-0005", ..., "nvidia,tegra234"
  std::string release;                  // of Linux for Tegra, "36.4.3"; "" = not known
  std::string jetpack;                  // "6.2", "6", "" = not known
  // Numbers of all cores, in the order in which they are switched on: cluster by cluster. The first one is never switched off.
  std::vector<int> cpus;
  std::vector<std::int64_t> cpu_levels;  // kHz, ascending: those that all clusters have; none: not known
  std::optional<GpuClock> gpu;           // none: the GPU's clock cannot be set
  std::optional<MemoryClock> memory;     // none: the memory's clock cannot be set
  std::vector<Missing> missing;          // what it should have but lacks
  std::vector<std::string> notes;        // sentences: what was assumed where the kernel says nothing

  bool is(const std::string& part) const;  // whether a compatible string contains it
};

// What happens to knobs whose setting cannot be read now. They cannot be set, but what a crash left of them can be put back.
enum class Unreadable {
  dropped,  // the board is described without them
  kept      // the board is described with them
};
// The board we run on. Throws DeviceError saying in one sentence that this is no Jetson. What is missing is listed in `missing`, and the
// space lacks the knob that cannot be read without it.
Board find_board(const Sysfs& files, Unreadable unreadable = Unreadable::dropped);

bool has_knobs(const Board& board);  // whether anything on the board can be set
// All modes of the board: every combination of settings. Throws DeviceError unless has_knobs(board), and where the clocks that the kernel
// lists make no modes.
PowerModeSpace space_of(const Board& board);

// A cluster of cores that share a clock.
struct CpuCluster {
  std::string folder;          // of cpufreq's policy
  std::vector<int> cpus;       // numbers of its cores
  ClockLimits limits() const;  // the files of the folder
};
// The clusters that have a core that is on now: those whose cores are all off may have no files. Clusters that cannot be read are left
// out, and named in `missing`, where given.
std::vector<CpuCluster> clusters(const Sysfs& files, std::vector<Missing>* missing = nullptr);

std::string cpu_online_path(int cpu);         // the file that switches a core on and off
std::string cpu_policy_path(int number);      // folder of the cluster with that number
bool is_online(const Sysfs& files, int cpu);  // whether a core is on; one without the file always is

}  // namespace fewwatt::hw
