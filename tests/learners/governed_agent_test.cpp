#include "learners/control/governed_agent.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_policies.hpp"

namespace fewwatt::learners {
namespace governed_agent_test {

using hw::PowerMode;

constexpr double kBudgetW = 5.3;
// They draw 2, 4 and 8 W.
const PowerMode kLowest{250'000, 250'000}, kMiddle{500'000, 500'000}, kHighest{1'000'000, 1'000'000};

std::shared_ptr<const Learner> sim_only() {
  static const auto made = std::shared_ptr<const Learner>(make_learner("sim_only"));
  return made;
}

// What an agent was told.
struct Told {
  std::size_t measured = 0, rejected = 0;
};

// Asks for what a function says.
class Scripted final : public Controller {
 public:
  using Says = std::function<std::optional<PowerMode>(const Context&)>;
  Scripted(Says says, Told& told) : says_(std::move(says)), told_(&told) {}
  std::optional<PowerMode> next(const Context& context) override { return says_(context); }
  void tell(const PowerMode&, const hw::Measurement& measurement) override {
    ++(std::isnan(measurement.power_w) ? told_->rejected : told_->measured);
  }
  std::optional<Answer> answer() override { return std::nullopt; }

 private:
  Says says_;
  Told* told_;
};

// The example board's workload with an agent in a governor.
struct Running {
  explicit Running(Scripted::Says says)
      : governor(space, sim_only()), agent(governor, std::make_unique<Scripted>(std::move(says), told)) {}
  // A window; whether it was over the budget.
  bool window(double budget_w = kBudgetW) {
    move = agent.next(budget_w);
    const double power_w = tests::example_power_w(move.mode);
    agent.tell(move.mode, {tests::example_time_ms(move.mode), power_w});
    return power_w > budget_w;
  }

  std::shared_ptr<const hw::PowerModeSpace> space = tests::example_space();
  Told told;
  Governor governor;
  GovernedAgent agent;
  Governor::Move move;
};

TEST(GovernedAgent, RunsWhatTheAgentProposesInsideTheBudget) {
  Running running([](const Context&) { return kMiddle; });
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(running.window());
    EXPECT_EQ(running.move.mode, kMiddle);
    EXPECT_EQ(running.move.reason, MoveReason::agent);
  }
  EXPECT_EQ(to_string(MoveReason::agent), "agent");
  EXPECT_EQ(running.told.measured, 5u);
}

TEST(GovernedAgent, AModeThatWasMeasuredOverTheBudgetIsLeftForTheGovernors) {
  Running running([](const Context&) { return kHighest; });
  EXPECT_TRUE(running.window());
  int over = 0;
  for (int i = 0; i < 20; ++i) {
    over += running.window() ? 1 : 0;
    EXPECT_NE(running.move.mode, kHighest) << i;
    EXPECT_NE(running.move.reason, MoveReason::agent) << i;
  }
  EXPECT_LE(over, 1);  // where the governor errs
  // A higher budget allows it again.
  running.window(20);
  EXPECT_EQ(running.move.mode, kHighest);
  EXPECT_EQ(running.move.reason, MoveReason::agent);
}

TEST(GovernedAgent, IsNotOverTheBudgetForTwoWindowsWhateverTheAgentWants) {
  int over = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    hw::Rng rng(seed);
    const auto modes = tests::example_space()->modes();
    Running running([&](const Context&) { return modes[rng.below(modes.size())]; });
    bool before = false;
    for (int i = 0; i < 30; ++i) {
      const bool now = running.window();
      over += now ? 1 : 0;
      EXPECT_FALSE(before && now) << "seed " << seed << ", window " << i;
      before = now;
    }
  }
  EXPECT_GT(over, 5);
}

TEST(GovernedAgent, AModeThatFitsOnAverageIsLeftAfterAWindowOverTheBudget) {
  // A device that measures what is written here, whatever runs.
  std::size_t asked = 0;
  Running running([&](const Context&) { return asked++ == 0 ? kLowest : kMiddle; });
  const auto window = [&](double power_w) {
    running.move = running.agent.next(4.02);
    running.agent.tell(running.move.mode, {tests::example_time_ms(running.move.mode), power_w});
    return running.move.mode;
  };
  EXPECT_EQ(window(2.0), kLowest);
  EXPECT_EQ(window(3.98), kMiddle);
  EXPECT_EQ(window(3.99), kMiddle);
  EXPECT_EQ(window(4.03), kMiddle);  // over by 0.2 %, and the mean of all is inside
  EXPECT_FALSE(running.governor.avoids(kMiddle, 4.02));
  EXPECT_EQ(window(2.0), kLowest);  // the only one of which all windows were inside
}

TEST(GovernedAgent, AfterAWindowOverTheBudgetOnlyWhatWasMeasuredInsideRuns) {
  std::size_t over = 0, others = 0;  // others: not the lowest
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    hw::Rng rng(seed);
    const auto modes = tests::example_space()->modes();
    Running running([&](const Context&) { return modes[rng.below(modes.size())]; });
    std::map<PowerMode, double> most;  // power that was measured, since the workload has changed
    double last = 0;
    for (int i = 0; i < 40; ++i) {
      const auto mode = running.agent.next(kBudgetW).mode;
      if (last > kBudgetW) {
        ++over;
        others += mode == kLowest ? 0 : 1;
        if (mode != kLowest) {
          ASSERT_TRUE(most.contains(mode)) << "seed " << seed << ", window " << i;
          EXPECT_LE(most[mode], kBudgetW * kBudgetW / last);
        }
      }
      last = tests::example_power_w(mode) * std::exp(0.01 * rng.normal());
      if (running.agent.tell(mode, {tests::example_time_ms(mode), last})) most.clear();
      most[mode] = std::max(most[mode], last);
    }
  }
  EXPECT_GT(over, 10U);
  EXPECT_GT(others, 2U);
}

TEST(GovernedAgent, ALowerBudgetIsMetAtOnce) {
  Running running([](const Context&) { return kHighest; });
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(running.window(9));
  EXPECT_FALSE(running.window(4.5));
  int over = 0;
  for (int i = 0; i < 10; ++i) over += running.window(4.5) ? 1 : 0;
  EXPECT_LE(over, 1);  // where the governor errs
}

TEST(GovernedAgent, AfterAWindowOverTheBudgetALowerModeIsTheAgentsOwn) {
  int asked = 0;
  Running running([&](const Context&) { return asked++ == 0 ? kHighest : kLowest; });
  EXPECT_TRUE(running.window());
  EXPECT_FALSE(running.window());
  EXPECT_EQ(running.move.mode, kLowest);
  EXPECT_EQ(running.move.reason, MoveReason::agent);
}

TEST(GovernedAgent, AModeThatWasRejectedIsLeftAloneForAWhile) {
  constexpr double all_fit = 9;
  Running running([](const Context&) { return kMiddle; });
  running.window(all_fit);
  EXPECT_EQ(running.agent.next(all_fit).mode, kMiddle);
  running.agent.reject(kMiddle);
  EXPECT_EQ(running.told.rejected, 1u);
  for (std::size_t i = 0; i < GovernorOptions().rejected_for; ++i) {
    running.window(all_fit);
    EXPECT_NE(running.move.mode, kMiddle) << i;
  }
  running.window(all_fit);
  EXPECT_EQ(running.move.mode, kMiddle);
}

TEST(GovernedAgent, WhereTheAgentProposesNothingTheGovernorDecides) {
  Running running([](const Context&) { return std::optional<PowerMode>(); });
  Governor alone(running.space, sim_only());
  for (int i = 0; i < 10; ++i) {
    const auto expected = alone.next(kBudgetW);
    const bool over = running.window();
    EXPECT_EQ(running.move.mode, expected.mode);
    EXPECT_EQ(running.move.reason, expected.reason);
    if (over) return;  // then it must be a mode that was measured inside
    alone.tell(expected.mode, {tests::example_time_ms(expected.mode), tests::example_power_w(expected.mode)});
  }
}

TEST(GovernedAgent, ABudgetBelowEveryModeEndsInTheLowest) {
  Running running([](const Context&) { return kHighest; });
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(running.window(1));
  EXPECT_EQ(running.move.mode, kLowest);
}

TEST(GovernedAgent, TakesAPolicyAndWindowsWithoutTimeOrPower) {
  const auto space = tests::example_space();
  auto model = tests::made_mode_policy(*space);
  model.mdp->task = tasks::ModeTask::run;
  Governor governor(space, sim_only());
  GovernedAgent agent(governor, policy_controller(model, space, {}, 1));
  const double nan = std::nan("");
  for (int i = 0; i < 30; ++i) {
    const auto move = agent.next(kBudgetW);
    ASSERT_TRUE(space->index_of(move.mode));
    const double time = tests::example_time_ms(move.mode), power = tests::example_power_w(move.mode);
    if (i % 5 == 4)
      agent.reject(move.mode);
    else
      agent.tell(move.mode, {i % 5 == 2 ? nan : time, i % 5 == 3 ? nan : power});
  }
}

TEST(GovernedAgent, NeedsAnAgent) {
  Governor governor(tests::example_space(), sim_only());
  EXPECT_THROW(GovernedAgent(governor, nullptr), std::invalid_argument);
}

}  // namespace governed_agent_test
}  // namespace fewwatt::learners
