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

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;
using tasks::kPowerW;
using tasks::kTimeMs;

// In spaces of more modes the start is designed on so many, and all are predicted once in so many measurements, with a pool of
// promising ones in between.
constexpr std::size_t kAllAtOnce = 1500, kLookAroundEvery = 10;
// How much wider than predicted errors are for a mode to be promising.
constexpr double kPromise = 2;
// Without an answer and with so few measurements left, the goal is to have one: fitting comes first.
constexpr std::size_t kLastChances = 2;
constexpr double kSure = 0.95;
// Measurements of one mode, at most: what they leave open is not settled by more of them.
constexpr int kAgainAtMost = 3;
constexpr int kGainDraws = 400;
// `safe` widens what it knows when the gain that is promised is less than this.
constexpr double kSmallGain = 1e-3;

double log_objective(const Objective& objective, double time_ms, double power_w) {
  const double time = objective.needs_time() ? time_ms : 1, power = objective.needs_power() ? power_w : 1;
  return std::log(objective(time, power));
}

// Of log power in the log of the objective.
double power_share(const Objective& objective, double time_ms, double power_w) {
  constexpr double kStep = 1e-4;
  return (log_objective(objective, time_ms, power_w * std::exp(kStep)) -
          log_objective(objective, time_ms, power_w)) /
         kStep;
}

bool within(const PowerBudget& limits, double time_ms, double power_w) {
  const auto keeps = [](double value, double limit) { return std::isinf(limit) || value <= limit; };
  return keeps(time_ms, limits.max_time_ms) && keeps(power_w, limits.max_power_w) &&
         keeps(time_ms * power_w / 1000, limits.max_energy_j);
}

// What modes cost, [n, targets]. Variances are of logs, and 0 for a learner without uncertainty.
struct Costs {
  Matrix median;
  Matrix smooth, own;      // variances: what modes near each other have in common, and the mode's own
  double repeat_variance;  // of a measurement about these
};

Costs costs_of(const Prediction& prediction, double repeat_error) {
  const auto& median = prediction.mean;
  Costs c{median, Matrix::Zero(median.rows(), median.cols()), Matrix::Zero(median.rows(), median.cols()), 0};
  if (prediction.stddev.size() == 0) return c;
  c.repeat_variance = repeat_error * repeat_error;
  for (Index i = 0; i < median.rows(); ++i)
    for (Index t = 0; t < median.cols(); ++t) {
      const auto variance = [&](double stddev) {
        const double sd = log_stddev(median(i, t), stddev);
        return std::isnan(sd) ? 0 : sd * sd;
      };
      c.smooth(i, t) = variance(prediction.latent_stddev(i, t));
      c.own(i, t) = std::max(0.0, variance(prediction.stddev(i, t)) - c.smooth(i, t) - c.repeat_variance);
    }
  return c;
}

// What is thought of modes, towards a goal.
struct Beliefs {
  Vector score, score_sd;  // log objective
  Vector fits;             // the probability that a measurement, or the mode itself, keeps all limits
};

enum class Keeps { a_measurement, the_mode };
Beliefs beliefs_of(const Goal& goal, const Costs& costs, Keeps which) {
  const auto n = costs.median.rows();
  Beliefs b{Vector(n), Vector(n), Vector::Ones(n)};
  for (Index i = 0; i < n; ++i) {
    const double time = costs.median(i, kTimeMs), power = costs.median(i, kPowerW);
    double time_variance = costs.smooth(i, kTimeMs) + costs.own(i, kTimeMs),
           power_variance = costs.smooth(i, kPowerW) + costs.own(i, kPowerW);
    b.score[i] = log_objective(goal.objective, time, power);
    const double share = goal.objective.needs_power() ? power_share(goal.objective, time, power) : 0;
    b.score_sd[i] =
        std::sqrt(std::pow(goal.objective.time_exponent, 2) * time_variance + share * share * power_variance);
    if (which == Keeps::a_measurement) {
      time_variance += costs.repeat_variance;
      power_variance += costs.repeat_variance;
    }
    const auto fit = [&](double median, double log_variance, double limit) {
      if (std::isfinite(limit)) b.fits[i] *= probability_within(median, std::sqrt(log_variance), limit);
    };
    fit(time, time_variance, goal.limits.max_time_ms);
    fit(power, power_variance, goal.limits.max_power_w);
    fit(time * power / 1000, time_variance + power_variance, goal.limits.max_energy_j);
  }
  return b;
}

// What all searches keep: the modes asked for or told of, and what they cost.
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
  // What is thought of a measured mode: its log objective, and the probability that it keeps the limits. Here, what was measured.
  struct Judged {
    double score, fits;
  };
  virtual Judged judged(const hw::PowerMode&, double measured_score) { return {measured_score, 1}; }

  // Of the modes whose measurements are within the limits and that are trusted to keep them, the one with the least score, to
  // which the price of breaking limits is added.
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

  // Measurements of one mode, and their logs, which are what is normal.
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

// Pick what is predicted to be best, be it measured or not.
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
    const double time = prediction.mean(static_cast<Index>(*row), kTimeMs),
                 power = prediction.mean(static_cast<Index>(*row), kPowerW);
    return Answer{mode, time, power, std::exp(log_objective(goal_.objective, time, power)),
                  measured_.contains(mode)};
  }

 private:
  std::shared_ptr<const Learner> learner_;
  Prediction predicted_;
  std::vector<Doubted> doubted_;
  std::size_t predicted_of_ = 0;  // so many measurements
};

// Searches that adapt a learner to all that was told before they ask again.
class ModelSearch : public Measured {
 public:
  ModelSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
              Goal goal, SearchOptions options, std::string_view start)
      : Measured(std::move(space), std::move(goal), std::move(options)), learner_(std::move(learner)) {
    SamplerOptions sampling;
    sampling.planned = options_.start();
    sampling.seed = options_.seed;
    sampling.pool = kAllAtOnce;  // which modes are on the front matters
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
    for (int d = 0; d < kGainDraws; ++d) {
      const auto [time, power] = draws(rng);
      double least = score;
      for (Index i = 0; i < time.size(); ++i)
        if (within(goal_.limits, time[i], power[i]))
          least = std::min(least, log_objective(goal_.objective, time[i], power[i]));
      sum += 1 - std::exp(least - score);
    }
    return sum / kGainDraws;
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
    const auto keeps = [](const Logs& logs, double median, double variance, double limit) {
      if (std::isinf(limit) || logs.count == 0) return 1.0;
      const double n = logs.count, above = (n + 1) * std::log(limit) - logs.sum - std::log(median);
      return normal_cdf(above / std::sqrt(variance + 1e-18));
    };
    Logs energy = cost[kTimeMs];
    energy.sum += cost[kPowerW].sum - cost[kTimeMs].count * std::log(1000.0);
    const double time = c.median(row, kTimeMs), power = c.median(row, kPowerW);
    return keeps(cost[kTimeMs], time, spread(kTimeMs), goal_.limits.max_time_ms) *
           keeps(cost[kPowerW], power, spread(kPowerW), goal_.limits.max_power_w) *
           keeps(energy, time * power / 1000, spread(kTimeMs) + spread(kPowerW), goal_.limits.max_energy_j);
  }

  // Row of pool_ to measure next, not asked before.
  virtual std::optional<Index> pick() = 0;
  // A mode to measure once more, where that is worth more than any other.
  virtual std::optional<hw::PowerMode> pick_again() { return std::nullopt; }

  std::optional<hw::PowerMode> started() {
    auto mode = start_->ask();
    while (mode && was_asked(*mode)) mode = start_->ask();
    return mode;
  }

  void changed() override { predictor_.reset(); }

  // A measurement has its noise; the learner has seen the others too.
  Judged judged(const hw::PowerMode& mode, double measured_score) override {
    // Before the first look the measurement is all there is.
    if (num_asked_ < options_.start()) return {measured_score, 1};
    look();
    return at_measured_.at(mode).judged;
  }

  // Adapts and predicts, where something was told since.
  void look() {
    if (predictor_) return;
    auto rows = support();
    rows.noise_factors = noise_factors();
    predictor_ = learner_->adapt(rows);
    judge();
    const bool around = pool_.empty() || num_asked_ >= looked_at_ + kLookAroundEvery;
    if (around) {
      looked_at_ = num_asked_;
      pool_ = space_->modes();
    }
    beliefs_ =
        beliefs_of(goal_, costs_of(predictor_->predict(pool_), options_.repeat_error), Keeps::a_measurement);
    if (around && pool_.size() > kAllAtOnce) keep_promising();
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
        mean_[target] = costs.median.col(target).array().log();
        auto smooth = predictor.covariance(target, modes).latent;
        if (smooth.size() == 0) {
          root_[target] =
              (costs.smooth.col(target) + costs.own.col(target)).cwiseSqrt().asDiagonal().toDenseMatrix();
          continue;
        }
        // Modes that differ in what the workload does not feel make it singular.
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
  // As in Samples, in the order of measured_: a mean of several measurements has less noise, but the mode's own stays.
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
    // Of what is the mode's own, its measurements tell: with log y = smooth + own + error and n of them,
    //   E own = k (mean log y - smooth), k = own variance / (own variance + error variance / n)
    for (std::size_t i = 0; i < modes.size(); ++i)
      for (int t = 0; t < tasks::kNumTargets; ++t) {
        const auto row = static_cast<Index>(i);
        const auto& logs = measured_.at(modes[i])[static_cast<std::size_t>(t)];
        double &median = c.median(row, t), &smooth = c.smooth(row, t), &own = c.own(row, t);
        if (logs.count == 0 || own == 0) continue;
        const double k = own / (own + c.repeat_variance / logs.count);
        median *= std::pow(logs.mean() / median, k);
        smooth *= (1 - k) * (1 - k);
        own *= 1 - k;
      }
    const auto b = beliefs_of(goal_, c, Keeps::the_mode);
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const auto row = static_cast<Index>(i);
      const bool uncertain = prediction.stddev.size() > 0;
      at_measured_[modes[i]] = {row,
                                {b.score[row], uncertain ? b.fits[row] : 1},
                                uncertain ? c.repeat_variance / (most_own[row] + c.repeat_variance) : 1};
    }
  }

  void keep_promising() {
    const double best = score_to_beat();
    std::vector<std::pair<double, Index>> ranked;
    auto wide = beliefs_;
    wide.score_sd *= kPromise;
    for (Index i = 0; i < wide.score.size(); ++i) {
      // The probability to fit, as if its error were wider too.
      const double p = std::clamp(wide.fits[i], 1e-300, 1 - 1e-12);
      const double relaxed = normal_cdf(normal_quantile(p) / kPromise);
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
  // A mode whose measurements are just outside a limit, or inside and not trusted, may well keep it: their mean is then what one
  // more would change. With n measurements of mean log m, and the next one's log N(mu, v): the new mean keeps log limit L with
  //   Phi(((n + 1) L - n m - mu) / sqrt v)
  // and it is then trusted as now, or, where that is less, as one right at the limit.
  std::optional<hw::PowerMode> pick_again() override {
    const double best = score_to_beat();
    const auto answered = best_measured();
    double most = 0;
    if (const auto other = best_unasked([&](Index i) { return improvement(i, best); }))
      most = improvement(*other, best);
    std::optional<hw::PowerMode> chosen;
    for (const auto& [mode, cost] : measured_) {
      if (answered && mode == answered->first) continue;
      if (std::max(cost[kTimeMs].count, cost[kPowerW].count) >= kAgainAtMost) continue;
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
    if (!best_measured() && left() <= kLastChances) {
      // The best of those that are sure to fit, or the surest.
      const bool any = (beliefs_.fits.array() >= kSure).any();
      return best_unasked([&](Index i) {
        if (!any) return beliefs_.fits[i];
        return beliefs_.fits[i] >= kSure ? -beliefs_.score[i] : -std::numeric_limits<double>::infinity();
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
    if (pool_.size() > options_.pool) {  // a posterior of so many is slow to draw from
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
    // Those that fit in the draw by objective; where none does, the one nearest to fitting.
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
    if (!found || improvement(*found, best) >= kSmallGain) return found;
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
    // Ranges are single levels: what lies around the answer.
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
using Factory = std::unique_ptr<Search> (*)(Space, LearnerPtr, Goal, SearchOptions);

template <class S>
std::unique_ptr<Search> make_plain(Space space, LearnerPtr learner, Goal goal, SearchOptions options) {
  return std::make_unique<S>(std::move(space), std::move(learner), std::move(goal), std::move(options));
}
template <class S, bool designed>
std::unique_ptr<Search> make_with_start(Space space, LearnerPtr learner, Goal goal, SearchOptions options) {
  return std::make_unique<S>(std::move(space), std::move(learner), std::move(goal), std::move(options),
                             designed ? "alc-front" : "random");
}

enum class Aims { at_once, after_start, at_the_end };
struct Entry {
  std::string_view name;
  Factory make;
  bool needs_learner;
  Aims aims;
};
constexpr std::array<Entry, 7> kSearches = {
    {{"designed-ei", make_with_start<ImprovementSearch, true>, true, Aims::after_start},
     {"ei", make_with_start<ImprovementSearch, false>, true, Aims::after_start},
     {"thompson", make_with_start<ThompsonSearch, true>, true, Aims::after_start},
     {"safe", make_with_start<SafeSearch, false>, true, Aims::at_once},
     {"bisection", make_plain<BisectionSearch>, false, Aims::at_once},
     {"predict", make_plain<PredictSearch>, true, Aims::at_the_end},
     {"random", make_plain<RandomSearch>, false, Aims::at_the_end}}};

const Entry& find_search(std::string_view name) {
  std::string known;
  for (const auto& entry : kSearches) {
    if (entry.name == name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw std::invalid_argument("unknown search '" + std::string(name) + "', known are: " + known);
}

}  // namespace

std::size_t SearchOptions::start() const {
  return designed > 0 ? designed : std::clamp<std::size_t>(2 * planned / 3, 1, 10);
}

std::string SearchOptions::error() const {
  if (planned == 0) return "SearchOptions: planned must be > 0";
  if (pool == 0) return "SearchOptions: pool must be > 0";
  if (!(repeat_error > 0) || !std::isfinite(repeat_error))
    return "SearchOptions: repeat_error must be > 0, got " + std::to_string(repeat_error);
  if (!(price_of_breaking >= 0) || !std::isfinite(price_of_breaking))
    return "SearchOptions: price_of_breaking must be >= 0, got " + std::to_string(price_of_breaking);
  if (!(safe > 0 && safe < 1)) return "SearchOptions: safe must be in (0, 1), got " + std::to_string(safe);
  if (!(stop_gain >= 0 && stop_gain < 1))
    return "SearchOptions: stop_gain must be in [0, 1), got " + std::to_string(stop_gain);
  return "";
}

std::span<const std::string_view> search_names() {
  static const auto kNames = [] {
    std::array<std::string_view, kSearches.size()> names;
    std::transform(kSearches.begin(), kSearches.end(), names.begin(), [](const Entry& e) { return e.name; });
    return names;
  }();
  return kNames;
}

bool needs_learner(std::string_view search) {
  return find_search(search).needs_learner;
}

std::size_t without_goal(std::string_view search, const SearchOptions& options) {
  switch (find_search(search).aims) {
    case Aims::at_once:
      return 0;
    case Aims::after_start:
      return std::min(options.start(), options.planned);
    case Aims::at_the_end:
      return options.planned;
  }
  return 0;
}

std::unique_ptr<Search> make_search(std::string_view name, Space space, LearnerPtr learner, const Goal& goal,
                                    const SearchOptions& options) {
  const auto& entry = find_search(name);
  for (const auto& error : {goal.error(), options.error()})
    if (!error.empty()) throw std::invalid_argument(error);
  if (entry.needs_learner && !learner)
    throw std::invalid_argument("search " + std::string(name) + " needs a learner");
  if (options.stop_gain > 0 && (!entry.needs_learner || entry.aims == Aims::at_the_end))
    throw std::invalid_argument("search " + std::string(name) + " does not know what more measurements gain");
  return entry.make(std::move(space), std::move(learner), goal, options);
}

}  // namespace fewwatt::learners
