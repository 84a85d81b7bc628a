#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"
#include "learners/options.hpp"
#include "meta/meta_learner.hpp"
#include "meta/mode_episodes.hpp"
#include "meta/rl/agent_training.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {

// What is asked for.
struct InitializerRequest {
  std::string name;                                  // of the registry
  std::uint64_t seed = 0;                            // of weights, draws and folds
  std::vector<std::size_t> shots = {5, 10, 25, 50};  // support sizes that test-time settings are chosen for
  int validation_draws = 3;                          // support draws per left-out profile and number of shots
  learners::Settings settings =
      {};  // of the meta-learner's options (registry.hpp); others have their defaults
  // Profiles that are trained on as well but never validated on, as a simulated population beside measured ones.
  std::vector<datasets::Profile> also = {};
  // What the same meta-learner trained before, on some of the profiles. Training goes on from it, without folds, which is where
  // the time goes: a quarter of the learner's own steps where none are asked for, and the test-time settings that were chosen then. What it knows of workloads that are not among the
  // profiles any more, proto and sim_prior forget.
  std::optional<learners::Checkpoint> init = {};
  StopCheck interrupted = {};  // asked within what takes long: RunHooks::interrupted, where that is given
};

// How a snapshot can be fitted to a support set at test time: what is chosen on validation tasks, per target.
struct TestTimeSettings {
  std::size_t count = 0;  // 0: there is nothing to choose, and no function
  // Mean absolute percentage error on the task's query with each setting, [count]; infinite where one fails.
  std::function<std::vector<double>(const learners::Checkpoint&, tasks::Target, const tasks::Task&)> errors;
  // Puts a setting into a checkpoint, for one target.
  std::function<void(learners::Checkpoint&, tasks::Target, std::size_t setting)> choose;
  std::function<std::string(std::size_t setting)> describe;  // a setting in a few words
};

// How one meta-learner is trained on given profiles.
struct OuterLoop {
  OnModes modes;                    // the meta-learner, and how power modes become its episodes
  TrainOptions train;               // number of steps and validations
  tasks::TaskSourceOptions source;  // how tasks are drawn
  TestTimeSettings settings;        // what is chosen on validation tasks
  bool untrained = false;           // the folds choose as ever, but the result is what training starts from
};
// From all profiles that are trained on, those of InitializerRequest::also at the end.
using Plan = std::function<OuterLoop(const InitializerRequest&, const std::vector<datasets::Profile>&)>;

// How far the training of an agent is.
struct AgentRunProgress {
  AgentProgress training;  // its updates, steps and returns
  // Of the validation that was just made, %: rl/mode_agents.hpp. NaN = not validated now, or there is none; infinity = the agent finds
  // no mode inside most budgets.
  double regret = std::numeric_limits<double>::quiet_NaN();
};

// How far a run is.
struct RunProgress {
  std::string phase;                           // "fold 1/4", "all workloads", "training"
  Progress progress;                           // of the phase; the steps of an agent's are its updates
  double done = 0;                             // share of the outer steps of the whole run, at most 1
  std::optional<AgentRunProgress> agent = {};  // of an agent
};

// What a run calls; each may be empty.
struct RunHooks {
  std::function<void(const std::string&)> log = {};       // lines for people
  std::function<void(const RunProgress&)> progress = {};  // called after each outer step
  std::function<bool()> interrupted = {};                 // whether to stop now
  // The state of the whole run, to go on from. Called every validate_every outer steps, after each fold and
  // when interrupted.
  std::function<void(const learners::Checkpoint&)> save = {};
};

// The result of a run.
struct TrainedInitializer {
  learners::Checkpoint checkpoint;     // learner "" when interrupted before there was anything to keep
  Stop stop = Stop::finished;          // why it ended
  std::string message;                 // what stopped it, and what was kept
  std::int64_t environment_steps = 0;  // of an agent: steps that it was trained with
};

// Leaves out each training workload in turn, or each of at most 4 groups of workloads, trains on the others and
// validates on what is left out: that chooses the number of outer steps and the test-time settings. Then trains
// on all workloads. With one workload there is nothing to validate on and the plan's defaults stand. `resume`
// is what save() got; throws std::invalid_argument naming the setting when it is of another request or of
// other profiles. The registry's learners adapt what is validated.
TrainedInitializer run_outer_loops(const InitializerRequest& request, const Plan& plan,
                                   const std::vector<datasets::Profile>& training, const RunHooks& hooks,
                                   const learners::Checkpoint* resume, const learners::Registry& registry);

// Everything that must be the same for a run to go on: options of meta-train, and their values.
using RunIdentity = std::map<std::string, std::string>;
// `training` beside InitializerRequest::also.
RunIdentity identity_of(const InitializerRequest& request, const std::vector<datasets::Profile>& training);
// A state of such a run, which says what it is of and nothing else yet.
learners::Checkpoint begin_state(const RunIdentity& identity);
// Throws std::invalid_argument naming the option where a state is of another run, or is no state.
void check_identity(const RunIdentity& wanted, const learners::Checkpoint& state);

// FNV-1a, 64 bit, of everything that training sees, in hexadecimal.
std::string hash_of(const std::vector<datasets::Profile>& profiles);

}  // namespace fewwatt::meta
