#include "benchmarks/metrics.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace fewwatt::benchmarks {
namespace metrics_test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Five modes, each faster and hungrier than the one before.
Matrix ladder() {
  Matrix measured(5, 2);
  measured << 50, 10, 40, 20, 30, 30, 20, 40, 10, 50;
  return measured;
}

TEST(Quantile, IsLinearBetweenOrderStatistics) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.9), 7);
}

TEST(Quantile, InfinityIsAValueAndNeverTurnsIntoNan) {
  EXPECT_DOUBLE_EQ(quantile({1, kInfinity, 2}, 0.5), 2);  // an order statistic: not touched by its neighbour
  EXPECT_EQ(quantile({1, kInfinity}, 0.5), kInfinity);
  EXPECT_EQ(quantile({kInfinity, kInfinity, 1}, 0.75), kInfinity);
}

TEST(Quantile, OfNothingThrows) {
  EXPECT_THROW(quantile({}, 0.5), std::invalid_argument);
}

TEST(Mape, IsTheMeanRelativeErrorInPercent) {
  const std::vector<double> predicted{110, 40, 20}, measured{100, 50, 20};
  EXPECT_DOUBLE_EQ(mape(predicted, measured), (10.0 + 20.0 + 0.0) / 3);
}

TEST(Mape, RefusesPredictionsThatAreNoNumbers) {
  const std::vector<double> measured{1, 2};
  EXPECT_THROW(mape(std::vector{1, std::nan("")}, measured), std::invalid_argument);
  EXPECT_THROW(mape(std::vector{1, kInfinity}, measured), std::invalid_argument);
  EXPECT_THROW(mape(std::vector{1.0}, measured), std::invalid_argument);
  EXPECT_THROW(mape({}, {}), std::invalid_argument);
}

TEST(Coverage, CountsWhatLiesInsideTheNinetyPercentInterval) {
  // Of logs: 1.6449 standard deviations; 1.6 is inside, 1.7 outside.
  const std::vector<double> log_mean{1, 1, 1, 1}, log_variance{1, 1, 1, 0.25};
  std::vector<double> measured;
  for (const double z : {1.6, -1.7, 0.0, 1.8}) measured.push_back(std::exp(1 + z));
  measured.back() = std::exp(1 + 0.5 * 1.8);
  EXPECT_DOUBLE_EQ(coverage90(log_mean, log_variance, measured), 50);
}

TEST(Metrics, CentralProbabilityIsThatOfTheIntervalThatJustHolds) {
  EXPECT_NEAR(central_probability(1, 4, std::exp(1 + 2 * 1.6448536269514722)), 0.9, 1e-12);
  EXPECT_NEAR(central_probability(1, 4, std::exp(1 - 2 * 0.6744897501960817)), 0.5, 1e-12);
  EXPECT_EQ(central_probability(0, 1, 1), 0);
}

TEST(NegativeLogLikelihood, IsThatOfTheLogNormalDensity) {
  const std::vector<double> log_mean{0, 1}, log_variance{1, 4}, measured{std::exp(1), std::exp(1)};
  const double first = 0.5 * std::log(2 * M_PI) + 0.5 + 1,
               second = 0.5 * std::log(2 * M_PI) + std::log(2.0) + 1;
  EXPECT_NEAR(negative_log_likelihood(log_mean, log_variance, measured), (first + second) / 2, 1e-12);
}

// CRPS = int (F(y) - [y >= measured])^2 dy
TEST(RelativeCrps, IsTheIntegralOfItsDefinition) {
  for (const double measured : {6.0, 10.0, 25.0}) {
    const double log_mean = std::log(11), log_variance = 0.09, step = 1e-3;
    double integral = 0;
    for (double y = step / 2; y < 400; y += step) {
      const double below = learners::normal_cdf((std::log(y) - log_mean) / 0.3);
      integral += step * std::pow(below - (y >= measured ? 1 : 0), 2);
    }
    EXPECT_NEAR(relative_crps(std::vector{log_mean}, std::vector{log_variance}, std::vector{measured}),
                100 * integral / measured, 1e-3);
  }
}

TEST(RelativeCrps, IsTheErrorOfTheMedianWhereThePredictionIsSure) {
  const std::vector<double> measured{10, 10}, medians{11, 8};
  const std::vector<double> log_mean{std::log(11), std::log(8)}, log_variance{1e-14, 1e-14};
  EXPECT_NEAR(relative_crps(log_mean, log_variance, measured), mape(medians, measured), 1e-5);
}

TEST(Budgets, SpanTheTenthToTheNinetiethPercentileOfPower) {
  const std::vector<double> power{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  EXPECT_EQ(budgets_of({.count = 5}, power), (std::vector<double>{10, 30, 50, 70, 90}));
  EXPECT_EQ(budgets_of({.count = 1}, power), (std::vector<double>{50}));
}

TEST(Budgets, OfARangeIncludeBothEnds) {
  const auto budgets = budgets_of({.count = 0, .first_w = 17, .last_w = 50, .step_w = 1}, {});
  ASSERT_EQ(budgets.size(), 34u);
  EXPECT_EQ(budgets.front(), 17);
  EXPECT_EQ(budgets.back(), 50);
  EXPECT_EQ(budgets_of({.count = 0, .first_w = 0.1, .last_w = 0.7, .step_w = 0.1}, {}).size(), 7u);
}

TEST(Decisions, OfAPerfectPredictorCostNothing) {
  const std::vector<Decision> decisions{{15, 0}, {25, 1}, {39.9, 2}, {45, 3}};
  const auto scores = score(decisions, ladder(), {});
  EXPECT_EQ(scores.counted, 4u);
  EXPECT_EQ(scores.time_penalty, 0);
  EXPECT_EQ(scores.over_budget, 0);
  EXPECT_EQ(scores.excess_w, 0);
  EXPECT_EQ(*scores.strict_regret, 0);
  EXPECT_EQ(*scores.violations, 0);
}

TEST(Decisions, AreScoredAsByHand) {
  // Budget 25: optimum 40 ms; chose 50 ms, penalty 25 %.       Budget 35: optimum 30 ms; chose 10 ms at 50 W,
  // 15 W over. Budget 39.5: optimum 30 ms; chose 20 ms at 40 W, 0.5 W over. Budget 45: optimum 20 ms; no
  // choice. Budget 60: the fastest mode meets it; chose 20 ms, penalty 100 %, not counted.
  const std::vector<Decision> decisions{{25, 0}, {35, 4}, {39.5, 3}, {45, std::nullopt}, {60, 3}};
  const auto scores = score(decisions, ladder(), {.watts = 1, .fraction = 0});
  // Penalties: 25, 10/30 - 1, 20/30 - 1, 100 -> median of {-66.7, -33.3, 25, 100}.
  EXPECT_NEAR(scores.time_penalty, (25 - 100.0 / 3) / 2, 1e-9);
  EXPECT_DOUBLE_EQ(scores.over_budget, 40);
  EXPECT_DOUBLE_EQ(scores.over_budget_1w, 20);
  EXPECT_DOUBLE_EQ(scores.excess_w, 15.5 / 5);
  // Regrets of the four counted budgets: 25, inf, inf, inf.
  EXPECT_EQ(scores.counted, 4u);
  EXPECT_EQ(*scores.strict_regret, kInfinity);
  EXPECT_EQ(*scores.strict_regret_p90, kInfinity);
  EXPECT_DOUBLE_EQ(*scores.violations, 50);
}

TEST(Decisions, MedianRegretStaysFiniteWhileMostChoicesHold) {
  const std::vector<Decision> decisions{{25, 1}, {35, 1}, {45, 4}};  // regrets 0, 40/30 - 1, inf
  const auto scores = score(decisions, ladder(), {});
  EXPECT_NEAR(*scores.strict_regret, 100.0 / 3, 1e-9);
  EXPECT_EQ(*scores.strict_regret_p90, kInfinity);
}

TEST(Decisions, OnSmallBoardsTheMarginIsAShareOfTheBudget) {
  const std::vector<Decision> decisions{{38.5, 3}, {37, 3}};  // 3.9 % and 8.1 % over
  EXPECT_DOUBLE_EQ(score(decisions, ladder(), {.watts = 0, .fraction = 0.05}).over_budget_1w, 50);
}

TEST(Decisions, WithoutACountedBudgetHaveNoRegret) {
  // One that the fastest mode meets, and one that nothing meets.
  const auto scores = score(std::vector<Decision>{{70, 4}, {5, std::nullopt}}, ladder(), {});
  EXPECT_EQ(scores.counted, 0u);
  EXPECT_FALSE(scores.strict_regret);
  EXPECT_FALSE(scores.violations);
  EXPECT_EQ(scores.time_penalty, 0);
}

TEST(Decisions, OfWhoNeverAnswersAreInfinitelyBad) {
  const auto scores = score(std::vector<Decision>{{25, std::nullopt}, {35, std::nullopt}}, ladder(), {});
  EXPECT_EQ(scores.time_penalty, kInfinity);
  EXPECT_EQ(*scores.strict_regret, kInfinity);
  EXPECT_EQ(scores.over_budget, 0);
  EXPECT_EQ(*scores.violations, 0);
}

TEST(Decisions, NeedKnownValues) {
  Matrix unknown = ladder();
  unknown(2, 1) = std::nan("");
  EXPECT_THROW(score(std::vector<Decision>{{25, 0}}, unknown, {}), std::invalid_argument);
  EXPECT_THROW(score({}, ladder(), {}), std::invalid_argument);
}

}  // namespace metrics_test
}  // namespace fewwatt::benchmarks
