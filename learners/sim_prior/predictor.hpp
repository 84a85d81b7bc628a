#pragma once

#include <array>
#include <memory>
#include <optional>

#include "learners/learner.hpp"
#include "learners/sim_prior/evidence.hpp"
#include "learners/sim_prior/hypotheses.hpp"
#include "learners/sim_prior/retrieve.hpp"

// The last part of SimPrior: what is predicted of other modes.
namespace fewwatt::learners {

// From what the rows say of each target that they have. fits and means are those that were made with `retrieved`.
std::unique_ptr<const Predictor> predictor_of(Retrieved retrieved, MeanFunctions means,
                                              std::array<std::optional<TargetFit>, tasks::kNumTargets> fits);

// Where nothing was measured: from what is stated of the workload. Throws std::invalid_argument saying what is missing for that.
std::unique_ptr<const Predictor> predictor_by_statement(std::shared_ptr<const SimPriorModel> model,
                                                        const Samples& support);

}  // namespace fewwatt::learners
