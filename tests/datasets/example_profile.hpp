#pragma once

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "datasets/profile.hpp"

namespace fewwatt::tests {

inline bool same_number(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// A profile of a 2 x 3 grid with smooth times and powers.
inline datasets::Profile example_profile(const std::string& workload = "resnet18") {
  datasets::Profile profile;
  profile.device = "board-1.5";
  profile.workload = workload;
  profile.attributes.kind = datasets::WorkloadKind::dnn_training;
  profile.attributes.time_of = datasets::TimeOf::minibatch;
  profile.attributes.source = "somebody";
  profile.attributes.batch_size = 16;
  profile.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::mem_khz, {204000, 3199000}}, {hw::KnobRole::gpu_khz, {306000, 612000, 1300500}}}));
  profile.modes = profile.space->modes();
  for (const auto& mode : profile.modes) {
    hw::Measurement measured;
    measured.time_ms = 1e9 / mode[1] + 1e8 / mode[0] + 0.1;
    measured.power_w = 5 + 1e-5 * mode[1];
    profile.measurements.push_back(measured);
  }
  return profile;
}

inline void expect_equal(const datasets::Profile& a, const datasets::Profile& b) {
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.workload, b.workload);
  EXPECT_EQ(a.attributes, b.attributes);
  EXPECT_EQ(*a.space, *b.space);
  ASSERT_EQ(a.modes, b.modes);
  ASSERT_EQ(a.measurements.size(), b.measurements.size());
  for (std::size_t i = 0; i < a.measurements.size(); ++i) {
    EXPECT_TRUE(same_number(a.measurements[i].time_ms, b.measurements[i].time_ms)) << "row " << i;
    EXPECT_TRUE(same_number(a.measurements[i].power_w, b.measurements[i].power_w)) << "row " << i;
    EXPECT_EQ(a.measurements[i].repeats, b.measurements[i].repeats) << "row " << i;
    EXPECT_EQ(a.measurements[i].throttled, b.measurements[i].throttled) << "row " << i;
  }
  EXPECT_EQ(a.time_std_ms, b.time_std_ms);
  EXPECT_EQ(a.power_std_w, b.power_std_w);
  EXPECT_EQ(a.time_true_ms, b.time_true_ms);
  EXPECT_EQ(a.power_true_w, b.power_true_w);
}

}  // namespace fewwatt::tests
