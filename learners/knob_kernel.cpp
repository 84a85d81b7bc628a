#include "learners/knob_kernel.hpp"

#include <cmath>
#include <map>
#include <vector>

namespace fewwatt::learners {

Matrix knob_covariance(const KnobKernel& kernel, const Matrix& a, const Matrix& b) {
  // Every exponential once for each level.
  const Eigen::Index n = a.rows(), m = b.rows();
  Matrix joint = Matrix::Constant(n, m, std::exp(2 * kernel.log_signal)), sum = Matrix::Zero(n, m);
  std::vector<Eigen::Index> level(static_cast<std::size_t>(n));
  for (Eigen::Index d = 0; d < a.cols(); ++d) {
    std::map<double, Eigen::Index> seen;
    for (Eigen::Index i = 0; i < n; ++i)
      level[static_cast<std::size_t>(i)] =
          seen.emplace(a(i, d), static_cast<Eigen::Index>(seen.size())).first->second;
    Matrix squared(static_cast<Eigen::Index>(seen.size()), m);
    for (const auto& [value, row] : seen)
      squared.row(row) = (b.col(d).array() - value).square().matrix().transpose();
    const Matrix together = (-0.5 * std::exp(-2 * kernel.log_lengths[d]) * squared.array()).exp();
    const Matrix alone =
        (2 * kernel.log_amplitudes[d] - 0.5 * std::exp(-2 * kernel.log_widths[d]) * squared.array()).exp();
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto at = level[static_cast<std::size_t>(i)];
      joint.row(i).array() *= together.row(at).array();
      sum.row(i) += alone.row(at);
    }
  }
  return sum + joint;
}

double knob_variance(const KnobKernel& kernel) {
  return std::exp(2 * kernel.log_signal) + (2 * kernel.log_amplitudes.array()).exp().sum();
}

}  // namespace fewwatt::learners
