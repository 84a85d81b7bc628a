#include "learners/control/dyna.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/registry.hpp"
#include "tasks/value_iteration.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace dyna_test {

constexpr double kBudgetW = 5.3;

hw::Measurement example(const hw::PowerMode& mode) {
  return {tests::example_time_ms(mode), tests::example_power_w(mode)};
}

std::shared_ptr<const Learner> learner() {
  static const auto made = std::shared_ptr<const Learner>(make_learner("sim_only"));
  return made;
}

DynaOptions with_seed(std::uint64_t seed) {
  DynaOptions options;
  options.seed = seed;
  return options;
}

double fastest_ms() {
  double least = HUGE_VAL;
  for (const auto& mode : tests::example_space()->modes())
    if (tests::example_power_w(mode) <= kBudgetW) least = std::min(least, tests::example_time_ms(mode));
  return least;
}

// Where every mode was measured, the model is the truth, and planning finds the optimal values.
TEST(DynaController, PlansTheOptimalValuesOfItsModel) {
  const auto space = tests::example_space();
  DynaOptions options;
  options.planning = 200'000;
  options.epsilon = 0.5;
  DynaController dyna(space, learner(), options);
  const auto modes = space->modes();
  for (const auto& mode : modes) dyna.tell(mode, example(mode));
  dyna.next({kBudgetW});

  tasks::ModeMdpOptions moving;
  moving.actions = tasks::ModeActionKind::move;
  const tasks::ModeActions actions(space, moving, 0);
  tasks::FiniteMdp mdp{modes.size(), actions.size(), {}};
  for (const auto& from : modes)
    for (std::size_t a = 0; a < actions.size(); ++a) {
      const auto to = actions.target(a, from);
      const double reward =
          tasks::mode_worth(moving, example(to), kBudgetW, example(modes.front()).time_ms, false);
      mdp.outcomes.push_back({{.next = space->index_of(to).value(), .reward = reward}});
    }
  const auto optimal = tasks::optimal_action_values(mdp, options.discount);
  EXPECT_LE((dyna.values() - optimal).cwiseAbs().maxCoeff(),
            0.01 * (optimal.maxCoeff() - optimal.minCoeff()));
}

TEST(DynaController, FindsTheFastestModeInsideTheBudgetWithoutMeasuringAll) {
  const auto space = tests::example_space();
  int found = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    DynaController dyna(space, learner(), with_seed(seed));
    for (double left = 10; left > 0; --left) {
      const auto mode = dyna.next({kBudgetW, left}).value();
      dyna.tell(mode, example(mode));
    }
    const auto answer = dyna.answer();
    ASSERT_TRUE(answer);
    found += answer->time_ms <= 1.001 * fastest_ms() ? 1 : 0;
  }
  EXPECT_GE(found, 4);
}

TEST(DynaController, MovesOneKnobByOneLevelAtATime) {
  const auto space = tests::example_space();
  DynaController dyna(space, learner());
  auto before = dyna.next({kBudgetW}).value();
  EXPECT_EQ(before, space->lowest());
  for (int i = 0; i < 15; ++i) {
    dyna.tell(before, example(before));
    const auto mode = dyna.next({kBudgetW}).value();
    int levels = 0;
    for (std::size_t k = 0; k < 2; ++k) {
      const auto& all = space->knobs()[k].levels;
      levels += static_cast<int>(std::abs(std::find(all.begin(), all.end(), mode[k]) -
                                          std::find(all.begin(), all.end(), before[k])));
    }
    EXPECT_LE(levels, 1);
    before = mode;
  }
}

TEST(DynaController, ANewBudgetBringsANewPlan) {
  const auto space = tests::example_space();
  auto options = with_seed(0);
  options.epsilon = 0;
  DynaController dyna(space, learner(), options);
  for (const auto& mode : space->modes()) dyna.tell(mode, example(mode));
  const auto end_of = [&](double budget_w) {
    hw::PowerMode mode;
    for (int i = 0; i < 8; ++i) {
      mode = dyna.next({budget_w}).value();
      dyna.tell(mode, example(mode));
    }
    return mode;
  };
  EXPECT_EQ(end_of(tasks::kNoBudget), space->modes().back());
  EXPECT_LE(tests::example_power_w(end_of(3)), 3);
}

TEST(DynaController, TheSameSeedAsksForTheSameModes) {
  const auto asked = [](std::uint64_t seed) {
    auto options = with_seed(seed);
    options.epsilon = 0.9;
    DynaController dyna(tests::example_space(), learner(), options);
    std::vector<hw::PowerMode> all;
    for (int i = 0; i < 12; ++i) {
      all.push_back(dyna.next({kBudgetW}).value());
      dyna.tell(all.back(), example(all.back()));
    }
    return all;
  };
  EXPECT_EQ(asked(1), asked(1));
  EXPECT_NE(asked(1), asked(2));
}

TEST(DynaController, MisuseIsRefused) {
  const auto error = [](auto change) {
    DynaOptions options;
    change(options);
    EXPECT_THROW(DynaController(tests::example_space(), learner(), options), std::invalid_argument);
    return options.error();
  };
  EXPECT_NE(error([](auto& o) { o.discount = 1; }).find("discount"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.epsilon = -1; }).find("epsilon"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.lambda = -1; }).find("lambda"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.planning = 20'000'000; }).find("planning"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.horizon = 0; }).find("horizon"), std::string::npos);
  EXPECT_THROW(DynaController(tests::example_space(), nullptr), std::invalid_argument);
  std::vector<int> levels;
  for (int i = 1; i <= 150; ++i) levels.push_back(i);
  const auto large = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, levels}, {hw::KnobRole::gpu_khz, levels}}));
  EXPECT_THROW(DynaController(large, learner()), std::invalid_argument);
}

}  // namespace dyna_test
}  // namespace fewwatt::learners
