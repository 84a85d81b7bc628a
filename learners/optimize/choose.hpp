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

  static const Objective time;    // least time per unit of work
  static const Objective energy;  // least energy per unit of work
  static const Objective edp;     // least energy x time
  static const Objective power;   // least power

  // log score, of the logs of both. One that is not needed may be NaN.
  double log_score(double log_time_ms, double log_power_w) const;
  // d log score / d log power
  double power_share(double log_power_w) const;
  bool needs_time() const { return time_exponent > 0; }               // whether the score depends on the time
  bool needs_power() const { return power_exponent > 0 && eta > 0; }  // whether it depends on the power
  bool operator==(const Objective&) const = default;
};
inline constexpr Objective Objective::time{1, 0}, Objective::energy{1, 1}, Objective::edp{2, 1},
    Objective::power{0, 1};

// "time", "energy", "power", "edp", "ed2p" to "ed9p", and "zeus", whose eta and max_power_w are left to be set. Throws
// std::invalid_argument listing them.
Objective parse_objective(std::string_view name);

// What decisions are made with: the prediction, with measured values in place of predicted ones. rows [n]: the rows of the prediction
// that hold the support's modes. The uncertainty of a measured value is that of its measurements:
//   log_variance = noise_factor (log_variance - latent_log_variance)
// A predicted value stays where the measurement is no surer than the prediction (it is old, or repeated measurements spread widely), and
// where the measured value is doubted. A target that is not predicted stays unknown: a few measured values do not make a column.
Prediction with_measurements(Prediction prediction, const Samples& support, std::span<const std::size_t> rows,
                             std::span<const Doubted> doubted);

// The confidence with which programs choose a mode, where the user asks for none and the learner gives its uncertainty.
inline constexpr double kUsualConfidence = 0.9;

// Limits on a mode. Energy is time x power.
struct PowerBudget {
  double max_power_w = std::numeric_limits<double>::infinity();   // mean power of the module
  double max_time_ms = std::numeric_limits<double>::infinity();   // of a unit of work
  double max_energy_j = std::numeric_limits<double>::infinity();  // of a unit of work
  // Limit on the median of the time, whatever the confidence. For limits that are a multiple of another predicted time: both times err
  // together.
  double max_predicted_ms = std::numeric_limits<double>::infinity();
  // A limit holds when a new measurement keeps it with at least this probability; in a measured mode, when the mean of many
  // measurements does. 0.5 = the median decides. For any other value the prediction must be uncertain().
  double confidence = 0.5;

  // Whether there is such a limit.
  bool limits_time() const { return max_time_ms < std::numeric_limits<double>::infinity(); }
  // Whether there is such a limit.
  bool limits_power() const { return max_power_w < std::numeric_limits<double>::infinity(); }
  // Whether there is such a limit.
  bool limits_energy() const { return max_energy_j < std::numeric_limits<double>::infinity(); }
  std::string error() const;  // "" when valid: limits > 0, 0.5 <= confidence < 1
};

// Expected improvement: E max(0, d), d ~ N(mean, sd^2), sd >= 0. Jones, Schonlau & Welch 1998, eq. 15.
double expected_improvement(double mean, double sd);

// The three quantities that limits and objectives are about, as columns: ms, W, J.
enum Cost : int { kTimeCost = 0, kPowerCost = 1, kEnergyCost = 2 };
// Time, power and energy of each row, [n,3]. Energy is time x power, whose errors are taken as independent.
LogGaussian costs_of(const Prediction& prediction);
// The log of the value that a new measurement exceeds with probability 1 - confidence, [n]; the log of the median at confidence 0.5.
Eigen::ArrayXd log_upper_bounds(const LogGaussian& costs, Cost cost, double confidence);

// The probability that each limit is kept by a row; NaN without a limit, or where the prediction is not uncertain().
struct Probabilities {
  double power;   // of max_power_w
  double time;    // of max_time_ms
  double energy;  // of max_energy_j
};
Probabilities probabilities(const Prediction& prediction, std::size_t row, const PowerBudget& budget);

// All of the following throw std::invalid_argument when budget.error(), or when a column that is needed is unknown. A row with a
// single unknown value is never chosen.

// At most `count` rows of those within the budget, by objective, then power, then row.
std::vector<std::size_t> best(const Prediction& prediction, const Objective& objective,
                              const PowerBudget& budget, std::size_t count);
// The first of them; nullopt when no row is within the budget.
std::optional<std::size_t> choose(const Prediction& prediction, const Objective& objective,
                                  const PowerBudget& budget);
std::optional<std::size_t> choose_fastest(const Prediction& prediction, const PowerBudget& budget);

// The row that breaks a budget least.
struct Nearest {
  std::size_t row;  // of the prediction
  // The largest of (upper bound at the confidence) / limit; above 1 where the budget is not kept.
  double excess;
};
// The row of least excess; of several the first. Throws std::invalid_argument when there is no row.
Nearest least_violation(const Prediction& prediction, const PowerBudget& budget);

// Rows within the budget that no other such row beats in both time and power, ascending by power; of equal
// ones the first.
std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget = {});

}  // namespace fewwatt::learners
