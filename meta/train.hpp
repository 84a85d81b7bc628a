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
  int steps = 1000;           // outer updates, at most
  int meta_batch = 16;        // tasks per update
  int validate_every = 100;   // updates
  std::uint64_t seed = 0;     // of the task draws
  std::string error() const;  // "" when valid
};

struct Progress {
  int step = 0;  // updates done
  double loss = 0;
  double validation_error = std::numeric_limits<double>::quiet_NaN();  // %, NaN = not validated now
};

struct TrainSummary {
  int steps = -1;             // updates done
  int best_step = -1;         // after which the best snapshot was taken
  double best_error = -1;     // %, of the best snapshot; infinite when none predicts; -1 without validation
  learners::Checkpoint best;  // the last snapshot where there are no validation tasks
};

// Geometric mean over tasks and known targets of the mean absolute percentage error on the query, in %;
// geometric so that tasks with few shots, which have the largest errors, do not outweigh the rest. Infinite
// when a prediction of a target that the support has is not finite.
double validation_error(const learners::Learner& learner, std::span<const tasks::Task> tasks);

// Updates the learner on tasks of `source`, and validates what a board would do with its snapshots: adapt
// them with the learner of learners/registry.hpp. Update i draws its tasks from a stream of its own, (seed,
// i).
TrainSummary train(MetaLearner& learner, const tasks::TaskSource& source,
                   std::span<const tasks::Task> validation, const TrainOptions& options,
                   const std::function<void(const Progress&)>& progress = {});

}  // namespace fewwatt::meta
