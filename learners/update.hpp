#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

struct UpdateOptions {
  // The variance of an old row's noise grows by 1 / forget with every fresh row, so that of n fresh ones, which are taken to be
  // of one age, it weighs forget^n: the forgetting factor of recursive least squares (Ljung & Soderstrom 1983). 1: nothing is forgotten.
  double forget = 1;
  std::string error() const;  // "" when valid: 0 < forget <= 1
};

// The rows of a support, and those of fresh measurements. A mode of both becomes one row: the mean weighed by
// 1 / noise_factors, which add up where the two differ no more than usual. noise_factors of the result are [0] where all are 1. Throws std::invalid_argument for
// options.error(), bad rows (Samples::check), and when a fresh row's mode is not of the support's space.
Samples with_fresh_rows(const Samples& support, const Samples& fresh, const UpdateOptions& options = {});

}  // namespace fewwatt::learners
