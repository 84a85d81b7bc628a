#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hw/device.hpp"
#include "hw/modules.hpp"

namespace fewwatt::hw {

// A board as physics: constants that all workloads share. Work is counted in ms GHz: what takes so many ms at
// 1 GHz on a Jetson AGX Xavier; speeds are relative to that board. With f in GHz, one unit of work on a core takes
//   c = 1 / (cpu_speed f_cpu) + cpu_memory / (mem_speed f_mem)
struct SimulatedBoard {
  std::string name;  // of hw/modules.hpp, or any other
  // Where a mode has no setting for a knob, it stands at its top.
  double cores = 8;             // number of cores
  double cpu_top_ghz = 2.2656;  // highest clock of the CPU
  double gpu_top_ghz = 1.377;   // highest clock of the GPU; 0: no GPU
  double mem_top_ghz = 2.133;   // highest clock of the memory

  double cpu_speed = 1, gpu_speed = 1, mem_speed = 1;  // work per clock, relative to a Jetson AGX Xavier
  double cpu_memory = 0.3;      // how long a unit of a core's work waits for memory, see c above
  double kernel_overlap = 1.5;  // p >= 1: kernels = (compute^p + traffic^p)^(1/p)
  double launch_overlap = 2;    // p >= 1: gpu = (kernels^p + launches^p)^(1/p)
  // A core away from the threads that want one, handing a minibatch over takes longer:
  //   handoff c (1 + handoff_crowding crowding), crowding = max(0, (workers + 2) / cores - 1)
  double handoff_crowding = 0.5;
  // Without a GPU the cores compute: compute (1 - parallel + parallel / cores) c host_slowdown
  double parallel = 0.95, host_slowdown = 8;

  // power_w = static_w + mem_w f_mem + traffic_w b                   b = traffic work done per time, in GHz
  //         + Vc^2 x_cpu (core_idle_w cores + core_busy_w load)      x = clock / top, load in cores
  //         + Vg^2 x_gpu (gpu_idle_w + gpu_busy_w activity)
  //   V(x) = max(floor, floor + (1 - floor) (x - knee) / (1 - knee)), so V(1) = 1
  double static_w = 1.5, mem_w = 2, traffic_w = 3;         // W; W per GHz
  double core_idle_w = 0.1, core_busy_w = 1;               // W of one core at its highest clock
  double gpu_idle_w = 1, gpu_busy_w = 15;                  // W at the highest clock
  double cpu_voltage_floor = 0.6, cpu_voltage_knee = 0.4;  // of V(x)
  double gpu_voltage_floor = 0.6, gpu_voltage_knee = 0.4;  // of V(x)

  std::string error() const;  // "" when valid
};

// Samples in the minibatches that the numbers of SimulatedNetwork and SimulatedPipeline are for.
inline constexpr double kSimulatedBatch = 16;
// The GPU's side of a workload.
struct SimulatedNetwork {
  std::string model;                             // name of the network
  double layers = 0, parameters = 0, flops = 0;  // 0 = not known; flops of one forward pass, batch 1

  double compute = 100;       // [ms GHz of the GPU]
  double traffic = 100;       // [ms GHz of the memory]
  double launch = 20;         // [ms GHz of a core] kernel launches; in sight when the GPU is fast
  double crowding = 0.2;      // launches take (1 + crowding * SimulatedBoard's crowding) as long
  double fixed_share = 0.25;  // of compute and traffic: does not grow with the batch

  // Activity of the GPU: (compute_activity compute + traffic_activity traffic) / time
  double compute_activity = 1, traffic_activity = 0.3;
  double traffic_power = 1;  // times SimulatedBoard::traffic_w
};

// The CPU's side: where minibatches come from.
struct SimulatedPipeline {
  std::string dataset;  // name of the data set
  double samples = 0;   // of one epoch; 0 = not known

  int workers = 4;           // processes that prefetch; 0: the training thread fetches, and the GPU waits
  double fetch = 100;        // [ms GHz of a core] of kSimulatedBatch samples
  double handoff = 5;        // [ms GHz of a core] per minibatch, that no prefetching removes
  double core_activity = 1;  // times SimulatedBoard::core_busy_w
};

// A network that is trained on a data set.
struct SimulatedWorkload {
  std::string name;                     // "resnet18"
  SimulatedNetwork network;             // the GPU's side
  SimulatedPipeline pipeline;           // the CPU's side
  double batch_size = kSimulatedBatch;  // samples in a minibatch

  double minibatches_per_epoch() const;  // 0 = not known
  std::string error() const;             // "" when valid
};

// What a mode asks for; a batch of 0 is the workload's own.
struct SimulatedSettings {
  double cores = 1, cpu_ghz = 1, gpu_ghz = 1, mem_ghz = 1;         // cores that are on; clocks
  double power_limit_w = std::numeric_limits<double>::infinity();  // lowers the GPU's clock until it is kept
  double batch_size = 0;                                           // samples in a minibatch
};

// Time and power of one minibatch, without noise, and what they consist of.
struct SimulatedCost {
  double time_ms = 0, power_w = 0;                     // of a minibatch; mean of the whole board
  double kernels_ms = 0, launches_ms = 0, gpu_ms = 0;  // gpu: kernels and launches, overlapping
  double fetch_ms = 0;                                 // of all workers together
  double stall_ms = 0;                                 // the GPU waits for data, hand-over included
  double gpu_ghz = 0;                                  // what a power limit leaves of the clock
};
// What a minibatch costs. Where the settings have a batch size, the time is that of as many samples as the workload's own minibatch has,
// so that modes can be compared.
SimulatedCost simulate(const SimulatedBoard& board, const SimulatedWorkload& workload,
                       const SimulatedSettings& settings);

// The same of workloads that run at once, one cost each; power_w is the whole board's in each. They share
//   cores: threads and loads add up, and so does the crowding of launches and hand-overs;
//   the GPU: drivers give its contexts slices of time, never two at once, so kernels take 1 + (1 + kSliceLoss) sum of held
//     over the others times as long, held being the share of time in which a workload's kernels run or wait to;
//   memory: what cores fetch from it waits behind the others' traffic, 1 + sum of their use of its bandwidth as long.
// kSliceLoss is an assumption, not measured. Throws std::invalid_argument when there is no workload.
inline constexpr double kSliceLoss = 0.04;
std::vector<SimulatedCost> simulate_together(const SimulatedBoard& board,
                                             std::span<const SimulatedWorkload> workloads,
                                             const SimulatedSettings& settings);

// The settings of a mode; knobs that the space lacks stand at the board's top.
SimulatedSettings settings_of(const SimulatedBoard& board, const PowerModeSpace& space,
                              const PowerMode& mode);

// ---- What is known ----

// Boards that are known, by the names of hw/modules.hpp; constants from benchmarks/calibrate_main.cpp, which says
// against which measurements.
std::span<const SimulatedBoard> simulated_boards();
std::span<const SimulatedWorkload> simulated_workloads();
// Throw std::invalid_argument offering the nearest names.
const SimulatedBoard& find_simulated_board(std::string_view name);
const SimulatedWorkload& find_simulated_workload(std::string_view name);

// ---- What might exist ----

// A random board and its modes.
struct RandomBoard {
  SimulatedBoard board;  // its physics
  PowerModeSpace space;  // its modes
};
// A board that nobody built, with a space of some hundred modes. Every other one has a reduced grid of a known
// Jetson; between them lie, in turn, power_limit_mw and batch_size; power_limit_mw, gpu_khz and mem_khz;
// cpu_cores and cpu_khz; cpu_khz, gpu_khz and mem_khz; gpu_khz and mem_khz.
RandomBoard random_board(std::uint64_t seed, std::uint64_t index);
// A board that nobody built, with the knobs of `space` and their highest levels: a host with a GPU if it has both kinds
// of clocks, a host alone without gpu_khz, a card without cpu_cores and cpu_khz.
SimulatedBoard random_board_with(const PowerModeSpace& space, std::uint64_t seed, std::uint64_t index);
// A workload that nobody wrote. Its flops and layers follow from its compute and launches within a factor of about 2, its parameters
// within a factor of 3, as those of real networks do.
SimulatedWorkload random_workload(std::uint64_t seed, std::uint64_t index);

// ---- As a device ----

// Noise of simulated measurements.
struct SimulatedNoise {
  double time = 0.01;      // time_ms = true time * exp(time z), z standard normal
  double power = 0.015;    // power_w = true power * exp(power z)
  std::uint64_t seed = 0;  // of z

  std::string error() const;  // "" when valid
};

// A simulated board that runs a workload, as a device to be measured.
class SimulatedDevice final : public Device {
 public:
  // With workloads `beside`, which run all the time, the measured time is still that of `workload`.
  // Throws std::invalid_argument when board, workloads or noise are not valid.
  SimulatedDevice(SimulatedBoard board, SimulatedWorkload workload, PowerModeSpace space,
                  SimulatedNoise noise = {}, const std::vector<SimulatedWorkload>& beside = {});
  const PowerModeSpace& space() const override { return space_; }
  // Depends on seed, board, workload and mode, not on what was measured before, nor on the rest of the space.
  // Throws DeviceError for a mode that is not in space().
  Measurement measure(const PowerMode& mode) override;
  Measurement measure_without_noise(const PowerMode& mode) const;  // throws as measure()

 private:
  SimulatedBoard board_;
  std::vector<SimulatedWorkload> workloads_;  // the measured one first
  PowerModeSpace space_;
  SimulatedNoise noise_;
};

}  // namespace fewwatt::hw
