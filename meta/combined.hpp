#pragma once

#include <functional>
#include <string>
#include <vector>

#include "meta/registry.hpp"

// The registry's meta-learners that consist of others: auto, the ensembles, and their controls. For registry.cpp.
namespace fewwatt::meta {

// MetaLearnerEntry::train.
using TrainWhole = std::function<learners::Checkpoint(
    const InitializerRequest&, const std::vector<datasets::Profile>&, const Log&, const Registry&)>;

// The options of the meta-learners of these names, with their name before theirs, and those that are set for all of them.
learners::EachOption options_of_parts(const std::vector<std::string>& names);

// auto: a sim_prior, which auto weighs beside what needs no training.
learners::Checkpoint train_auto(const InitializerRequest& whole,
                                const std::vector<datasets::Profile>& training, const Log& log,
                                const Registry& registry);

// Controls: sim_prior without what it has learned of characteristics, and auto with such a sim_prior.
learners::Checkpoint without_characteristics(const learners::Checkpoint& sim_prior);
learners::Checkpoint auto_without_characteristics(const learners::Checkpoint& whole);

// Ensembles: of sim_prior, proto, ridge and gp, each trained as by itself; the same as a product of experts; and of four that differ in
// their seed, "proto-seeds" of proto.
learners::Checkpoint train_stack(const InitializerRequest& request,
                                 const std::vector<datasets::Profile>& training, const Log& log,
                                 const Registry& registry);
learners::Checkpoint product_of(const learners::Checkpoint& stack);
TrainWhole train_seeds(const std::string& name);

}  // namespace fewwatt::meta
