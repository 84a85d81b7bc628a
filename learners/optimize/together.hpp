#pragma once

#include <array>

#include "learners/model.hpp"

namespace fewwatt::learners {

// Two workloads that run at the same time on one board, all the time.
struct Pair {
  // Of workload "a+b". Its time per unit of work, in ms, is max_i share_i time_i: until both have done their shares. The faster one
  // goes on meanwhile, and does more than its share. Power of the board in W.
  Model model;
  Matrix each_ms;  // [n,2] times of a unit of each
};

// How the pair's time and power are known.
enum class PairKnowledge {
  // From what each takes alone. t is a workload's time, f a clock, and kernels_i the time of workload i's GPU kernels:
  //   Cores are shared. Alone with half of the cores, a workload takes h_i, interpolated between numbers of cores in logs.
  //   kernels_i = t_i u_i, in the mode with the same GPU and memory clocks and the fastest CPU, where kernels show best;
  //     u = g + m g / (g + c), with g, m and c = -d log t / d log f of the GPU's, memory's and CPU's clock. The part of the time
  //     that follows the memory clock is divided between kernels and CPU as the parts are that follow the GPU's and the CPU's.
  //   The GPU serves one of them at a time: mean-value analysis of two customers at one station (Reiser & Lavenberg 1980,
  //     J. ACM 27) gives  time_i = h_i (1 + v_a v_b),  v_i = min(1, kernels_i / h_i). A workload that comes to the GPU finds it as
  //     busy as the other one keeps it when alone.
  //   The energy above idle per unit of work stays the same:  power = idle + sum_i (power_i - idle) t_i / time_i,  where idle is the
  //     least power of any mode in either model.
  // Contention for memory bandwidth is not modelled. The variances hold kPairTimeError and kPairPowerError.
  predicted,
  // Each model was measured while the other workload ran: times are as measured, and the power is the mean of both.
  measured
};

// Standard deviations of log (predicted / true) on simulated boards, which contend for cores, GPU and memory; see the test.
inline constexpr double kPairTimeError = 0.2, kPairPowerError = 0.09;

// `shares` as in Turn. Throws std::invalid_argument when the models are of different boards or modes, a time or a power
// column is missing, or, to predict, there is no gpu_khz knob.
Pair run_together(const Model& a, const Model& b, const std::array<double, 2>& shares, PairKnowledge how);

}  // namespace fewwatt::learners
