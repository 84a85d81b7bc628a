#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/encode.hpp"
#include "learners/mlp.hpp"
#include "meta/columns.hpp"
#include "tasks/episode_source.hpp"
#include "tasks/task_source.hpp"

namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// The one place where tasks of power modes become episodes. What is decided here:
//   inputs   features of the settings, standardised over the modes of the training profiles, and what `more` gives
//   targets  time and power: logs, since a time may span a factor of 30 and relative errors are what counts; less their mean over
//            the support, where `centred`, so that no query row tells anything; in units of `scales`. A value that was not
//            measured is NaN, and so is a target that is not trained
//   noise    a row counts as one row, however often it was measured: its target is the mean, and query rows judge alike
//   rows     in the order in which they were drawn, so that the first few of them are a fair draw too
struct ModeEncoder {
  std::string knobs;  // roles_text() of the spaces that it is for
  learners::FeatureSet features = learners::FeatureSet::physical;  // inputs that are made of the settings
  learners::Scaler scaler;                                         // of the features
  // Log units of a target that are 1 in an episode, > 0; nullopt where no training profile has the target.
  std::array<std::optional<double>, tasks::kNumTargets> scales;
  bool centred = true;  // whether the mean of the support's logs is subtracted
  // Further inputs, beside the features; empty: none.
  std::function<Matrix(const hw::PowerModeSpace&, std::span<const hw::PowerMode>)> more = {};

  Matrix inputs(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) const;  // [n,d]
  // The task as an episode.
  tasks::Episode operator()(const tasks::Task& task) const;
  // Those of the tasks in which the target is known, with that target alone: what a learner of one target gets (Columns).
  std::vector<tasks::Episode> of_target(tasks::Target target, std::span<const tasks::Task> tasks) const;

  // Of training profiles; scales are root mean squares of the log targets around their profile's mean. Throws
  // std::invalid_argument naming `learner` when there is no profile, or the profiles' knobs differ in role.
  static ModeEncoder of(const std::string& learner, std::span<const datasets::Profile> training);
};

// A meta-learner of power modes, and how they become its episodes. Its snapshots are what the board's learner adapts.
struct OnModes {
  ModeEncoder encoder;                   // that makes episodes of tasks
  std::unique_ptr<MetaLearner> learner;  // that trains on these episodes
};

// A Learner for each target that the encoder has a scale of: make(name of the learner in messages, target). snapshot(learners)
// makes the board's checkpoint of what they have learned, nullptr standing for those that there are not.
template <class Learner, class Make, class Snapshot>
OnModes on_modes(const std::string& name, ModeEncoder encoder, const Make& make, const Snapshot& snapshot) {
  std::vector<Columns::Column> columns;
  std::array<const Learner*, tasks::kNumTargets> learners{};
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    auto& column = columns.emplace_back(Columns::Column{tasks::kTargetNames[t], nullptr});
    if (!encoder.scales[t]) continue;
    auto learner = make(name + ", " + column.name, t);
    learners[t] = learner.get();
    column.learner = std::move(learner);
  }
  return {std::move(encoder),
          std::make_unique<Columns>(std::move(columns), [=] { return snapshot(learners); })};
}

// Throw std::invalid_argument unless what training starts from is for the knobs that the profiles have, and of the shape that
// `learner` trains.
void check_start(const std::string& knobs, const std::string& training_knobs);
void check_start(const std::string& learner, const learners::MlpShape& shape,
                 const learners::MlpShape& wanted);

// The same for a Model of the board that has trained_by, knobs, scaler, a net's shape and targets:
//   shape_for(number of features)            the net's shape
//   untrained(shape, t, scale)               where training of target t starts; scale: log units that are 1 in an episode
//   make(name in messages, shape, target)    the Learner that trains it
//   keep(learner, target)                    puts what it has learned into the target
// A target without a target_scale is in log units. With `init`, which the same meta-learner trained, scaler and targets are those of
// init, where it has them. Throws std::invalid_argument naming the meta-learner when there is no profile, the profiles' knobs differ in role, or
// those of init do, or its net has another shape.
template <class Learner, class Model, class ShapeFor, class Untrained, class Make, class Keep>
OnModes model_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const learners::Checkpoint* init, const ShapeFor& shape_for,
                       const Untrained& untrained, const Make& make, const Keep& keep) {
  std::optional<Model> from;
  if (init != nullptr) from = Model::from_checkpoint(*init);
  auto encoder = ModeEncoder::of(name, training);
  Model model;
  model.trained_by = name;
  model.knobs = encoder.knobs;
  model.shape = shape_for(encoder.scaler.mean.size());
  if (from) {
    check_start(from->knobs, model.knobs);
    check_start(name, from->shape, model.shape);
    encoder.scaler = from->scaler;
  }
  model.scaler = encoder.scaler;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    if (!encoder.scales[t]) continue;
    auto& target = model.targets[t];
    if (from && from->targets[t])
      target = *from->targets[t];
    else
      target = untrained(model.shape, t, *encoder.scales[t]);
    if constexpr (requires { target->target_scale; })
      encoder.scales[t] = target->target_scale;
    else
      encoder.scales[t] = 1;
  }
  return on_modes<Learner>(
      name, std::move(encoder),
      [&](const std::string& learner, int t) { return make(learner, model.shape, *model.targets[t]); },
      [model, keep](const auto& learners) {
        auto now = model;
        for (int t = 0; t < tasks::kNumTargets; ++t)
          if (learners[t] != nullptr) keep(*learners[t], *now.targets[t]);
        return now.to_checkpoint();
      });
}

// Tasks drawn from profiles, as episodes. Step i has a stream of draws of its own, and one number of shots.
class ModeEpisodes final : public tasks::EpisodeSource {
 public:
  // The same seed gives the same episodes.
  ModeEpisodes(tasks::TaskSource tasks, ModeEncoder encoder, std::uint64_t seed);

  // Draws the ones before it as well: batch() is quicker.
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override;
  // The first `count` episodes of a step.
  std::vector<tasks::Episode> batch(std::uint64_t step, std::size_t count) const override;

 private:
  std::vector<tasks::Task> tasks_of(std::uint64_t step, std::size_t count) const;

  tasks::TaskSource tasks_;
  ModeEncoder encoder_;
  std::uint64_t seed_;
};

}  // namespace fewwatt::meta
