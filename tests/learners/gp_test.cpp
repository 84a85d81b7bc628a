#include "learners/gp.hpp"

#include <gtest/gtest.h>

#include "hw/random.hpp"
#include "tests/gradient_check.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace {

TEST(Gp, GradientOfThePosteriorEqualsCentralDifferences) {
  hw::Rng rng(6);
  Matrix inputs(12, 3);
  for (auto& value : inputs.reshaped()) value = rng.normal();
  Vector values(12);
  for (auto& value : values) value = rng.normal();
  Vector at(5);
  at << -0.3, 0.2, 0.9, -0.4, -1.5;
  const auto unpack = [](const Vector& v) { return GpParameters{v[0], v.segment(1, 3), v[4]}; };
  Vector gradient;
  gp_objective({}, unpack(at), inputs, values, &gradient);
  EXPECT_LT(tests::gradient_error(
                [&](const Vector& v) { return gp_objective({}, unpack(v), inputs, values, nullptr); }, at,
                gradient),
            tests::kGradient);
}

TEST(Gp, IsSurerAtMeasuredModesThanElsewhere) {
  const auto support = tests::example_support(6, 3);
  const auto all = support.space->modes();
  const auto predictor = Gp().adapt(support);
  const auto there = predictor->predict(support.modes), everywhere = predictor->predict(all);
  for (int t = 0; t < 2; ++t) {
    EXPECT_GT(everywhere.stddev.col(t).minCoeff(), 0);
    const auto relative = [&](const Prediction& p) {
      return (p.stddev.col(t).array() / p.mean.col(t).array()).mean();
    };
    EXPECT_LT(relative(there), 0.8 * relative(everywhere));
  }
}

TEST(Gp, RecoversASmoothWorkload) {
  const auto support = tests::example_support(9, 3);
  const auto modes = support.space->modes();
  const auto p = Gp().adapt(support)->predict(modes);
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    EXPECT_NEAR(p.mean(row, 0) / tests::example_time_ms(modes[i]), 1, 0.1);
    EXPECT_NEAR(p.mean(row, 1) / tests::example_power_w(modes[i]), 1, 0.1);
  }
}

TEST(Gp, AdaptsToMoreRowsThanItFitsHyperParametersTo) {
  GpOptions options;
  options.max_fit_rows = 5;
  EXPECT_NO_THROW(Gp(options).adapt(tests::example_support(11, 3)));
}

TEST(Gp, RefusesOptionsThatMakeNoSense) {
  GpOptions options;
  options.noise_median = 0;
  EXPECT_THROW(Gp{options}, std::invalid_argument);
}

}  // namespace
}  // namespace fewwatt::learners
