#include "datasets/inspect.hpp"

#include "tests/datasets/example_profile.hpp"

namespace fewwatt::tests {
namespace inspect_test {

// Smooth times and powers over 4 x 6 modes.
datasets::Profile smooth_profile() {
  auto profile = example_profile();
  profile.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {100, 200, 400, 800}},
                                {hw::KnobRole::mem_khz, {100, 150, 200, 300, 400, 600}}}));
  profile.modes = profile.space->modes();
  profile.measurements.clear();
  for (const auto& mode : profile.modes) {
    profile.measurements.push_back(
        {1000.0 / mode[0] + 100.0 / mode[1], 2 + mode[0] * 1e-3 + mode[1] * 1e-3, 1, false});
  }
  return profile;
}

TEST(Inspect, SmoothProfilesHaveNoSuspects) {
  const auto summary = datasets::summarize(smooth_profile());
  EXPECT_TRUE(summary.suspects.empty());
  ASSERT_TRUE(summary.time_ms);
  EXPECT_DOUBLE_EQ(summary.time_ms->min, 1000.0 / 800 + 100.0 / 600);
  EXPECT_DOUBLE_EQ(summary.time_ms->max, 11);
}

TEST(Inspect, AnOutlierIsFoundAndItsNeighboursAreNot) {
  auto profile = smooth_profile();
  const std::size_t row = 8;  // inside of the grid
  const double before = profile.measurements[row].power_w;
  profile.measurements[row].power_w *= 2;
  const auto summary = datasets::summarize(profile);
  ASSERT_EQ(summary.suspects.size(), 1u);
  EXPECT_EQ(summary.suspects[0].row, row);
  EXPECT_EQ(summary.suspects[0].column, "power_w");
  EXPECT_NEAR(summary.suspects[0].expected, before, 0.1 * before);
}

TEST(Inspect, MissingAndThrottledModesAreCounted) {
  auto profile = smooth_profile();
  profile.measurements[0].power_w = std::numeric_limits<double>::quiet_NaN();
  profile.measurements[1].throttled = profile.measurements[2].throttled = true;
  const auto summary = datasets::summarize(profile);
  EXPECT_EQ(summary.missing_power, 1u);
  EXPECT_EQ(summary.throttled, 2u);
  for (auto& measured : profile.measurements) measured.power_w = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(datasets::summarize(profile).power_w);
}

TEST(Inspect, TheMedianIsTheMiddle) {
  auto profile = example_profile();
  const double times[] = {6, 1, 5, 2, 4, 3};
  for (std::size_t i = 0; i < 6; ++i) profile.measurements[i].time_ms = times[i];
  EXPECT_EQ(datasets::summarize(profile).time_ms->median, 3.5);
}

}  // namespace inspect_test
}  // namespace fewwatt::tests
