#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/gp.hpp"
#include "meta/adam_learner.hpp"

namespace fewwatt::meta {

struct DeepKernelGradient {
  double loss = 0;
  std::vector<double> task_losses;  // without the prior
  Vector gradient;                  // d loss / d parameters, in the order of deep_kernel_parameters
};

// What training changes: the net's weights, mean, kernel.
Vector deep_kernel_parameters(const learners::GpTarget& target);
void set_deep_kernel_parameters(learners::GpTarget& target, const Vector& parameters);

// Deep kernel transfer: mean over tasks of the negative log marginal likelihood per row of all of a task's rows, support and
// query, up to a constant (Patacchiola et al. 2020, eq. 4; Wistuba & Grabocka 2021, eq. 7), plus pull times the squared
// distance of mean and kernel from where training starts, in standard deviations of their prior; and the exact gradient, in
// double. Episodes hold log targets and all have the same k and q. One thread. Throws std::invalid_argument when sizes do
// not fit, Diverged when a covariance is not positive definite.
DeepKernelGradient deep_kernel_gradient(const learners::MlpShape& shape, const learners::GpTarget& target,
                                        std::span<const Episode> episodes, double pull);

struct DeepKernelOptions {
  std::vector<int> hidden = {32};
  int embedding = 2;  // outputs of the net, on which the kernel acts beside the knobs; 0 = no net
  learners::Activation activation = learners::Activation::tanh;
  double pull = 1e-3;
  // Adam's rates in outer step t, of mean and kernel and of the net:  rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 2e-2, net_rate = 3e-3;
  int max_steps = 200;
  double clip_norm = 10;      // the outer gradient g becomes g * min(1, clip_norm / |g|)
  std::string error() const;  // "" when valid
};

class DeepKernel final : public AdamLearner {
 public:
  // `init` and what is thrown as with Maml.
  DeepKernel(std::string name, std::span<const datasets::Profile> training, DeepKernelOptions options,
             std::uint64_t seed, const learners::Checkpoint* init = nullptr);

  learners::Checkpoint snapshot() const override;

  const learners::GpModel& model() const { return model_; }
  // The tasks that have known values of the target, with as many rows as the one that has the fewest.
  std::vector<Episode> episodes(tasks::Target target, std::span<const tasks::Task> batch) const;

 private:
  Vector parameters(tasks::Target target) const override;
  void set_parameters(tasks::Target target, const Vector& parameters) override;
  std::optional<TargetGradient> gradient(tasks::Target target,
                                         std::span<const tasks::Task> batch) const override;

  DeepKernelOptions options_;
  learners::FineTuneModel inputs_;  // scaler, and target scales of 1; its nets are not used
  learners::GpModel model_;
};

// Mean absolute percentage error of one target on the task's query with `fine_tune`; infinite when it is not predicted.
double try_gp(const learners::Checkpoint& gp, const learners::GpFineTune& fine_tune, tasks::Target target,
              const tasks::Task& task);

}  // namespace fewwatt::meta
