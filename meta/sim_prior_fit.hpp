#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "learners/sim_prior.hpp"
#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

// How the hyper-parameters of sim_prior are fitted.
struct SimPriorFitOptions {
  int steps = 150;        // of Adam
  double rate = 0.05;     // of Adam
  std::size_t rows = 60;  // of each workload, drawn anew in each step
  // The objective is  mean over workloads of -log p(rows) / rows + pull |h - h_0|^2,  h_0 = usual_residual() and
  // usual noise and scale.
  double pull = 0.0007;
  // Workloads that the covariance is of: as many as it has directions that matter, and more.
  std::size_t simulated = 300;
  StopCheck interrupted = {};              // asked during the fit
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// The hyper-parameters that make the training workloads most likely, searched for from those of `start` where it has the
// target, and what the workloads have in common where all were measured in the same modes. Throws std::invalid_argument when
// there is no profile, or the profiles' knobs differ in role, or those of start do; Interrupted when told to stop.
learners::SimPriorModel fit_sim_prior(std::span<const datasets::Profile> training,
                                      const SimPriorFitOptions& options, std::uint64_t seed,
                                      const std::function<void(const std::string&)>& log = {},
                                      const learners::SimPriorModel* start = nullptr);

}  // namespace fewwatt::meta
