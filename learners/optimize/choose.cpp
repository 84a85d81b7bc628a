#include "learners/optimize/choose.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace fewwatt::learners {
namespace {

using tasks::kPowerW;
using tasks::kTimeMs;
using tasks::Target;

constexpr std::array<std::pair<Objective, std::string_view>, 4> kObjectives = {{{Objective::time, "time"},
                                                                                {Objective::energy, "energy"},
                                                                                {Objective::edp, "edp"},
                                                                                {Objective::power, "power"}}};

double horner(const std::array<double, 8>& coefficients, double x) {  // the highest power first
  double value = 0;
  for (const double c : coefficients) value = value * x + c;
  return value;
}

void check_column(const Prediction& prediction, Target target) {
  if (!(prediction.mean.cols() == tasks::kNumTargets)) {
    throw std::invalid_argument("choose: the prediction needs 2 columns, found " +
                                std::to_string(prediction.mean.cols()));
  }
  if (prediction.mean.rows() > 0 && prediction.mean.col(target).array().isNaN().all()) {
    throw std::invalid_argument(std::string("choose: the prediction has no ") + tasks::kTargetNames[target] +
                                ", which this objective or limit needs");
  }
}

// What a limit on `target` is compared with: P(value <= bound) = confidence.
Eigen::ArrayXd bounds(const Prediction& prediction, Target target, const PowerBudget& budget) {
  check_column(prediction, target);
  const auto mean = prediction.mean.col(target).array();
  if (budget.confidence == 0.5) return mean;
  if (prediction.stddev.rows() != prediction.mean.rows() ||
      prediction.stddev.cols() != prediction.mean.cols() ||
      (prediction.mean.rows() > 0 && prediction.stddev.col(target).array().isNaN().all())) {
    throw std::invalid_argument(std::string("confidence needs a learner that gives its uncertainty, as gp "
                                            "does: this prediction has no stddev of ") +
                                tasks::kTargetNames[target]);
  }
  return mean + normal_quantile(budget.confidence) * prediction.stddev.col(target).array();
}

std::vector<std::size_t> rows_within(const Prediction& prediction, const PowerBudget& budget) {
  if (const auto error = budget.error(); !error.empty()) throw std::invalid_argument(error);
  const auto n = static_cast<std::size_t>(prediction.mean.rows());
  std::vector<std::size_t> rows;
  Eigen::Array<bool, Eigen::Dynamic, 1> fits =
      Eigen::Array<bool, Eigen::Dynamic, 1>::Constant(prediction.mean.rows(), true);
  if (std::isfinite(budget.max_time_ms))
    fits = fits && bounds(prediction, kTimeMs, budget) <= budget.max_time_ms;
  if (std::isfinite(budget.max_power_w))
    fits = fits && bounds(prediction, kPowerW, budget) <= budget.max_power_w;
  for (std::size_t row = 0; row < n; ++row) {
    if (fits(static_cast<Eigen::Index>(row))) rows.push_back(row);
  }
  return rows;
}

double value_of(const Prediction& prediction, Objective objective, std::size_t row) {
  const double time_ms = prediction.mean(static_cast<Eigen::Index>(row), kTimeMs);
  const double power_w = prediction.mean(static_cast<Eigen::Index>(row), kPowerW);
  switch (objective) {
    case Objective::time:
      return time_ms;
    case Objective::energy:
      return time_ms * power_w;
    case Objective::edp:
      return time_ms * time_ms * power_w;
    case Objective::power:
      return power_w;
  }
  return 0;
}

std::size_t least_bound(const Prediction& prediction, Target target, const PowerBudget& budget) {
  if (const auto error = budget.error(); !error.empty()) throw std::invalid_argument(error);
  const Eigen::ArrayXd upper = bounds(prediction, target, budget);
  if (upper.size() == 0) throw std::invalid_argument("choose: the prediction has no rows");
  Eigen::Index best = 0;
  for (Eigen::Index row = 1; row < upper.size(); ++row) {
    if (upper(row) < upper(best) || std::isnan(upper(best))) best = row;
  }
  return static_cast<std::size_t>(best);
}

}  // namespace

std::string_view to_string(Objective objective) {
  for (const auto& [value, name] : kObjectives) {
    if (value == objective) return name;
  }
  return "";
}

Objective parse_objective(std::string_view name) {
  for (const auto& [value, known] : kObjectives) {
    if (known == name) return value;
  }
  throw std::invalid_argument("objective must be time, energy, edp or power, found " + std::string(name));
}

std::string PowerBudget::error() const {
  std::ostringstream text;
  if (!(max_power_w > 0))
    text << "PowerBudget: max_power_w must be > 0, found " << max_power_w;
  else if (!(max_time_ms > 0))
    text << "PowerBudget: max_time_ms must be > 0, found " << max_time_ms;
  else if (!(confidence >= 0.5 && confidence < 1))
    text << "PowerBudget: confidence must be in [0.5, 1), found " << confidence;
  return text.str();
}

// Wichura 1988, "Algorithm AS 241: The percentage points of the normal distribution", PPND16: relative error
// ~ 1e-16.
double normal_quantile(double probability) {
  if (!(probability > 0 && probability < 1)) {
    throw std::invalid_argument("normal_quantile: probability must be in (0, 1), found " +
                                std::to_string(probability));
  }
  const double q = probability - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           horner({2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
                   13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608},
                  r) /
           horner({5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
                   5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1},
                  r);
  }
  const double tail = std::sqrt(-std::log(q < 0 ? probability : 1 - probability));
  double z;
  if (tail <= 5) {
    const double r = tail - 1.6;
    z = horner({7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
                1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
                1.42343711074968357734},
               r) /
        horner({1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
                0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187,
                1},
               r);
  } else {
    const double r = tail - 5;
    z = horner({2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
                0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699,
                6.6579046435011037772},
               r) /
        horner({2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
                7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
                0.59983220655588793769, 1},
               r);
  }
  return q < 0 ? -z : z;
}

std::optional<std::size_t> choose(const Prediction& prediction, Objective objective,
                                  const PowerBudget& budget) {
  const auto rows = rows_within(prediction, budget);
  if (objective != Objective::power) check_column(prediction, kTimeMs);
  if (objective != Objective::time) check_column(prediction, kPowerW);
  std::optional<std::size_t> best;
  for (const std::size_t row : rows) {
    const double value = value_of(prediction, objective, row);
    if (std::isnan(value)) continue;
    const double lead = best ? value_of(prediction, objective, *best) - value : 1;
    // Ties by power only where it is known: a comparison with NaN is false, and the lower row stays.
    if (lead > 0 || (lead == 0 && value_of(prediction, Objective::power, row) <
                                      value_of(prediction, Objective::power, *best))) {
      best = row;
    }
  }
  return best;
}

std::optional<std::size_t> choose_fastest(const Prediction& prediction, const PowerBudget& budget) {
  return choose(prediction, Objective::time, budget);
}

std::size_t cheapest(const Prediction& prediction, const PowerBudget& budget) {
  return least_bound(prediction, kPowerW, budget);
}

std::size_t fastest_bound(const Prediction& prediction, const PowerBudget& budget) {
  return least_bound(prediction, kTimeMs, budget);
}

std::vector<std::size_t> pareto(const Prediction& prediction, const PowerBudget& budget) {
  auto rows = rows_within(prediction, budget);
  check_column(prediction, kTimeMs);
  check_column(prediction, kPowerW);
  const auto key = [&](std::size_t row) {
    const auto r = static_cast<Eigen::Index>(row);
    return std::tuple(prediction.mean(r, kPowerW), prediction.mean(r, kTimeMs), row);
  };
  std::erase_if(rows,
                [&](std::size_t row) { return std::isnan(value_of(prediction, Objective::energy, row)); });
  std::sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  std::vector<std::size_t> front;
  double best_time_ms = std::numeric_limits<double>::infinity();
  for (const std::size_t row : rows) {
    const double time_ms = value_of(prediction, Objective::time, row);
    if (time_ms < best_time_ms) front.push_back(row);
    best_time_ms = std::min(best_time_ms, time_ms);
  }
  return front;
}

}  // namespace fewwatt::learners
