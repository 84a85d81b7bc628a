#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "learners/learner.hpp"
#include "learners/registry.hpp"
#include "meta/meta_learner.hpp"
#include "tasks/episode_source.hpp"
#include "tasks/task.hpp"

namespace fewwatt::meta {

// How long a meta-learner is trained, and how often it is validated.
struct TrainOptions {
  int steps = 1000;          // outer updates, at most
  int meta_batch = 16;       // episodes per update
  int validate_every = 100;  // updates
  // Stops after so many validations in a row without a new best one; 0 = never.
  int patience = 0;
  std::string error() const;  // "" when valid
};

// How far training is.
struct Progress {
  int step = 0;                                                        // updates done
  int steps = 0;                                                       // at most
  double loss = 0;                                                     // StepReport::loss of the last update
  double validation_error = std::numeric_limits<double>::quiet_NaN();  // NaN = not validated now
};

// Where training stands between two updates; enough to go on bit for bit.
struct TrainState {
  int step = 0;                  // updates done
  int best_step = -1;            // after which `best` was taken; -1 = none yet
  double best_error = -1;        // of `best`; -1 without validation
  int not_better = 0;            // validations since the best one
  learners::Checkpoint best;     // snapshot
  learners::Checkpoint learner;  // MetaLearner::state()
};

// Why training ended.
enum class Stop { finished, patience, interrupted, diverged };
// "finished", "patience", ...
std::string_view to_string(Stop stop);

// The result of train().
struct TrainSummary {
  Stop stop = Stop::finished;  // why it ended
  std::string message;         // what diverged
  int steps = -1;              // updates done
  int best_step = -1;          // as in TrainState; -1 = interrupted before there was anything to keep
  double best_error = -1;      // validation error of `best`; -1 without validation
  learners::Checkpoint best;   // the last snapshot where there is no validation
};

// What train() calls; each may be empty.
struct TrainHooks {
  std::function<void(const Progress&)> progress = {};  // called after each update
  StopCheck interrupted = {};                          // asked before each update, and within a validation
  std::function<void(const TrainState&)> save =
      {};  // called every validate_every updates and when interrupted
};

// How wrong a snapshot is on tasks that are not trained on, less being better; infinite when it predicts nothing. Throws
// Interrupted when told to stop. Empty: there is nothing to validate on.
using Validation = std::function<double(const learners::Checkpoint& snapshot, const StopCheck& interrupted)>;

// Updates the learner on meta_batch episodes of `source` per step, and keeps the snapshot that `validate` finds best. Begins
// where `from` stands. When the learner diverges, what was best until then is kept; without validation that is the snapshot
// after the last multiple of validate_every. A snapshot with an infinite error is never kept. Throws Diverged when there is none
// to keep.
TrainSummary train(MetaLearner& learner, const tasks::EpisodeSource& source, const Validation& validate,
                   const TrainOptions& options, const TrainHooks& hooks = {},
                   const TrainState* from = nullptr);

// ---- validation on power modes ----

// What a board would do with a snapshot: adapt it with the registry's learner, and predict. Empty without tasks. It
// refers to the registry.
Validation validation_on(std::vector<tasks::Task> tasks,
                         const learners::Registry& registry = learners::builtin());

// Geometric mean over tasks and known targets of the mean absolute percentage error on the query, in %;
// geometric so that tasks with few shots, which have the largest errors, do not outweigh the rest. Infinite
// when a prediction of a target that the support has is not finite.
double validation_error(const learners::Learner& learner, std::span<const tasks::Task> tasks,
                        const StopCheck& interrupted = {});  // throws Interrupted when told to stop

// Mean absolute percentage error of one target on the task's query; infinite when it is not predicted.
double query_error(const learners::Learner& learner, tasks::Target target, const tasks::Task& task);

// The same of the board's Learner of a model with one setting of its target at test time; infinite when it has not the target.
template <class Learner, class Model, class ModelTarget, class Setting>
double error_with(Model model, Setting ModelTarget::*field, const Setting& setting, tasks::Target target,
                  const tasks::Task& task) {
  model.targets[1 - target].reset();
  if (!model.targets[target]) return std::numeric_limits<double>::infinity();
  (*model.targets[target]).*field = setting;
  return query_error(Learner(std::move(model)), target, task);
}

}  // namespace fewwatt::meta
