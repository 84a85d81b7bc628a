#include "learners/cholesky.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace fewwatt::learners {
namespace {

// into = factor^-1, lower triangular; halves, and halves of these.
void invert_lower(const Eigen::Ref<const Eigen::MatrixXd>& factor, Eigen::Ref<Eigen::MatrixXd> into) {
  constexpr Eigen::Index kSmall = 16;
  const auto n = factor.rows(), h = n / 2, g = n - h;
  if (n <= kSmall) {
    into.setIdentity();
    factor.triangularView<Eigen::Lower>().solveInPlace(into);
    return;
  }
  invert_lower(factor.topLeftCorner(h, h), into.topLeftCorner(h, h));
  invert_lower(factor.bottomRightCorner(g, g), into.bottomRightCorner(g, g));
  into.topRightCorner(h, g).setZero();
  const Eigen::MatrixXd below = factor.bottomLeftCorner(g, h) * into.topLeftCorner(h, h);
  into.bottomLeftCorner(g, h).noalias() = -into.bottomRightCorner(g, g) * below;
}

}  // namespace

Eigen::MatrixXd inverse_of_squared(const Eigen::Ref<const Eigen::MatrixXd>& lower) {
  const auto n = lower.rows();
  Eigen::MatrixXd root(n, n), inverse = Eigen::MatrixXd::Zero(n, n);
  invert_lower(lower, root);
  inverse.selfadjointView<Eigen::Lower>().rankUpdate(root.transpose());
  inverse.triangularView<Eigen::StrictlyUpper>() = inverse.transpose();
  return inverse;
}

Eigen::LLT<Eigen::MatrixXd> cholesky(const Eigen::MatrixXd& matrix, std::string_view what) {
  const double size = matrix.size() > 0 ? std::abs(matrix.diagonal().mean()) : 0;
  for (double jitter = 0; jitter <= kMostJitter; jitter = jitter == 0 ? 1e-12 : jitter * 100) {
    Eigen::MatrixXd sum = matrix;
    sum.diagonal().array() += jitter * size;
    Eigen::LLT<Eigen::MatrixXd> llt(sum);
    if (llt.info() == Eigen::Success && llt.matrixLLT().allFinite()) return llt;
  }
  throw std::runtime_error(std::string(what) + " is not positive definite");
}

}  // namespace fewwatt::learners
