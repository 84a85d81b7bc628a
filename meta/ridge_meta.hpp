#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/ridge.hpp"
#include "meta/adam_learner.hpp"

namespace fewwatt::meta {

enum class RidgeLoss {
  likelihood,  // ALPaCA, Harrison et al. 2018, eq. 8: -log density of the query under the posterior predictive; the prior's
  // mean and spreads and the noise are learned
  squared  // R2D2, Bertinetto et al. 2019, eq. 5: squared error of the query; the prior's mean is 0 and all spreads are
  // the one that is learned, the noise stays
};

struct RidgeGradient {
  double loss = 0;
  std::vector<double> task_losses;  // without the prior
  Matrix means, variances;          // [b,q] of the query, in units of the target
  Vector gradient;                  // d loss / d parameters, in the order of ridge_parameters
};

// What training changes: the net's weights, prior_mean, log_spreads, log_noise.
Vector ridge_parameters(const learners::RidgeTarget& target);
void set_ridge_parameters(learners::RidgeTarget& target, const Vector& parameters);

// Mean over tasks of the mean query loss, plus pull times the squared distance of what is learned of the prior and the
// noise from where training starts, and its exact gradient, in double, at prior_scale 1. The gradient of log_noise is 0 for
// RidgeLoss::squared. All episodes have the same k and q. One thread. Throws std::invalid_argument when sizes do not fit,
// Diverged when a covariance is not positive definite.
RidgeGradient ridge_gradient(const learners::MlpShape& shape, const learners::RidgeTarget& target,
                             std::span<const Episode> episodes, RidgeLoss loss, double pull);

struct RidgeMetaOptions {
  std::vector<int> hidden = {64};
  int features = 32;  // outputs of the net
  learners::Activation activation = learners::Activation::silu;
  RidgeLoss loss = RidgeLoss::likelihood;
  double pull = 1e-4;
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 3e-3;
  int max_steps = 600;
  double clip_norm = 10;      // the outer gradient g becomes g * min(1, clip_norm / |g|)
  std::string error() const;  // "" when valid
};

class RidgeMeta final : public AdamLearner {
 public:
  // `init` and what is thrown as with Maml.
  RidgeMeta(std::string name, std::span<const datasets::Profile> training, RidgeMetaOptions options,
            std::uint64_t seed, const learners::Checkpoint* init = nullptr);

  learners::Checkpoint snapshot() const override;

  const learners::RidgeModel& model() const { return model_; }
  // The tasks that have known values of the target, with as many rows as the one that has the fewest.
  std::vector<Episode> episodes(tasks::Target target, std::span<const tasks::Task> batch) const;

 private:
  Vector parameters(tasks::Target target) const override;
  void set_parameters(tasks::Target target, const Vector& parameters) override;
  std::optional<TargetGradient> gradient(tasks::Target target,
                                         std::span<const tasks::Task> batch) const override;

  RidgeMetaOptions options_;
  learners::FineTuneModel inputs_;  // scaler and target scales; its nets are not used
  learners::RidgeModel model_;
};

// Mean absolute percentage error of one target on the task's query with `prior_scale`; infinite when it is not predicted.
double try_ridge(const learners::Checkpoint& ridge, double prior_scale, tasks::Target target,
                 const tasks::Task& task);

}  // namespace fewwatt::meta
