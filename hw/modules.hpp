#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// A power mode the vendor ships in nvpmodel.conf: upper limits, in the order of the module's knobs.
struct Preset {
  std::string name;  // "MAXN"
  PowerMode limits;  // not always on the module's levels: the kernel takes the next lower level
};

// A known board: the settings its kernel offers. On a live board the lists are read from the kernel instead.
struct Module {
  std::string name;             // "orin-agx-64"
  std::string title;            // "Jetson AGX Orin 64 GB, JetPack 5.0"
  std::vector<Knob> knobs;      // cpu_cores, cpu_khz, gpu_khz, mem_khz
  std::vector<Preset> presets;  // in the order of nvpmodel's numbers
};

// Part of a module's modes that was profiled in published work.
struct ProfiledGrid {
  std::string name;         // "powertrain"
  std::string module;       // "orin-agx-64"
  std::string source;       // who profiled it
  std::vector<Knob> knobs;  // the module's, with the profiled levels alone
};

// All boards and grids that are known by name.
std::span<const Module> modules();
std::span<const ProfiledGrid> profiled_grids();

// The board of that name. Throws std::invalid_argument listing the known names.
const Module& find_module(std::string_view name);

// The modes of a board. `grid` = "full", or the name of a profiled grid of that module. Throws std::invalid_argument listing the known
// names.
PowerModeSpace module_space(std::string_view module, std::string_view grid = "full");

// The mode of `space` that a preset gives: per knob the highest level not above the limit, or the lowest
// level. `preset` has its settings in the order of `knobs`; knobs of the space that those lack stay at their
// highest level. A list of modes may lack that one; then it is the nearest mode in log settings, one within
// the limits if there is any. Throws std::invalid_argument when the preset has not one setting per knob.
PowerMode apply_limits(const PowerModeSpace& space, std::span<const Knob> knobs, const PowerMode& preset);

}  // namespace fewwatt::hw
