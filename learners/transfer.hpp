#pragma once

#include <array>
#include <optional>
#include <string>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/learner.hpp"
#include "learners/mlp.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::learners {

// The published net (PowerTrain, doi 10.1016/j.future.2024.07.001): 256-128-64-1, ReLU, dropout 0.4 and 0.3,
// Adam 1e-3, minibatch 16, 100 epochs, mean squared error, one net for time and one for power.
struct PublishedRecipe {
  int epochs = 100;
  int batch = 16;
  double rate = 1e-3;
  // Adaptation goes over the support epochs * rows_per_mode times. Published: each measured mode stands for 40
  // minibatches in the rows, here for one, their mean.
  int rows_per_mode = 1;

  std::string error() const;  // "" when valid
};
MlpShape published_shape(int inputs);

// One pass over the rows in random minibatches of `batch`, dropout on. Updates the parameters from `first`
// on; `adam` is for those.
void train_epoch(Mlp<float>& net, Adam<float>& adam, std::size_t first, const Mlp<float>::Matrix& inputs,
                 const Mlp<float>::Matrix& targets, int batch, hw::Rng& rng);

// A reference workload's net, for one target.
struct ReferenceNet {
  Vector weights;  // of published_shape
  Scaler inputs;   // of raw features of the reference rows
};

// What meta/pretrain trains and Transfer adapts; a Checkpoint holds it under these names:
//   texts    knobs, reference (device/workload)
//   tensors  t/weights [1,p], t/input_mean, t/input_stddev [1,k], for each target t = time, power that is trained
// The checkpoint's learner is "transfer" or "transfer-log".
struct TransferModel {
  bool log_targets = false;
  std::string knobs;  // roles_text() of the reference space
  std::string reference;
  std::array<std::optional<ReferenceNet>, tasks::kNumTargets> targets;

  Checkpoint to_checkpoint() const;
  static TransferModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// Plain transfer learning: a fresh last layer, trained alone for 100 epochs, then everything for 100 epochs.
class Transfer final : public Learner {
 public:
  explicit Transfer(TransferModel model, PublishedRecipe recipe = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  TransferModel model_;
  PublishedRecipe recipe_;
};

// The published net from random weights, on all support rows: the 90:10 split of the published recipe would
// take its best epoch from a single row at ten shots, which is far worse. `scratch-log` has log targets,
// physical features instead of raw ones, and no dropout: the strongest reading of the same net.
class Scratch final : public Learner {
 public:
  explicit Scratch(bool log_targets_and_physical_features, PublishedRecipe recipe = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  bool log_;
  PublishedRecipe recipe_;
};

}  // namespace fewwatt::learners
