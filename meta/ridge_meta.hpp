#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "learners/ridge.hpp"
#include "meta/mode_episodes.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {

// What training makes small.
enum class RidgeLoss {
  likelihood,  // ALPaCA, Harrison et al. 2018, eq. 8: -log density of the query under the posterior predictive; the prior's
  // mean and spreads and the noise are learned
  squared  // R2D2, Bertinetto et al. 2019, eq. 5: squared error of the query; the prior's mean is 0 and all spreads are
  // the one that is learned, the noise stays
};

// What is known of the last layer's weights before a task is seen; see learners::RidgeTarget.
enum class RidgePrior {
  diagonal,  // they are independent, and the features skip the net too
  full  // as in ALPaCA, Harrison et al. 2018: they depend on each other, all of which is learned, and nothing skips the net
};

// What ridge_gradient() computes.
struct RidgeGradient {
  double loss = 0;                  // of the whole batch, with the prior
  std::vector<double> task_losses;  // without the prior
  Matrix means, variances;          // [b,q] of the query, in units of the target
  Vector gradient;                  // d loss / d parameters, in the order of ridge_parameters
};

// What training changes: the net's weights, prior_mean, log_spreads, what is below the diagonal of `lower` row by row, log_noise.
Vector ridge_parameters(const learners::RidgeTarget& target);
void set_ridge_parameters(learners::RidgeTarget& target, const Vector& parameters);

// Mean over tasks of the mean query loss, plus pull times the squared distance of what is learned of the prior and the
// noise from where training starts, and its exact gradient, in double, at prior_scale 1. The gradient of log_noise is 0 for
// RidgeLoss::squared, whose prior is diagonal. All episodes have the same k and q. One thread. Throws std::invalid_argument when
// sizes do not fit, Diverged when a covariance is not positive definite.
RidgeGradient ridge_gradient(const learners::MlpShape& shape, const learners::RidgeTarget& target,
                             std::span<const Episode> episodes, RidgeLoss loss, double pull);

// How the net and the prior are trained.
struct RidgeMetaOptions {
  std::vector<int> hidden = {64};                                // widths of the hidden layers of the net
  int features = 32;                                             // outputs of the net
  learners::Activation activation = learners::Activation::silu;  // of the hidden layers
  RidgeLoss loss = RidgeLoss::likelihood;                        // what is made small
  RidgePrior prior = RidgePrior::diagonal;                       // full with RidgeLoss::likelihood only
  double pull = 1e-4;  // how strongly prior and noise stay near their start; see ridge_gradient()
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 3e-3;
  int max_steps = 600;                     // number of outer steps; rates fall to 0 until then
  double clip_norm = 10;                   // the outer gradient g becomes g * min(1, clip_norm / |g|)
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// On a net of any number of inputs and episodes of one target; with more, one for each (Columns).
class RidgeMeta final : public OuterLearner {
 public:
  // From `start`, of a net phi of `shape`. `name` is what messages call it. Throws std::invalid_argument when options are bad, or the
  // start has another prior than they have.
  RidgeMeta(std::string name, learners::MlpShape shape, learners::RidgeTarget start,
            RidgeMetaOptions options);

  // The net's weights, prior and noise as trained so far.
  const learners::RidgeTarget& target() const { return target_; }
  // In the episode's units. Throws std::invalid_argument when the episode does not fit.
  GaussianPrediction predict(const Episode& episode) const;
  // Where training starts from: with independent weights, whatever the prior.
  static learners::RidgeTarget untrained(const learners::MlpShape& shape, std::uint64_t seed, int target,
                                         RidgePrior prior = RidgePrior::diagonal);

 private:
  Vector parameters() const override { return ridge_parameters(target_); }
  void set_parameters(const Vector& parameters) override { set_ridge_parameters(target_, parameters); }
  BatchGradient gradient(std::span<const Episode> batch) const override;

  RidgeMetaOptions options_;
  learners::RidgeTarget target_;
};

// As maml_on_modes().
OnModes ridge_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const RidgeMetaOptions& options, std::uint64_t seed,
                       const learners::Checkpoint* init = nullptr);

// Mean absolute percentage error of one target on the task's query with `prior_scale`; infinite when it is not predicted.
double try_ridge(const learners::Checkpoint& ridge, double prior_scale, tasks::Target target,
                 const tasks::Task& task);

}  // namespace fewwatt::meta
