#include "tasks/collect.hpp"

#include <gtest/gtest.h>

#include "datasets/replay_device.hpp"
#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace collect_test {

// Remembers what it is told.
class Listener final : public ModeSampler {
 public:
  explicit Listener(std::vector<hw::PowerMode> modes) : modes_(std::move(modes)) {}
  std::optional<hw::PowerMode> ask() override {
    return next_ < modes_.size() ? std::optional(modes_[next_++]) : std::nullopt;
  }
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override {
    told.emplace_back(mode, measurement.time_ms);
  }
  std::vector<std::pair<hw::PowerMode, double>> told;

 private:
  std::vector<hw::PowerMode> modes_;
  std::size_t next_ = 0;
};

TEST(Collect, MeasuresWhatTheSamplerAsksForAndTellsIt) {
  const auto profile = tests::made_up_profile("board-a", "bert");
  datasets::ReplayDevice device(profile);
  Listener sampler({profile.modes[7], profile.modes[2], profile.modes[9]});
  const auto samples = collect(device, sampler, 2);
  EXPECT_EQ(samples.modes, (std::vector<hw::PowerMode>{profile.modes[7], profile.modes[2]}));
  ASSERT_EQ(samples.targets.rows(), 2);
  EXPECT_EQ(samples.targets(0, kTimeMs), profile.measurements[7].time_ms);
  EXPECT_EQ(samples.targets(1, kPowerW), profile.measurements[2].power_w);
  ASSERT_EQ(sampler.told.size(), 2u);
  EXPECT_EQ(sampler.told[0], std::pair(profile.modes[7], profile.measurements[7].time_ms));
  EXPECT_NO_THROW(samples.check());
}

TEST(Collect, EndsWhenTheSamplerHasNoMore) {
  const auto profile = tests::made_up_profile("board-a", "bert");
  datasets::ReplayDevice device(profile);
  const auto sampler = make_sampler("random", device.space(), 100, 1);
  EXPECT_EQ(collect(device, *sampler, 100).size(), profile.modes.size());
  EXPECT_EQ(collect(device, *sampler, 100).size(), 0u);
}

TEST(Collect, EndsWhenNothingMoreIsMeasured) {
  const auto profile = tests::made_up_profile("board-a", "bert");
  Listener sampler({profile.modes[7], profile.modes[2], profile.modes[9]});
  int asked = 0;
  const auto told = collect(sampler, 3, [&](const hw::PowerMode&) {
    return ++asked < 2 ? std::optional(hw::Measurement{.time_ms = 5}) : std::nullopt;
  });
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, profile.modes[7]);
  EXPECT_EQ(told[0].second.time_ms, 5);
  EXPECT_EQ(sampler.told.size(), 1u);  // what was not measured is not told
}

TEST(Collect, AModeTheDeviceLacksIsADeviceError) {
  datasets::ReplayDevice device(tests::made_up_profile("board-a", "bert"));
  Listener sampler({hw::PowerMode{1, 2, 3}});
  EXPECT_THROW(collect(device, sampler, 1), hw::DeviceError);
}

}  // namespace collect_test
}  // namespace fewwatt::tasks
