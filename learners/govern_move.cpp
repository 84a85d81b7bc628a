#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/govern.hpp"
#include "learners/optimize/choose.hpp"

// How the governor decides on the next window's mode.
namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kPowerW;
using tasks::kTimeMs;
using Index = Eigen::Index;

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
    case MoveReason::agent:
      return "agent";
  }
  return "";
}

bool Governor::fits_as_measured(const hw::PowerMode& mode, double log_budget) const {
  const auto found = now_.modes.find(mode);
  if (found == now_.modes.end() || found->second[kPowerW].weight == 0) return false;
  const auto& level = found->second[kPowerW].level;
  return probability_below(log_budget, level.mean, level.variance) >= options_.kept;
}

bool Governor::avoids(const hw::PowerMode& mode, double budget_w) const {
  if (was_rejected(mode)) return true;
  const auto found = now_.modes.find(mode);
  const bool measured = found != now_.modes.end() && found->second[kPowerW].weight > 0;
  return measured && !fits_as_measured(mode, std::log(budget_w) - held_);
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

// The measured modes that matter: the fastest that fits, and the one that draws the least.
Governor::Standing Governor::standing(double log_budget) const {
  Standing found;
  double least_power = 0;
  for (const auto& [mode, knowns] : now_.modes) {
    const auto &time = knowns[kTimeMs], &power = knowns[kPowerW];
    if (power.weight == 0 || was_rejected(mode)) continue;
    if (found.lowest == nullptr || power.level.mean < least_power) {
      found.lowest = &mode;
      least_power = power.level.mean;
    }
    if (time.weight == 0 || !fits_as_measured(mode, log_budget)) continue;
    if (found.best == nullptr || time.level.mean < found.best_time) {
      found.best = &mode;
      found.best_time = time.level.mean;
    }
  }
  return found;
}

// What is worth a window, of the candidates; sets promising_.
Governor::Prospects Governor::prospects(const Candidates& all, const Standing& known, double log_budget,
                                        double horizon, double move) {
  // After a window over the budget the next one must not be.
  const double needed = 1 - (1 - options_.confidence) * std::pow(0.1, std::min(surer_, 3));
  const auto* best = known.best;
  const double best_time = known.best_time;
  Prospects found;
  double most = 0, least_known = 0;
  promising_.reset();
  for (Index i = 0; i < static_cast<Index>(all.modes.size()); ++i) {
    const auto& mode = all.modes[static_cast<std::size_t>(i)];
    const double time = all.mean[kTimeMs][i], power = all.mean[kPowerW][i];
    if (std::isnan(time) || std::isnan(power)) continue;
    const double fits = probability_below(log_budget, power, all.variance[kPowerW][i]);
    if (fits >= 0.5 && (!promising_ || time < found.fastest)) {
      promising_ = mode;
      found.fastest = time;
    }
    if (fits < needed) continue;
    if (best != nullptr && time - best_time <= options_.much_slower &&
        all.variance[kPowerW][i] > least_known) {
      found.telling = &mode;
      least_known = all.variance[kPowerW][i];
    }
    const double gain = best_time - time, variance = all.variance[kTimeMs][i];
    const double worth =
        best == nullptr ? -time
                        : fits * (gain + expected_improvement(gain, std::sqrt(variance)) * (horizon - 1)) -
                              (1 - fits) - move * (2 - fits * probability_below(gain, 0, variance));
    if (found.chosen == nullptr ? best == nullptr || worth > 0 : worth > most) {
      found.chosen = &mode;
      most = worth;
    }
  }
  return found;
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
  const auto known = standing(log_budget);
  const auto* best = known.best;
  if (best != nullptr && (unsettled_ || (recalled_ && recalled_->workload.modes.contains(*best))))
    return {*best, MoveReason::check};
  if (check_ && !was_rejected(*check_) && fits_as_measured(*check_, log_budget))
    return {*check_, MoveReason::check};
  const bool again = now_.adapted_to == now_.modes.size();
  best_ = best != nullptr ? std::optional(*best) : std::nullopt;
  adapt(now_);
  const auto all = candidates(best, again);
  const double stay =
      (options_.stay_windows + static_cast<double>(window_)) / (1 + static_cast<double>(changes_));
  const double horizon = std::max(1.0, std::min(windows_left, stay));
  const double move = moves_ > 0 ? moves_cost_ / static_cast<double>(moves_) : 0;
  const auto found = prospects(all, known, log_budget, horizon, move);
  if (found.chosen != nullptr)
    return {*found.chosen, best == nullptr ? MoveReason::surest : MoveReason::try_out};
  const bool explores = found.telling != nullptr && surer_ == 0 &&
                        std::max(now_.modes.size(), now_.explored) < options_.explores_until &&
                        horizon > options_.explores_for * (1 + move) && promising_ &&
                        known.best_time - found.fastest > options_.much_faster;
  if (explores) {
    ++now_.explored;
    return {*found.telling, MoveReason::explore};
  }
  if (best != nullptr) return {*best, MoveReason::best};
  // What is predicted decides nothing here: the lowest mode is safe where any is.
  if (known.lowest != nullptr && now_.modes.contains(lowest_))
    return {*known.lowest, MoveReason::least_power};
  return {lowest_, MoveReason::least_power};
}

}  // namespace fewwatt::learners
