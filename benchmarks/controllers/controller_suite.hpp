#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "learners/options.hpp"
#include "learners/registry.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::benchmarks {

// One who takes part in a suite of kind `controllers`.
struct Rival {
  // What it is.
  enum class Kind {
    controller,  // a name of learners::make_controller()
    knowing,     // knows what modes truly cost: oracle, presets, best-measured
    agent        // a name of meta::builtin_agents()
  };
  std::string label;             // as it is written: "ppo-alone+shield"
  std::string base;              // what it is trained as, once for all that have the same: "ppo-alone"
  std::string name;              // of the controller or the agent: "ppo"
  Kind kind = Kind::controller;  // which of these the name is of
  bool alone = false;            // agent: trained from nothing in the very workload and budget of an episode
  bool adapted = false;          // maml-policy: meta::adapt_policy() to the workload and budget of an episode
  bool shield = false;           // learners::Shield says which modes it may measure
};
// "NAME[-alone][+shield]", or "maml-policy-adapted[+shield]". A name that is none of an agent and not oracle, presets or best-measured is taken
// for one of a controller. Of those three oracle alone can have a shield: that row says what a shield costs whoever acts in it.
// Throws std::invalid_argument where these have a suffix that they cannot have.
Rival parse_rival(const std::string& text);

// How agents of a name are trained: a section [agent NAME].
struct AgentPlan {
  learners::Settings algorithm;                                 // options of meta::AgentEntry
  tasks::ModeActionKind actions = tasks::ModeActionKind::jump;  // in training and in the tests
  tasks::RewardForm reward = tasks::RewardForm::scaled;         // the same
  std::size_t candidates = 64;  // modes that can be jumped to in an episode of training; 0: all
  bool shielded = false;        // in training: tasks::ModeEnvironment
  bool greedy = false;          // in the tests: meta::ModeAgentOptions
};

// A suite of kind `controllers`: all contestants act in the same worlds, one after the other, with the same workloads, budgets, noise and
// numbers of measurements. As a file:
//   [suite]
//   name = rl-find
//   kind = controllers
//   task = find               find: the mode that is named in the end counts; run: every step counts (tasks::ModeTask)
//   simulate = orin-agx-64    the board
//   grid = powertrain         its modes
//   workloads = lstm, ...     what runs on it: one of them, drawn for each episode
//   budgets = 17:50           first:last, W; each budget is drawn from this range
//   time_noise = 0.01         standard deviation of the log of a measured time, drawn anew for each measurement
//   power_noise = 0.01        the same of power
//   mapping, inputs           in place of these five: measured profiles to replay, as in a suite of kind `tables`. Each workload has its
//                             own episodes, with budgets between the 10th and the 90th percentile of its powers
//   measurements = 5, 10      numbers of measurements: each contestant acts in each episode once with each. run: one number
//   changes = 20              run, simulated: number of changes in an episode, of workload and budget by turns
//   switch_share = 0.1        run: part of a step that is lost where the mode changes; 0 if not given
//   seeds = 50                episodes, or, where profiles are replayed, episodes of each workload
//   lambda = 10               what power over the budget costs, tasks::ModeMdpOptions; 10 if not given
//   learner = gp              model of the controllers and shields that need one: no checkpoint, with uncertainty
//   shield = 0.9              probability to keep the budget that a shield asks for; 0.9 if not given
//   module = orin-agx-64      for the contestant presets: the board whose presets are compared with
//   contestants = rl2, rl2+shield, ppo-alone, designed-ei, highest
//   boards = 100              where agents are trained and the suite is simulated: numbers of random boards and
//   population = 400          of random workloads (tasks::random_population) that they are trained on. Where profiles are
//                             replayed, they are trained on the other workloads
//   train_measurements = 15   lengths of training episodes, drawn evenly from these; those of `measurements` if not given
//   train_changes = 2         run: number of changes in a training episode; 0 if not given
//   alone_measurements = 500  that agents trained alone have before each episode
//   candidates = 500          modes among which agents choose in an episode; all if not given
//   [agent NAME]              options of an agent that is trained (rl2), or of one that is trained alone (ppo-alone)
//   updates = 200
//   actions = jump            or move; jump if not given
//   reward = scaled           or posed, log: tasks::ModeMdpOptions; scaled if not given. Rows of rewards are always scaled
//   candidates = 64           while it is trained; 64 if not given
//   shielded = true           while it is trained, by a shield that is never wrong; false if not given
//   greedy = true             takes the action of the largest score, in place of one drawn by the scores; false if not given
struct ControllerSuite {
  std::string path, name;                        // of the file; the key of this name
  tasks::ModeTask task = tasks::ModeTask::find;  // the key of this name
  std::string board, grid;                       // keys simulate and grid; "" = replays profiles
  std::vector<std::string> workloads;            // the key of this name
  double first_w = 0, last_w = 0;                // key budgets
  double time_noise = 0, power_noise = 0;        // the keys of these names
  std::string mapping;                           // path; "" where simulated, or for profile files
  std::vector<std::string> inputs;               // paths below the data root
  std::vector<std::size_t> measurements, train_measurements;  // the keys of these names
  std::size_t changes = 0, train_changes = 0;                 // the keys of these names
  double switch_share = 0, lambda = 10, shield = 0.9;         // the keys of these names
  std::size_t seeds = 0;                                      // the key of this name
  std::string learner, module;                                // the keys of these names; "" = none
  std::vector<std::string> contestants;                       // the key of this name
  std::size_t boards = 0, population = 0;                     // the keys of these names
  std::size_t alone_measurements = 0, candidates = 0;         // the keys of these names
  std::map<std::string, AgentPlan> agents;                    // sections [agent NAME], by name

  bool simulated() const { return !board.empty(); }  // else it replays profiles
  // The plan of an agent, by Rival::base: without a section of its own, that of the defaults.
  AgentPlan plan(const std::string& base) const;
  // The decision problem of an episode with so many measurements.
  tasks::ModeMdpOptions mdp(std::size_t length) const;
};

// Controllers and learners are the registry's. Throws datasets::DataError naming the file, section and key, what is expected and what
// stands there.
ControllerSuite read_controller_suite(const std::string& path,
                                      const learners::Registry& registry = learners::builtin());
// Throws std::invalid_argument, "contestants: ...", for an unknown contestant, one that cannot have the suite's task, or one that lacks
// something that another key must say.
void check_contestants(const ControllerSuite& suite,
                       const learners::Registry& registry = learners::builtin());

}  // namespace fewwatt::benchmarks
