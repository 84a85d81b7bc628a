#pragma once

#include <cstdint>
#include <string>

#include "meta/rl/agent_trainer.hpp"
#include "meta/rl/rollout.hpp"

// Algorithms that go up the gradient of the expected return, with a net of values beside the policy.
namespace fewwatt::meta {

// REINFORCE with a baseline (Williams 1992; Sutton & Barto 2018, section 13.4) on whole episodes: A = G - V, G the discounted rewards
// from there to the episode's end. An episode that is cut off counts as one that ended.
struct ReinforceOptions {
  NetTrainOptions net = {.rate = 2e-3};           // what all algorithms have
  double value_weight = 0.5, entropy_weight = 0;  // as in Surrogate
  void each(learners::OptionVisitor& on);         // names every option once
  std::string error() const;                      // "" when valid
};
class Reinforce final : public NetTrainer {
 public:
  // Throws std::invalid_argument when options are bad or the environments cannot be acted in.
  Reinforce(MakeEnvironment make, const ReinforceOptions& options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint&) const override {}
  void load(const learners::Checkpoint&) override {}

  MakeEnvironment make_;
  ReinforceOptions options_;
};

// Advantage actor-critic (Mnih et al. 2016, section 4, its actors in step with each other) with generalised advantages.
struct A2cOptions {
  NetTrainOptions net = {};                       // what all algorithms have
  int steps = 16;                                 // of an update, in each environment
  double trace = 0.95;                            // lambda of generalised_advantages()
  double value_weight = 0.5, entropy_weight = 0;  // as in Surrogate
  void each(learners::OptionVisitor& on);         // names every option once
  std::string error() const;                      // "" when valid
};
class A2c final : public NetTrainer {
 public:
  // Throws as Reinforce's.
  A2c(MakeEnvironment make, const A2cOptions& options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint& to) const override { trials_.save(to, "trials/"); }
  void load(const learners::Checkpoint& from) override { trials_.load(from, "trials/", {}); }

  A2cOptions options_;
  Trials trials_;
};

// How often PPO goes over what it did, and how far it may move.
struct PpoEpochs {
  int epochs = 10;                                // how often an update goes over its steps
  int minibatches = 4;                            // of an epoch
  double clip = 0.2;                              // as in Surrogate
  double trace = 0.95;                            // lambda of generalised_advantages()
  double value_weight = 0.5, entropy_weight = 0;  // as in Surrogate
  void each(learners::OptionVisitor& on);         // names every option once
  // "" when valid, else "OWNER: epochs must be ..., got ..."
  std::string error(const std::string& owner) const;
};

// Proximal policy optimisation (Schulman et al. 2017, algorithm 1).
struct PpoOptions {
  NetTrainOptions net = {};                // what all algorithms have
  PpoEpochs ppo = {};                      // what an update does with its steps
  int steps = 32;                          // of an update, in each environment
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};
class Ppo final : public NetTrainer {
 public:
  // Throws as Reinforce's.
  Ppo(MakeEnvironment make, const PpoOptions& options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint& to) const override { trials_.save(to, "trials/"); }
  void load(const learners::Checkpoint& from) override { trials_.load(from, "trials/", {}); }

  PpoOptions options_;
  Trials trials_;
};

// RL^2 (Duan et al. 2016): a policy with a memory, a GRU over the observation, the last action's row, its reward and whether an episode
// ended with it. It is kept over the episodes of a trial, each of which is in an environment of its own, and is trained by PPO to
// get much out of whole trials: so it learns to find out how an environment is.
struct Rl2Options {
  NetTrainOptions net = {.rate = 2e-3, .environments = 32};  // environments: trials of an update
  PpoEpochs ppo = {.epochs = 4};                             // what an update does with its trials
  int memory = 64;                                           // units of the GRU
  int trial_episodes = 1;                                    // episodes of a trial
  int in_one_world = 1;                                      // of WholeTrials
  void each(learners::OptionVisitor& on);                    // names every option once
  std::string error() const;                                 // "" when valid
};
class Rl2 final : public NetTrainer {
 public:
  // Throws as Reinforce's.
  Rl2(MakeEnvironment make, const Rl2Options& options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint&) const override {}
  void load(const learners::Checkpoint&) override {}

  MakeEnvironment make_;
  Rl2Options options_;
};

}  // namespace fewwatt::meta
