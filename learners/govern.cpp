#include "learners/govern.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

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

}  // namespace

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

}  // namespace fewwatt::learners
