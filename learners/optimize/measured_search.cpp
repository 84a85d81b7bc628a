#include "learners/optimize/measured_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using tasks::kPowerW;
using tasks::kTimeMs;

}  // namespace

double log_objective(const Objective& objective, double time_ms, double power_w) {
  return objective.log_score(std::log(time_ms), std::log(power_w));
}

bool within(const PowerBudget& limits, double time_ms, double power_w) {
  const auto keeps = [](double value, double limit) { return std::isinf(limit) || value <= limit; };
  return keeps(time_ms, limits.max_time_ms) && keeps(power_w, limits.max_power_w) &&
         keeps(time_ms * power_w / 1000, limits.max_energy_j);
}

Costs costs_of(const Prediction& prediction, double repeat_error) {
  const Matrix none = Matrix::Zero(prediction.rows(), prediction.log_mean.cols());
  if (!prediction.uncertain()) return {prediction.log_mean, none, none, 0};
  const double repeat_variance = repeat_error * repeat_error;
  const auto known = [](const Matrix& variance) -> Matrix {
    return variance.array().isNaN().select(0.0, variance);
  };
  const Matrix smooth = known(prediction.latent_log_variance), all = known(prediction.log_variance);
  return {prediction.log_mean, smooth, (all - smooth).array().max(repeat_variance) - repeat_variance,
          repeat_variance};
}

Beliefs beliefs_of(const Goal& goal, const Costs& costs, Keeps which) {
  const auto n = costs.log_mean.rows();
  Beliefs b{Vector(n), Vector(n), Vector::Ones(n)};
  for (Index i = 0; i < n; ++i) {
    const double time = costs.log_mean(i, kTimeMs), power = costs.log_mean(i, kPowerW);
    double time_variance = costs.smooth(i, kTimeMs) + costs.own(i, kTimeMs),
           power_variance = costs.smooth(i, kPowerW) + costs.own(i, kPowerW);
    b.score[i] = goal.objective.log_score(time, power);
    const double share = goal.objective.power_share(power);
    b.score_sd[i] =
        std::sqrt(std::pow(goal.objective.time_exponent, 2) * time_variance + share * share * power_variance);
    if (which == Keeps::a_measurement) {
      time_variance += costs.repeat_variance;
      power_variance += costs.repeat_variance;
    }
    const auto fit = [&](double log_mean, double log_variance, double limit) {
      if (std::isfinite(limit)) b.fits[i] *= probability_below(std::log(limit), log_mean, log_variance);
    };
    fit(time, time_variance, goal.limits.max_time_ms);
    fit(power, power_variance, goal.limits.max_power_w);
    fit(time + power - std::log(1000), time_variance + power_variance, goal.limits.max_energy_j);
  }
  return b;
}

void MeasuredSearch::Logs::add(double value) {
  sum += std::log(value);
  of_values += value;
  ++count;
}

double MeasuredSearch::Logs::mean() const {
  return count == 0 ? std::nan("") : of_values / count;
}

std::optional<hw::PowerMode> MeasuredSearch::ask() {
  if (num_asked_ >= options_.planned) return std::nullopt;
  auto mode = next();
  if (!mode) return mode;
  asked_.insert(*mode);
  awaited_.insert(*mode);
  ++num_asked_;
  return mode;
}

void MeasuredSearch::tell(const hw::PowerMode& mode, const hw::Measurement& m) {
  asked_.insert(mode);
  if (const auto found = awaited_.find(mode); found != awaited_.end())
    awaited_.erase(found);
  else
    ++num_asked_;
  const auto known = [](double value) { return std::isfinite(value) && value > 0; };
  if (m.throttled || (!known(m.time_ms) && !known(m.power_w)) || !space_->index_of(mode)) return;
  auto& cost = measured_[mode];
  if (known(m.time_ms)) cost[kTimeMs].add(m.time_ms);
  if (known(m.power_w)) cost[kPowerW].add(m.power_w);
  changed();
}

std::optional<Answer> MeasuredSearch::answer() {
  const auto found = best_measured();
  if (!found) return std::nullopt;
  const auto& cost = measured_.at(found->first);
  const double time = cost[kTimeMs].mean(), power = cost[kPowerW].mean();
  return Answer{found->first, time, power, std::exp(log_objective(goal_.objective, time, power)), true};
}

std::optional<Answer> MeasuredSearch::nearest() const {
  std::optional<Answer> best;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [mode, cost] : measured_) {
    const double time = cost[kTimeMs].mean(), power = cost[kPowerW].mean();
    double excess = 0;
    for (const auto& [value, limit] : {std::pair(time, goal_.limits.max_time_ms),
                                       {power, goal_.limits.max_power_w},
                                       {time * power / 1000, goal_.limits.max_energy_j}})
      if (std::isfinite(limit)) excess = std::max(excess, std::isnan(value) ? least : value / limit);
    if (!(excess < least)) continue;
    least = excess;
    best = Answer{mode, time, power, std::exp(log_objective(goal_.objective, time, power)), true};
  }
  return best;
}

double MeasuredSearch::expected_gain(std::size_t) {
  return std::nan("");
}

void MeasuredSearch::aim(const Goal& goal) {
  if (const auto error = goal.error(); !error.empty()) throw std::invalid_argument(error);
  goal_ = goal;
}

std::optional<std::pair<hw::PowerMode, double>> MeasuredSearch::best_measured() {
  std::optional<std::pair<hw::PowerMode, double>> best;
  for (const auto& [mode, cost] : measured_) {
    const double time = cost[kTimeMs].mean(), power = cost[kPowerW].mean();
    if (!within(goal_.limits, time, power)) continue;
    const auto [score, fits] = judged(mode, log_objective(goal_.objective, time, power));
    if (fits < goal_.limits.confidence || !std::isfinite(score)) continue;
    const double with_price = score + options_.price_of_breaking * (1 - fits);
    if (!best || with_price < best->second) best = {mode, with_price};
  }
  return best;
}

Samples MeasuredSearch::support() const {
  Samples all{
      space_, {}, Matrix(static_cast<Index>(measured_.size()), tasks::kNumTargets), options_.characteristics};
  for (const auto& [mode, cost] : measured_) {
    all.targets.row(static_cast<Index>(all.modes.size())) << cost[kTimeMs].mean(), cost[kPowerW].mean();
    all.modes.push_back(mode);
  }
  return all;
}

}  // namespace fewwatt::learners
