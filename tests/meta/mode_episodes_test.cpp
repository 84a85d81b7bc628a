#include "meta/mode_episodes.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/meta/made_up_family.hpp"

namespace fewwatt::meta {
namespace mode_episodes_test {

using tests::family;
using tests::family_profile;

tasks::Task a_task() {
  hw::Rng rng(2);
  return tasks::sample_task(family_profile(3), 6, rng, 9);
}

TEST(ModeEncoder, TargetsAreLogsAroundTheSupportsMeanInTheirScale) {
  const auto encoder = ModeEncoder::of("maml", family(3));
  const auto task = a_task();
  const auto episode = encoder(task);
  EXPECT_NO_THROW(episode.check());
  EXPECT_EQ(episode.name, "board/w3");
  for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
    const double mean = task.support.targets.col(t).array().log().mean();
    for (Eigen::Index i = 0; i < 9; ++i)
      EXPECT_NEAR(episode.query_y(i, t), (std::log(task.query.targets(i, t)) - mean) / *encoder.scales[t],
                  1e-12);
    EXPECT_NEAR(episode.support_y.col(t).mean(), 0, 1e-12);
  }
}

TEST(ModeEncoder, InputsAreFeaturesStandardisedOverTheTrainingModes) {
  const auto profiles = family(2);
  auto encoder = ModeEncoder::of("maml", profiles);
  const Matrix x = encoder.inputs(*profiles[0].space, profiles[0].modes);
  EXPECT_EQ(x.cols(), 9);
  EXPECT_LT(x.colwise().mean().cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_NEAR(x.array().square().mean(), 1, 1e-9);
  encoder.more = [](const hw::PowerModeSpace&, std::span<const hw::PowerMode> modes) {
    return Matrix::Constant(static_cast<Eigen::Index>(modes.size()), 1, 7);
  };
  const auto task = a_task();
  EXPECT_EQ(encoder(task).query_x.cols(), 10);
  EXPECT_EQ(encoder(task).query_x(0, 9), 7);
}

TEST(ModeEncoder, WhatWasNotMeasuredIsUnknownAndMovesNothing) {
  const auto encoder = ModeEncoder::of("maml", family(2));
  auto task = a_task();
  task.support.targets(2, tasks::kPowerW) = std::nan("");
  const auto episode = encoder(task);
  EXPECT_TRUE(std::isnan(episode.support_y(2, tasks::kPowerW)));
  EXPECT_FALSE(episode.query_y.array().isNaN().any());
  EXPECT_EQ(encoder.of_target(tasks::kPowerW, std::span(&task, 1))[0].support_x.rows(), 5);
  EXPECT_EQ(encoder.of_target(tasks::kTimeMs, std::span(&task, 1))[0].support_x.rows(), 6);
  task.support.targets.col(tasks::kPowerW).setConstant(std::nan(""));
  EXPECT_TRUE(encoder.of_target(tasks::kPowerW, std::span(&task, 1)).empty());
}

TEST(ModeEncoder, ATargetThatNoProfileHasIsUnknown) {
  const auto encoder = ModeEncoder::of("maml", family(2, false));
  EXPECT_FALSE(encoder.scales[tasks::kPowerW]);
  const auto episode = encoder(a_task());
  EXPECT_TRUE(episode.query_y.col(tasks::kPowerW).array().isNaN().all());
  EXPECT_FALSE(episode.query_y.col(tasks::kTimeMs).array().isNaN().any());
}

TEST(ModeEncoder, ATargetThatIsTheSameInAllModesHasAScaleOfOne) {
  auto profiles = family(2);
  for (auto& profile : profiles)
    for (auto& m : profile.measurements) m.power_w = 5;
  const auto encoder = ModeEncoder::of("maml", profiles);
  EXPECT_EQ(*encoder.scales[tasks::kPowerW], 1);
  hw::Rng rng(2);
  const auto episode = encoder(tasks::sample_task(profiles[0], 6, rng, 9));
  EXPECT_TRUE((episode.query_y.col(tasks::kPowerW).array().abs() < 1e-12).all());
}

TEST(ModeEpisodes, DrawGivesWhatTheBatchHas) {
  const auto profiles = family(3);
  const ModeEpisodes episodes(
      tasks::TaskSource(profiles, {.min_shots = 5, .max_shots = 10, .query = 20, .augmentation = {}}),
      ModeEncoder::of("maml", profiles), 5);
  const auto batch = episodes.batch(2, 4);
  for (std::uint64_t i = 4; i-- > 0;) {
    EXPECT_EQ(episodes.draw(2, i).support_x, batch[i].support_x);
    EXPECT_EQ(episodes.draw(2, i).query_y, batch[i].query_y);
    EXPECT_EQ(batch[i].support_x.rows(), batch[0].support_x.rows());
  }
  EXPECT_NE(batch[0].query_y, batch[1].query_y);
  EXPECT_NE(batch[0].query_y, episodes.draw(3, 0).query_y);
}

}  // namespace mode_episodes_test
}  // namespace fewwatt::meta
