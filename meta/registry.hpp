#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"

namespace fewwatt::meta {

// What can be trained, and which learner adapts the result.
struct MetaLearnerFacts {
  std::string_view name;  // "maml"
  std::string_view about;
  std::string_view adapted_by;  // a learner of learners/registry.hpp: "fine_tune"
  std::string_view
      untrained_of;  // it is untrained() of that one's checkpoint: no need to train both. "" = of none
};

std::span<const MetaLearnerFacts> meta_learner_facts();

// Names: transfer, transfer-log (pretrain); maml, fomaml (MAML of second and first order); random-init
// (MAML's net, features, targets and fine-tuning with untrained weights: what MAML must beat).
struct InitializerRequest {
  std::string name;
  std::uint64_t seed = 0;
  int steps = 0;                                     // outer steps or epochs; 0 = the learner's own default
  std::vector<std::size_t> shots = {5, 10, 25, 50};  // support sizes that fine-tuning is chosen for
};

// The whole way from training profiles to a checkpoint: training, early stopping and the choice of
// fine-tuning on validation workloads, all out of `training` and nothing else. The same request and profiles
// give the same bytes. `log` gets lines for people. Throws std::invalid_argument for an unknown name or
// profiles that do not do.
learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<datasets::Profile>& training,
                                       const std::function<void(const std::string&)>& log = {});

// What "random-init" gives for the request that gave the checkpoint `maml`, without choosing everything
// again.
learners::Checkpoint untrained(const learners::Checkpoint& maml);

}  // namespace fewwatt::meta
