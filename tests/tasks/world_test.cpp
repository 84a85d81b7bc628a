#include "tasks/world.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace world_test {

using tests::kUnknown;

datasets::Profile without_power() {
  auto profile = tests::made_up_profile("board", "net");
  for (auto& m : profile.measurements) m.power_w = kUnknown;
  return profile;
}

datasets::Profile without_time() {
  auto profile = tests::made_up_profile("board", "net");
  for (auto& m : profile.measurements) m.time_ms = kUnknown;
  return profile;
}

std::string refusal(const datasets::Profile& profile, ReplayOptions options) {
  try {
    ReplayWorld(profile, options);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(ReplayWorld, AnswersFromTheProfileWithNoiseFromItsSeed) {
  const auto profile = tests::made_up_profile("board", "net");
  ReplayWorld world(profile, {.budget_w = 5, .noise = 0.02});
  EXPECT_EQ(world.space(), profile.space);
  EXPECT_EQ(world.budget_w(), 5);
  EXPECT_TRUE(world.fixed());
  const auto& mode = profile.modes[7];
  const auto first = [&](std::uint64_t seed) {
    world.reset(seed);
    return world.measure(mode).time_ms;
  };
  EXPECT_EQ(first(1), first(1));
  EXPECT_NE(first(1), first(2));
  EXPECT_NE(world.measure(mode).time_ms, world.measure(mode).time_ms);
  double sum = 0, squares = 0;
  constexpr int n = 4000;
  for (int i = 0; i < n; ++i) {
    const double log_error = std::log(world.measure(mode).power_w / profile.measurements[7].power_w);
    sum += log_error;
    squares += log_error * log_error;
  }
  EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 0.002);
  EXPECT_EQ(world.truth(mode)->time_ms, profile.measurements[7].time_ms);
  EXPECT_THROW(world.measure({1, 2, 3}), hw::DeviceError);
}

TEST(ReplayWorld, NoiseIsTheMeasuredOneWhereItIsKnown) {
  auto profile = tests::made_up_profile("board", "net");
  profile.time_std_ms.assign(profile.modes.size(), kUnknown);
  for (std::size_t i = 0; i < profile.modes.size(); i += 2)
    profile.time_std_ms[i] = 0.1 * profile.measurements[i].time_ms;
  const auto spread = [&](ReplayOptions options, std::size_t i) {
    ReplayWorld world(profile, options);
    world.reset(3);
    double squares = 0;
    for (int n = 0; n < 2000; ++n)
      squares +=
          std::pow(std::log(world.measure(profile.modes[i]).time_ms / profile.measurements[i].time_ms), 2);
    return std::sqrt(squares / 2000);
  };
  EXPECT_NEAR(spread({.noise = 0.01}, 0), 0.1, 0.01);
  EXPECT_NEAR(spread({.noise = 0.01}, 1), 0.01, 0.001);
  EXPECT_NEAR(spread({.noise = 0.01, .measured_noise = false}, 0), 0.01, 0.001);
  EXPECT_EQ(spread({.noise = 0, .measured_noise = false}, 0), 0);
}

TEST(ReplayWorld, HasTheMeasuredModesOnly) {
  const auto profile = tests::made_up_profile("board", "net");
  const std::vector<std::size_t> rows = {3, 30, 41};
  ReplayWorld world(datasets::subset(profile, rows), {});
  EXPECT_EQ(world.space()->size(), 3u);
  EXPECT_EQ(world.space()->at(1), profile.modes[30]);
  EXPECT_THROW(world.truth(profile.modes[0]), hw::DeviceError);
}

TEST(ReplayWorld, WhatCannotBeReplayedIsRefused) {
  EXPECT_NE(refusal(without_time(), {}).find("board/net"), std::string::npos);
  EXPECT_NE(refusal(without_power(), {.budget_w = 5}).find("needs a profile with power"), std::string::npos);
  EXPECT_EQ(refusal(without_power(), {}), "");
  const auto profile = tests::made_up_profile("board", "net");
  EXPECT_NE(refusal(profile, {.budget_w = 0}).find("budget_w"), std::string::npos);
  EXPECT_NE(refusal(profile, {.budget_w = kUnknown}).find("budget_w"), std::string::npos);
  EXPECT_NE(refusal(profile, {.noise = -1}).find("noise"), std::string::npos);
}

TEST(ReplayWorld, SharesATable) {
  const auto table =
      std::make_shared<const ReplayTable>(tests::made_up_profile("board", "net"), ReplayOptions{.noise = 0});
  EXPECT_EQ(table->name(), "board/net");
  ReplayWorld a(table, 5), b(table, 6);
  EXPECT_EQ(a.space(), b.space());
  EXPECT_EQ(b.budget_w(), 6);
  a.reset(1);
  EXPECT_EQ(a.measure(a.space()->at(4)).power_w, table->rows()[4].mean.power_w);
  EXPECT_THROW(ReplayWorld(table, 0), std::invalid_argument);
  EXPECT_THROW(ReplayWorld(nullptr, 5), std::invalid_argument);
  const auto dark = std::make_shared<const ReplayTable>(without_power(), ReplayOptions{});
  EXPECT_THROW(ReplayWorld(dark, 5), std::invalid_argument);
  EXPECT_EQ(ReplayWorld(dark, kNoBudget).budget_w(), kNoBudget);
}

TEST(FastestInside, IsTheModeOfLeastTrueTimeInsideTheBudget) {
  const auto profile = tests::made_up_profile("board", "net");
  const auto fastest = [&](double budget_w) {
    return fastest_inside(ReplayWorld(profile, {.budget_w = budget_w}));
  };
  // Power is 1 + cpu / 5e5 + gpu / 2e5 + mem / 1e6 W in kHz, and time follows the GPU alone.
  const auto best = fastest(1 + 0.8 + 2.5 + 0.2 + 0.01);
  ASSERT_TRUE(best);
  EXPECT_EQ(best->mode, (hw::PowerMode{400000, 500000, 200000}));
  EXPECT_EQ(fastest(0.5), std::nullopt);
  EXPECT_EQ(fastest(kNoBudget)->mode[1], 700000);
  EXPECT_EQ(fastest_inside(ReplayWorld(without_power(), {}))->mode[1], 700000);
}

// A device that cannot measure its last mode.
class Flaky final : public hw::Device {
 public:
  const hw::PowerModeSpace& space() const override { return space_; }
  hw::Measurement measure(const hw::PowerMode& mode) override {
    if (mode == space_.at(space_.size() - 1)) throw hw::DeviceError("hot");
    return {10, 5};
  }

 private:
  hw::PowerModeSpace space_ = tests::made_up_grid();
};

TEST(DeviceWorld, RejectsWhatTheDeviceCannotMeasure) {
  Flaky device;
  DeviceWorld world(device, 20);
  EXPECT_EQ(world.measure(device.space().at(0)).time_ms, 10);
  const auto rejected = world.measure(device.space().at(59));
  EXPECT_TRUE(std::isnan(rejected.time_ms) && std::isnan(rejected.power_w));
  EXPECT_THROW(world.measure({1, 2, 3}), hw::DeviceError);
  EXPECT_FALSE(world.truth(device.space().at(0)));
  EXPECT_FALSE(fastest_inside(world));
  EXPECT_FALSE(world.fixed());
  EXPECT_THROW(DeviceWorld(device, 0), std::invalid_argument);
}

}  // namespace world_test
}  // namespace fewwatt::tasks
