#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "learners/control/controller.hpp"
#include "learners/control/tabular.hpp"
#include "learners/options.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::learners {

// Those of the table, and what the reward needs.
struct TabularControllerOptions : TabularOptions {
  double lambda = 10;            // of the reward, tasks::ModeMdpOptions
  void each(OptionVisitor& on);  // all but seed
  std::string error() const;     // "" when valid
};

inline constexpr std::size_t kMostTabularModes = 100'000;  // bound of the number of modes

// Q-learning and Dyna-Q (TabularAgent) over the power modes of a space: a state is the number of the present mode, an action moves one knob
// by one level or stays (tasks::ModeActions), and the reward is tasks::mode_worth() in its scaled form. It measures the lowest mode first,
// whose time is the unit of time, and ends when no measurement is left. What is measured next is taken as what its action led to, whatever
// the mode. Values are of one budget: where that changes, it starts anew.
class TabularController final : public Controller {
 public:
  // Throws std::invalid_argument for options.error(), and for more than kMostTabularModes modes.
  TabularController(std::shared_ptr<const hw::PowerModeSpace> space, const TabularControllerOptions& options);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return measured_.fastest(budget_w_); }

 private:
  TabularAgent new_agent() const;

  std::shared_ptr<const hw::PowerModeSpace> space_;
  TabularControllerOptions options_;
  tasks::ModeMdpOptions reward_;
  tasks::ModeActions actions_;
  TabularAgent agent_;
  MeasuredModes measured_;
  double reference_ms_, budget_w_ = tasks::kNoBudget;
  std::optional<std::size_t> state_;   // that was measured last
  std::optional<std::size_t> action_;  // that was taken there
};

}  // namespace fewwatt::learners
