#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"

namespace fewwatt::learners {

// Workloads that take turns on one board, each in a mode of its own or all in one.

// A workload that takes turns with others, and its models. Several models are ways of running it that a mode does not set, such as
// worker counts or batch sizes. A unit of work is what the first model counts.
struct Turn {
  std::vector<const Model*> models;  // at least one; they must outlive what is made of the turn
  double share = 1;                  // of the units of work, > 0; those of all workloads sum to 1
};

// What it costs to change the board's settings between two turns: nothing when they are equal, slow_ms when the number of cores or the
// memory clock differs (cores go on and off one by one, memory clocks change slowly), and fast_ms otherwise.
struct Switching {
  double fast_ms = 0;  // >= 0
  double slow_ms = 0;  // >= fast_ms
  double units = 1;    // of work in one round, in which each workload has one turn, in the given order; > 0
  std::string error() const;  // "" when valid
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
  std::vector<double> shares;                    // of the workloads in all units of work; they sum to 1
  Switching switching;                           // what changes between turns cost
  Objective objective;                           // of the mean time and power
  double max_time_ms;                            // per unit of work; infinity = no limit
  double max_energy_j;                           // the same
  bool one_setting = false;                      // for all workloads
  double power_excess =
      1;  // 1 where each workload has an option within the power limit, else by how much it is broken
};

bool counts_energy(const TurnsProblem& problem);  // whether energy matters to the objective or to a limit
// The problem of these turns. Its options are those whose power keeps the limit at the budget's confidence; where a workload has none
// (with one_setting: no setting keeps it for all), those that break it least. Where max_time_ms or max_energy_j is a limit at a
// confidence other than 0.5, times and energies are upper bounds at that confidence, and their sum is one too if the errors of all
// workloads go together. Throws std::invalid_argument when there is no model, models are of different
// boards or knobs, shares, switching or budget are bad, models of a workload do not count in the same unit, a column that
// is needed is unknown, the objective is power (which idling would minimise), or one_setting has no setting in common.
TurnsProblem turns_problem(std::span<const Turn> turns, const Objective& objective, const PowerBudget& budget,
                           const Switching& switching, bool one_setting);

// Shares that sum to 1: negative ones become 0, and all are divided by their sum. Throws std::invalid_argument unless all are finite
// and one is positive.
std::vector<double> normalised_shares(std::span<const double> shares);

using Picks = std::vector<std::uint32_t>;  // of TurnsProblem::options, one per workload
// What picks come to: sums over the workloads, with what the changes between them cost.
struct Totals {
  double time_ms = 0, energy_j = 0;              // per unit of work, from medians
  double bound_time_ms = 0, bound_energy_j = 0;  // what excess and score are of
  int fast_switches = 0;                         // changes of other knobs alone, in one round
  int slow_switches = 0;                         // changes of the cores or of the memory clock, in one round
  double excess = 1;                             // the largest of total / limit and power_excess, at least 1
  double score = 0;                              // Objective of the time and the mean power
  bool fits() const { return excess <= 1; }      // whether all limits are kept
};
Totals totals_of(const TurnsProblem& problem, const Picks& picks);  // what these picks come to

// The exact picks of least excess, and among these of least score. Fronts of time and energy are summed up workload by workload, once
// for each pattern of equal, fast and slow changes between neighbours, because a mode that is beaten in both is of use only where it
// makes a change cheaper. Throws std::invalid_argument for more than kMaxExactTurns workloads.
inline constexpr std::size_t kMaxExactTurns = 4;
Picks best_turns(const TurnsProblem& problem);

}  // namespace fewwatt::learners
