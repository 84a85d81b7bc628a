#include "learners/control/governed_agent.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace fewwatt::learners {
namespace {

// Whether no setting of a is above that of b.
bool at_most(const hw::PowerMode& a, const hw::PowerMode& b) {
  for (std::size_t k = 0; k < a.size(); ++k)
    if (a[k] > b[k]) return false;
  return true;
}

}  // namespace

GovernedAgent::GovernedAgent(Governor& governor, std::unique_ptr<Controller> agent)
    : governor_(&governor), agent_(std::move(agent)), last_power_w_(std::nan("")) {
  if (agent_ == nullptr) throw std::invalid_argument("GovernedAgent: expected an agent, found none");
}

Governor::Move GovernedAgent::next(double budget_w, double windows_left) {
  const auto own = governor_->next(budget_w, windows_left);
  // The last window may be shorter than the others.
  const auto proposed = agent_->next({budget_w, std::max(windows_left, 1.0)});
  if (!proposed || governor_->avoids(*proposed, budget_w)) return own;
  const bool over = last_power_w_ > budget_w;
  if (over && !at_most(*proposed, own.mode)) return own;
  return {*proposed, MoveReason::agent};
}

bool GovernedAgent::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  const bool changed = governor_->tell(mode, measurement);
  agent_->tell(mode, measurement);
  if (!std::isnan(measurement.power_w)) last_power_w_ = measurement.power_w;
  return changed;
}

void GovernedAgent::reject(const hw::PowerMode& mode) {
  governor_->reject(mode);
  agent_->tell(mode, {});
}

}  // namespace fewwatt::learners
