#include "learners/ensemble.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace ensemble_test {

using tests::simulated_workload;

// Predicts the same log of every mode, with errors of the rows left out that are given.
struct Answer final : Predictor {
  double log_mean, variance;
  std::vector<double> errors;
  double claimed;

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Eigen::Index>(modes.size());
    const auto all = [&](double value) { return Matrix::Constant(n, 2, value); };
    return {all(log_mean), all(variance), all(0.5 * variance)};
  }
  LeftOut left_out(tasks::Target) const override {
    const auto n = static_cast<Eigen::Index>(errors.size());
    return {Eigen::Map<const Vector>(errors.data(), n), Vector::Constant(n, claimed)};
  }
};

class Fixed final : public Learner {
 public:
  Fixed(double log_mean, double variance, std::vector<double> errors, double claimed) {
    answer_.log_mean = log_mean;
    answer_.variance = variance;
    answer_.errors = std::move(errors);
    answer_.claimed = claimed;
  }
  std::unique_ptr<const Predictor> adapt(const Samples&) const override {
    return std::make_unique<Answer>(answer_);
  }

 private:
  Answer answer_;
};

std::vector<Member> two(std::vector<double> first, std::vector<double> second) {
  return {{"a", std::make_shared<Fixed>(0.0, 0.01, std::move(first), 0.01)},
          {"b", std::make_shared<Fixed>(1.0, 0.04, std::move(second), 0.01)}};
}

// Errors of rows left out just as large as claimed: intervals stay as they are.
const std::vector<double> kAsClaimed(8, 0.1);

double weight(const Predictor& predictor, std::size_t member) {
  return predictor.chosen()[member].weights[tasks::kTimeMs];
}

constexpr Combination kAll[] = {Combination::evidence, Combination::stacking, Combination::product};

TEST(Ensemble, FavoursTheMemberThatPredictsTheRows) {
  const auto support = simulated_workload(1, 8).support;
  const std::vector<double> good(8, 0.05), bad(8, 0.3);
  for (const auto combination : kAll) {
    SCOPED_TRACE(to_string(combination));
    const EnsembleOptions options{.combination = combination};
    const auto right = combine(two(good, bad), support, options),
               even = combine(two(good, good), support, options);
    EXPECT_GT(weight(*right, 0), 0.7);
    EXPECT_NEAR(weight(*right, 0) + weight(*right, 1), 1, 1e-12);
    EXPECT_NEAR(weight(*even, 0), 0.5, 1e-9);
    EXPECT_LT(right->predict(support.modes).median(0, 0), even->predict(support.modes).median(0, 0));
  }
}

// Members that are each right where the other is wrong: stacking keeps both, evidence need not.
TEST(Ensemble, StackingKeepsMembersThatMakeUpForEachOther) {
  constexpr std::size_t kRows = 24;
  const auto support = simulated_workload(1, kRows).support;
  std::vector<double> first(kRows, 0.05), second(kRows, 0.5);
  for (std::size_t i = 0; i < 10; ++i) std::swap(first[i], second[i]);
  const auto weight_of_second = [&](Combination combination) {
    return weight(*combine(two(first, second), support, {.combination = combination, .temper = 1}), 1);
  };
  EXPECT_LT(weight_of_second(Combination::evidence), 0.05);
  EXPECT_GT(weight_of_second(Combination::stacking), 0.3);
}

// Of as many rows as hyper-parameters, a fit says nothing; of many, one nat less for each.
TEST(Ensemble, FittingToTheRowsIsPaidFor) {
  const auto even = [](std::size_t rows) {
    auto members = two(std::vector<double>(rows, 0.1), std::vector<double>(rows, 0.1));
    members[1].fitted = 5;
    return weight(*combine(members, simulated_workload(1, rows).support, {}), 1);
  };
  EXPECT_EQ(even(4), 0);
  EXPECT_EQ(even(6), 0);
  EXPECT_GT(even(20), 0.02);
  EXPECT_GT(even(200), 0.9 * std::exp(-0.3 * 5) / (1 + std::exp(-0.3 * 5)));
  EXPECT_LT(even(200), std::exp(-0.3 * 5) / (1 + std::exp(-0.3 * 5)));
}

// Who has no prior answers all the same where nobody else can.
TEST(Ensemble, MembersWithoutPriorAnswerForTargetsThatNobodyElsePredicts) {
  auto members = two({}, std::vector<double>(5, 0.1));
  members[1].fitted = 5;
  const auto predictor = combine(members, simulated_workload(1, 5).support, {});
  EXPECT_EQ(weight(*predictor, 1), 1);
  EXPECT_NEAR(std::log(predictor->predict(simulated_workload(1, 5).support.modes).median(0, 0)), 1, 1e-9);
}

TEST(Ensemble, ProductIsOfPrecisions) {
  const auto support = simulated_workload(1, 8).support;
  const auto predictor = combine(two(kAsClaimed, kAsClaimed), support, {.combination = Combination::product});
  const auto predicted = predictor->predict(support.modes);
  // Half of 1 / 0.01 at 0 and half of 1 / 0.04 at 1.
  EXPECT_NEAR(predicted.log_mean(0, 0), 12.5 / 62.5, 1e-9);
  EXPECT_NEAR(predicted.log_variance(0, 0), 1 / 62.5, 1e-9);
  const auto mixture = combine(two(kAsClaimed, kAsClaimed), support, {.combination = Combination::stacking});
  EXPECT_NEAR(mixture->predict(support.modes).log_mean(0, 0), 0.5, 1e-9);
}

// The weights are where no other weights do better.
TEST(Ensemble, ProductWeightsAreAtTheMaximum) {
  const auto support = simulated_workload(1, 6).support;
  const std::vector<double> first{0.1, -0.2, 0.15, -0.1, 0.3, 0.05}, second{-0.1, 0.1, -0.05, 0.2, -0.2, 0};
  const auto members = two(first, second);
  const double found = weight(*combine(members, support, {.combination = Combination::product}), 0);
  const EnsembleOptions options;
  const auto variance = [&](const std::vector<double>& errors) {
    double z_squared = 0;
    for (const double e : errors) z_squared += e * e / 0.01;
    return 0.01 * (options.calm + z_squared) / (options.calm + 6);
  };
  const auto objective = [&](double w) {
    double sum = options.strength * 0.5 * (std::log(w) + std::log(1 - w));
    for (std::size_t i = 0; i < 6; ++i) {
      const double a = w / variance(first), b = (1 - w) / variance(second),
                   mean = (a * first[i] + b * second[i]) / (a + b);
      sum += 0.5 * (std::log(a + b) - mean * mean * (a + b));
    }
    return sum;
  };
  for (const double step : {-0.02, 0.02}) EXPECT_GT(objective(found), objective(found + step));
}

TEST(Ensemble, NoiseIsTheMembersMean) {
  const auto support = simulated_workload(1, 8).support;
  for (const auto combination : kAll) {
    const auto p =
        combine(two(kAsClaimed, kAsClaimed), support, {.combination = combination})->predict(support.modes);
    const double noise = p.log_variance(0, 0) - p.latent_log_variance(0, 0);
    // Half of each member's variance is noise; the product is surer than that.
    EXPECT_NEAR(noise, std::min(0.5 * (0.005 + 0.02), p.log_variance(0, 0)), 1e-6) << to_string(combination);
  }
}

TEST(Ensemble, IntervalsWidenWithTheErrorsOfRowsLeftOutAndNeverNarrow) {
  const auto support = simulated_workload(1, 8).support;
  const auto with = [&](double error) {
    const std::vector<double> errors(8, error);
    return combine({two(errors, errors).front()}, support, {});
  };
  const auto at = [&](const Predictor& p) { return p.predict(support.modes).log_variance(0, 0); };
  const auto calm = with(0.03), claimed = with(0.09), wild = with(0.5);
  EXPECT_GT(at(*wild), 1.5 * at(*claimed));
  EXPECT_EQ(at(*calm), at(*claimed));
  EXPECT_NEAR(calm->left_out(tasks::kTimeMs).variance[0], claimed->left_out(tasks::kTimeMs).variance[0],
              1e-12);
  EXPECT_LT(claimed->left_out(tasks::kTimeMs).variance[0], wild->left_out(tasks::kTimeMs).variance[0]);
}

TEST(Ensemble, MemberWithoutTheTargetHasNoWeight) {
  const auto support = simulated_workload(1, 8).support;
  for (const auto combination : kAll) {
    const auto predictor =
        combine(two(std::vector<double>(8, 0.05), {}), support, {.combination = combination});
    EXPECT_EQ(weight(*predictor, 0), 1) << to_string(combination);
    EXPECT_EQ(weight(*predictor, 1), 0) << to_string(combination);
  }
}

TEST(Ensemble, ComesFromACheckpointAndABadOneIsRefused) {
  const auto space = tests::simulated_space();
  const auto m = simulated_workload(2, 10);
  for (const auto combination : kAll) {
    const auto predictor = Ensemble(tests::random_ensemble(*space, combination)).adapt(m.support);
    std::string names;
    for (const auto& one : predictor->chosen()) names += one.learner + " ";
    EXPECT_EQ(names, "sim_prior ridge.0 gp ");
    EXPECT_TRUE((predictor->predict(m.modes).median().array() > 0).all());
  }
  const auto refused = [&](auto change) {
    auto checkpoint = tests::random_ensemble(*space, Combination::stacking);
    change(checkpoint);
    EXPECT_THROW(Ensemble{checkpoint}, std::invalid_argument);
  };
  refused([](auto& c) { c.texts["combination"] = "magic"; });
  refused([](auto& c) { c.texts.erase("combination"); });
  refused([](auto& c) { c.texts.erase("candidates"); });
  refused([](auto& c) { c.texts["candidates"] = "sim_prior physics"; });
  refused([](auto& c) { c.texts["candidates"] = "ensemble"; });
  refused([](auto& c) { c.tensors.erase("ridge.0/time/prior_mean"); });
  EXPECT_THROW(Ensemble(tests::random_ensemble(*space, Combination::stacking), {.strength = 0}),
               std::invalid_argument);
}

TEST(Ensemble, APriorWeighsAMember) {
  auto members = two(kAsClaimed, kAsClaimed);
  const auto support = simulated_workload(1, 8).support;
  EXPECT_NEAR(weight(*combine(members, support, {}), 0), 0.5, 1e-12);
  members[1].prior = 0.25;
  EXPECT_NEAR(weight(*combine(members, support, {}), 0), 0.8, 1e-12);
}

}  // namespace ensemble_test
}  // namespace fewwatt::learners
