#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "learners/options.hpp"
#include "learners/sim_residual.hpp"

namespace fewwatt::learners {

// Options of sim_only and sim_prior.
struct SimPriorOptions {
  // ---- retrieval ----

  // Numbers of workloads. Of the simulated ones and the mixtures more would be better, and take longer.
  std::size_t population = 3000;      // simulated workloads
  std::uint64_t population_seed = 0;  // which these are, and the mixtures and blends
  std::size_t mixtures = 3000;        // mixtures of training workloads, at least 1
  std::size_t blends = 1000;          // blends of a training workload and a simulated one; 0: none
  std::size_t unweighted = 100;  // those, the first ones, that stand for all of them: enough for a covariance
  std::size_t kept = 150;        // simulated ones, most like the support; more would have next to no weight
  std::size_t kept_mixed = 75;   // mixtures most like the support, and blends
  double effective = 100;        // how many count of each kind, by weight: 1 / sum w^2
  // Log units, how far apart alike workloads are, one to the other:  weights ~ exp(-sum (misfit / error)^2 / 2 tau). Of the two
  // errors only their ratio counts.
  double time_error = 0.05, power_error = 0.04;

  // ---- hypotheses ----

  // Without a trained model: whether several fixed residuals are averaged over, from eight rows on, and one that is fitted to the
  // support too, from so many rows on, as many as it has hyper-parameters, about.
  bool fitted = true;
  std::size_t rows_for_fit = 20;  // see above
  SupportFitOptions fit = {};     // how that is done
  // A hypothesis of time as physics has it, and one of power that is the same in every mode, have this share of the covariance of all
  // simulated workloads: 0.1 and 0.01 of its variance, since what they leave open is a third and a tenth as large.
  double physics_scale = 0.1, flat_scale = 0.01;
  double physics_log_prior = -1;  // physics has parameters that were fitted to the same rows
  // Standard deviations of the logs of the scales that are averaged over: of a covariance by a factor of 2.7, of the noise by 1.8.
  double scale_spread = 1, noise_spread = 0.6;
  // Without a trained model, the usual noise of a log, and how far its log is from that.
  double usual_noise = tasks::kUsualNoise, usual_noise_spread = 0.7;

  // ---- evidence ----

  // weights ~ (evidence prior)^temper, since hypotheses err together where they are wrong.
  double temper = 0.6;
  // Of the weight, that hypotheses with one residual must have to be kept, and that one of their scales must have: below that they
  // change logs by less than a hundredth of what hypotheses differ, and would cost as much as the others.
  double smallest_share = 0.01, smallest_scale = 1e-3;

  void each(OptionVisitor& on);  // names every option but population_seed once
  std::string error() const;     // "" when valid
};

}  // namespace fewwatt::learners
