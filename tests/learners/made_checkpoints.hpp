#pragma once

#include "learners/fine_tune.hpp"
#include "learners/registry.hpp"
#include "learners/transfer.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::tests {

// A fine_tune checkpoint for a space, with random weights.
inline learners::Checkpoint random_fine_tune(const hw::PowerModeSpace& space) {
  using namespace learners;
  FineTuneModel model;
  model.trained_by = "random-init";
  model.knobs = roles_text(space);
  const auto features = encode(model.features, space, space.modes());
  model.scaler = Scaler::fit(features);
  model.shape = {{static_cast<int>(features.cols()), 16, 16, 1}, Activation::silu, {}};
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    hw::Rng rng(static_cast<std::uint64_t>(t) + 1);
    model.targets[static_cast<std::size_t>(t)] =
        Initializer{random_parameters(model.shape, rng), 0.5, {Optimizer::adam, 100, 1e-2, 0}};
  }
  return model.to_checkpoint();
}

inline learners::Checkpoint random_transfer(const hw::PowerModeSpace& space, bool log_targets) {
  using namespace learners;
  TransferModel model;
  model.log_targets = log_targets;
  model.knobs = roles_text(space);
  model.reference = "board/reference";
  const auto inputs = encode(FeatureSet::raw, space, space.modes());
  for (auto& target : model.targets) {
    hw::Rng rng(5);
    target = ReferenceNet{random_parameters(published_shape(static_cast<int>(inputs.cols())), rng),
                          Scaler::fit(inputs)};
  }
  return model.to_checkpoint();
}

// A learner of every name in the registry, with a made-up checkpoint where it needs one.
inline std::unique_ptr<const learners::Learner> learner_for(std::string_view name,
                                                            const hw::PowerModeSpace& space) {
  if (!learners::find_learner(name).needs_checkpoint) return learners::make_learner(name);
  if (name == "fine_tune") return learners::make_learner(random_fine_tune(space));
  return learners::make_learner(random_transfer(space, name == "transfer-log"));
}

}  // namespace fewwatt::tests
