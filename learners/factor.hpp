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

// Hyper-parameters of a factor model of log y; logs, so that a step is relative.
struct FactorParameters {
  double log_mean = 0;   // odds of m: share of it that a new workload has, 1 / (1 + exp(-log_mean))
  double log_scale = 0;  // standard deviations of the workloads' covariance are multiplied by exp(log_scale)
  double log_signal =
      0;  // of the Matern function; [d] its lengths, of log settings standardised over the space
  Vector log_lengths;
  double log_noise = 0;

  Vector flat() const;  // in this order, [4 + d]
  static FactorParameters from_flat(const Vector& flat);
  static FactorParameters medians(Eigen::Index knobs, std::size_t workloads);  // of a normal prior of flat()
  static FactorParameters spreads(Eigen::Index knobs);                         // standard deviations of it
};

// Rows of a workload beside what the others have in these modes.
struct FactorRows {
  Matrix knobs;    // [n,d]
  Matrix factors;  // [r,n]: factors' factors is the covariance of the others
  Vector mean;     // [n] of the others, each less its level
  Vector logs;     // [n] log y
};

// -log p(logs) of a workload's rows, up to a constant, and its gradient in the order of flat(). The level is as good as free: with
// all of these less their means over the rows, the share rho of the mean and K the Matern function,
//   logs - rho mean ~ N(0, kSimLevelVariance + scale^2 factors' factors + signal^2 K + noise^2 I)      R. & W. 2006, eq. 2.30
// Throws std::runtime_error when that covariance is not positive definite.
double factor_objective(const FactorParameters& parameters, const FactorRows& rows, Vector* gradient);

// What there is of one target after training.
struct FactorTarget {
  Vector
      mean;  // [g] share of the mean of the training workloads' logs, each less its own, in the modes of FactorModel
  Matrix factors;  // [r,g], scaled: their covariance is factors' factors
  int workloads = 1;
  double log_signal = 0;
  Vector log_lengths;  // [d]
  double log_noise = 0;
};
inline constexpr Eigen::Index kMostFactors = 40;
inline constexpr int kMostWorkloads = 1'000'000;

// What `meta` trains and Factor adapts; a Checkpoint holds it as
//   texts    trained_by, knobs
//   tensors  modes [g,d] (settings), and for each target t  t/mean [1,g], t/factors [r,g], t/log_lengths [1,d]
//   numbers  t/workloads, t/log_signal, t/log_noise
struct FactorModel {
  std::string knobs;  // roles_text() of the training spaces
  std::vector<hw::PowerMode>
      modes;  // [g] that all training profiles have, ascending; none: the Matern function is all there is
  std::array<std::optional<FactorTarget>, tasks::kNumTargets> targets;

  std::string error() const;  // "" when valid
  Checkpoint to_checkpoint() const;
  static FactorModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// Mean and root of the covariance of workloads' logs, [w,g], each less its level: at most kMostFactors of its directions, those
// with the most variance, times 1 + 1 / w, since the mean is not known any better. Of one workload there is a mean alone.
struct Factors {
  Vector mean;   // [g]
  Matrix roots;  // [r,g]
};
Factors factors_of(const Matrix& logs);

// A plain factor model. A workload's log time or power is, besides a level, the mean of the training workloads' curves, a combination of
// the ways in which these differ, a smooth function of its own and noise:
//   log y ~ N(level + m, a F'F + b (signal^2 Matern + rough) + q^2 noise^2)
// in the modes that all training workloads have; in a space with others m and F are none. How a new workload differs from those
// before it is not known: m, or no mean, the factors a, b, q, and whether it is rough in single knobs, 0 or a Matern function of each
// that hardly reaches from level to level, are averaged over, weighed by evidence and a prior; and so is, with a = 0, that one of the
// knobs does not matter. With uncertainty.
class Factor final : public Learner {
 public:
  explicit Factor(FactorModel model);  // throws std::invalid_argument for a bad one
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  std::shared_ptr<const FactorModel> model_;
};

}  // namespace fewwatt::learners
