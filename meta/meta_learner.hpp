#pragma once

#include <functional>
#include <span>
#include <string>

#include "learners/checkpoint.hpp"
#include "tasks/task.hpp"

namespace fewwatt::meta {

struct StepReport {
  double loss = 0;  // mean query loss of the batch, before the update, in the learner's own units
};

// Trains an initializer over tasks. What LibTorch is to it stays in the .cpp files.
class MetaLearner {
 public:
  virtual ~MetaLearner() = default;
  virtual StepReport step(std::span<const tasks::Task> batch) = 0;  // one outer update
  virtual learners::Checkpoint snapshot() const = 0;                // what make_learner() can adapt from now
  // Weights and optimizer state; a loaded learner goes on bit for bit.
  virtual void save_state(const std::string& path) const = 0;
  virtual void load_state(const std::string& path) = 0;
};

}  // namespace fewwatt::meta
