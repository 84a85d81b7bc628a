#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

// How fast old measurements lose weight.
struct UpdateOptions {
  // Every fresh row multiplies the noise variance of the old rows by 1 / forget, so that after n fresh rows, which count as equally
  // old, an old row weighs forget^n. This is the forgetting factor of recursive least squares (Ljung & Soderstrom 1983). 1: nothing is
  // forgotten.
  double forget = 1;
  std::string error() const;  // "" when valid: 0 < forget <= 1
};

// The rows of a support and of fresh measurements together. A mode that both have becomes one row, the mean weighed by
// 1 / noise_factors; these weights add up where the two values differ no more than usual. noise_factors of the result are [0] where
// all are 1. Throws std::invalid_argument for options.error(), bad rows (Samples::check), and a fresh row whose mode is not in the
// support's space.
Samples with_fresh_rows(const Samples& support, const Samples& fresh, const UpdateOptions& options = {});

}  // namespace fewwatt::learners
