#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/attempt.hpp"
#include "hw/jetson/power_meter.hpp"
#include "hw/jetson/steady.hpp"
#include "hw/jetson/validity.hpp"
#include "hw/jetson/workload.hpp"

namespace fewwatt::hw {

// A board on which a program is profiled: its mode can be set, and its power measured. Tests have one of their own.
class MeasuredBoard {
 public:
  virtual ~MeasuredBoard() = default;
  virtual const PowerModeSpace& space() const = 0;  // its modes
  virtual void apply(const PowerMode& mode) = 0;    // sets a mode; throws DeviceError
  virtual PowerSource& power() = 0;                 // of the whole board
  virtual BoardState state() const = 0;             // the same before and after a valid measurement
  // Seconds of its time that pass in one second of ours; more than 1 for a simulated board that runs fast.
  virtual double speed() const { return 1; }
};

// One attempt at measuring a mode.
struct Attempt {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();  // not measured
  AttemptStatus status = AttemptStatus::ok;                                     // whether it counts
  std::string detail;                                                           // why it does not, in words
  Measurement measured;                                                         // where it counts
  double time_std_ms = kUnknown;    // standard deviation of the durations of steps
  double power_std_w = kUnknown;    // standard deviation of the samples of power
  double power_samples = kUnknown;  // effective number of samples of power
  double took_s = 0;                // the whole attempt
  double changing_s = 0;  // of the board's time, in which the program stood still for the change of modes
};

// How modes are measured.
struct ProfilerOptions {
  std::size_t minibatches = 40;  // least number of steps that are timed
  double window_s = 5;           // least time in which power is measured: about ten averages of an INA3221
  double start_s = 600;    // greatest time from the program's start to its first step, in the highest mode
  double warm_up_s = 120;  // greatest time from a mode's first step until time and power are steady
  double timeout_s = 900;  // greatest time for a mode
  double step_timeout_s = 120;    // greatest time without a step
  double margin_c = 5;            // least distance to the nearest trip temperature before a mode is measured
  double cool_s = 180;            // greatest time to get there, while the program stands still
  double counters_s = 2.2;        // time until the kernel has counted the last over-current event
  double meter_interval_s = 0.1;  // between samples of power
  bool restart = false;           // whether the program is started again for every mode
  // The program's work comes first, and the measurement second. The program starts in the first mode that is asked for, stands still only
  // while the mode is changed, goes on without a break where the same mode is measured again, does not wait while the board is hot
  // (a measurement that is spoiled by that still fails), and is not started again when it ends.
  bool keeps_running = false;
  SteadyOptions time_steady;  // when durations of steps are steady
  // When power is steady.
  SteadyOptions power_steady = {
      .window = 8, .most_change = 0.02, .most_significance = 1, .most_noisy_change = 0.04};
  // Gets sentences that the user should read at once; may be empty.
  std::function<void(const std::string&)> notice;
  std::string error() const;  // "" when valid
};

// Runs the user's program in one mode after the other, and measures. The program is started in the highest mode, and stands
// still while the mode is changed. A program that ends by itself, with exit code 0, is started again. Every second the state of the board is
// compared with that right after the mode was set, to notice what spoils a measurement. Time per step and power of a mode are the
// arithmetic means of the steps' durations, and of the power over the time in which they ran.
class Profiler {
 public:
  // All references must outlive it. `stop`: asked several times a second; true ends an attempt. Throws
  // std::invalid_argument for options that are not valid.
  Profiler(MeasuredBoard& board, WorkloadOptions workload, Monotonic& time, ProfilerOptions options,
           std::function<bool()> stop);
  ~Profiler();

  // Measures a mode once; starts the program where it does not run. Throws std::invalid_argument for a mode that the space lacks, and what
  // the board throws that is no DeviceError: then the board is gone, and nothing can be measured any more.
  Attempt attempt(const PowerMode& mode);

  std::size_t garbage_bytes() const;  // number of bytes that the program wrote in place of newlines

 private:
  Attempt measure(const PowerMode& mode);
  void cool_down();
  void start_in(const PowerMode& mode);
  void look();
  void next_step(double until_s);
  void look_for_steps();
  void warm_up(double until_s);
  void drop_program();

  MeasuredBoard& board_;
  WorkloadOptions workload_;
  Monotonic& time_;
  ProfilerOptions options_;
  std::function<bool()> stop_;
  PowerMeter meter_;
  std::unique_ptr<WorkloadProcess> program_;
  std::vector<double> steps_;                     // arrival times since the mode was set
  std::optional<BoardState> as_set_;              // right after the mode was set
  std::optional<PowerMode> mode_;                 // that was measured last, without a fault
  double look_for_steps_s_ = 0;                   // when to look next whether the program can report one
  bool no_way_ = false, told_of_closed_ = false;  // what was seen at the last look; the user
  double looked_s_ = 0, changing_s_ = 0;
  std::size_t garbage_ = 0;  // of programs before this one
};

}  // namespace fewwatt::hw
