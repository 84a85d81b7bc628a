#include "tasks/world.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace fewwatt::tasks {
namespace {

std::shared_ptr<const hw::PowerModeSpace> measured_modes(const datasets::Profile& profile) {
  if (profile.modes.size() == profile.space->size()) return profile.space;
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::list(profile.space->knobs(), profile.modes));
}

// The standard deviation of the log of a value with this mean and standard deviation.
double log_sd(const std::vector<double>& sds, std::size_t i, double mean, const ReplayOptions& options) {
  if (!options.measured_noise || sds.empty()) return options.noise;
  const double relative = sds[i] / mean;
  return std::isfinite(relative) ? relative : options.noise;
}

double true_or(const std::vector<double>& truths, std::size_t i, double mean) {
  return truths.empty() || !std::isfinite(truths[i]) ? mean : truths[i];
}

}  // namespace

std::optional<FastestMode> fastest_inside(const World& world) {
  std::optional<FastestMode> fastest;
  const auto space = world.space();
  const double budget_w = world.budget_w();
  for (std::size_t i = 0; i < space->size(); ++i) {
    const auto mode = space->at(i);
    const auto truth = world.truth(mode);
    if (!truth || std::isnan(truth->time_ms)) continue;
    const bool inside = truth->power_w <= budget_w || budget_w == kNoBudget;
    if (inside && (!fastest || truth->time_ms < fastest->truth.time_ms)) fastest = FastestMode{mode, *truth};
  }
  return fastest;
}

std::string ReplayOptions::error() const {
  if (!(budget_w > 0)) return "ReplayOptions: budget_w must be > 0, got " + std::to_string(budget_w);
  if (!(noise >= 0 && noise <= 1))
    return "ReplayOptions: noise must be in [0, 1], got " + std::to_string(noise);
  return "";
}

ReplayTable::ReplayTable(const datasets::Profile& profile, const ReplayOptions& options)
    : name_(profile.device + '/' + profile.workload),
      characteristics_(characteristics_of(profile.attributes)),
      has_power_(profile.has_power()) {
  datasets::validate(profile, "replay");
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  if (!profile.has_time())
    throw std::invalid_argument("ReplayWorld: expected a profile with times, " + name_ + " has none");
  space_ = measured_modes(profile);
  for (std::size_t i = 0; i < profile.modes.size(); ++i) {
    const auto& mean = profile.measurements[i];
    rows_.push_back(
        {mean,
         {true_or(profile.time_true_ms, i, mean.time_ms), true_or(profile.power_true_w, i, mean.power_w)},
         log_sd(profile.time_std_ms, i, mean.time_ms, options),
         log_sd(profile.power_std_w, i, mean.power_w, options)});
  }
}

ReplayWorld::ReplayWorld(const datasets::Profile& profile, ReplayOptions options)
    : ReplayWorld(std::make_shared<const ReplayTable>(profile, options), options.budget_w) {}

ReplayWorld::ReplayWorld(std::shared_ptr<const ReplayTable> table, double budget_w)
    : table_(std::move(table)), budget_w_(budget_w) {
  if (table_ == nullptr) throw std::invalid_argument("ReplayWorld: expected a table, found none");
  if (!(budget_w > 0))
    throw std::invalid_argument("ReplayWorld: budget_w must be > 0, got " + std::to_string(budget_w));
  if (!table_->has_power() && budget_w != kNoBudget)
    throw std::invalid_argument("ReplayWorld: a power budget needs a profile with power, " + table_->name() +
                                " has none");
}

void ReplayWorld::reset(std::uint64_t seed) {
  noise_ = hw::Rng::stream(seed, "replay world");
}

const ReplayTable::Row& ReplayWorld::row(const hw::PowerMode& mode) const {
  const auto& space = *table_->space();
  const auto i = space.index_of(mode);
  if (!i) throw hw::DeviceError("ReplayWorld: expected a measured mode, found " + hw::describe(space, mode));
  return table_->rows()[*i];
}

hw::Measurement ReplayWorld::measure(const hw::PowerMode& mode) {
  const auto& one = row(mode);
  const double time_z = noise_.normal(), power_z = noise_.normal();
  return {one.mean.time_ms * std::exp(one.time_sd * time_z),
          one.mean.power_w * std::exp(one.power_sd * power_z)};
}

std::optional<hw::Measurement> ReplayWorld::truth(const hw::PowerMode& mode) const {
  return row(mode).truth;
}

DeviceWorld::DeviceWorld(hw::Device& device, double budget_w, Characteristics characteristics)
    : device_(&device),
      space_(std::make_shared<const hw::PowerModeSpace>(device.space())),
      budget_w_(budget_w),
      characteristics_(characteristics) {
  if (!(budget_w > 0))
    throw std::invalid_argument("DeviceWorld: budget_w must be > 0, got " + std::to_string(budget_w));
}

hw::Measurement DeviceWorld::measure(const hw::PowerMode& mode) {
  if (!space_->index_of(mode))
    throw hw::DeviceError("DeviceWorld: expected a mode of the device, found " + hw::describe(*space_, mode));
  try {
    return device_->measure(mode);
  } catch (const hw::DeviceError&) {
    return {};
  }
}

}  // namespace fewwatt::tasks
