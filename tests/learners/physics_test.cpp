#include "learners/physics.hpp"

#include <gtest/gtest.h>

#include "hw/random.hpp"

namespace fewwatt::learners {
namespace physics_test {

using hw::KnobRole;

Matrix random_matrix(Eigen::Index rows, Eigen::Index cols, hw::Rng& rng) {
  Matrix m(rows, cols);
  for (auto& value : m.reshaped()) value = rng.normal();
  return m;
}

TEST(NonnegativeLeastSquares, SatisfiesTheOptimalityConditions) {
  hw::Rng rng(2);
  int clamped = 0;
  for (int trial = 0; trial < 50; ++trial) {
    const Matrix a = random_matrix(12, 6, rng);
    const Vector b = random_matrix(12, 1, rng);
    const Vector x = nonnegative_least_squares(a, b);
    const Vector gradient = a.transpose() * (a * x - b);  // >= 0, and 0 where x > 0 (Karush-Kuhn-Tucker)
    for (Eigen::Index j = 0; j < x.size(); ++j) {
      ASSERT_GE(x[j], 0);
      EXPECT_GE(gradient[j], -1e-9);
      EXPECT_NEAR(x[j] > 0 ? gradient[j] : 0, 0, 1e-9);
      clamped += x[j] == 0;
    }
  }
  EXPECT_GT(clamped, 20);  // the constraint mattered
}

TEST(NonnegativeLeastSquares, EqualsLeastSquaresWhereThatIsPositive) {
  hw::Rng rng(5);
  const Matrix a = random_matrix(10, 3, rng);
  const Vector truth = Vector::Constant(3, 2.0);
  EXPECT_LT((nonnegative_least_squares(a, a * truth) - truth).norm(), 1e-9);
}

std::shared_ptr<const hw::PowerModeSpace> jetson() {
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{KnobRole::cpu_cores, {1, 2, 4}},
                                {KnobRole::cpu_khz, {400, 800, 1600}},
                                {KnobRole::gpu_khz, {100, 400, 1000}},
                                {KnobRole::mem_khz, {200, 900, 1800}}}));
}

TEST(Physics, FindsAWorkloadOfItsOwnFormFromTenModes) {
  const auto space = jetson();
  const auto modes = space->modes();
  const Matrix time = physics_features(tasks::kTimeMs, *space, modes);
  const Matrix power = physics_features(tasks::kPowerW, *space, modes);
  ASSERT_EQ(time.cols(), 5);   // 1, 1/(cores cpu), 1/cpu, 1/gpu, 1/mem
  ASSERT_EQ(power.cols(), 9);  // 1, and a clock and a clock V^2 term of cores cpu, cpu, gpu, mem
  Vector time_weights(5), power_weights(9);
  time_weights << 2, 1, 0, 30, 10;
  power_weights << 3, 0, 1, 0, 0.5, 0, 6, 1, 0;
  Samples all{space, modes, Matrix(static_cast<Eigen::Index>(modes.size()), 2)};
  all.targets.col(0) = time * time_weights;
  all.targets.col(1) = power * power_weights;

  hw::Rng rng(1);
  const auto prediction = Physics().adapt(all.subset(rng.sample(modes.size(), 10)))->predict(modes);
  const Matrix relative = (prediction.median() - all.targets).array().abs() / all.targets.array();
  EXPECT_LT(relative.col(0).mean(), 0.02);
  EXPECT_LT(relative.col(1).mean(), 0.02);
}

TEST(Physics, TimeNeverRisesWithAClock) {
  const auto space = jetson();
  hw::Rng rng(8);
  Samples support{space, {}, Matrix(8, 2)};
  for (const auto i : rng.sample(space->size(), 8)) support.modes.push_back(space->at(i));
  for (auto& value : support.targets.reshaped()) value = rng.uniform(1, 10);
  const auto predictor = Physics().adapt(support);
  for (const auto& mode : space->modes()) {
    for (std::size_t k = 0; k < mode.size(); ++k) {
      auto faster = mode;
      faster[k] = space->max_level(k);
      const std::vector<hw::PowerMode> pair = {mode, faster};
      const auto p = predictor->predict(pair);
      EXPECT_LE(p.median(1, 0), p.median(0, 0) + 1e-9);
      EXPECT_GE(p.median(1, 1), p.median(0, 1) - 1e-9);
    }
  }
}

}  // namespace physics_test
}  // namespace fewwatt::learners
