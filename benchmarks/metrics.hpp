#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "learners/optimize/choose.hpp"
#include "tasks/task.hpp"

namespace fewwatt::benchmarks {

using tasks::Matrix;
using tasks::Prediction;

// Quantile p in [0,1], linear between order statistics (type 7 of Hyndman and Fan 1996). +inf is a value like
// any other: whatever would be interpolated with it is +inf. Throws std::invalid_argument when there are no
// values.
double quantile(std::vector<double> values, double p);
double median(std::vector<double> values);

// Of predicted [n] against measured [n], n > 0. All throw std::invalid_argument when a prediction is not
// finite or the lengths differ: a learner that does not answer must not look good.
double mape(std::span<const double> predicted, std::span<const double> measured);  // %
// Share of measured values within mean +- 1.6449 stddev, %.
double coverage90(std::span<const double> mean, std::span<const double> stddev,
                  std::span<const double> measured);
// Share of the normal distribution between -|z| and |z|, z = (measured - mean) / stddev: what an interval must be asked to
// hold to just hold the measured value. In [0,1].
double central_probability(double mean, double stddev, double measured);  // throws nothing
// Mean of -log N(measured; mean, stddev); its zero depends on the unit of the values, differences do not.
double negative_log_likelihood(std::span<const double> mean, std::span<const double> stddev,
                               std::span<const double> measured);

// A budget is exceeded by more than the margin when power > budget (1 + fraction) + watts.
struct ExcessMargin {
  double watts = 1;
  double fraction = 0;
};

// The power budgets that a workload's decisions are made for.
struct BudgetRule {
  std::size_t count = 0;  // > 0: so many, evenly from the 10th to the 90th percentile of power
  double first_w = 0, last_w = 0, step_w = 1;  // count == 0: first, first + step, ..., last
};
std::vector<double> budgets_of(const BudgetRule& rule, std::span<const double> power_w);

// What was chosen for a budget, as a row of the measured modes; nullopt = nothing fits, said the chooser.
struct Decision {
  double budget_w;
  std::optional<std::size_t> choice;
};

struct DecisionScores {
  // PowerTrain's protocol (doi 10.1016/j.future.2024.07.001), on measured values. A budget without a choice
  // adds nothing to the penalty and exceeds nothing.
  double time_penalty;    // median over budgets of time(choice) / time(optimum) - 1, %; < 0 where a violation
                          // bought time; +inf when no budget had a choice
  double over_budget;     // % of budgets exceeded
  double over_budget_1w;  // % of budgets exceeded by more than the margin
  double excess_w;        // mean over budgets of max(0, power(choice) - budget)

  // Ours: over the budgets that some mode meets and the fastest mode does not. +inf for a choice over the
  // budget, and for none. nullopt when no budget counts.
  std::size_t counted;
  std::optional<double> strict_regret, strict_regret_p90;  // median and 90th percentile, %
  std::optional<double> violations;  // % of counted budgets whose choice broke the budget
};

// measured [n,2], ms and W, all known.
DecisionScores score(std::span<const Decision> decisions, const Matrix& measured, const ExcessMargin& margin);

}  // namespace fewwatt::benchmarks
