#pragma once

#include <array>

#include "learners/model.hpp"

namespace fewwatt::learners {

// Two workloads that run at the same time on one board, all the time.
struct Pair {
  // Of workload "a+b": time per unit of work in ms, max_i share_i time_i, until both have done their shares, of which the
  // faster one does more; power of the board in W.
  Model model;
  Matrix each_ms;  // [n,2] times of a unit of each
};

// How the pair's time and power are known.
enum class PairKnowledge {
  // From what each takes alone. t is a workload's time, f a clock, and kernels_i the time of workload i's GPU kernels:
  //   cores are shared: a workload alone with half of them takes h_i, interpolated between numbers of cores in logs;
  //   kernels_i = t_i u_i in the mode with the same GPU and memory clocks and the fastest CPU, where they show best;
  //     u = g + m g / (g + c), with g, m and c = -d log t / d log f of the GPU's, memory's and CPU's clock: what follows
  //     the memory clock is the kernels' in the ratio of what follows the GPU's and the CPU's;
  //   the GPU serves one of them at a time: mean-value analysis of two customers at one station (Reiser & Lavenberg 1980,
  //     J. ACM 27) gives  time_i = h_i (1 + v_a v_b),  v_i = min(1, kernels_i / h_i): an arriving one finds it as busy as
  //     the other keeps it alone;
  //   energy above idle per unit of work stays:  power = idle + sum_i (power_i - idle) t_i / time_i,  where the
  //     least power of any mode in either model stands for idle.
  // What memory bandwidth costs beyond that is not modelled. The stddevs hold kPairTimeError and kPairPowerError.
  predicted,
  // Each model was measured while the other workload ran: times are as they are, and the power is the mean of both.
  measured
};

// Standard deviations of log (predicted / true) on simulated boards, which contend for cores, GPU and memory; see the test.
inline constexpr double kPairTimeError = 0.2, kPairPowerError = 0.09;

// `shares` as in Turn. Throws std::invalid_argument when the models are of different boards or modes, a time or a power
// column is missing, or, to predict, there is no gpu_khz knob.
Pair run_together(const Model& a, const Model& b, const std::array<double, 2>& shares, PairKnowledge how);

}  // namespace fewwatt::learners
