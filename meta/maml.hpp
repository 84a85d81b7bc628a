#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/fine_tune.hpp"
#include "learners/optimizer.hpp"
#include "meta/maml_gradient.hpp"
#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

struct MamlOptions {
  InnerLoop inner;
  std::vector<int> hidden = {64, 64};
  learners::Activation activation = learners::Activation::silu;
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 3e-3;
  int max_steps = 300;
  // The outer gradient g becomes g * min(1, clip_norm / |g|).
  double clip_norm = 1.0;
  // How the snapshot is fitted to a support set at test time, per target.
  std::array<learners::FineTuneOptions, tasks::kNumTargets> fine_tune;
  std::string error() const;  // "" when valid
};

// What training of a target's net starts from.
Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target);

// MAML, Finn et al. 2017: one net for each target that the training profiles have, from features standardised
// over the training modes to   (log y - mean log y of the support) / target_scale.
class Maml final : public MetaLearner {
 public:
  // Throws std::invalid_argument when options are bad, there is no profile, or the profiles' knobs differ in
  // role.
  Maml(std::span<const datasets::Profile> training, MamlOptions options, std::uint64_t seed);

  // Rows without a known value are left out, and then each task has as many rows as the one that has the
  // fewest. Throws std::runtime_error naming step and task when a loss is no longer finite.
  StepReport step(std::span<const tasks::Task> batch) override;
  learners::Checkpoint snapshot() const override;
  void save_state(const std::string& path) const override;
  // Throws datasets::DataError, or std::invalid_argument when the state is of other targets or another net.
  void load_state(const std::string& path) override;

  const learners::FineTuneModel& model() const { return model_; }

 private:
  MamlOptions options_;
  learners::FineTuneModel model_;
  std::array<std::optional<learners::Adam<double>>, tasks::kNumTargets> adam_;  // of the targets of model_
  int step_ = 0;
};

}  // namespace fewwatt::meta
