#pragma once

#include <functional>
#include <span>
#include <string>

#include "datasets/profile.hpp"
#include "learners/factor.hpp"
#include "learners/options.hpp"
#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

// How the factor model's hyper-parameters are fitted.
struct FactorFitOptions {
  int steps = 100;              // of Adam, at most
  double rate = 0.08;           // of Adam
  std::size_t rows = 60;        // of each workload
  std::size_t workloads = 400;  // that are learned from, evenly spread over those there are
  std::size_t left_out = 40;    // of these, evenly too: the objective is of so many, each beside all others
  StopCheck interrupted = {};   // asked during the fit
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// The factor model of the training workloads: mean and covariance of their logs in the modes that all of them have, and the
// hyper-parameters that make each of them most likely beside the others,
//   sum over workloads left out of -log p(rows | mean and covariance of the others) + the prior of FactorParameters
// Throws std::invalid_argument when there is no profile or the profiles' knobs differ in role; Interrupted when told to stop.
learners::FactorModel fit_factor(std::span<const datasets::Profile> training, const FactorFitOptions& options,
                                 std::uint64_t seed, const std::function<void(const std::string&)>& log = {});

}  // namespace fewwatt::meta
