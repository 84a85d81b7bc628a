#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/simulated_device.hpp"

namespace fewwatt::datasets {

// What a simulation makes at most: devices, workloads, and measured modes of all profiles together.
inline constexpr std::size_t kMostSimulated = 100'000, kMostSimulatedRows = 20'000'000;

// Every workload on every device. Named devices and random ones exclude each other.
struct SimulationRequest {
  std::vector<std::string> devices{};  // of hw::simulated_boards()
  // Of hw::simulated_workloads(); "a+b": a while b runs all the time, with the power of both.
  std::vector<std::string> workloads{};
  std::size_t random_devices = 0;  // a population, each with a space of its own
  std::size_t random_workloads = 0;
  // Of named devices: "full", a grid of hw::profiled_grids(), or a number of modes drawn from the full grid.
  std::string grid = "full";
  bool noise = true;  // false: time_ms and power_w are the true ones
  std::uint64_t seed = 0;

  std::string error() const;  // "" when valid; names of boards, workloads and grids are looked up later
};

// The five workloads of PowerTrain (doi 10.1016/j.future.2024.07.001).
std::vector<std::string> powertrain_workloads();

// One profile, time per minibatch, with time_true_ms and power_true_w. `modes` are of *space, in any order. Workloads
// `beside` run all the time; the profile's name then is "a+b".
Profile generate_profile(const hw::SimulatedBoard& board, const hw::SimulatedWorkload& workload,
                         std::shared_ptr<const hw::PowerModeSpace> space, std::vector<hw::PowerMode> modes,
                         const hw::SimulatedNoise& noise,
                         const std::vector<hw::SimulatedWorkload>& beside = {});

// So many workloads that might exist, each on a board of its own that might exist (hw::random_board_with), in `modes` of
// *space: what a learner can train on where there are few profiles of these knobs, or none. Named
// random-board-I/random-I; noise.seed is that of the boards and workloads too. Throws std::invalid_argument beyond
// kMostSimulated or kMostSimulatedRows.
std::vector<Profile> generate_population(std::shared_ptr<const hw::PowerModeSpace> space,
                                         const std::vector<hw::PowerMode>& modes, std::size_t count,
                                         const hw::SimulatedNoise& noise);

// Throws std::invalid_argument for what error() says, and for unknown names, offering the nearest.
ProfileStore generate_profiles(const SimulationRequest& request);

}  // namespace fewwatt::datasets
