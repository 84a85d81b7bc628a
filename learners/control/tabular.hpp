#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hw/random.hpp"
#include "learners/options.hpp"
#include "tasks/environment.hpp"

namespace fewwatt::learners {

// How a TabularAgent learns and explores.
struct TabularOptions {
  double discount = 0.9;  // gamma, in [0, 1)
  // With n the number of visits to a state and action, this one included:  rate = n^-rate_decay, in (0, 1]. Values converge for
  // 1/2 < rate_decay <= 1 (Watkins & Dayan 1992); 0: the newest value alone counts, which is right where nothing is random.
  double rate_decay = 0.7;
  // With n the number of visits to a state:  epsilon = max(least_epsilon, epsilon n^-epsilon_decay), the probability of an action drawn
  // evenly in place of the best one.
  double epsilon = 1, epsilon_decay = 0.5, least_epsilon = 0.05;
  // Steps of Dyna-Q after each real one, from its model; 0: Q-learning.
  std::size_t planning = 0;
  std::uint64_t seed = 0;        // of random choices
  void each(OptionVisitor& on);  // all but seed
  std::string error() const;     // "" when valid
};

// What an episode came to.
struct EpisodeReport {
  double undiscounted = 0;  // return: the sum of rewards
  std::size_t steps = 0;    // of the episode, until it ended
};

// Q-learning with a table of values (Watkins & Dayan 1992):
//   Q(s,a) <- Q(s,a) + rate (r + discount max_a' Q(s',a') - Q(s,a)),   without the max after the end of an episode
// and Dyna-Q (Sutton & Barto 2018, section 8.2), which makes the same step for pairs of state and action that were tried before, drawn
// evenly, with the mean reward and the most frequent next state that it has seen of them.
class TabularAgent {
 public:
  // Throws std::invalid_argument for options.error(), and without a state or an action.
  TabularAgent(std::size_t states, std::size_t actions, TabularOptions options);

  std::size_t explore(std::size_t state);     // epsilon-greedy
  std::size_t best(std::size_t state) const;  // the action of largest value, the first of several
  // Learns from a step. Rewards that are not finite teach nothing.
  void learn(std::size_t state, std::size_t action, double reward, std::size_t next, bool terminated);
  const tasks::Matrix& values() const { return values_; }  // [states, actions]

 private:
  // What was seen of a state and an action.
  struct Seen {
    std::size_t count = 0;
    double reward = 0;  // mean
    // How often each next state, and whether the episode was terminated, came of it; the most frequent comes first.
    std::vector<std::pair<std::pair<std::size_t, bool>, std::size_t>> next;
  };
  void update(std::size_t state, std::size_t action, double reward, std::size_t next, bool terminated,
              double rate);
  void model(Seen& seen, double reward, std::size_t next, bool terminated);
  void plan();

  TabularOptions options_;
  hw::Rng rng_;
  tasks::Matrix values_;
  std::vector<Seen> seen_;           // of state and action at state * actions + action
  std::vector<std::size_t> visits_;  // of states
  std::vector<std::size_t> tried_;   // indices of seen_ with count > 0, in the order in which they came
};

// Lets the agent learn from an episode. Throws std::invalid_argument where the environment's states cannot be counted, or the agent has
// other numbers of states or actions.
EpisodeReport learn_episode(TabularAgent& agent, tasks::Environment& environment, std::uint64_t seed);
// An agent for an environment, which has begun an episode. Throws as learn_episode().
TabularAgent tabular_agent(const tasks::Environment& environment, const TabularOptions& options);

}  // namespace fewwatt::learners
