#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "learners/options.hpp"
#include "learners/sim_residual.hpp"

namespace fewwatt::learners {

struct SimPriorOptions {
  // Retrieval. Of the simulated workloads and the mixtures more would be better, and take longer.
  std::size_t population = 3000;
  std::uint64_t population_seed = 0;
  std::size_t mixtures = 3000;  // of training workloads, at least 1
  std::size_t blends = 1000;    // of a training workload and a simulated one; 0: none
  std::size_t unweighted =
      100;  // workloads, the first ones, that stand for all of them: enough for a covariance
  std::size_t kept =
      150;  // simulated workloads, those most like the support; more would have next to no weight
  std::size_t kept_mixed = 75;  // mixtures, and blends
  double effective = 100;       // of each kind, by weight: 1 / sum w^2
  // Log units, how far apart alike workloads are, one to the other:  weights ~ exp(-sum (misfit / error)^2 / 2 tau). Of the two
  // errors only their ratio counts.
  double time_error = 0.05, power_error = 0.04;

  // Hypotheses. Without a trained model: whether several fixed residuals are averaged over, from so many rows on, since fewer cannot
  // tell them apart; and one that is fitted to the support too, from so many on, as many as it has hyper-parameters, about.
  bool family = true, fitted = true;
  std::size_t rows_for_family = 8, rows_for_fit = 20;
  SupportFitOptions fit = {};
  // A hypothesis of time as physics has it, and one of power that is the same in every mode, have this share of the covariance of all
  // simulated workloads: 0.1 and 0.01 of its variance, since what they leave open is a third and a tenth as large.
  double physics_scale = 0.1, flat_scale = 0.01;
  double physics_log_prior = -1;  // physics has parameters that were fitted to the same rows
  // Standard deviations of the logs of the scales that are averaged over: of a covariance by a factor of 2.7, of the noise by 1.8.
  double scale_spread = 1, noise_spread = 0.6;
  // Without a trained model, the usual noise of a log, and how far its log is from that.
  double usual_noise = tasks::kUsualNoise, usual_noise_spread = 0.7;

  // Evidence:  weights ~ (evidence prior)^temper, since hypotheses err together where they are wrong.
  double temper = 0.6;
  // Of the weight, that hypotheses with one residual must have to be kept, and that one of their scales must have: below that they
  // change logs by less than a hundredth of what hypotheses differ, and would cost as much as the others.
  double smallest_share = 0.01, smallest_scale = 1e-3;

  void each(OptionVisitor& on);
  std::string error() const;  // "" when valid
};

}  // namespace fewwatt::learners
