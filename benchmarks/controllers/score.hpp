#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "learners/control/controller.hpp"
#include "tasks/mode_mdp.hpp"
#include "tasks/world.hpp"

// What becomes of one contestant in one episode. The truth counts, not what was measured.
namespace fewwatt::benchmarks {

// A mode is over a budget when its true power is above it by more than this fraction.
inline constexpr double kControlMargin = 0.01;

// A measurement that a contestant made.
struct ControlVisit {
  hw::PowerMode mode;     // that was measured
  hw::Measurement truth;  // its time and power at that step, without noise
  double budget_w = 0;    // W, of that step
};

// The sums over an episode's steps.
struct ControlScore {
  std::vector<ControlVisit> visits;  // all of the episode, in order
  std::size_t over = 0;              // steps over the budget
  std::size_t longest_over = 0;      // of them one after the other, at most
  double over_watt_steps = 0;        // sum of the watts over the budget
  // find: the rise of the greatest r of tasks::mode_worth() from that of the lowest mode; run: the sum of r.
  double reward = 0;
  double seconds = 0;  // wall time of the contestant's decisions
  // run: sum over the steps of the rate of work over that of the fastest mode inside the budget, at most 1; a change of modes costs its
  // share of the step.
  double work = 0;
  // find: how much slower the recommended mode is than the fastest one inside the budget, a fraction, at least 0; infinite where the budget
  // is broken or nothing is recommended. nullopt: no mode is inside.
  std::optional<double> regret = {};
  std::optional<hw::PowerMode> answer = {};  // find: the recommended mode
};

// Runs a controller in a world, whose episode has begun, for at most options.measurements, and scores it. The world must know the truth.
ControlScore score_controller(learners::Controller& controller, tasks::World& world,
                              const tasks::ModeMdpOptions& options);

}  // namespace fewwatt::benchmarks
