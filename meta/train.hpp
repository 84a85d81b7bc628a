#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>

#include "learners/learner.hpp"
#include "meta/meta_learner.hpp"
#include "tasks/task_source.hpp"

namespace fewwatt::meta {

struct TrainOptions {
  int steps = 1000;          // outer updates, at most
  int meta_batch = 16;       // tasks per update
  int validate_every = 100;  // updates
  // Stops after so many validations in a row without a new best one; 0 = never.
  int patience = 0;
  std::uint64_t seed = 0;     // of the task draws
  std::string error() const;  // "" when valid
};

struct Progress {
  int step = 0;   // updates done
  int steps = 0;  // at most
  double loss = 0;
  double validation_error = std::numeric_limits<double>::quiet_NaN();  // %, NaN = not validated now
};

// Where training stands between two updates; enough to go on bit for bit.
struct TrainState {
  int step = 0;                  // updates done
  int best_step = -1;            // after which `best` was taken; -1 = none yet
  double best_error = -1;        // %, of `best`; infinite when it predicts nothing; -1 without validation
  int not_better = 0;            // validations since the best one
  learners::Checkpoint best;     // snapshot
  learners::Checkpoint learner;  // MetaLearner::state()
};

enum class Stop { finished, patience, interrupted, diverged };
std::string_view to_string(Stop stop);

struct TrainSummary {
  Stop stop = Stop::finished;
  std::string message;  // what diverged
  int steps = -1;       // updates done
  int best_step = -1;   // as in TrainState; -1 = interrupted before there was anything to keep
  double best_error = -1;
  learners::Checkpoint best;  // the last snapshot where there are no validation tasks
};

struct TrainHooks {
  std::function<void(const Progress&)> progress = {};
  StopCheck interrupted = {};  // asked before each update, and between the tasks of a validation
  std::function<void(const TrainState&)> save =
      {};  // called every validate_every updates and when interrupted
};

// Geometric mean over tasks and known targets of the mean absolute percentage error on the query, in %;
// geometric so that tasks with few shots, which have the largest errors, do not outweigh the rest. Infinite
// when a prediction of a target that the support has is not finite.
double validation_error(const learners::Learner& learner, std::span<const tasks::Task> tasks,
                        const StopCheck& interrupted = {});  // throws Interrupted when told to stop

// Mean absolute percentage error of one target on the task's query; infinite when it is not predicted.
double query_error(const learners::Learner& learner, tasks::Target target, const tasks::Task& task);

// Updates the learner on tasks of `source`, and validates what a board would do with its snapshots: adapt
// them with the learner of learners/registry.hpp. Update i draws its tasks from a stream of its own, (seed,
// i). Begins where `from` stands. When the learner diverges, what was best until then is kept; without
// validation that is the snapshot after the last multiple of validate_every. A snapshot with an infinite
// validation error is never kept. Throws Diverged when there is none to keep.
TrainSummary train(MetaLearner& learner, const tasks::TaskSource& source,
                   std::span<const tasks::Task> validation, const TrainOptions& options,
                   const TrainHooks& hooks = {}, const TrainState* from = nullptr);

}  // namespace fewwatt::meta
