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

// How a step of fine-tuning goes.
enum class Optimizer {
  adam,  // Adam
  sgd    // plain gradient steps, of one rate or of learned ones
};
std::string_view to_string(Optimizer optimizer);   // "adam", "sgd"
Optimizer parse_optimizer(std::string_view name);  // throws std::invalid_argument for an unknown name

inline constexpr int kMostFineTuneSteps = 10'000;  // greatest number of steps
// Greatest number of steps times parameters of the net, to which the cost is proportional.
inline constexpr double kMostFineTuneWork = 4e8;
// How an initializer is fitted to a support set at test time: full-batch steps on the mean squared error of the normalised log target. It
// is chosen on validation workloads, per target, and differs from the inner loop of training.
struct FineTuneOptions {
  Optimizer optimizer = Optimizer::adam;  // how a step goes
  int steps = 200;                        // greatest number of steps
  double rate = 3e-3;                     // learning rate; where sgd has learned rates, their factor
  // Stops before `steps` once the root of the mean squared log residual of the support is below this: further
  // steps would fit measurement noise. 0 = never.
  double stop_rms = 0;
  std::string error() const;  // "" when valid
};

// A net's start and how to go on from there, for one target.
//   log y = m + target_scale * net(standardised features),   m = mean log y of the support rows
struct Initializer {
  Vector weights;             // [MlpShape::num_parameters()]
  double target_scale = 1;    // > 0; log units per unit of the net's output
  FineTuneOptions fine_tune;  // how to go on from the weights
  // Learned rates of sgd: parameter i in step s has the rate rates(min(s, rows - 1), i). [0,0] = none.
  Matrix rates = {};
};

// What meta/ trains and FineTune adapts, as plain data; a Checkpoint holds it under these names:
//   texts    knobs, trained_by, activation, features
//   numbers  hidden
//   tensors  feature_mean, feature_stddev [1,f]
// and for each target t = time, power that is trained
//   tensors  t/weights [1,p]; with learned rates t/rates [r,p]
//   text     t/fine_tune/optimizer
//   numbers  t/target_scale, t/fine_tune/steps, t/fine_tune/rate, t/fine_tune/stop_rms
struct FineTuneModel {
  std::string trained_by;                                              // "maml"
  std::string knobs;                                                   // roles_text() of the training spaces
  FeatureSet features = FeatureSet::physical;                          // inputs of the net
  Scaler scaler;                                                       // of the features
  MlpShape shape;                                                      // of the net
  std::array<std::optional<Initializer>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  void visit(CheckpointFields& fields);                     // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                         // origin is left to the caller
  static FineTuneModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// MAML, Finn et al. 2017, at test time: start from the initializer, take gradient steps on the support.
class FineTune final : public Learner {
 public:
  explicit FineTune(FineTuneModel model);  // throws std::invalid_argument for a bad one
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  FineTuneModel model_;
};

// The net after fine-tuning, in the net's own units; T = float at run time, double for parity with LibTorch.
// features [n,f] standardised, targets [n,1] normalised; rates as in Initializer.
template <class T>
Mlp<T> fine_tune(const MlpShape& shape, const Vector& start, const FineTuneOptions& options,
                 double target_scale, const Matrix& features, const Matrix& targets,
                 const Matrix& rates = {});

}  // namespace fewwatt::learners
