#include "learners/optimize/choose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hw/random.hpp"
#include "learners/sim_prior.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/learners/stated.hpp"

namespace fewwatt::learners {
namespace choose_test {

using tests::Stated;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Whole numbers from a small range, so that ties are common.
Stated random_table(std::size_t rows, hw::Rng& rng) {
  Stated table{Matrix(rows, 2), Matrix(rows, 2)};
  for (Eigen::Index i = 0; i < table.median.rows(); ++i) {
    for (Eigen::Index t = 0; t < 2; ++t) {
      table.median(i, t) = 1 + static_cast<double>(rng.below(12));
      table.stddev(i, t) = 0.1 * static_cast<double>(rng.below(20));
    }
  }
  return table;
}

Stated table(std::initializer_list<std::pair<double, double>> rows) {
  Stated result{Matrix(rows.size(), 2)};
  Eigen::Index i = 0;
  for (const auto& [time_ms, power_w] : rows) result.median.row(i++) << time_ms, power_w;
  return result;
}

// P(y <= limit) >= confidence for a log-normal y, by its distribution function.
bool keeps(double median, double stddev, double limit, double confidence) {
  const double sd = std::sqrt(std::log(1 + stddev * stddev / (median * median)));
  if (confidence == 0.5 || sd == 0) return median <= limit;
  return 0.5 * std::erfc(-(std::log(limit) - std::log(median)) / sd / std::sqrt(2.0)) >= confidence;
}

bool fits(const Stated& p, const PowerBudget& b, Eigen::Index i) {
  const double t = p.median(i, 0), w = p.median(i, 1);
  bool energy = t * w / 1000 <= b.max_energy_j;
  if (b.confidence != 0.5) {
    const double st = p.stddev(i, 0) / t,
                 sw = p.stddev(i, 1) / w;  // 1 + c^2 of a product is the product of those
    energy = keeps(t * w / 1000, t * w / 1000 * std::sqrt((1 + st * st) * (1 + sw * sw) - 1), b.max_energy_j,
                   b.confidence);
  }
  const auto stddev = [&](int target) { return b.confidence == 0.5 ? 0 : p.stddev(i, target); };
  return energy && keeps(t, stddev(0), b.max_time_ms, b.confidence) &&
         keeps(w, stddev(1), b.max_power_w, b.confidence);
}

std::optional<std::size_t> brute_force(const Stated& p, const Objective& objective, const PowerBudget& b) {
  std::optional<std::size_t> best;
  for (Eigen::Index i = 0; i < p.median.rows(); ++i) {
    if (!fits(p, b, i)) continue;
    if (best) {
      const auto j = static_cast<Eigen::Index>(*best);
      const auto score = [&](Eigen::Index row) {
        return objective.log_score(std::log(p.median(row, 0)), std::log(p.median(row, 1)));
      };
      const double worse = score(i) - score(j);
      if (worse > 1e-12 || (worse > -1e-12 && p.median(i, 1) >= p.median(j, 1))) continue;
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
  for (const double z : {-6.0, -1.0, 0.0, 2.5}) EXPECT_NEAR(normal_quantile(normal_cdf(z)), z, 1e-9) << z;
  EXPECT_THROW(normal_quantile(0), std::invalid_argument);
  EXPECT_THROW(normal_quantile(1), std::invalid_argument);
}

TEST(ExpectedImprovement, IsTheMeanOfWhatIsAboveZero) {
  hw::Rng rng(3);
  for (const auto& [mean, sd] : {std::pair(0.5, 1.0), {-1.0, 2.0}, {-0.2, 0.1}, {3.0, 0.5}}) {
    double sum = 0;
    constexpr int kDraws = 200000;
    for (int i = 0; i < kDraws; ++i) sum += std::max(0.0, mean + sd * rng.normal());
    EXPECT_NEAR(expected_improvement(mean, sd), sum / kDraws, 0.01 * sd) << mean;
  }
  EXPECT_EQ(expected_improvement(2, 0), 2);
  EXPECT_EQ(expected_improvement(-2, 0), 0);
}

double score(const Objective& objective, double time_ms, double power_w) {
  return std::exp(objective.log_score(std::log(time_ms), std::log(power_w)));
}

TEST(Objective, ScoresWhatItsNameSays) {
  const double t = 7, w = 5;
  EXPECT_NEAR(score(parse_objective("time"), t, w), 7, 1e-9);
  EXPECT_NEAR(score(parse_objective("power"), t, w), 5, 1e-9);
  EXPECT_NEAR(score(parse_objective("energy"), t, w), 35, 1e-9);
  EXPECT_NEAR(score(parse_objective("edp"), t, w), 35 * 7, 1e-9);
  EXPECT_NEAR(score(parse_objective("ed2p"), t, w), 35 * 49, 1e-9);
  EXPECT_NEAR(score(parse_objective("ed3p"), t, w), 35 * 343, 1e-9);
  EXPECT_EQ(parse_objective("time"), Objective::time);
  EXPECT_EQ(parse_objective("edp"), Objective::edp);
  EXPECT_NEAR(score(parse_objective("time"), t, kNaN), 7, 1e-9);
  EXPECT_NEAR(score(parse_objective("power"), kNaN, w), 5, 1e-9);
  for (const char* bad : {"speed", "", "ed1p", "ed22p", "edxp"})
    EXPECT_THROW(parse_objective(bad), std::invalid_argument) << bad;
}

TEST(Objective, ZeusWeighsEnergyAgainstTimeAtMaximumPower) {
  auto zeus = parse_objective("zeus");
  zeus.max_power_w = 60;
  for (const double eta : {0.0, 0.3, 1.0}) {
    zeus.eta = eta;
    EXPECT_NEAR(score(zeus, 7, 5), eta * 7 * 5 + (1 - eta) * 60 * 7, 1e-9) << eta;
  }
  zeus.eta = 0;
  EXPECT_NEAR(score(zeus, 7, kNaN), 420, 1e-9);  // of time alone
  EXPECT_FALSE(zeus.needs_power());
}

TEST(Choose, EqualsBruteForceOnRandomTables) {
  hw::Rng rng(1);
  int chosen = 0, none = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto p = random_table(1 + rng.below(12), rng);
    const PowerBudget budget{.max_power_w = 1 + rng.uniform() * 12,
                             .max_time_ms = 1 + rng.uniform() * 12,
                             .max_energy_j = rng.below(2) == 0 ? INFINITY : rng.uniform() * 0.1,
                             .confidence = rng.below(2) == 0 ? 0.5 : rng.uniform(0.5, 0.99)};
    const Objective zeus{.power_exponent = 1, .eta = rng.uniform(), .max_power_w = 12};
    for (const auto& objective : {Objective::time, Objective::energy, Objective::edp, Objective::power,
                                  parse_objective("ed2p"), zeus}) {
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
    const auto p = random_table(40, rng);
    const double confidence = rng.uniform(0.5, 0.99);
    double slowest_allowed = std::numeric_limits<double>::infinity();
    bool was_possible = false;
    for (double watts = 0.5; watts < 15; watts += 0.5) {
      const auto choice = choose_fastest(p, {.max_power_w = watts, .confidence = confidence});
      EXPECT_TRUE(choice || !was_possible);
      if (!choice) continue;
      was_possible = true;
      const double time_ms = p.median(static_cast<Eigen::Index>(*choice), 0);
      EXPECT_LE(time_ms, slowest_allowed);
      slowest_allowed = time_ms;
    }
  }
}

TEST(Choose, MoreConfidenceNeverMakesTheChoiceBolder) {
  hw::Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const auto p = random_table(40, rng);
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
      EXPECT_GE(p.median(static_cast<Eigen::Index>(*choice), 0), fastest_allowed);
      fastest_allowed = p.median(static_cast<Eigen::Index>(*choice), 0);
    }
  }
}

// A normal one with the same median and standard deviation would have its quantile at 21.64 of the 23.06 W.
TEST(Choose, LimitHoldsWithTheProbabilityThatTheLearnersStateIt) {
  auto p = Prediction::unknown(1);
  const double sd = 0.3;
  for (const int target : {0, 1})
    p.set(target, Vector::Constant(1, std::log(20)), Vector::Constant(1, sd * sd), 0);
  const double quantile = 20 * std::exp(1.6448536269514722 * sd);
  EXPECT_TRUE(choose_fastest(p, {.max_power_w = quantile * (1 + 1e-9), .confidence = 0.95}));
  EXPECT_FALSE(choose_fastest(p, {.max_power_w = quantile * (1 - 1e-9), .confidence = 0.95}));
  const auto said = probabilities(p, 0, {.max_power_w = quantile, .max_energy_j = 0.4});
  EXPECT_NEAR(said.power, 0.95, 1e-12);
  EXPECT_NEAR(said.energy, 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(said.time));

  // And it is what draws from that distribution do.
  hw::Rng rng(6);
  int power = 0, energy = 0;
  const double energy_limit_j = 0.4 * std::exp(sd);
  for (int i = 0; i < 20000; ++i) {
    const double watts = 20 * std::exp(sd * rng.normal()), ms = 20 * std::exp(sd * rng.normal());
    power += watts <= quantile;
    energy += watts * ms / 1000 <= energy_limit_j;
  }
  EXPECT_NEAR(power / 20000.0, 0.95, 0.006);  // four standard deviations of such a share
  EXPECT_NEAR(energy / 20000.0, probabilities(p, 0, {.max_energy_j = energy_limit_j}).energy, 0.013);
}

// What a learner states of workloads that it has not seen, and new measurements of them.
TEST(Choose, BoundsHoldAboutAsOftenAsTheySay) {
  const SimPrior learner;
  Eigen::Array3d held = Eigen::Array3d::Zero();
  double count = 0;
  hw::Rng rng(4);
  for (std::size_t workload = 0; workload < 8; ++workload) {
    const auto made = tests::simulated_workload(workload, 25);
    const auto costs = costs_of(learner.adapt(made.support)->predict(made.modes));
    const auto bounds = [&](Cost cost) { return log_upper_bounds(costs, cost, 0.9).exp().eval(); };
    const auto time = bounds(kTimeCost), power = bounds(kPowerCost), energy = bounds(kEnergyCost);
    for (Eigen::Index i = 0; i < made.truth.rows(); ++i) {
      const double ms = made.truth(i, 0) * std::exp(0.01 * rng.normal());
      const double watts = made.truth(i, 1) * std::exp(0.01 * rng.normal());
      held += Eigen::Array3d(ms <= time(i), watts <= power(i), ms * watts / 1000 <= energy(i));
      ++count;
    }
  }
  for (const double share : held / count) {
    EXPECT_GT(share, 0.84);
    EXPECT_LT(share, 0.96);
  }
}

TEST(Choose, CertainValueIsInsideOrNot) {
  EXPECT_EQ(probability_below(5, 5, 0), 1);
  EXPECT_EQ(probability_below(4.99, 5, 0), 0);
  auto p = table({{1, 6}, {2, 5}});
  p.stddev = p.latent_stddev = Matrix::Zero(2, 2);
  EXPECT_EQ(choose_fastest(p, {.max_power_w = 5, .confidence = 0.99}), 1U);
}

TEST(Choose, RunnersUpFollowInOrderAndFitTheBudget) {
  hw::Rng rng(8);
  for (int round = 0; round < 200; ++round) {
    auto p = random_table(12, rng);
    const PowerBudget budget{.max_power_w = 8, .confidence = 0.8};
    const auto rows = best(p, Objective::edp, budget, 100);
    auto rest = p;
    for (const std::size_t row : rows) {
      EXPECT_EQ(choose(rest, Objective::edp, budget), row);
      rest.median(static_cast<Eigen::Index>(row), 1) = 1e9;
    }
    EXPECT_EQ(choose(rest, Objective::edp, budget), std::nullopt);
    EXPECT_EQ(best(p, Objective::edp, budget, 2).size(), std::min<std::size_t>(2, rows.size()));
  }
}

TEST(Choose, ConstantTimeOrPowerIsNoTrouble) {
  const auto same_time = table({{5, 9}, {5, 7}, {5, 8}}), same_power = table({{7, 4}, {5, 4}, {6, 4}});
  for (const auto& objective : {Objective::time, Objective::energy, Objective::edp, Objective::power}) {
    EXPECT_EQ(choose(same_time, objective, {}), 1U);
    const auto expected = objective.needs_time() ? 1U : 0U;
    EXPECT_EQ(choose(same_power, objective, {.max_power_w = 4}), expected);
  }
  EXPECT_EQ(pareto(same_time), (std::vector<std::size_t>{1}));
  EXPECT_EQ(pareto(same_power), (std::vector<std::size_t>{1}));
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
  const auto no_power = table({{2, kNaN}, {1, kNaN}});
  EXPECT_EQ(choose_fastest(no_power, {}), 1U);
  EXPECT_EQ(choose_fastest(no_power, {.max_time_ms = 0.5}), std::nullopt);
  EXPECT_THROW(choose_fastest(no_power, {.max_power_w = 5}), std::invalid_argument);
  EXPECT_THROW(choose(no_power, Objective::energy, {}), std::invalid_argument);
  EXPECT_THROW(choose(no_power, Objective::power, {}), std::invalid_argument);
  EXPECT_THROW(pareto(no_power), std::invalid_argument);
  EXPECT_THROW(least_violation(no_power, {.max_power_w = 5}), std::invalid_argument);
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

TEST(LeastViolation, IsTheRowWhoseWorstLimitIsBrokenLeast) {
  auto p = table({{1, 5}, {4, 4}, {2, 4.4}});
  EXPECT_EQ(least_violation(p, {.max_power_w = 2}).row, 1U);
  EXPECT_DOUBLE_EQ(least_violation(p, {.max_power_w = 2}).excess, 2);
  EXPECT_EQ(least_violation(p, {.max_time_ms = 0.5}).row, 0U);
  // 5 and 1, 4 and 4, 4.4 and 2 times too much.
  EXPECT_EQ(least_violation(p, {.max_power_w = 1, .max_time_ms = 1}).row, 1U);
  EXPECT_EQ(least_violation(p, {.max_power_w = 1.2, .max_time_ms = 0.9}).row, 2U);
  EXPECT_NEAR(least_violation(p, {.max_energy_j = 0.001}).excess, 5, 1e-12);
  EXPECT_LE(least_violation(p, {.max_power_w = 9}).excess, 1);
  p.stddev = Matrix::Zero(3, 2);
  p.stddev(1, 1) = 1;
  p.latent_stddev = p.stddev;
  EXPECT_EQ(least_violation(p, {.max_power_w = 2, .confidence = 0.95}).row, 2U);
  EXPECT_THROW(least_violation(table({}), {}), std::invalid_argument);
}

TEST(Pareto, EqualsBruteForceOnRandomTables) {
  hw::Rng rng(4);
  for (int round = 0; round < 500; ++round) {
    const auto p = random_table(1 + rng.below(30), rng);
    const PowerBudget budget{.max_power_w = 4 + rng.uniform() * 10,
                             .confidence = rng.below(2) == 0 ? 0.5 : 0.9};
    std::vector<std::size_t> expected;
    for (Eigen::Index i = 0; i < p.median.rows(); ++i) {
      bool beaten = !fits(p, budget, i);
      for (Eigen::Index j = 0; j < p.median.rows() && !beaten; ++j) {
        if (i == j || !fits(p, budget, j)) continue;
        const bool no_worse = p.median(j, 0) <= p.median(i, 0) && p.median(j, 1) <= p.median(i, 1);
        beaten = no_worse && (p.median.row(j) != p.median.row(i) || j < i);
      }
      if (!beaten) expected.push_back(static_cast<std::size_t>(i));
    }
    std::sort(expected.begin(), expected.end(), [&](std::size_t a, std::size_t b) {
      return p.median(static_cast<Eigen::Index>(a), 1) < p.median(static_cast<Eigen::Index>(b), 1);
    });
    EXPECT_EQ(pareto(p, budget), expected);
  }
}

}  // namespace choose_test
}  // namespace fewwatt::learners
