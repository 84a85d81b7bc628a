#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "learners/learner.hpp"

namespace fewwatt::learners {

// What is minimised, as a value:  score = time^a (eta power + (1 - eta) P)^b, time in ms, power in W.
//
//   time  a=1 b=0        power  a=0 b=1        energy  a=1 b=1        ed<n>p  a=n+1 b=1: energy x delay^n; edp: n=1
//   zeus  a=1 b=1        eta energy + (1 - eta) P time, eq. 2 of You et al. 2023 (NSDI): eta = 1 is energy, eta = 0 is time
struct Objective {
  int time_exponent = 1;   // a >= 0
  int power_exponent = 0;  // b, 0 or 1
  double eta = 1;          // in [0, 1]; below 1 for zeus alone
  double max_power_w = 0;  // P, the most that the board may draw (Zeus's MAXPOWER): what time is worth

  static const Objective time, energy, edp, power;

  double operator()(double time_ms, double power_w) const;
  bool needs_time() const { return time_exponent > 0; }
  bool needs_power() const { return power_exponent > 0 && eta > 0; }
  bool operator==(const Objective&) const = default;
};
inline constexpr Objective Objective::time{1, 0}, Objective::energy{1, 1}, Objective::edp{2, 1},
    Objective::power{0, 1};

// "time", "energy", "power", "edp", "ed2p" to "ed9p", and "zeus", whose eta and max_power_w are left to be set. Throws
// std::invalid_argument listing them.
Objective parse_objective(std::string_view name);

// What decisions go by: the prediction, where what was measured of a mode stands for what was predicted of it. rows [n]: those of
// the prediction that the support's modes are. The uncertainty of a measured value is that of its measurements,
//   log stddev^2 = noise_factor noise^2,   noise^2: of log y, what the prediction's stddev has beyond its latent_stddev
// and less than that of the prediction: where it is not, as of a measurement that is old or spread much, and where the value is
// doubted, the prediction stands. A value that is not predicted stays unknown: a few measured ones do not make a column.
Prediction with_measurements(Prediction prediction, const Samples& support, std::span<const std::size_t> rows,
                             std::span<const Doubted> doubted);

// The confidence of programs that name a mode, where none is asked for and the learner gives its uncertainty.
inline constexpr double kUsualConfidence = 0.9;

// Limits on a mode. Energy is time x power.
struct PowerBudget {
  double max_power_w = std::numeric_limits<double>::infinity();
  double max_time_ms = std::numeric_limits<double>::infinity();
  double max_energy_j = std::numeric_limits<double>::infinity();
  // On the median, whatever the confidence: of a limit that is a multiple of another predicted time, with which it errs.
  double max_predicted_ms = std::numeric_limits<double>::infinity();
  // A limit holds when the probability that a new measurement keeps it is at least this; of a measured mode, that many
  // measurements would on average. 0.5 = the prediction decides, whatever its stddev. Needs a prediction with stddev when not 0.5.
  double confidence = 0.5;

  bool limits_time() const { return max_time_ms < std::numeric_limits<double>::infinity(); }
  bool limits_power() const { return max_power_w < std::numeric_limits<double>::infinity(); }
  bool limits_energy() const { return max_energy_j < std::numeric_limits<double>::infinity(); }
  std::string error() const;  // "" when valid: limits > 0, 0.5 <= confidence < 1
};

// The z with P(Z <= z) = probability for a standard normal Z; 0 < probability < 1.
double normal_quantile(double probability);
double normal_cdf(double z);  // P(Z <= z)
// E max(0, d), d ~ N(mean, sd^2), sd >= 0: how much d is expected to improve on nothing. Jones, Schonlau & Welch 1998, eq. 15.
double expected_improvement(double mean, double sd);

// Learners that give a stddev predict logs that are normal, and state the median as mean (set_log_normal): so
// log y has the standard deviation sqrt(log(1 + (stddev / median)^2)). 0 for stddev 0; NaN stays NaN.
double log_stddev(double median, double stddev);
// P(y <= limit); for log_sd = 0 either 0 or 1.
double probability_within(double median, double log_sd, double limit);

// The three quantities that limits and objectives speak of, of each row. Errors of time and power are independent.
struct Costs {
  Eigen::ArrayXd time_ms, power_w, energy_j;                // [n] medians
  Eigen::ArrayXd time_log_sd, power_log_sd, energy_log_sd;  // [n], or [0] where the prediction has no stddev
};
Costs costs_of(const Prediction& prediction);
// What is exceeded with probability 1 - confidence: median exp(z log_sd); the median at confidence 0.5.
Eigen::ArrayXd upper_bounds(const Eigen::ArrayXd& median, const Eigen::ArrayXd& log_sd, double confidence);

// The probability that each limit is kept by a row; NaN without a limit or a stddev.
struct Probabilities {
  double power, time, energy;
};
Probabilities probabilities(const Prediction& prediction, std::size_t row, const PowerBudget& budget);

// All of these throw std::invalid_argument when budget.error(), or when a column that is needed is unknown. A single
// unknown value keeps its row out.

// At most `count` rows of those within the budget, by objective, then power, then row.
std::vector<std::size_t> best(const Prediction& prediction, const Objective& objective,
                              const PowerBudget& budget, std::size_t count);
// The first of them; nullopt when no row is within the budget.
std::optional<std::size_t> choose(const Prediction& prediction, const Objective& objective,
                                  const PowerBudget& budget);
std::optional<std::size_t> choose_fastest(const Prediction& prediction, const PowerBudget& budget);

// The row of least violation: it minimises the largest of (upper bound at the confidence) / limit, `excess`, which is
// above 1 where the budget is not kept. Ties go to the lower row. Throws std::invalid_argument when there is no row.
struct Nearest {
  std::size_t row;
  double excess;
};
Nearest least_violation(const Prediction& prediction, const PowerBudget& budget);

// Rows within the budget that no other such row beats in both time and power, ascending by power; of equal
// ones the first.
std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget = {});

}  // namespace fewwatt::learners
