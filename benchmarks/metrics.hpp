#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "learners/optimize/choose.hpp"
#include "tasks/task.hpp"

namespace fewwatt::benchmarks {

using learners::Prediction;
using tasks::Matrix;

// Quantile p in [0,1], linear between order statistics (type 7 of Hyndman and Fan 1996). +inf is a value like
// any other: whatever would be interpolated with it is +inf. Throws std::invalid_argument when there are no
// values.
double quantile(std::vector<double> values, double p);
double median(std::vector<double> values);  // quantile 0.5

// Each of the following compares predictions [n] with measured values [n], n > 0. They throw std::invalid_argument when a prediction is not
// finite or the lengths differ: a learner that does not answer must not look good.

// Mean of |predicted - measured| / measured, %.
double mape(std::span<const double> predicted, std::span<const double> measured);

// These score the distribution that decisions are made with: log y is normal, with mean [n] and variance [n] > 0.

// Share of measured values between the 5th and the 95th percentile, %.
double coverage90(std::span<const double> log_mean, std::span<const double> log_variance,
                  std::span<const double> measured);
// The probability of the central interval that just holds the measured value: the share of the distribution between -|z| and |z|,
// z = (log measured - log_mean) / stddev. In [0,1].
double central_probability(double log_mean, double log_variance, double measured);  // throws nothing
// Mean of -log p(measured). Its zero depends on the unit of the values; differences do not.
double negative_log_likelihood(std::span<const double> log_mean, std::span<const double> log_variance,
                               std::span<const double> measured);
// Mean of the continuous ranked probability score over the measured value, %; without variance it is mape(). Gneiting & Raftery 2007,
// eq. 20; of a log-normal, Baran & Lerch 2015 (Q. J. R. Meteorol. Soc. 141), eq. 3.
double relative_crps(std::span<const double> log_mean, std::span<const double> log_variance,
                     std::span<const double> measured);

// What counts as far over a budget: power > budget (1 + fraction) + watts.
struct ExcessMargin {
  double watts = 1;     // W
  double fraction = 0;  // of the budget
};

// The power budgets that a workload's decisions are made for.
struct BudgetRule {
  std::size_t count =
      0;  // number of budgets, evenly from the 10th to the 90th percentile of power; 0: as follows
  double first_w = 0, last_w = 0, step_w = 1;  // first, first + step, ..., last
};
// The budgets, in W, for a workload that draws these powers in all of its modes.
std::vector<double> budgets_of(const BudgetRule& rule, std::span<const double> power_w);

// What a learner chose for a budget.
struct Decision {
  double budget_w;                    // the budget
  std::optional<std::size_t> choice;  // row of the measured modes; nullopt: it chose none, because none fits
};

// How good decisions were.
struct DecisionScores {
  // PowerTrain's protocol (doi 10.1016/j.future.2024.07.001), on measured values. A budget without a choice
  // adds nothing to the penalty and exceeds nothing.
  double time_penalty;    // median over budgets of time(choice) / time(optimum) - 1, %; < 0 where a violation
                          // bought time; +inf when no budget had a choice
  double over_budget;     // % of budgets exceeded
  double over_budget_1w;  // % of budgets exceeded by more than the margin
  double excess_w;        // mean over budgets of max(0, power(choice) - budget)

  // Ours, over the budgets that count: those that some mode keeps and the fastest mode does not. A choice over the budget counts as
  // +inf, and so does no choice. nullopt when no budget counts.
  std::size_t counted;                                     // number of budgets that count
  std::optional<double> strict_regret, strict_regret_p90;  // median and 90th percentile, %
  std::optional<double> violations;  // % of counted budgets whose choice broke the budget
};

// Scores decisions for one workload. measured [n,2], ms and W, all known. Throws std::invalid_argument for no decisions, or unknown values.
DecisionScores score(std::span<const Decision> decisions, const Matrix& measured, const ExcessMargin& margin);

}  // namespace fewwatt::benchmarks
