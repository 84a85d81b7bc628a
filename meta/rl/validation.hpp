#pragma once

#include <cstdint>

#include "learners/control/policy.hpp"
#include "meta/rl/agent_training.hpp"
#include "meta/rl/trial.hpp"

namespace fewwatt::meta {

// The mean over `episodes` episodes, each in an environment of its own, of the sum of rewards. The same seed gives the same episodes,
// whatever the policy. Throws Interrupted when told to stop.
double mean_return(learners::Policy& policy, const MakeEnvironment& make, int episodes, std::uint64_t seed,
                   const StopCheck& interrupted = {});

// What the board would get with a snapshot: the mean_return() of learners::NetPolicy. -infinity where it has
// numbers that no checkpoint may have: beyond learners::kMostFactor, or not finite.
ReturnOf return_in(MakeEnvironment make, int episodes, std::uint64_t seed);

}  // namespace fewwatt::meta
