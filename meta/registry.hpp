#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"
#include "meta/training_run.hpp"

namespace fewwatt::meta {

// What can be trained, and which learner adapts the result.
struct MetaLearnerFacts {
  std::string_view name;  // "maml"
  std::string_view about;
  std::string_view adapted_by;  // a learner of learners/registry.hpp: "fine_tune"
  std::string_view twin_of;     // it is twin() of that one's checkpoint: no need to train both. "" = of none
  bool has_outer_loop = true;   // false: nothing to resume, and no tasks to draw from other profiles
  bool goes_on = true;          // InitializerRequest::init may be given
};

std::span<const MetaLearnerFacts> meta_learner_facts();

// The whole way from training profiles to a checkpoint: training, early stopping and the choice of
// test-time settings on validation workloads, all out of `training` and request.also and nothing else. The same request and
// profiles give the same bytes, also when interrupted and resumed. Throws std::invalid_argument for an unknown
// name, `also` where there is no outer loop, `init` where training cannot go on from it, profiles that do not do, or a `resume`
// of another run; Diverged when nothing could be kept.
TrainedInitializer run_training(const InitializerRequest& request,
                                const std::vector<datasets::Profile>& training, const RunHooks& hooks = {},
                                const learners::Checkpoint* resume = nullptr);

// The same without stopping. `log` gets lines for people.
learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<datasets::Profile>& training,
                                       const std::function<void(const std::string&)>& log = {});

// What "random-init" gives for the request that gave the checkpoint `maml`, without choosing everything again.
learners::Checkpoint untrained(const learners::Checkpoint& maml);

// What `name` gives for the request that gave `trained`, the checkpoint of what it is the twin of, without
// choosing everything again.
learners::Checkpoint twin(std::string_view name, const learners::Checkpoint& trained);

}  // namespace fewwatt::meta
