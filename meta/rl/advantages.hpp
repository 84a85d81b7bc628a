#pragma once

#include "tasks/episode.hpp"

namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// What t steps of b environments side by side were worth, each [t,b].
struct StepValues {
  Matrix rewards;  // of the step
  Matrix values;   // V of what was observed before the step
  Matrix
      next_values;  // V of what was observed after it, of the episode's last observation where it ended with the step
  Matrix terminated;  // 1 = the episode ended there for good, so that next_values does not count
  Matrix ended;       // 1 = the next row is of another episode: terminated, or cut off
};

// Generalised advantages (Schulman et al. 2016, eq. 11 and 16), [t,b]:
//   delta_t = r_t + discount V(s_t+1) (1 - terminated_t) - V(s_t)
//   A_t     = delta_t + discount trace A_t+1 (1 - ended_t),   0 after the last row
Matrix generalised_advantages(const StepValues& steps, double discount, double trace);

// (x - mean) / (standard deviation + 1e-8) over the rows that weigh 1 rather than 0; the others become 0.
Vector normalised(const Vector& x, const Vector& weights);

}  // namespace fewwatt::meta
