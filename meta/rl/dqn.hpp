#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "meta/rl/agent_trainer.hpp"
#include "meta/rl/replay.hpp"
#include "meta/rl/rollout.hpp"

namespace fewwatt::meta {

// How deep Q-networks are trained.
struct DqnOptions {
  // What all algorithms have.
  NetTrainOptions net = {.activation = learners::Activation::relu, .clip_norm = 10};
  int steps = 256;           // of an update, in all environments together, one per environment at least
  int gradient_steps = 128;  // of an update
  int batch = 64;            // transitions of a gradient step
  int capacity = 50'000;     // of the replay, in transitions
  int warm_up = 1000;        // steps before anything is learned
  int target_every = 100;    // gradient steps after which the target net becomes the net
  // An action is random with probability  first + (last - first) min(1, steps so far / explore_steps)
  double explore_first = 1, explore_last = 0.05;
  int explore_steps = 10'000;  // in all environments together
  int reward_steps = 1;        // n: a target has the rewards of n steps
  bool double_q = true;        // the net chooses the next action, and the target net says its value
  bool duelling = false;       // Q = V + A - mean A
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// Targets of transitions, [n]: with R and discount of Transition, and b an action of the next situation,
//   R + discount max_b Q_target(s', b)                       Mnih et al. 2015, algorithm 1
//   R + discount Q_target(s', argmax_b Q_net(s', b))         with double_q: van Hasselt et al. 2016, eq. 4
// No b is spent in s' (Environment::spent()). Throws std::out_of_range where a spent action does not exist.
Vector dqn_targets(const PolicyShape& shape, const Vector& net, const Vector& target_net,
                   const TransitionBatch& batch, bool double_q);

// The mean over transitions of the Huber loss of Q(s, a) - target, d^2 / 2 within 1 and |d| - 1/2 beyond, and its gradient by the net.
LossGradient dqn_gradient(const PolicyShape& shape, const Vector& net, const TransitionBatch& batch,
                          const Vector& targets);

// Action values of n observations, [n,a], -1e9 where a set has fewer actions; with a net of values the duelling form.
Matrix action_values(const PolicyShape& shape, const Vector& parameters, const Matrix& observations,
                     std::span<const ActionSet> sets);

// Deep Q-networks, Mnih et al. 2015, with targets of double DQN (van Hasselt et al. 2016), duelling nets (Wang et al. 2016, here with
// a net for each stream) and n-step returns (Hessel et al. 2018). The snapshot takes the action of the highest value.
class Dqn final : public NetTrainer {
 public:
  // Throws std::invalid_argument when options are bad or the environments cannot be acted in.
  Dqn(MakeEnvironment make, DqnOptions options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint& to) const override;
  void load(const learners::Checkpoint& from) override;
  void act(hw::Rng& draws, UpdateReport& report);

  DqnOptions options_;
  Trials trials_;
  std::vector<StepWindow> windows_;  // of each trial
  Replay replay_;
  Vector target_;
  std::int64_t steps_ = 0, gradient_steps_ = 0;
};

}  // namespace fewwatt::meta
