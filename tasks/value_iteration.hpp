#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tasks/episode.hpp"

namespace fewwatt::tasks {

// A Markov decision process whose transitions and rewards are known.
struct FiniteMdp {
  // What may come of an action in a state.
  struct Outcome {
    std::size_t next = 0;     // state
    double probability = 1;   // in [0, 1]; those of a state and an action sum to 1
    double reward = 0;        // expected
    bool terminated = false;  // nothing comes after it
  };
  std::size_t states = 0;                      // how many
  std::size_t actions = 0;                     // how many, the same in each state
  std::vector<std::vector<Outcome>> outcomes;  // [states actions], of action a in state s at s actions + a

  // "" when valid: sizes, states, probabilities to 1e-9, finite rewards.
  std::string error() const;
};

// The optimal action values Q*, [states, actions], the fixed point of
//   Q(s,a) = sum_s' P(s'|s,a) (r + discount max_a' Q(s',a'))
// (Sutton & Barto 2018, eq. 4.10), whose last term is missing after an outcome that ends the episode. The error of every value is at most
// `tolerance`, or the largest value times 1e-15 / (1 - discount) where that is more. Throws std::invalid_argument for mdp.error(), and unless 0 <= discount < 1 and tolerance > 0.
Matrix optimal_action_values(const FiniteMdp& mdp, double discount, double tolerance = 1e-9);

}  // namespace fewwatt::tasks
