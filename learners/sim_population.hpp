#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hw/power_mode.hpp"

namespace fewwatt::learners {

// Workloads that might exist, each on hardware that might exist, as what their time and power owe to the clocks. Kept as
// parameters; evaluated where needed, in float. Of another form than hw::SimulatedBoard, so that boards simulated by
// that one test it fairly. With x = setting / highest level of a knob (1 where there is none), cores n and N in number,
// clocks c, g, e of CPU, GPU and memory, batch b:
//   kernels  |G h / g^., M h (e^-. + w / g)|_p             |a, b|_p = (a^p + b^p)^(1/p), h = f + (1 - f) b
//   gpu      |kernels, L / c^.|_q, or their sum, or the kernels alone
//   time     (gpu + serial b / c^. + parallel b / (c min(N, w)) + memory b / e + stall + fixed) (1 + crowding (1/N - 1/4)) / b
//   stall    s log(1 + exp((fetch b / (c min(N, v)) - gpu) / s))
//   power    a + b e^. + traffic u_mem e^. + V(g)^2 g (idle + busy u_gpu) + V(c)^2 c (idle N + busy u_cpu) + leakage
// u are shares of the time; V is 1 at the top and flat below a knee. A power limit lowers g until the power is inside.
class SimPopulation {
 public:
  // One row for each workload, in float.
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  // Draws `count` workloads. Those of a larger population with the same seed begin with these.
  SimPopulation(std::size_t count, std::uint64_t seed);
  ~SimPopulation();
  std::size_t size() const;  // number of workloads

  // What workloads take in modes.
  struct Logs {
    Rows time, power;  // [which, modes] logs, in units of their own
  };
  // Of the workloads at the positions `which`. Throws std::invalid_argument for a workload that is not there.
  Logs simulate(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
                std::span<const std::size_t> which) const;

 private:
  struct Workload;
  std::vector<Workload> workloads_;
};

}  // namespace fewwatt::learners
