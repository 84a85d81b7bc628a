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

// Where readings of power come from: sensors, or what a test makes up. power_w() is called by one thread at a time, the others at any time.
class PowerSource {
 public:
  virtual ~PowerSource() = default;
  virtual double power_w() = 0;              // throws DeviceError
  virtual double averaging_s() const = 0;    // readings closer together than this tell nothing new
  virtual std::string describe() const = 0;  // for people
};

// Sum of rails. `files` must outlive it.
class RailPower final : public PowerSource {
 public:
  RailPower(const Sysfs& files, TotalPower total) : files_(files), total_(std::move(total)) {}
  double power_w() override;
  double averaging_s() const override;
  std::string describe() const override;

 private:
  const Sysfs& files_;
  TotalPower total_;
};

// Label -> W of one line of tegrastats, in the form of any JetPack: the present value of each rail, never its average.
// Without rails named NC; empty for a line without rails.
std::multimap<std::string, double> tegrastats_rails_w(std::string_view line);

struct TegrastatsOptions {
  std::vector<std::string> command = {"tegrastats"};  // "--interval <ms>" is appended
  int interval_ms = 200;
  double patience_s = 2.5;  // without a line for longer than this: an error
  std::string why = "";     // it is used, for describe(); "" = nothing to say
  std::string error() const;
};

// Sum of the rails that a child process prints; where rails cannot be read. A reading is the newest line's, so up to
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

struct PowerSample {
  double at_s = 0;  // Monotonic, midway through the reading
  double power_w = 0;
};

struct PowerReading {
  double mean_w = 0, energy_j = 0;
  double stddev_w = 0;      // of the samples in the window; 0 with fewer than two
  std::size_t samples = 0;  // in the window
  // Averages of the sensor that differ: equal readings in a row count once, and at most seconds / averaging_s.
  std::size_t effective_samples = 0;
  double seconds = 0;
  double longest_gap_s = 0;  // between samples, those next to the window included
};

struct PowerMeterOptions {
  double interval_s = 0.1;
  // A window with a longer gap between samples is refused; a reading that takes longer is a failed one.
  double max_gap_s = 2.5;
  double keep_s = 3600;  // samples older than the newest by more are dropped
  int max_failures = 5;  // a window with so many failed readings in a row is refused
  std::string error() const;
};

// Samples power on a thread of its own.
class PowerMeter {
 public:
  // Both must outlive it. Throws std::invalid_argument when options are not valid.
  PowerMeter(PowerSource& source, Monotonic& clock, PowerMeterOptions options = {});
  ~PowerMeter() { stop(); }
  PowerMeter(const PowerMeter&) = delete;
  PowerMeter& operator=(const PowerMeter&) = delete;

  // start() and stop() each take a sample, so that all between their calls is covered. Without effect when it runs, or
  // does not.
  void start();
  void stop() noexcept;
  // One sample, or one failure; never throws. What the thread does; not to be called while it runs.
  void sample() noexcept;

  // Waits until samples reach `to_s`. Throws DeviceError when they have not, max_gap_s + interval_s after it.
  void wait_past(double to_s) const;
  // Trapezoids over samples as they were taken, interpolated at both ends. Throws DeviceError when the window is not
  // covered by samples, has a longer gap than max_gap_s or too many failures in a row; std::invalid_argument unless
  // from_s < to_s.
  PowerReading over(double from_s, double to_s) const;
  // Windows from t_s on stay covered.
  void forget_before(double t_s);

  std::vector<PowerSample> samples() const;
  std::size_t failures() const;  // since construction

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

// Rails where they can be read, else tegrastats; its describe() then says why. Throws DeviceError with both reasons when
// neither works. `files` and `clock` must outlive what it returns.
std::unique_ptr<PowerSource> find_power_source(const Sysfs& files, Monotonic& clock,
                                               const std::vector<std::string>& compatible,
                                               TegrastatsOptions fall_back = {});

}  // namespace fewwatt::hw
