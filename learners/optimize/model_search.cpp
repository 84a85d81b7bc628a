#include "learners/optimize/model_search.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;
using tasks::kPowerW;
using tasks::kTimeMs;

}  // namespace

Draws::Draws(const Predictor& predictor, std::span<const hw::PowerMode> modes, double repeat_error) {
  const auto costs = costs_of(predictor.predict(modes), repeat_error);
  for (const auto target : {kTimeMs, kPowerW}) {
    mean_[target] = costs.log_mean.col(target);
    auto smooth = predictor.covariance(target, modes).latent;
    if (smooth.size() == 0) {
      root_[target] =
          (costs.smooth.col(target) + costs.own.col(target)).cwiseSqrt().asDiagonal().toDenseMatrix();
      continue;
    }
    // Modes that differ only in knobs that do not matter to the workload make it singular.
    smooth.diagonal().array() += 1e-8 + 1e-6 * smooth.trace() / static_cast<double>(smooth.rows());
    smooth.diagonal() += costs.own.col(target);
    root_[target] = Eigen::LLT<Eigen::MatrixXd>(smooth).matrixL();
  }
}

std::array<Vector, tasks::kNumTargets> Draws::operator()(hw::Rng& rng) const {
  std::array<Vector, tasks::kNumTargets> values;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    Vector z(mean_[t].size());
    for (auto& one : z) one = rng.normal();
    values[t] = (mean_[t] + root_[t] * z).array().exp();
  }
  return values;
}

ModelSearch::ModelSearch(std::shared_ptr<const hw::PowerModeSpace> space,
                         std::shared_ptr<const Learner> learner, Goal goal, SearchOptions options,
                         std::string_view start)
    : MeasuredSearch(std::move(space), std::move(goal), std::move(options)), learner_(std::move(learner)) {
  SamplerOptions sampling;
  sampling.planned = options_.start();
  sampling.seed = options_.seed;
  sampling.pool = options_.all_at_once;  // which modes are on the front matters
  sampling.characteristics = options_.characteristics;
  start_ = make_sampler(start, space_, learner_, sampling);
}

void ModelSearch::aim(const Goal& goal) {
  MeasuredSearch::aim(goal);
  predictor_.reset();
  pool_.clear();
}

void ModelSearch::tell(const hw::PowerMode& mode, const hw::Measurement& m) {
  start_->tell(mode, m);
  MeasuredSearch::tell(mode, m);
}

double ModelSearch::expected_gain(std::size_t more) {
  const auto best = best_measured();
  if (!best) return std::nan("");
  look();
  const double score = best->second;
  std::vector<std::pair<double, Index>> promising;
  for (Index i = 0; i < beliefs_.score.size(); ++i)
    if (const double value = improvement(i, score);
        value > 0 && !was_asked(pool_[static_cast<std::size_t>(i)]))
      promising.emplace_back(-value, i);
  more = std::min(more, promising.size());
  std::partial_sort(promising.begin(), promising.begin() + static_cast<std::ptrdiff_t>(more),
                    promising.end());
  Modes modes;
  for (std::size_t i = 0; i < more; ++i)
    modes.push_back(pool_[static_cast<std::size_t>(promising[i].second)]);
  if (modes.empty()) return 0;
  auto rng = hw::Rng::stream(options_.seed, "expected gain");
  Draws draws(*predictor_, modes, options_.repeat_error);
  double sum = 0;
  for (int d = 0; d < options_.gain_draws; ++d) {
    const auto [time, power] = draws(rng);
    double least = score;
    for (Index i = 0; i < time.size(); ++i)
      if (within(goal_.limits, time[i], power[i]))
        least = std::min(least, log_objective(goal_.objective, time[i], power[i]));
    sum += 1 - std::exp(least - score);
  }
  return sum / options_.gain_draws;
}

std::optional<hw::PowerMode> ModelSearch::next() {
  if (num_asked_ < options_.start() || measured_.empty()) return started();
  look();
  if (enough()) return std::nullopt;
  if (auto again = pick_again()) return again;
  const auto best = pick();
  return best ? std::optional(pool_[static_cast<std::size_t>(*best)]) : std::nullopt;
}

double ModelSearch::fits_after_one_more(const hw::PowerMode& mode,
                                        const std::array<Logs, tasks::kNumTargets>& cost) const {
  const auto row = at_measured_.at(mode).row;
  const auto& c = measured_costs_;
  const auto spread = [&](int t) { return c.smooth(row, t) + c.own(row, t) + c.repeat_variance; };
  const auto keeps = [](const Logs& logs, double log_mean, double variance, double limit) {
    if (std::isinf(limit) || logs.count == 0) return 1.0;
    const double n = logs.count, above = (n + 1) * std::log(limit) - logs.sum - log_mean;
    return normal_cdf(above / std::sqrt(variance + 1e-18));
  };
  Logs energy = cost[kTimeMs];
  energy.sum += cost[kPowerW].sum - cost[kTimeMs].count * std::log(1000.0);
  const double time = c.log_mean(row, kTimeMs), power = c.log_mean(row, kPowerW);
  return keeps(cost[kTimeMs], time, spread(kTimeMs), goal_.limits.max_time_ms) *
         keeps(cost[kPowerW], power, spread(kPowerW), goal_.limits.max_power_w) *
         keeps(energy, time + power - std::log(1000.0), spread(kTimeMs) + spread(kPowerW),
               goal_.limits.max_energy_j);
}

std::optional<hw::PowerMode> ModelSearch::started() {
  auto mode = start_->ask();
  while (mode && was_asked(*mode)) mode = start_->ask();
  return mode;
}

ModelSearch::Judged ModelSearch::judged(const hw::PowerMode& mode, double measured_score) {
  // Before the learner is first adapted, there is only the measurement.
  if (num_asked_ < options_.start()) return {measured_score, 1};
  look();
  return at_measured_.at(mode).judged;
}

void ModelSearch::look() {
  if (predictor_) return;
  auto rows = support();
  rows.noise_factors = noise_factors();
  predictor_ = learner_->adapt(rows);
  judge();
  const bool around = pool_.empty() || num_asked_ >= looked_at_ + options_.look_around_every;
  if (around) {
    looked_at_ = num_asked_;
    pool_ = space_->modes();
  }
  beliefs_ =
      beliefs_of(goal_, costs_of(predictor_->predict(pool_), options_.repeat_error), Keeps::a_measurement);
  if (around && pool_.size() > options_.all_at_once) keep_promising();
}

double ModelSearch::improvement(Index i, double best) const {
  const double value =
      beliefs_.fits[i] * expected_improvement(best - beliefs_.score[i], beliefs_.score_sd[i]);
  return std::isfinite(value) ? value : 0;
}

double ModelSearch::score_to_beat() {
  if (const auto best = best_measured()) return best->second;
  return beliefs_.score[surest()];
}

Eigen::Index ModelSearch::surest() const {
  Index best = 0;
  for (Index i = 1; i < beliefs_.fits.size(); ++i)
    if (beliefs_.fits[i] > beliefs_.fits[best]) best = i;
  return best;
}

std::optional<Index> ModelSearch::best_unasked(const std::function<double(Index)>& value) const {
  std::optional<Index> best;
  double most = -std::numeric_limits<double>::infinity();
  for (Index i = 0; i < beliefs_.score.size(); ++i) {
    if (was_asked(pool_[static_cast<std::size_t>(i)])) continue;
    if (const double v = value(i); v > most) {
      most = v;
      best = i;
    }
  }
  return best;
}

Matrix ModelSearch::noise_factors() const {
  Matrix factors(static_cast<Index>(measured_.size()), tasks::kNumTargets);
  Index i = 0;
  for (const auto& [mode, cost] : measured_) {
    const int n = std::max(cost[kTimeMs].count, cost[kPowerW].count);
    const auto before = at_measured_.find(mode);
    factors.row(i++).array() =
        1 - (before == at_measured_.end() ? 1 : before->second.repeated) * (1 - 1.0 / n);
  }
  return factors;
}

void ModelSearch::judge() {
  at_measured_.clear();
  Modes modes;
  for (const auto& one : measured_) modes.push_back(one.first);
  const auto prediction = predictor_->predict(modes);
  auto& c = measured_costs_;
  c = costs_of(prediction, options_.repeat_error);
  const Vector most_own = c.own.rowwise().maxCoeff();
  // Only a mode's own measurements say anything about its own part. With log y = smooth + own + error and n measurements,
  //   E own = k (mean log y - smooth), k = own variance / (own variance + error variance / n)
  for (std::size_t i = 0; i < modes.size(); ++i)
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      const auto row = static_cast<Index>(i);
      const auto& logs = measured_.at(modes[i])[static_cast<std::size_t>(t)];
      double &log_mean = c.log_mean(row, t), &smooth = c.smooth(row, t), &own = c.own(row, t);
      if (logs.count == 0 || own == 0) continue;
      const double k = own / (own + c.repeat_variance / logs.count);
      log_mean += k * (std::log(logs.mean()) - log_mean);
      smooth *= (1 - k) * (1 - k);
      own *= 1 - k;
    }
  const auto b = beliefs_of(goal_, c, Keeps::the_mode);
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto row = static_cast<Index>(i);
    const bool uncertain = prediction.uncertain();
    at_measured_[modes[i]] = {row,
                              {b.score[row], uncertain ? b.fits[row] : 1},
                              uncertain ? c.repeat_variance / (most_own[row] + c.repeat_variance) : 1};
  }
}

void ModelSearch::keep_promising() {
  const double best = score_to_beat();
  std::vector<std::pair<double, Index>> ranked;
  auto wide = beliefs_;
  wide.score_sd *= options_.promise;
  for (Index i = 0; i < wide.score.size(); ++i) {
    // The probability that it fits, if the standard deviation of that were kPromise times as large, too.
    const double p = std::clamp(wide.fits[i], 1e-300, 1 - 1e-12);
    const double relaxed = normal_cdf(normal_quantile(p) / options_.promise);
    ranked.emplace_back(-relaxed * expected_improvement(best - wide.score[i], wide.score_sd[i]), i);
  }
  const auto kept = static_cast<std::ptrdiff_t>(std::min(options_.pool, ranked.size()));
  std::partial_sort(ranked.begin(), ranked.begin() + kept, ranked.end());
  Modes modes;
  Beliefs some{Vector(kept), Vector(kept), Vector(kept)};
  for (std::ptrdiff_t i = 0; i < kept; ++i) {
    const auto at = ranked[static_cast<std::size_t>(i)].second;
    modes.push_back(pool_[static_cast<std::size_t>(at)]);
    some.score[i] = beliefs_.score[at];
    some.score_sd[i] = beliefs_.score_sd[at];
    some.fits[i] = beliefs_.fits[at];
  }
  pool_ = std::move(modes);
  beliefs_ = std::move(some);
}

}  // namespace fewwatt::learners
