#pragma once

#include <cstdint>
#include <string>

#include "learners/optimize/schedule.hpp"

namespace fewwatt::learners {

// The library of evolve.cpp is optional: it needs pagmo2 (FEWWATT_PAGMO), and the board's build leaves it out.

// The sizes of the genetic search of evolve_turns().
struct EvolveOptions {
  unsigned population = 100;    // >= 4, even
  unsigned generations = 1000;  // of all restarts together, >= 1
  unsigned restarts = 5;        // populations that know nothing of each other, >= 1
  std::uint64_t seed = 0;       // of the populations
  std::string error() const;    // "" when valid
};

// Picks of small excess and score for any number of workloads, by pagmo2's simple genetic algorithm (Biscani & Izzo 2020, J. Open
// Source Software 5). A gene is the level of one knob for one workload, or the way of running one workload; with one_setting all
// workloads share the genes of the knobs. Where genes ask for a mode that does not exist or is over the power limit, the next mode
// with all clocks a little lower stands in. Each population starts with each workload's modes of least time + w energy, for some
// weights w, improved by single changes; the result is improved in the same way. It is not exact: the test says how far off it is. The
// same seed gives the same picks, with the same standard library. Throws std::invalid_argument when options.error().
Picks evolve_turns(const TurnsProblem& problem, const EvolveOptions& options = {});

}  // namespace fewwatt::learners
