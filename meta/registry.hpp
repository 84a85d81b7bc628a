#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"
#include "learners/registry.hpp"
#include "meta/rl/agents.hpp"
#include "meta/training_run.hpp"

namespace fewwatt::meta {

struct Registry;
using Log = std::function<void(const std::string&)>;  // gets lines for people

// What can be trained, how, and which learner adapts the result. `plan` or `train` is there, not both.
struct MetaLearnerEntry {
  std::string name;          // "maml"
  std::string about = {};    // one line
  std::string adapted_by;    // a learner of the same registry: "fine_tune"
  std::string twin_of = {};  // it is twin() of that one's checkpoint: no need to train both. "" = of none
  bool goes_on = false;      // InitializerRequest::init may be given
  // InitializerRequest::settings, as they are by default. Parts of what consists of several have their name before theirs,
  // "proto.outer_rate".
  learners::EachOption options = {};

  // With an outer loop, which can be resumed, and draws tasks from InitializerRequest::also as well. From all profiles that are
  // trained on.
  std::function<OuterLoop(const InitializerRequest&, const std::vector<datasets::Profile>&, const Registry&)>
      plan = {};
  // The whole training of one without.
  std::function<learners::Checkpoint(const InitializerRequest&, const std::vector<datasets::Profile>&,
                                     const Log&, const Registry&)>
      train = {};
  // From what training gives, or the checkpoint of what this is the twin of. Empty: as it is.
  std::function<learners::Checkpoint(const learners::Checkpoint&)> twin = {};

  bool has_outer_loop() const { return static_cast<bool>(plan); }  // whether it can be resumed
  std::string error() const;                                       // "" when valid
};

// Learners and what trains them, and agents. A value: a program copies builtin() and adds its own.
struct Registry : learners::Registry {
  learners::Named<MetaLearnerEntry> meta_learners{"meta-learner"};  // what trains the learners
  learners::Named<AgentEntry> agents{"agent"};                      // what chooses power modes by itself
};

// What can be trained, a meta-learner or an agent: what a program asks before it trains it.
struct TrainingFacts {
  std::string about;                  // one line
  learners::EachOption options = {};  // InitializerRequest::settings, as they are by default
  bool is_agent = false;              // of Registry::agents
  bool has_outer_loop = false;        // can be resumed, and draws from InitializerRequest::also
  bool goes_on = false;               // InitializerRequest::init may be given
};

// What this library brings, learners, samplers and searches included.
const Registry& builtin();

// Throws std::invalid_argument naming all that can be trained.
TrainingFacts training_facts(std::string_view name, const Registry& registry = builtin());

// The whole way from training profiles to a checkpoint, of a learner or of an agent (rl/mode_agents.hpp): training, early stopping and the
// choice of test-time settings on validation workloads, all out of `training` and request.also and nothing else. The same request and
// profiles give the same bytes, also when interrupted and resumed. Throws std::invalid_argument for an unknown
// name or option, `also` where there is no outer loop, `init` where training cannot go on from it, profiles that do not do, or a `resume`
// of another run; Diverged when nothing could be kept.
TrainedInitializer run_training(const InitializerRequest& request,
                                const std::vector<datasets::Profile>& training, const RunHooks& hooks = {},
                                const learners::Checkpoint* resume = nullptr,
                                const Registry& registry = builtin());

// The same without stopping. `log` gets lines for people.
learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<datasets::Profile>& training, const Log& log = {},
                                       const Registry& registry = builtin());

// What "random-init" gives for the request that gave the checkpoint `maml`, without choosing everything again.
learners::Checkpoint untrained(const learners::Checkpoint& maml);

// What `name` gives for the request that gave `trained`, the checkpoint of what it is the twin of, without
// choosing everything again.
learners::Checkpoint twin(std::string_view name, const learners::Checkpoint& trained,
                          const Registry& registry = builtin());

}  // namespace fewwatt::meta
