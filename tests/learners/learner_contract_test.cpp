// What every learner of the registry must hold to.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "tests/dense.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace learner_contract_test {

// A learner of the registry, and whether it has a checkpoint.
struct Contracted {
  std::string_view name;
  bool trained;
};

class LearnerContract : public testing::TestWithParam<Contracted> {
 protected:
  const LearnerEntry& facts_ = find_learner(GetParam().name);
  std::unique_ptr<const Learner> learner_ =
      tests::learner_for(GetParam().name, *tests::example_space(), GetParam().trained);
  std::vector<hw::PowerMode> modes_ = tests::example_space()->modes();
};

TEST_P(LearnerContract, PredictionsArePositiveAndShaped) {
  for (const std::size_t shots : {1, 2, 8}) {
    const auto p = learner_->adapt(tests::example_support(shots, 1))->predict(modes_);
    ASSERT_EQ(p.median().rows(), static_cast<Eigen::Index>(modes_.size()));
    ASSERT_EQ(p.median().cols(), 2);
    EXPECT_GT(p.median().minCoeff(), 0);
    EXPECT_TRUE(p.median().allFinite());
    EXPECT_EQ(p.log_variance.size() > 0, facts_.gives_uncertainty);
    if (p.log_variance.size() > 0) {
      EXPECT_GE(p.log_variance.minCoeff(), 0);
      ASSERT_EQ(p.latent_log_variance.rows(), p.median().rows());
      EXPECT_GE(p.latent_log_variance.minCoeff(), 0);
      EXPECT_TRUE((p.latent_log_variance.array() < p.log_variance.array()).all());
    }
  }
}

TEST_P(LearnerContract, CovariancesGoWithTheStandardDeviations) {
  const auto predictor = learner_->adapt(tests::example_support(8, 1));
  const auto p = predictor->predict(modes_);
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto covariance = predictor->covariance(target, modes_);
    if (covariance.latent.size() == 0) continue;
    ASSERT_TRUE(facts_.gives_uncertainty);
    const Vector latent = p.latent_log_variance.col(target);
    const Vector whole = p.log_variance.col(target);
    const double scale = whole.maxCoeff();
    EXPECT_LE((covariance.latent.diagonal() - latent).cwiseAbs().maxCoeff(), tests::kFloat * scale);
    EXPECT_LE((whole - latent).array().abs().maxCoeff() - covariance.noise_variance, tests::kFloat * scale);
    EXPECT_LE((covariance.latent - covariance.latent.transpose()).cwiseAbs().maxCoeff(), 1e-9 * scale);
    const Vector roots = tests::eigenvalues(covariance.latent);
    EXPECT_GE(roots.minCoeff(), -tests::kFloat * scale);
  }
}

TEST_P(LearnerContract, OneWantedTargetIsPredictedAsWithBoth) {
  const auto predictor = learner_->adapt(tests::example_support(8, 1));
  const auto both = predictor->predict(modes_);
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    Wanted wanted{};
    wanted[target] = true;
    const auto one = predictor->predict_targets(modes_, wanted);
    EXPECT_EQ(one.log_mean.col(target), both.log_mean.col(target));
    ASSERT_EQ(one.log_variance.rows(), both.log_variance.rows());
    if (both.log_variance.size() == 0) continue;
    EXPECT_EQ(one.log_variance.col(target), both.log_variance.col(target));
    EXPECT_EQ(one.latent_log_variance.col(target), both.latent_log_variance.col(target));
  }
}

TEST_P(LearnerContract, OrderOfTheSupportIsIrrelevant) {
  const auto support = tests::example_support(8, 2);
  const std::vector<std::size_t> reversed = {7, 6, 5, 4, 3, 2, 1, 0};
  EXPECT_EQ(learner_->adapt(support)->predict(modes_).median(),
            learner_->adapt(support.subset(reversed))->predict(modes_).median());
}

TEST_P(LearnerContract, AdaptingLeavesTheLearnerAsItWas) {
  const auto before = learner_->adapt(tests::example_support(6, 3))->predict(modes_).median();
  learner_->adapt(tests::example_support(7, 4));
  EXPECT_EQ(learner_->adapt(tests::example_support(6, 3))->predict(modes_).median(), before);
}

TEST_P(LearnerContract, ConcurrentAdaptsEqualSequentialOnes) {
  std::vector<Matrix> together(4), alone(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&, i] { together[i] = learner_->adapt(tests::example_support(6, i))->predict(modes_).median(); });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(learner_->adapt(tests::example_support(6, i))->predict(modes_).median(), together[i]);
}

TEST_P(LearnerContract, OneTargetDoesNotTouchTheOther) {
  const bool joint = facts_.joint_targets;
  auto support = tests::example_support(8, 5);
  const Vector before = learner_->adapt(support)->predict(modes_).median().col(tasks::kPowerW);
  support.targets.col(tasks::kTimeMs) *= 1000;
  const Vector scaled = learner_->adapt(support)->predict(modes_).median().col(tasks::kPowerW);
  EXPECT_LE((scaled - before).cwiseAbs().maxCoeff(), joint ? tests::kFloat * before.maxCoeff() : 0.0);
  support.targets.col(tasks::kTimeMs).setConstant(std::nan(""));
  const auto after = learner_->adapt(support)->predict(modes_).median();
  EXPECT_TRUE(after.col(tasks::kTimeMs).array().isNaN().all());
  EXPECT_TRUE(after.col(tasks::kPowerW).allFinite());
  if (!joint) {
    EXPECT_EQ(after.col(tasks::kPowerW), before);
  }
}

TEST_P(LearnerContract, UnitsOfTimeDoNotMatter) {
  auto support = tests::example_support(8, 6);
  const Vector before = learner_->adapt(support)->predict(modes_).median().col(tasks::kTimeMs);
  support.targets.col(tasks::kTimeMs) *= 1000;
  const Vector after = learner_->adapt(support)->predict(modes_).median().col(tasks::kTimeMs);
  EXPECT_LT((after.cwiseQuotient(before) / 1000).array().log().abs().maxCoeff(), 0.05);
}

// What was searched for stands in for the search; the rest is closed form, or is done again.
TEST_P(LearnerContract, UpdatingWithItsOwnHyperParametersIsAdapting) {
  const auto support = tests::example_support(9, 6);
  const auto adapted = learner_->adapt(support);
  const auto updated = learner_->update(support, adapted->fitted());
  const auto a = adapted->predict(modes_), b = updated->predict(modes_);
  EXPECT_LE((a.log_mean - b.log_mean).cwiseAbs().maxCoeff(), 1e-9);
  if (facts_.gives_uncertainty) {
    EXPECT_LE((a.log_variance.cwiseQuotient(b.log_variance).array() - 1).abs().maxCoeff(), 1e-9);
  }
  EXPECT_EQ(adapted->fitted(), updated->fitted());
}

TEST_P(LearnerContract, ARowThatIsAllNoiseCountsForNothing) {
  auto support = tests::example_support(8, 6);
  support.noise_factors = Matrix::Ones(8, tasks::kNumTargets);
  const auto before = learner_->adapt(support)->predict(modes_).median();
  support.targets.row(3) *= 1.3;
  const auto believed = learner_->adapt(support)->predict(modes_).median();
  support.noise_factors.row(3).setConstant(1e8);
  const auto noisy = learner_->adapt(support)->predict(modes_).median();
  if (!facts_.weighs_rows) {  // takes all rows alike
    EXPECT_EQ(noisy, believed);
    return;
  }
  support.targets.row(3) /= 1.3;
  const auto noisy_before = learner_->adapt(support)->predict(modes_).median();
  const auto apart = [](const Matrix& a, const Matrix& b) {
    return (a.array() / b.array()).log().abs().maxCoeff();
  };
  EXPECT_GT(apart(believed, before), 0.05);
  EXPECT_LT(apart(noisy, noisy_before), 0.01);
}

TEST_P(LearnerContract, EqualRowsAreFine) {
  for (const std::size_t rows : {1, 2, 8}) {
    auto support = tests::example_support(rows, 6);
    support.targets.col(tasks::kTimeMs).setConstant(7);
    support.targets.col(tasks::kPowerW).setConstant(3);
    const auto p = learner_->adapt(support)->predict(modes_);
    EXPECT_TRUE(p.median().allFinite());
    EXPECT_GT(p.median().minCoeff(), 0);
    EXPECT_TRUE(p.log_variance.allFinite());
  }
}

TEST_P(LearnerContract, RowsWithoutATargetAreLeftOutOfItAlone) {
  auto support = tests::example_support(8, 6);
  for (const Eigen::Index row : {1, 4}) support.targets(row, tasks::kPowerW) = std::nan("");
  support.targets(6, tasks::kTimeMs) = std::nan("");
  const auto p = learner_->adapt(support)->predict(modes_);
  EXPECT_TRUE(p.median().allFinite());
  EXPECT_GT(p.median().minCoeff(), 0);
  EXPECT_TRUE(p.log_variance.allFinite());
}

TEST_P(LearnerContract, RefusesABadSupport) {
  const Samples empty{tests::example_space(), {}, Matrix(0, 2)};
  EXPECT_THROW(learner_->adapt(empty), std::invalid_argument);
  auto negative = tests::example_support(5, 7);
  negative.targets(2, 0) = -1;
  EXPECT_THROW(learner_->adapt(negative), std::invalid_argument);
  auto off_grid = tests::example_support(5, 7);
  off_grid.modes[0] = {1, 1};
  EXPECT_THROW(learner_->adapt(off_grid), std::invalid_argument);
}

TEST_P(LearnerContract, WithoutRowsWhatIsStatedSuffices) {
  if (!facts_.needs_no_rows) return;
  const auto checkpoint = tests::checkpoint_without_rows(facts_.name, *tests::example_space());
  ASSERT_EQ(checkpoint.learner, facts_.name);
  EXPECT_TRUE(needs_no_rows(checkpoint));
  const auto learner = make_learner(checkpoint);
  Samples support{tests::example_space(), {}, Matrix(0, 2)};
  support.characteristics = {.flops = 1e11, .time_of = datasets::TimeOf::minibatch};
  const auto p = learner->adapt(support)->predict(modes_);
  EXPECT_TRUE(p.median().allFinite());
  EXPECT_GT(p.median().minCoeff(), 0);
  ASSERT_EQ(p.log_variance.rows(), p.median().rows());
  EXPECT_TRUE(p.log_variance.allFinite());
  EXPECT_GT(p.log_variance.minCoeff(), 0);
  support.characteristics.flops = -1;
  EXPECT_THROW(learner->adapt(support), std::invalid_argument);
}

TEST_P(LearnerContract, WhatIsStatedOfTheWorkloadIsNoReasonToFail) {
  auto support = tests::example_support(6, 3);
  support.characteristics = {.batch_size = 1, .layers = 1e9, .parameters = 1, .flops = 1e30};
  const auto p = learner_->adapt(support)->predict(modes_);
  EXPECT_TRUE(p.median().allFinite());
  EXPECT_GT(p.median().minCoeff(), 0);
}

TEST_P(LearnerContract, ACheckpointOfOtherKnobsIsRefused) {
  if (!GetParam().trained) return;  // serves any knobs
  const auto other = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::power_limit_mw, {100, 200}}, {hw::KnobRole::gpu_khz, {300, 600}}}));
  Samples support{other, other->modes(), Matrix::Ones(4, 2)};
  try {
    learner_->adapt(support);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("power_limit_mw gpu_khz"), std::string::npos) << e.what();
  }
}

std::vector<Contracted> all_contracted() {
  std::vector<Contracted> all = {{"gp", true}};
  for (const auto& facts : builtin().learners) all.push_back({facts.name, facts.needs_checkpoint});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, LearnerContract, testing::ValuesIn(all_contracted()),
                         [](const auto& parameter) {
                           std::string name(parameter.param.name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           if (parameter.param.trained &&
                               !find_learner(parameter.param.name).needs_checkpoint)
                             name += "_trained";
                           return name;
                         });

TEST(Registry, UnknownNamesListTheKnownOnes) {
  try {
    make_learner(std::string_view("magic"));
    FAIL();
  } catch (const std::invalid_argument& e) {
    for (const auto name : builtin().learners.names())
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
  }
}

TEST(Registry, ALearnerThatNeedsACheckpointSaysSo) {
  EXPECT_THROW(make_learner(std::string_view("transfer")), std::invalid_argument);
}

TEST(Transfer, RefusesACheckpointOfTheWrongShape) {
  auto c = tests::random_transfer(*tests::example_space(), false);
  c.tensors.at("time/weights").conservativeResize(1, 10);
  EXPECT_THROW(make_learner(c), std::invalid_argument);
}

}  // namespace learner_contract_test
}  // namespace fewwatt::learners
