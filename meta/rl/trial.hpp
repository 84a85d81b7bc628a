#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "hw/random.hpp"
#include "meta/rl/choices.hpp"
#include "meta/rl/policy_shape.hpp"
#include "tasks/environment.hpp"

namespace fewwatt::meta {

// Draws an environment of a population. The same seed gives the same one. An environment of which there is only one pays the seed no
// heed. Several threads may call it at once.
using MakeEnvironment = std::function<std::unique_ptr<tasks::Environment>(std::uint64_t seed)>;

// Makes one to look at, begun. Throws std::invalid_argument when there is no environment or it has no action.
std::unique_ptr<tasks::Environment> example_of(const MakeEnvironment& make);

// Some episodes in one environment, one after the other. What happens depends on the seed, the trial's number and the actions alone.
class Trial {
 public:
  // Throws std::invalid_argument unless the environment looks as `shape` says.
  Trial(const MakeEnvironment& make, const PolicyShape& shape, std::uint64_t seed, std::uint64_t number,
        int episodes);
  // In the environment of the trial `world`, with episodes of its own.
  Trial(const MakeEnvironment& make, const PolicyShape& shape, std::uint64_t seed, std::uint64_t number,
        int episodes, std::uint64_t world);

  const Vector& observation() const { return observation_; }  // [o], of what is the case now
  const ActionSet& actions() const { return actions_; }       // null where each has an output of the net
  std::size_t num_actions() const;                            // of the present episode
  std::vector<std::size_t> spent() const;                     // Environment::spent()
  // What a net with a memory takes now, [i]: PolicyShape::memory_inputs().
  Vector memory_inputs() const;
  bool over() const { return episode_ == episodes_; }  // whether all its episodes have ended

  // Takes an action. The step is as the environment gave it; if an episode ended with it, observation() is the next one's first.
  // Throws std::logic_error when the trial is over.
  tasks::Step step(std::size_t action);

  // Where it stands.
  std::uint64_t number() const { return number_; }
  int episode() const { return episode_; }                          // number of the episode in the trial
  double episode_return() const { return return_; }                 // rewards of the present episode
  const std::vector<std::size_t>& taken() const { return taken_; }  // actions of the present episode
  // Goes to where a trial of this number stood. `each` is called with the steps that lead there in the present episode, after the
  // trial took them, and with what was observed before. What came before the present episode is not known to memory_inputs() then.
  using EachStep = std::function<void(const Vector& before, std::size_t action, const tasks::Step&)>;
  // See EachStep. Throws std::invalid_argument for an episode that the trial does not have, and for actions that do not exist or end it.
  void go_to(int episode, std::span<const std::size_t> actions, const EachStep& each);

 private:
  void begin_episode();

  const PolicyShape* shape_;
  std::unique_ptr<tasks::Environment> environment_;
  std::uint64_t seed_, number_;
  int episodes_, episode_ = 0;
  Vector observation_;
  ActionSet actions_;
  std::vector<std::size_t> taken_;
  double return_ = 0;
  Vector last_action_;  // [f], row of the action before; 0 at the beginning
  double last_reward_ = 0, goes_on_ = 0;
};

}  // namespace fewwatt::meta
