#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/fine_tune.hpp"
#include "learners/optimizer.hpp"
#include "meta/maml_gradient.hpp"
#include "meta/meta_learner.hpp"

// What meta-learners of nets that the learner fine_tune adapts have in common.
namespace fewwatt::meta {

struct NetOptions {
  std::vector<int> hidden = {64, 64};
  learners::Activation activation = learners::Activation::silu;
  // How the snapshot is fitted to a support set at test time, per target.
  std::array<learners::FineTuneOptions, tasks::kNumTargets> fine_tune;
  std::string error() const;  // "" when valid
};

// What training of a target's net starts from.
Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target);

// One untrained net for each target that the training profiles have, from features standardised over the
// training modes to   (log y - mean log y of the support) / target_scale,   target_scale = root mean square of
// the log targets around their profile's mean. With `start`, which the same learner trained, its features, scales, weights
// and fine-tuning in their place, for the targets that it has. Throws std::invalid_argument naming `learner` when there is no
// profile, the profiles' knobs differ in role, or those of start do.
learners::FineTuneModel new_model(const std::string& learner, std::span<const datasets::Profile> training,
                                  const NetOptions& options, std::uint64_t seed,
                                  const learners::FineTuneModel* start = nullptr);

// Throw std::invalid_argument unless what training starts from is for the knobs that the profiles have, and of the shape that
// `learner` trains.
void check_start(const std::string& knobs, const std::string& training_knobs);
void check_start(const std::string& learner, const learners::MlpShape& shape,
                 const learners::MlpShape& wanted);

// The tasks that have a support and a query row with a known value of the target, in the net's units. Rows
// without a known value are left out.
struct EpisodeBatch {
  std::vector<Episode> episodes;
  std::vector<const tasks::Task*> tasks;  // of each episode
};
EpisodeBatch make_episodes(const learners::FineTuneModel& model, int target,
                           std::span<const tasks::Task> tasks);

// Their episodes, with as many rows as the one that has the fewest.
std::vector<Episode> even_episodes(const learners::FineTuneModel& model, int target,
                                   std::span<const tasks::Task> tasks);

struct TargetGradient {
  double loss = 0;
  Vector gradient;
};
// One outer step, where a target's whole step is a gradient g, which becomes g * min(1, clip_norm / |g|): gets those of all
// targets, where there are any, then has all taken. Throws Diverged naming learner, target, step and a task when `gradient`
// does or it is not finite; nothing is taken then.
StepReport gradient_step(const std::string& learner, int step, double clip_norm,
                         std::span<const tasks::Task> batch,
                         const std::function<std::optional<TargetGradient>(tasks::Target)>& gradient,
                         const std::function<void(tasks::Target, const Vector&)>& take);

// Rate of outer step `step`:  rate * (1 + cos(pi step / max_steps)) / 2
double cosine_rate(double rate, int step, int max_steps);

// The parameters of a checkpoint's entry `name`, which must have `size` values. Throws std::invalid_argument.
Vector sized_vector(const learners::Checkpoint& state, const std::string& name, Eigen::Index size);

// An optimizer's state as entries prefix + first_moment, second_moment, adam_steps.
void write_adam(learners::Checkpoint& state, const std::string& prefix, const learners::Adam<double>& adam);
void read_adam(const learners::Checkpoint& state, const std::string& prefix, learners::Adam<double>& adam);

// Throws std::invalid_argument unless the state is a `kind`.
void check_state(const learners::Checkpoint& state, const std::string& kind);

}  // namespace fewwatt::meta
