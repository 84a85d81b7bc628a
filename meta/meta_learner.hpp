#pragma once

#include <functional>
#include <span>
#include <stdexcept>

#include "learners/checkpoint.hpp"
#include "tasks/task.hpp"

namespace fewwatt::meta {

struct StepReport {
  double loss = 0;  // mean query loss of the batch, before the update, in the learner's own units
};

// A loss or gradient is no longer finite; the message names learner, target, step and task.
class Diverged : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Training was told to stop in the middle of something that leaves nothing behind.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// Asked within what takes long; empty: never to stop.
using StopCheck = std::function<bool()>;
inline void throw_if_told(const StopCheck& told) {
  if (told && told()) throw Interrupted();
}

// Outer steps that training does at most.
inline constexpr int kMostSteps = 1'000'000'000;

// Trains an initializer over tasks. What LibTorch is to it stays in the .cpp files.
class MetaLearner {
 public:
  virtual ~MetaLearner() = default;
  // One outer update. Throws Diverged, and is then as it was before.
  virtual StepReport step(std::span<const tasks::Task> batch) = 0;
  virtual learners::Checkpoint snapshot() const = 0;  // what make_learner() can adapt from now
  // Everything that a step changes; a learner of the same profiles and options that takes it goes on bit for
  // bit. Its `learner` says whose state it is.
  virtual learners::Checkpoint state() const = 0;
  // Throws std::invalid_argument when the state is of another learner, or of other targets or sizes.
  virtual void set_state(const learners::Checkpoint& state) = 0;
};

}  // namespace fewwatt::meta
