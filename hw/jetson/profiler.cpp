#include "hw/jetson/profiler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fewwatt::hw {
namespace {

constexpr double kPatience_s = 0.1;          // between looks at `stop`
constexpr double kLook_s = 1;                // between looks at the board
constexpr std::size_t kMostSteps = 1000000;  // of a mode
constexpr int kStarts = 3;                   // of a program that ends by itself, in one mode
constexpr std::size_t kFewestForSteady = 8;
// After the program's start, and between looks whether a step can come at all, while there was none.
constexpr double kFirstLookForSteps_s = 6, kLookForSteps_s = 2;

// Ends an attempt.
struct Failed {
  AttemptStatus status;
  std::string detail;
};
// The program ended with exit code 0.
struct Ended {};

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

std::string ProfilerOptions::error() const {
  if (minibatches < 2) return "ProfilerOptions: minibatches must be >= 2";
  for (const auto& [name, value] : {std::pair("window_s", window_s),
                                    {"start_s", start_s},
                                    {"warm_up_s", warm_up_s},
                                    {"timeout_s", timeout_s},
                                    {"step_timeout_s", step_timeout_s},
                                    {"meter_interval_s", meter_interval_s}})
    if (!(value > 0) || !std::isfinite(value))
      return "ProfilerOptions: " + std::string(name) + " must be > 0";
  for (const auto& [name, value] :
       {std::pair("margin_c", margin_c), {"cool_s", cool_s}, {"counters_s", counters_s}})
    if (!(value >= 0) || !std::isfinite(value))
      return "ProfilerOptions: " + std::string(name) + " must be >= 0";
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
  const auto failed = [&](AttemptStatus status, std::string detail) {
    attempt.status = status;
    attempt.detail = std::move(detail);
  };
  bool again = true;
  for (int start = 1; again; ++start) {
    again = false;
    try {
      attempt = measure(mode);
    } catch (const Ended&) {
      again = start < kStarts && !options_.keeps_running;
      if (options_.keeps_running)
        failed(AttemptStatus::program_ended, "exited with code 0");
      else if (!again)
        failed(AttemptStatus::program_died, "the program ended " + std::to_string(kStarts) +
                                                " times before this mode was measured; let it run longer");
      drop_program();
    } catch (const Failed& why) {
      failed(why.status, why.detail);
    } catch (const DeviceError& e) {
      failed(AttemptStatus::device_error, e.what());
      try {
        board_.state();  // one that is gone for good throws what nobody catches here
      } catch (const DeviceError&) {
      }
    }
  }
  mode_ = attempt.status == AttemptStatus::ok ? std::optional(mode) : std::nullopt;
  const bool stuck = attempt.status == AttemptStatus::timed_out && !options_.keeps_running;
  if (attempt.status == AttemptStatus::program_died || attempt.status == AttemptStatus::no_steps || stuck)
    drop_program();
  attempt.took_s = time_.now_s() - start_s;
  return attempt;
}

void Profiler::drop_program() {
  if (program_) garbage_ += program_->garbage_bytes();
  program_.reset();
}

void Profiler::cool_down() {
  const double until_s = time_.now_s() + options_.cool_s;
  for (;;) {
    const auto state = board_.state();
    const double margin_c = hottest_margin_c(state);
    const auto active = std::find_if(state.cooling.begin(), state.cooling.end(),
                                     [](const CoolingDevice& device) { return device.state > 0; });
    if (margin_c >= options_.margin_c && active == state.cooling.end()) return;
    if (program_) program_->pause();
    if (stop_()) throw Failed{AttemptStatus::interrupted, "stopped"};
    if (time_.now_s() >= until_s) {
      const auto waited = " after waiting for " + std::to_string(std::lround(options_.cool_s)) + " s";
      if (active != state.cooling.end())
        throw Failed{AttemptStatus::cooling_device, active->name + " is still active" + waited};
      throw Failed{AttemptStatus::trip_temperature,
                   "still " + std::to_string(std::lround(margin_c)) + " C to a trip temperature" + waited};
    }
    time_.wait_s(kPatience_s);
  }
}

void Profiler::start_in(const PowerMode& mode) {
  if (options_.keeps_running && program_ && program_->exit_code() == 0) throw Ended{};
  if (program_ && (options_.restart || program_->exit_code())) drop_program();
  as_set_.reset();
  steps_.clear();
  if (!program_) {
    if (options_.keeps_running) {
      board_.apply(mode);
    } else
      try {
        board_.apply(board_.space().at(board_.space().size() - 1));
      } catch (const DeviceError&) {  // a cap that nobody may lift
        board_.apply(mode);
      }
    program_ = std::make_unique<WorkloadProcess>(workload_, time_);
    look_for_steps_s_ = time_.now_s() + kFirstLookForSteps_s;
    no_way_ = told_of_closed_ = false;
    next_step(time_.now_s() + options_.start_s);
  }
  const double paused_s = time_.now_s();
  program_->pause();
  board_.apply(mode);
  as_set_ = board_.state();
  looked_s_ = time_.now_s();
  std::vector<double> late;
  program_->next_steps(late, time_.now_s() - 1);  // of the mode before
  program_->resume();
  changing_s_ = time_.now_s() - paused_s;
  steps_.clear();
}

// Throws Failed where what is measured in this mode cannot be trusted.
void Profiler::look() {
  looked_s_ = time_.now_s();
  const auto now = board_.state();
  if (const auto why = why_invalid(*as_set_, now)) throw Failed{status_of(*as_set_, now), *why};
}

// Of a program that has not reported a step yet. Throws Failed where it cannot: two looks in a row must say so, as a process may be
// starting another just then.
void Profiler::look_for_steps() {
  if (time_.now_s() < look_for_steps_s_) return;
  look_for_steps_s_ = time_.now_s() + kLookForSteps_s;
  const auto ways = program_->step_ways();
  if (ways.none && no_way_)
    throw Failed{AttemptStatus::no_steps, "no step can be reported: " + ways.closed + lines_of(*program_)};
  no_way_ = ways.none;
  if (no_way_ || ways.closed.empty() || told_of_closed_) return;
  told_of_closed_ = true;
  if (options_.notice) options_.notice("no step was reported yet: " + ways.closed);
}

// Waits for one step or more. Throws Failed.
void Profiler::next_step(double until_s) {
  // Before its first step the program starts up, which may take long.
  const double step_until_s = as_set_ ? std::min(until_s, time_.now_s() + options_.step_timeout_s) : until_s;
  for (;;) {
    const double now_s = time_.now_s();
    if (as_set_ && now_s >= looked_s_ + kLook_s) look();
    if (!as_set_) look_for_steps();
    switch (program_->next_steps(steps_, std::min(step_until_s, now_s + kPatience_s))) {
      case Wait::steps:
        if (steps_.size() > kMostSteps)
          throw Failed{AttemptStatus::program_died, "more than " + std::to_string(kMostSteps) +
                                                        " steps in one mode: these are no minibatches"};
        return;
      case Wait::ended:
        if (program_->exit_code() == 0 && as_set_) throw Ended{};
        throw Failed{AttemptStatus::program_died,
                     "the program " + program_->describe_end() + lines_of(*program_)};
      case Wait::closed:
        throw Failed{AttemptStatus::no_steps, std::string("the program closed the descriptor of ") +
                                                  kStepFdVariable + lines_of(*program_)};
      case Wait::timed_out:
        break;
    }
    if (stop_()) throw Failed{AttemptStatus::interrupted, "stopped"};
    if (time_.now_s() < step_until_s) continue;
    std::string why = "the time was over after " + std::to_string(steps_.size()) + " steps";
    if (steps_.empty()) {
      why = std::string("no step was reported") + (as_set_ ? " in this mode" : "");
      if (const auto closed = as_set_ ? std::string() : program_->step_ways().closed; !closed.empty())
        why += ": " + closed;
    }
    throw Failed{AttemptStatus::timed_out, why + lines_of(*program_)};
  }
}

// Until durations of steps and power are steady.
void Profiler::warm_up(double until_s) {
  const double averaging_s = board_.power().averaging_s();
  next_step(until_s);
  until_s = std::min(until_s, time_.now_s() + options_.warm_up_s);
  double power_from_s = steps_.back();
  std::size_t seen = steps_.size();  // the first one lasted as long as the change of modes, too
  next_step(until_s);
  // A third of the time must do for a window of long steps.
  auto steady = options_.time_steady;
  const double fit = options_.warm_up_s / (3 * std::max(1e-9, steps_[seen] - steps_[seen - 1]));
  if (fit < static_cast<double>(steady.window))
    steady.window = std::max(kFewestForSteady, static_cast<std::size_t>(fit));
  SteadyTest time_test(steady), power_test(options_.power_steady);
  for (; seen < steps_.size(); ++seen) time_test.add(steps_[seen] - steps_[seen - 1]);
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
  changing_s_ = 0;
  if (options_.keeps_running && program_ && mode_ == mode) {
    look();
    next_step(until_s);
  } else {
    if (!options_.keeps_running) cool_down();
    start_in(mode);
    warm_up(until_s);
  }

  steps_ = {steps_.back()};
  while (steps_.size() <= options_.minibatches ||
         steps_.back() - steps_.front() < options_.window_s / board_.speed())
    next_step(until_s);
  meter_.wait_past(steps_.back());
  const auto power = meter_.over(steps_.front(), steps_.back());
  meter_.forget_before(steps_.front());
  if (!as_set_->over_current.empty()) time_.wait_s(options_.counters_s);
  look();

  std::vector<double> durations_ms;
  for (std::size_t i = 1; i < steps_.size(); ++i)
    durations_ms.push_back(1000 * board_.speed() * (steps_[i] - steps_[i - 1]));
  const auto time = moments(durations_ms);
  Attempt attempt;
  attempt.measured = {time.mean, power.mean_w, static_cast<int>(durations_ms.size()), false};
  attempt.time_std_ms = time.stddev;
  attempt.power_std_w = power.stddev_w;
  attempt.power_samples = static_cast<double>(power.effective_samples);
  attempt.changing_s = board_.speed() * changing_s_;
  return attempt;
}

}  // namespace fewwatt::hw
