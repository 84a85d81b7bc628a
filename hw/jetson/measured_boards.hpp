#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/clocks.hpp"
#include "hw/jetson/profiler.hpp"
#include "hw/jetson/session.hpp"
#include "hw/simulated_device.hpp"

namespace fewwatt::hw {

// The board we run on. Its clocks are put back at the end.
class JetsonBoard final : public LiveBoard {
 public:
  // Throws DeviceError in one sentence: no Jetson, clocks that may not be written, no sensor, another fewwatt at work.
  JetsonBoard(const JetsonOptions& options, Monotonic& time);

  const Board& board() const override { return clocks_->board(); }
  std::size_t replayed() const override { return session_->replayed(); }
  std::vector<std::string> restore() override { return session_->restore(); }
  std::map<std::string, std::string> setting() const override;

  const PowerModeSpace& space() const override { return clocks_->space(); }
  void apply(const PowerMode& mode) override { clocks_->apply(mode); }
  PowerSource& power() override;
  BoardState state() const override;

 private:
  FileSysfs files_;
  std::unique_ptr<ClockSession> session_;
  std::unique_ptr<Clocks> clocks_;
  std::unique_ptr<PowerSource> power_;  // nullptr: no_power_ says why
  std::string no_power_;
};

// Throws DeviceError in one sentence where the clocks of `board` may not be set. A cap of the memory's need not be.
void check_may_set(const Sysfs& files, Monotonic& time, const Board& board);

// What to measure and how, as the user of a program says it.
struct MeasuringOptions {
  std::string device;                     // "jetson", "simulated:BOARD" or "replay"
  std::string workload;                   // name of the simulated or replayed workload
  std::string grid;                       // modes of a simulated board; "" = full
  std::string profiles, profiled_device;  // with replay: the file of profiles, and the device in it
  std::vector<std::string> command;       // the program and its arguments; {}: the device answers by itself
  double simulated_speed = 1;             // how many times faster a simulated board's time passes
  double stop_grace_s = 10;               // between SIGTERM and SIGKILL
  bool program_output = false;            // whether the program's output is shown
  std::optional<SignalState> signals;     // for the program, see WorkloadOptions
  ProfilerOptions profiler;               // how modes are measured
  JetsonOptions jetson;                   // where the board's files are
  std::shared_ptr<BoardAccess> access;    // access to the board; none: DirectAccess

  bool simulated() const { return device.starts_with(kSimulated); }                 // a simulated board
  std::string simulated_board() const { return device.substr(kSimulated.size()); }  // its name
  std::string error() const;                                                        // "" when valid

  static constexpr std::string_view kSimulated = "simulated:";  // how the device of a simulated board begins
};

// The environment variable that names the file with the duration of a step, in ms. scripts/toy_workload reads it.
inline constexpr const char* kSimulatedStepVariable = "FEWWATT_SIMULATED_STEP_FILE";

// A simulated board with a real program: in each mode the program finds in a file how long a step takes.
class SimulatedBoardAtWork final : public MeasuredBoard {
 public:
  // `speed`: how much faster than the simulated board's our time passes. Throws DeviceError when the file cannot be written.
  SimulatedBoardAtWork(SimulatedDevice device, std::string step_file, double speed, std::uint64_t seed);
  ~SimulatedBoardAtWork() override;

  const PowerModeSpace& space() const override { return device_.space(); }
  void apply(const PowerMode& mode) override;
  PowerSource& power() override;
  BoardState state() const override { return {}; }
  double speed() const override { return speed_; }

 private:
  class Power;
  SimulatedDevice device_;
  std::string step_file_;
  double speed_;
  std::unique_ptr<Power> power_;
};

}  // namespace fewwatt::hw
