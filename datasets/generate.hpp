#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/simulated_device.hpp"

namespace fewwatt::datasets {

// The most that a simulation makes: devices and workloads; measured modes of all profiles together.
inline constexpr std::size_t kMostSimulated = 100'000, kMostSimulatedRows = 20'000'000;

// What to simulate: every workload on every device. Either named devices or random ones.
struct SimulationRequest {
  std::vector<std::string> devices{};  // of hw::simulated_boards()
  // Of hw::simulated_workloads(); "a+b": a while b runs all the time, with the power of both.
  std::vector<std::string> workloads{};
  std::size_t random_devices = 0;    // number of random devices, each with a space of its own
  std::size_t random_workloads = 0;  // number of random workloads on every device
  // Modes of named devices: "full", a grid of hw::profiled_grids(), or a number of modes drawn from the full grid.
  std::string grid = "full";
  bool noise = true;       // false: time_ms and power_w are without noise
  std::uint64_t seed = 0;  // of random devices, workloads, modes and noise

  std::string error() const;  // "" when valid; names of boards, workloads and grids are not looked up here
};

// The five workloads of PowerTrain (doi 10.1016/j.future.2024.07.001).
std::vector<std::string> powertrain_workloads();

// What a simulated workload is; `source` says who simulated it.
WorkloadAttributes attributes_of(const hw::SimulatedWorkload& workload, const std::string& source);

// The profile of a workload on a board, time per minibatch, with time_true_ms and power_true_w. `modes` are of *space, in any order.
// The workloads `beside` run all the time; the profile is then called "a+b".
Profile generate_profile(const hw::SimulatedBoard& board, const hw::SimulatedWorkload& workload,
                         std::shared_ptr<const hw::PowerModeSpace> space, std::vector<hw::PowerMode> modes,
                         const hw::SimulatedNoise& noise,
                         const std::vector<hw::SimulatedWorkload>& beside = {});

// Profiles of `count` random workloads, each on a random board of its own (hw::random_board_with), in `modes` of *space: a learner
// can train on these where there are few profiles of these knobs, or none. They are called random-board-I/random-I; noise.seed is
// also that of boards and workloads. Throws std::invalid_argument beyond kMostSimulated or kMostSimulatedRows.
std::vector<Profile> generate_population(std::shared_ptr<const hw::PowerModeSpace> space,
                                         const std::vector<hw::PowerMode>& modes, std::size_t count,
                                         const hw::SimulatedNoise& noise);

// The profiles of a request. Throws std::invalid_argument where error() is not "", and for unknown names, offering the nearest.
ProfileStore generate_profiles(const SimulationRequest& request);

}  // namespace fewwatt::datasets
