#include "learners/stated_workloads.hpp"

#include <gtest/gtest.h>

#include "tests/dense.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace stated_workloads_test {

using Index = Eigen::Index;

const hw::PowerModeSpace& space() {
  static const auto example = tests::example_space();
  return *example;
}

tasks::Characteristics flops(double value) {
  return {.flops = value, .time_of = datasets::TimeOf::minibatch};
}

// Mean and standard deviation of log y at the space's first mode.
struct Said {
  double mean, stddev;
};
Said said(const StatedWorkloads& workloads, const tasks::Characteristics& stated,
          int target = tasks::kTimeMs) {
  const auto prior = workloads.prior(target, space(), stated, true);
  const std::vector<hw::PowerMode> first = {space().at(0)};
  const Eigen::VectorXf logs = workloads.logs(target, space(), first, prior->which).col(0);
  return {prior->weights.dot(logs), (prior->spread * logs).norm()};
}

TEST(StatedWorkloads, CurvesAreWhatTheFeaturesAreLinearIn) {
  const auto modes = space().modes();
  const Vector lowest = encode(FeatureSet::raw, space(), modes).colwise().minCoeff().transpose();
  const Matrix features = curve_features(space(), modes, lowest);
  const Vector truth = Vector::LinSpaced(features.cols(), -0.2, 0.3);
  const auto curve = fit_curve(features, features * truth);
  EXPECT_LT(curve.error, 0.01);
  EXPECT_LT((features * (curve.coefficients - truth)).cwiseAbs().maxCoeff(), 0.03);
}

TEST(StatedWorkloads, BelowTheLowestSettingCurvesGoOnStraight) {
  const auto modes = space().modes();
  const Vector lowest = Vector::Ones(2);  // all but the highest settings are below
  const Matrix features = curve_features(space(), modes, lowest);
  Matrix logs = encode(FeatureSet::raw, space(), modes).array().log();
  Matrix line(logs.rows(), 3);
  line << Vector::Ones(logs.rows()), logs;
  const Matrix fitted = line * tests::least_squares(line, features);
  EXPECT_LT((fitted - features).cwiseAbs().maxCoeff(), 1e-3);
}

TEST(StatedWorkloads, TheMoreFlopsTheLongerAndFartherIsLessSure) {
  const auto workloads = tests::made_stated_workloads(space());
  const auto few = said(workloads, flops(2e9)), many = said(workloads, flops(2e12)),
             beyond = said(workloads, flops(2e18));
  EXPECT_NEAR(many.mean - few.mean, 5, 1.2);  // a factor of 4 is one more; drawn towards none
  EXPECT_LT(many.stddev, 1.2);                // half of how the workloads differ
  EXPECT_GT(beyond.stddev, 1.3 * many.stddev);
  EXPECT_NEAR(said(workloads, flops(2e9), tasks::kPowerW).mean,
              said(workloads, flops(2e12), tasks::kPowerW).mean, 0.3);
}

TEST(StatedWorkloads, IntervalsHoldAsOftenAsTheySay) {
  // Levels that are linear in flops but for a normal error, of ever so few workloads.
  hw::Rng rng(12);
  for (const Index w : {Index{4}, Index{10}, Index{30}}) {
    double inside = 0;
    constexpr int kFamilies = 300;
    for (int family = 0; family < kFamilies; ++family) {
      auto workloads = tests::made_stated_workloads(space());
      const auto q = workloads.curves[0].cols();
      const double slope = rng.normal();
      const auto draw = [&](double& stated) {
        stated = std::exp(2 * rng.normal());
        return slope * std::log(stated) + 0.7 * rng.normal();
      };
      workloads.characteristics = Matrix::Constant(w, 4, std::nan(""));
      workloads.time_of.assign(static_cast<std::size_t>(w), static_cast<int>(datasets::TimeOf::minibatch));
      workloads.curves[0] = Matrix::Zero(w, q);
      for (Index i = 0; i < w; ++i) workloads.curves[0](i, 0) = draw(workloads.characteristics(i, 3));
      double stated = 0;
      const double truth = draw(stated);
      const auto [mean, stddev] = said(workloads, flops(stated));
      inside += std::abs(truth - mean) < 1.645 * stddev;
    }
    EXPECT_GT(inside / kFamilies, 0.85) << w;
    EXPECT_LT(inside / kFamilies, 0.97) << w;
  }
}

TEST(StatedWorkloads, WhatTooFewStateDoesNotCount) {
  auto workloads = tests::made_stated_workloads(space());
  auto stated = flops(2e11);
  const auto before = said(workloads, stated);
  stated.parameters = 1e6;  // nobody states parameters
  EXPECT_EQ(said(workloads, stated).mean, before.mean);
  workloads.characteristics(2, 2) = 1e7;
  workloads.characteristics(4, 2) = 1e3;
  EXPECT_EQ(said(workloads, stated).mean, before.mean);
  workloads.characteristics(5, 2) = 1e5;  // three do
  EXPECT_EQ(workloads.prior(0, space(), stated, true)->which, (std::vector<std::size_t>{2, 4, 5}));
}

TEST(StatedWorkloads, WhatIsMissingIsNamed) {
  const auto workloads = tests::made_stated_workloads(space());
  const auto expect_missing = [&](const hw::PowerModeSpace& of, const tasks::Characteristics& stated,
                                  const std::string& part) {
    const auto missing = workloads.missing(of, stated);
    EXPECT_NE(missing.find(part), std::string::npos) << missing;
  };
  EXPECT_EQ(workloads.missing(space(), flops(1e10)), "");
  expect_missing(space(), {.time_of = datasets::TimeOf::minibatch}, "batch_size, layers, parameters, flops");
  expect_missing(space(), {.flops = 1e10, .time_of = datasets::TimeOf::epoch},
                 "times of one minibatch, as those of the training workloads, found epoch");
  const tasks::Characteristics alike{.batch_size = 16, .time_of = datasets::TimeOf::minibatch},
      unknown{.layers = 5, .time_of = datasets::TimeOf::minibatch};
  for (const auto& stated : {alike, unknown}) {
    expect_missing(space(), stated, "characteristics that differ between at least 3 training workloads");
    EXPECT_FALSE(workloads.prior(0, space(), stated, true));
  }
  auto knobs = space().knobs();
  knobs[0].levels.back() += 1000;
  expect_missing(hw::PowerModeSpace::grid(knobs), flops(1e10), "expected the board that was trained on");
}

TEST(StatedWorkloads, BadOnesAreRefused) {
  const auto refused = [](auto change) {
    auto workloads = tests::made_stated_workloads(space());
    EXPECT_EQ(workloads.error(), "");
    change(workloads);
    EXPECT_NE(workloads.error(), "");
  };
  refused([](auto& s) { s.characteristics(0, 3) = 0; });
  refused([](auto& s) { s.characteristics(0, 0) = INFINITY; });
  refused([](auto& s) { s.characteristics.conservativeResize(8, 3); });
  refused([](auto& s) { s.time_of.pop_back(); });
  refused([](auto& s) { s.time_of[1] = 7; });
  refused([](auto& s) { s.lowest[0] = 0; });
  refused([](auto& s) { s.lowest.conservativeResize(1); });
  refused([](auto& s) { s.curves[1](2, 2) = std::nan(""); });
  refused([](auto& s) { s.curves[1].conservativeResize(7, s.curves[1].cols()); });
  refused([](auto& s) { s.curve_errors[0] = -1; });
}

}  // namespace stated_workloads_test
}  // namespace fewwatt::learners
