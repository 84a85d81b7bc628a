#include "learners/control/tabular.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "datasets/import.hpp"
#include "tasks/mode_environment.hpp"
#include "tests/data_root.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace tabular_test {

using tasks::Matrix;
using tasks::ModeActionKind;
using tasks::ModeEnvironment;

// Short episodes: some modes are the target of no move, and are seen only where an episode begins.
tasks::ModeMdpOptions running(ModeActionKind actions, std::size_t measurements = 20) {
  tasks::ModeMdpOptions options;
  options.task = tasks::ModeTask::run;
  options.actions = actions;
  options.measurements = measurements;
  return options;
}

datasets::Profile example_profile() {
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "net";
  profile.space = tests::example_space();
  profile.modes = profile.space->modes();
  for (const auto& mode : profile.modes)
    profile.measurements.push_back({tests::example_time_ms(mode), tests::example_power_w(mode)});
  return profile;
}

ModeEnvironment environment_of(const datasets::Profile& profile, double budget_w, ModeActionKind actions,
                               double noise = 0) {
  return {std::make_unique<tasks::ReplayWorld>(
              profile, tasks::ReplayOptions{.budget_w = budget_w, .noise = noise, .measured_noise = false}),
          running(actions), true};
}

// Rates of 1 where nothing is random; every action again and again.
TabularOptions exact() {
  TabularOptions options;
  options.rate_decay = 0;
  options.least_epsilon = 1;
  return options;
}

TabularAgent trained(ModeEnvironment& environment, const TabularOptions& options, std::size_t steps) {
  environment.reset(0);
  auto agent = tabular_agent(environment, options);
  for (std::size_t done = 0, episode = 0; done < steps; ++episode)
    done += learn_episode(agent, environment, episode).steps;
  return agent;
}

// max |Q - Q*| over the range of Q*.
double error_of(const Matrix& values, const tasks::FiniteMdp& mdp, double discount) {
  const auto optimal = tasks::optimal_action_values(mdp, discount);
  return (values - optimal).cwiseAbs().maxCoeff() / (optimal.maxCoeff() - optimal.minCoeff());
}

double error_of(const TabularAgent& agent, const ModeEnvironment& environment, double discount) {
  return error_of(agent.values(), environment.finite().value(), discount);
}

TEST(QLearning, LearnsTheOptimalValues) {
  for (const auto actions : {ModeActionKind::jump, ModeActionKind::move}) {
    auto environment = environment_of(example_profile(), 5.3, actions);
    const auto agent = trained(environment, exact(), 60'000);
    EXPECT_LE(error_of(agent, environment, exact().discount), 1e-6);
  }
}

// With the values learned, the best actions lead to the fastest mode inside the budget, and stay there.
TEST(QLearning, ItsBestActionsLeadToTheFastestModeInsideTheBudget) {
  auto environment = environment_of(example_profile(), 5.3, ModeActionKind::move);
  const auto agent = trained(environment, exact(), 60'000);
  environment.reset(1);
  for (int i = 0; i < 10; ++i) environment.step(agent.best(environment.state()));
  EXPECT_EQ(environment.mode(), fastest_inside(environment.world())->mode);
}

// The reward of each mode with noise, by the mean of many measurements.
tasks::FiniteMdp with_mean_rewards(const ModeEnvironment& environment, const datasets::Profile& profile,
                                   double budget_w, double noise) {
  auto mdp = environment.finite().value();
  const auto options = running(ModeActionKind::move);
  const auto& space = *environment.world().space();
  const double reference = environment.world().truth(space.lowest())->time_ms;
  tasks::ReplayWorld world(profile, {.budget_w = budget_w, .noise = noise, .measured_noise = false});
  world.reset(77);
  std::vector<double> means;
  for (const auto& mode : space.modes()) {
    constexpr int n = 5000;
    double sum = 0;
    for (int i = 0; i < n; ++i)
      sum += tasks::mode_worth(options, world.measure(mode), budget_w, reference, false);
    means.push_back(sum / n);
  }
  for (auto& outcomes : mdp.outcomes)
    for (auto& outcome : outcomes) outcome.reward = means[outcome.next];
  return mdp;
}

TEST(QLearning, LearnsTheMeanOfNoisyRewards) {
  constexpr double budget_w = 5.3, noise = 0.03;
  auto environment = environment_of(example_profile(), budget_w, ModeActionKind::move, noise);
  auto options = exact();
  options.discount = 0.8;  // noise is averaged while values still change: less of both
  options.rate_decay = 0.7;
  const auto agent = trained(environment, options, 400'000);
  const auto mdp = with_mean_rewards(environment, example_profile(), budget_w, noise);
  EXPECT_LE(error_of(agent.values(), mdp, options.discount), 0.01);
}

// Every 19th mode of a measured profile, under the median of their powers.
class MeasuredProfile : public testing::Test {
 protected:
  static datasets::Profile sixty_modes(const std::string& root) {
    const auto mapping = datasets::read_mapping(tests::source_dir() + "/datasets/mappings/tx2-osldvfs.ini");
    const auto store = datasets::import_profiles(mapping, {root + "/tx2-osldvfs"});
    const auto& all = *store.find("tx2", "sssp");
    std::vector<std::size_t> rows;
    for (std::size_t i = 18; i < all.modes.size(); i += 19) rows.push_back(i);
    return datasets::subset(all, rows);
  }
  static double median_power(const datasets::Profile& profile) {
    std::vector<double> powers;
    for (const auto& measured : profile.measurements) powers.push_back(measured.power_w);
    std::sort(powers.begin(), powers.end());
    return powers[powers.size() / 2];
  }
};

TEST_F(MeasuredProfile, QLearningIsWithinOnePercentOfTheOptimalValues) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const auto profile = sixty_modes(root);
  ASSERT_EQ(profile.modes.size(), 60u);
  const double budget_w = median_power(profile);
  for (const auto actions : {ModeActionKind::jump, ModeActionKind::move}) {
    auto environment = environment_of(profile, budget_w, actions);
    const auto agent = trained(environment, exact(), 600'000);
    EXPECT_LE(error_of(agent, environment, exact().discount), 0.01);
  }
  // With the noise of a measurement, and rates that decay.
  auto environment = environment_of(profile, budget_w, ModeActionKind::move, tasks::kUsualNoise);
  auto options = exact();
  options.discount = 0.8;  // noise is averaged while values still change: less of both
  options.rate_decay = 0.7;
  const auto agent = trained(environment, options, 400'000);
  const auto mdp = with_mean_rewards(environment, profile, budget_w, tasks::kUsualNoise);
  EXPECT_LE(error_of(agent.values(), mdp, options.discount), 0.01);
}

TEST(DynaQ, LearnsTheOptimalValuesFromFewerMeasurements) {
  auto environment = environment_of(example_profile(), 5.3, ModeActionKind::move);
  const auto plain = trained(environment, exact(), 1000);
  auto options = exact();
  options.planning = 20;
  const auto dyna = trained(environment, options, 1000);
  EXPECT_LE(error_of(dyna, environment, options.discount), 0.01);
  EXPECT_GT(error_of(plain, environment, options.discount), 0.05);
}

// Goes from state 0 to itself, or, one time in four, ends. A model of what is most frequent knows that.
class Coin final : public tasks::Environment {
 public:
  std::size_t observation_size() const override { return 1; }
  const Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return true; }
  std::optional<std::size_t> num_states() const override { return 2; }
  std::size_t state() const override { return state_; }
  tasks::Vector reset(std::uint64_t seed) override {
    rng_ = hw::Rng(seed);
    state_ = 0;
    return tasks::Vector::Zero(1);
  }
  tasks::Step step(std::size_t) override {
    const bool ends = rng_.below(4) == 0;
    state_ = ends ? 1 : 0;
    tasks::Step step{tasks::Vector::Zero(1), ends ? 8.0 : 0.0};
    step.terminated = ends;
    return step;
  }

 private:
  Matrix actions_ = Matrix::Zero(1, 1);
  hw::Rng rng_{0};
  std::size_t state_ = 0;
};

TEST(QLearning, NothingComesAfterATermination) {
  Coin coin;
  TabularOptions options;
  options.discount = 0.5;
  TabularAgent agent(2, 1, options);
  for (std::uint64_t episode = 0; episode < 20'000; ++episode) learn_episode(agent, coin, episode);
  // q = 8 / 4 + 3/4 0.5 q
  EXPECT_NEAR(agent.values()(0, 0), 2 / (1 - 0.375), 0.1);
  EXPECT_EQ(agent.values()(1, 0), 0);
}

TEST(TabularAgent, TheSameSeedGivesTheSameTable) {
  auto environment = environment_of(example_profile(), 5.3, ModeActionKind::move, 0.02);
  TabularOptions options;
  options.planning = 3;
  const auto one = trained(environment, options, 500), same = trained(environment, options, 500);
  options.seed = 1;
  const auto other = trained(environment, options, 500);
  EXPECT_EQ(one.values(), same.values());
  EXPECT_NE(one.values(), other.values());
}

TEST(TabularAgent, ExploresLessAndLess) {
  TabularOptions options;
  options.epsilon_decay = 0.5;
  options.least_epsilon = 0.1;
  TabularAgent agent(1, 1000, options);
  agent.learn(0, 7, 1, 0, true);
  const auto random = [&] {
    int count = 0;
    for (int i = 0; i < 1000; ++i) count += agent.explore(0) != 7 ? 1 : 0;
    return count;
  };
  const int early = random(), later = random();  // the sum of n^-1/2, at least 0.1
  EXPECT_NEAR(early, 108, 45);
  EXPECT_NEAR(later, 100, 45);
  TabularAgent fresh(1, 1000, options);
  fresh.learn(0, 7, 1, 0, true);
  EXPECT_NE(fresh.explore(0), 7u);  // the first one is random
}

TEST(TabularAgent, ARewardThatIsNotFiniteTeachesNothing) {
  TabularOptions options;
  options.planning = 5;
  TabularAgent agent(2, 2, options);
  agent.learn(0, 1, std::nan(""), 1, false);
  agent.learn(0, 1, HUGE_VAL, 1, false);
  EXPECT_EQ(agent.values(), Matrix::Zero(2, 2));
  agent.learn(0, 1, 3, 1, true);
  EXPECT_EQ(agent.values()(0, 1), 3);
}

TEST(TabularAgent, WhatDoesNotFitIsRefused) {
  const auto error = [](auto change) {
    TabularOptions options;
    change(options);
    EXPECT_THROW(TabularAgent(2, 2, options), std::invalid_argument);
    return options.error();
  };
  EXPECT_NE(error([](auto& o) { o.discount = 1; }).find("discount"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.rate_decay = -1; }).find("rate_decay"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.epsilon = std::nan(""); }).find("epsilon"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.planning = 20'000; }).find("planning"), std::string::npos);
  EXPECT_THROW(TabularAgent(0, 2, {}), std::invalid_argument);
  EXPECT_THROW(TabularAgent(1'000'000, 1'000'000, {}), std::invalid_argument);
  auto environment = environment_of(example_profile(), 5.3, ModeActionKind::move);
  TabularAgent other(3, 2, {});
  EXPECT_THROW(learn_episode(other, environment, 0), std::invalid_argument);
  auto find = running(ModeActionKind::move);
  find.task = tasks::ModeTask::find;
  ModeEnvironment uncounted(std::make_unique<tasks::ReplayWorld>(example_profile(), tasks::ReplayOptions{}),
                            find);
  EXPECT_THROW(learn_episode(other, uncounted, 0), std::invalid_argument);
}

}  // namespace tabular_test
}  // namespace fewwatt::learners
