#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/gp.hpp"
#include "learners/options.hpp"
#include "meta/mode_episodes.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {

// What training changes: the net's weights, mean, kernel.
Vector deep_kernel_parameters(const learners::GpTarget& target);
void set_deep_kernel_parameters(learners::GpTarget& target, const Vector& parameters);

// Deep kernel transfer: mean over tasks of the negative log marginal likelihood per row of all of a task's rows, support and
// query, up to a constant (Patacchiola et al. 2020, eq. 4; Wistuba & Grabocka 2021, eq. 7), plus pull times the squared
// distance of mean and kernel from where training starts, in standard deviations of their prior; and the exact gradient, in
// double. Episodes have one target and all have the same k and q. One thread. Throws std::invalid_argument when sizes do
// not fit, Diverged when a covariance is not positive definite. Losses of episodes are without the pull.
// The kernel acts on as many inputs as there are lengths less outputs of the net, from input `first_knob` on.
BatchGradient deep_kernel_gradient(const learners::MlpShape& shape, const learners::GpTarget& target,
                                   Eigen::Index first_knob, std::span<const Episode> episodes, double pull);

// How the net and the kernel are trained.
struct DeepKernelOptions {
  std::vector<int> hidden = {32};  // widths of the hidden layers of the net
  int embedding = 2;  // outputs of the net, on which the kernel acts beside the knobs; 0 = no net
  learners::Activation activation = learners::Activation::tanh;  // of the hidden layers
  double pull = 1e-3;  // how strongly mean and kernel stay near their prior; see deep_kernel_gradient()
  // Adam's rates in outer step t, of mean and kernel and of the net:  rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 2e-2, net_rate = 3e-3;
  int max_steps = 200;                     // number of outer steps; rates fall to 0 until then
  double clip_norm = 10;                   // the outer gradient g becomes g * min(1, clip_norm / |g|)
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// On episodes of one target; with more, one for each (Columns).
class DeepKernel final : public OuterLearner {
 public:
  // From `start`, of a net phi of `shape`; see deep_kernel_gradient() for first_knob. `name` is what messages call it. Throws
  // std::invalid_argument when options are bad.
  DeepKernel(std::string name, learners::MlpShape shape, learners::GpTarget start, Eigen::Index first_knob,
             DeepKernelOptions options);

  // The net's weights, mean and kernel as trained so far.
  const learners::GpTarget& target() const { return target_; }
  // Where training starts from, with a kernel on `knobs` inputs and the outputs of the net.
  static learners::GpTarget untrained(const learners::MlpShape& shape, Eigen::Index knobs, std::uint64_t seed,
                                      int target);

 private:
  Vector parameters() const override { return deep_kernel_parameters(target_); }
  void set_parameters(const Vector& parameters) override { set_deep_kernel_parameters(target_, parameters); }
  BatchGradient gradient(std::span<const Episode> batch) const override;

  DeepKernelOptions options_;
  learners::GpTarget target_;
  Eigen::Index first_knob_;
};

// As maml_on_modes(); targets are in log units.
OnModes deep_kernel_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                             const DeepKernelOptions& options, std::uint64_t seed,
                             const learners::Checkpoint* init = nullptr);
// The first of the log settings among the features of power modes, which GpModel's kernel acts on.
Eigen::Index first_log_setting(Eigen::Index features);

// Mean absolute percentage error of one target on the task's query with `fine_tune`; infinite when it is not predicted.
double try_gp(const learners::Checkpoint& gp, const learners::GpFineTune& fine_tune, tasks::Target target,
              const tasks::Task& task);

}  // namespace fewwatt::meta
