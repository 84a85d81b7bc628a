#include "meta/rl/trial.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>
#include <vector>

#include "meta/rl/rollout.hpp"
#include "tests/meta/cartpole.hpp"
#include "tests/meta/small_environments.hpp"

namespace fewwatt::meta {
namespace rl_trial_test {

const MakeEnvironment kArms = [](std::uint64_t seed) { return std::make_unique<tests::Arms>(seed, 3); };
const MakeEnvironment kNearest = [](std::uint64_t seed) { return std::make_unique<tests::Nearest>(seed); };

PolicyShape shape_of(const MakeEnvironment& make, int memory = 0) {
  return policy_shape(*example_of(make), {8}, learners::Activation::tanh, memory, true);
}

TEST(CartPole, MovesAsGymnasiumsDoes) {
  tests::CartPole cartpole;
  cartpole.reset(0);
  cartpole.place(Eigen::Vector4d::Zero());
  const auto step = cartpole.step(1);
  // 10 N on 1.1 kg: 10 / 1.1 = 9.0909; the pole's -9.0909 / (0.5 (4/3 - 0.1 / 1.1)) = -14.6341; the cart's 9.0909 + 0.05 14.6341 / 1.1
  EXPECT_NEAR(step.observation[1], 0.02 * 9.75610, 1e-6);
  EXPECT_NEAR(step.observation[3], 0.02 * -14.63415, 1e-6);
  EXPECT_EQ(step.observation[0], 0);
  cartpole.place({0, 0, 0.2090, 0.5});
  EXPECT_TRUE(cartpole.step(1).terminated);
}

TEST(CartPole, IsCutOffAfter500Steps) {
  tests::CartPole cartpole;
  cartpole.reset(0);
  int steps = 0;
  for (tasks::Step step; !step.ended(); ++steps) {
    cartpole.place(Eigen::Vector4d::Zero());
    step = cartpole.step(0);
    EXPECT_FALSE(step.terminated);
  }
  EXPECT_EQ(steps, 500);
  EXPECT_THROW(cartpole.step(0), std::logic_error);
}

TEST(Trial, KeepsWhatCameBeforeOverItsEpisodes) {
  const auto shape = shape_of(kArms, 4);
  Trial trial(kArms, shape, 1, 0, 2);
  Vector expected(5);  // observation, row of the action, reward, whether it goes on
  expected << 1, 0, 0, 0, 0;
  EXPECT_EQ(trial.memory_inputs(), expected);
  const auto first = trial.step(1);
  expected << 1, 0, 1, first.reward, 1;
  EXPECT_EQ(trial.memory_inputs(), expected);
  trial.step(1);
  const auto last = trial.step(0);
  EXPECT_TRUE(last.terminated);
  EXPECT_EQ(trial.episode(), 1);
  expected << 1, 1, 0, last.reward, 0;
  EXPECT_EQ(trial.memory_inputs(), expected);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(trial.over());
    trial.step(0);
  }
  EXPECT_TRUE(trial.over());
  EXPECT_THROW(trial.step(0), std::logic_error);
}

TEST(Trial, RefusesAnEnvironmentOfAnotherShape) {
  const auto shape = shape_of(kArms);
  EXPECT_THROW(Trial(kNearest, shape, 1, 0, 1), std::invalid_argument);
  EXPECT_THROW(Trial(tests::make_cartpole, shape, 1, 0, 1), std::invalid_argument);
}

TEST(Trial, NeedsAnEnvironment) {
  EXPECT_THROW(example_of({}), std::invalid_argument);
  EXPECT_THROW(example_of([](std::uint64_t) { return nullptr; }), std::invalid_argument);
}

TEST(Trials, GoOnFromWhereTheyStood) {
  const auto shape = shape_of(kNearest);
  std::vector<double> returns;
  Trials trials(kNearest, shape, 3, 2, 2);
  for (const std::size_t action : {0, 1, 1, 0, 1, 0, 1}) {  // 7 steps of 4 an episode: into the second one
    trials.step(0, action, returns);
    trials.step(1, 0, returns);
  }
  learners::Checkpoint state;
  trials.save(state, "t/");
  Trials again(kNearest, shape, 3, 2, 2);
  int replayed = 0;
  again.load(state, "t/", [&](std::size_t, const Vector&, std::size_t, const tasks::Step&) { ++replayed; });
  EXPECT_EQ(replayed, 6);
  for (int i = 0; i < 20; ++i) {
    const std::size_t place = i % 2;
    ASSERT_EQ(again[place].observation(), trials[place].observation());
    ASSERT_EQ(*again[place].actions(), *trials[place].actions());
    std::vector<double> as_before, now;
    EXPECT_EQ(again.step(place, 1, now).reward, trials.step(place, 1, as_before).reward);
    EXPECT_EQ(now, as_before);
  }
}

TEST(Trials, RefuseAStateThatIsNotTheirs) {
  const auto shape = shape_of(kNearest);
  Trials trials(kNearest, shape, 3, 1, 1);
  const std::vector<std::vector<double>> wrong = {{0},       {0, -1}, {0, 7}, {0, 0, 99}, {0, 0, 0, 0, 0, 0},
                                                  {1e300, 0}};
  for (const auto& at : wrong) {
    learners::Checkpoint state;
    state.numbers = {{"t/next", {1}}, {"t/0", at}};
    EXPECT_THROW(trials.load(state, "t/", {}), std::invalid_argument);
  }
}

TEST(Choices, EqualSetsAreOne) {
  const auto a = std::make_shared<const Matrix>(Matrix::Ones(2, 1)),
             b = std::make_shared<const Matrix>(Matrix::Ones(2, 1)),
             c = std::make_shared<const Matrix>(Matrix::Ones(3, 1));
  const std::vector<ActionSet> rows = {a, c, b, c};
  const Choices choices(rows);
  EXPECT_EQ(choices.sets.size(), 2U);
  EXPECT_EQ(choices.set_of, (std::vector<std::int64_t>{0, 1, 0, 1}));
}

TEST(Draw, IsAsProbableAsTheSoftmaxSays) {
  Eigen::RowVectorXd scores(3);
  scores << 0, std::log(2.0), std::log(5.0);
  hw::Rng rng(1);
  std::array<int, 3> counts{};
  constexpr int kDraws = 80'000;
  for (int i = 0; i < kDraws; ++i) ++counts[draw(scores, rng).index];
  // 5 standard deviations of a share are at most 5 sqrt(0.25 / 80000) < 0.009
  EXPECT_NEAR(counts[0] / double{kDraws}, 1.0 / 8, 0.009);
  EXPECT_NEAR(counts[1] / double{kDraws}, 2.0 / 8, 0.009);
  const auto one = draw(scores, rng);
  EXPECT_NEAR(one.log_probability, scores[static_cast<Eigen::Index>(one.index)] - std::log(8.0), 1e-12);
}

TEST(WholeTrials, SomeSideBySideMayShareTheirEnvironment) {
  std::vector<std::uint64_t> made;
  const MakeEnvironment make = [&](std::uint64_t seed) {
    made.push_back(seed);
    return kArms(seed);
  };
  const auto shape = shape_of(make, /*memory=*/4);
  made.clear();
  hw::Rng draws(1);
  play(make, {.seed = 2, .first = 10, .side_by_side = 6, .in_one_world = 3}, shape, random_policy(shape, 1),
       draws);
  ASSERT_EQ(made.size(), 6U);
  EXPECT_EQ(std::set(made.begin(), made.begin() + 3).size(), 1U);
  EXPECT_EQ(std::set(made.begin() + 3, made.end()).size(), 1U);
  EXPECT_NE(made[0], made[3]);
}

// Each of three actions may be taken once, in two steps.
class Once final : public tasks::Environment {
 public:
  std::size_t observation_size() const override { return 1; }
  const Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return true; }
  std::span<const std::size_t> spent() const override { return spent_; }
  Vector reset(std::uint64_t) override {
    spent_.clear();
    return Vector::Ones(1);
  }
  tasks::Step step(std::size_t action) override {
    EXPECT_EQ(std::count(spent_.begin(), spent_.end(), action), 0);
    spent_.push_back(action);
    return {.observation = Vector::Ones(1), .reward = 1, .terminated = spent_.size() == 2};
  }

 private:
  Matrix actions_ = Matrix::Identity(3, 3);
  std::vector<std::size_t> spent_;
};

TEST(Rollouts, NeverTakeWhatIsSpent) {
  const MakeEnvironment make = [](std::uint64_t) { return std::make_unique<Once>(); };
  for (const int memory : {0, 3}) {
    const auto shape = shape_of(make, memory);
    hw::Rng draws(1);
    const auto rollout = play(make, {.side_by_side = 40}, shape, random_policy(shape, 1), draws);
    const auto& batch = rollout.batch;
    ASSERT_EQ(batch.size(), 80);
    for (std::size_t i = 0; i < 40; ++i) {
      EXPECT_TRUE(batch.spent[i].empty());
      EXPECT_EQ(batch.spent[40 + i], std::vector{static_cast<std::size_t>(batch.actions[i])});
    }
    // Two actions are left in the second step, about as likely as each other.
    EXPECT_NEAR(batch.log_probabilities[40], -std::log(2), 0.1);
  }
}

TEST(SetAdvantages, InOneEnvironmentTheyAreAgainstEachOther) {
  const auto shape = shape_of(kArms, /*memory=*/4);
  for (const int in_one_world : {1, 3}) {
    hw::Rng draws(1);
    auto rollout = play(kArms, {.seed = 2, .side_by_side = 6, .in_one_world = in_one_world}, shape,
                        random_policy(shape, 1), draws);
    set_advantages(rollout, 1, 1, in_one_world);
    const auto& found = rollout.batch.advantages;
    EXPECT_NEAR(found.sum(), 0, 1e-9);
    EXPECT_NEAR(found.squaredNorm() / static_cast<double>(found.size()), 1, 1e-6);
    double of_groups = 0;
    for (Eigen::Index first = 0; first < found.size(); first += 3)
      of_groups = std::max(of_groups, std::abs(found.segment(first, 3).sum()));
    if (in_one_world == 3) {
      EXPECT_LT(of_groups, 1e-9);
    } else {
      EXPECT_GT(of_groups, 0.1);
    }
    EXPECT_EQ(rollout.batch.returns.size(), found.size());
  }
}

}  // namespace rl_trial_test
}  // namespace fewwatt::meta
