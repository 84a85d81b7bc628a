#include "learners/optimize/search.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;
using tasks::kPowerW;
using tasks::kTimeMs;

// Of what was measured, or drawn.
double log_objective(const Objective& objective, double time_ms, double power_w) {
  return objective.log_score(std::log(time_ms), std::log(power_w));
}

bool within(const PowerBudget& limits, double time_ms, double power_w) {
  const auto keeps = [](double value, double limit) { return std::isinf(limit) || value <= limit; };
  return keeps(time_ms, limits.max_time_ms) && keeps(power_w, limits.max_power_w) &&
         keeps(time_ms * power_w / 1000, limits.max_energy_j);
}

// What modes are expected to cost, in logs, [n, targets]. Variances are 0 for a learner without uncertainty.
struct Costs {
  Matrix log_mean;
  Matrix smooth, own;      // variances of the part that neighbouring modes share, and of the mode's own part
  double repeat_variance;  // of repeated measurements of one mode
};

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

// How good modes are expected to be for a goal.
struct Beliefs {
  Vector score, score_sd;  // log objective
  Vector fits;             // the probability that a measurement, or the mode itself, keeps all limits
};

enum class Keeps { a_measurement, the_mode };
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

// Common part of all searches: keeps the modes that were asked for or told of, and what they cost.
class Measured : public Search {
 public:
  Measured(std::shared_ptr<const hw::PowerModeSpace> space, Goal goal, SearchOptions options)
      : space_(std::move(space)), goal_(std::move(goal)), options_(std::move(options)) {}

  std::optional<hw::PowerMode> ask() final {
    if (num_asked_ >= options_.planned) return std::nullopt;
    auto mode = next();
    if (!mode) return mode;
    asked_.insert(*mode);
    awaited_.insert(*mode);
    ++num_asked_;
    return mode;
  }

  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override {
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

  std::optional<Answer> answer() override {
    const auto found = best_measured();
    if (!found) return std::nullopt;
    const auto& cost = measured_.at(found->first);
    const double time = cost[kTimeMs].mean(), power = cost[kPowerW].mean();
    return Answer{found->first, time, power, std::exp(log_objective(goal_.objective, time, power)), true};
  }

  std::optional<Answer> nearest() const override {
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

  double expected_gain(std::size_t) override { return std::nan(""); }

  void aim(const Goal& goal) override {
    if (const auto error = goal.error(); !error.empty()) throw std::invalid_argument(error);
    goal_ = goal;
  }

 protected:
  virtual std::optional<hw::PowerMode> next() = 0;
  virtual void changed() {}
  // How good a measured mode is: its log objective, and the probability that it keeps the limits. Here, by its measurements alone.
  struct Judged {
    double score, fits;
  };
  virtual Judged judged(const hw::PowerMode&, double measured_score) { return {measured_score, 1}; }

  // The mode with the least score plus price of breaking limits, among those whose measurements are within the limits and that keep
  // them with the asked-for probability.
  std::optional<std::pair<hw::PowerMode, double>> best_measured() {
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

  bool was_asked(const hw::PowerMode& mode) const { return asked_.contains(mode); }
  std::size_t left() const { return options_.planned - std::min(options_.planned, num_asked_); }

  Samples support() const {
    Samples all{space_,
                {},
                Matrix(static_cast<Index>(measured_.size()), tasks::kNumTargets),
                options_.characteristics};
    for (const auto& [mode, cost] : measured_) {
      all.targets.row(static_cast<Index>(all.modes.size())) << cost[kTimeMs].mean(), cost[kPowerW].mean();
      all.modes.push_back(mode);
    }
    return all;
  }

  // The measurements of one mode; `sum` is that of their logs, which are normal.
  struct Logs {
    double sum = 0, of_values = 0;
    int count = 0;
    void add(double value) {
      sum += std::log(value);
      of_values += value;
      ++count;
    }
    double mean() const { return count == 0 ? std::nan("") : of_values / count; }
  };

  std::shared_ptr<const hw::PowerModeSpace> space_;
  Goal goal_;
  SearchOptions options_;
  std::map<hw::PowerMode, std::array<Logs, tasks::kNumTargets>> measured_;
  std::set<hw::PowerMode> asked_;
  std::multiset<hw::PowerMode> awaited_;  // asked for, and not told of yet
  std::size_t num_asked_ = 0;             // measurements asked for, or told of unasked
};

class RandomSearch : public Measured {
 public:
  RandomSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner>, Goal goal,
               SearchOptions options)
      : Measured(std::move(space), std::move(goal), std::move(options)),
        sampler_(tasks::make_sampler("random", *space_, options_.planned, options_.seed)) {}

 protected:
  std::optional<hw::PowerMode> next() override {
    auto mode = sampler_->ask();
    while (mode && was_asked(*mode)) mode = sampler_->ask();
    return mode;
  }

 private:
  std::unique_ptr<tasks::ModeSampler> sampler_;
};

// Answers with the mode that is predicted to be best, whether it was measured or not.
class PredictSearch final : public RandomSearch {
 public:
  PredictSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
                Goal goal, SearchOptions options)
      : RandomSearch(std::move(space), nullptr, std::move(goal), std::move(options)),
        learner_(std::move(learner)) {}

  std::optional<Answer> answer() override {
    if (measured_.empty()) return std::nullopt;
    const auto modes = space_->modes();
    if (predicted_of_ != num_asked_) {
      const auto predictor = learner_->adapt(support());
      predicted_ = predictor->predict(modes);
      doubted_ = predictor->doubted();
      predicted_of_ = num_asked_;
    }
    const auto rows = support();
    std::vector<std::size_t> at;
    for (const auto& mode : rows.modes) at.push_back(space_->index_of(mode).value());
    const auto prediction = with_measurements(predicted_, rows, at, doubted_);
    const auto row = choose(prediction, goal_.objective, goal_.limits);
    if (!row) return std::nullopt;
    const auto& mode = modes[*row];
    const double time = prediction.median(static_cast<Index>(*row), kTimeMs),
                 power = prediction.median(static_cast<Index>(*row), kPowerW);
    return Answer{mode, time, power, std::exp(log_objective(goal_.objective, time, power)),
                  measured_.contains(mode)};
  }

 private:
  std::shared_ptr<const Learner> learner_;
  Prediction predicted_;
  std::vector<Doubted> doubted_;
  std::size_t predicted_of_ = 0;  // number of measurements that predicted_ is of
};

// A search that adapts a learner to all measurements before it asks for the next one.
class ModelSearch : public Measured {
 public:
  ModelSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
              Goal goal, SearchOptions options, std::string_view start)
      : Measured(std::move(space), std::move(goal), std::move(options)), learner_(std::move(learner)) {
    SamplerOptions sampling;
    sampling.planned = options_.start();
    sampling.seed = options_.seed;
    sampling.pool = options_.all_at_once;  // which modes are on the front matters
    sampling.characteristics = options_.characteristics;
    start_ = make_sampler(start, space_, learner_, sampling);
  }

  void aim(const Goal& goal) override {
    Measured::aim(goal);
    predictor_.reset();
    pool_.clear();
  }

  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override {
    start_->tell(mode, m);
    Measured::tell(mode, m);
  }

  double expected_gain(std::size_t more) override {
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

 protected:
  std::optional<hw::PowerMode> next() override {
    if (num_asked_ < options_.start() || measured_.empty()) return started();
    look();
    if (enough()) return std::nullopt;
    if (auto again = pick_again()) return again;
    const auto best = pick();
    return best ? std::optional(pool_[static_cast<std::size_t>(*best)]) : std::nullopt;
  }

  bool enough() { return options_.stop_gain > 0 && best_measured() && expected_gain(1) < options_.stop_gain; }

  double fits_after_one_more(const hw::PowerMode& mode,
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

  // The row of pool_ to measure next, of those that were not asked for yet.
  virtual std::optional<Index> pick() = 0;
  // A mode to measure again, where that is worth more than measuring any other.
  virtual std::optional<hw::PowerMode> pick_again() { return std::nullopt; }

  std::optional<hw::PowerMode> started() {
    auto mode = start_->ask();
    while (mode && was_asked(*mode)) mode = start_->ask();
    return mode;
  }

  void changed() override { predictor_.reset(); }

  // A measurement is noisy; the learner also knows those of the other modes.
  Judged judged(const hw::PowerMode& mode, double measured_score) override {
    // Before the learner is first adapted, there is only the measurement.
    if (num_asked_ < options_.start()) return {measured_score, 1};
    look();
    return at_measured_.at(mode).judged;
  }

  // Adapts the learner and predicts the pool, unless nothing was told since the last time.
  void look() {
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

  double improvement(Index i, double best) const {
    const double value =
        beliefs_.fits[i] * expected_improvement(best - beliefs_.score[i], beliefs_.score_sd[i]);
    return std::isfinite(value) ? value : 0;
  }

  // The score to improve on: that of the answer, or of the mode that is surest to fit.
  double score_to_beat() {
    if (const auto best = best_measured()) return best->second;
    return beliefs_.score[surest()];
  }

  Index surest() const {
    Index best = 0;
    for (Index i = 1; i < beliefs_.fits.size(); ++i)
      if (beliefs_.fits[i] > beliefs_.fits[best]) best = i;
    return best;
  }

  // The row with the largest value among those not asked; nullopt when none is above -inf.
  std::optional<Index> best_unasked(const std::function<double(Index)>& value) const {
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

  // Times and powers of modes, drawn together from what is predicted; independently where no covariance is known.
  class Draws {
   public:
    Draws(const Predictor& predictor, std::span<const hw::PowerMode> modes, double repeat_error) {
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
    std::array<Vector, tasks::kNumTargets> operator()(hw::Rng& rng) const {
      std::array<Vector, tasks::kNumTargets> values;
      for (int t = 0; t < tasks::kNumTargets; ++t) {
        Vector z(mean_[t].size());
        for (auto& one : z) one = rng.normal();
        values[t] = (mean_[t] + root_[t] * z).array().exp();
      }
      return values;
    }

   private:
    std::array<Vector, tasks::kNumTargets> mean_;
    std::array<Eigen::MatrixXd, tasks::kNumTargets> root_;
  };

  std::shared_ptr<const Learner> learner_;
  std::unique_ptr<tasks::ModeSampler> start_;
  std::unique_ptr<const Predictor> predictor_;
  Modes pool_;
  Beliefs beliefs_;  // of pool_
  struct AtMeasured {
    Index row;  // of measured_costs_
    Judged judged;
    double
        repeated;  // of the variance of one measurement about what is smooth: the part that another one draws anew
  };
  std::map<hw::PowerMode, AtMeasured> at_measured_;
  Costs measured_costs_;
  std::size_t looked_at_ = 0;

 private:
  // As in Samples, in the order of measured_. A mean of several measurements has less noise, but the mode's own part stays.
  Matrix noise_factors() const {
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

  void judge() {
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

  void keep_promising() {
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
};

class ImprovementSearch : public ModelSearch {
 public:
  using ModelSearch::ModelSearch;

 protected:
  // A mode whose measurements are just outside a limit, or inside but not surely, may well keep it; one more measurement may change
  // their mean. With n measurements of mean log m, and the log of the next one ~ N(mu, v), the new mean keeps the log limit L with
  // probability
  //   Phi(((n + 1) L - n m - mu) / sqrt v)
  // The mode then fits with the probability that it has now, or with that of a mode right at the limit, where that is less.
  std::optional<hw::PowerMode> pick_again() override {
    const double best = score_to_beat();
    const auto answered = best_measured();
    double most = 0;
    if (const auto other = best_unasked([&](Index i) { return improvement(i, best); }))
      most = improvement(*other, best);
    std::optional<hw::PowerMode> chosen;
    for (const auto& [mode, cost] : measured_) {
      if (answered && mode == answered->first) continue;
      if (std::max(cost[kTimeMs].count, cost[kPowerW].count) >= options_.most_of_a_mode) continue;
      const double time = cost[kTimeMs].mean(), power = cost[kPowerW].mean();
      const double risk = options_.price_of_breaking * (1 - std::max(0.5, at_measured_.at(mode).judged.fits));
      const double gain = best - log_objective(goal_.objective, time, power) - risk;
      if (!(gain > most)) continue;
      const double value = gain * fits_after_one_more(mode, cost);
      if (value > most) {
        most = value;
        chosen = mode;
      }
    }
    return chosen;
  }

  std::optional<Index> pick() override {
    if (!best_measured() && left() <= options_.last_chances) {
      // The best of those that are sure to fit, or the surest.
      const bool any = (beliefs_.fits.array() >= options_.sure).any();
      return best_unasked([&](Index i) {
        if (!any) return beliefs_.fits[i];
        return beliefs_.fits[i] >= options_.sure ? -beliefs_.score[i]
                                                 : -std::numeric_limits<double>::infinity();
      });
    }
    const double best = score_to_beat();
    return best_unasked([&](Index i) { return improvement(i, best); });
  }
};

class ThompsonSearch final : public ModelSearch {
 public:
  using ModelSearch::ModelSearch;

 protected:
  std::optional<Index> pick() override {
    if (pool_.size() > options_.pool) {  // drawing from the posterior of many modes is slow
      std::vector<std::pair<double, Index>> ranked;
      const double best = score_to_beat();
      for (Index i = 0; i < beliefs_.score.size(); ++i) ranked.emplace_back(-improvement(i, best), i);
      std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(options_.pool),
                        ranked.end());
      rows_.clear();
      for (std::size_t i = 0; i < options_.pool; ++i) rows_.push_back(ranked[i].second);
    } else {
      rows_.resize(pool_.size());
      for (std::size_t i = 0; i < rows_.size(); ++i) rows_[i] = static_cast<Index>(i);
    }
    Modes modes;
    for (const auto row : rows_) modes.push_back(pool_[static_cast<std::size_t>(row)]);
    auto rng = hw::Rng::stream(options_.seed, "thompson", num_asked_);
    const auto [time, power] = Draws(*predictor_, modes, options_.repeat_error)(rng);
    std::optional<Index> best;
    // The best of the modes that fit in this draw; where none does, the one nearest to fitting.
    std::pair<int, double> least{2, 0};
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (was_asked(modes[i])) continue;
      const auto at = static_cast<Index>(i);
      const bool fits = within(goal_.limits, time[at], power[at]);
      const double excess =
          std::max({time[at] / goal_.limits.max_time_ms, power[at] / goal_.limits.max_power_w,
                    time[at] * power[at] / 1000 / goal_.limits.max_energy_j});
      const std::pair<int, double> key{fits ? 0 : 1,
                                       fits ? log_objective(goal_.objective, time[at], power[at]) : excess};
      if (!best || key < least) {
        best = rows_[i];
        least = key;
      }
    }
    return best;
  }

 private:
  std::vector<Index> rows_;
};

class SafeSearch final : public ModelSearch {
 public:
  using ModelSearch::ModelSearch;

 protected:
  std::optional<hw::PowerMode> next() override {
    if (asked_.empty()) return space_->lowest();
    if (measured_.empty()) return std::nullopt;
    look();
    if (enough()) return std::nullopt;
    const auto best = pick();
    return best ? std::optional(pool_[static_cast<std::size_t>(*best)]) : std::nullopt;
  }

  std::optional<Index> pick() override {
    const double best = score_to_beat(), none = -std::numeric_limits<double>::infinity();
    const auto safe = [&](Index i) { return beliefs_.fits[i] >= options_.safe; };
    const auto found = best_unasked([&](Index i) { return safe(i) ? improvement(i, best) : none; });
    if (!found || improvement(*found, best) >= options_.small_gain) return found;
    return best_unasked([&](Index i) { return safe(i) ? beliefs_.score_sd[i] : none; });
  }
};

// Each knob has a range of levels that may hold the answer; the mode in the middle of all ranges is measured. Slopes of log
// time and log power per knob come from one probe each. Over a limit, the knob that loses the least time per watt gives up its
// upper half; within, the one that gains the most time per watt gives up its lower half.
class BisectionSearch final : public Measured {
 public:
  BisectionSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner>, Goal goal,
                  SearchOptions options)
      : Measured(std::move(space), std::move(goal), std::move(options)), all_(space_->modes()) {
    for (const auto& knob : space_->knobs()) {
      low_.push_back(0);
      high_.push_back(static_cast<int>(knob.levels.size()) - 1);
    }
    slopes_.resize(low_.size());
  }

 protected:
  std::optional<hw::PowerMode> next() override {
    if (settle()) return nearest(wanted_);
    // All ranges are down to a single level: go on around the answer.
    if (const auto best = answer()) return nearest(levels_of(best->mode));
    return nearest(wanted_);
  }

 private:
  using Levels = std::vector<int>;

  Levels middle() const {
    Levels levels(low_.size());
    for (std::size_t k = 0; k < levels.size(); ++k) levels[k] = (low_[k] + high_[k]) / 2;
    return levels;
  }

  // Decides what to measure next; false when the ranges leave nothing to decide.
  bool settle() {
    while (true) {
      const auto at = middle();
      const auto here = cost_near(at);
      if (!here) {
        wanted_ = at;
        return true;
      }
      for (std::size_t k = 0; k < low_.size(); ++k) {
        if (low_[k] == high_[k] || slopes_[k]) continue;
        auto probe = at;
        probe[k] = at[k] + 1 + (high_[k] - at[k]) / 2;
        probe[k] = std::min(probe[k], high_[k]);
        const auto there = cost_near(probe);
        if (!there) {
          wanted_ = probe;
          return true;
        }
        // Time gained and power spent, per step of the knob to where it was probed.
        slopes_[k] = {std::log((*here)[kTimeMs] / (*there)[kTimeMs]),
                      std::log((*there)[kPowerW] / (*here)[kPowerW])};
      }
      const bool fits = within(goal_.limits, (*here)[kTimeMs], (*here)[kPowerW]);
      std::optional<std::size_t> which;
      double best = 0;
      for (std::size_t k = 0; k < low_.size(); ++k) {
        if (low_[k] == high_[k]) continue;
        const auto& [gain, spent] = *slopes_[k];
        const double rate = std::max(gain, 1e-6) / std::max(spent, 1e-6);
        if (!which || (fits ? rate > best : rate < best)) {
          which = k;
          best = rate;
        }
      }
      if (!which) return false;
      if (fits)
        low_[*which] = std::min(at[*which] + 1, high_[*which]);
      else
        high_[*which] = at[*which];
      // A range of two levels whose middle is the lower one would not shrink.
      if (!fits && high_[*which] - low_[*which] == 1 && at[*which] == low_[*which])
        high_[*which] = low_[*which];
    }
  }

  // What the mode cost, or one that stood in for it because the space does not have it.
  std::optional<std::array<double, 2>> cost_near(const Levels& levels) const {
    const auto found = stand_ins_.find(levels);
    if (found == stand_ins_.end()) return std::nullopt;
    const auto cost = measured_.find(found->second);
    if (cost == measured_.end()) return std::nullopt;
    return std::array{cost->second[kTimeMs].mean(), cost->second[kPowerW].mean()};
  }

  std::optional<hw::PowerMode> nearest(const Levels& levels) {
    std::optional<hw::PowerMode> best;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& mode : all_) {
      if (was_asked(mode)) continue;
      double distance = 0;
      for (std::size_t k = 0; k < levels.size(); ++k) {
        const auto& knob = space_->knobs()[k].levels;
        const double wanted = knob[static_cast<std::size_t>(levels[k])];
        distance += std::pow(std::log(mode[k] / wanted), 2);
      }
      if (distance < least) {
        least = distance;
        best = mode;
      }
    }
    if (best) stand_ins_[levels] = *best;
    return best;
  }

  Levels levels_of(const hw::PowerMode& mode) const {
    Levels levels;
    for (std::size_t k = 0; k < mode.size(); ++k) {
      const auto& knob = space_->knobs()[k].levels;
      levels.push_back(static_cast<int>(std::lower_bound(knob.begin(), knob.end(), mode[k]) - knob.begin()));
    }
    return levels;
  }

  Modes all_;
  Levels low_, high_, wanted_;
  std::vector<std::optional<std::array<double, 2>>> slopes_;
  std::map<Levels, hw::PowerMode> stand_ins_;
};

using Space = std::shared_ptr<const hw::PowerModeSpace>;
using LearnerPtr = std::shared_ptr<const Learner>;
using Aims = SearchEntry::Aims;

// `more` are what the constructor of S takes after the options.
template <class S, class... More>
auto maker(More... more) {
  return [=](Space space, LearnerPtr learner, const Goal& goal, const SearchOptions& options) {
    return std::make_unique<S>(std::move(space), std::move(learner), goal, options, more...);
  };
}

}  // namespace

std::size_t SearchOptions::start() const {
  return designed > 0 ? designed : std::clamp<std::size_t>(2 * planned / 3, 1, 10);
}

void SearchOptions::each(OptionVisitor& on) {
  constexpr std::int64_t kMost = 1'000'000;
  on.whole("designed", designed, 0, kMost, "measurements of the start; 0: two thirds, at most 10");
  on.whole("pool", pool, 1, kMost, "modes that are looked at closely");
  on.whole("all_at_once", all_at_once, 1, kMost, "modes of a space that is predicted in full each time");
  on.whole("look_around_every", look_around_every, 1, kMost, "measurements after which a larger one is");
  on.real("promise", promise, 1, 100,
          "how much wider errors may be than predicted, for a mode to stay in the pool");
  on.whole("last_chances", last_chances, 0, kMost,
           "measurements left from which on a search without an answer wants one");
  on.real("sure", sure, 0.5, 0.999999, "probability to fit that is enough then");
  on.whole("most_of_a_mode", most_of_a_mode, 1, 1000, "measurements of one mode, at most");
  on.whole("gain_draws", gain_draws, 1, kMost,
           "draws of the posterior for what more measurements would gain");
  on.real("safe", safe, 1e-6, 0.999999, "safe: probability to keep the limits of what is measured");
  on.real("small_gain", small_gain, 0, 10, "safe: promised gain below which it widens what it knows");
  on.real("repeat_error", repeat_error, 1e-6, 10, "standard deviation of the log of a repeated measurement");
  on.real("price_of_breaking", price_of_breaking, 0, 1e3,
          "what breaking a limit costs, in logs of the objective");
}

std::string SearchOptions::error() const {
  if (planned == 0) return "SearchOptions: planned must be > 0";
  if (pool == 0 || all_at_once == 0 || look_around_every == 0 || most_of_a_mode < 1 || gain_draws < 1)
    return "SearchOptions: pool, all_at_once, look_around_every, most_of_a_mode and gain_draws must be > 0";
  if (!(promise >= 1) || !std::isfinite(promise))
    return "SearchOptions: promise must be >= 1, got " + std::to_string(promise);
  if (!(sure > 0 && sure < 1)) return "SearchOptions: sure must be in (0, 1), got " + std::to_string(sure);
  if (!(small_gain >= 0) || !std::isfinite(small_gain))
    return "SearchOptions: small_gain must be >= 0, got " + std::to_string(small_gain);
  if (!(repeat_error > 0) || !std::isfinite(repeat_error))
    return "SearchOptions: repeat_error must be > 0, got " + std::to_string(repeat_error);
  if (!(price_of_breaking >= 0) || !std::isfinite(price_of_breaking))
    return "SearchOptions: price_of_breaking must be >= 0, got " + std::to_string(price_of_breaking);
  if (!(safe > 0 && safe < 1)) return "SearchOptions: safe must be in (0, 1), got " + std::to_string(safe);
  if (!(stop_gain >= 0 && stop_gain < 1))
    return "SearchOptions: stop_gain must be in [0, 1), got " + std::to_string(stop_gain);
  return "";
}

std::size_t SearchEntry::without_goal(const SearchOptions& options) const {
  switch (aims) {
    case Aims::at_once:
      return 0;
    case Aims::after_start:
      return std::min(options.start(), options.planned);
    case Aims::at_the_end:
      return options.planned;
  }
  return 0;
}

std::vector<SearchEntry> builtin_searches() {
  return {
      {.name = "designed-ei",
       .about = "constrained expected improvement after a designed start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .make = maker<ImprovementSearch>("alc-front")},
      {.name = "ei",
       .about = "the same after a random start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .make = maker<ImprovementSearch>("random")},
      {.name = "thompson",
       .about = "the best mode of a draw from the posterior, after a designed start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .make = maker<ThompsonSearch>("alc-front")},
      {.name = "safe",
       .about = "only modes that are likely to keep the limits, from the lowest setting on",
       .needs_learner = true,
       .knows_gain = true,
       .make = maker<SafeSearch>("random")},
      {.name = "bisection",
       .about = "halves ranges of knobs by throughput per watt",
       .make = maker<BisectionSearch>()},
      {.name = "predict",
       .about = "random modes, then what is predicted to be best",
       .needs_learner = true,
       .aims = Aims::at_the_end,
       .predicts_answer = true,
       .make = maker<PredictSearch>()},
      {.name = "random", .about = "random modes", .aims = Aims::at_the_end, .make = maker<RandomSearch>()}};
}

std::unique_ptr<Search> make_search(std::string_view name, Space space, LearnerPtr learner, const Goal& goal,
                                    const SearchOptions& options, const Registry& registry) {
  const auto& entry = registry.searches.find(name);
  for (const auto& error : {goal.error(), options.error()})
    if (!error.empty()) throw std::invalid_argument(error);
  if (entry.needs_learner && !learner)
    throw std::invalid_argument("search " + entry.name + " needs a learner");
  if (options.stop_gain > 0 && !entry.knows_gain)
    throw std::invalid_argument("search " + entry.name + " does not know what more measurements gain");
  auto search = entry.make(std::move(space), std::move(learner), goal, options);
  if (!search) throw std::invalid_argument("search " + entry.name + " was not made");
  return search;
}

}  // namespace fewwatt::learners
