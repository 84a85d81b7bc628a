#include "hw/jetson/profiler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace fewwatt::hw {
namespace {

constexpr double kPatience_s = 0.1;  // between looks at `stop`

// Ends an attempt.
struct Failed {
  AttemptStatus status;
  std::string detail;
};

AttemptStatus status_of(const BoardState& before, const BoardState& after) {
  if (before.boot_id != after.boot_id) return AttemptStatus::boot_changed;
  for (const auto& [path, count] : before.over_current) {
    const auto now = after.over_current.find(path);
    if (now != after.over_current.end() && now->second != count) return AttemptStatus::over_current;
  }
  for (const auto* state : {&before, &after}) {
    for (const auto& device : state->cooling)
      if (device.state > 0) return AttemptStatus::cooling_device;
    for (const auto& zone : state->zones)
      if (zone.temp_c && zone.trip_c && *zone.temp_c >= *zone.trip_c) return AttemptStatus::trip_temperature;
  }
  return AttemptStatus::clocks_changed;
}

std::string lines_of(const WorkloadProcess& program) {
  std::string text;
  for (const auto& line : program.last_lines()) text += "\n  | " + line;
  return text;
}

struct Moments {
  double mean = 0, stddev = 0;
};

Moments moments(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Moments m{std::accumulate(values.begin(), values.end(), 0.0) / n, 0};
  double square = 0;
  for (const double value : values) square += (value - m.mean) * (value - m.mean);
  if (values.size() > 1) m.stddev = std::sqrt(square / (n - 1));
  return m;
}

}  // namespace

std::string_view to_string(AttemptStatus status) {
  switch (status) {
    case AttemptStatus::ok:
      return "ok";
    case AttemptStatus::over_current:
      return "over-current";
    case AttemptStatus::cooling_device:
      return "cooling-device";
    case AttemptStatus::trip_temperature:
      return "trip-temperature";
    case AttemptStatus::clocks_changed:
      return "clocks-changed";
    case AttemptStatus::boot_changed:
      return "boot-changed";
    case AttemptStatus::timed_out:
      return "timed-out";
    case AttemptStatus::program_died:
      return "program-died";
    case AttemptStatus::device_error:
      return "device-error";
    case AttemptStatus::interrupted:
      return "interrupted";
  }
  return "";
}

std::string ProfilerOptions::error() const {
  if (minibatches < 2) return "ProfilerOptions: minibatches must be >= 2";
  for (const double value : {window_s, warm_up_s, timeout_s, step_timeout_s, meter_interval_s})
    if (!(value > 0) || !std::isfinite(value))
      return "ProfilerOptions: window_s, warm_up_s, timeout_s, step_timeout_s and meter_interval_s must be > "
             "0";
  if (!(margin_c >= 0) || !(cool_s >= 0)) return "ProfilerOptions: margin_c and cool_s must be >= 0";
  if (auto bad = time_steady.error(); !bad.empty()) return bad;
  return power_steady.error();
}

Profiler::Profiler(MeasuredBoard& board, WorkloadOptions workload, Monotonic& time, ProfilerOptions options,
                   std::function<bool()> stop)
    : board_(board),
      workload_(std::move(workload)),
      time_(time),
      options_(options),
      stop_(std::move(stop)),
      meter_(board.power(), time, {.interval_s = options.meter_interval_s}) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  meter_.start();
}

Profiler::~Profiler() = default;

std::size_t Profiler::garbage_bytes() const {
  return garbage_ + (program_ ? program_->garbage_bytes() : 0);
}

Attempt Profiler::attempt(const PowerMode& mode) {
  const double start_s = time_.now_s();
  Attempt attempt;
  try {
    attempt = measure(mode);
  } catch (const Failed& failed) {
    attempt.status = failed.status;
    attempt.detail = failed.detail;
  } catch (const DeviceError& e) {
    attempt.status = AttemptStatus::device_error;
    attempt.detail = e.what();
  }
  if (attempt.status == AttemptStatus::program_died || attempt.status == AttemptStatus::timed_out) {
    if (program_) garbage_ += program_->garbage_bytes();
    program_.reset();
  }
  attempt.took_s = time_.now_s() - start_s;
  return attempt;
}

void Profiler::cool_down() {
  const double until_s = time_.now_s() + options_.cool_s;
  for (;;) {
    const double margin_c = hottest_margin_c(board_.state());
    if (margin_c >= options_.margin_c) return;
    if (stop_()) throw Failed{AttemptStatus::interrupted, "stopped"};
    if (time_.now_s() >= until_s)
      throw Failed{AttemptStatus::trip_temperature, "still " + std::to_string(margin_c) +
                                                        " C below a trip temperature after cooling for " +
                                                        std::to_string(options_.cool_s) + " s"};
    time_.wait_s(kPatience_s);
  }
}

void Profiler::start_in(const PowerMode& mode) {
  if (program_ && (options_.restart || program_->exit_code())) {
    garbage_ += program_->garbage_bytes();
    program_.reset();
  }
  if (program_) {
    program_->pause();
    board_.apply(mode);
    program_->resume();
  } else {
    board_.apply(mode);
    program_ = std::make_unique<WorkloadProcess>(workload_, time_);
  }
  std::vector<double> late;
  program_->next_steps(late, time_.now_s() - 1);  // of the mode before
  steps_.clear();
}

// Waits for one step or more. Throws Failed.
void Profiler::next_step(double until_s) {
  const double step_until_s = std::min(until_s, time_.now_s() + options_.step_timeout_s);
  for (;;) {
    const double now_s = time_.now_s();
    switch (program_->next_steps(steps_, std::min(step_until_s, now_s + kPatience_s))) {
      case Wait::steps:
        return;
      case Wait::ended:
        throw Failed{AttemptStatus::program_died,
                     "the program " + program_->describe_end() + lines_of(*program_)};
      case Wait::closed:
        throw Failed{AttemptStatus::program_died, std::string("the program closed the descriptor of ") +
                                                      kStepFdVariable + lines_of(*program_)};
      case Wait::timed_out:
        break;
    }
    if (stop_()) throw Failed{AttemptStatus::interrupted, "stopped"};
    if (time_.now_s() >= step_until_s)
      throw Failed{AttemptStatus::timed_out,
                   steps_.empty()
                       ? "no step was reported" + lines_of(*program_)
                       : "no step came after " + std::to_string(steps_.size()) + lines_of(*program_)};
  }
}

// Until durations of steps and power are steady.
void Profiler::warm_up(double until_s) {
  SteadyTest time_test(options_.time_steady), power_test(options_.power_steady);
  const double averaging_s = board_.power().averaging_s();
  next_step(until_s);
  double power_from_s = steps_.back();
  std::size_t seen = steps_.size();  // the first one lasted as long as the change of modes, too
  while (!time_test.steady() || !power_test.steady()) {
    if (time_.now_s() >= until_s)
      throw Failed{AttemptStatus::timed_out, std::string(time_test.steady() ? "power" : "time") +
                                                 " was not steady after " + std::to_string(steps_.size()) +
                                                 " steps"};
    next_step(until_s);
    for (; seen < steps_.size(); ++seen) time_test.add(steps_[seen] - steps_[seen - 1]);
    while (power_from_s + averaging_s <= steps_.back()) {
      meter_.wait_past(power_from_s + averaging_s);
      power_test.add(meter_.over(power_from_s, power_from_s + averaging_s).mean_w);
      power_from_s += averaging_s;
    }
  }
}

Attempt Profiler::measure(const PowerMode& mode) {
  const double until_s = time_.now_s() + options_.timeout_s;
  cool_down();
  start_in(mode);
  warm_up(std::min(until_s, time_.now_s() + options_.warm_up_s));

  const auto before = board_.state();
  steps_ = {steps_.back()};
  next_step(until_s);
  steps_.erase(steps_.begin(), steps_.end() - 1);  // the window begins with a step after the state was read
  while (steps_.size() <= options_.minibatches ||
         steps_.back() - steps_.front() < options_.window_s / board_.speed())
    next_step(until_s);
  const auto after = board_.state();
  meter_.wait_past(steps_.back());
  const auto power = meter_.over(steps_.front(), steps_.back());
  meter_.forget_before(steps_.front());
  if (const auto why = why_invalid(before, after)) throw Failed{status_of(before, after), *why};

  std::vector<double> durations_ms;
  for (std::size_t i = 1; i < steps_.size(); ++i)
    durations_ms.push_back(1000 * board_.speed() * (steps_[i] - steps_[i - 1]));
  const auto time = moments(durations_ms);
  Attempt attempt;
  attempt.measured = {time.mean, power.mean_w, static_cast<int>(durations_ms.size()), false};
  attempt.time_std_ms = time.stddev;
  attempt.power_std_w = power.stddev_w;
  attempt.power_samples = static_cast<double>(power.effective_samples);
  return attempt;
}

}  // namespace fewwatt::hw
