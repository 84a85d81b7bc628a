#pragma once

#include <span>
#include <string>
#include <vector>

#include "learners/options.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {

// Stationary kernels of z [e], the outputs of a net or the inputs themselves, with t = z - z':
//   rbf       signal^2 exp(-|t|^2 / (2 length^2))
//   spectral  sum_m signal_m^2 prod_e exp(-2 pi^2 t_e^2 width_me^2) cos(2 pi t_e frequency_me)   Wilson & Adams 2013, eq. 12
enum class BaseKernel { rbf, spectral };

// How the net and the kernel are trained.
struct KernelTransferOptions {
  BaseKernel kernel = BaseKernel::rbf;  // on the net's outputs
  std::vector<int> hidden = {40, 40};   // widths of the hidden layers of the net
  int embedding = 40;                   // outputs of the net; 0: no net, the kernel acts on the inputs
  learners::Activation activation = learners::Activation::relu;  // of the hidden layers
  int mixtures = 4;                                              // of spectral
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 1e-3;
  int max_steps = 1000;                    // number of outer steps; rates fall to 0 until then
  double clip_norm = 100;                  // the outer gradient g becomes g * min(1, clip_norm / |g|)
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// Deep kernel transfer as published, Patacchiola et al. 2020, for families of smooth or periodic functions: a Gaussian process of
// mean 0 whose kernel acts on a net's outputs; net, kernel and noise are those under which all rows of an episode, support and
// query, are most likely (eq. 4), and stay as they are for a new task. What boards adapt is DeepKernel.
class KernelTransfer final : public OuterLearner {
 public:
  // On episodes of one target. `name` is what messages call it. Throws std::invalid_argument when options are bad.
  KernelTransfer(std::string name, Eigen::Index inputs, KernelTransferOptions options, std::uint64_t seed);

  // Of the episode's query, from its support. Throws std::invalid_argument when it does not fit, Diverged when the covariance is not
  // positive definite.
  GaussianPrediction predict(const Episode& episode) const;

  // Mean over episodes of the negative log marginal likelihood per row, up to a constant, and its gradient by the parameters
  // (net; logs of signals, length or frequencies and widths, and noise), in double. Episodes all have the same k and q. Throws
  // Diverged.
  BatchGradient gradient(std::span<const Episode> batch) const override;
  Vector parameters() const override { return parameters_; }  // in the order that gradient() has
  void set_parameters(const Vector& parameters) override { parameters_ = parameters; }  // of the same size

 private:
  KernelTransferOptions options_;
  Vector parameters_;
};

}  // namespace fewwatt::meta
