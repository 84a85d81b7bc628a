#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"
#include "learners/sim_residual.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// Hyper-parameters of a factor model of log y, as logs, so that a step is relative.
struct FactorParameters {
  double log_mean = 0;    // log odds of m: a new workload has the share 1 / (1 + exp(-log_mean)) of it
  double log_scale = 0;   // standard deviations of the workloads' covariance are multiplied by exp(log_scale)
  double log_signal = 0;  // of the Matern function
  Vector
      log_lengths;  // [d] of the Matern function, whose knobs are log settings, standardised over the space
  double log_noise = 0;  // of a measurement

  Vector flat() const;                                    // all members, in this order, [4 + d]
  static FactorParameters from_flat(const Vector& flat);  // the inverse of flat()
  static FactorParameters medians(Eigen::Index knobs,
                                  std::size_t workloads);  // mean of a normal prior of flat()
  static FactorParameters spreads(Eigen::Index knobs);     // its standard deviations
};

// Rows of a workload, with mean and covariance of the other workloads in the same modes.
struct FactorRows {
  Matrix knobs;    // [n,d]
  Matrix factors;  // [r,n]: factors' factors is the covariance of the others
  Vector mean;     // [n] of the others, each less its level
  Vector logs;     // [n] log y
};

// -log p(logs) of a workload's rows, up to a constant, and its gradient in the order of flat(). The level is nearly free. With the rows'
// logs and the mean each less its mean over the rows, rho the share of the mean, and K the Matern function,
//   logs - rho mean ~ N(0, kSimLevelVariance + scale^2 factors' factors + signal^2 K + noise^2 I)      R. & W. 2006, eq. 2.30
// Throws std::runtime_error when that covariance is not positive definite.
double factor_objective(const FactorParameters& parameters, const FactorRows& rows, Vector* gradient);

// A trained factor model of one target.
struct FactorTarget {
  // [g] in the modes of FactorModel: the mean of the training workloads' logs, each less its level, times the share of it.
  Vector mean;
  Matrix factors;         // [r,g], scaled: the covariance is factors' factors
  int workloads = 1;      // number of training workloads
  double log_signal = 0;  // as in FactorParameters
  Vector log_lengths;     // [d], as there
  double log_noise = 0;   // as there
};
inline constexpr Eigen::Index kMostFactors = 40;  // greatest r
inline constexpr int kMostWorkloads = 1'000'000;  // greatest number of training workloads

// What `meta` trains and Factor adapts; a Checkpoint holds it as
//   texts    trained_by, knobs
//   tensors  modes [g,d] (settings), and for each target t  t/mean [1,g], t/factors [r,g], t/log_lengths [1,d]
//   numbers  t/workloads, t/log_signal, t/log_noise
struct FactorModel {
  std::string knobs;  // roles_text() of the training spaces
  // [g] that all training profiles have, ascending; where there are none, only the Matern function is left.
  std::vector<hw::PowerMode> modes;
  std::array<std::optional<FactorTarget>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  std::string error() const;                              // "" when valid
  void visit(CheckpointFields& fields);                   // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                       // origin is left to the caller
  static FactorModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// Mean and root of the covariance of workloads' logs, [w,g], each less its level. The root has at most kMostFactors directions, those with
// the most variance. The covariance is multiplied by 1 + 1 / w, for the uncertainty of the mean. With one workload there is only a mean.
struct Factors {
  Vector mean;   // [g]
  Matrix roots;  // [r,g]
};
Factors factors_of(const Matrix& logs);

// A plain factor model. A workload's log time or power is, besides a level, the mean of the training workloads' curves, a combination of
// the ways in which these differ, a smooth function of its own and noise:
//   log y ~ N(level + m, a F'F + b (signal^2 Matern + rough) + q^2 noise^2)
// in the modes that all training workloads have; in a space with other modes, m and F are 0. It is not known how a new workload differs
// from those before it. So hypotheses are averaged, weighed by evidence and a prior: with m or without; several values of a, b and q;
// rough or not (a Matern function of each knob that hardly reaches from level to level); and, with a = 0, that one of the knobs does not
// matter. With uncertainty.
class Factor final : public Learner {
 public:
  explicit Factor(FactorModel model);  // throws std::invalid_argument for a bad one
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  std::shared_ptr<const FactorModel> model_;
};

}  // namespace fewwatt::learners
