#pragma once

#include "learners/control/policy_net.hpp"
#include "learners/optimize/search.hpp"

namespace fewwatt::learners {

// The name of agent_search() in a registry.
inline constexpr const char* kAgentSearch = "agent";

// An agent as a search for the fastest mode under a power budget; it knows of no other limit. A Shield is around it, on the search's learner,
// which must give its uncertainty, with the goal's confidence. The answer is the fastest mode that was measured inside. An agent that was
// trained for the task find ends after as many measurements as it was trained with. A measurement that it did not ask for, as of a run that is
// resumed, counts as the result of what it would have asked for, so that it goes on as it would have without a break. Its make() throws as
// policy_controller() and Shield().
SearchEntry agent_search(const PolicyModel& model);

}  // namespace fewwatt::learners
