#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "meta/rl/choices.hpp"
#include "meta/rl/policy_shape.hpp"

namespace fewwatt::meta {

// Decisions of a policy, and what came of them: n rows. With a memory they are the steps of `side_by_side` trials, which begin with
// an empty memory: first steps of all, second steps of all, and so on.
struct PolicyBatch {
  Matrix inputs;                // [n,o], with a memory [n,i]
  std::vector<ActionSet> sets;  // [n] what was chosen from; null where each action has an output of the net
  std::vector<std::vector<std::size_t>> spent;  // [n] what could not be chosen
  std::vector<std::int64_t> actions;            // [n] what was chosen
  Vector log_probabilities;                     // [n] of that, by the policy that chose
  Vector advantages;              // [n] how much better it was than what the policy gets on the average
  Vector returns;                 // [n] what the net of values is to say
  Vector weights;                 // [n] 1; 0 = not there: the trial was over
  Eigen::Index side_by_side = 1;  // b

  Eigen::Index size() const { return weights.size(); }  // n, also rows that are not there
  // Those of the side_by_side that `which` names, all their rows.
  PolicyBatch part(std::span<const std::size_t> which) const;
};

// The loss of policy gradients, the mean over rows of
//   - term - entropy_weight H(pi) + value_weight (V - return)^2
// with the term
//   clip = 0  log pi(a) A                                          Williams 1992; Mnih et al. 2016, section 4
//   clip > 0  min(r A, clamp(r, 1 - clip, 1 + clip) A),            Schulman et al. 2017, eq. 7 and 9
//             r = pi(a) / pi_old(a)
struct Surrogate {
  double clip = 0;            // of the ratio r; 0: the term without a ratio
  double entropy_weight = 0;  // of the entropy H(pi)
  double value_weight = 0.5;  // of the squared error of V
};

// A loss and its gradient, in the order of the parameters.
struct LossGradient {
  double loss = 0;  // at these parameters
  Vector gradient;  // of the loss by each parameter
};
// In double. Needs a net of values. Large batches are taken in parts, on so many threads; their number does not change the result.
LossGradient surrogate_gradient(const PolicyShape& shape, const Vector& parameters, const PolicyBatch& batch,
                                const Surrogate& surrogate, std::size_t workers = 1);

}  // namespace fewwatt::meta
