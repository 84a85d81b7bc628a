#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/knob_kernel.hpp"
#include "learners/learner.hpp"
#include "learners/mlp.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// What a workload may add to the heads of the training workloads, in log units of the target. With knobs z (log settings,
// standardised over the training modes) and heads log sum_j exp(beta_j) phi_j(x):
//   residual  k(z, z') of the KnobKernel,   y = f + k + noise
//   heads     beta ~ N(beta_0, diag(spread^2) + sum_w deviation_w deviation_w'),   spread those of the TermKernel

// The level of log y around the support's mean ~ N(0, kProtoLevel^2): as good as free. kProtoJitter is added to the
// diagonal beside noise^2. No coefficient moves further than kProtoLongestStep in one Gauss-Newton step.
inline constexpr double kProtoLevel = 3.0, kProtoJitter = 1e-8, kProtoLongestStep = 1.5;

// Greatest numbers of steps of a ProtoFineTune.
inline constexpr int kMostHeadSteps = 100, kMostProtoKernelSteps = 1000;
// How the heads and the kernel are fitted to a support set. Chosen on validation workloads, per target.
struct ProtoFineTune {
  int head_steps = 10;        // Gauss-Newton steps on the coefficients, with the residual integrated out
  int kernel_steps = 0;       // of Adam on the kernel's log posterior given the support
  double kernel_rate = 0.05;  // Adam's learning rate
  double kernel_freedom = 1;  // the prior around the trained kernel has freedom * prior_spreads()
  std::string error() const;  // "" when valid
};

// Greatest number of modes that curves are sums of kernels at.
inline constexpr Eigen::Index kMostCurveModes = 1024;

// What is trained of one target.
struct ProtoTarget {
  std::vector<std::string> workloads;  // w training workloads, as "device/workload"
  MlpShape shape;                      // of the embedding, {2 f + 1, hidden..., e}
  Vector embedding;                    // its parameters
  double deviation_scale = 1;          // > 0; log units, see embedding_inputs
  Matrix prototypes;                   // [w,e] mean embedding of each workload's rows
  double log_sharpness = 0;            // see prototype_weights
  Matrix heads;                        // [w,p] beta of each workload; on its own rows the head's mean is 0
  // What the heads of the training workloads leave over, smoothed:  curve_w(z) = sum_r k(z, curve_knobs_r)
  // curve_weights_rw, k the residual kernel of TermKernel::medians. The new workload is expected to have
  // curve_share times the mixture of these.
  Matrix curve_knobs;        // [r,d]
  Matrix curve_weights;      // [r,w]
  double curve_share = 0.5;  // see above
  double head_share = 1;     // see head_prior
  TermKernel kernel;         // of the residual, spreads of the heads, and noise
  ProtoFineTune fine_tune;   // how these are fitted to a support set
};

// Parts that can be left out to see what they are worth.
struct ProtoParts {
  bool embedding = true;  // false: all training workloads weigh the same
  bool heads = true;      // false: the residual's kernel explains all
  bool residual = true;   // false: the heads explain all but noise
};

// What meta/ trains and Proto adapts, as plain data; a Checkpoint holds it under these names:
//   texts    trained_by, knobs, activation, parts ("embedding heads residual")
//   tensors  feature_mean, feature_stddev [1,f], knob_mean, knob_stddev [1,d]
// and for each target t = time, power that is trained
//   text     t/workloads, one per line
//   tensors  t/embedding [1,n], t/prototypes [w,e], t/heads [w,p], t/curve_knobs [r,d], t/curve_weights [r,w],
//            t/kernel [1,3 d + 2 + p]
//   numbers  t/hidden, t/deviation_scale, t/log_sharpness, t/curve_share, t/head_share, t/fine_tune/head_steps, t/fine_tune/kernel_steps,
//            t/fine_tune/kernel_rate, t/fine_tune/kernel_freedom
struct ProtoModel {
  std::string trained_by;                                              // "proto"
  std::string knobs;                                                   // roles_text() of the training spaces
  Scaler features;                                                     // of FeatureSet::physical
  Scaler log_settings;                                                 // of the logs of the settings, [d]
  ProtoParts parts;                                                    // that it uses
  std::array<std::optional<ProtoTarget>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  std::string error() const;                             // "" when valid
  void visit(CheckpointFields& fields);                  // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                      // origin is left to the caller
  static ProtoModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// Modes as everything of Proto sees them.
struct ProtoInputs {
  Matrix features;   // [n,f] standardised
  Matrix knobs;      // [n,d] log settings, standardised
  Matrix log_terms;  // [n,p] log phi, of physics_features
};
// Those of n modes of a space, whose knobs the model was trained for.
ProtoInputs proto_inputs(const ProtoModel& model, tasks::Target target, const hw::PowerModeSpace& space,
                         std::span<const hw::PowerMode> modes);

// log sum_j exp(beta_j) phi_j, [n], log units of the target. log_terms [n,p], beta [p].
Vector head(const Matrix& log_terms, const Vector& beta);

// Heads [w,p] mixed as sums of what clocks cost, [p]:  beta_j = log sum_w weight_w exp(beta_wj). weights [w], > 0.
Vector mix_heads(const Matrix& heads, const Vector& weights);

// What the heads of the training workloads say of a new one's.
struct HeadPrior {
  Vector beta_0;      // [p] mean of the new workload's coefficients
  Matrix deviations;  // [w,p]
};
// beta_0 of mix_heads;  deviation_w = head_share sqrt(weight_w) (beta_w - beta_0): as the training workloads, weighed,
// lie about it.
HeadPrior head_prior(const ProtoTarget& target, const Vector& weights);

// The curve of each training workload at standardised log settings `knobs`, [n,d]: [n,w], log units of the target.
Matrix curves(const ProtoTarget& target, const Matrix& knobs);

// What the embedding sees of measured rows, [n,2f+1]: the standardised features x, u, and u x, where u is how log y
// deviates from the even mixture h of all heads,  u = (log y - h - c) / deviation_scale,  c = mean of log y - h
// over the first `level_rows` rows.
Matrix embedding_inputs(const ProtoTarget& target, const ProtoInputs& inputs, const Vector& logs,
                        Eigen::Index level_rows);

// Mean embedding of rows, [e]. Snell et al. 2017, eq. 1.
Vector prototype(const ProtoTarget& target, const Matrix& embedding_rows);

// softmax_w(-exp(log_sharpness) |p - prototype_w|^2): eq. 2 for a prototype p in place of a row. Since the mean
// of |e - c|^2 - |e - c'|^2 over rows e is |p - c|^2 - |p - c'|^2, these are the normalised geometric means of the
// rows' own class probabilities.
Vector prototype_weights(const ProtoTarget& target, const Vector& p);

// The fitted log-linear Gaussian model of one target.
class ProtoPosterior {
 public:
  // Heads from `prior` and kernel fitted to support rows with log targets `logs` [n]. Throws std::runtime_error when their covariance is
  // not positive definite.
  ProtoPosterior(const ProtoParts& parts, const TermKernel& kernel, const ProtoFineTune& fine_tune,
                 HeadPrior prior, ProtoInputs support, const Vector& logs);

  // What is predicted of m modes.
  struct LogPrediction {
    Vector mean, variance;  // [m] of a new measurement's log
  };
  LogPrediction predict(const ProtoInputs& query) const;  // of m query modes
  LeftOut left_out() const;  // at the current coefficients as point of linearisation

  // Negative log posterior density of the kernel, up to a constant, at the current coefficients as point of
  // linearisation, and its gradient in the order of TermKernel::flat.
  double objective(const TermKernel& kernel, Vector* gradient) const;

  const TermKernel& kernel() const { return kernel_; }  // as fitted to the support
  const Vector& coefficients() const { return beta_; }  // [p] of the head, as fitted to the support

 private:
  void linearise();
  void set_kernel(TermKernel kernel);
  void solve();
  Vector kernel_spreads() const;                             // of the prior around trained_, [flat]
  Vector slope() const;                                      // of the objective at kernel_, [flat]
  Matrix times_head_covariance(const Matrix& slopes) const;  // [n,p] -> [n,p]

  ProtoParts parts_;
  TermKernel kernel_, trained_;
  ProtoFineTune fine_tune_;
  HeadPrior prior_;
  Matrix between_;  // [p,p] deviations' deviations
  Vector beta_;
  ProtoInputs support_;
  double mean_ = 0;
  Vector logs_;                 // centred
  Matrix slopes_;               // [n,p] d head / d beta
  Vector residual_;             // logs - linearised heads at beta_0
  Matrix residual_covariance_;  // of the support, by kernel_
  Eigen::MatrixXd lower_;       // Cholesky factor of the support's covariance
  Vector alpha_;                // covariance^-1 residual
};

// Prototypical networks, Snell et al. 2017, for power-mode profiles: the support's prototype gives weights of the
// training workloads; their heads, so mixed, are the prior mean of a Gaussian model of log y whose coefficients
// and residual are fitted to the support.
class Proto final : public Learner {
 public:
  explicit Proto(ProtoModel model);  // throws std::invalid_argument for a bad one
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  ProtoModel model_;
};

}  // namespace fewwatt::learners
