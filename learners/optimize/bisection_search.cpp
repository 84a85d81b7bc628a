#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "learners/optimize/measured_search.hpp"

namespace fewwatt::learners {
namespace {

using Modes = std::vector<hw::PowerMode>;
using tasks::kPowerW;
using tasks::kTimeMs;

// Each knob has a range of levels that may hold the answer; the mode in the middle of all ranges is measured. Slopes of log
// time and log power per knob come from one probe each. Over a limit, the knob that loses the least time per watt gives up its
// upper half; within, the one that gains the most time per watt gives up its lower half.
class BisectionSearch final : public MeasuredSearch {
 public:
  BisectionSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner>, Goal goal,
                  SearchOptions options)
      : MeasuredSearch(std::move(space), std::move(goal), std::move(options)), all_(space_->modes()) {
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

}  // namespace

MakeSearch bisection_search() {
  return maker<BisectionSearch>();
}

}  // namespace fewwatt::learners
