#include "learners/update.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "learners/gp.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace update_test {

constexpr double kExact = 1e-9;

Samples rows(const Samples& of, std::vector<std::size_t> which) {
  return of.subset(which);
}

TEST(WithFreshRows, NewModesAreAdded) {
  const auto all = tests::example_support(8, 1);
  const auto joined = with_fresh_rows(rows(all, {0, 1, 2, 3, 4}), rows(all, {5, 6, 7}));
  EXPECT_EQ(joined.modes, all.modes);
  EXPECT_EQ(joined.targets, all.targets);
  EXPECT_EQ(joined.noise_factors.size(), 0);
}

TEST(WithFreshRows, AModeMeasuredAgainIsTheMeanAndHalfAsNoisy) {
  const auto before = tests::example_support(3, 1);
  auto again = rows(before, {1});
  again.targets *= 1.01;
  const auto joined = with_fresh_rows(before, again);
  EXPECT_EQ(joined.size(), 3U);
  EXPECT_NEAR(joined.targets(1, 0), 1.005 * before.targets(1, 0), kExact);
  EXPECT_DOUBLE_EQ(joined.noise_factors(1, 0), 0.5);
  // A third one counts a third.
  const auto third = with_fresh_rows(joined, rows(before, {1}));
  EXPECT_NEAR(third.targets(1, 0) / before.targets(1, 0), 1 + 0.01 / 3, kExact);
  EXPECT_NEAR(third.noise_factors(1, 0), 1.0 / 3, kExact);
}

TEST(WithFreshRows, WhatSpreadsMoreThanUsualIsNoisierForItsTargetAlone) {
  auto before = tests::example_support(3, 1);
  before.targets(1, tasks::kPowerW) = 5;
  auto again = rows(before, {1});
  again.targets(0, tasks::kPowerW) = 25;
  const auto joined = with_fresh_rows(before, again);
  EXPECT_DOUBLE_EQ(joined.targets(1, tasks::kPowerW), 15);  // not 11.18
  EXPECT_DOUBLE_EQ(joined.noise_factors(1, tasks::kTimeMs), 0.5);
  const double spread = 20 / 15.0 / tasks::kUsualNoise;
  EXPECT_NEAR(joined.noise_factors(1, tasks::kPowerW), (spread * spread / 2 + 1) / 2 / 2, 1e-6);
  // As two rows of one file.
  EXPECT_NEAR(joined.noise_factors(1, tasks::kPowerW), tasks::noise_factor(2, std::sqrt(200.0) / 15), 1e-6);
}

TEST(WithFreshRows, WhatIsForgottenIsNoisier) {
  const auto all = tests::example_support(4, 1);
  const auto joined = with_fresh_rows(rows(all, {0, 1}), rows(all, {2, 3}), {.forget = 0.5});
  EXPECT_EQ(joined.noise_factors, (Matrix(4, 2) << 4, 4, 4, 4, 1, 1, 1, 1).finished());
}

TEST(WithFreshRows, ATargetThatOneOfThemLacksIsTheOthers) {
  auto before = tests::example_support(2, 1);
  auto again = rows(before, {0});
  before.targets(0, tasks::kPowerW) = std::nan("");
  again.targets(0, tasks::kTimeMs) = std::nan("");
  const auto joined = with_fresh_rows(before, again);
  EXPECT_DOUBLE_EQ(joined.targets(0, tasks::kTimeMs), before.targets(0, tasks::kTimeMs));
  EXPECT_DOUBLE_EQ(joined.targets(0, tasks::kPowerW), again.targets(0, tasks::kPowerW));
  EXPECT_EQ(joined.noise_factors.size(), 0);  // each is of one measurement
}

TEST(WithFreshRows, RefusesBadRowsAndOptions) {
  const auto before = tests::example_support(2, 1);
  auto foreign = before;
  foreign.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {300'000}}, {hw::KnobRole::gpu_khz, {300'000}}}));
  foreign.modes = {foreign.space->at(0)};
  foreign.targets = before.targets.topRows(1);
  EXPECT_THROW(with_fresh_rows(before, foreign), std::invalid_argument);
  for (const double forget : {0.0, 1.5, std::nan("")})
    EXPECT_THROW(with_fresh_rows(before, before, {.forget = forget}), std::invalid_argument);
  auto bad = before;
  bad.noise_factors = Matrix::Zero(2, 2);
  EXPECT_THROW(with_fresh_rows(bad, before), std::invalid_argument);
  bad.noise_factors = Matrix::Ones(3, 2);
  EXPECT_THROW(with_fresh_rows(bad, before), std::invalid_argument);
}

// A process with the same hyper-parameters that nobody searched for.
TEST(Update, OfAGpEqualsTheBatchWithItsHyperParameters) {
  const Gp fixed({.length_median = 2, .signal_median = 0.7, .noise_median = 0.03, .steps = 0});
  const auto all = tests::example_support(9, 2);
  const auto modes = all.space->modes();
  const double signal = std::log(0.7), length = std::log(2), noise = std::log(0.03);
  const Fitted known = {{"time/gp", {signal, length, length, noise}},
                        {"power/gp", {signal, length, length, noise}}};
  const auto updated = Gp().update(all, known)->predict(modes), batch = fixed.adapt(all)->predict(modes);
  EXPECT_LE((updated.log_mean - batch.log_mean).cwiseAbs().maxCoeff(), kExact);
  EXPECT_LE((updated.log_variance.cwiseQuotient(batch.log_variance).array() - 1).abs().maxCoeff(), kExact);
  const auto searched = Gp().adapt(all)->predict(modes);
  EXPECT_GT((searched.log_mean - batch.log_mean).cwiseAbs().maxCoeff(), 1e-6);  // they are others
}

TEST(Update, RowByRowEqualsAllAtOnce) {
  const auto all = tests::example_support(9, 3);
  const auto modes = all.space->modes();
  const Gp learner;
  auto samples = rows(all, {0, 1, 2, 3, 4});
  const auto first = learner.adapt(samples);
  auto predictor = learner.update(samples, first->fitted());
  for (std::size_t i = 5; i < all.size(); ++i) {
    samples = with_fresh_rows(samples, rows(all, {i}));
    predictor = learner.update(samples, predictor->fitted());
  }
  const auto at_once = learner.update(all, first->fitted())->predict(modes),
             by_row = predictor->predict(modes);
  EXPECT_LE((by_row.log_mean - at_once.log_mean).cwiseAbs().maxCoeff(), kExact);
  EXPECT_LE((by_row.log_variance.cwiseQuotient(at_once.log_variance).array() - 1).abs().maxCoeff(), kExact);
}

TEST(Update, RefusesHyperParametersOfAnotherSpace) {
  EXPECT_THROW(Gp().update(tests::example_support(4, 1), {{"time/gp", {0, 0, 0}}}), std::invalid_argument);
}

}  // namespace update_test
}  // namespace fewwatt::learners
