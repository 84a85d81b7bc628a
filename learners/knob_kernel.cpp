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

std::vector<Matrix> squared_differences(const Matrix& z) {
  std::vector<Matrix> all;
  for (Eigen::Index d = 0; d < z.cols(); ++d) {
    const Vector column = z.col(d);
    all.emplace_back(
        (column.replicate(1, z.rows()) - column.transpose().replicate(z.rows(), 1)).array().square());
  }
  return all;
}

KnobKernel knob_slopes(const KnobKernel& kernel, std::span<const Matrix> differences,
                       const Eigen::MatrixXd& weight) {
  const auto d = kernel.log_lengths.size();
  // Transposed, it lies in memory as the derivatives do.
  const auto along = [&](const Matrix& derivative) {
    return weight.transpose().cwiseProduct(derivative).sum();
  };
  KnobKernel slope{0, Vector(d), Vector(d), Vector(d)};
  Matrix joint = Matrix::Constant(weight.rows(), weight.cols(), 2 * kernel.log_signal);
  for (Eigen::Index k = 0; k < d; ++k)
    joint -= 0.5 * std::exp(-2 * kernel.log_lengths[k]) * differences[static_cast<std::size_t>(k)];
  joint = joint.array().exp().eval();
  slope.log_signal = 2 * along(joint);
  for (Eigen::Index k = 0; k < d; ++k) {
    const auto& difference = differences[static_cast<std::size_t>(k)];
    const double narrow = std::exp(-2 * kernel.log_widths[k]);
    const Matrix alone = (2 * kernel.log_amplitudes[k] - 0.5 * narrow * difference.array()).exp();
    slope.log_lengths[k] = along(joint.cwiseProduct(difference)) * std::exp(-2 * kernel.log_lengths[k]);
    slope.log_amplitudes[k] = 2 * along(alone);
    slope.log_widths[k] = along(alone.cwiseProduct(difference)) * narrow;
  }
  return slope;
}

Vector TermKernel::flat() const {
  Vector all(2 + log_lengths.size() + log_amplitudes.size() + log_widths.size() + log_spreads.size());
  all << log_signal, log_lengths, log_amplitudes, log_widths, log_noise, log_spreads;
  return all;
}

TermKernel TermKernel::from_flat(const Vector& flat, Eigen::Index knobs) {
  const auto d = knobs;
  return {{flat[0], flat.segment(1, d), flat.segment(1 + d, d), flat.segment(1 + 2 * d, d)},
          flat[1 + 3 * d],
          flat.tail(flat.size() - 2 - 3 * d)};
}

TermKernel TermKernel::medians(Eigen::Index knobs, Eigen::Index terms) {
  return {{std::log(0.15), Vector::Constant(knobs, std::log(2.0)), Vector::Constant(knobs, std::log(0.08)),
           Vector::Constant(knobs, std::log(1.0))},
          std::log(0.02),
          Vector::Constant(terms, std::log(0.7))};
}

TermKernel TermKernel::prior_spreads(Eigen::Index knobs, Eigen::Index terms) {
  return {{1.0, Vector::Constant(knobs, 0.7), Vector::Constant(knobs, 1.0), Vector::Constant(knobs, 0.5)},
          0.7,
          Vector::Constant(terms, 0.7)};
}

}  // namespace fewwatt::learners
