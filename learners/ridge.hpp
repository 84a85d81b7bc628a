#pragma once

#include <array>
#include <optional>
#include <string>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/learner.hpp"
#include "learners/mlp.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// Prior variance of the level around the support's mean, in squared units of the target: so large that it hardly matters.
inline constexpr double kRidgeLevelVariance = 10;

// Greatest number of outputs of the net: the covariance of their weights has the square of that many entries.
inline constexpr int kMostRidgeFeatures = 1024;

// One target:  log y = m + target_scale h(x) . w + noise,   m = mean log y of the support rows, noise ~ N(0, noise^2), phi a net,
// x the standardised features. w and noise are in units of target_scale. Weights are independent a priori, or not:
//   independent  h(x) = (1, phi(x), x), so that the features skip the net too, and
//                w ~ N((0, prior_mean), diag(kRidgeLevelVariance, (prior_scale spread)^2))
//   with `lower` h(x) = activation(phi(x)), and w ~ N(prior_mean, prior_scale^2 S S'),  S = diag(spread) (I + lower), as Harrison
//                et al. 2018 have it: S S' is their inverse of Lambda_0 times the noise's variance
struct RidgeTarget {
  Vector weights;           // of phi, [MlpShape::num_parameters()]
  double target_scale = 1;  // > 0; log units
  Vector prior_mean;        // [e + f]; with `lower` [e]
  Vector log_spreads;       // as many
  Matrix lower = {};        // [e,e], 0 on and above the diagonal; [0,0] = weights are independent
  double log_noise = -3;    // of noise
  double prior_scale = 1;   // > 0; chosen on validation workloads
  bool dependent() const { return lower.size() > 0; }  // whether the weights are
};

// What meta/ trains and Ridge adapts, as plain data; a Checkpoint holds it under these names:
//   texts    trained_by, knobs, activation
//   tensors  feature_mean, feature_stddev [1,f]
// and for each target t = time, power that is trained
//   tensors  t/weights [1,n], t/prior_mean, t/log_spreads [1,e + f]; where weights depend on each other t/lower [e,e], and these [1,e]
//   numbers  hidden, t/target_scale, t/log_noise, t/prior_scale
struct RidgeModel {
  std::string trained_by;                                              // "ridge", "r2d2"
  std::string knobs;                                                   // roles_text() of the training spaces
  Scaler scaler;                                                       // of FeatureSet::physical
  MlpShape shape;                                                      // of phi, {f, hidden..., e}
  std::array<std::optional<RidgeTarget>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  std::string error() const;                             // "" when valid
  void visit(CheckpointFields& fields);                  // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                      // origin is left to the caller
  static RidgeModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

inline constexpr double kRidgeFarthest = 4;  // see ridge_features()
// h(x) of a target, the inputs of its last layer: [n,1 + e + f], or [n,e] where weights depend on each other. Standardised features farther from 0 than kRidgeFarthest are moved there:
// inverse batch sizes of a new workload can lie dozens of standard deviations from everything that training saw.
Matrix ridge_features(const MlpShape& shape, const RidgeTarget& target, const Matrix& x);

// The posterior of the weights, N(mean, covariance).
struct RidgePosterior {
  Vector mean;        // [p]
  Matrix covariance;  // [p,p]
};
// The posterior of w in y = features w + noise, w ~ N(prior_mean, diag(prior_variance)): Harrison et al. 2018 (ALPaCA), eq. 4 and 5. With
// fewer rows than features by Woodbury's identity, Bertinetto et al. 2019 (R2D2), eq. 4, at the cost of inverting [n,n].
// features [n,p], targets [n]. Throws std::runtime_error when what is to be inverted is not positive definite.
RidgePosterior ridge_posterior(const Matrix& features, const Vector& targets, const Vector& prior_mean,
                               const Vector& prior_variance, double noise_variance);
// The same under a target's prior and noise. features [n,p] as ridge_features() has them, targets [n] in the target's units.
RidgePosterior ridge_posterior(const RidgeTarget& target, const Matrix& features, const Vector& targets);

// A net whose last layer is fitted to the support in closed form. With uncertainty, scaled by how the support's rows are
// predicted from each other.
class Ridge final : public Learner {
 public:
  explicit Ridge(RidgeModel model);  // throws std::invalid_argument for model.error()
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  RidgeModel model_;
};

}  // namespace fewwatt::learners
