#include "learners/control/controller.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::learners {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

void check_mode(const hw::PowerModeSpace& space, const hw::PowerMode& mode) {
  if (!space.index_of(mode))
    throw std::invalid_argument("Controller: expected a mode of the space, found " +
                                hw::describe(space, mode));
}

bool is_rejected(const hw::Measurement& known) {
  return std::isnan(known.time_ms) && std::isnan(known.power_w);
}

}  // namespace

void check_context(const Context& context) {
  if (!(context.budget_w > 0))
    throw std::invalid_argument("Controller: the budget must be > 0, got " +
                                std::to_string(context.budget_w));
}

hw::Measurement known_part(const hw::Measurement& measurement) {
  const auto known = [&](double value) {
    return !measurement.throttled && std::isfinite(value) && value > 0 ? value : kUnknown;
  };
  auto part = measurement;
  part.time_ms = known(measurement.time_ms);
  part.power_w = known(measurement.power_w);
  return part;
}

// ---- MeasuredModes ----

void MeasuredModes::Mean::add(double value) {
  if (std::isnan(value)) return;
  sum += value;
  ++count;
}

void MeasuredModes::add(const hw::PowerModeSpace& space, const hw::PowerMode& mode,
                        const hw::Measurement& measurement) {
  check_mode(space, mode);
  const auto known = known_part(measurement);
  auto& means = modes_[mode];
  means.time_ms.add(known.time_ms);
  means.power_w.add(known.power_w);
}

std::optional<Answer> MeasuredModes::fastest(double budget_w) const {
  std::optional<Answer> fastest;
  for (const auto& [mode, means] : modes_) {
    const double time = means.time_ms.value(), power = means.power_w.value();  // NaN: 0 / 0
    const bool inside = power <= budget_w || std::isinf(budget_w);
    if (std::isnan(time) || !inside || (fastest && time >= fastest->time_ms)) continue;
    fastest = Answer{mode, time, power, time, true};
  }
  return fastest;
}

Samples MeasuredModes::samples(std::shared_ptr<const hw::PowerModeSpace> space,
                               const tasks::Characteristics& characteristics) const {
  Samples samples{std::move(space),
                  {},
                  Matrix(static_cast<Eigen::Index>(modes_.size()), tasks::kNumTargets),
                  characteristics};
  for (const auto& [mode, means] : modes_) {
    if (means.time_ms.count == 0 && means.power_w.count == 0) continue;
    samples.targets.row(static_cast<Eigen::Index>(samples.modes.size())) << means.time_ms.value(),
        means.power_w.value();
    samples.modes.push_back(mode);
  }
  samples.targets.conservativeResize(static_cast<Eigen::Index>(samples.modes.size()), Eigen::NoChange);
  return samples;
}

// ---- a search ----

SearchController::SearchController(std::shared_ptr<const hw::PowerModeSpace> space,
                                   std::unique_ptr<Search> search, Goal goal, bool stays)
    : space_(std::move(space)), search_(std::move(search)), goal_(std::move(goal)), stays_(stays) {}

std::optional<hw::PowerMode> SearchController::next(const Context& context) {
  check_context(context);
  if (context.left < 1) return std::nullopt;
  if (context.budget_w != goal_.limits.max_power_w) {
    goal_.limits.max_power_w = context.budget_w;
    search_->aim(goal_);
  }
  if (auto mode = search_->ask()) return mode;
  if (!stays_) return std::nullopt;
  if (const auto answer = search_->answer()) return answer->mode;
  if (const auto nearest = search_->nearest()) return nearest->mode;
  return space_->lowest();
}

void SearchController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  check_mode(*space_, mode);
  search_->tell(mode, measurement);
}

// ---- the governor ----

GovernorController::GovernorController(std::shared_ptr<const hw::PowerModeSpace> space,
                                       std::shared_ptr<const Learner> learner, GovernorOptions options,
                                       double switch_share)
    : space_(space), governor_(space, std::move(learner), options), switch_share_(switch_share) {}

std::optional<hw::PowerMode> GovernorController::next(const Context& context) {
  check_context(context);
  budget_w_ = context.budget_w;
  if (context.left < 1) return std::nullopt;
  return governor_.next(context.budget_w, context.left).mode;
}

void GovernorController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  check_mode(*space_, mode);
  const auto known = known_part(measurement);
  if (mode_ && *mode_ != mode) governor_.moved(switch_share_);
  mode_ = mode;
  if (is_rejected(known))
    governor_.reject(mode);
  else
    governor_.tell(mode, known);
}

std::optional<Answer> GovernorController::answer() {
  const auto samples = governor_.samples();
  MeasuredModes measured;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    measured.add(*space_, samples.modes[i],
                 {samples.targets(row, tasks::kTimeMs), samples.targets(row, tasks::kPowerW)});
  }
  return measured.fastest(budget_w_);
}

// ---- a policy ----

PolicyController::PolicyController(std::shared_ptr<const hw::PowerModeSpace> space,
                                   std::unique_ptr<Policy> policy, const tasks::ModeMdpOptions& options,
                                   const tasks::Characteristics& characteristics, std::uint64_t seed,
                                   std::unique_ptr<Shield> shield)
    : space_(space),
      policy_(std::move(policy)),
      options_(options),
      actions_(space, options, seed),
      observer_(space, options, characteristics),
      spent_(options),
      shield_(std::move(shield)),
      lowest_(space->lowest()),
      targets_(actions_.size()) {
  if (policy_ == nullptr) throw std::invalid_argument("PolicyController: expected a policy, found none");
  policy_->begin(actions_.rows(), seed);
}

std::optional<hw::PowerMode> PolicyController::next(const Context& context) {
  check_context(context);
  budget_w_ = context.budget_w;
  const bool found = options_.task == tasks::ModeTask::find && observer_.told() >= options_.measurements;
  if (context.left < 1 || found) return std::nullopt;
  if (observer_.told() == 0) return lowest_;
  std::vector<char> allowed(actions_.size(), 1);
  if (shield_ != nullptr) {
    for (std::size_t a = 0; a < targets_.size(); ++a) targets_[a] = actions_.target(a, observer_.mode());
    allowed = shield_->allowed(targets_, budget_w_);
  }
  // Where all that the shield allows is spent, it is taken again.
  auto left = allowed;
  for (const auto action : spent_.indices()) left[action] = 0;
  if (std::find(left.begin(), left.end(), 1) != left.end()) allowed = std::move(left);
  const auto action = policy_->act(observer_.observation(budget_w_), reward_, allowed);
  return actions_.target(action, observer_.mode());
}

void PolicyController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  measured_.add(*space_, mode, measurement);
  const bool first = observer_.told() == 0;
  reward_ = observer_.tell(mode, measurement, budget_w_);
  spent_.told(actions_, mode);
  if (first) reward_ = 0;
  if (shield_ != nullptr) shield_->tell(mode, measurement);
}

std::unique_ptr<Controller> policy_controller(const PolicyModel& model,
                                              std::shared_ptr<const hw::PowerModeSpace> space,
                                              const tasks::Characteristics& characteristics,
                                              std::uint64_t seed, std::unique_ptr<Shield> shield) {
  check_policy(model, *space);
  return std::make_unique<PolicyController>(std::move(space), std::make_unique<NetPolicy>(model),
                                            model.mdp.value(), characteristics, seed, std::move(shield));
}

// ---- in a world ----

void run_controller(Controller& controller, tasks::World& world, std::size_t measurements,
                    const std::function<void(const Visit&)>& each) {
  const auto space = world.space();
  for (std::size_t i = 0; i < measurements; ++i) {
    const double budget_w = world.budget_w();
    const auto mode = controller.next({budget_w, static_cast<double>(measurements - i)});
    if (!mode) return;
    if (!space->index_of(*mode))
      throw std::logic_error("the controller asked for a mode that the world lacks: " +
                             hw::describe(*space, *mode));
    const auto measured = world.measure(*mode);
    controller.tell(*mode, measured);
    if (each) each({*mode, measured, budget_w});
    world.advance();
  }
}

}  // namespace fewwatt::learners
