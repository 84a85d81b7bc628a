#include "learners/govern.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "hw/simulated_device.hpp"
#include "learners/physics.hpp"
#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace govern_test {

constexpr double kBudgetW = 5.3;  // the fastest mode inside draws 4.75 W: it is sure enough to fit

std::shared_ptr<const Learner> sim_only() {
  static const auto made = std::shared_ptr<const Learner>(make_learner("sim_only"));
  return made;
}

// The example board's workload, `slower` times as slow, at `power` times the power, measured with 1 % of noise.
struct Running {
  explicit Running(GovernorOptions options = {}) : governor(tests::example_space(), sim_only(), options) {}

  double time_ms(const hw::PowerMode& mode) const { return slower * tests::example_time_ms(mode); }
  double power_w(const hw::PowerMode& mode) const {
    const double usual = power * tests::example_power_w(mode);
    return usual * std::pow(std::max(1.0, usual / 2.5), when_high);
  }
  hw::Measurement measured(const hw::PowerMode& mode) {
    return {time_ms(mode) * std::exp(0.01 * rng.normal()), power_w(mode) * std::exp(0.01 * rng.normal())};
  }
  // Time of the fastest mode inside the budget.
  double fastest_ms(double budget_w) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& mode : tests::example_space()->modes())
      if (power_w(mode) <= budget_w) least = std::min(least, time_ms(mode));
    return least;
  }
  bool window(double budget_w) {
    move = governor.next(budget_w);
    return governor.tell(move.mode, measured(move.mode));
  }

  Governor governor;
  Governor::Move move;
  double slower = 1, power = 1, when_high = 0;  // when_high: steeper above 2.5 W
  hw::Rng rng{1};
};

TEST(Governor, WhatIsForgottenCountsLess) {
  GovernorOptions options;
  options.forgetting.forget = 0.5;
  Running running(options);
  const auto mode = running.governor.next(kBudgetW).mode;
  running.governor.tell(mode, {10, 2});
  running.governor.tell(mode, {10.2, 2});
  const auto samples = running.governor.samples();
  ASSERT_EQ(samples.size(), 1U);
  // Weights 1/2 and 1: the mean of logs.
  EXPECT_NEAR(samples.targets(0, tasks::kTimeMs), std::exp((0.5 * std::log(10) + std::log(10.2)) / 1.5),
              1e-9);
  EXPECT_NEAR(samples.noise_factors(0, 0), 1 / 1.5, 1e-12);
}

TEST(Governor, StartsInTheLowestMode) {
  Running running;
  const auto move = running.governor.next(kBudgetW);
  EXPECT_EQ(move.mode, tests::example_space()->at(0));
  EXPECT_EQ(move.reason, MoveReason::start);
}

TEST(Governor, FindsTheFastestModeInsideTheBudgetAndStays) {
  Running running;
  int over = 0, changes = 0;
  for (int i = 0; i < 40; ++i) {
    changes += running.window(kBudgetW) ? 1 : 0;
    over += running.power_w(running.move.mode) > kBudgetW ? 1 : 0;
  }
  EXPECT_EQ(changes, 0);
  EXPECT_LE(over, 1);
  EXPECT_EQ(running.move.reason, MoveReason::best);
  EXPECT_LE(running.time_ms(running.move.mode), 1.05 * running.fastest_ms(kBudgetW));
}

TEST(Governor, LeavesAModeThatWasMeasuredOverTheBudget) {
  Running running;
  for (int i = 0; i < 20; ++i) running.window(kBudgetW);
  const auto mode = running.governor.next(kBudgetW).mode;
  // Not by so much that the workload would have changed.
  for (int i = 0; i < 3; ++i) running.governor.tell(mode, {running.time_ms(mode), 1.02 * kBudgetW});
  EXPECT_NE(running.governor.next(kBudgetW).mode, mode);
}

TEST(Governor, ALowerBudgetIsMetAtOnce) {
  Running running;
  for (int i = 0; i < 20; ++i) running.window(8);
  EXPECT_GT(running.power_w(running.move.mode), 4);
  for (int i = 0; i < 5; ++i) {
    running.window(4);
    EXPECT_LE(running.power_w(running.move.mode), 4) << i;
  }
}

TEST(Governor, FollowsAWorkloadThatChangesAndKnowsItAgain) {
  Running running;
  for (int i = 0; i < 30; ++i) running.window(kBudgetW);
  const auto before = running.move.mode;
  running.slower = 2;
  running.power = 1.2;
  bool noticed = false;
  for (int i = 0; i < 30; ++i) {
    noticed |= running.window(kBudgetW) && i < 5;
    if (i > 2) {
      EXPECT_LE(running.power_w(running.move.mode), 1.01 * kBudgetW) << i;
    }
  }
  EXPECT_TRUE(noticed);
  EXPECT_FALSE(running.governor.recognised());
  EXPECT_LE(running.time_ms(running.move.mode), 1.05 * running.fastest_ms(kBudgetW));
  running.slower = running.power = 1;
  for (int i = 0; i < 3; ++i) running.window(kBudgetW);
  EXPECT_TRUE(running.governor.recognised());
  EXPECT_EQ(running.governor.next(kBudgetW).mode, before);
}

TEST(Governor, WorkloadsThatCostTheSameInLowModesAreNotTakenForEachOtherForEver) {
  Running running;
  for (const double when_high : {0.0, 0.3}) {
    running.when_high = when_high;
    for (int i = 0; i < 40; ++i) running.window(kBudgetW);
  }
  const auto before = running.governor.changes();
  running.when_high = 0.7;
  int over = 0;
  for (int i = 0; i < 60; ++i) {
    running.window(kBudgetW);
    over += running.power_w(running.move.mode) > 1.01 * kBudgetW ? 1 : 0;
  }
  EXPECT_GT(running.governor.changes(), before);
  EXPECT_LE(running.governor.changes(), before + 4);
  EXPECT_LE(over, 6);
}

// A network on a simulated board, measured with 1 % of noise.
struct OnABoard {
  explicit OnABoard(GovernorOptions options = {}) : governor(space, sim_only(), options), rng(options.seed) {}

  hw::Measurement truth(const hw::PowerMode& of) const {
    const auto cost = hw::simulate(board, workload, hw::settings_of(board, *space, of));
    return {cost.time_ms, cost.power_w};
  }
  double fastest_ms(double budget_w) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& one : space->modes())
      if (truth(one).power_w <= budget_w) least = std::min(least, truth(one).time_ms);
    return least;
  }
  void window(double budget_w) {
    mode = governor.next(budget_w).mode;
    auto measured = truth(mode);
    measured.time_ms *= std::exp(0.01 * rng.normal());
    measured.power_w *= std::exp(0.01 * rng.normal());
    governor.tell(mode, measured);
  }

  const hw::SimulatedBoard& board = hw::find_simulated_board("orin-agx-64");
  std::shared_ptr<const hw::PowerModeSpace> space =
      std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64", "coarse"));
  hw::SimulatedWorkload workload = hw::find_simulated_workload("resnet18");
  Governor governor;
  hw::PowerMode mode;
  hw::Rng rng;
};

TEST(Governor, MovesLessWhereMovesCost) {
  const auto moves = [&](double windows) {
    OnABoard running;
    int moved = 0;
    for (int i = 0; i < 100; ++i) {
      const auto before = running.mode;
      running.window(30);
      if (i == 0 || running.mode == before) continue;
      ++moved;
      running.governor.moved(windows);
    }
    EXPECT_LE(running.truth(running.mode).time_ms, 1.2 * running.fastest_ms(30)) << windows;
    return moved;
  };
  const int free = moves(0), dear = moves(0.2);
  EXPECT_LT(dear, 0.8 * free);
}

// Time of ten windows after the batches have doubled, in times of the fastest mode.
TEST(Governor, AWorkloadTellsOfTheOneThatComesAfterIt) {
  const auto lost = [](double like_before) {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      OnABoard running({.like_before = like_before, .seed = seed});
      for (int i = 0; i < 40; ++i) running.window(30);
      running.workload.batch_size *= 2;
      for (int i = 0; i < 10; ++i) {
        running.window(30);
        sum += running.truth(running.mode).time_ms / running.fastest_ms(30) - 1;
      }
    }
    return sum;
  };
  EXPECT_LT(lost(0.04), 0.8 * lost(10));
}

// The last workload is like the first in low modes, and draws more power in high ones.
TEST(Governor, WhatIsRecognisedIsDismissedWhereItsBestModeCostsOtherwise) {
  for (const double when_high : {0.3, 0.7})
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      Running running({.seed = seed});
      for (const double slower : {1, 2}) {
        running.slower = slower;
        for (int i = 0; i < 40; ++i) running.window(kBudgetW);
      }
      running.slower = 1;
      running.when_high = when_high;
      for (int i = 0; i < 2; ++i) running.window(kBudgetW);  // too much power; then the lowest mode
      EXPECT_TRUE(running.governor.recognised());
      const auto changes = running.governor.changes();
      running.window(kBudgetW);
      EXPECT_EQ(running.move.reason, MoveReason::check);
      EXPECT_FALSE(running.governor.recognised());
      EXPECT_EQ(running.governor.changes(), changes);
      for (int i = 0; i < 10; ++i) {
        running.window(kBudgetW);
        EXPECT_LE(running.power_w(running.move.mode), 1.01 * kBudgetW) << seed << ' ' << i;
      }
    }
}

TEST(Governor, ExploresNoLongerThanItsWindowsWhereNothingNewCanBeMeasured) {
  OnABoard running;
  for (int i = 0; i < 4; ++i) running.window(30);
  int explored = 0, worked = 0;
  for (int i = 0; i < 60; ++i) {
    const auto move = running.governor.next(30);
    explored += move.reason == MoveReason::explore ? 1 : 0;
    worked += move.reason == MoveReason::best || move.reason == MoveReason::try_out ? 1 : 0;
    if (running.mode == move.mode)
      running.governor.tell(move.mode, running.truth(move.mode));
    else
      running.governor.reject(move.mode);
  }
  EXPECT_GT(explored, 0);
  EXPECT_LE(explored, 12);
  EXPECT_GE(worked, 40);
}

TEST(Governor, WhereNothingCanBeMeasuredItStaysInTheLowestMode) {
  Running running;
  for (int i = 0; i < 30; ++i) {
    const auto mode = running.governor.next(kBudgetW).mode;
    EXPECT_EQ(mode, tests::example_space()->at(0));
    running.governor.reject(mode);
  }
  EXPECT_EQ(running.governor.samples().size(), 0U);
}

TEST(Governor, AModeThatIsToBeCheckedIsLeftAloneTooWhereItCannotBeMeasured) {
  Running running;
  for (int i = 0; i < 20; ++i) running.window(kBudgetW);
  // Twice as slow in every new mode, until one is checked.
  running.slower = 2;
  Governor::Move move;
  for (int i = 0; i < 20; ++i) {
    move = running.governor.next(kBudgetW);
    if (move.reason == MoveReason::check) break;
    running.governor.tell(move.mode, running.measured(move.mode));
  }
  ASSERT_EQ(move.reason, MoveReason::check);
  running.governor.reject(move.mode);
  EXPECT_NE(running.governor.next(kBudgetW).mode, move.mode);
}

TEST(Governor, AModeThatCouldNotBeMeasuredIsLeftAloneForAWhile) {
  Running running({.rejected_for = 4});
  for (int i = 0; i < 20; ++i) running.window(kBudgetW);
  const auto mode = running.governor.next(kBudgetW).mode;
  running.governor.reject(mode);
  for (int i = 0; i < 3; ++i) {
    running.window(kBudgetW);
    EXPECT_NE(running.move.mode, mode);
  }
  for (int i = 0; i < 3; ++i) running.window(kBudgetW);
  EXPECT_EQ(running.governor.next(kBudgetW).mode, mode);
}

TEST(Governor, GapsInTheStreamAreNoChange) {
  Running running;
  for (int i = 0; i < 40; ++i) {
    running.move = running.governor.next(kBudgetW);
    auto measured = running.measured(running.move.mode);
    if (i % 3 == 1) measured.time_ms = std::nan("");
    if (i % 4 == 2) measured.power_w = std::nan("");
    EXPECT_FALSE(running.governor.tell(running.move.mode, measured)) << i;
  }
  EXPECT_LE(running.time_ms(running.move.mode), 1.05 * running.fastest_ms(kBudgetW));
}

TEST(Governor, ABudgetThatNothingMeetsGetsTheLeastPower) {
  Running running;
  for (int i = 0; i < 10; ++i) running.window(0.1);
  EXPECT_EQ(running.move.mode, tests::example_space()->at(0));
  EXPECT_EQ(running.move.reason, MoveReason::least_power);
}

TEST(Governor, EqualMeasurementsOfAllModesAreFine) {
  Running running;
  for (int i = 0; i < 20; ++i) {
    const auto move = running.governor.next(kBudgetW);
    EXPECT_FALSE(running.governor.tell(move.mode, {7, 3}));
  }
}

TEST(Governor, TheSameSeedMakesTheSameMoves) {
  Running a, b;
  for (int i = 0; i < 15; ++i) {
    a.window(kBudgetW);
    b.window(kBudgetW);
    EXPECT_EQ(a.move.mode, b.move.mode);
  }
}

TEST(Governor, RefusesBadInput) {
  Running running;
  EXPECT_THROW(running.governor.next(0), std::invalid_argument);
  EXPECT_THROW(running.governor.next(std::nan("")), std::invalid_argument);
  EXPECT_THROW(running.governor.tell(hw::PowerMode{1, 1}, {7, 3}), std::invalid_argument);
  EXPECT_THROW(running.governor.tell(tests::example_space()->at(0), {-7, 3}), std::invalid_argument);
  EXPECT_THROW(running.governor.moved(-1), std::invalid_argument);
  EXPECT_THROW(running.governor.moved(std::nan("")), std::invalid_argument);
  EXPECT_THROW(Governor(tests::example_space(), sim_only(), {.confidence = 1}), std::invalid_argument);
  EXPECT_THROW(Governor(tests::example_space(), sim_only(), {.candidates = 0}), std::invalid_argument);
  EXPECT_THROW(Governor(tests::example_space(), nullptr), std::invalid_argument);
  Governor unsure(tests::example_space(), std::make_shared<Physics>());
  unsure.tell(tests::example_space()->at(0), {7, 3});
  EXPECT_THROW(unsure.next(kBudgetW), std::invalid_argument);
}

}  // namespace govern_test
}  // namespace fewwatt::learners
