#pragma once

#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/random.hpp"

namespace fewwatt::tests {

inline std::shared_ptr<const hw::PowerModeSpace> family_space() {
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {400000, 800000, 1200000, 1600000, 2000000}},
                                {hw::KnobRole::gpu_khz, {100000, 300000, 500000, 700000}},
                                {hw::KnobRole::mem_khz, {200000, 800000, 1600000}}}));
}

// Workload i of a family whose time is a sum of random parts ~ 1/clock, and whose power one of parts ~ clock.
inline datasets::Profile family_profile(int i, bool with_power = true) {
  auto rng = hw::Rng::stream(5, "family", static_cast<std::uint64_t>(i));
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "w" + std::to_string(i);
  profile.space = family_space();
  profile.modes = profile.space->modes();
  std::vector<double> cost, draw;
  for (int k = 0; k < 3; ++k) {
    cost.push_back(rng.uniform(0.2, 2));
    draw.push_back(rng.uniform(0.5, 3));
  }
  for (const auto& mode : profile.modes) {
    hw::Measurement m{.time_ms = 0};
    if (with_power) m.power_w = 2;
    for (std::size_t k = 0; k < 3; ++k) {
      const double x = static_cast<double>(mode[k]) / profile.space->max_level(k);
      m.time_ms += cost[k] / x;
      m.power_w += draw[k] * x;
    }
    profile.measurements.push_back(m);
  }
  return profile;
}

inline std::vector<datasets::Profile> family(int count, bool with_power = true) {
  std::vector<datasets::Profile> profiles;
  for (int i = 0; i < count; ++i) profiles.push_back(family_profile(i, with_power));
  return profiles;
}

}  // namespace fewwatt::tests
