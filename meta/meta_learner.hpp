#pragma once

#include <functional>
#include <span>
#include <stdexcept>

#include "learners/checkpoint.hpp"
#include "tasks/episode.hpp"

namespace fewwatt::meta {

// What an outer step tells of itself.
struct StepReport {
  double loss = 0;           // mean query loss of the batch, before the update, in the learner's own units
  std::size_t episodes = 0;  // of the batch that were learned from
};

// A loss or gradient is no longer finite; the message names learner, step and episode.
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

// Learns over episodes how to learn from few rows. It knows nothing of power modes: meta/mode_episodes.hpp makes episodes of
// them, and any other family of tasks comes as a tasks::EpisodeSource. What LibTorch is to it stays in the .cpp files.
class MetaLearner {
 public:
  virtual ~MetaLearner() = default;
  // One outer update. Without any episode it is a step that learns nothing, after which rates have fallen all the same. Throws
  // Diverged, or std::invalid_argument for an episode that does not fit the learner, and is then as it was before.
  virtual StepReport step(std::span<const tasks::Episode> batch) = 0;
  // What was learned: what train() keeps the best of. Of power modes: what learners::make_learner() can adapt.
  virtual learners::Checkpoint snapshot() const = 0;
  // Everything that a step changes; a learner made in the same way that takes it goes on bit for bit. Its `learner` says whose
  // state it is.
  virtual learners::Checkpoint state() const = 0;
  // Throws std::invalid_argument when the state is of another learner, or of other targets or sizes.
  virtual void set_state(const learners::Checkpoint& state) = 0;
};

}  // namespace fewwatt::meta
