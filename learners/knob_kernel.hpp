#pragma once

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Vector;

// A smooth function of all knobs together, and one of each knob alone:
//   k(z, z') = signal^2 exp(-sum_d (z_d - z'_d)^2 / (2 length_d^2))
//            + sum_d amplitude_d^2 exp(-(z_d - z'_d)^2 / (2 width_d^2))
// Logs, so that a step is relative; -inf is no signal or no amplitude.
struct KnobKernel {
  double log_signal = 0;
  Vector log_lengths, log_amplitudes, log_widths;  // [d]
};

// k(a_i, b_j): [n,m]. Quick where rows of a share their levels, as modes do.
Matrix knob_covariance(const KnobKernel& kernel, const Matrix& a, const Matrix& b);
// k(z, z), the same for all z.
double knob_variance(const KnobKernel& kernel);

// d / d kernel of sum_ij weight_ij k(z_i, z_j); weight: [n,n]. Quick where rows of z share their levels.
KnobKernel knob_slopes(const KnobKernel& kernel, const Matrix& z, const Matrix& weight);

// With what else a log target is made of: p terms with independent normal coefficients, and noise. Standard deviations in
// log units of the target, as logs.
struct TermKernel : KnobKernel {
  double log_noise = 0;
  Vector log_spreads;  // [p]

  Vector flat() const;  // in this order, [3 d + 2 + p]
  static TermKernel from_flat(const Vector& flat, Eigen::Index knobs);
  // Training starts from the medians of a log-normal prior, and is drawn to them with these log spreads.
  static TermKernel medians(Eigen::Index knobs, Eigen::Index terms);
  static TermKernel prior_spreads(Eigen::Index knobs, Eigen::Index terms);
};

}  // namespace fewwatt::learners
