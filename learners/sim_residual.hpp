#pragma once

#include <span>
#include <string>

#include "learners/encode.hpp"
#include "learners/knob_kernel.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

// What a measured workload may have that no simulated one has, as a Gaussian process over knobs z (log settings,
// standardised over the space) and features psi (x and 1 / x of each knob, n c and 1 / (n c); standardised, constant ones
// left out); x = setting / highest level. Standard deviations in log units of the target, as logs.
//   R(z, z') = k(z, z') of the KnobKernel + sum_j slope_j^2 psi_j psi'_j
struct SimResidual : KnobKernel {
  Vector log_slopes;  // [p]

  Vector flat() const;  // the members of KnobKernel in their order, and log_slopes: [1 + 3 d + p]
  // The inverse of flat(); knobs: d. flat has at least 1 + 3 d values.
  static SimResidual from_flat(const Vector& flat, Eigen::Index knobs);
};

// n modes as SimPrior sees them: z and psi, standardised.
struct SimInputs {
  Matrix knobs;  // [n,d]
  Matrix psi;    // [n,p]
};
// p, the number of columns of psi, for a space's knobs.
Eigen::Index sim_features(const hw::PowerModeSpace& space);
// Makes them of the modes of one space.
class SimEncoder {
 public:
  explicit SimEncoder(const hw::PowerModeSpace& space);              // which must outlive this
  SimInputs operator()(std::span<const hw::PowerMode> modes) const;  // of n modes

 private:
  const hw::PowerModeSpace& space_;
  Scaler knobs_, psi_;
};
// R between n modes and m modes, [n,m], log units^2.
Matrix sim_covariance(const SimResidual& residual, const SimInputs& a, const SimInputs& b);

// Where training on workloads with the same knobs starts from, and is drawn to: each part has a standard deviation of exp(-1.5), 22 % of
// log y; lengths of two standard deviations of a knob's log settings, over which most boards' costs are smooth, and of 1.3 for knobs alone.
SimResidual usual_residual(Eigen::Index knobs, Eigen::Index features);
inline constexpr double kUsualLogNoise = -4.0;  // of the standard deviation of a measurement's log: 1.8 %
inline constexpr double kSimLevelVariance =
    10;  // of the level around the rows' mean, log units^2; as good as free

// What is expected of the noise of a new workload, from what fits `workloads` training workloads: each one's log differs by
// kNoiseApart from what they have in common, which is drawn to kUsualLogNoise (spread 0.7); and is at least a thousandth, which no
// clock and no sensor repeats. That a new workload may be noisier by far is for the scales that are averaged over.
inline constexpr double kNoiseApart = 0.6;
double expected_log_noise(double fitted, std::size_t workloads);

// A residual that goes with simulated workloads, or with mixtures of the training workloads.
struct SimPriorFitted {
  SimResidual residual;               // beside these workloads
  double log_noise = kUsualLogNoise;  // of the standard deviation of a measurement's log
  double log_scale = 0;               // the covariance of these workloads is multiplied by exp of this
};

// Rows of one workload, as the marginal likelihood sees them.
struct SimPriorRows {
  SimInputs inputs;      // of the rows, n of them
  Matrix simulated;      // [n,n] covariance of the simulated workloads, or of the other training workloads
  Vector left;           // [n] log y less their mean, centred
  Vector noise_factors;  // [n] of each row's noise variance; [0]: ones
};

// Hyper-parameters of a target as one vector, [3 + 3 d + p]: residual, log_noise, log_scale. set_ is the inverse; the number of knobs
// stays.
Vector sim_prior_parameters(const SimPriorFitted& target);
void set_sim_prior_parameters(SimPriorFitted& target, const Vector& parameters);

// -log p(left) / n of a workload's rows, up to a constant, Rasmussen & Williams 2006, eq. 2.30, with the covariance
//   10 + scale C + R + noise^2 diag(noise_factors)
// and its gradient in the order of sim_prior_parameters. Throws std::runtime_error when that is not positive definite.
double sim_prior_objective(const SimPriorFitted& target, const SimPriorRows& rows, Vector* gradient);

// The prior of what is left of a support beside simulated workloads that are like it, as normal distributions of logs.
struct SupportFitOptions {
  // Variance of log y: 5 % is how far alike workloads are apart, SimPriorOptions::time_error. Shares of it in the joint function
  // and in those of single knobs; the features have the rest, so that none of the three is thought likelier.
  double variance = 0.0025, joint_share = 0.3, alone_share = 0.3;
  double noise = tasks::kUsualNoise;  // standard deviation of log y
  // Standard deviations of the logs of amplitudes, lengths and noise: by a factor of 2.7, of 2, since a length twice as long hardly
  // differs over the few levels of a knob, and of 1.4, since how well a board repeats itself is known best.
  double spread = 1, length_spread = 0.7, noise_spread = 0.35;
  int steps = 60;     // of Adam; the last of them change logs by a percent
  double rate = 0.1;  // Adam's learning rate, with which so many steps reach what is two spreads away
  void each(OptionVisitor& on);  // names every option once
  std::string error() const;     // "" when valid
};

// The residual and noise that are most likely a posteriori for the rows of one support. log_scale is 0.
struct SimFittedToSupport : SimPriorFitted {
  double log_prior = 0;  // of these, less that of the prior's middle
};
// Searches for them from the prior's middle. Throws std::runtime_error as sim_prior_objective().
SimFittedToSupport fit_to_support(const SimPriorRows& rows, const SupportFitOptions& options = {});

}  // namespace fewwatt::learners
