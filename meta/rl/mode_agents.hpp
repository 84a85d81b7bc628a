#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"
#include "learners/control/policy_net.hpp"
#include "learners/options.hpp"
#include "meta/rl/agents.hpp"
#include "meta/training_run.hpp"
#include "tasks/mode_mdp.hpp"
#include "tasks/replay_population.hpp"

// Agents that choose power modes, and how they are trained on profiles.
namespace fewwatt::meta {

// How episodes differ beside their world.
struct EpisodeVariety {
  // The length of each is drawn evenly from here to mdp.measurements; 0: all have that.
  std::size_t least_measurements = 0;
  std::size_t changes = 0;  // of ReplayPopulation::draw(), in each episode; only with tasks::ModeTask::run
  bool shielded = false;    // of tasks::ModeEnvironment, for agents that always run with a shield
  std::string error(const tasks::ModeMdpOptions& mdp) const;  // "" when valid
};

// Beside the options of the algorithm.
struct ModeAgentOptions {
  tasks::ModeMdpOptions mdp = {.candidates = 100};  // of training
  // mdp.candidates on a board, and in validation. More than in training: a step costs far less there, and the best mode among all is better
  // than the best of few.
  std::size_t board_candidates = 1000;
  double validation_share = 0.2;  // of the workloads, in [0.01, 0.9]
  int validation_episodes = 64;   // of each validation
  int validate_every = 25;        // updates
  int patience = 20;              // AgentTrainOptions::patience
  EpisodeVariety variety = {};    // of training and validation
  // On a board and in validation the action of the largest score is taken, in place of one that is drawn by the scores.
  bool greedy = false;
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
  tasks::ModeMdpOptions on_board() const;  // mdp with board_candidates
};

// All that can be set of an agent: the options of the algorithm, then those of ModeAgentOptions.
learners::EachOption options_of_mode_agent(const AgentEntry& entry);

// Profiles to train on, and those that tell how good a snapshot is.
struct ValidationSplit {
  std::vector<datasets::Profile> train, validate;  // the same ones where there is a single profile
};
// Leaves out a share of the workloads with all their profiles, or, of a single workload, a share of its profiles: at least one, and not all.
ValidationSplit split_for_validation(const std::vector<datasets::Profile>& profiles, double share,
                                     std::uint64_t seed);

// Draws an environment with a world of the population.
MakeEnvironment mode_environments(std::shared_ptr<const tasks::ReplayPopulation> population,
                                  const tasks::ModeMdpOptions& mdp, const EpisodeVariety& variety = {});

// How good an agent is over some episodes.
struct ModeValidation {
  double mean_return = 0;  // the mean over episodes of the sum of rewards
  // The median over episodes of, in %,
  //   find  t / t_best - 1, t the least true time among the measured modes that are truly inside the budget; infinity where none is
  //   run   sum t / sum t_best - 1, t the true times of all steps, also of those over the budget
  // with t_best the true time of the fastest mode inside, of each step where they differ.
  double regret = 0;
};
// The same seed gives the same episodes, whatever the agent: those of mean_return() in mode_environments(). Throws Interrupted when told to
// stop.
ModeValidation validate_mode_agent(const learners::PolicyModel& agent,
                                   const tasks::ReplayPopulation& population,
                                   const tasks::ModeMdpOptions& mdp, int episodes, std::uint64_t seed,
                                   const StopCheck& interrupted = {}, const EpisodeVariety& variety = {});

// Trains an agent on the profiles and on request.also, and keeps the snapshot with the best mean_return of validation. Its checkpoint is that of
// a learners::PolicyModel for tasks::kModeMdp with ModeAgentOptions::on_board(). `resume` is what hooks.save() got. Throws
// std::invalid_argument for options, profiles or a state that do not do, Diverged where nothing could be kept.
TrainedInitializer train_mode_agent(const AgentEntry& entry, const InitializerRequest& request,
                                    const std::vector<datasets::Profile>& training, const RunHooks& hooks,
                                    const learners::Checkpoint* resume);

}  // namespace fewwatt::meta
