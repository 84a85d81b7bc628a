#include "learners/matern.hpp"

#include <cmath>

namespace fewwatt::learners {
namespace {

Matrix scaled(const Matrix& z, const Vector& log_lengths) {
  return z * (-log_lengths.array()).exp().matrix().asDiagonal();
}

// sqrt(5) || x_i - y_j ||
Eigen::MatrixXd distances(const Matrix& x, const Matrix& y) {
  Eigen::MatrixXd squared = -2 * x * y.transpose();
  squared.colwise() += x.rowwise().squaredNorm();
  squared.rowwise() += y.rowwise().squaredNorm().transpose();
  return (5 * squared.cwiseMax(0.0)).cwiseSqrt();
}

}  // namespace

Matrix matern(const Matrix& a, const Matrix& b, const Vector& log_lengths) {
  const Eigen::ArrayXXd s = distances(scaled(a, log_lengths), scaled(b, log_lengths)).array();
  return ((1 + s + s.square() / 3) * (-s).exp()).matrix();
}

MaternOf::MaternOf(const Matrix& z, const Vector& log_lengths) : scaled_(scaled(z, log_lengths)) {
  const Eigen::ArrayXXd s = distances(scaled_, scaled_).array();
  const Eigen::ArrayXXd decay = (-s).exp();
  common_ = (1 + s) * decay;
  value_ = (1 + s + s.square() / 3) * decay;
}

// d value / d log length_j = 5/3 (1 + s) exp(-s) (difference_j / length_j)^2; and of sum_ab c_ab (x_a - x_b)^2, with symmetric c,
// the sum is 2 (sum_a x_a^2 c_a. - x' c x).
Vector MaternOf::slopes(const Eigen::MatrixXd& weight) const {
  const Eigen::MatrixXd c = (5.0 / 3.0) * weight.cwiseProduct(common_);
  const Vector sums = c.rowwise().sum();
  Vector all(scaled_.cols());
  for (Eigen::Index j = 0; j < all.size(); ++j) {
    const Vector x = scaled_.col(j);
    all[j] = 2 * (x.cwiseAbs2().dot(sums) - x.dot(c * x));
  }
  return all;
}

}  // namespace fewwatt::learners
