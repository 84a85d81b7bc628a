#pragma once

#include "learners/checkpoint.hpp"
#include "meta/rl/agent_training.hpp"

namespace fewwatt::meta {

// Where the training of an agent stands, as entries of a checkpoint, beside others of its own:
//   numbers  update, validated, steps, episodes, best_update, not_better; best_return, where it is finite
//   agent/   all entries of AgentTrainState::agent, and its `learner` as the text agent/learner
//   best/    the same of AgentTrainState::best, where there is one
void put_state(const AgentTrainState& state, learners::Checkpoint& into);

// And back. Throws std::invalid_argument naming the entry where one is missing, out of bounds, or does not go with the others.
AgentTrainState take_state(const learners::Checkpoint& from);

}  // namespace fewwatt::meta
