#include "tasks/mode_mdp.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <stdexcept>

#include "hw/random.hpp"

namespace fewwatt::tasks {
namespace {

using Index = Eigen::Index;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double known_or_nan(double value) {
  return std::isfinite(value) && value > 0 ? value : kUnknown;
}

// The position of a setting among its knob's levels.
int level_of(const hw::Knob& knob, int setting) {
  return static_cast<int>(std::lower_bound(knob.levels.begin(), knob.levels.end(), setting) -
                          knob.levels.begin());
}

// Writes a row of numbers from left to right.
class Filler {
 public:
  explicit Filler(Vector& row) : row_(row) {}
  void number(double value) { row_[at_++] = value; }
  void flag(bool value) { number(value ? 1 : 0); }
  // The number and whether it is known.
  void flagged(double value) {
    number(std::isfinite(value) ? value : 0);
    flag(std::isfinite(value));
  }
  void part(const Vector& values) {
    row_.segment(at_, values.size()) = values;
    at_ += values.size();
  }

 private:
  Vector& row_;
  Index at_ = 0;
};

}  // namespace

std::string ModeMdpOptions::error() const {
  const std::string of = "ModeMdpOptions: ";
  if (!(lambda >= 0 && lambda <= kMostLambda))
    return of + "lambda must be in [0, 1e6], got " + std::to_string(lambda);
  if (measurements < 2 || measurements > kMostMeasurements)
    return of + "measurements must be in [2, " + std::to_string(kMostMeasurements) + "], got " +
           std::to_string(measurements);
  if (candidates > kMostActions)
    return of + "candidates must be at most " + std::to_string(kMostActions) + ", got " +
           std::to_string(candidates);
  if (!(switch_share >= 0 && switch_share <= 0.9))
    return of + "switch_share must be in [0, 0.9], got " + std::to_string(switch_share);
  return "";
}

double mode_worth(const ModeMdpOptions& options, const hw::Measurement& measurement, double budget_w,
                  double reference_ms, bool moved) {
  const double share = moved ? 1 - options.switch_share : 1;
  const double time = known_or_nan(measurement.time_ms), power = known_or_nan(measurement.power_w);
  const bool over = power > budget_w;  // false where it is not known
  if (options.reward == RewardForm::posed) {
    const double counted = std::isnan(time) ? (std::isnan(reference_ms) ? 0 : reference_ms) : time;
    return -counted / share - (over ? options.lambda * (power - budget_w) : 0);
  }
  const double ratio = (std::isnan(time / reference_ms) ? 1 : time / reference_ms) / share;
  return -(options.reward == RewardForm::log ? std::log(ratio) : ratio) -
         (over ? options.lambda * (power / budget_w - 1) : 0);
}

std::size_t slot_of(hw::KnobRole role) {
  switch (role) {
    case hw::KnobRole::cpu_cores:
      return 0;
    case hw::KnobRole::cpu_khz:
      return 1;
    case hw::KnobRole::gpu_khz:
      return 2;
    case hw::KnobRole::mem_khz:
      return 3;
    case hw::KnobRole::power_limit_mw:
      return 4;
    case hw::KnobRole::batch_size:
      return 5;
  }
  throw std::logic_error("slot_of: a role without a slot");
}

std::vector<std::string> knob_slots(const hw::PowerModeSpace& space) {
  std::vector<std::string> slots;
  for (std::size_t slot = 0; slot < kKnobSlots.size(); ++slot)
    if (std::any_of(space.knobs().begin(), space.knobs().end(),
                    [&](const hw::Knob& knob) { return slot_of(knob.role) == slot; }))
      slots.emplace_back(kKnobSlots[slot]);
  return slots;
}

Vector mode_features(const hw::PowerModeSpace& space, const hw::PowerMode& mode) {
  std::array<double, kKnobSlots.size()> knobs{};
  Vector features = Vector::Zero(static_cast<Index>(kModeFeatures));
  for (std::size_t k = 0; k < space.knobs().size(); ++k) {
    const auto slot = slot_of(space.knobs()[k].role);
    const double x = static_cast<double>(mode[k]) / space.max_level(k);
    features[static_cast<Index>(2 * slot)] += x;
    features[static_cast<Index>(2 * slot + 1)] += std::log(x);
    ++knobs[slot];
  }
  for (std::size_t slot = 0; slot < knobs.size(); ++slot) {
    const auto at = static_cast<Index>(2 * slot);
    if (knobs[slot] > 0)
      features.segment<2>(at) /= knobs[slot];
    else
      features[at] = 1;
  }
  return features;
}

// ---- actions ----

ModeActions::ModeActions(std::shared_ptr<const hw::PowerModeSpace> space, const ModeMdpOptions& options,
                         std::uint64_t seed)
    : space_(std::move(space)) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  const auto columns = static_cast<Index>(kActionFeatures);
  if (options.actions == ModeActionKind::move) {
    const auto& knobs = space_->knobs();
    rows_ = Matrix::Zero(static_cast<Index>(2 * knobs.size() + 1), columns);
    for (std::size_t k = 0; k < knobs.size(); ++k)
      for (const bool up : {false, true}) {
        rows_(static_cast<Index>(moves_.size()), static_cast<Index>(kModeFeatures + slot_of(knobs[k].role))) =
            up ? 1 : -1;
        moves_.push_back({k, up});
      }
    return;
  }
  const auto all = space_->size();
  if (options.candidates == 0 && all > kMostActions)
    throw std::invalid_argument("ModeActions: expected candidates > 0 for more than " +
                                std::to_string(kMostActions) + " modes, found " + std::to_string(all) +
                                " modes");
  if (options.candidates == 0 || options.candidates >= all) {
    modes_ = space_->modes();
  } else {
    auto rng = hw::Rng::stream(seed, "mode actions");
    auto drawn = rng.sample(all, options.candidates);
    std::sort(drawn.begin(), drawn.end());
    for (const auto i : drawn) modes_.push_back(space_->at(i));
  }
  rows_ = Matrix::Zero(static_cast<Index>(modes_.size()), columns);
  for (std::size_t i = 0; i < modes_.size(); ++i)
    rows_.row(static_cast<Index>(i)).head(static_cast<Index>(kModeFeatures)) =
        mode_features(*space_, modes_[i]).transpose();
}

hw::PowerMode ModeActions::target(std::size_t action, const hw::PowerMode& from) const {
  if (action >= size())
    throw std::out_of_range("ModeActions: action " + std::to_string(action) + " of " +
                            std::to_string(size()));
  if (!modes_.empty()) return modes_[action];
  return action < moves_.size() ? moved(moves_[action], from) : from;
}

std::optional<std::size_t> ModeActions::jump_to(const hw::PowerMode& mode) const {
  const auto at = std::lower_bound(modes_.begin(), modes_.end(), mode);
  if (at == modes_.end() || *at != mode) return std::nullopt;
  return static_cast<std::size_t>(at - modes_.begin());
}

void SpentActions::told(const ModeActions& actions, const hw::PowerMode& mode) {
  if (!counts_) return;
  const auto index = actions.jump_to(mode);
  if (!index || std::find(indices_.begin(), indices_.end(), *index) != indices_.end()) return;
  if (indices_.size() + 1 == actions.size())
    indices_.clear();
  else
    indices_.push_back(*index);
}

hw::PowerMode ModeActions::moved(const Move& move, const hw::PowerMode& from) const {
  const auto& knobs = space_->knobs();
  if (space_->is_grid()) {
    const auto& levels = knobs[move.knob].levels;
    const int next = level_of(knobs[move.knob], from[move.knob]) + (move.up ? 1 : -1);
    auto to = from;
    if (next >= 0 && next < static_cast<int>(levels.size()))
      to[move.knob] = levels[static_cast<std::size_t>(next)];
    return to;
  }
  auto nearest = from;
  int least = std::numeric_limits<int>::max();
  for (std::size_t i = 0; i < space_->size(); ++i) {
    const auto mode = space_->at(i);
    if (move.up ? mode[move.knob] <= from[move.knob] : mode[move.knob] >= from[move.knob]) continue;
    int distance = 0;
    for (std::size_t k = 0; k < knobs.size(); ++k)
      distance += std::abs(level_of(knobs[k], mode[k]) - level_of(knobs[k], from[k]));
    if (distance >= least) continue;
    least = distance;
    nearest = mode;
  }
  return nearest;
}

// ---- observations and rewards ----

ModeObserver::ModeObserver(std::shared_ptr<const hw::PowerModeSpace> space, ModeMdpOptions options,
                           const Characteristics& characteristics)
    : space_(std::move(space)),
      options_(options),
      slots_(Vector::Zero(static_cast<Index>(kKnobSlots.size()))),
      characteristics_(static_cast<Index>(2 * std::size(kCharacteristics))),
      last_{kUnknown, kUnknown},
      reference_{kUnknown, kUnknown} {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  for (const auto& knob : space_->knobs()) slots_[static_cast<Index>(slot_of(knob.role))] = 1;
  Filler stated(characteristics_);
  for (const auto& [name, member] : kCharacteristics) {
    const auto& value = characteristics.*member;
    stated.flagged(value ? std::log10(1 + *value) / 10 : kUnknown);
  }
}

double ModeObserver::tell(const hw::PowerMode& mode, const hw::Measurement& measurement, double budget_w,
                          std::optional<double> reference_ms) {
  if (!space_->index_of(mode))
    throw std::invalid_argument("ModeObserver: expected a mode of the space, found " +
                                hw::describe(*space_, mode));
  const bool moved = told_ > 0 && mode != mode_;
  mode_ = mode;
  ++told_;
  last_ = measurement.throttled ? Known{kUnknown, kUnknown}
                                : Known{known_or_nan(measurement.time_ms), known_or_nan(measurement.power_w)};
  if (std::isnan(reference_.time_ms)) reference_.time_ms = last_.time_ms;
  if (std::isnan(reference_.power_w)) reference_.power_w = last_.power_w;
  const double r = mode_worth(options_, {last_.time_ms, last_.power_w}, budget_w,
                              reference_ms.value_or(reference_.time_ms), moved);
  if (options_.task == ModeTask::run) return r;
  // A mode whose time is not known, or of which nobody can say whether it keeps the budget, is not found.
  const bool is_found = !std::isnan(last_.time_ms) && (!std::isnan(last_.power_w) || std::isinf(budget_w));
  if (!is_found) return 0;
  const double before = found_.empty() ? r : best_;
  found_.push_back({last_, mode});
  best_ = std::max(before, r);
  return best_ - before;
}

Vector ModeObserver::observation(double budget_w) const {
  Vector row(static_cast<Index>(kObservation));
  Filler fill(row);
  fill.part(slots_);
  const Vector no_mode = Vector::Zero(static_cast<Index>(kModeFeatures));
  fill.part(told_ == 0 ? no_mode : mode_features(*space_, mode_));
  fill.flagged(std::log(last_.time_ms / reference_.time_ms));
  fill.flagged(std::log(last_.power_w / reference_.power_w));
  const bool budget = std::isfinite(budget_w);
  const auto over_budget = [&](double power) {
    const double log_ratio = std::log(power / budget_w);
    return std::isfinite(log_ratio) ? log_ratio : 0;
  };
  fill.number(over_budget(last_.power_w));
  fill.flag(budget);
  fill.number(over_budget(reference_.power_w));
  fill.flag(told_ > 0 && std::isnan(last_.time_ms) && std::isnan(last_.power_w));
  const Found* fastest = nullptr;
  for (const auto& one : found_)
    if (!(one.known.power_w > budget_w) && (!fastest || one.known.time_ms < fastest->known.time_ms))
      fastest = &one;
  fill.flagged(fastest ? std::log(fastest->known.time_ms / reference_.time_ms) : kUnknown);
  fill.part(fastest ? mode_features(*space_, fastest->mode) : no_mode);
  fill.part(characteristics_);
  fill.number(std::min(1.0, static_cast<double>(told_) / static_cast<double>(options_.measurements)));
  return row;
}

}  // namespace fewwatt::tasks
