#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learners/encode.hpp"
#include "learners/sim_population.hpp"
#include "tasks/task.hpp"

namespace fewwatt::learners {

// Workloads that are made of two measured ones. In half of them the two run one after the other; in the others they overlap. With t_i
// the times of a workload over their mean, times a random share, which is 1 - that for the other workload:
//   t = (t_i^o + t_j^o)^(1/o)                       o = 1: times add up; 20: the longer one counts, as in a roofline
//   p = s + (t_i (p_i - s) + t_j (p_j - s)) / t     s: the least that a measured workload draws in that mode
// so that each takes the energy that it takes alone, and what the board draws in any case counts once. The measured workloads
// themselves come first. In blends only one of the two was measured; the other one was simulated, and counts as drawing s where it
// draws less.
class Mixtures {
 public:
  // `count` of them, drawn with the seed. logs[t]: [w,g] log y of w workloads in g modes, [0,0] where they lack that target. Fewer than
  // two are not mixed. others > 0: blends of one of them and one of so many that were not measured.
  Mixtures(const std::array<Matrix, tasks::kNumTargets>& logs, std::size_t count, std::uint64_t seed,
           std::size_t others = 0);

  // Number of mixtures, or of blends. The measured workloads themselves count as mixtures. It is 0 where there are fewer than two measured
  // workloads.
  std::size_t size() const { return pairs_.size(); }

  // Logs of the mixtures `which` in those of the g modes that have these positions, [which, modes]; a target that is lacking is [0,0].
  // others: logs of these in the same modes, [others, modes]; of time less its mean, of power in the units of w's.
  SimPopulation::Logs simulate(std::span<const Eigen::Index> modes, std::span<const std::size_t> which,
                               const SimPopulation::Logs& others = {}) const;

 private:
  struct Pair {
    Eigen::Index i, j;  // the others come after the measured ones
    float share, overlap;
  };
  std::array<SimPopulation::Rows, tasks::kNumTargets> values_;  // [w,g]
  SimPopulation::Rows log_times_;                               // [w,g]
  std::vector<Pair> pairs_;
};

}  // namespace fewwatt::learners
