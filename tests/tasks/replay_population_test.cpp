#include "tasks/replay_population.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace replay_population_test {

using Profiles = std::vector<datasets::Profile>;

std::string refusal(const Profiles& profiles, const Profiles& also = {}) {
  try {
    const ReplayPopulation population(profiles, also);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

// made_up_profile()'s times tell the workload: work over the clock of the GPU.
double work_of(const World& world) {
  const auto mode = world.space()->at(0);
  return world.truth(mode)->time_ms * mode[1];
}

TEST(ReplayPopulation, DrawsEveryProfileAsOftenAsTheOthers) {
  const Profiles profiles = {tests::made_up_profile("board", "a", 1e6),
                             tests::made_up_profile("board", "b", 2e6)};
  const ReplayPopulation population(profiles);
  int first = 0;
  constexpr int n = 1000;
  for (std::uint64_t seed = 0; seed < n; ++seed) first += work_of(*population.draw(seed)) < 1.5e6 ? 1 : 0;
  EXPECT_NEAR(first, n / 2, 5 * std::sqrt(n / 4.0));
}

TEST(ReplayPopulation, HalfOfTheWorldsAreOfTheOtherProfiles) {
  const Profiles profiles = {tests::made_up_profile("board", "a", 1e6)};
  const Profiles also = {tests::made_up_profile("board", "b", 2e6), tests::made_up_profile("board", "c", 4e6),
                         tests::made_up_profile("board", "d", 8e6)};
  const ReplayPopulation population(profiles, also);
  int first = 0;
  constexpr int n = 1000;
  for (std::uint64_t seed = 0; seed < n; ++seed) first += work_of(*population.draw(seed)) < 1.5e6 ? 1 : 0;
  EXPECT_NEAR(first, n / 2, 5 * std::sqrt(n / 4.0));
}

TEST(ReplayPopulation, SameSeedSameWorld) {
  const Profiles profiles = tests::made_up_profiles();
  const ReplayPopulation population(profiles);
  const auto a = population.draw(7), b = population.draw(7), other = population.draw(8);
  EXPECT_EQ(a->budget_w(), b->budget_w());
  EXPECT_NE(a->budget_w(), other->budget_w());
  a->reset(1);
  b->reset(1);
  const auto mode = a->space()->at(3);
  EXPECT_EQ(a->measure(mode).time_ms, b->measure(mode).time_ms);
  EXPECT_EQ(a->space(), b->space());
}

TEST(ReplayPopulation, WorldsShareTheModesOfAProfile) {
  const auto profile = tests::made_up_profile("board", "a");
  std::vector<std::size_t> rows = {1, 5, 17, 40};
  const Profiles some = {datasets::subset(profile, rows)};
  const ReplayPopulation population(some);
  EXPECT_EQ(population.draw(1)->space(), population.draw(2)->space());
}

TEST(ReplayPopulation, BudgetsReachFromTheTenthToTheNinetiethPercentileOfPower) {
  const Profiles profiles = {tests::made_up_profile("board", "a")};
  const ReplayPopulation population(profiles);
  std::vector<double> powers;
  for (const auto& m : profiles[0].measurements) powers.push_back(m.power_w);
  std::sort(powers.begin(), powers.end());
  const double low = powers[5] + 0.9 * (powers[6] - powers[5]);  // 0.1 of 59 steps
  const double high = powers[53] + 0.1 * (powers[54] - powers[53]);
  double least = 1e9, most = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const double budget = population.draw(seed)->budget_w();
    least = std::min(least, budget);
    most = std::max(most, budget);
  }
  EXPECT_GE(least, low - 1e-12);
  EXPECT_LE(most, high + 1e-12);
  EXPECT_NEAR(least, low, 0.02 * (high - low));
  EXPECT_NEAR(most, high, 0.02 * (high - low));
}

TEST(ReplayPopulation, SomeModeKeepsEveryBudget) {
  auto alike = tests::made_up_profile("board", "alike");
  for (auto& m : alike.measurements) m.power_w = 5;
  auto noisy = tests::made_up_profile("board", "noisy");
  for (std::size_t i = 0; i < noisy.modes.size(); ++i) {
    noisy.power_true_w.push_back(noisy.measurements[i].power_w);
    noisy.measurements[i].power_w *= i % 2 == 0 ? 0.5 : 1.5;
  }
  std::vector<std::size_t> rows = {3, 50};
  const auto two = datasets::subset(tests::made_up_profile("board", "two"), rows);
  for (const auto& profile : {alike, noisy, two}) {
    const Profiles one = {profile};
    const ReplayPopulation population(one);
    for (std::uint64_t seed = 0; seed < 50; ++seed) EXPECT_TRUE(fastest_inside(*population.draw(seed)));
  }
}

TEST(ReplayPopulation, WorkloadAndBudgetChangeByTurns) {
  const Profiles profiles = {tests::made_up_profile("board", "a", 1e6),
                             tests::made_up_profile("board", "b", 2e6)};
  const ReplayPopulation population(profiles);
  constexpr std::size_t kSteps = 50, kChanges = 4;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto world = population.draw(seed, kSteps, kChanges);
    std::vector<double> works, budgets;
    for (const std::uint64_t episode : {1, 1, 2}) {
      world->reset(episode);
      std::size_t new_works = 0, new_budgets = 0;
      std::vector<double> budgets_now;
      for (std::size_t step = 0; step < kSteps; ++step) {
        const double work = work_of(*world), budget = world->budget_w();
        budgets_now.push_back(budget);
        EXPECT_TRUE(fastest_inside(*world));
        world->advance();
        new_works += work_of(*world) != work ? 1 : 0;
        new_budgets += world->budget_w() != budget ? 1 : 0;
      }
      EXPECT_LE(new_works, kChanges / 2);  // two changes may come at one step
      EXPECT_GE(new_budgets + new_works, 1u);
      EXPECT_LE(new_budgets, kChanges);
      if (budgets.empty()) budgets = budgets_now;
      EXPECT_EQ(budgets == budgets_now, episode == 1);  // the same seed gives the same episode
    }
    EXPECT_FALSE(world->fixed());
  }
}

TEST(ReplayPopulation, OnlyBudgetsChangeWhereNoOtherProfileHasTheSameModes) {
  const auto other = tests::made_up_profile("board", "b", 2e6);
  const Profiles profiles = {tests::made_up_profile("board", "a", 1e6),
                             datasets::subset(other, std::vector<std::size_t>{1, 5, 17, 40})};
  const ReplayPopulation population(profiles);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto world = population.draw(seed, 20, 3);
    world->reset(1);
    const double work = work_of(*world), budget = world->budget_w();
    for (int step = 0; step < 20; ++step) world->advance();
    EXPECT_EQ(work_of(*world), work);
    EXPECT_NE(world->budget_w(), budget);
  }
  EXPECT_THROW(population.draw(1, 1, 1), std::invalid_argument);
}

TEST(ReplayPopulation, RefusesWhatAnAgentCannotLearnFrom) {
  const auto good = tests::made_up_profile("board", "good");
  auto no_power = tests::made_up_profile("board", "dark"), no_time = tests::made_up_profile("board", "late");
  for (auto& m : no_power.measurements) m.power_w = tests::kUnknown;
  for (auto& m : no_time.measurements) m.time_ms = tests::kUnknown;
  std::vector<std::size_t> rows = {3};
  const auto one_mode = datasets::subset(tests::made_up_profile("board", "still"), rows);
  EXPECT_EQ(refusal({good, no_power}), "agents need profiles with time and power, board/dark has no power");
  EXPECT_EQ(refusal({good, no_time}), "agents need profiles with time and power, board/late has no time");
  EXPECT_EQ(refusal({good, one_mode}), "agents need profiles with at least 2 modes, board/still has 1");
  EXPECT_EQ(refusal({good}, {no_power}), "agents need profiles with time and power, board/dark has no power");
  EXPECT_EQ(refusal({}), "ReplayPopulation: expected a profile, found none");
  EXPECT_EQ(refusal({good}), "");
}

}  // namespace replay_population_test
}  // namespace fewwatt::tasks
