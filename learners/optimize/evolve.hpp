#pragma once

#include <cstdint>
#include <string>

#include "learners/optimize/schedule.hpp"

namespace fewwatt::learners {

// The library of evolve.cpp is optional: it needs pagmo2 (FEWWATT_PAGMO), and the board's build leaves it out.

struct EvolveOptions {
  unsigned population = 100;    // >= 4, even
  unsigned generations = 1000;  // of all restarts together, >= 1
  unsigned restarts = 5;        // populations that know nothing of each other, >= 1
  std::uint64_t seed = 0;
  std::string error() const;  // "" when valid
};

// Picks of little excess and score for any number of workloads: pagmo2's simple genetic algorithm (Biscani & Izzo 2020,
// J. Open Source Software 5) on one gene per workload and knob, its level, and one for the way of running it; for
// one_setting the knobs' genes are common. A gene that asks for a mode which is over the power limit or not there means
// the next one with all clocks a little lower. Each population starts with what single changes make of each workload's
// modes of least time + w energy, for some weights w, and what it ends with is improved by such changes. Not exact: see the test for how far off it is. The same
// seed gives the same picks, with the same standard library. Throws std::invalid_argument when options.error().
Picks evolve_turns(const TurnsProblem& problem, const EvolveOptions& options = {});

}  // namespace fewwatt::learners
