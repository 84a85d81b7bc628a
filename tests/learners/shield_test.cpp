#include "learners/control/shield.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/registry.hpp"
#include "tasks/world.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace shield_test {

std::shared_ptr<const Learner> learner(std::string_view name) {
  return std::shared_ptr<const Learner>(make_learner(name));
}

class ShieldOfExample : public testing::Test {
 protected:
  Shield shield(double confidence = 0.9, std::string_view name = "sim_only") const {
    Shield made(space, learner(name), confidence);
    for (std::size_t i = 0; i < modes.size(); i += 2)
      made.tell(modes[i], {tests::example_time_ms(modes[i]), tests::example_power_w(modes[i])});
    return made;
  }
  static std::size_t count(const std::vector<char>& allowed) {
    return static_cast<std::size_t>(std::count(allowed.begin(), allowed.end(), 1));
  }
  std::shared_ptr<const hw::PowerModeSpace> space = tests::example_space();
  std::vector<hw::PowerMode> modes = space->modes();
};

TEST_F(ShieldOfExample, AllowsWhatKeepsTheBudgetWithTheConfidence) {
  auto made = shield();
  const auto allowed = made.allowed(modes, 5);
  ASSERT_EQ(allowed.size(), modes.size());
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (const double power = tests::example_power_w(modes[i]); power < 4 || power > 5.5) {
      EXPECT_EQ(allowed[i] != 0, power < 4) << i;
    }
  }
  tasks::Samples support{space, {}, Matrix(static_cast<Eigen::Index>((modes.size() + 1) / 2), 2)};
  for (std::size_t i = 0; i < modes.size(); i += 2) {
    support.targets.row(static_cast<Eigen::Index>(support.modes.size())) << tests::example_time_ms(modes[i]),
        tests::example_power_w(modes[i]);
    support.modes.push_back(modes[i]);
  }
  const auto prediction = learner("sim_only")->adapt(support)->predict(modes);
  for (std::size_t i = 0; i < modes.size(); ++i)
    EXPECT_EQ(allowed[i] != 0,
              probability_below(
                  std::log(5), prediction.log_mean(static_cast<Eigen::Index>(i), tasks::kPowerW),
                  prediction.latent_log_variance(static_cast<Eigen::Index>(i), tasks::kPowerW)) >= 0.9)
        << i;
}

TEST_F(ShieldOfExample, AHigherBudgetAndLessConfidenceAllowMore) {
  std::size_t before = 0;
  for (const double budget_w : {2.5, 4.0, 6.0, 9.0}) {
    auto made = shield();
    const auto now = count(made.allowed(modes, budget_w));
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_EQ(before, modes.size());
  auto sure = shield(0.999), unsure = shield(0.1);
  EXPECT_LT(count(sure.allowed(modes, 5)), count(unsure.allowed(modes, 5)));
}

TEST_F(ShieldOfExample, OfManyThatBreakTheBudgetOneIsAllowed) {
  auto made = shield();
  const auto allowed = made.allowed(modes, 0.01);
  EXPECT_EQ(count(allowed), 1u);
  EXPECT_LT(
      tests::example_power_w(
          modes[static_cast<std::size_t>(std::find(allowed.begin(), allowed.end(), 1) - allowed.begin())]),
      4);
}

TEST_F(ShieldOfExample, AllowsAllWhereNothingIsKnown) {
  Shield made(space, learner("sim_only"));
  EXPECT_EQ(count(made.allowed(modes, 0.01)), modes.size());
  made.tell(modes[0], {10, std::nan("")});
  made.tell(modes[0], {10, -1});
  EXPECT_EQ(count(made.allowed(modes, 0.01)), modes.size());
  made.tell(modes[0], {10, 5});
  EXPECT_EQ(count(made.allowed(modes, 0.01)), 1u);
  EXPECT_EQ(count(made.allowed(modes, tasks::kNoBudget)), modes.size());
  EXPECT_TRUE(made.allowed({}, 5).empty());
}

TEST_F(ShieldOfExample, MeasurementsOfAModeAreAveraged) {
  auto made = shield(), other = shield();
  const hw::Measurement cost{tests::example_time_ms(modes[1]), tests::example_power_w(modes[1])};
  for (const double factor : {1.1, 1 / 1.1, 1.0})
    made.tell(modes[1], {cost.time_ms * factor, cost.power_w * factor});
  for (int i = 0; i < 3; ++i) other.tell(modes[1], cost);
  for (const double budget_w : {3.0, 4.0, 5.0, 6.0})
    EXPECT_EQ(made.allowed(modes, budget_w), other.allowed(modes, budget_w));
}

TEST_F(ShieldOfExample, AModeThatIsMeasuredAgainAndAgainIsJudgedByItsPower) {
  // A hundredth beside the budget, with the usual noise: one measurement cannot tell.
  Shield made(space, learner("gp"));
  made.tell(modes[0], {tests::example_time_ms(modes[0]), tests::example_power_w(modes[0])});
  const double power_w = tests::example_power_w(modes[5]);
  for (int i = 0; i < 50; ++i) made.tell(modes[5], {tests::example_time_ms(modes[5]), power_w});
  EXPECT_NE(made.allowed(modes, 1.01 * power_w)[5], 0);
  EXPECT_EQ(made.allowed(modes, 0.99 * power_w)[5], 0);
}

TEST_F(ShieldOfExample, WhatWasMeasuredBeforeTheWorkloadChangedIsForgotten) {
  // From some measurement on, all modes need twice the power and the time.
  const auto run = [&](std::optional<ChangeOptions> changes) {
    Shield made(space, learner("sim_only"), 0.9, changes);
    for (const double factor : {1.0, 2.0})
      for (std::size_t i = 0; i < 12; ++i) {
        const auto& mode = modes[(i % 4) * 2];
        made.tell(mode, {factor * tests::example_time_ms(mode), factor * tests::example_power_w(mode)});
      }
    return made.allowed(modes, 6);
  };
  const auto forgetting = run(ChangeOptions()), keeping = run(std::nullopt);
  Shield fresh(space, learner("sim_only"));
  for (std::size_t i = 0; i < 4; ++i)
    fresh.tell(modes[i * 2],
               {2 * tests::example_time_ms(modes[i * 2]), 2 * tests::example_power_w(modes[i * 2])});
  EXPECT_EQ(forgetting, fresh.allowed(modes, 6));
  // Without a change both are the same.
  Shield steady(space, learner("sim_only"), 0.9, ChangeOptions()), plain(space, learner("sim_only"));
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const hw::Measurement measured{tests::example_time_ms(modes[i]), tests::example_power_w(modes[i])};
    steady.tell(modes[i], measured);
    plain.tell(modes[i], measured);
  }
  EXPECT_EQ(steady.allowed(modes, 5), plain.allowed(modes, 5));
  EXPECT_EQ(keeping.size(), modes.size());
}

TEST_F(ShieldOfExample, MisuseIsRefused) {
  EXPECT_THROW(Shield(space, nullptr), std::invalid_argument);
  EXPECT_THROW(shield(0), std::invalid_argument);
  EXPECT_THROW(shield(1), std::invalid_argument);
  const auto* uncertain_not = [] {
    for (const auto& entry : builtin().learners)
      if (!entry.gives_uncertainty && !entry.needs_checkpoint) return entry.name.c_str();
    return "";
  }();
  ASSERT_STRNE(uncertain_not, "");
  auto made = shield(0.9, uncertain_not);
  EXPECT_THROW(made.allowed(modes, 5), std::invalid_argument);
}

}  // namespace shield_test
}  // namespace fewwatt::learners
