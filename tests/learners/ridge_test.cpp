#include "learners/ridge.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "tests/learners/example_model.hpp"
#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::learners {
namespace ridge_test {

using tests::example_space;
using tests::example_support;
using tests::random_ridge;

struct Problem {
  Matrix features;
  Vector targets, mean, variance;
  Problem(Eigen::Index n, Eigen::Index p) : features(n, p), targets(n), mean(p), variance(p) {
    hw::Rng rng(4);
    for (auto* part : {&targets, &mean})
      for (auto& value : *part) value = rng.normal();
    for (auto& value : features.reshaped()) value = rng.normal();
    for (auto& value : variance) value = rng.uniform(0.1, 2);
  }
};

TEST(RidgePosterior, MinimisesWhatItsPriorAndNoiseSay) {
  constexpr double kNoise = 0.3;
  for (const Eigen::Index n : {2, 7, 20}) {  // below, at and above the number of features
    const Problem a(n, 7);
    const auto found = ridge_posterior(a.features, a.targets, a.mean, a.variance, kNoise);
    // Harrison et al. 2018, eq. 4 and 5, with the inverses written out.
    const Eigen::MatrixXd precision = a.features.transpose() * a.features / kNoise +
                                      Eigen::MatrixXd(a.variance.cwiseInverse().asDiagonal());
    const Eigen::MatrixXd covariance = precision.inverse();
    const Vector mean =
        covariance * (a.features.transpose() * a.targets / kNoise + a.mean.cwiseQuotient(a.variance));
    EXPECT_LT((found.mean - mean).cwiseAbs().maxCoeff(), 1e-12) << n;
    EXPECT_LT((found.covariance - covariance).cwiseAbs().maxCoeff(), 1e-12) << n;
  }
}

TEST(RidgePosterior, OfWeightsThatDependOnEachOther) {
  auto target = *random_ridge(*example_space(), true).targets[0];
  target.log_spreads << -1, -0.5, 0, 0.5, 1;
  target.prior_scale = 2;
  const Vector spreads = target.prior_scale * target.log_spreads.array().exp();
  const Matrix root = spreads.asDiagonal() * (Matrix::Identity(5, 5) + target.lower);
  const Eigen::MatrixXd prior = (root * root.transpose()).inverse();
  const double noise = std::exp(2 * target.log_noise);
  for (const Eigen::Index n : {2, 5, 20}) {
    const Problem a(n, 5);
    const auto found = ridge_posterior(target, a.features, a.targets);
    const Eigen::MatrixXd covariance =
        (Eigen::MatrixXd(a.features.transpose() * a.features / noise) + prior).inverse();
    const Vector mean = covariance * (a.features.transpose() * a.targets / noise + prior * target.prior_mean);
    EXPECT_LT((found.mean - mean).cwiseAbs().maxCoeff(), 1e-8 * mean.cwiseAbs().maxCoeff()) << n;
    EXPECT_LT((found.covariance - covariance).cwiseAbs().maxCoeff(), 1e-8 * covariance.cwiseAbs().maxCoeff())
        << n;
  }
}

// Of one prior and noise, written down in both ways.
TEST(RidgePosterior, WithNothingBelowTheDiagonalWeightsAreIndependent) {
  auto target = *random_ridge(*example_space(), true).targets[0];
  target.lower.setZero();
  const Problem a(4, 5);
  const auto dependent = ridge_posterior(target, a.features, a.targets),
             independent =
                 ridge_posterior(a.features, a.targets, target.prior_mean,
                                 (2 * target.log_spreads.array()).exp(), std::exp(2 * target.log_noise));
  EXPECT_LT((dependent.mean - independent.mean).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_LT((dependent.covariance - independent.covariance).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(RidgePosterior, WithoutRowsIsThePrior) {
  const Problem a(0, 3);
  const auto found = ridge_posterior(a.features, a.targets, a.mean, a.variance, 1);
  EXPECT_EQ(found.mean, a.mean);
  EXPECT_EQ(Vector(found.covariance.diagonal()), a.variance);
}

TEST(RidgePosterior, WhatIsNotPositiveDefiniteIsRefused) {
  const Problem few(2, 3), many(9, 3);
  EXPECT_THROW(ridge_posterior(few.features, few.targets, few.mean, -100 * few.variance, 1),
               std::runtime_error);
  EXPECT_THROW(ridge_posterior(many.features, many.targets, many.mean, -1e-6 * many.variance, 1),
               std::runtime_error);
}

TEST(Ridge, FeaturesSkipTheNet) {
  const auto model = random_ridge(*example_space());
  const Matrix x = model.scaler(encode(FeatureSet::physical, *example_space(), example_space()->modes()));
  const Matrix features = ridge_features(model.shape, *model.targets[0], x);
  EXPECT_EQ(Vector(features.col(0)), Vector::Ones(x.rows()));
  EXPECT_EQ(Matrix(features.rightCols(x.cols())), x);
  EXPECT_EQ(features.cols(), 1 + 5 + x.cols());
  Matrix far = x;
  far(0, 1) = 50;
  far(1, 1) = -50;
  const Matrix clipped = ridge_features(model.shape, *model.targets[0], far).rightCols(x.cols());
  EXPECT_EQ(clipped(0, 1), kRidgeFarthest);
  EXPECT_EQ(clipped(1, 1), -kRidgeFarthest);
}

TEST(Ridge, WhereWeightsDependOnEachOtherTheLastLayerIsOnTheActivatedNetAlone) {
  const auto model = random_ridge(*example_space(), true);
  const Matrix x = model.scaler(encode(FeatureSet::physical, *example_space(), example_space()->modes()));
  const Matrix outputs = Mlp<double>(model.shape, model.targets[0]->weights).forward(x);
  EXPECT_LT((ridge_features(model.shape, *model.targets[0], x) - Matrix(outputs.array().tanh()))
                .cwiseAbs()
                .maxCoeff(),
            1e-12);
}

TEST(Ridge, RowsLeftOutArePredictedAsFromTheOthers) {
  const auto support = example_support(9, 3);
  auto model = random_ridge(*example_space());
  const auto all = Ridge(model).adapt(support)->left_out(tasks::kTimeMs);
  const auto rows = rows_of(support, tasks::kTimeMs);
  ASSERT_EQ(all.error.size(), 9);
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<std::size_t> others;
    for (std::size_t j = 0; j < 9; ++j)
      if (support.modes[j] != rows.modes[i]) others.push_back(j);
    const auto one = Ridge(model).adapt(support.subset(others))->predict(std::span(&rows.modes[i], 1));
    const auto at = static_cast<Eigen::Index>(i);
    const double error = std::log(rows.values[at]) - one.log_mean(0, tasks::kTimeMs);
    // The level is nearly free, not free.
    EXPECT_NEAR(all.error[at], error, 0.02 * std::abs(error) + 1e-4);
  }
}

TEST(Ridge, IsSurestWhereItMeasured) {
  const auto support = example_support(6, 3);
  for (const bool dependent : {false, true}) {
    const auto predictor = Ridge(random_ridge(*example_space(), dependent)).adapt(support);
    const Matrix relative = predictor->predict(support.modes).log_variance;
    const auto everywhere = predictor->predict(example_space()->modes());
    const Matrix all = everywhere.log_variance;
    for (int t = 0; t < 2; ++t) EXPECT_LT(relative.col(t).mean(), all.col(t).mean());
  }
}

TEST(Ridge, CheckpointIsTheModel) {
  const auto model = random_ridge(*example_space());
  auto part = model;
  part.targets[1].reset();
  part.targets[0]->prior_scale = 3;
  const auto again = RidgeModel::from_checkpoint(part.to_checkpoint());
  EXPECT_EQ(again.shape.sizes, model.shape.sizes);
  EXPECT_EQ(again.shape.activation, Activation::tanh);
  EXPECT_EQ(again.targets[0]->weights, model.targets[0]->weights);
  EXPECT_EQ(again.targets[0]->log_spreads, model.targets[0]->log_spreads);
  EXPECT_EQ(again.targets[0]->prior_scale, 3);
  EXPECT_FALSE(again.targets[0]->dependent());
  EXPECT_FALSE(again.targets[1]);
  const auto dependent = random_ridge(*example_space(), true);
  EXPECT_EQ(RidgeModel::from_checkpoint(dependent.to_checkpoint()).targets[1]->lower,
            dependent.targets[1]->lower);
}

TEST(Ridge, BadModelsAreRefused) {
  const auto refused = [](auto change) {
    auto model = random_ridge(*example_space());
    change(model);
    EXPECT_THROW(Ridge{model}, std::invalid_argument);
  };
  refused([](auto& m) { m.targets[0]->weights.conservativeResize(3); });
  refused([](auto& m) { m.targets[0]->prior_mean.conservativeResize(3); });
  refused([](auto& m) { m.targets[1]->log_noise = std::nan(""); });
  refused([](auto& m) { m.targets[1]->prior_scale = 0; });
  refused([](auto& m) { m.targets[1]->target_scale = -1; });
  refused([](auto& m) { m.scaler.mean.conservativeResize(2); });
  refused([](auto& m) { m.shape.sizes.pop_back(); });
  refused([](auto& m) { m.targets[0]->lower = Matrix::Zero(5, 5); });  // with a prior of f + 5 weights
  const auto refused_lower = [](auto change) {
    auto model = random_ridge(*example_space(), true);
    EXPECT_NO_THROW(Ridge{model});
    change(model.targets[1]->lower);
    EXPECT_THROW(Ridge{model}, std::invalid_argument);
  };
  refused_lower([](auto& lower) { lower.conservativeResize(4, 5); });
  refused_lower([](auto& lower) { lower(2, 2) = 1; });
  refused_lower([](auto& lower) { lower(1, 3) = 1e-9; });
  refused_lower([](auto& lower) { lower(3, 1) = std::nan(""); });
  refused_lower([](auto& lower) { lower(3, 1) = 2 * kMostFactor; });
}

}  // namespace ridge_test
}  // namespace fewwatt::learners
