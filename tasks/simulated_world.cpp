#include "tasks/simulated_world.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::tasks {
namespace {

using hw::KnobRole;

constexpr int kBudgetDraws = 1000;  // most draws of a budget that some mode keeps

// Caps a clock below what `mode` has; the same conditions where that cannot be.
Conditions capped(const hw::PowerModeSpace& space, Conditions conditions, KnobRole role,
                  const hw::PowerMode& mode, hw::Rng& rng) {
  const auto knob = space.knob_with(role);
  if (!knob) return conditions;
  const auto& levels = space.knobs()[*knob].levels;
  const auto below = static_cast<std::size_t>(
      std::lower_bound(levels.begin(), levels.end(), std::min(mode[*knob], conditions.caps[*knob])) -
      levels.begin());
  if (below > 0) conditions.caps[*knob] = levels[rng.below(below)];
  return conditions;
}

bool is_part(double value, double most) {
  return value >= 0 && value <= most;
}

}  // namespace

Conditions uncapped(const hw::PowerModeSpace& space, const hw::SimulatedWorkload& workload) {
  Conditions conditions{workload, {}};
  for (std::size_t k = 0; k < space.knobs().size(); ++k) conditions.caps.push_back(space.max_level(k));
  return conditions;
}

hw::Measurement cost_under(const SimulatedPlace& place, const Conditions& conditions,
                           const hw::PowerMode& mode) {
  auto real = mode;
  for (std::size_t k = 0; k < real.size(); ++k) real[k] = std::min(real[k], conditions.caps[k]);
  const auto cost =
      hw::simulate(place.board, conditions.workload, hw::settings_of(place.board, *place.space, real));
  return {cost.time_ms, cost.power_w};
}

std::vector<std::string> change_kinds() {
  return {"batch-half", "batch-double", "crossed", "cpu-capped", "gpu-capped", "memory-capped", "workload"};
}

std::pair<const hw::SimulatedWorkload&, const hw::SimulatedWorkload&> crossed_workloads() {
  return {hw::find_simulated_workload("resnet18-gld23k"),
          hw::find_simulated_workload("mobilenetv3-imagenet")};
}

Conditions changed(const SimulatedPlace& place, const std::vector<hw::SimulatedWorkload>& workloads,
                   const Conditions& from, const std::string& kind, const hw::PowerMode& mode, hw::Rng& rng) {
  const auto with_role = [&](KnobRole role) { return capped(*place.space, from, role, mode, rng); };
  if (kind == "cpu-capped") return with_role(KnobRole::cpu_khz);
  if (kind == "gpu-capped") return with_role(KnobRole::gpu_khz);
  if (kind == "memory-capped") return with_role(KnobRole::mem_khz);
  if (kind == "workload") return uncapped(*place.space, workloads[rng.below(workloads.size())]);
  auto to = from;
  if (kind == "batch-half") {
    to.workload.batch_size /= 2;
  } else if (kind == "batch-double") {
    to.workload.batch_size *= 2;
  } else if (kind == "crossed") {
    const auto& [first, second] = crossed_workloads();
    to.workload = from.workload.name == first.name ? second : first;
  } else {
    throw std::invalid_argument("changed: unknown kind of change " + kind);
  }
  return to;
}

std::string SimulatedWorldOptions::error() const {
  const std::string of = "SimulatedWorldOptions: ";
  if (places.empty()) return of + "expected a place at least, found none";
  if (workloads.empty()) return of + "expected a workload at least, found none";
  for (const auto& place : places) {
    if (const auto error = place.board.error(); !error.empty()) return of + error;
    if (place.space == nullptr) return of + "expected a space for each place, found none";
  }
  for (const auto& workload : workloads)
    if (const auto error = workload.error(); !error.empty()) return of + error;
  const bool in_watts = first_w != 0 || last_w != 0;
  if (in_watts && !(first_w > 0 && last_w >= first_w && std::isfinite(last_w)))
    return of + "expected 0 < first_w <= last_w, found " + std::to_string(first_w) + " and " +
           std::to_string(last_w);
  if (!(is_part(low_share, high_share) && high_share <= 1))
    return of + "expected 0 <= low_share <= high_share <= 1, found " + std::to_string(low_share) + " and " +
           std::to_string(high_share);
  for (const auto& [name, noise] : {std::pair("time_noise", time_noise), {"power_noise", power_noise}})
    if (!is_part(noise, 1)) return of + name + " must be in [0, 1], got " + std::to_string(noise);
  if (!(is_part(rejected, 1) && rejected < 1))
    return of + "rejected must be in [0, 1), got " + std::to_string(rejected);
  if (changes > 0 && steps < 2) return of + "changes need at least 2 steps, got " + std::to_string(steps);
  return "";
}

SimulatedWorldOptions random_population(std::shared_ptr<const hw::PowerModeSpace> space, std::size_t boards,
                                        std::size_t workloads, std::uint64_t seed) {
  SimulatedWorldOptions options;
  for (std::uint64_t i = 0; i < boards; ++i)
    options.places.push_back({hw::random_board_with(*space, seed, i), space});
  for (std::uint64_t i = 0; i < workloads; ++i) options.workloads.push_back(hw::random_workload(seed, i));
  return options;
}

SimulatedWorld::SimulatedWorld(SimulatedWorldOptions options) : options_(std::move(options)) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

void SimulatedWorld::reset(std::uint64_t seed) {
  rng_ = hw::Rng::stream(seed, "simulated world");
  noise_ = hw::Rng::stream(seed, "simulated world noise");
  place_ = rng_.below(options_.places.size());
  conditions_ = uncapped(*place().space, options_.workloads[rng_.below(options_.workloads.size())]);
  mode_ = place().space->at(0);
  draw_budget();
  step_ = next_change_ = 0;
  change_at_.clear();
  for (std::size_t i = 0; i < options_.changes; ++i) change_at_.push_back(1 + rng_.below(options_.steps - 1));
  std::sort(change_at_.begin(), change_at_.end());
}

Characteristics SimulatedWorld::characteristics() const {
  const auto& workload = conditions_.workload;
  const auto known = [](double value) { return value > 0 ? std::optional(value) : std::nullopt; };
  Characteristics stated;
  stated.batch_size = known(workload.batch_size);
  stated.layers = known(workload.network.layers);
  stated.parameters = known(workload.network.parameters);
  stated.flops = known(workload.network.flops);
  stated.time_of = datasets::TimeOf::minibatch;
  return stated;
}

std::optional<hw::Measurement> SimulatedWorld::truth(const hw::PowerMode& mode) const {
  if (!place().space->index_of(mode))
    throw hw::DeviceError("SimulatedWorld: expected a mode of the board, found " +
                          hw::describe(*place().space, mode));
  return cost_under(place(), conditions_, mode);
}

hw::Measurement SimulatedWorld::measure(const hw::PowerMode& mode) {
  auto measured = *truth(mode);
  mode_ = mode;
  const bool rejected = noise_.uniform() < options_.rejected;
  measured.time_ms *= std::exp(options_.time_noise * noise_.normal());
  measured.power_w *= std::exp(options_.power_noise * noise_.normal());
  return rejected ? hw::Measurement{} : measured;
}

bool SimulatedWorld::a_mode_fits() const {
  const auto& space = *place().space;
  for (std::size_t i = 0; i < space.size(); ++i)
    if (cost_under(place(), conditions_, space.at(i)).power_w <= budget_w_) return true;
  return false;
}

void SimulatedWorld::draw_budget() {
  const auto& space = *place().space;
  if (options_.first_w > 0) {
    for (int draw = 0; draw < kBudgetDraws; ++draw) {
      budget_w_ = rng_.uniform(options_.first_w, options_.last_w);
      if (a_mode_fits()) return;
    }
    throw std::runtime_error("SimulatedWorld: no mode keeps a budget in [" +
                             std::to_string(options_.first_w) + ", " + std::to_string(options_.last_w) +
                             "] W with " + conditions_.workload.name);
  }
  std::vector<double> powers;
  for (const auto i : rng_.sample(space.size(), std::min(space.size(), kBudgetModes)))
    powers.push_back(cost_under(place(), conditions_, space.at(i)).power_w);
  std::sort(powers.begin(), powers.end());
  const double share = rng_.uniform(options_.low_share, options_.high_share);
  budget_w_ = powers[static_cast<std::size_t>(share * static_cast<double>(powers.size() - 1))];
}

void SimulatedWorld::change_workload() {
  const auto kinds = change_kinds();
  conditions_ =
      changed(place(), options_.workloads, conditions_, kinds[rng_.below(kinds.size())], mode_, rng_);
  if (!a_mode_fits()) draw_budget();
}

void SimulatedWorld::advance() {
  ++step_;
  for (; next_change_ < change_at_.size() && change_at_[next_change_] == step_; ++next_change_) {
    if (next_change_ % 2 == 0)
      change_workload();
    else
      draw_budget();
  }
}

}  // namespace fewwatt::tasks
