#include "learners/optimize/choose.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "hw/text.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kPowerW;
using tasks::kTimeMs;
using tasks::Target;

// Logs of sums that are equal differ in the last digits.
constexpr double kRounding = 1e-12;

void check_column(const Prediction& prediction, Target target) {
  if (prediction.log_mean.cols() != tasks::kNumTargets) {
    throw std::invalid_argument("choose: the prediction needs 2 columns, found " +
                                std::to_string(prediction.log_mean.cols()));
  }
  if (!prediction.predicts(target)) {
    throw std::invalid_argument(std::string("choose: the prediction has no ") + tasks::kTargetNames[target] +
                                ", which this objective or limit needs");
  }
}

void check_limit(const Prediction& prediction, Target target, const PowerBudget& budget) {
  check_column(prediction, target);
  if (budget.confidence == 0.5) return;
  if (prediction.log_variance.rows() != prediction.rows() ||
      prediction.log_variance.cols() != prediction.log_mean.cols() ||
      (prediction.rows() > 0 && prediction.log_variance.col(target).array().isNaN().all())) {
    throw std::invalid_argument(std::string("confidence needs a learner that gives its uncertainty, as gp "
                                            "does: this prediction has no uncertainty of ") +
                                tasks::kTargetNames[target]);
  }
}

void check(const Prediction& prediction, const PowerBudget& budget) {
  if (const auto error = budget.error(); !error.empty()) throw std::invalid_argument(error);
  if (budget.limits_time() || budget.limits_energy()) check_limit(prediction, kTimeMs, budget);
  if (budget.limits_power() || budget.limits_energy()) check_limit(prediction, kPowerW, budget);
}

// The largest log(bound / limit) of each row: at most 0 within the budget; -inf without a limit, NaN when a value is unknown.
Eigen::ArrayXd log_excesses(const Prediction& prediction, const PowerBudget& budget) {
  check(prediction, budget);
  const auto costs = costs_of(prediction);
  Eigen::ArrayXd excess = Eigen::ArrayXd::Constant(prediction.rows(), -INFINITY);
  const auto add = [&](Cost cost, double confidence, double limit) {
    const Eigen::ArrayXd over = log_upper_bounds(costs, cost, confidence) - std::log(limit);
    for (Eigen::Index row = 0; row < excess.size(); ++row)
      if (!(over(row) <= excess(row)) && !std::isnan(excess(row))) excess(row) = over(row);
  };
  if (budget.limits_time()) add(kTimeCost, budget.confidence, budget.max_time_ms);
  if (std::isfinite(budget.max_predicted_ms)) {
    check_column(prediction, kTimeMs);
    add(kTimeCost, 0.5, budget.max_predicted_ms);
  }
  if (budget.limits_power()) add(kPowerCost, budget.confidence, budget.max_power_w);
  if (budget.limits_energy()) add(kEnergyCost, budget.confidence, budget.max_energy_j);
  return excess;
}

double at(const Prediction& prediction, std::size_t row, Target target) {
  return prediction.log_mean(static_cast<Eigen::Index>(row), target);
}

}  // namespace

Prediction with_measurements(Prediction prediction, const Samples& support, std::span<const std::size_t> rows,
                             std::span<const Doubted> doubted) {
  for (std::size_t i = 0; i < support.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(rows[i]), measured_row = static_cast<Eigen::Index>(i);
    for (const auto target : {kTimeMs, kPowerW}) {
      const double measured = support.targets(measured_row, target);
      double& log_mean = prediction.log_mean(row, target);
      if (std::isnan(measured) || std::isnan(log_mean)) continue;
      if (std::find(doubted.begin(), doubted.end(), Doubted{support.modes[i], target}) != doubted.end())
        continue;
      if (prediction.uncertain()) {
        double &variance = prediction.log_variance(row, target),
               &latent = prediction.latent_log_variance(row, target);
        const double factor =
            support.noise_factors.size() > 0 ? support.noise_factors(measured_row, target) : 1;
        const double own = factor * (variance - latent);
        if (!(own <= variance)) continue;
        variance = latent = own;
      }
      log_mean = std::log(measured);
    }
  }
  return prediction;
}

double Objective::log_score(double log_time_ms, double log_power_w) const {
  double score = needs_time() ? time_exponent * log_time_ms : 0;
  if (power_exponent > 0)
    score += eta == 1   ? log_power_w
             : eta == 0 ? std::log(max_power_w)
                        : std::log(eta * std::exp(log_power_w) + (1 - eta) * max_power_w);
  return score;
}

double Objective::power_share(double log_power_w) const {
  if (!needs_power()) return 0;
  if (eta == 1) return 1;
  const double of_power = eta * std::exp(log_power_w);
  return of_power / (of_power + (1 - eta) * max_power_w);
}

Objective parse_objective(std::string_view name) {
  if (name == "time") return Objective::time;
  if (name == "energy" || name == "zeus") return Objective::energy;
  if (name == "edp") return Objective::edp;
  if (name == "power") return Objective::power;
  if (name.size() == 4 && name.substr(0, 2) == "ed" && name[2] >= '2' && name[2] <= '9' && name[3] == 'p')
    return {name[2] - '0' + 1, 1};
  constexpr std::array kNames = {"time", "energy", "power", "edp", "ed2p", "ed3p", "zeus"};
  throw std::invalid_argument("objective must be time, energy, power, edp, ed2p to ed9p or zeus, found " +
                              std::string(name) + hw::did_you_mean(name, kNames));
}

std::string PowerBudget::error() const {
  std::ostringstream text;
  for (const auto& [name, limit] : {std::pair("max_power_w", max_power_w),
                                    {"max_time_ms", max_time_ms},
                                    {"max_predicted_ms", max_predicted_ms},
                                    {"max_energy_j", max_energy_j}}) {
    if (limit > 0) continue;
    text << "PowerBudget: " << name << " must be > 0, found " << limit;
    return text.str();
  }
  if (!(confidence >= 0.5 && confidence < 1))
    text << "PowerBudget: confidence must be in [0.5, 1), found " << confidence;
  return text.str();
}

double expected_improvement(double mean, double sd) {
  if (!(sd > 0)) return std::max(0.0, mean);
  const double z = mean / sd;
  return mean * normal_cdf(z) + sd * std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
}

LogGaussian costs_of(const Prediction& prediction) {
  // log J = log ms + log W - log 1000
  const auto with_sum = [](const Matrix& of, double off) {
    if (of.size() == 0 && of.cols() == 0) return of;
    Matrix all(of.rows(), 3);
    all << of, (of.col(kTimeMs) + of.col(kPowerW)).array() - off;
    return all;
  };
  return {with_sum(prediction.log_mean, std::log(1000)), with_sum(prediction.log_variance, 0),
          with_sum(prediction.latent_log_variance, 0)};
}

Eigen::ArrayXd log_upper_bounds(const LogGaussian& costs, Cost cost, double confidence) {
  const auto medians = costs.log_mean.col(cost).array();
  if (confidence == 0.5) return medians;
  return medians + normal_quantile(confidence) * costs.log_variance.col(cost).array().sqrt();
}

Probabilities probabilities(const Prediction& prediction, std::size_t row, const PowerBudget& budget) {
  const auto costs = costs_of(prediction.at({&row, 1}));
  const auto within = [&](Cost cost, double limit) {
    return costs.uncertain() && std::isfinite(limit) ? costs.probability_below(limit, 0, cost)
                                                     : std::numeric_limits<double>::quiet_NaN();
  };
  return {within(kPowerCost, budget.max_power_w), within(kTimeCost, budget.max_time_ms),
          within(kEnergyCost, budget.max_energy_j)};
}

namespace {

// Logs of equal numbers may differ in their last bit.
double rounded(double log) {
  return std::round(log / kRounding);
}

}  // namespace

std::vector<std::size_t> best(const Prediction& prediction, const Objective& objective,
                              const PowerBudget& budget, std::size_t count) {
  const Eigen::ArrayXd excess = log_excesses(prediction, budget);
  if (objective.needs_time()) check_column(prediction, kTimeMs);
  if (objective.needs_power()) check_column(prediction, kPowerW);
  std::vector<std::tuple<double, double, std::size_t>> ranked;
  for (std::size_t row = 0; row < static_cast<std::size_t>(excess.size()); ++row) {
    if (!(excess(static_cast<Eigen::Index>(row)) <= kRounding)) continue;
    const double power = at(prediction, row, kPowerW);
    const double score = objective.log_score(at(prediction, row, kTimeMs), power);
    // Ties by power only where it is known.
    if (!std::isnan(score))
      ranked.emplace_back(rounded(score), std::isnan(power) ? INFINITY : rounded(power), row);
  }
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back(std::get<2>(ranked[i]));
  return rows;
}

std::optional<std::size_t> choose(const Prediction& prediction, const Objective& objective,
                                  const PowerBudget& budget) {
  const auto rows = best(prediction, objective, budget, 1);
  return rows.empty() ? std::nullopt : std::optional(rows[0]);
}

std::optional<std::size_t> choose_fastest(const Prediction& prediction, const PowerBudget& budget) {
  return choose(prediction, Objective::time, budget);
}

Nearest least_violation(const Prediction& prediction, const PowerBudget& budget) {
  const Eigen::ArrayXd excess = log_excesses(prediction, budget);
  if (excess.size() == 0) throw std::invalid_argument("choose: the prediction has no rows");
  Eigen::Index nearest = 0;
  for (Eigen::Index row = 1; row < excess.size(); ++row)
    if (excess(row) < excess(nearest) || std::isnan(excess(nearest))) nearest = row;
  return {static_cast<std::size_t>(nearest), std::exp(excess(nearest))};
}

std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget) {
  const Eigen::ArrayXd excess = log_excesses(prediction, budget);
  check_column(prediction, kTimeMs);
  check_column(prediction, kPowerW);
  std::vector<std::tuple<double, double, std::size_t>> rows;  // logs of power, time
  for (std::size_t row = 0; row < static_cast<std::size_t>(excess.size()); ++row) {
    const double time = at(prediction, row, kTimeMs), power = at(prediction, row, kPowerW);
    if (excess(static_cast<Eigen::Index>(row)) <= kRounding && !std::isnan(time + power))
      rows.emplace_back(rounded(power), rounded(time), row);
  }
  std::sort(rows.begin(), rows.end());
  std::vector<std::size_t> front;
  double best_time = INFINITY;
  for (const auto& [power, time, row] : rows) {
    if (time < best_time) front.push_back(row);
    best_time = std::min(best_time, time);
  }
  return front;
}

}  // namespace fewwatt::learners
