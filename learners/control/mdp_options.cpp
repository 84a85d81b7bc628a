#include "learners/control/mdp_options.hpp"

namespace fewwatt::learners {

void visit_options(tasks::ModeMdpOptions& options, OptionVisitor& on) {
  on.choice<tasks::ModeTask>("task", options.task, tasks::kModeTasks,
                             "find: the best mode that is found counts; run: every step does");
  on.choice<tasks::ModeActionKind>(
      "actions", options.actions, tasks::kModeActionKinds,
      "jump: an action is a mode to go to; move: one knob up or down by one level, or stay");
  on.choice<tasks::RewardForm>(
      "reward", options.reward, tasks::kRewardForms,
      "scaled: time relative to the lowest mode, power to the budget; posed: ms and W; "
      "log: scaled, with the log of the time");
  on.real("lambda", options.lambda, 0, tasks::kMostLambda, "price of power over the budget");
  on.whole("measurements", options.measurements, 2, static_cast<std::int64_t>(tasks::kMostMeasurements),
           "measurements of an episode, the first one included");
  on.whole("candidates", options.candidates, 0, static_cast<std::int64_t>(tasks::kMostActions),
           "modes that can be jumped to in training, drawn for each episode; 0: all");
  on.real("switch_share", options.switch_share, 0, 0.9, "part of a step that a change of modes takes");
}

}  // namespace fewwatt::learners
