#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "hw/jetson/monotonic.hpp"
#include "hw/jetson/rails.hpp"

namespace fewwatt::hw {

// Where readings of power come from: sensors, or a test. power_w() is called by one thread at a time, the other functions at any time.
class PowerSource {
 public:
  virtual ~PowerSource() = default;
  virtual double power_w() = 0;              // present power; throws DeviceError
  virtual double averaging_s() const = 0;    // seconds within which the sensor gives the same reading again
  virtual std::string describe() const = 0;  // for people
};

// The sum of rails that are read from the kernel.
class RailPower final : public PowerSource {
 public:
  // `files` must outlive it.
  RailPower(const Sysfs& files, TotalPower total) : files_(files), total_(std::move(total)) {}
  double power_w() override;
  double averaging_s() const override;
  std::string describe() const override;

 private:
  const Sysfs& files_;
  TotalPower total_;
};

// Power in W by label, of one line of tegrastats of any JetPack: the present value of each rail, not the average beside it. Rails named NC
// are left out; empty for a line without rails.
std::multimap<std::string, double> tegrastats_rails_w(std::string_view line);

// How tegrastats is run.
struct TegrastatsOptions {
  std::vector<std::string> command = {"tegrastats"};  // "--interval <ms>" is appended
  int interval_ms = 200;                              // between lines
  double patience_s = 2.5;                            // no line for longer than this is an error
  std::string why = "";       // why tegrastats is used, for describe(); "" = nothing to say
  std::string error() const;  // "" when valid
};

// The sum of the rails that tegrastats prints, for boards whose rails cannot be read. A reading is that of the newest line, so up to
// interval_ms old.
class TegrastatsPower final : public PowerSource {
 public:
  // Starts it and waits for the first line. Throws DeviceError when it does not start, prints no line in time, or no
  // rails whose sum is the module's power (total_of); std::invalid_argument for options that are not valid.
  TegrastatsPower(Monotonic& clock, const std::vector<std::string>& compatible,
                  TegrastatsOptions options = {});
  ~TegrastatsPower() override;  // ends the child
  TegrastatsPower(const TegrastatsPower&) = delete;
  TegrastatsPower& operator=(const TegrastatsPower&) = delete;
  double power_w() override;
  double averaging_s() const override;
  std::string describe() const override;

 private:
  class Child;
  bool read_lines(double wait_s);  // false: no new line with rails

  Monotonic& clock_;
  TegrastatsOptions options_;
  std::unique_ptr<Child> child_;
  std::string unfinished_;
  std::multimap<std::string, double> newest_;
  double newest_s_ = 0;
  TotalPower total_;
};

// One reading of power.
struct PowerSample {
  double at_s = 0;     // time by Monotonic, midway through the reading
  double power_w = 0;  // what was read
};

// Power over a window of time.
struct PowerReading {
  double mean_w = 0, energy_j = 0;  // over the window
  double stddev_w = 0;              // of the samples in the window; 0 with fewer than two
  std::size_t samples = 0;          // number of samples in the window
  // Number of averages of the sensor that differ: equal readings in a row count once, and there are at most seconds / averaging_s.
  std::size_t effective_samples = 0;
  double seconds = 0;        // length of the window
  double longest_gap_s = 0;  // between samples, those next to the window included
};

// How PowerMeter samples, and which windows it refuses.
struct PowerMeterOptions {
  double interval_s = 0.1;  // between samples
  // A window with a longer gap between samples is refused; a reading that takes longer is a failed one.
  double max_gap_s = 2.5;
  double keep_s = 3600;       // samples older than the newest by more than this are dropped
  int max_failures = 5;       // a window with this many failed readings in a row is refused
  std::string error() const;  // "" when valid
};

// Samples power on a thread of its own.
class PowerMeter {
 public:
  // Both must outlive it. Throws std::invalid_argument when options are not valid.
  PowerMeter(PowerSource& source, Monotonic& clock, PowerMeterOptions options = {});
  ~PowerMeter() { stop(); }
  PowerMeter(const PowerMeter&) = delete;
  PowerMeter& operator=(const PowerMeter&) = delete;

  // Start and stop the thread. Each takes a sample, so that the time between the two calls is covered. Starting again, and stopping what
  // does not run, has no effect.
  void start();
  void stop() noexcept;  // see start()
  // Takes one sample, or notes one failure; never throws. This is what the thread does; do not call it while that runs.
  void sample() noexcept;

  // Waits until samples reach `to_s`. Throws DeviceError when they still do not max_gap_s + interval_s after that.
  void wait_past(double to_s) const;
  // Power over a window, by trapezoids between samples, interpolated at both ends. Throws DeviceError when the window is not covered by
  // samples, has a longer gap than max_gap_s or too many failures in a row; std::invalid_argument unless from_s < to_s.
  PowerReading over(double from_s, double to_s) const;
  // Drops samples that windows from t_s on do not need.
  void forget_before(double t_s);

  std::vector<PowerSample> samples() const;  // those that are kept, by time
  std::size_t failures() const;              // number of failed readings since construction

 private:
  struct Failures {  // in a row
    double first_s, last_s;
    int count;
    std::string last;
  };
  void run() noexcept;
  void fail(double at_s, const std::string& why);
  void drop_before(double t_s);
  std::string last_failure(double since_s) const;

  PowerSource& source_;
  Monotonic& clock_;
  PowerMeterOptions options_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;  // of what follows
  std::deque<PowerSample> samples_;
  std::deque<Failures> failures_;
  bool failing_ = false;
  std::size_t failed_ = 0;
};

// The board's power: by its rails where they can be read, else by tegrastats, whose describe() then says why. Throws DeviceError with both
// reasons when neither works. `files` and `clock` must outlive what it returns.
std::unique_ptr<PowerSource> find_power_source(const Sysfs& files, Monotonic& clock,
                                               const std::vector<std::string>& compatible,
                                               TegrastatsOptions fall_back = {});

}  // namespace fewwatt::hw
