#pragma once

#include <limits>
#include <memory>

#include "learners/control/controller.hpp"
#include "learners/govern.hpp"

namespace fewwatt::learners {

// An agent that proposes the mode of each window, and a governor whose limits stay in force around it. The proposal is run unless
//   - the governor avoids that mode: it was measured to be over the budget, or was rejected a few windows ago (Governor::avoids()),
//   - or the last measured window drew more than the present budget, and the proposal is above the governor's own move in some knob: after a
//     window over the budget the next one is in a mode that the governor holds safe, or in a lower one. So it stays until a window was
//     measured inside.
// Then, and where the agent proposes none, the governor's own move is run.
class GovernedAgent {
 public:
  // The governor must outlive it. Throws std::invalid_argument without an agent.
  GovernedAgent(Governor& governor, std::unique_ptr<Controller> agent);

  // The mode for the next window, as Governor::next(); its reason is MoveReason::agent where it is the agent's.
  Governor::Move next(double budget_w, double windows_left = std::numeric_limits<double>::infinity());
  // What a window measured, for both. As Governor::tell().
  bool tell(const hw::PowerMode& mode, const hw::Measurement& measurement);
  // A window whose measurement cannot be trusted, for both.
  void reject(const hw::PowerMode& mode);

 private:
  Governor* governor_;
  std::unique_ptr<Controller> agent_;
  double last_power_w_;  // that was measured; NaN: none was
};

}  // namespace fewwatt::learners
