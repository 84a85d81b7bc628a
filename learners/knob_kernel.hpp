#pragma once

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Vector;

// A smooth function of all knobs together, and one of each knob alone:
//   k(z, z') = signal^2 exp(-sum_d (z_d - z'_d)^2 / (2 length_d^2))
//            + sum_d amplitude_d^2 exp(-(z_d - z'_d)^2 / (2 width_d^2))
// The members are logs, so that a step is relative; -inf stands for no signal or no amplitude.
struct KnobKernel {
  double log_signal = 0;                           // of signal
  Vector log_lengths, log_amplitudes, log_widths;  // [d]
};

// k(a_i, b_j): [n,m]. It is fast where rows of `a` share their levels, as modes do.
Matrix knob_covariance(const KnobKernel& kernel, const Matrix& a, const Matrix& b);
// k(z, z), the same for all z.
double knob_variance(const KnobKernel& kernel);

// d / d kernel of sum_ij weight_ij k(z_i, z_j); weight: [n,n]. It is fast where rows of `z` share their levels.
KnobKernel knob_slopes(const KnobKernel& kernel, const Matrix& z, const Matrix& weight);

// A KnobKernel and the other parts of a log target: p terms with independent normal coefficients, and noise. All are logs of standard
// deviations in log units of the target.
struct TermKernel : KnobKernel {
  double log_noise = 0;  // of a measurement
  Vector log_spreads;    // [p] of the coefficients

  Vector flat() const;  // all members, in this order, [3 d + 2 + p]
  static TermKernel from_flat(const Vector& flat, Eigen::Index knobs);  // the inverse of flat()
  // A log-normal prior of the members has these medians, from which training starts.
  static TermKernel medians(Eigen::Index knobs, Eigen::Index terms);
  // The standard deviations of the logs in that prior.
  static TermKernel prior_spreads(Eigen::Index knobs, Eigen::Index terms);
};

}  // namespace fewwatt::learners
