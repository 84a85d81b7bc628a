#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "learners/learner.hpp"

namespace fewwatt::learners {

enum class Objective { time, energy, edp, power };  // ms, J, J s, W; each is minimised
std::string_view to_string(Objective objective);
Objective parse_objective(std::string_view name);  // throws std::invalid_argument listing the known names

struct PowerBudget {
  double max_power_w = std::numeric_limits<double>::infinity();
  double max_time_ms = std::numeric_limits<double>::infinity();
  // A limit holds when the probability that it does, normal with the predicted stddev, is at least this. 0.5
  // = the mean decides, whatever the stddev. Needs a prediction with stddev when not 0.5.
  double confidence = 0.5;
  std::string error() const;  // "" when valid: limits > 0, 0.5 <= confidence < 1
};

// The z with P(Z <= z) = probability for a standard normal Z; 0 < probability < 1.
double normal_quantile(double probability);

// Row of the mode with the smallest objective among those within the budget; ties go to the lower power, then
// to the lower row. nullopt when none is. Throws std::invalid_argument when budget.error(), or when a column
// that is needed is unknown (energy is time x power). A single unknown value keeps its row out.
std::optional<std::size_t> choose(const Prediction& prediction, Objective objective,
                                  const PowerBudget& budget);
std::optional<std::size_t> choose_fastest(const Prediction& prediction, const PowerBudget& budget);

// The row with the least upper bound of a target at the budget's confidence: what a budget that nothing fits
// is compared with. Throws std::invalid_argument as choose() does.
std::size_t cheapest(const Prediction& prediction, const PowerBudget& budget);       // of power
std::size_t fastest_bound(const Prediction& prediction, const PowerBudget& budget);  // of time

// Rows within the budget that no other such row beats in both time and power, ascending by power; of equal
// ones the first. Throws std::invalid_argument as choose() does.
std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget = {});

}  // namespace fewwatt::learners
