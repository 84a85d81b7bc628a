#pragma once

#include <limits>
#include <map>
#include <memory>

#include "learners/control/controller.hpp"
#include "learners/govern.hpp"

namespace fewwatt::learners {

// An agent that proposes the mode of each window, and a governor whose limits stay in force around it.
//   - A proposal that the governor avoids is not run: it was measured to be over the budget, or was rejected a few windows ago
//     (Governor::avoids()). Then, and where the agent proposes none, the governor's own move is run.
//   - After a measured window that drew more than the present budget, by a factor f, the next one is in a mode of which all windows of this
//     workload were measured to be within budget / f, or in the lowest mode: the proposal if it is such a mode, else the governor's own move
//     if that is, else the fastest of them, else the lowest mode. So it stays until a window was measured inside.
class GovernedAgent {
 public:
  // The governor must outlive it. Throws std::invalid_argument without an agent.
  GovernedAgent(Governor& governor, std::unique_ptr<Controller> agent);

  // The mode for the next window, as Governor::next(); its reason is MoveReason::agent where it is the agent's, and best or least_power
  // where it is neither the agent's nor the governor's.
  Governor::Move next(double budget_w, double windows_left = std::numeric_limits<double>::infinity());
  // What a window measured, for both. As Governor::tell().
  bool tell(const hw::PowerMode& mode, const hw::Measurement& measurement);
  // A window whose measurement cannot be trusted, for both.
  void reject(const hw::PowerMode& mode);

 private:
  struct Measured {                                            // of a mode, since the workload has changed
    double most_power_w = 0;                                   // of all windows
    double time_ms = std::numeric_limits<double>::infinity();  // of the last one
  };

  bool is_sure(const hw::PowerMode& mode, double budget_w) const;
  Governor::Move safest(double budget_w) const;

  Governor* governor_;
  std::unique_ptr<Controller> agent_;
  double last_power_w_;  // that was measured; NaN: none was
  std::map<hw::PowerMode, Measured> measured_;
};

}  // namespace fewwatt::learners
