#include "meta/rl/replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace fewwatt::meta {
namespace rl_replay_test {

// Step `index` of an episode is observed as [episode, index], and gives the reward 2^index + episode.
struct Told {
  double episode = 0;
  int index = 0;
  Vector now() const { return (Vector(2) << episode, index).finished(); }
  tasks::Step take(bool terminated, bool truncated) {
    tasks::Step step;
    step.reward = std::pow(2.0, index) + episode;
    ++index;
    step.observation = now();
    step.terminated = terminated;
    step.truncated = truncated;
    return step;
  }
};

// Plays episodes of 1 to 6 steps, every other one terminated; in each step action = index.
std::vector<Transition> play(StepWindow& window, int episodes) {
  std::vector<Transition> all;
  for (int e = 0; e < episodes; ++e) {
    Told told{static_cast<double>(e)};
    const int steps = 1 + e % 6;
    for (int i = 0; i < steps; ++i) {
      const Vector before = told.now();
      const bool last = i + 1 == steps;
      const auto step = told.take(last && e % 2 == 0, last && e % 2 == 1);
      for (auto& one : window.add(before, nullptr, static_cast<std::size_t>(i), step))
        all.push_back(std::move(one));
    }
  }
  return all;
}

TEST(StepWindow, TargetsAreTheirDefinition) {
  constexpr double kDiscount = 0.9;
  for (const int n : {1, 3, 5}) {
    StepWindow window(n, kDiscount);
    const auto all = play(window, 12);
    std::size_t at = 0;
    for (int e = 0; e < 12; ++e) {
      const int steps = 1 + e % 6;
      for (int i = 0; i < steps; ++i, ++at) {
        ASSERT_LT(at, all.size());
        const auto& one = all[at];
        const int k = std::min(n, steps - i);
        double reward = 0;
        for (int j = 0; j < k; ++j) reward += std::pow(kDiscount, j) * (std::pow(2.0, i + j) + e);
        EXPECT_EQ(one.observation, (Vector(2) << e, i).finished());
        EXPECT_EQ(one.action, static_cast<std::size_t>(i));
        EXPECT_NEAR(one.reward, reward, 1e-12);
        EXPECT_EQ(one.next, (Vector(2) << e, i + k).finished());
        const bool terminated = e % 2 == 0 && i + k == steps;
        EXPECT_NEAR(one.discount, terminated ? 0 : std::pow(kDiscount, k), 1e-15);
      }
    }
    EXPECT_EQ(at, all.size());  // each step once
  }
}

Replay filled(std::size_t capacity, int episodes) {
  Replay replay(capacity);
  StepWindow window(3, 0.9);
  for (auto& one : play(window, episodes)) replay.add(std::move(one));
  return replay;
}

TEST(Replay, NoTransitionReachesAcrossAnEpisodesEnd) {
  const auto replay = filled(30, 40);  // has been full several times
  hw::Rng rng(2);
  const auto batch = replay.sample(2000, rng);
  for (Eigen::Index row = 0; row < 2000; ++row) {
    EXPECT_EQ(batch.observations(row, 0), batch.next(row, 0));
    const double steps = batch.next(row, 1) - batch.observations(row, 1);
    EXPECT_GE(steps, 1);
    EXPECT_LE(steps, 3);
  }
}

TEST(Replay, DrawsFromTheLastTransitionsOnly) {
  const auto replay = filled(30, 40);
  EXPECT_EQ(replay.size(), 30U);
  // The last episodes, 39 to 33, have 4, 3, 2, 1, 6, 5 and 4 steps: 25. Five more are those of 32 and 31, 3 and 2.
  hw::Rng rng(2);
  const auto batch = replay.sample(2000, rng);
  std::set<std::pair<double, double>> seen;
  for (Eigen::Index row = 0; row < 2000; ++row)
    seen.insert({batch.observations(row, 0), batch.observations(row, 1)});
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_EQ(seen.begin()->first, 31);
}

TEST(Replay, GoesOnFromWhereItStood) {
  const auto set = std::make_shared<const Matrix>(Matrix::Ones(4, 2));
  learners::Checkpoint state;
  Replay replay(5);
  for (std::size_t i = 0; i < 7; ++i)
    replay.add({Vector::Constant(2, static_cast<double>(i)), set, 1, 2.0 + static_cast<double>(i),
                Vector::Ones(2), 0.5, std::vector<std::size_t>(i % 3, 2)});
  replay.save(state, "r/");
  Replay again(5);
  again.load(state, "r/");
  hw::Rng one(4), other(4);
  replay.add({Vector::Constant(2, 9), set, 3, 9, Vector::Ones(2), 0});
  again.add({Vector::Constant(2, 9), set, 3, 9, Vector::Ones(2), 0});
  const auto a = replay.sample(50, one), b = again.sample(50, other);
  EXPECT_EQ(a.observations, b.observations);
  EXPECT_EQ(a.next, b.next);
  EXPECT_EQ(a.actions, b.actions);
  EXPECT_EQ(a.rewards, b.rewards);
  EXPECT_EQ(a.discounts, b.discounts);
  EXPECT_EQ(a.next_spent, b.next_spent);
  for (const std::size_t count : {0, 1, 2})
    EXPECT_NE(std::find(b.next_spent.begin(), b.next_spent.end(), std::vector<std::size_t>(count, 2)),
              b.next_spent.end());
  state.numbers["r/num_spent"].back() += 1;
  EXPECT_THROW(Replay(5).load(state, "r/"), std::invalid_argument);
  state.numbers["r/num_spent"].back() -= 1;
  EXPECT_EQ(b.choices.sets.size(), 1U);
  EXPECT_THROW(Replay(4).load(state, "r/"), std::invalid_argument);
}

TEST(Replay, HasNothingToDrawFromAtFirst) {
  hw::Rng rng(1);
  EXPECT_THROW(Replay(5).sample(1, rng), std::logic_error);
}

}  // namespace rl_replay_test
}  // namespace fewwatt::meta
