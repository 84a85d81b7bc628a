#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "learners/checkpoint.hpp"
#include "meta/rl/agent_trainer.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {

// How long an agent is trained, and how often it is validated.
struct AgentTrainOptions {
  int updates = 1000;       // at most
  int validate_every = 25;  // updates
  // Stops after so many validations in a row without a new best one; 0 = never.
  int patience = 0;
  // Stops when a validation's mean return is at least this.
  double enough = std::numeric_limits<double>::infinity();
  std::string error() const;  // "" when valid
};

// How far training is.
struct AgentProgress {
  int update = 0, updates = 0;  // done, and at most
  std::int64_t steps = 0;       // taken in environments
  std::int64_t episodes = 0;    // that ended
  // Over the last kRecentEpisodes episodes of this run, NaN = none ended yet.
  double mean_return = std::numeric_limits<double>::quiet_NaN();
  double loss = 0;  // UpdateReport::loss of the last update
  double validation_return = std::numeric_limits<double>::quiet_NaN();  // NaN = not validated now
  double steps_per_second = 0;                                          // of this run, validations included
  double seconds_left = 0;  // if the rest of the updates take as long
};
inline constexpr int kRecentEpisodes = 100;  // episodes of AgentProgress::mean_return, at most

// Where training stands between two updates; enough to go on bit for bit.
struct AgentTrainState {
  int update = 0;             // updates done
  int validated = 0;          // update after which there was a validation last
  std::int64_t steps = 0;     // taken in environments
  std::int64_t episodes = 0;  // that ended
  int best_update = -1;       // after which `best` was taken; -1 = none yet
  double best_return = -std::numeric_limits<double>::infinity();  // of `best`; -infinity without validation
  int not_better = 0;                                             // validations since the best one
  learners::Checkpoint best;                                      // snapshot
  learners::Checkpoint agent;                                     // AgentTrainer::state()
};

// The result of train_agent().
struct AgentTrainSummary {
  Stop stop = Stop::finished;  // finished: all updates, or a validation was enough
  std::string message;         // what diverged
  int updates = -1;            // done
  std::int64_t steps = -1;     // taken in environments
  std::int64_t episodes = -1;  // that ended
  int best_update = -1;        // as in AgentTrainState
  double best_return = -std::numeric_limits<double>::infinity();  // as in AgentTrainState
  learners::Checkpoint best;  // the last snapshot where there is no validation
};

// What train_agent() calls; each may be empty.
struct AgentTrainHooks {
  std::function<void(const AgentProgress&)> progress = {};  // after each update, and after each validation
  StopCheck interrupted = {};                             // asked before each update, and within a validation
  std::function<void(const AgentTrainState&)> save = {};  // after each validation, and when interrupted
};

// The mean return of a snapshot's episodes in environments that it is not trained on, more being better. Throws Interrupted when told to
// stop. Empty: there is nothing to validate on.
using ReturnOf = std::function<double(const learners::Checkpoint& snapshot, const StopCheck& interrupted)>;

// Updates the agent, and keeps the snapshot that `validate` finds best. Begins where `from` stands. When the agent diverges, what was
// best until then is kept; without validation that is the snapshot after the last multiple of validate_every. A snapshot whose return
// is not finite is never kept. Throws Diverged when there is none to keep, std::invalid_argument for bad options or a state of another
// agent.
AgentTrainSummary train_agent(AgentTrainer& agent, const ReturnOf& validate, const AgentTrainOptions& options,
                              const AgentTrainHooks& hooks = {}, const AgentTrainState* from = nullptr);

}  // namespace fewwatt::meta
