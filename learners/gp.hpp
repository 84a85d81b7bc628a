#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

// Hyper-parameters of a Gaussian process over log y; logs, so that a step is relative.
//   k(z, z') = signal^2 Matern52(|| (z - z') / length ||) + constant^2,   y_i = f(z_i) + noise
struct GpParameters {
  double log_signal = 0;
  Vector log_lengths;  // per knob, of log settings standardised over the space
  double log_noise = 0;
};

struct GpOptions {
  // Normal priors on the logs of the hyper-parameters; without them a fit to five rows believes what it
  // likes.
  double length_median = 3.0, length_spread = 1.0;
  double signal_median = 1.0, signal_spread = 0.5;  // log units of y
  double noise_median = 0.02, noise_spread = 0.7;
  double constant = 3.0;  // standard deviation of the unknown level, log units around the support's mean
  int steps = 200;        // of Adam on the log posterior
  double rate = 0.08;
  std::size_t max_fit_rows = 150;  // hyper-parameters are fitted to at most so many rows (cubic cost)
  std::string error() const;       // "" when valid
};

// Negative log marginal likelihood plus negative log prior of `parameters`, up to a constant, and its
// gradient in the order signal, lengths, noise. inputs [n,k], values [n] = centred log y. Rasmussen &
// Williams 2006, eq. 2.30 and 5.9.
double gp_objective(const GpOptions& options, const GpParameters& parameters, const Matrix& inputs,
                    const Vector& values, Vector* gradient);

// A Gaussian process on the support alone, with uncertainty: ARD Matern-5/2 on log knobs, hyper-parameters at
// the maximum of their posterior.
class Gp final : public Learner {
 public:
  explicit Gp(GpOptions options = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  GpOptions options_;
};

}  // namespace fewwatt::learners
