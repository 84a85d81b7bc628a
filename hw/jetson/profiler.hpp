#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/jetson/power_meter.hpp"
#include "hw/jetson/steady.hpp"
#include "hw/jetson/validity.hpp"
#include "hw/jetson/workload.hpp"

namespace fewwatt::hw {

// What a profiling run acts on: a board that can be set, and whose power can be measured. Tests have their own.
class MeasuredBoard {
 public:
  virtual ~MeasuredBoard() = default;
  virtual const PowerModeSpace& space() const = 0;
  virtual void apply(const PowerMode& mode) = 0;  // throws DeviceError
  virtual PowerSource& power() = 0;
  virtual BoardState state() const = 0;  // the same before and after a valid measurement
  // Seconds of its time that pass in one of ours; 1 but for a simulated board that is in a hurry.
  virtual double speed() const { return 1; }
};

enum class AttemptStatus {
  ok,
  over_current,
  cooling_device,
  trip_temperature,
  clocks_changed,
  boot_changed,
  timed_out,
  program_died,
  no_steps,  // it runs, and cannot report a step
  device_error,
  interrupted,    // told to stop: neither good nor bad
  program_ended,  // by itself, with exit code 0; only where the program keeps running
};
std::string_view to_string(AttemptStatus status);  // "ok", "over-current", ...

// One attempt at measuring a mode.
struct Attempt {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  AttemptStatus status = AttemptStatus::ok;
  std::string detail;  // in words, where it is not ok
  Measurement measured;
  double time_std_ms = kUnknown, power_std_w = kUnknown;
  double power_samples = kUnknown;  // effective number
  double took_s = 0;
  double changing_s = 0;  // of the board's time, in which the program stood still for the change of modes
};

struct ProfilerOptions {
  std::size_t minibatches = 40;  // timed, at least
  double window_s = 5;           // in which power is measured, at least: about ten averages of an INA3221
  double start_s = 600;          // from the program's start to its first step, at most; in the highest mode
  double warm_up_s = 120;        // from a mode's first step until time and power are steady, at most
  double timeout_s = 900;        // for a mode, at most
  double step_timeout_s = 120;   // without a step
  double margin_c = 5;           // below the nearest trip temperature before a mode is measured
  double cool_s = 180;           // to get there, while the program stands still, at most
  double counters_s = 2.2;       // until the kernel has counted the last over-current event
  double meter_interval_s = 0.1;
  bool restart = false;  // the program, for every mode
  // The program's work is what counts, and the measurement comes second: it starts in the first mode that is asked for, stands
  // still only while the mode is changed, goes on without a break where the same mode is measured again, is not kept
  // waiting while the board is hot (a measurement that is spoiled so fails as ever), and is not started again when it ends.
  bool keeps_running = false;
  SteadyOptions time_steady;
  SteadyOptions power_steady = {
      .window = 8, .most_change = 0.02, .most_significance = 1, .most_noisy_change = 0.04};
  // Is told, in a sentence, what the user should know at once; none: nobody is.
  std::function<void(const std::string&)> notice;
  std::string error() const;  // "" when valid
};

// Runs the user's program in one mode after the other, and measures. The program is started in the highest mode, and stands
// still while the mode is changed. One that ends by itself, with exit code 0, is started again. What can spoil a measurement
// is looked at every second, and compared with what was right after the mode was set. Time per step and power of a mode are the
// arithmetic means of the steps' durations and, over time, of the power while they ran.
class Profiler {
 public:
  // All references must outlive it. `stop`: asked several times a second; true ends an attempt. Throws
  // std::invalid_argument for options that are not valid.
  Profiler(MeasuredBoard& board, WorkloadOptions workload, Monotonic& time, ProfilerOptions options,
           std::function<bool()> stop);
  ~Profiler();

  // Starts the program where it does not run. Never throws but std::invalid_argument, for a mode that the space lacks, and what
  // the board throws that is no DeviceError: it is gone, and nothing can be measured any more.
  Attempt attempt(const PowerMode& mode);

  std::size_t garbage_bytes() const;  // that the program wrote in place of newlines

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
