#include "learners/optimize/choose.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace fewwatt::learners {
namespace {

using tasks::kPowerW;
using tasks::kTimeMs;
using tasks::Target;

void check_column(const Prediction& prediction, Target target) {
  if (prediction.mean.cols() != tasks::kNumTargets) {
    throw std::invalid_argument("choose: the prediction needs 2 columns, found " +
                                std::to_string(prediction.mean.cols()));
  }
  if (prediction.mean.rows() > 0 && prediction.mean.col(target).array().isNaN().all()) {
    throw std::invalid_argument(std::string("choose: the prediction has no ") + tasks::kTargetNames[target] +
                                ", which this objective or limit needs");
  }
}

void check_limit(const Prediction& prediction, Target target, const PowerBudget& budget) {
  check_column(prediction, target);
  if (budget.confidence == 0.5) return;
  if (prediction.stddev.rows() != prediction.mean.rows() ||
      prediction.stddev.cols() != prediction.mean.cols() ||
      (prediction.mean.rows() > 0 && prediction.stddev.col(target).array().isNaN().all())) {
    throw std::invalid_argument(std::string("confidence needs a learner that gives its uncertainty, as gp "
                                            "does: this prediction has no stddev of ") +
                                tasks::kTargetNames[target]);
  }
}

void check(const Prediction& prediction, const PowerBudget& budget) {
  if (const auto error = budget.error(); !error.empty()) throw std::invalid_argument(error);
  if (budget.limits_time() || budget.limits_energy()) check_limit(prediction, kTimeMs, budget);
  if (budget.limits_power() || budget.limits_energy()) check_limit(prediction, kPowerW, budget);
}

// The largest of bound / limit of each row; 0 without a limit, NaN when a value is unknown.
Eigen::ArrayXd excesses(const Prediction& prediction, const PowerBudget& budget) {
  check(prediction, budget);
  const auto costs = costs_of(prediction);
  Eigen::ArrayXd excess = Eigen::ArrayXd::Zero(prediction.mean.rows());
  const auto add = [&](const Eigen::ArrayXd& median, const Eigen::ArrayXd& log_sd, double limit) {
    const Eigen::ArrayXd ratio = upper_bounds(median, log_sd, budget.confidence) / limit;
    for (Eigen::Index row = 0; row < excess.size(); ++row)
      if (!(ratio(row) <= excess(row)) && !std::isnan(excess(row))) excess(row) = ratio(row);
  };
  if (budget.limits_time()) add(costs.time_ms, costs.time_log_sd, budget.max_time_ms);
  if (std::isfinite(budget.max_predicted_ms)) {
    check_column(prediction, kTimeMs);
    add(costs.time_ms, Eigen::ArrayXd::Zero(costs.time_ms.size()), budget.max_predicted_ms);
  }
  if (budget.limits_power()) add(costs.power_w, costs.power_log_sd, budget.max_power_w);
  if (budget.limits_energy()) add(costs.energy_j, costs.energy_log_sd, budget.max_energy_j);
  return excess;
}

double at(const Prediction& prediction, std::size_t row, Target target) {
  return prediction.mean(static_cast<Eigen::Index>(row), target);
}

}  // namespace

Prediction with_measurements(Prediction prediction, const Samples& support, std::span<const std::size_t> rows,
                             std::span<const Doubted> doubted) {
  for (std::size_t i = 0; i < support.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(rows[i]), measured_row = static_cast<Eigen::Index>(i);
    for (const auto target : {kTimeMs, kPowerW}) {
      const double measured = support.targets(measured_row, target);
      double& value = prediction.mean(row, target);
      if (std::isnan(measured) || std::isnan(value)) continue;
      if (std::find(doubted.begin(), doubted.end(), Doubted{support.modes[i], target}) != doubted.end())
        continue;
      if (prediction.stddev.size() == 0) {
        value = measured;
        continue;
      }
      const auto log_variance = [&](const Matrix& stddev) {
        return std::pow(log_stddev(value, stddev(row, target)), 2);
      };
      const double variance = log_variance(prediction.stddev);
      const double noise = variance - log_variance(prediction.latent_stddev);
      const double factor =
          support.noise_factors.size() > 0 ? support.noise_factors(measured_row, target) : 1;
      if (!(factor * noise <= variance)) continue;
      value = measured;
      prediction.stddev(row, target) = measured * std::sqrt(std::expm1(factor * noise));
      prediction.latent_stddev(row, target) = prediction.stddev(row, target);
    }
  }
  return prediction;
}

double Objective::operator()(double time_ms, double power_w) const {
  double value = power_exponent == 0 ? 1 : eta < 1 ? eta * power_w + (1 - eta) * max_power_w : power_w;
  if (power_exponent > 0 && eta == 0) value = max_power_w;  // power may be unknown
  for (int i = 0; i < time_exponent; ++i) value *= time_ms;
  return value;
}

Objective parse_objective(std::string_view name) {
  if (name == "time") return Objective::time;
  if (name == "energy" || name == "zeus") return Objective::energy;
  if (name == "edp") return Objective::edp;
  if (name == "power") return Objective::power;
  if (name.size() == 4 && name.substr(0, 2) == "ed" && name[2] >= '2' && name[2] <= '9' && name[3] == 'p')
    return {name[2] - '0' + 1, 1};
  throw std::invalid_argument("objective must be time, energy, power, edp, ed2p to ed9p or zeus, found " +
                              std::string(name));
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

double normal_quantile(double probability) {
  if (!(probability > 0 && probability < 1)) {
    throw std::invalid_argument("normal_quantile: probability must be in (0, 1), found " +
                                std::to_string(probability));
  }
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * probability);
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double expected_improvement(double mean, double sd) {
  if (!(sd > 0)) return std::max(0.0, mean);
  const double z = mean / sd;
  return mean * normal_cdf(z) + sd * std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
}

double log_stddev(double median, double stddev) {
  const double ratio = stddev / median;
  return std::sqrt(std::log1p(ratio * ratio));
}

double probability_within(double median, double log_sd, double limit) {
  if (log_sd == 0) return median <= limit ? 1 : 0;
  return normal_cdf(std::log(limit / median) / log_sd);
}

Eigen::ArrayXd upper_bounds(const Eigen::ArrayXd& median, const Eigen::ArrayXd& log_sd, double confidence) {
  if (confidence == 0.5) return median;
  return median * (normal_quantile(confidence) * log_sd).exp();
}

Costs costs_of(const Prediction& prediction) {
  Costs costs;
  costs.time_ms = prediction.mean.col(kTimeMs);
  costs.power_w = prediction.mean.col(kPowerW);
  costs.energy_j = costs.time_ms * costs.power_w / 1000;
  if (prediction.stddev.size() == 0) return costs;
  costs.time_log_sd = costs.time_ms.binaryExpr(prediction.stddev.col(kTimeMs).array(), &log_stddev);
  costs.power_log_sd = costs.power_w.binaryExpr(prediction.stddev.col(kPowerW).array(), &log_stddev);
  costs.energy_log_sd = (costs.time_log_sd.square() + costs.power_log_sd.square()).sqrt();
  return costs;
}

Probabilities probabilities(const Prediction& prediction, std::size_t row, const PowerBudget& budget) {
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  if (prediction.stddev.size() == 0) return {unknown, unknown, unknown};
  const auto r = static_cast<Eigen::Index>(row);
  const auto costs = costs_of({prediction.mean.row(r), prediction.stddev.row(r)});
  const auto within = [&](const Eigen::ArrayXd& median, const Eigen::ArrayXd& log_sd, double limit) {
    return std::isfinite(limit) ? probability_within(median(0), log_sd(0), limit) : unknown;
  };
  return {within(costs.power_w, costs.power_log_sd, budget.max_power_w),
          within(costs.time_ms, costs.time_log_sd, budget.max_time_ms),
          within(costs.energy_j, costs.energy_log_sd, budget.max_energy_j)};
}

std::vector<std::size_t> best(const Prediction& prediction, const Objective& objective,
                              const PowerBudget& budget, std::size_t count) {
  const Eigen::ArrayXd excess = excesses(prediction, budget);
  if (objective.needs_time()) check_column(prediction, kTimeMs);
  if (objective.needs_power()) check_column(prediction, kPowerW);
  std::vector<std::tuple<double, double, std::size_t>> ranked;
  for (std::size_t row = 0; row < static_cast<std::size_t>(excess.size()); ++row) {
    if (!(excess(static_cast<Eigen::Index>(row)) <= 1)) continue;
    const double power_w = at(prediction, row, kPowerW);
    const double score = objective(at(prediction, row, kTimeMs), power_w);
    // Ties by power only where it is known.
    if (!std::isnan(score)) ranked.emplace_back(score, std::isnan(power_w) ? INFINITY : power_w, row);
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
  const Eigen::ArrayXd excess = excesses(prediction, budget);
  if (excess.size() == 0) throw std::invalid_argument("choose: the prediction has no rows");
  Eigen::Index nearest = 0;
  for (Eigen::Index row = 1; row < excess.size(); ++row)
    if (excess(row) < excess(nearest) || std::isnan(excess(nearest))) nearest = row;
  return {static_cast<std::size_t>(nearest), excess(nearest)};
}

std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget) {
  const Eigen::ArrayXd excess = excesses(prediction, budget);
  check_column(prediction, kTimeMs);
  check_column(prediction, kPowerW);
  std::vector<std::tuple<double, double, std::size_t>> rows;  // power, time
  for (std::size_t row = 0; row < static_cast<std::size_t>(excess.size()); ++row) {
    const double time_ms = at(prediction, row, kTimeMs), power_w = at(prediction, row, kPowerW);
    if (excess(static_cast<Eigen::Index>(row)) <= 1 && !std::isnan(time_ms * power_w))
      rows.emplace_back(power_w, time_ms, row);
  }
  std::sort(rows.begin(), rows.end());
  std::vector<std::size_t> front;
  double best_time_ms = std::numeric_limits<double>::infinity();
  for (const auto& [power_w, time_ms, row] : rows) {
    if (time_ms < best_time_ms) front.push_back(row);
    best_time_ms = std::min(best_time_ms, time_ms);
  }
  return front;
}

}  // namespace fewwatt::learners
