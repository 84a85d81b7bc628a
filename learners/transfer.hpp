#pragma once

#include <array>
#include <optional>
#include <string>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/learner.hpp"
#include "learners/mlp.hpp"
#include "learners/optimizer.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// The published net (PowerTrain, doi 10.1016/j.future.2024.07.001): 256-128-64-1, ReLU, dropout 0.4 and 0.3,
// Adam 1e-3, minibatch 16, 100 epochs, mean squared error, one net for time and one for power.
struct PublishedRecipe {
  int epochs = 100;    // passes over the rows
  int batch = 16;      // rows of a minibatch
  double rate = 1e-3;  // Adam's learning rate
  // Adaptation goes over the support epochs * rows_per_mode times. In the published recipe the rows of a measured mode are 40 minibatches;
  // here there is one row, their mean.
  int rows_per_mode = 1;

  void each(OptionVisitor& on);  // visits all options
  std::string error() const;     // "" when valid
};
MlpShape published_shape(int inputs);  // of the published net, with that many inputs

// One pass over the rows in random minibatches of `batch`, with dropout. Updates the parameters from `first` on; `adam` is an optimizer
// for just these.
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
  bool log_targets = false;                                             // whether the nets predict logs
  std::string knobs;                                                    // roles_text() of the reference space
  std::string reference;                                                // device/workload
  std::array<std::optional<ReferenceNet>, tasks::kNumTargets> targets;  // nullopt where it is not trained

  void visit(CheckpointFields& fields);  // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;      // origin is left to the caller
  // Throws std::invalid_argument.
  static TransferModel from_checkpoint(const Checkpoint&, bool log_targets);
};

// Plain transfer learning: a fresh last layer, trained alone for 100 epochs, then everything for 100 epochs.
class Transfer final : public Learner {
 public:
  // Throws std::invalid_argument for recipe.error().
  explicit Transfer(TransferModel model, PublishedRecipe recipe = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  TransferModel model_;
  PublishedRecipe recipe_;
};

// The published net, trained from random weights on all support rows. (The published recipe would keep a tenth of them to choose the best
// epoch, which is a single row of ten, and far worse.) `scratch-log` has log targets, physical features instead of raw ones, and
// no dropout: the strongest form of the same net.
class Scratch final : public Learner {
 public:
  // Throws std::invalid_argument for recipe.error().
  explicit Scratch(bool log_targets_and_physical_features, PublishedRecipe recipe = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  bool log_;
  PublishedRecipe recipe_;
};

}  // namespace fewwatt::learners
