#pragma once

#include <cstdint>
#include <vector>

#include "learners/proto.hpp"
#include "meta/meta_learner.hpp"

// What a prototypical network knows of each training workload before its outer loop: a head and a curve.
namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// The head beta [p] of measured rows: least squares of log y = level + head, with a weak pull of beta to its own
// mean that decides where the rows cannot tell terms apart; no term is below a hundredth of the greatest, and the
// head's mean over the rows is 0.
Vector fit_head(const Matrix& log_terms, const Vector& logs);

// target.heads, of all rows of each workload: inputs and logs of one or more workloads. Throws Interrupted when told to stop, as
// does fit_curves().
void fit_heads(learners::ProtoTarget& target, const std::vector<learners::ProtoInputs>& inputs,
               const std::vector<Vector>& logs, const StopCheck& interrupted);

// target.curve_knobs and curve_weights, after the heads: curve_w by least squares over all rows of workload w, with a sum of kernels at
// `most` modes or fewer that all workloads share: the subset of regressors, Rasmussen & Williams 2006, eq. 8.14. `seed` draws them.
void fit_curves(learners::ProtoTarget& target, const std::vector<learners::ProtoInputs>& inputs,
                const std::vector<Vector>& logs, std::size_t most, std::uint64_t seed,
                const StopCheck& interrupted);

}  // namespace fewwatt::meta
