#include "learners/optimize/schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/learners/schedule_instances.hpp"

namespace fewwatt::learners {
namespace schedule_test {

using hw::KnobRole;
using tests::brute_force;
using tests::random_instance;
using tests::random_model;

TEST(BestTurns, EqualsBruteForce) {
  int fit = 0, switched = 0, shared = 0, four = 0;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    const auto asked = random_instance(seed);
    const auto problem =
        turns_problem(asked.turns, asked.objective, asked.budget, asked.switching, asked.one_setting);
    const auto found = totals_of(problem, best_turns(problem));
    const auto [excess, score] = brute_force(problem);
    EXPECT_NEAR(found.excess / excess, 1, 1e-12) << seed;
    EXPECT_TRUE(excess > 1 || std::abs(found.score / score - 1) < 1e-12) << seed;
    fit += found.fits();
    switched += found.fast_switches > 0 && found.slow_switches > 0;
    shared += found.fast_switches + found.slow_switches == 0;
    four += asked.turns.size() == 4;
  }
  // The instances are of every kind.
  EXPECT_GT(fit, 500);
  EXPECT_LT(fit, 1400);
  EXPECT_GT(switched, 20);
  EXPECT_GT(shared, 200);
  EXPECT_GT(four, 300);
}

TEST(BestTurns, OneWorkloadIsChosenAsChooseDoes) {
  hw::Rng rng(5);
  for (int round = 0; round < 300; ++round) {
    const Model model = random_model(rng);
    const Turn turn{{&model}, 1};
    const PowerBudget budget{.max_power_w = 3 + rng.uniform() * 19, .max_time_ms = 5 + rng.uniform() * 19};
    for (const auto& objective : {Objective::time, Objective::energy, Objective::edp}) {
      const auto problem = turns_problem({&turn, 1}, objective, budget, {}, false);
      const auto picks = best_turns(problem);
      const auto totals = totals_of(problem, picks);
      const auto choice = choose(model.prediction, objective, budget);
      ASSERT_EQ(totals.fits(), choice.has_value());
      if (!choice) continue;
      const auto row = static_cast<Eigen::Index>(*choice);
      const auto& logs = model.prediction.log_mean;
      EXPECT_NEAR(totals.score / std::exp(objective.log_score(logs(row, 0), logs(row, 1))), 1, 1e-12);
    }
  }
}

// Of two modes: ms, W.
Prediction stated(const std::array<std::array<double, 2>, 2>& rows) {
  Matrix medians(2, 2);
  medians << rows[0][0], rows[0][1], rows[1][0], rows[1][1];
  return Prediction::of_medians(medians);
}

// Two settings; each workload is better off in its own one.
TEST(BestTurns, SwitchingPaysOnlyWhenTurnsAreLong) {
  Model a, b;
  for (Model* model : {&a, &b}) {
    model->device = "board";
    model->space =
        std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid({{KnobRole::mem_khz, {1, 2}}}));
  }
  a.prediction = stated({{{10, 20}, {14, 10}}});  // fast where it needs 20 W
  b.prediction = stated({{{30, 10}, {20, 10}}});
  const std::vector<Turn> turns = {{{&a}, 0.5}, {{&b}, 0.5}};
  const auto solve = [&](double units, double max_power_w) {
    const auto problem = turns_problem(turns, Objective::time, {.max_power_w = max_power_w},
                                       {.fast_ms = 1, .slow_ms = 100, .units = units}, false);
    return totals_of(problem, best_turns(problem));
  };
  // Both in the second setting take 17 ms per unit; in their own ones 15 ms and two changes of 100 ms per round.
  EXPECT_NEAR(solve(90, INFINITY).time_ms, 17, 1e-12);
  EXPECT_EQ(solve(90, INFINITY).slow_switches, 0);
  EXPECT_NEAR(solve(200, INFINITY).time_ms, 16, 1e-12);
  EXPECT_EQ(solve(200, INFINITY).slow_switches, 2);
  // (10 ms 20 W + 20 ms 10 W) / 2, and per round 100 ms at 20 W and 100 ms at 10 W.
  EXPECT_NEAR(solve(200, INFINITY).energy_j, 0.2 + 3.0 / 200, 1e-12);
  EXPECT_NEAR(solve(200, 12).time_ms, 17, 1e-12);  // the limit holds at every moment, not on average
  EXPECT_NEAR(solve(200, 5).excess, 2, 1e-12);
}

TEST(BestTurns, AWorkloadThatCannotKeepTheLimitDoesNotLoosenItForOthers) {
  Model a, b;
  for (Model* model : {&a, &b}) {
    model->device = "board";
    model->space =
        std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid({{KnobRole::mem_khz, {1, 2}}}));
  }
  a.prediction = stated({{{30, 20}, {10, 25}}});  // 20 W at least
  b.prediction = stated({{{30, 10}, {10, 19}}});
  const std::vector<Turn> turns = {{{&a}, 0.5}, {{&b}, 0.5}};
  const auto problem = turns_problem(turns, Objective::time, {.max_power_w = 10}, {}, false);
  EXPECT_NEAR(problem.power_excess, 2, 1e-12);
  const auto picks = best_turns(problem);
  EXPECT_EQ(problem.options[0][picks[0]].setting, 0u);
  EXPECT_EQ(problem.options[1][picks[1]].setting, 0u);  // 10 W, although 19 W is less than a's 20
}

TEST(BestTurns, ConstantTimeOrPowerIsNoTrouble) {
  hw::Rng rng(7);
  for (const int target : {0, 1}) {
    std::vector<Model> models = {random_model(rng), random_model(rng)};
    for (auto& model : models) model.prediction.log_mean.col(target).setConstant(std::log(5));
    const std::vector<Turn> turns = {{{&models[0]}, 0.3}, {{&models[1]}, 0.7}};
    for (const bool one_setting : {false, true}) {
      const auto problem = turns_problem(turns, Objective::edp, {.max_time_ms = 50},
                                         {.fast_ms = 1, .slow_ms = 2}, one_setting);
      EXPECT_NEAR(totals_of(problem, best_turns(problem)).score / brute_force(problem).second, 1, 1e-12);
    }
  }
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(TurnsProblem, NamesWhatIsWrong) {
  hw::Rng rng(9);
  Model a = random_model(rng), b = random_model(rng);
  const auto problem = [&](double share, const Objective& objective = Objective::time,
                           const PowerBudget& budget = {}, const Switching& switching = {}) {
    const std::vector<Turn> turns = {{{&a}, share}, {{&b}, 0.5}};
    return refusal([&] { turns_problem(turns, objective, budget, switching, false); });
  };
  EXPECT_EQ(problem(0.5), "");
  EXPECT_NE(problem(0.4).find("sum to 1"), std::string::npos);
  EXPECT_NE(problem(-0.5).find("share"), std::string::npos);
  EXPECT_NE(problem(0.5, Objective::power).find("idling"), std::string::npos);
  EXPECT_NE(problem(0.5, Objective::time, {.max_power_w = 0}).find("max_power_w"), std::string::npos);
  EXPECT_NE(problem(0.5, Objective::time, {}, {.fast_ms = 2, .slow_ms = 1}).find("slow_ms"),
            std::string::npos);
  EXPECT_NE(problem(0.5, Objective::time, {}, {.units = 0}).find("units"), std::string::npos);
  b.device = "other";
  EXPECT_NE(problem(0.5).find("different boards: board/"), std::string::npos);
  b.device = "board";
  b.prediction.log_mean.col(1).setConstant(std::nan(""));
  EXPECT_EQ(problem(0.5), "");
  EXPECT_NE(problem(0.5, Objective::energy).find(b.workload + " has no power"), std::string::npos);
  b = random_model(rng);
  tests::forget_uncertainty(b.prediction);
  EXPECT_NE(problem(0.5, Objective::time, {.max_power_w = 5, .confidence = 0.9}).find("uncertainty"),
            std::string::npos);
  b.space =
      std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid({{KnobRole::cpu_cores, {2, 4}}}));
  EXPECT_NE(problem(0.5).find("different knobs"), std::string::npos);
}

TEST(TurnsProblem, WaysOfRunningOneWorkloadCountInOneUnit) {
  hw::Rng rng(10);
  Model small = random_model(rng), large = small;
  small.attributes.batch_size = 16;
  large.attributes.batch_size = 32;
  const Turn turn{{&small, &large}, 1};
  const auto problem = turns_problem({&turn, 1}, Objective::time, {}, {}, false);
  ASSERT_EQ(problem.options[0].size(), 16U);  // twice the work in the same time
  EXPECT_EQ(problem.options[0][1].time_ms, problem.options[0][0].time_ms / 2);
  EXPECT_EQ(problem.options[0][best_turns(problem)[0]].model, 1U);
  large.attributes.batch_size.reset();
  EXPECT_NE(refusal([&] {
              turns_problem({&turn, 1}, Objective::time, {}, {}, false);
            }).find("same unit"),
            std::string::npos);
}

TEST(Shares, AreNormalisedAndNegativeOnesAreNone) {
  EXPECT_EQ(normalised_shares(std::vector<double>{1, 3}), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(normalised_shares(std::vector<double>{-0.5, 0, 1, 3}), (std::vector<double>{0, 0, 0.25, 0.75}));
  for (const double bad : {double{NAN}, double{INFINITY}, -double{INFINITY}})
    EXPECT_THROW(normalised_shares(std::vector<double>{0.5, bad}), std::invalid_argument) << bad;
  EXPECT_THROW(normalised_shares(std::vector<double>{0, -1}), std::invalid_argument);
  EXPECT_THROW(normalised_shares(std::vector<double>{1e308, 1e308}), std::invalid_argument);
}

}  // namespace schedule_test
}  // namespace fewwatt::learners
