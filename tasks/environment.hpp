#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tasks/episode.hpp"

namespace fewwatt::tasks {

// What a step of an environment gives.
struct Step {
  Vector observation;       // [observation_size()], of what is the case now
  double reward = 0;        // of the action that was taken
  bool terminated = false;  // nothing comes after it: the value of what follows is 0
  bool truncated = false;   // the episode was cut off here; what follows would have had a value
  bool ended() const { return terminated || truncated; }  // whether another step needs reset() first
};

// A Markov decision process with finitely many actions (Sutton & Barto 2018, chapter 3), seen by an agent from outside: power modes
// (mode_environment.hpp), a cart with a pole in the tests, or a user's own. One environment runs one episode at a time.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual std::size_t observation_size()
      const = 0;  // the same for all environments that one agent is trained on
  // What each action is, [actions, f], a row each. Agents that score actions one by one read it; their number may differ between
  // environments, f may not. Valid until the next reset().
  virtual const Matrix& actions() const = 0;
  // Whether action i means the same in all environments that an agent is trained on, so that a net may have an output for each.
  virtual bool fixed_actions() const = 0;
  // Actions that may not be taken now, in any order; never all of them.
  virtual std::span<const std::size_t> spent() const { return {}; }
  // The number of states and the present one, where they can be counted: tables of values need it.
  virtual std::optional<std::size_t> num_states() const { return std::nullopt; }
  virtual std::size_t state() const { return 0; }  // below num_states()
  // Begins an episode. The same seed and actions give the same steps.
  virtual Vector reset(std::uint64_t seed) = 0;
  // Takes an action, also one of spent(). Throws std::out_of_range for one that there is not, std::logic_error before reset() and after the end.
  virtual Step step(std::size_t action) = 0;
};

}  // namespace fewwatt::tasks
