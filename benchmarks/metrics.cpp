#include "benchmarks/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace fewwatt::benchmarks {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check(std::span<const double> predicted, std::span<const double> measured, const char* what) {
  if (measured.empty())
    throw std::invalid_argument(std::string(what) + ": no measured value to compare with");
  if (predicted.size() != measured.size())
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(predicted.size()) +
                                " predicted and " + std::to_string(measured.size()) + " measured values");
  for (std::size_t i = 0; i < predicted.size(); ++i)
    if (!std::isfinite(predicted[i]))
      throw std::invalid_argument(std::string(what) + ": prediction " + std::to_string(i) + " is not finite");
}

// Mean of term(i) over n values.
template <class Term>
double mean_of(std::size_t n, Term term) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += term(i);
  return sum / static_cast<double>(n);
}

}  // namespace

double quantile(std::vector<double> values, double p) {
  if (values.empty()) throw std::invalid_argument("quantile: no values");
  std::sort(values.begin(), values.end());
  const double position = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double weight = position - static_cast<double>(below);
  if (weight == 0) return values[below];
  if (std::isinf(values[below + 1])) return values[below + 1];
  return values[below] + weight * (values[below + 1] - values[below]);
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

double mape(std::span<const double> predicted, std::span<const double> measured) {
  check(predicted, measured, "mape");
  return 100 * mean_of(measured.size(),
                       [&](std::size_t i) { return std::abs(predicted[i] - measured[i]) / measured[i]; });
}

double central_probability(double log_mean, double log_variance, double measured) {
  return std::erf(std::abs(std::log(measured) - log_mean) / std::sqrt(2 * log_variance));
}

double coverage90(std::span<const double> log_mean, std::span<const double> log_variance,
                  std::span<const double> measured) {
  check(log_mean, measured, "coverage90");
  check(log_variance, measured, "coverage90");
  return 100 * mean_of(measured.size(), [&](std::size_t i) {
           return central_probability(log_mean[i], log_variance[i], measured[i]) <= 0.9 ? 1.0 : 0.0;
         });
}

double negative_log_likelihood(std::span<const double> log_mean, std::span<const double> log_variance,
                               std::span<const double> measured) {
  check(log_mean, measured, "negative_log_likelihood");
  check(log_variance, measured, "negative_log_likelihood");
  return mean_of(measured.size(), [&](std::size_t i) {
    const double log_y = std::log(measured[i]), left = log_y - log_mean[i];
    return 0.5 * left * left / log_variance[i] + 0.5 * std::log(2 * std::numbers::pi * log_variance[i]) +
           log_y;
  });
}

double relative_crps(std::span<const double> log_mean, std::span<const double> log_variance,
                     std::span<const double> measured) {
  check(log_mean, measured, "relative_crps");
  check(log_variance, measured, "relative_crps");
  return 100 * mean_of(measured.size(), [&](std::size_t i) {
           const double s = std::sqrt(log_variance[i]), log_y = std::log(measured[i]);
           const double z = (log_y - log_mean[i]) / s;
           const double mean = std::exp(log_mean[i] + log_variance[i] / 2 - log_y);  // of y / measured
           return 2 * learners::normal_cdf(z) - 1 -
                  2 * mean *
                      (learners::normal_cdf(z - s) + learners::normal_cdf(s / std::numbers::sqrt2) - 1);
         });
}

std::vector<double> budgets_of(const BudgetRule& rule, std::span<const double> power_w) {
  std::vector<double> budgets;
  if (rule.count == 0) {
    // By index: adding steps up would lose the last budget to rounding.
    const auto steps =
        static_cast<std::size_t>(std::floor((rule.last_w - rule.first_w) / rule.step_w + 1e-9));
    for (std::size_t i = 0; i <= steps; ++i)
      budgets.push_back(rule.first_w + static_cast<double>(i) * rule.step_w);
    return budgets;
  }
  const std::vector<double> power(power_w.begin(), power_w.end());
  const double low = quantile(power, 0.1), high = quantile(power, 0.9);
  for (std::size_t i = 0; i < rule.count; ++i) {
    const double part = rule.count == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(rule.count - 1);
    budgets.push_back(low + part * (high - low));
  }
  return budgets;
}

DecisionScores score(std::span<const Decision> decisions, const Matrix& measured,
                     const ExcessMargin& margin) {
  if (decisions.empty()) throw std::invalid_argument("score: no decisions");
  if (measured.rows() == 0 || measured.cols() != tasks::kNumTargets || !measured.allFinite())
    throw std::invalid_argument("score: measured must be [n,2] with every value known");
  const auto time = measured.col(tasks::kTimeMs);
  const auto power = measured.col(tasks::kPowerW);
  const auto truth = Prediction::of_medians(measured);
  const double fastest_ms = time.minCoeff();

  std::vector<double> penalties, regrets;
  std::size_t over = 0, over_margin = 0, violations = 0;
  double excess_w = 0;
  for (const auto& [budget_w, choice] : decisions) {
    const auto optimum = learners::choose_fastest(truth, {.max_power_w = budget_w});
    const bool violated = choice && power[*choice] > budget_w;
    if (violated) {
      ++over;
      excess_w += power[*choice] - budget_w;
      if (power[*choice] > budget_w * (1 + margin.fraction) + margin.watts) ++over_margin;
    }
    if (!optimum) continue;
    const double penalty = choice ? 100 * (time[*choice] / time[*optimum] - 1) : kInfinity;
    if (choice) penalties.push_back(penalty);
    if (time[*optimum] == fastest_ms) continue;  // the fastest mode meets it: it tests nothing
    regrets.push_back(violated ? kInfinity : penalty);
    if (violated) ++violations;
  }

  const auto share = [](std::size_t part, std::size_t whole) {
    return 100 * static_cast<double>(part) / static_cast<double>(whole);
  };
  DecisionScores scores{.time_penalty = penalties.empty() ? kInfinity : median(penalties),
                        .over_budget = share(over, decisions.size()),
                        .over_budget_1w = share(over_margin, decisions.size()),
                        .excess_w = excess_w / static_cast<double>(decisions.size()),
                        .counted = regrets.size(),
                        .strict_regret = std::nullopt,
                        .strict_regret_p90 = std::nullopt,
                        .violations = std::nullopt};
  if (!regrets.empty()) {
    scores.strict_regret = median(regrets);
    scores.strict_regret_p90 = quantile(regrets, 0.9);
    scores.violations = share(violations, regrets.size());
  }
  return scores;
}

}  // namespace fewwatt::benchmarks
