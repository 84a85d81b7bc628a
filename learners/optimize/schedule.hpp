#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"

namespace fewwatt::learners {

// Workloads that take turns on one board, each in a mode of its own or all in one.

// A workload that takes its turns in one of these models' modes. Several models are ways of running it that a mode does
// not set, such as worker counts or batch sizes; a unit of work is one of the first model's.
struct Turn {
  std::vector<const Model*> models;
  double share = 1;  // of the units of work, > 0; those of all workloads sum to 1
};

// Changing the board's settings between two turns costs nothing when they are equal, slow_ms when the number of cores or
// the memory clock differs (cores go on and off line one by one, memory clocks change slowly), and fast_ms otherwise.
struct Switching {
  double fast_ms = 0;  // >= 0
  double slow_ms = 0;  // >= fast_ms
  double units = 1;    // of work in one round, in which each workload has one turn, in the given order; > 0
  std::string error() const;
};

// A way of running a unit of a workload.
struct TurnOption {
  std::uint32_t setting;                 // index into TurnsProblem::settings
  std::uint32_t model, row;              // of Turn::models, and of its table
  double time_ms, energy_j;              // of one unit of the first model; medians
  double bound_time_ms, bound_energy_j;  // what is decided by: medians, or upper bounds; see turns_problem
  double power_w;                        // median
};

// What is to be decided: one option per workload. Totals are per unit of work, i over workloads, n = Switching::units:
//   time   = sum_i share_i time_i + sum_i c(i, i+1) / n
//   energy = sum_i share_i energy_i + sum_i c(i, i+1) power_i / n       during a switch the board draws what it drew before
// with c of Switching between a workload's settings and those of the next, the last one's next being the first.
struct TurnsProblem {
  std::vector<hw::PowerMode> settings;           // the modes' without batch sizes, ascending
  std::vector<std::uint32_t> groups;             // of each setting: equal where changing is fast
  std::vector<std::vector<TurnOption>> options;  // per workload, by setting; all within the power limit
  std::vector<double> shares;
  Switching switching;
  Objective objective;
  double max_time_ms, max_energy_j;
  bool one_setting = false;  // for all workloads
  double power_excess =
      1;  // 1 where each workload has an option within the power limit, else by how much it is broken
};

bool counts_energy(const TurnsProblem& problem);  // does energy matter to the objective or a limit
// The options are those whose power keeps the limit at the budget's confidence, or, where a workload has none (for
// one_setting: no setting has for all), breaks it least. Where max_time_ms or max_energy_j limits at a confidence other
// than 0.5, times and energies are upper bounds at it: a sum is then exceeded with at most that probability if the
// errors of workloads go together. Throws std::invalid_argument when there is no model, models are of different
// boards or knobs, shares, switching or budget are bad, models of a workload do not count in the same unit, a column that
// is needed is unknown, the objective is power (which idling would minimise), or one_setting has no setting in common.
TurnsProblem turns_problem(std::span<const Turn> turns, const Objective& objective, const PowerBudget& budget,
                           const Switching& switching, bool one_setting);

// Shares as they were meant: a negative one is none, 0, and the others are divided by their sum. Throws std::invalid_argument
// unless all are finite and one is positive.
std::vector<double> normalised_shares(std::span<const double> shares);

using Picks = std::vector<std::uint32_t>;  // of TurnsProblem::options, one per workload
struct Totals {
  double time_ms = 0, energy_j = 0;              // per unit of work, from medians
  double bound_time_ms = 0, bound_energy_j = 0;  // what excess and score are of
  int fast_switches = 0, slow_switches = 0;
  double excess = 1;  // the largest of total / limit and power_excess, at least 1
  double score = 0;   // Objective of the time and the mean power
  bool fits() const { return excess <= 1; }
};
Totals totals_of(const TurnsProblem& problem, const Picks& picks);

// The picks of least excess, then of least score, exactly. Fronts of time and energy are summed up workload by workload,
// once for each pattern of equal, fast and slow changes between neighbours: modes that are beaten in both are of use only
// where they make a change cheaper. Throws std::invalid_argument for more than kMaxExactTurns workloads.
inline constexpr std::size_t kMaxExactTurns = 4;
Picks best_turns(const TurnsProblem& problem);

}  // namespace fewwatt::learners
