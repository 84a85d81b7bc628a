#include "learners/sim_prior/options.hpp"

#include <cmath>

namespace fewwatt::learners {

void SimPriorOptions::each(OptionVisitor& on) {
  constexpr std::int64_t kMost = 100'000;
  on.whole("population", population, 1, kMost, "simulated workloads");
  on.whole("mixtures", mixtures, 1, kMost, "mixtures of training workloads");
  on.whole("blends", blends, 0, kMost, "blends of a training workload and a simulated one");
  on.whole("unweighted", unweighted, 1, kMost, "workloads that stand for all of them");
  on.whole("kept", kept, 1, kMost, "simulated workloads that are looked at, those most like the support");
  on.whole("kept_mixed", kept_mixed, 1, kMost, "the same of mixtures, and of blends");
  on.real("effective", effective, 1, 1e5, "of each kind, how many count, by weight");
  on.real("time_error", time_error, 1e-6, 10, "how far apart the times of alike workloads are, in logs");
  on.real("power_error", power_error, 1e-6, 10, "the same of powers");
  on.flag(
      "fitted", fitted,
      "whether, without training, several residuals are averaged over, and one is fitted to large supports");
  on.whole("rows_for_fit", rows_for_fit, 2, kMost, "rows from which on a residual is fitted");
  on.part("fit.", [&](OptionVisitor& part) { fit.each(part); });
  on.real("physics_scale", physics_scale, 1e-9, 1e3, "share of the simulated covariance beside physics");
  on.real("flat_scale", flat_scale, 1e-9, 1e3, "the same beside power that is the same in every mode");
  on.real("physics_log_prior", physics_log_prior, -100, 100, "log prior of physics beside other hypotheses");
  on.real("scale_spread", scale_spread, 1e-3, 100,
          "standard deviation of the logs of factors of covariances");
  on.real("noise_spread", noise_spread, 1e-3, 100, "the same of the noise about that of training workloads");
  on.real("usual_noise", usual_noise, 1e-6, 10,
          "without training, usual standard deviation of a measurement's log");
  on.real("usual_noise_spread", usual_noise_spread, 1e-3, 100, "standard deviation of the log of that");
  on.real("temper", temper, 1e-6, 1, "exponent of the evidence in the weights of hypotheses");
  on.real("smallest_share", smallest_share, 0, 0.05, "weight below which hypotheses are left out");
  on.real("smallest_scale", smallest_scale, 0, 0.001, "weight below which one of their scales is left out");
}

std::string SimPriorOptions::error() const {
  if (population < 1 || kept < 1 || kept_mixed < 1 || mixtures < 1 || unweighted < 1)
    return "SimPriorOptions: population, kept, kept_mixed, mixtures and unweighted must be >= 1, got 0";
  for (const double value : {effective, time_error, power_error, physics_scale, flat_scale, scale_spread,
                             noise_spread, usual_noise, usual_noise_spread, temper})
    if (!(value > 0) || !std::isfinite(value))
      return "SimPriorOptions: effective, time_error, power_error, physics_scale, flat_scale, scale_spread, "
             "noise_spread, usual_noise, usual_noise_spread and temper must be > 0";
  if (!std::isfinite(physics_log_prior)) return "SimPriorOptions: physics_log_prior must be finite";
  // There are some ten hypotheses at most, each with at most 45 scales: something is always kept.
  if (!(smallest_share >= 0 && smallest_share <= 0.05) || !(smallest_scale >= 0 && smallest_scale <= 0.001))
    return "SimPriorOptions: smallest_share must be in [0, 0.05], smallest_scale in [0, 0.001]";
  return fit.error();
}

}  // namespace fewwatt::learners
