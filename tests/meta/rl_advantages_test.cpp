#include "meta/rl/advantages.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/random.hpp"

namespace fewwatt::meta {
namespace rl_advantages_test {

constexpr double kDiscount = 0.9, kTrace = 0.8;

StepValues made_up(Eigen::Index t, Eigen::Index b) {
  hw::Rng rng(3);
  StepValues steps;
  for (auto* part : {&steps.rewards, &steps.values, &steps.next_values}) {
    part->resize(t, b);
    for (Eigen::Index i = 0; i < part->size(); ++i) part->data()[i] = rng.normal();
  }
  steps.terminated = steps.ended = Matrix::Zero(t, b);
  return steps;
}

// Eq. 16 of Schulman et al. 2016 as a sum: (discount trace)^l delta_t+l, up to the episode's end.
double by_definition(const StepValues& steps, Eigen::Index t, Eigen::Index i) {
  double sum = 0;
  for (Eigen::Index at = t; at < steps.rewards.rows(); ++at) {
    const double next = steps.terminated(at, i) == 1 ? 0 : steps.next_values(at, i);
    const double delta = steps.rewards(at, i) + kDiscount * next - steps.values(at, i);
    sum += std::pow(kDiscount * kTrace, static_cast<double>(at - t)) * delta;
    if (steps.ended(at, i) == 1) break;
  }
  return sum;
}

TEST(GeneralisedAdvantages, AreTheirDefinition) {
  auto steps = made_up(9, 3);
  steps.terminated(4, 0) = steps.ended(4, 0) = 1;  // the first terminates,
  steps.ended(4, 1) = 1;                           // the second is cut off, the third goes on
  const Matrix found = generalised_advantages(steps, kDiscount, kTrace);
  for (Eigen::Index t = 0; t < 9; ++t)
    for (Eigen::Index i = 0; i < 3; ++i) EXPECT_NEAR(found(t, i), by_definition(steps, t, i), 1e-12);
}

TEST(GeneralisedAdvantages, CountWhatWouldFollowACutOffButNothingAfterTheEnd) {
  auto steps = made_up(2, 1);
  steps.ended(0, 0) = 1;
  const double cut_off = generalised_advantages(steps, kDiscount, kTrace)(0, 0);
  steps.terminated(0, 0) = 1;
  const double terminated = generalised_advantages(steps, kDiscount, kTrace)(0, 0);
  EXPECT_NEAR(cut_off - terminated, kDiscount * steps.next_values(0, 0), 1e-12);
}

TEST(GeneralisedAdvantages, WithTrace1AreTheReturnMinusTheValue) {
  auto steps = made_up(4, 1);
  steps.terminated(3, 0) = steps.ended(3, 0) = 1;
  steps.next_values.topRows(3) = steps.values.bottomRows(3);
  double to_go = 0;
  const Matrix found = generalised_advantages(steps, kDiscount, 1);
  for (Eigen::Index t = 3; t >= 0; --t) {
    to_go = steps.rewards(t, 0) + kDiscount * to_go;
    EXPECT_NEAR(found(t, 0), to_go - steps.values(t, 0), 1e-12);
  }
}

TEST(Normalised, LeavesOutWhatDoesNotWeigh) {
  const Vector x = (Vector(4) << 1, 3, 100, 5).finished(), weights = (Vector(4) << 1, 1, 0, 1).finished();
  const Vector found = normalised(x, weights);
  const double deviation = std::sqrt(8.0 / 3);
  EXPECT_NEAR(found[0], -2 / deviation, 1e-7);
  EXPECT_NEAR(found[1], 0, 1e-7);
  EXPECT_EQ(found[2], 0);
  EXPECT_NEAR(found[3], 2 / deviation, 1e-7);
}

}  // namespace rl_advantages_test
}  // namespace fewwatt::meta
