#include "learners/optimize/choose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hw/random.hpp"

namespace fewwatt::learners {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Whole numbers from a small range, so that ties are common.
Prediction random_table(std::size_t rows, hw::Rng& rng) {
  Prediction table{Matrix(rows, 2), Matrix(rows, 2)};
  for (Eigen::Index i = 0; i < table.mean.rows(); ++i) {
    for (Eigen::Index t = 0; t < 2; ++t) {
      table.mean(i, t) = 1 + static_cast<double>(rng.below(12));
      table.stddev(i, t) = 0.1 * static_cast<double>(rng.below(20));
    }
  }
  return table;
}

Prediction table(std::initializer_list<std::pair<double, double>> rows) {
  Prediction result{Matrix(rows.size(), 2), Matrix(0, 0)};
  Eigen::Index i = 0;
  for (const auto& [time_ms, power_w] : rows) result.mean.row(i++) << time_ms, power_w;
  return result;
}

double objective_value(const Prediction& p, Objective objective, Eigen::Index i) {
  const double t = p.mean(i, 0), w = p.mean(i, 1);
  return objective == Objective::time     ? t
         : objective == Objective::power  ? w
         : objective == Objective::energy ? t * w
                                          : t * w * t;
}

bool fits(const Prediction& p, const PowerBudget& b, Eigen::Index i) {
  const double z = b.confidence == 0.5 ? 0 : normal_quantile(b.confidence);
  return p.mean(i, 0) + z * p.stddev(i, 0) <= b.max_time_ms &&
         p.mean(i, 1) + z * p.stddev(i, 1) <= b.max_power_w;
}

std::optional<std::size_t> brute_force(const Prediction& p, Objective objective, const PowerBudget& b) {
  std::optional<std::size_t> best;
  for (Eigen::Index i = 0; i < p.mean.rows(); ++i) {
    if (!fits(p, b, i)) continue;
    if (best) {
      const auto j = static_cast<Eigen::Index>(*best);
      const double mine = objective_value(p, objective, i), other = objective_value(p, objective, j);
      if (mine > other || (mine == other && p.mean(i, 1) >= p.mean(j, 1))) continue;
    }
    best = static_cast<std::size_t>(i);
  }
  return best;
}

TEST(NormalQuantile, InvertsTheDistribution) {
  for (const double p :
       {1e-300, 1e-20, 1e-9, 0.01, 0.05, 0.075, 0.0751, 0.3, 0.5, 0.6, 0.925, 0.95, 0.99, 0.999999}) {
    EXPECT_NEAR(0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0)) / p, 1, 1e-12) << p;
  }
  EXPECT_NEAR(normal_quantile(0.95), 1.6448536269514722, 1e-14);
  EXPECT_EQ(normal_quantile(0.5), 0);
  EXPECT_THROW(normal_quantile(0), std::invalid_argument);
  EXPECT_THROW(normal_quantile(1), std::invalid_argument);
}

TEST(Objective, NamesRoundTrip) {
  for (const auto objective : {Objective::time, Objective::energy, Objective::edp, Objective::power}) {
    EXPECT_EQ(parse_objective(to_string(objective)), objective);
  }
  EXPECT_THROW(parse_objective("speed"), std::invalid_argument);
}

TEST(Choose, EqualsBruteForceOnRandomTables) {
  hw::Rng rng(1);
  int chosen = 0, none = 0;
  for (int round = 0; round < 2000; ++round) {
    const Prediction p = random_table(1 + rng.below(12), rng);
    const PowerBudget budget{.max_power_w = 1 + rng.uniform() * 12,
                             .max_time_ms = 1 + rng.uniform() * 12,
                             .confidence = rng.below(2) == 0 ? 0.5 : rng.uniform(0.5, 0.99)};
    for (const auto objective : {Objective::time, Objective::energy, Objective::edp, Objective::power}) {
      const auto choice = choose(p, objective, budget);
      EXPECT_EQ(choice, brute_force(p, objective, budget));
      ++(choice ? chosen : none);
    }
  }
  EXPECT_GT(chosen, 500);
  EXPECT_GT(none, 500);
}

TEST(Choose, LargerBudgetNeverSlowsTheChoice) {
  hw::Rng rng(2);
  for (int round = 0; round < 200; ++round) {
    const Prediction p = random_table(40, rng);
    const double confidence = rng.uniform(0.5, 0.99);
    double slowest_allowed = std::numeric_limits<double>::infinity();
    bool was_possible = false;
    for (double watts = 0.5; watts < 15; watts += 0.5) {
      const auto choice = choose_fastest(p, {.max_power_w = watts, .confidence = confidence});
      EXPECT_TRUE(choice || !was_possible);
      if (!choice) continue;
      was_possible = true;
      const double time_ms = p.mean(static_cast<Eigen::Index>(*choice), 0);
      EXPECT_LE(time_ms, slowest_allowed);
      slowest_allowed = time_ms;
    }
  }
}

TEST(Choose, MoreConfidenceNeverMakesTheChoiceBolder) {
  hw::Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const Prediction p = random_table(40, rng);
    double fastest_allowed = 0;
    bool was_impossible = false;
    for (const double confidence : {0.5, 0.6, 0.75, 0.9, 0.95, 0.999}) {
      const PowerBudget budget{.max_power_w = 6, .confidence = confidence};
      const auto choice = choose_fastest(p, budget);
      EXPECT_FALSE(choice && was_impossible);
      if (!choice) {
        was_impossible = true;
        continue;
      }
      EXPECT_GE(p.mean(static_cast<Eigen::Index>(*choice), 0), fastest_allowed);
      fastest_allowed = p.mean(static_cast<Eigen::Index>(*choice), 0);
    }
  }
}

TEST(Choose, LimitHoldsWithTheProbabilityAskedFor) {
  Prediction p = table({{10, 20}});
  p.stddev = Matrix::Constant(1, 2, 1);
  EXPECT_TRUE(choose_fastest(p, {.max_power_w = 21.65, .confidence = 0.95}));
  EXPECT_FALSE(choose_fastest(p, {.max_power_w = 21.64, .confidence = 0.95}));
}

TEST(Choose, InfeasibleIsNone) {
  EXPECT_EQ(choose_fastest(table({{1, 10}, {2, 9}}), {.max_power_w = 8}), std::nullopt);
  EXPECT_EQ(choose_fastest(table({}), {}), std::nullopt);
}

TEST(Choose, TiesGoToTheLowerPowerThenToTheLowerRow) {
  EXPECT_EQ(choose_fastest(table({{5, 9}, {5, 7}, {5, 7}, {6, 1}}), {}), 1U);
  EXPECT_EQ(choose(table({{6, 2}, {3, 4}, {4, 3}}), Objective::energy, {}), 0U);
}

TEST(Choose, UnknownColumnIsRefusedOnlyWhereItIsNeeded) {
  const Prediction no_power = table({{2, kNaN}, {1, kNaN}});
  EXPECT_EQ(choose_fastest(no_power, {}), 1U);
  EXPECT_EQ(choose_fastest(no_power, {.max_time_ms = 0.5}), std::nullopt);
  EXPECT_THROW(choose_fastest(no_power, {.max_power_w = 5}), std::invalid_argument);
  EXPECT_THROW(choose(no_power, Objective::energy, {}), std::invalid_argument);
  EXPECT_THROW(choose(no_power, Objective::power, {}), std::invalid_argument);
  EXPECT_THROW(pareto(no_power), std::invalid_argument);
  EXPECT_THROW(cheapest(no_power, {}), std::invalid_argument);
  EXPECT_EQ(choose_fastest(table({{1, kNaN}, {2, 3}}), {.max_power_w = 5}), 1U);
}

TEST(Choose, ConfidenceNeedsStandardDeviations) {
  EXPECT_THROW(choose_fastest(table({{1, 1}}), {.max_power_w = 5, .confidence = 0.9}), std::invalid_argument);
}

TEST(PowerBudget, NamesTheBadField) {
  EXPECT_EQ(PowerBudget{}.error(), "");
  EXPECT_NE((PowerBudget{.max_power_w = 0}).error().find("max_power_w"), std::string::npos);
  EXPECT_NE((PowerBudget{.max_power_w = kNaN}).error().find("max_power_w"), std::string::npos);
  EXPECT_NE((PowerBudget{.max_time_ms = -1}).error().find("max_time_ms"), std::string::npos);
  EXPECT_NE((PowerBudget{.confidence = 1}).error().find("confidence"), std::string::npos);
  EXPECT_NE((PowerBudget{.confidence = 0.4}).error().find("confidence"), std::string::npos);
  EXPECT_THROW(choose_fastest(table({{1, 1}}), {.max_power_w = -1}), std::invalid_argument);
}

TEST(Cheapest, IsTheRowWithTheLeastUpperBound) {
  Prediction p = table({{1, 5}, {4, 4}, {2, 4.5}});
  EXPECT_EQ(cheapest(p, {}), 1U);
  EXPECT_EQ(fastest_bound(p, {}), 0U);
  p.stddev = Matrix::Zero(3, 2);
  p.stddev(1, 1) = 1;
  EXPECT_EQ(cheapest(p, {.confidence = 0.95}), 2U);
}

TEST(Pareto, EqualsBruteForceOnRandomTables) {
  hw::Rng rng(4);
  for (int round = 0; round < 500; ++round) {
    const Prediction p = random_table(1 + rng.below(30), rng);
    const PowerBudget budget{.max_power_w = 4 + rng.uniform() * 10,
                             .confidence = rng.below(2) == 0 ? 0.5 : 0.9};
    std::vector<std::size_t> expected;
    for (Eigen::Index i = 0; i < p.mean.rows(); ++i) {
      bool beaten = !fits(p, budget, i);
      for (Eigen::Index j = 0; j < p.mean.rows() && !beaten; ++j) {
        if (i == j || !fits(p, budget, j)) continue;
        const bool no_worse = p.mean(j, 0) <= p.mean(i, 0) && p.mean(j, 1) <= p.mean(i, 1);
        beaten = no_worse && (p.mean.row(j) != p.mean.row(i) || j < i);
      }
      if (!beaten) expected.push_back(static_cast<std::size_t>(i));
    }
    std::sort(expected.begin(), expected.end(), [&](std::size_t a, std::size_t b) {
      return p.mean(static_cast<Eigen::Index>(a), 1) < p.mean(static_cast<Eigen::Index>(b), 1);
    });
    EXPECT_EQ(pareto(p, budget), expected);
  }
}

}  // namespace
}  // namespace fewwatt::learners
