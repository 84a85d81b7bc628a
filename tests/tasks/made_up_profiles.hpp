#pragma once

#include <limits>
#include <string>
#include <vector>

#include "datasets/profile.hpp"

namespace fewwatt::tests {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

inline hw::PowerModeSpace made_up_grid() {
  return hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {400000, 800000, 1200000, 1600000, 2000000}},
                                   {hw::KnobRole::gpu_khz, {100000, 300000, 500000, 700000}},
                                   {hw::KnobRole::mem_khz, {200000, 800000, 1600000}}});
}

// Every mode of `space`; time = work / gpu clock, power grows with the clocks. `work` marks the workload: any
// two rows of one profile have time_ms * gpu_khz alike, so that a row tells where it came from.
inline datasets::Profile made_up_profile(const std::string& device, const std::string& workload,
                                         double work = 1e6,
                                         const hw::PowerModeSpace& space = made_up_grid()) {
  datasets::Profile profile;
  profile.device = device;
  profile.workload = workload;
  profile.space = std::make_shared<const hw::PowerModeSpace>(space);
  profile.modes = space.modes();
  for (const auto& mode : profile.modes) {
    hw::Measurement measurement;
    measurement.time_ms = work / mode[1];
    measurement.power_w = 1 + 2e-6 * mode[0] + 5e-6 * mode[1] + 1e-6 * mode[2];
    profile.measurements.push_back(measurement);
  }
  return profile;
}

inline std::vector<datasets::Profile> made_up_profiles() {
  std::vector<datasets::Profile> profiles;
  double work = 1e6;
  for (const char* device : {"board-a", "board-b"}) {
    for (const char* workload : {"bert", "lstm", "resnet"})
      profiles.push_back(made_up_profile(device, workload, work *= 2));
  }
  return profiles;
}

}  // namespace fewwatt::tests
