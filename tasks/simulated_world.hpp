#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hw/random.hpp"
#include "hw/simulated_device.hpp"
#include "tasks/world.hpp"

namespace fewwatt::tasks {

// A simulated board and its modes.
struct SimulatedPlace {
  hw::SimulatedBoard board;                         // what simulated times and powers follow from
  std::shared_ptr<const hw::PowerModeSpace> space;  // its modes
};

// What runs on a board, and clocks that something else has capped. Setting a knob above its cap has no effect beyond the cap.
struct Conditions {
  hw::SimulatedWorkload workload;  // what runs
  std::vector<int> caps;           // per knob of the space
};
// Without a cap.
Conditions uncapped(const hw::PowerModeSpace& space, const hw::SimulatedWorkload& workload);
// What a mode costs, without noise.
hw::Measurement cost_under(const SimulatedPlace& place, const Conditions& conditions,
                           const hw::PowerMode& mode);

// The kinds of change. batch-half, batch-double: batches of another size. crossed: ResNet on MobileNet's data becomes MobileNet on
// ResNet's, or back; any other workload becomes the first. cpu-capped, gpu-capped, memory-capped: something else caps a clock below
// what the present mode has; nothing changes where that cannot be. workload: another of `workloads`, without a cap.
std::vector<std::string> change_kinds();
// The two workloads of crossed.
std::pair<const hw::SimulatedWorkload&, const hw::SimulatedWorkload&> crossed_workloads();
// Throws std::invalid_argument for an unknown kind.
Conditions changed(const SimulatedPlace& place, const std::vector<hw::SimulatedWorkload>& workloads,
                   const Conditions& from, const std::string& kind, const hw::PowerMode& mode, hw::Rng& rng);

// What is drawn for an episode in a simulated world.
struct SimulatedWorldOptions {
  std::vector<SimulatedPlace> places;            // one of them, evenly
  std::vector<hw::SimulatedWorkload> workloads;  // one of them, evenly
  // The budget, W: evenly from [first_w, last_w], again and again until a mode keeps it. Both 0: the power that a share of the modes stays
  // below, the share evenly from [low_share, high_share]; of spaces with more than kBudgetModes modes so many are looked at.
  double first_w = 0, last_w = 0;
  double low_share = 0.1;     // least share of modes below the budget
  double high_share = 0.9;    // greatest one
  double time_noise = 0.01;   // standard deviation of the log of a measured time, in [0, 1]
  double power_noise = 0.01;  // the same of a measured power
  double rejected = 0;        // probability that a measurement is rejected, in [0, 1)
  // So many changes come at random among the first `steps` steps, of the workload (change_kinds(), evenly) and of the budget by turns.
  // Where a change leaves no mode inside the budget, there is a new budget too.
  std::size_t steps = 0, changes = 0;
  std::string error() const;  // "" when valid
};
inline constexpr std::size_t kBudgetModes = 200;

// What agents are trained on before they meet a real board: so many boards that nobody built, each with the modes of `space`
// (hw::random_board_with), and so many workloads that nobody wrote (hw::random_workload). All else is as by default.
SimulatedWorldOptions random_population(std::shared_ptr<const hw::PowerModeSpace> space, std::size_t boards,
                                        std::size_t workloads, std::uint64_t seed);

// A simulated board whose workload and budget change while it is used.
class SimulatedWorld final : public World {
 public:
  explicit SimulatedWorld(SimulatedWorldOptions options);  // throws std::invalid_argument for options.error()
  // Throws std::runtime_error where no budget of [first_w, last_w] is kept by any mode.
  void reset(std::uint64_t seed) override;
  std::shared_ptr<const hw::PowerModeSpace> space() const override { return place().space; }
  Characteristics characteristics() const override;
  double budget_w() const override { return budget_w_; }
  hw::Measurement measure(const hw::PowerMode& mode) override;
  void advance() override;
  std::optional<hw::Measurement> truth(const hw::PowerMode& mode) const override;
  const Conditions& conditions() const { return conditions_; }  // of this step

 private:
  const SimulatedPlace& place() const { return options_.places[place_]; }
  void draw_budget();
  bool a_mode_fits() const;
  void change_workload();

  SimulatedWorldOptions options_;
  std::size_t place_ = 0;
  hw::Rng rng_{0}, noise_{0};
  Conditions conditions_;
  hw::PowerMode mode_;  // that was measured last
  double budget_w_ = kNoBudget;
  std::vector<std::size_t> change_at_;  // steps, ascending
  std::size_t step_ = 0, next_change_ = 0;
};

}  // namespace fewwatt::tasks
