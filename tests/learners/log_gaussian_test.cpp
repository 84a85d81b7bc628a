#include "learners/log_gaussian.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "hw/random.hpp"

namespace fewwatt::learners {
namespace log_gaussian_test {

LogGaussian two_rows() {
  auto p = LogGaussian::unknown(2);
  p.set(tasks::kTimeMs, Vector::Constant(2, std::log(20)), Vector::Constant(2, 0.09), 0.01);
  return p;
}

TEST(LogGaussian, MomentsAndQuantilesAreThoseOfDraws) {
  const auto p = two_rows();
  hw::Rng rng(3);
  constexpr int kDraws = 200'000;
  double sum = 0;
  int below_quantile = 0, below_median = 0, below_limit = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double y = 20 * std::exp(0.3 * rng.normal());
    sum += y;
    below_quantile += y <= p.quantile(0.95, 0, 0);
    below_median += y <= p.median(0, 0);
    below_limit += y <= 25;
  }
  EXPECT_NEAR(sum / kDraws / p.mean(0, 0), 1, 0.005);
  EXPECT_NEAR(1.0 * below_quantile / kDraws, 0.95, 0.003);
  EXPECT_NEAR(1.0 * below_median / kDraws, 0.5, 0.006);
  EXPECT_NEAR(1.0 * below_limit / kDraws, p.probability_below(25, 0, 0), 0.005);
}

TEST(LogGaussian, TablesHoldWhatRowsSay) {
  const auto p = two_rows();
  EXPECT_DOUBLE_EQ(p.median()(1, 0), p.median(1, 0));
  EXPECT_DOUBLE_EQ(p.mean()(1, 0), p.mean(1, 0));
  EXPECT_DOUBLE_EQ(p.quantile(0.05)(1, 0), p.quantile(0.05, 1, 0));
  EXPECT_TRUE(std::isnan(p.median()(0, 1)));
  EXPECT_TRUE(p.predicts(tasks::kTimeMs));
  EXPECT_FALSE(p.predicts(tasks::kPowerW));
}

TEST(LogGaussian, LatentVarianceIsWithoutTheMeasurementsOwn) {
  EXPECT_NEAR(two_rows().latent_log_variance(0, 0), 0.08, 1e-15);
  auto p = LogGaussian::unknown(1);
  p.set(1, Vector::Zero(1), Vector::Constant(1, 0.01), 0.02);  // no less than nothing
  EXPECT_GT(p.latent_log_variance(0, 1), 0);
}

TEST(LogGaussian, MediansAloneHaveNoUncertainty) {
  Matrix medians(1, 2);
  medians << 3, 4;
  const auto p = LogGaussian::of_medians(medians);
  EXPECT_FALSE(p.uncertain());
  EXPECT_DOUBLE_EQ(p.median(0, 1), 4);
}

TEST(LogGaussian, RowsArePicked) {
  auto p = two_rows();
  p.log_mean(1, 0) = 7;
  const std::array<std::size_t, 3> rows = {1, 0, 1};
  const auto picked = p.at(rows);
  EXPECT_EQ(picked.rows(), 3);
  EXPECT_EQ(picked.log_mean(0, 0), 7);
  EXPECT_EQ(picked.log_mean(1, 0), std::log(20));
  EXPECT_EQ(LogGaussian::of_medians(p.median()).at(rows).log_variance.size(), 0);
}

TEST(LogGaussian, WhatIsCertainIsBelowOrNot) {
  EXPECT_EQ(probability_below(5, 5, 0), 1);
  EXPECT_EQ(probability_below(4.99, 5, 0), 0);
}

}  // namespace log_gaussian_test
}  // namespace fewwatt::learners
