#include "learners/govern.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/optimize/choose.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kPowerW;
using tasks::kTimeMs;
using Index = Eigen::Index;

double log_density(const Prediction& of, int t, double log_value, double vague) {
  const double variance = of.log_variance(0, t) + vague * vague;
  return -0.5 * (std::pow(log_value - of.log_mean(0, t), 2) / variance + std::log(variance));
}

// The modes a step away in one knob.
void add_neighbours(const hw::PowerModeSpace& space, const hw::PowerMode& mode,
                    std::vector<hw::PowerMode>& modes) {
  for (std::size_t k = 0; k < space.knobs().size(); ++k) {
    const auto& levels = space.knobs()[k].levels;
    const auto at = std::lower_bound(levels.begin(), levels.end(), mode[k]);
    for (const int step : {-1, 1}) {
      if ((step < 0 && at == levels.begin()) || (step > 0 && at + 1 >= levels.end())) continue;
      auto next = mode;
      next[k] = *(at + step);
      if (space.index_of(next)) modes.push_back(next);
    }
  }
}

}  // namespace

std::string_view to_string(MoveReason reason) {
  switch (reason) {
    case MoveReason::start:
      return "start";
    case MoveReason::check:
      return "check";
    case MoveReason::try_out:
      return "try";
    case MoveReason::explore:
      return "explore";
    case MoveReason::best:
      return "best";
    case MoveReason::surest:
      return "surest";
    case MoveReason::least_power:
      return "least-power";
  }
  return "";
}

void GovernorOptions::each(OptionVisitor& on) {
  constexpr std::int64_t kMost = 1'000'000;
  on.real("kept", kept, 0.5, 0.999999,
          "probability that a measured mode keeps the budget, from which on it is kept");
  on.whole("candidates", candidates, 1, kMost,
           "modes looked at for a decision, besides measured ones and neighbours");
  on.whole("fewer", fewer, 1, kMost, "so many times fewer are looked at again with the same predictor");
  on.real("stay_windows", stay_windows, 1e-3, 1e6, "windows that a workload is expected to stay, at first");
  on.real("bias", bias, 1e-6, 10,
          "standard deviation of what predicted logs are off by beside what they say");
  on.real("least_noise", least_noise, 1e-6, 10, "standard deviation of a measurement's log, at least");
  on.real("change.allowance", change.allowance, 1e-6, 1e3,
          "half of the least shift that is noticed, standard deviations");
  on.real("change.threshold", change.threshold, 1e-6, 1e6,
          "sum of residuals from which on a workload has changed");
  on.real("surprise", surprise, 1e-6, 1e3, "standard deviations from which on a new mode is cause to check");
  on.real("same", same, 1e-6, 1e3, "standard deviations within which a workload of before is recognised");
  on.whole("left_alone_for", left_alone_for, 0, kMost,
           "windows after it was left in which a workload is not recognised");
  on.whole("unconfirmed_for", unconfirmed_for, 0, kMost,
           "windows after which a recognised workload needs no more proof");
  on.real("like_before", like_before, 1e-6, 10,
          "standard deviation of logs from those of the workload before, shifted");
  on.real("like_before_rows", like_before_rows, 0, 1e6, "rows that like_before counts as");
  on.whole("inherits_until", inherits_until, 0, kMost,
           "measured modes until which the workload before is gone by");
  on.real("odds_at_first", odds_at_first, -100, 100,
          "log odds that the workload before tells of the new one");
  on.real("unlike", unlike, -100, 100, "log odds from which on the workload before is done with");
  on.real("most_odds", most_odds, 1e-6, 100, "bound of the log odds, either way");
  on.real("temper", temper, 1e-6, 1, "what a log density counts for in the odds");
  on.real("vague", vague, 1e-6, 10, "standard deviation of a log that no prediction is better than");
  on.whole("explores_until", explores_until, 0, kMost, "measured modes until which it explores");
  on.real("explores_for", explores_for, 0, 1e6, "windows that a workload must be expected to stay for that");
  on.real("much_faster", much_faster, 0, 10, "log time that a mode must promise to gain for that");
  on.real("much_slower", much_slower, 0, 10, "log time that an explored mode may lose");
  on.whole("worth_keeping", worth_keeping, 1, kMost, "measured modes of a workload that is remembered");
  on.whole("workloads", workloads, 0, kMost, "workloads of before that are remembered");
  on.whole("rejected_for", rejected_for, 0, kMost,
           "windows in which a mode that could not be measured is left alone");
}

std::string GovernorOptions::error() const {
  for (const double value : {confidence, kept})
    if (!(value >= 0.5 && value < 1))
      return "GovernorOptions: confidence and kept must be at least 0.5 and below 1";
  for (const double value :
       {stay_windows, bias, least_noise, surprise, same, like_before, most_odds, temper, vague})
    if (!(value > 0) || !std::isfinite(value))
      return "GovernorOptions: stay_windows, bias, least_noise, surprise, same, like_before, most_odds, "
             "temper and "
             "vague must be > 0";
  for (const double value : {like_before_rows, explores_for, much_faster, much_slower})
    if (!(value >= 0) || !std::isfinite(value))
      return "GovernorOptions: like_before_rows, explores_for, much_faster and much_slower must be >= 0";
  if (candidates == 0 || fewer == 0) return "GovernorOptions: candidates and fewer must be > 0";
  if (auto bad = forgetting.error(); !bad.empty()) return bad;
  return change.error();
}

Governor::Governor(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
                   GovernorOptions options)
    : space_(std::move(space)),
      learner_(std::move(learner)),
      options_(options),
      rng_(hw::Rng::stream(options.seed, "governor")),
      detector_(options.change),
      now_(nothing_known(nullptr)) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (!space_ || space_->size() == 0) throw std::invalid_argument("Governor: the space has no modes");
  if (!learner_) throw std::invalid_argument("Governor: no learner");
  lowest_ = space_->lowest();
}

Governor::Workload Governor::nothing_known(std::shared_ptr<const Workload> after) const {
  Workload workload;
  workload.after = std::move(after);
  workload.odds = options_.odds_at_first;
  workload.noise_variance.fill(options_.least_noise * options_.least_noise);
  return workload;
}

Samples Governor::samples() const {
  return samples_of(now_);
}

Samples Governor::samples_of(const Workload& workload) const {
  const auto n = static_cast<Index>(workload.modes.size());
  Samples samples{
      space_, {}, Matrix::Constant(n, kNumTargets, std::nan("")), {}, Matrix::Ones(n, kNumTargets)};
  for (const auto& [mode, knowns] : workload.modes) {
    const auto row = static_cast<Index>(samples.size());
    for (int t = 0; t < kNumTargets; ++t) {
      const auto& known = knowns[static_cast<std::size_t>(t)];
      if (known.weight == 0) continue;
      samples.targets(row, t) = std::exp(known.sum / known.weight);
      samples.noise_factors(row, t) =
          1 /
          (known.weight * std::pow(options_.forgetting.forget, static_cast<double>(window_ - known.last)));
    }
    samples.modes.push_back(mode);
  }
  return samples;
}

// And the modes of the workload before, where they were not measured again.
Samples Governor::samples_with_those_before(const Workload& workload) const {
  const auto& before = *workload.after;
  const double usual = options_.like_before * options_.like_before;
  std::array<double, kNumTargets> shift{};
  double noise_factor = 1;
  for (int t = 0; t < kNumTargets; ++t) {
    const auto i = static_cast<std::size_t>(t);
    double weights = 0, sum = 0, squares = 0;
    for (const auto& [mode, knowns] : workload.modes) {
      const auto level = expected(before, mode, t);
      if (!level || knowns[i].weight == 0) continue;
      const double off = knowns[i].sum / knowns[i].weight - level->mean;
      const double weight = usual / (usual + level->variance);
      weights += weight;
      sum += weight * off;
      squares += weight * off * off;
    }
    shift[i] = weights > 0 ? sum / weights : std::nan("");
    if (weights == 0) continue;
    const double variance = (options_.like_before_rows * usual + squares - sum * sum / weights) /
                            (options_.like_before_rows + std::max(0.0, weights - 1));
    noise_factor = std::max(noise_factor, variance / workload.noise_variance[i]);
  }
  auto samples = samples_of(workload);
  for (const auto& [mode, knowns] : before.modes) {
    if (workload.modes.contains(mode)) continue;
    const auto row = static_cast<Index>(samples.size());
    samples.modes.push_back(mode);
    samples.targets.conservativeResize(row + 1, Eigen::NoChange);
    samples.noise_factors.conservativeResize(row + 1, Eigen::NoChange);
    samples.noise_factors.row(row).setConstant(noise_factor);
    for (std::size_t t = 0; t < kNumTargets; ++t)
      samples.targets(row, static_cast<Index>(t)) =
          knowns[t].weight > 0 ? std::exp(knowns[t].sum / knowns[t].weight + shift[t]) : std::nan("");
  }
  return samples;
}

Prediction Governor::predict(const Workload& workload, std::span<const hw::PowerMode> modes) const {
  const auto own = workload.predictor->predict(modes);
  if (!workload.inheriting) return own;
  const auto other = workload.inheriting->predict(modes);
  const double w = 1 / (1 + std::exp(-workload.odds));
  const Matrix apart = w * (1 - w) * (own.log_mean - other.log_mean).array().square();
  const auto mixed = [&](const Matrix& a, const Matrix& b) -> Matrix { return (1 - w) * a + w * b; };
  return {mixed(own.log_mean, other.log_mean), mixed(own.log_variance, other.log_variance) + apart,
          mixed(own.latent_log_variance, other.latent_log_variance) + apart};
}

// The odds of the two predictions, by a mode that both predict.
void Governor::weigh(Workload& workload, const Told& told) const {
  if (!workload.inheriting) return;
  const auto own = workload.predictor->predict(std::span(&told.mode, 1)),
             other = workload.inheriting->predict(std::span(&told.mode, 1));
  for (int t = 0; t < kNumTargets; ++t) {
    const double log_value = told.logs[static_cast<std::size_t>(t)];
    const double more =
        log_density(other, t, log_value, options_.vague) - log_density(own, t, log_value, options_.vague);
    if (!std::isnan(more))
      workload.odds =
          std::clamp(workload.odds + options_.temper * more, -options_.most_odds, options_.most_odds);
  }
}

void Governor::adapt(Workload& workload) const {
  if (workload.modes.empty() || workload.adapted_to == workload.modes.size()) return;
  workload.predictor = learner_->adapt(samples_of(workload));
  workload.adapted_to = workload.modes.size();
  const std::vector<hw::PowerMode> any = {workload.modes.begin()->first};  // noise is the same in all
  const auto prediction = workload.predictor->predict(any);
  if (!prediction.uncertain()) throw std::invalid_argument("Governor: the learner must give its uncertainty");
  for (int t = 0; t < kNumTargets; ++t) {
    const double noise = prediction.log_variance(0, t) - prediction.latent_log_variance(0, t);
    if (!std::isnan(noise))
      workload.noise_variance[static_cast<std::size_t>(t)] =
          std::max(noise, options_.least_noise * options_.least_noise);
  }
  const bool inherits = options_.inherits && workload.after &&
                        workload.modes.size() <= options_.inherits_until && workload.odds > options_.unlike;
  workload.inheriting = inherits ? learner_->adapt(samples_with_those_before(workload)) : nullptr;
}

std::optional<Level> Governor::expected(const Workload& workload, const hw::PowerMode& mode, int t) const {
  if (const auto found = workload.modes.find(mode); found != workload.modes.end()) {
    const auto& known = found->second[static_cast<std::size_t>(t)];
    if (known.weight > 0) return known.level;
  }
  if (!workload.predictor) return std::nullopt;
  const auto prediction = predict(workload, std::span(&mode, 1));
  const double mean = prediction.log_mean(0, t);
  if (std::isnan(mean)) return std::nullopt;
  return Level{mean, prediction.latent_log_variance(0, t) + options_.bias * options_.bias};
}

// The residuals of what was told; NaN where nothing was expected, or measured.
std::array<double, kNumTargets> Governor::learn(Workload& workload, Told& told) const {
  std::array<double, kNumTargets> residuals;
  residuals.fill(std::nan(""));
  const auto found = workload.modes.find(told.mode);
  told.before = found != workload.modes.end() ? std::optional(found->second) : std::nullopt;
  if (!told.before) weigh(workload, told);
  Knowns knowns = told.before.value_or(Knowns{});
  for (int t = 0; t < kNumTargets; ++t) {
    const auto i = static_cast<std::size_t>(t);
    if (std::isnan(told.logs[i])) continue;
    auto& known = knowns[i];
    const double noise = workload.noise_variance[i];
    const double left = std::pow(options_.forgetting.forget, static_cast<double>(window_ - known.last));
    if (auto level = expected(workload, told.mode, t)) {
      if (known.weight > 0) level->variance /= left;
      residuals[i] = level->observe(told.logs[i], noise);
      known.level = *level;
    } else {
      known.level = {told.logs[i], noise};
    }
    known.sum = known.sum * left + told.logs[i];
    known.weight = known.weight * left + 1;
    known.last = window_;
  }
  const bool any = std::any_of(knowns.begin(), knowns.end(), [](const Known& k) { return k.weight > 0; });
  if (any) workload.modes[told.mode] = knowns;
  return residuals;
}

bool Governor::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  if (!space_->index_of(mode))
    throw std::invalid_argument("Governor: no mode of the device: " + hw::describe(*space_, mode));
  for (const double value : {measurement.time_ms, measurement.power_w})
    if (!std::isnan(value) && !(value > 0 && std::isfinite(value)))
      throw std::invalid_argument("Governor: a measurement must be positive and finite, got " +
                                  std::to_string(value));
  ++window_;
  last_power_w_ = std::isnan(measurement.power_w) ? std::nullopt : std::optional(measurement.power_w);
  check_.reset();
  const auto foreseen = expected(now_, mode, kPowerW);
  caution_ = foreseen && last_power_w_ ? std::max(0.0, std::log(*last_power_w_) - foreseen->mean) : 0;
  Told told{mode, {std::log(measurement.time_ms), std::log(measurement.power_w)}, std::nullopt};
  if (unsettled_) {
    unsettled_ = false;
    recognise(told);
    if (!recognised_) now_ = nothing_known(now_.after);
    learn(now_, told);
    if (recalled_) recalled_->since.push_back(told);
    return false;
  }
  auto residuals = learn(now_, told);
  if (recalled_ && is_contradicted(told, residuals)) {
    dismiss();
    return false;
  }
  // A new mode that costs other than was predicted may be one that is predicted badly: a mode that is known tells.
  if (!told.before && best_) {
    const bool surprising = std::any_of(residuals.begin(), residuals.end(),
                                        [&](double z) { return std::abs(z) > options_.surprise; });
    if (surprising) check_ = best_;
    residuals.fill(std::nan(""));
  }
  told_.push_back(std::move(told));
  bool changed = detector_.add(residuals);
  if (changed && recalled_) {
    dismiss();
    changed = false;
  } else if (changed) {
    start_anew();
  }
  // What came before the sums began to grow is of this workload for certain, but for one more that was a surprise.
  const auto open = std::min(told_.size(), detector_.since() + 1);
  told_.erase(told_.begin(), told_.end() - static_cast<std::ptrdiff_t>(open));
  return changed;
}

// Whether the mode that was measured, one of the workload that was recognised, is not as that has it. If it is, all is well.
bool Governor::is_contradicted(const Told& told, const std::array<double, kNumTargets>& residuals) {
  recalled_->since.push_back(told);
  const bool tells = recalled_->workload.modes.contains(told.mode) && !std::isnan(residuals[kPowerW]);
  const bool contradicted = tells && std::any_of(residuals.begin(), residuals.end(),
                                                 [&](double z) { return std::abs(z) > options_.same; });
  if (!contradicted && (tells || recalled_->since.size() > options_.unconfirmed_for)) recalled_.reset();
  return contradicted;
}

// What was recognised is another workload after all.
void Governor::dismiss() {
  auto recalled = std::move(*recalled_);
  recalled_.reset();
  remember(std::move(recalled.workload));
  now_ = nothing_known(std::move(recalled.after));
  for (auto& one : recalled.since) learn(now_, one);
  recognised_ = false;
  watch_anew();
}

void Governor::watch_anew() {
  detector_.reset();
  told_.clear();
  promising_.reset();
  best_.reset();
}

void Governor::remember(Workload workload) {
  workload.left = window_;
  workload.adapted_to = 0;
  before_.push_back(std::move(workload));
  if (before_.size() > options_.workloads) before_.erase(before_.begin());
}

void Governor::start_anew() {
  for (auto it = told_.rbegin(); it != told_.rend(); ++it) {  // were of the new workload, or may have been
    if (it->before)
      now_.modes[it->mode] = *it->before;
    else
      now_.modes.erase(it->mode);
  }
  auto left = std::move(now_.after);
  if (now_.modes.size() >= options_.worth_keeping) {
    now_.after = nullptr;
    now_.adapted_to = 0;  // to what has just been taken back
    adapt(now_);
    left = std::make_shared<const Workload>(now_);
    remember(std::move(now_));
  }
  now_ = nothing_known(std::move(left));
  // The first window since the change may have been of both workloads. Where it is all there is, it goes when there is more.
  const auto since = std::min(told_.size(), detector_.since());
  std::vector<Told> recent(told_.end() - static_cast<std::ptrdiff_t>(since), told_.end());
  unsettled_ = recent.size() < 2;
  if (!unsettled_) recent.erase(recent.begin());
  ++changes_;
  recognised_ = false;
  if (!unsettled_) recognise(recent.back());
  for (auto& told : recent) {
    learn(now_, told);
    if (recalled_) recalled_->since.push_back(told);
  }
  watch_anew();
}

// Goes on with the workload of before that the measurement is most like, if it is; not with one that has just been left: two that
// cost the same in a low mode would be taken for each other again and again.
void Governor::recognise(const Told& told) {
  double least = options_.same * options_.same;
  std::size_t which = before_.size();
  for (std::size_t i = 0; i < before_.size(); ++i) {
    if (window_ < before_[i].left + options_.left_alone_for) continue;
    adapt(before_[i]);
    double most = 0;
    bool comparable = false;
    for (int t = 0; t < kNumTargets; ++t) {
      const auto target = static_cast<std::size_t>(t);
      auto level = expected(before_[i], told.mode, t);
      if (std::isnan(told.logs[target]) || !level) continue;
      comparable = true;
      most =
          std::max(most, std::pow(level->observe(told.logs[target], before_[i].noise_variance[target]), 2));
    }
    if (!comparable || most > least) continue;
    least = most;
    which = i;
  }
  recognised_ = which < before_.size();
  if (!recognised_) return;
  recalled_ = Recalled{before_[which], now_.after, {}};
  now_ = std::move(before_[which]);
  before_.erase(before_.begin() + static_cast<std::ptrdiff_t>(which));
}

void Governor::moved(double windows) {
  if (!(windows >= 0) || !std::isfinite(windows))
    throw std::invalid_argument("Governor: a move costs windows >= 0, got " + std::to_string(windows));
  moves_cost_ += windows;
  ++moves_;
}

void Governor::reject(const hw::PowerMode& mode) {
  rejected_[mode] = ++window_;
  last_power_w_.reset();
  caution_ = 0;
}

bool Governor::was_rejected(const hw::PowerMode& mode) const {
  const auto found = rejected_.find(mode);
  return found != rejected_.end() && window_ < found->second + options_.rejected_for;
}

bool Governor::fits_as_measured(const hw::PowerMode& mode, double log_budget) const {
  const auto found = now_.modes.find(mode);
  if (found == now_.modes.end() || found->second[kPowerW].weight == 0) return false;
  const auto& level = found->second[kPowerW].level;
  return probability_below(log_budget, level.mean, level.variance) >= options_.kept;
}

// Modes that were not measured, fewer where others were looked at with the same predictor; and what is predicted of them.
Governor::Candidates Governor::candidates(const hw::PowerMode* best, bool again) {
  std::vector<hw::PowerMode> drawn;
  const auto count =
      again ? std::max<std::size_t>(1, options_.candidates / options_.fewer) : options_.candidates;
  for (const auto i : rng_.sample(space_->size(), std::min(space_->size(), count)))
    drawn.push_back(space_->at(i));
  if (best != nullptr) add_neighbours(*space_, *best, drawn);
  if (promising_) add_neighbours(*space_, *promising_, drawn);
  std::sort(drawn.begin(), drawn.end());
  drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
  std::erase_if(drawn, [&](const auto& mode) { return now_.modes.contains(mode) || was_rejected(mode); });
  Candidates all{std::move(drawn), {}, {}};
  const auto prediction = predict(now_, all.modes);
  for (int t = 0; t < kNumTargets; ++t) {
    const auto i = static_cast<std::size_t>(t);
    // Of power, what a window will measure; of time, what many would.
    const auto& variance = t == kPowerW ? prediction.log_variance : prediction.latent_log_variance;
    all.mean[i] = prediction.log_mean.col(t);
    all.variance[i] = variance.col(t);
  }
  return all;
}

Governor::Move Governor::next(double budget_w, double windows_left) {
  if (!(budget_w > 0)) throw std::invalid_argument("Governor: the budget must be > 0");
  surer_ = last_power_w_ && *last_power_w_ > budget_w ? surer_ + 1 : 0;
  if (now_.modes.empty()) return {lowest_, MoveReason::start};
  // Where it was over the budget, all power may be more than is known, until measurements are as expected again.
  if (surer_ > 0)
    held_ = std::max(held_, caution_);
  else if (detector_.greatest() == 0)
    held_ = 0;
  const double log_budget = std::log(budget_w) - held_;
  const hw::PowerMode *best = nullptr, *lowest = nullptr;
  double best_time = 0, least_power = 0;
  for (const auto& [mode, knowns] : now_.modes) {
    const auto &time = knowns[kTimeMs], &power = knowns[kPowerW];
    if (power.weight == 0 || was_rejected(mode)) continue;
    if (lowest == nullptr || power.level.mean < least_power) {
      lowest = &mode;
      least_power = power.level.mean;
    }
    if (time.weight == 0 || !fits_as_measured(mode, log_budget)) continue;
    if (best == nullptr || time.level.mean < best_time) {
      best = &mode;
      best_time = time.level.mean;
    }
  }

  if (best != nullptr && (unsettled_ || (recalled_ && recalled_->workload.modes.contains(*best))))
    return {*best, MoveReason::check};
  if (check_ && !was_rejected(*check_) && fits_as_measured(*check_, log_budget))
    return {*check_, MoveReason::check};
  const bool again = now_.adapted_to == now_.modes.size();
  best_ = best != nullptr ? std::optional(*best) : std::nullopt;
  adapt(now_);
  const auto all = candidates(best, again);
  // After a window over the budget the next one must not be.
  const double needed = 1 - (1 - options_.confidence) * std::pow(0.1, std::min(surer_, 3));
  const double stay =
      (options_.stay_windows + static_cast<double>(window_)) / (1 + static_cast<double>(changes_));
  const double horizon = std::max(1.0, std::min(windows_left, stay));
  const double move = moves_ > 0 ? moves_cost_ / static_cast<double>(moves_) : 0;
  const hw::PowerMode* chosen = nullptr;
  double most = 0;
  promising_.reset();
  double fastest = 0, least_known = 0;
  const hw::PowerMode* telling = nullptr;
  for (Index i = 0; i < static_cast<Index>(all.modes.size()); ++i) {
    const auto& mode = all.modes[static_cast<std::size_t>(i)];
    const double time = all.mean[kTimeMs][i], power = all.mean[kPowerW][i];
    if (std::isnan(time) || std::isnan(power)) continue;
    const double fits = probability_below(log_budget, power, all.variance[kPowerW][i]);
    if (fits >= 0.5 && (!promising_ || time < fastest)) {
      promising_ = mode;
      fastest = time;
    }
    if (fits < needed) continue;
    if (best != nullptr && time - best_time <= options_.much_slower &&
        all.variance[kPowerW][i] > least_known) {
      telling = &mode;
      least_known = all.variance[kPowerW][i];
    }
    const double gain = best_time - time, variance = all.variance[kTimeMs][i];
    const double worth =
        best == nullptr ? -time
                        : fits * (gain + expected_improvement(gain, std::sqrt(variance)) * (horizon - 1)) -
                              (1 - fits) - move * (2 - fits * probability_below(gain, 0, variance));
    if (chosen == nullptr ? best == nullptr || worth > 0 : worth > most) {
      chosen = &mode;
      most = worth;
    }
  }
  if (chosen != nullptr) return {*chosen, best == nullptr ? MoveReason::surest : MoveReason::try_out};
  const bool explores = telling != nullptr && surer_ == 0 &&
                        std::max(now_.modes.size(), now_.explored) < options_.explores_until &&
                        horizon > options_.explores_for * (1 + move) && promising_ &&
                        best_time - fastest > options_.much_faster;
  if (explores) {
    ++now_.explored;
    return {*telling, MoveReason::explore};
  }
  if (best != nullptr) return {*best, MoveReason::best};
  // What is predicted decides nothing here: the lowest mode is safe where any is.
  if (lowest != nullptr && now_.modes.contains(lowest_)) return {*lowest, MoveReason::least_power};
  return {lowest_, MoveReason::least_power};
}

}  // namespace fewwatt::learners
