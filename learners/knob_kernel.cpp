#include "learners/knob_kernel.hpp"

#include <cmath>
#include <map>
#include <vector>

namespace fewwatt::learners {

namespace {

// One knob of modes a and b, the same for those of a that share a level.
struct SharedLevels {
  std::vector<Eigen::Index> level;  // of each of a
  Matrix squared;                   // [levels,m] squared differences

  SharedLevels(const Eigen::Ref<const Vector>& a, const Eigen::Ref<const Vector>& b) {
    std::map<double, Eigen::Index> seen;
    for (const double value : a)
      level.push_back(seen.emplace(value, static_cast<Eigen::Index>(seen.size())).first->second);
    squared.resize(static_cast<Eigen::Index>(seen.size()), b.size());
    for (const auto& [value, row] : seen)
      squared.row(row) = (b.array() - value).square().matrix().transpose();
  }

  // Rows of [n,m] that share a level added up, [levels,m].
  Matrix added(const Matrix& rows) const {
    Matrix sums = Matrix::Zero(squared.rows(), squared.cols());
    for (std::size_t i = 0; i < level.size(); ++i)
      sums.row(level[i]) += rows.row(static_cast<Eigen::Index>(i));
    return sums;
  }
};

// Of one knob, [levels,m]: its factor of the function of all together, and the function of it alone.
Matrix together(const KnobKernel& kernel, Eigen::Index d, const SharedLevels& at) {
  return (-0.5 * std::exp(-2 * kernel.log_lengths[d]) * at.squared.array()).exp();
}
Matrix alone(const KnobKernel& kernel, Eigen::Index d, const SharedLevels& at) {
  return (2 * kernel.log_amplitudes[d] - 0.5 * std::exp(-2 * kernel.log_widths[d]) * at.squared.array())
      .exp();
}

}  // namespace

Matrix knob_covariance(const KnobKernel& kernel, const Matrix& a, const Matrix& b) {
  const Eigen::Index n = a.rows(), m = b.rows();
  Matrix joint = Matrix::Constant(n, m, std::exp(2 * kernel.log_signal)), sum = Matrix::Zero(n, m);
  for (Eigen::Index d = 0; d < a.cols(); ++d) {
    const SharedLevels at(a.col(d), b.col(d));
    const Matrix factor = together(kernel, d, at), term = alone(kernel, d, at);
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto row = at.level[static_cast<std::size_t>(i)];
      joint.row(i).array() *= factor.row(row).array();
      sum.row(i) += term.row(row);
    }
  }
  return sum + joint;
}

double knob_variance(const KnobKernel& kernel) {
  return std::exp(2 * kernel.log_signal) + (2 * kernel.log_amplitudes.array()).exp().sum();
}

KnobKernel knob_slopes(const KnobKernel& kernel, const Matrix& z, const Matrix& weight) {
  const auto d = z.cols();
  KnobKernel slope{0, Vector(d), Vector(d), Vector(d)};
  std::vector<SharedLevels> levels;
  Matrix joint = std::exp(2 * kernel.log_signal) * weight;
  for (Eigen::Index k = 0; k < d; ++k) {
    const auto& at = levels.emplace_back(z.col(k), z.col(k));
    const Matrix factor = together(kernel, k, at);
    for (Eigen::Index i = 0; i < z.rows(); ++i)
      joint.row(i).array() *= factor.row(at.level[static_cast<std::size_t>(i)]).array();
    const Matrix terms = alone(kernel, k, at).cwiseProduct(at.added(weight));
    slope.log_amplitudes[k] = 2 * terms.sum();
    slope.log_widths[k] = terms.cwiseProduct(at.squared).sum() * std::exp(-2 * kernel.log_widths[k]);
  }
  slope.log_signal = 2 * joint.sum();
  for (Eigen::Index k = 0; k < d; ++k) {
    const auto& at = levels[static_cast<std::size_t>(k)];
    slope.log_lengths[k] =
        at.added(joint).cwiseProduct(at.squared).sum() * std::exp(-2 * kernel.log_lengths[k]);
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
