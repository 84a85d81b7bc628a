#pragma once

#include <cstdint>
#include <vector>

#include "hw/random.hpp"
#include "tasks/split.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {

// Draws `shots` support rows of the profile, uniformly without replacement; the query is all others, or
// `query` of them. Throws std::invalid_argument when the profile has fewer than shots + 1 modes.
Task sample_task(const datasets::Profile& profile, std::size_t shots, hw::Rng& rng,
                 std::size_t query = SIZE_MAX);

// Changes a task into one of a workload that might exist. With c = mean log target of the task, per target
//   log y' = c + offset + scale (log y - c),   offset ~ N(0, log_offset), scale ~ exp(N(0, log_scale)).
struct Augmentation {
  double log_offset = 0;  // standard deviation; 0 = none
  double log_scale = 0;   // standard deviation; 0 = none
  double sub_grid = 0;  // probability that a task's modes come from a random sub-grid: of each knob, a random
                        // half or more of the levels
  std::string error() const;  // "" when valid
};

// How tasks are cut out of profiles.
struct TaskSourceOptions {
  std::size_t min_shots = 5;  // support rows, drawn uniformly from [min_shots, max_shots], one draw per batch
  std::size_t max_shots = 50;  // see min_shots
  std::size_t query = 64;      // query rows
  double also = 0.5;           // share of the tasks that come from the other profiles, where there are any
  Augmentation augmentation;   // how each task is varied
  std::string error() const;   // "" when valid
};

// An endless stream of tasks. It copies the profiles it may serve, so that what is held out is not even in
// memory.
class TaskSource {
 public:
  // `also`: other profiles to draw from, as simulated ones beside measured ones. Throws std::invalid_argument when
  // options are bad, there is no training profile, one of either kind has no more than min_shots modes, or none has
  // more than max_shots.
  TaskSource(std::vector<datasets::Profile> training, TaskSourceOptions options,
             std::vector<datasets::Profile> also = {});

  // A batch of tasks with the same number of shots. The profiles are drawn uniformly among those of their kind that
  // have more modes than that.
  std::vector<Task> next(std::size_t batch, hw::Rng& rng) const;

  const std::vector<datasets::Profile>& profiles() const { return profiles_; }  // the training profiles
  const TaskSourceOptions& options() const { return options_; }                 // as given

 private:
  std::vector<datasets::Profile> profiles_, also_;
  TaskSourceOptions options_;
};

}  // namespace fewwatt::tasks
