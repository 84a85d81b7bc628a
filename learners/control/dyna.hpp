#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/random.hpp"
#include "learners/control/controller.hpp"
#include "learners/options.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::learners {

// How a DynaController plans.
struct DynaOptions {
  double discount = 0.9;         // gamma, in [0, 1)
  double epsilon = 0.1;          // probability of an action drawn evenly in place of the best one
  double lambda = 10;            // of the reward, tasks::ModeMdpOptions
  std::size_t planning = 5000;   // simulated steps before each measurement
  std::size_t horizon = 20;      // of which so many follow one another
  std::uint64_t seed = 0;        // of random actions
  void each(OptionVisitor& on);  // all but seed
  std::string error() const;     // "" when valid
};

inline constexpr std::size_t kMostDynaModes = 20'000;  // bound of the number of modes

// Dyna-Q (Sutton & Barto 2018, section 8.2) over the power modes of a space: a state is the present mode, an action moves one knob by one
// level or stays (tasks::ModeActions), and the model of what a step brings is a learner's prediction of time and power, or what was measured
// of the mode, through tasks::mode_worth() in its scaled form. It plans by trajectories from the present mode (section 8.6), epsilon-greedy,
//   Q(s,a) <- r(s') + discount max_a' Q(s',a')
// from Q = 0, which is more than any mode is worth, so that plans try everything nearby. It measures the lowest mode first, and ends when no
// measurement is left.
class DynaController final : public Controller {
 public:
  // Throws std::invalid_argument for options.error(), without a learner, and for more than kMostDynaModes modes.
  DynaController(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
                 DynaOptions options = {}, tasks::Characteristics characteristics = {});
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return measured_.fastest(budget_w_); }
  const Matrix& values() const { return values_; }  // Q, [modes, actions]

 private:
  void model();  // rewards_
  void plan();
  std::size_t best(std::size_t state) const;
  std::size_t chosen(std::size_t state);  // epsilon-greedy
  std::size_t target(std::size_t state, std::size_t action);

  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::shared_ptr<const Learner> learner_;
  DynaOptions options_;
  tasks::Characteristics characteristics_;
  hw::Rng rng_;
  std::vector<hw::PowerMode> modes_;
  tasks::ModeActions actions_;
  std::vector<std::size_t> targets_;  // of state and action; modes_.size(): not looked up yet
  Matrix values_;
  Vector rewards_;  // of each mode
  MeasuredModes measured_;
  double reference_ms_, budget_w_ = tasks::kNoBudget;
  std::optional<std::size_t> state_;  // that was measured last
};

}  // namespace fewwatt::learners
