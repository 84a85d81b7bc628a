#include "learners/knob_kernel.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hw/random.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace knob_kernel_test {

TEST(KnobKernel, IsWhatItsFormulaSays) {
  const Matrix a = (Matrix(4, 2) << 0.5, -1, 0.5, 2, -0.3, -1, 1.7, 0.1).finished(),
               b = (Matrix(3, 2) << 0, 0, 0.5, -1, -2, 1).finished();
  const auto check = [&](const KnobKernel& k) {
    const Matrix found = knob_covariance(k, a, b);
    ASSERT_EQ(found.rows(), 4);
    ASSERT_EQ(found.cols(), 3);
    for (Eigen::Index i = 0; i < 4; ++i) {
      for (Eigen::Index j = 0; j < 3; ++j) {
        double exponent = 0, sum = 0;
        for (Eigen::Index d = 0; d < 2; ++d) {
          const double squared = std::pow(a(i, d) - b(j, d), 2);
          exponent -= squared / (2 * std::exp(2 * k.log_lengths[d]));
          sum += std::exp(2 * k.log_amplitudes[d] - squared / (2 * std::exp(2 * k.log_widths[d])));
        }
        EXPECT_NEAR(found(i, j), std::exp(2 * k.log_signal + exponent) + sum, 1e-14);
      }
    }
    EXPECT_NEAR(knob_covariance(k, a, a)(2, 2), knob_variance(k), 1e-14);
  };
  KnobKernel k{-0.2, Eigen::Vector2d(0.3, -0.4), Eigen::Vector2d(-1, 0.2), Eigen::Vector2d(0.1, 0.5)};
  check(k);
  k.log_amplitudes[0] = -std::numeric_limits<double>::infinity();
  check(k);
  k.log_signal = -std::numeric_limits<double>::infinity();
  check(k);
}

TEST(KnobKernel, NoModesGiveNoCovariance) {
  const KnobKernel k{0, Vector::Zero(2), Vector::Zero(2), Vector::Zero(2)};
  EXPECT_EQ(knob_covariance(k, Matrix(0, 2), Matrix::Zero(3, 2)).rows(), 0);
}

TEST(KnobKernel, SlopesEqualCentralDifferences) {
  hw::Rng rng(2);
  Matrix z(5, 2);
  for (auto& value : z.reshaped()) value = rng.normal();
  z(3, 0) = z(1, 0);
  z(4, 1) = z(0, 1) = z(2, 1);  // as modes share levels
  Eigen::MatrixXd weight(5, 5);
  for (auto& value : weight.reshaped()) value = rng.normal();
  Vector at(7);
  for (auto& value : at) value = 0.5 * rng.normal();
  const auto kernel = [](const Vector& flat) {
    return KnobKernel{flat[0], flat.segment(1, 2), flat.segment(3, 2), flat.segment(5, 2)};
  };
  const auto slopes = knob_slopes(kernel(at), z, weight);
  Vector found(7);
  found << slopes.log_signal, slopes.log_lengths, slopes.log_amplitudes, slopes.log_widths;
  EXPECT_LT(tests::gradient_error(
                [&](const Vector& flat) {
                  return (weight.array() * knob_covariance(kernel(flat), z, z).array()).sum();
                },
                at, found),
            tests::kGradient);
}

}  // namespace knob_kernel_test
}  // namespace fewwatt::learners
