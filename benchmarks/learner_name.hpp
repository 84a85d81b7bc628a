#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "meta/registry.hpp"

namespace fewwatt::benchmarks {

// What a suite calls a learner: the name in a registry, and what it is trained on.
//   maml         the training profiles
//   maml+sim     simulated workloads as well
//   maml-sim     simulated workloads alone
//   maml:4       the first 4 of the training workloads, in a random order that all learners share
//   maml:4x200   200 modes of each of these, drawn for each
//   maml:4+4     goes on from maml:4, which must be among the learners, with 4 more (InitializerRequest::init)
//   auto:0       nothing
struct LearnerName {
  // What it is trained on.
  enum class Training {
    profiles,   // maml
    both,       // maml+sim
    simulated,  // maml-sim
    none        // auto:0
  };
  std::string base;                                 // "maml"
  Training training = Training::profiles;           // what it is trained on
  std::size_t workloads = 0, added = 0, modes = 0;  // maml:4+4, maml:4x200; 0 = all, none, all
  std::string suffix;                               // what follows the base

  bool is_trained() const { return training != Training::none; }  // whether it sees any workload before
  // Whether it is trained on a simulated population, alone or besides profiles.
  bool simulates() const { return training == Training::both || training == Training::simulated; }
  std::string with_base(std::string_view other) const;  // of another base, trained on the same
  std::string start() const;                            // maml:4 of maml:4+4; "" where nothing is added
};
LearnerName parse_learner(const std::string& name);  // throws std::invalid_argument for a bad suffix

// Throws std::invalid_argument listing the known names.
void check_learner(const std::string& name, const meta::Registry& registry = meta::builtin());

}  // namespace fewwatt::benchmarks
