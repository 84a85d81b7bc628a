#include "hw/modules.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

using Levels = std::vector<int>;

std::vector<Knob> knobs(Levels cores, Levels cpu_khz, Levels gpu_khz, Levels mem_khz) {
  return {{KnobRole::cpu_cores, std::move(cores)},
          {KnobRole::cpu_khz, std::move(cpu_khz)},
          {KnobRole::gpu_khz, std::move(gpu_khz)},
          {KnobRole::mem_khz, std::move(mem_khz)}};
}

Levels cores(int n) {
  Levels levels;
  for (int i = 1; i <= n; ++i) levels.push_back(i);
  return levels;
}

// first, first + step, ... up to `last`, which need not be a whole number of steps away.
Levels steps(int first, int step, int last) {
  Levels levels;
  for (int level = first; level < last; level += step) levels.push_back(level);
  levels.push_back(last);
  return levels;
}

// CPU clocks of Xavier and Orin go up in steps of 76.8 MHz to the module's own maximum.
Levels cpu_to(int last_khz) {
  return steps(115200, 76800, last_khz);
}

// GPU clocks of Orin with JetPack 5.1 and later go up in steps of 102 MHz.
Levels orin_gpu_to(int last_khz) {
  return steps(306000, 102000, last_khz);
}

std::vector<Module> make_modules() {
  const Levels orin_mem = {204000, 665600, 2133000, 3199000};
  const Levels tx2_cpu = steps(345600, 153600, 2035200);
  return {
      {"orin-agx-64",
       "Jetson AGX Orin 64 GB, JetPack 5.0",
       knobs(cores(12), cpu_to(2201600), steps(114750, 102000, 1300500), orin_mem),
       {{"MAXN", {12, 2201600, 1300500, 3199000}},
        {"MODE_15W", {4, 1113600, 420750, 2133000}},
        {"MODE_30W", {8, 1728000, 624750, 3199000}},
        {"MODE_50W", {12, 1497600, 828750, 3199000}}}},
      {"orin-agx-64-jp6",
       "Jetson AGX Orin 64 GB, JetPack 5.1 and 6",
       knobs(cores(12), cpu_to(2201600), orin_gpu_to(1300500), orin_mem),
       {{"MAXN", {12, 2201600, 1300500, 3199000}},
        {"MODE_15W", {4, 1113600, 408000, 2133000}},
        {"MODE_30W", {8, 1728000, 612000, 3199000}},
        {"MODE_50W", {12, 1497600, 816000, 3199000}}}},
      {"orin-nx-16",
       "Jetson Orin NX 16 GB, JetPack 5 to 6.1",
       knobs(cores(8), cpu_to(1984000), orin_gpu_to(918000), orin_mem),
       {{"MAXN", {8, 1984000, 918000, 3199000}},
        {"10W", {4, 1190400, 612000, 2133000}},
        {"15W", {4, 1651200, 612000, 3199000}},
        {"25W", {8, 1497600, 408000, 3199000}}}},
      {"orin-nano-8",
       "Jetson Orin Nano 8 GB, JetPack 5 to 6.1",
       knobs(cores(6), cpu_to(1510400), orin_gpu_to(624750), {204000, 665600, 2133000}),
       {{"15W", {6, 1510400, 624750, 2133000}}, {"7W", {4, 960000, 408000, 2133000}}}},
      {"orin-nano-8-super",
       "Jetson Orin Nano 8 GB Super, JetPack 6.2",
       knobs(cores(6), cpu_to(1728000), orin_gpu_to(1020000), orin_mem),
       {{"15W", {6, 1497600, 612000, 2133000}},
        {"25W", {6, 1344000, 918000, 3199000}},
        {"MAXN_SUPER", {6, 1728000, 1020000, 3199000}},
        {"7W", {4, 960000, 408000, 2133000}}}},
      // MODE_15W_DESKTOP is left out: its CPU clock is not confirmed.
      {"xavier-agx",
       "Jetson AGX Xavier",
       knobs(cores(8), cpu_to(2265600),
             {114750, 216750, 318750, 420750, 522750, 624750, 675750, 828750, 905250, 1032750, 1198500,
              1236750, 1338750, 1377000},
             {204000, 408000, 665600, 800000, 1065600, 1331200, 1600000, 1866000, 2133000}),
       {{"MAXN", {8, 2265600, 1377000, 2133000}},
        {"MODE_10W", {2, 1200000, 520000, 1065600}},
        {"MODE_15W", {4, 1200000, 670000, 1331200}},
        {"MODE_30W_ALL", {8, 1200000, 900000, 1600000}},
        {"MODE_30W_6CORE", {6, 1450000, 900000, 1600000}},
        {"MODE_30W_4CORE", {4, 1780000, 900000, 1600000}},
        {"MODE_30W_2CORE", {2, 2100000, 900000, 1600000}}}},
      // The highest memory clock came with JetPack 4.6.
      {"xavier-nx",
       "Jetson Xavier NX, JetPack 4.6 and 5",
       knobs(cores(6), cpu_to(1907200),
             {114750, 204000, 306000, 408000, 510000, 599250, 701250, 752250, 803250, 854250, 905250, 956250,
              1007250, 1058250, 1109250},
             {204000, 408000, 665600, 800000, 1065600, 1331200, 1600000, 1866000}),
       {{"MODE_15W_2CORE", {2, 1907200, 1109250, 1600000}},
        {"MODE_15W_4CORE", {4, 1420800, 1109250, 1600000}},
        {"MODE_15W_6CORE", {6, 1420800, 1109250, 1600000}},
        {"MODE_10W_2CORE", {2, 1497600, 803250, 1600000}},
        {"MODE_10W_4CORE", {4, 1190400, 803250, 1600000}},
        {"MODE_10W_DESKTOP", {4, 1907200, 510000, 1600000}},
        {"MODE_20W_2CORE", {2, 1907200, 1109250, 1866000}},
        {"MODE_20W_4CORE", {4, 1420800, 1109250, 1866000}},
        {"MODE_20W_6CORE", {6, 1420800, 1109250, 1866000}}}},
      // One list seen in the wild has 828750 and 1134750 in place of 854250 and 1122000. MAXP_CORE_DENVER is
      // left out: it sets its two kinds of cores to different clocks. GPU and memory limits of MAXP_CORE_ARM
      // are not confirmed.
      {"tx2",
       "Jetson TX2, JetPack 4",
       knobs(cores(6), tx2_cpu,
             {114750, 216750, 318750, 420750, 522750, 624750, 726750, 854250, 930750, 1032750, 1122000,
              1236750, 1300500},
             {40800, 68000, 102000, 204000, 408000, 665600, 800000, 1062400, 1331200, 1600000, 1866000}),
       {{"MAXN", {6, 2035200, 1300500, 1866000}},
        {"MAXQ", {4, 1200000, 850000, 1331200}},
        {"MAXP_CORE_ALL", {6, 1400000, 1120000, 1600000}},
        {"MAXP_CORE_ARM", {4, 2000000, 1120000, 1600000}}}},
      // Memory clocks below 204 MHz are on some lists only. The vendor's 5W limits the CPU to 918000, which
      // the kernel rounds up.
      {"nano",
       "Jetson Nano, JetPack 4",
       knobs(cores(4),
             {102000, 204000, 307200, 403200, 518400, 614400, 710400, 825600, 921600, 1036800, 1132800,
              1224000, 1326000, 1428000, 1479000},
             steps(76800, 76800, 921600), {204000, 408000, 665600, 800000, 1065600, 1331200, 1600000}),
       {{"MAXN", {4, 1479000, 921600, 1600000}}, {"5W", {2, 921600, 640000, 1600000}}}},
  };
}

std::vector<ProfiledGrid> make_grids() {
  const std::string powertrain = "PowerTrain, doi 10.1016/j.future.2024.07.001";
  return {
      {"powertrain", "orin-agx-64", powertrain,
       knobs({2, 4, 6, 8, 10, 12},
             {268800, 422400, 576000, 729600, 883200, 1036800, 1190400, 1344000, 1497600, 1651200, 1804800,
              1958400, 2112000, 2201600},
             steps(114750, 102000, 1300500), {204000, 665600, 2133000, 3199000})},
      {"coarse", "orin-agx-64",
       "every other clock of PowerTrain's grid, three core counts; inference and BERT-large",
       knobs({4, 8, 12}, {422400, 729600, 1036800, 1344000, 1651200, 1958400, 2201600},
             {114750, 318750, 522750, 726750, 930750, 1134750, 1300500}, {665600, 2133000, 3199000})},
      {"powertrain", "orin-nano-8", powertrain,
       knobs({2, 4, 6}, {268800, 422400, 576000, 729600, 883200, 1036800, 1190400, 1344000, 1497600, 1510400},
             {306000, 510000, 624750}, {665600, 2133000})},
  };
}

}  // namespace

std::span<const Module> modules() {
  static const std::vector<Module> table = make_modules();
  return table;
}

std::span<const ProfiledGrid> profiled_grids() {
  static const std::vector<ProfiledGrid> table = make_grids();
  return table;
}

const Module& find_module(std::string_view name) {
  for (const auto& module : modules())
    if (module.name == name) return module;
  throw std::invalid_argument("no known board \"" + std::string(name) + "\"; there are " +
                              join(modules(), ", ", [](const Module& module) { return module.name; }) +
                              did_you_mean(name, modules(), &Module::name));
}

PowerModeSpace module_space(std::string_view module, std::string_view grid) {
  const auto& found = find_module(module);
  if (grid == "full") return PowerModeSpace::grid(found.knobs);
  std::vector<std::string> known{"full"};
  for (const auto& profiled : profiled_grids()) {
    if (profiled.module != module) continue;
    if (profiled.name == grid) return PowerModeSpace::grid(profiled.knobs);
    known.push_back(profiled.name);
  }
  throw std::invalid_argument("no grid \"" + std::string(grid) + "\" of " + found.name + "; there are " +
                              join(known) + did_you_mean(grid, known));
}

PowerMode apply_limits(const PowerModeSpace& space, std::span<const Knob> knobs, const PowerMode& preset) {
  if (preset.size() != knobs.size()) {
    throw std::invalid_argument("apply_limits: a preset of " + std::to_string(preset.size()) +
                                " settings for " + std::to_string(knobs.size()) + " knobs");
  }
  std::vector<int> wanted;
  for (const auto& knob : space.knobs()) wanted.push_back(knob.levels.back());
  for (std::size_t i = 0; i < knobs.size(); ++i) {
    const auto k = space.knob_with(knobs[i].role);
    if (!k) continue;
    const auto& levels = space.knobs()[*k].levels;
    const auto above = std::upper_bound(levels.begin(), levels.end(), preset[i]);
    wanted[*k] = above == levels.begin() ? levels.front() : above[-1];
  }
  const PowerMode limits(wanted);
  if (space.index_of(limits)) return limits;

  const auto rank = [&](const PowerMode& mode) {
    bool over = false;
    double distance = 0;
    for (std::size_t k = 0; k < mode.size(); ++k) {
      over = over || mode[k] > limits[k];
      distance += std::abs(std::log(static_cast<double>(mode[k]) / limits[k]));
    }
    return std::pair(over, distance);
  };
  const auto all = space.modes();
  return *std::min_element(all.begin(), all.end(),
                           [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

}  // namespace fewwatt::hw
