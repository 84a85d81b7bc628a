#include "tasks/episode.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <thread>

#include "tasks/episode_source.hpp"

namespace fewwatt::tasks {
namespace episode_test {

Episode example() {
  return {Matrix::Ones(3, 2), Matrix::Ones(3, 2), Matrix::Ones(4, 2), Matrix::Ones(4, 2), "tx2/sssp"};
}

std::string refusal(const std::function<void(Episode&)>& change) {
  auto episode = example();
  change(episode);
  try {
    episode.check();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Episode, WhatIsWrongWithSizesIsNamed) {
  EXPECT_NO_THROW(example().check());
  EXPECT_EQ(refusal([](auto& e) { e.support_x.resize(0, 2), e.support_y.resize(0, 2); }),
            "episode tx2/sssp: expected at least one support row, found none");
  EXPECT_EQ(refusal([](auto& e) { e.query_x.resize(0, 2), e.query_y.resize(0, 2); }),
            "episode tx2/sssp: expected at least one query row, found none");
  EXPECT_EQ(refusal([](auto& e) { e.support_y.resize(3, 0); }),
            "episode tx2/sssp: expected at least one input and one target, found 2 and 0");
  EXPECT_EQ(refusal([](auto& e) { e.support_y.resize(2, 2); }),
            "episode tx2/sssp: expected support_y [3,2], found [2,2]");
  EXPECT_EQ(refusal([](auto& e) { e.query_x.resize(4, 3); }),
            "episode tx2/sssp: expected query_x [4,2], found [4,3]");
  EXPECT_EQ(refusal([](auto& e) { e.query_y.resize(4, 1), e.name.clear(); }),
            "episode without a name: expected query_y [4,2], found [4,1]");
}

TEST(Episode, RowsWithAnUnknownTargetAreLeftOut) {
  auto episode = example();
  episode.support_y(1, 0) = std::nan("");
  episode.query_y(3, 1) = std::nan("");
  episode.support_x(2, 0) = 7;
  const auto known = known_rows(episode);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->support_x.rows(), 2);
  EXPECT_EQ(known->support_x(1, 0), 7);
  EXPECT_EQ(known->query_y.rows(), 3);
  EXPECT_EQ(known->name, "tx2/sssp");
  EXPECT_EQ(known_rows(with_target(episode, 1))->support_y.rows(), 3);
  episode.support_y.col(0).setConstant(std::nan(""));
  EXPECT_FALSE(known_rows(episode));
  EXPECT_TRUE(known_rows(with_target(episode, 1)));
}

TEST(Episode, EvenOnesHaveTheFirstRowsOfEach) {
  std::vector<Episode> episodes = {example(), example()};
  episodes[1].support_x = Matrix::Constant(2, 2, 5);
  episodes[1].support_y = Matrix::Constant(2, 2, 5);
  episodes[0].support_x(1, 1) = 9;
  const auto all = even(episodes);
  EXPECT_EQ(all[0].support_x.rows(), 2);
  EXPECT_EQ(all[0].support_x(1, 1), 9);
  EXPECT_EQ(all[1].support_y, episodes[1].support_y);
  EXPECT_EQ(all[1].query_x.rows(), 4);
  EXPECT_TRUE(even({}).empty());
}

class Noise final : public EpisodeSource {
 public:
  Episode draw(std::uint64_t step, std::uint64_t number) const override {
    auto rng = episode_rng(3, "noise", step, number);
    auto episode = example();
    episode.query_x(0, 0) = rng.normal();
    return episode;
  }
};

TEST(EpisodeSource, ABatchIsWhatDrawGivesInAnyOrderAndFromAnyThread) {
  const Noise noise;
  const auto batch = noise.batch(7, 4);
  ASSERT_EQ(batch.size(), 4u);
  for (std::uint64_t i = 4; i-- > 0;) EXPECT_EQ(noise.draw(7, i).query_x, batch[i].query_x);
  EXPECT_NE(batch[0].query_x, batch[1].query_x);
  EXPECT_NE(batch[0].query_x, noise.draw(8, 0).query_x);
  std::vector<Episode> other;
  std::jthread([&] { other = noise.batch(7, 4); }).join();
  EXPECT_EQ(other[3].query_x, batch[3].query_x);
}

}  // namespace episode_test
}  // namespace fewwatt::tasks
