#include "learners/control/governed_agent.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace fewwatt::learners {

GovernedAgent::GovernedAgent(Governor& governor, std::unique_ptr<Controller> agent)
    : governor_(&governor), agent_(std::move(agent)), last_power_w_(std::nan("")) {
  if (agent_ == nullptr) throw std::invalid_argument("GovernedAgent: expected an agent, found none");
}

// Whether it was measured to be inside the budget by as much as the last window was over it.
bool GovernedAgent::is_sure(const hw::PowerMode& mode, double budget_w) const {
  const auto found = measured_.find(mode);
  return found != measured_.end() && found->second.most_power_w * last_power_w_ <= budget_w * budget_w &&
         !governor_->avoids(mode, budget_w);
}

Governor::Move GovernedAgent::safest(double budget_w) const {
  const std::pair<const hw::PowerMode, Measured>* best = nullptr;
  for (const auto& one : measured_)
    if (is_sure(one.first, budget_w) && (best == nullptr || one.second.time_ms < best->second.time_ms))
      best = &one;
  if (best == nullptr) return {governor_->lowest(), MoveReason::least_power};
  return {best->first, MoveReason::best};
}

Governor::Move GovernedAgent::next(double budget_w, double windows_left) {
  const auto own = governor_->next(budget_w, windows_left);
  // The last window may be shorter than the others.
  const auto proposed = agent_->next({budget_w, std::max(windows_left, 1.0)});
  const bool over = last_power_w_ > budget_w;
  const auto may_run = [&](const hw::PowerMode& mode) {
    return !over || mode == governor_->lowest() || is_sure(mode, budget_w);
  };
  if (proposed && !governor_->avoids(*proposed, budget_w) && may_run(*proposed))
    return {*proposed, MoveReason::agent};
  return may_run(own.mode) ? own : safest(budget_w);
}

bool GovernedAgent::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  const bool changed = governor_->tell(mode, measurement);
  agent_->tell(mode, measurement);
  if (changed) measured_.clear();
  if (std::isnan(measurement.power_w)) return changed;
  last_power_w_ = measurement.power_w;
  auto& known = measured_[mode];
  known.most_power_w = std::max(known.most_power_w, measurement.power_w);
  if (!std::isnan(measurement.time_ms)) known.time_ms = measurement.time_ms;
  return changed;
}

void GovernedAgent::reject(const hw::PowerMode& mode) {
  governor_->reject(mode);
  agent_->tell(mode, {});
}

}  // namespace fewwatt::learners
