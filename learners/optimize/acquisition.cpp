#include <algorithm>
#include <cmath>
#include <limits>

#include "learners/optimize/model_search.hpp"

// The searches that a model leads: how each picks the next mode.
namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;
using tasks::kPowerW;
using tasks::kTimeMs;

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

}  // namespace

MakeSearch improvement_search(std::string start) {
  return maker<ImprovementSearch>(std::move(start));
}
MakeSearch thompson_search(std::string start) {
  return maker<ThompsonSearch>(std::move(start));
}
MakeSearch safe_search(std::string start) {
  return maker<SafeSearch>(std::move(start));
}

}  // namespace fewwatt::learners
