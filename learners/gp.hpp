#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/knob_kernel.hpp"
#include "learners/learner.hpp"
#include "learners/mlp.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// Prior standard deviation of the level around the support's mean, in log units: so large that it hardly matters.
inline constexpr double kGpLevel = 3.0;

// ---- without training on other workloads ----

// Hyper-parameters of a Gaussian process over log y, as logs, so that a step is relative.
//   k(z, z') = signal^2 Matern52(|| (z - z') / length ||) + constant^2,   y_i = f(z_i) + noise
struct GpParameters {
  double log_signal = 0;  // of signal
  Vector log_lengths;     // of length, per knob; knobs are log settings, standardised over the space
  double log_noise = 0;   // standard deviation of noise
};

// Options of the Gaussian process that is not trained on other workloads.
struct GpOptions {
  // Normal priors on the logs of the hyper-parameters: exp of their mean, and their standard deviation. Without priors, hyper-parameters
  // cannot be fitted to five rows.
  double length_median = 3.0, length_spread = 1.0;
  double signal_median = 1.0, signal_spread = 0.5;  // of log y
  double noise_median = 0.02, noise_spread = 0.7;   // of log y
  double constant = kGpLevel;                       // of the kernel
  int steps = 200;                                  // of Adam on the log posterior
  double rate = 0.08;                               // Adam's learning rate
  std::size_t max_fit_rows =
      150;  // greatest number of rows that hyper-parameters are fitted to; the cost is cubic
  void each(OptionVisitor& on);  // visits all options
  std::string error() const;     // "" when valid
};

// Negative log marginal likelihood plus negative log prior of `parameters`, up to a constant, and its
// gradient in the order signal, lengths, noise. inputs [n,k], values [n] = centred log y. Rasmussen &
// Williams 2006, eq. 2.30 and 5.9. noise_factors [n] as in Samples, [0] = all 1.
double gp_objective(const GpOptions& options, const GpParameters& parameters, const Matrix& inputs,
                    const Vector& values, Vector* gradient, const Vector& noise_factors = {});

// ---- with a prior learned from other workloads ----

// Greatest number of GpFineTune::steps; and of columns that the kernel acts on.
inline constexpr int kMostKernelSteps = 1000, kMostGpColumns = 256;
// How the kernel is fitted to a support set; chosen on validation workloads, per target.
struct GpFineTune {
  int steps = 0;              // of Adam on the kernel's log posterior given the support
  double freedom = 1;         // the prior around the trained kernel has freedom * kernel_spreads
  std::string error() const;  // "" when valid
};

inline constexpr double kGpFarthest = 4;  // see GpTarget
// A trained Gaussian process for one target. With standardised features x (those farther from 0 than kGpFarthest are moved there), knobs z
// (the log settings among the features) and a net phi, where there is one:
//   log y = level + x . w + f(z, phi(x)) + noise,   w ~ N(mean, diag(spread^2)),   f ~ the KnobKernel on d + e columns
// The log of each hyper-parameter of the kernel ~ N(that of `kernel`, kernel_spreads^2).
struct GpTarget {
  Vector weights;         // of phi, [MlpShape::num_parameters()]
  Vector mean;            // [f] log units
  TermKernel kernel;      // of d + e knobs and f terms
  Vector kernel_spreads;  // > 0, in the order of TermKernel::flat
  GpFineTune fine_tune;   // how the kernel is fitted to a support set
};

// What meta/ trains and Gp adapts, as plain data; a Checkpoint holds it under these names:
//   texts    trained_by, knobs, activation
//   tensors  feature_mean, feature_stddev [1,f]
//   numbers  hidden, e the last of it; [0] where there is no net
// and for each target t = time, power that is trained
//   tensors  t/weights [1,n], t/mean [1,f], t/kernel, t/kernel_spreads [1,3 (d + e) + 2 + f]
//   numbers  t/fine_tune/steps, t/fine_tune/freedom
struct GpModel {
  std::string trained_by;  // "deep-kernel"
  std::string knobs;       // roles_text() of the training spaces
  Scaler scaler;           // of FeatureSet::physical
  MlpShape shape;          // of phi, {f, hidden..., e}; {f} where there is no net
  std::array<std::optional<GpTarget>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  Eigen::Index columns() const;                       // number of columns that the kernel acts on: d + e
  std::string error() const;                          // "" when valid
  void visit(CheckpointFields& fields);               // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                   // origin is left to the caller
  static GpModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// Modes as inputs of the Gaussian process.
struct GpInputs {
  Matrix columns;  // [n,d + e], for the kernel
  Matrix terms;    // [n,f], for the mean
};
GpInputs gp_inputs(const MlpShape& shape, const Vector& weights, const Matrix& features);

// Negative log marginal likelihood of log targets [n] that are centred, plus negative log prior of `kernel`, up to a
// constant, and its gradient in the order of TermKernel::flat. Without the prior's part where `kernel` is that of `target`.
double gp_objective(const GpTarget& target, const TermKernel& kernel, const GpInputs& inputs,
                    const Vector& logs, Vector* gradient, const Vector& noise_factors = {});

// The kernel after target.fine_tune.
TermKernel fit_gp_kernel(const GpTarget& target, const GpInputs& inputs, const Vector& logs,
                         const Vector& noise_factors = {});

// A Gaussian process with uncertainty. On the support alone: ARD Matern-5/2 on log knobs, hyper-parameters at the maximum of
// their posterior. With a model: a mean and a kernel that other workloads have taught it.
class Gp final : public Learner {
 public:
  explicit Gp(
      GpOptions options = {});  // of the support alone; throws std::invalid_argument for options.error()
  explicit Gp(GpModel model);   // trained; throws std::invalid_argument for a bad one
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override {
    return update(support, {});
  }
  // Fitted: time/gp, power/gp: GpParameters, or TermKernel::flat with a model that fine-tunes.
  std::unique_ptr<const Predictor> update(const Samples& support, const Fitted& fitted) const override;

 private:
  GpOptions options_;
  std::shared_ptr<const GpModel> model_;  // nullptr: the support alone
};

}  // namespace fewwatt::learners
