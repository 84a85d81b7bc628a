// fewwatt govern --max-power-w 30 [--budget-file F] [--init INIT.h5] -- CMD...
//                --device simulated:BOARD --workload W [-- CMD...]
//                --device replay --profiles P.h5 --profiled-device D --workload W
//
// Runs a program inside a power budget, as fast as that lets it: measures while it runs, and moves to better modes.

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/atomic_file.hpp"
#include "datasets/csv.hpp"
#include "datasets/profile_io.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/jetson/profiler.hpp"
#include "hw/modules.hpp"
#include "hw/program.hpp"
#include "hw/random.hpp"
#include "hw/simulated_device.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/govern.hpp"
#include "learners/registry.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

volatile std::sig_atomic_t told_to_stop = 0;
void on_signal(int) {
  told_to_stop = 1;
}

struct Options {
  program::CommonOptions common;
  double max_power_w = 0, confidence = 0.95, window_s = 5, minutes = 0;
  std::string budget_file, init, learner, log, out;
  std::string device, workload, grid, profiles, profiled_device;
  std::vector<std::string> command;
  program::Count minibatches{8};
  double start_s = 600, warm_up_s = 120, step_timeout_s = 120, stop_grace_s = 10, speed = 1;
  bool as_root = false;
  hw::JetsonOptions jetson;
};

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw program::UsageError(otherwise);
}

// The budget in force: what the file says, while it says one.
class Budget {
 public:
  Budget(double watts, std::string file) : watts_(watts), file_(std::move(file)) { changed(); }

  double watts() const { return watts_; }
  // Looks at the file. A number that is no budget, and a file that is not there, leave it as it was.
  bool changed() {
    if (file_.empty()) return false;
    double value = 0;
    std::ifstream in(file_);
    std::stringstream text;
    text << in.rdbuf();
    auto content = text.str();
    while (!content.empty() && std::isspace(static_cast<unsigned char>(content.back())) != 0)
      content.pop_back();
    if (!in || !datasets::parse_number(content, value) || !(value > 0) || value == watts_) return false;
    watts_ = value;
    return true;
  }

 private:
  double watts_;
  std::string file_;
};

// What runs the workload, a window at a time.
class Runner {
 public:
  virtual ~Runner() = default;
  virtual const hw::PowerModeSpace& space() const = 0;
  virtual hw::Attempt window(const hw::PowerMode& mode) = 0;
  virtual double now_s() = 0;
  virtual void wait_s(double seconds) = 0;  // ends early when told to stop
  // Puts back what was changed; sentences for what could not be.
  virtual std::vector<std::string> finish() { return {}; }
  std::vector<std::string> notices;
};

// A program, on a board.
class ProgramRunner final : public Runner {
 public:
  ProgramRunner(std::unique_ptr<hw::MeasuredBoard> board, hw::ProfilerOptions profiler,
                hw::WorkloadOptions workload, hw::Monotonic& time, Budget& budget)
      : board_(std::move(board)),
        time_(time),
        start_s_(time.now_s()),
        profiler_(std::make_unique<hw::Profiler>(*board_, std::move(workload), time, profiler, [&budget] {
          return told_to_stop != 0 || budget.changed();
        })) {}
  const hw::PowerModeSpace& space() const override { return board_->space(); }
  hw::Attempt window(const hw::PowerMode& mode) override { return profiler_->attempt(mode); }
  double now_s() override { return (time_.now_s() - start_s_) * board_->speed(); }
  void wait_s(double seconds) override {
    constexpr double kPatience_s = 0.1;
    for (double left_s = seconds / board_->speed(); left_s > 0 && told_to_stop == 0; left_s -= kPatience_s)
      time_.wait_s(std::min(left_s, kPatience_s));
  }
  std::vector<std::string> finish() override {
    profiler_.reset();  // the program ends before the clocks are put back
    auto* jetson = dynamic_cast<hw::JetsonBoard*>(board_.get());
    return jetson != nullptr ? jetson->restore() : std::vector<std::string>();
  }

 private:
  std::unique_ptr<hw::MeasuredBoard> board_;
  hw::Monotonic& time_;
  double start_s_;
  std::unique_ptr<hw::Profiler> profiler_;
};

// Known answers, with noise that is drawn for each window; the windows take no time of ours.
class KnownRunner final : public Runner {
 public:
  using Truth = std::function<hw::Measurement(const hw::PowerMode&)>;
  KnownRunner(hw::PowerModeSpace space, Truth truth, const Options& options)
      : space_(std::move(space)),
        truth_(std::move(truth)),
        window_s_(options.window_s),
        rng_(hw::Rng::stream(options.common.seed, "govern noise")) {}
  const hw::PowerModeSpace& space() const override { return space_; }
  hw::Attempt window(const hw::PowerMode& mode) override {
    constexpr double kNoise = 0.01;
    hw::Attempt attempt;
    attempt.measured = truth_(mode);
    attempt.measured.time_ms *= std::exp(kNoise * rng_.normal());
    attempt.measured.power_w *= std::exp(kNoise * rng_.normal());
    attempt.took_s = window_s_;
    now_s_ += window_s_;
    return attempt;
  }
  double now_s() override { return now_s_; }
  void wait_s(double seconds) override { now_s_ += seconds; }

 private:
  hw::PowerModeSpace space_;
  Truth truth_;
  double window_s_, now_s_ = 0;
  hw::Rng rng_;
};

hw::ProfilerOptions profiler_options(const Options& options) {
  hw::ProfilerOptions p;
  p.keeps_running = true;
  p.minibatches = options.minibatches.value;
  p.window_s = options.window_s;
  p.start_s = options.start_s;
  p.warm_up_s = options.warm_up_s;
  p.step_timeout_s = options.step_timeout_s;
  p.counters_s = 0;  // an event that is counted late spoils the next window
  p.meter_interval_s = std::min(0.1, options.window_s / 20) / options.speed;
  return p;
}

hw::WorkloadOptions workload_options(const Options& options) {
  hw::WorkloadOptions w;
  w.command = options.command;
  w.stop_grace_s = options.stop_grace_s;
  w.quiet = false;
  w.as_invoking_user = !options.as_root;
  return w;
}

std::unique_ptr<Runner> simulated_runner(const Options& options, const std::string& name, hw::Monotonic& time,
                                         Budget& budget) {
  require(!options.workload.empty(), "--device simulated:BOARD needs --workload");
  const auto& board = hw::find_simulated_board(name);
  const auto& workload = hw::find_simulated_workload(options.workload);
  auto space = hw::module_space(name, options.grid.empty() ? "full" : options.grid);
  hw::SimulatedDevice device(board, workload, space, {.seed = options.common.seed});
  if (options.command.empty())
    return std::make_unique<KnownRunner>(
        std::move(space), [device](const hw::PowerMode& mode) { return device.measure_without_noise(mode); },
        options);
  const auto file =
      (std::filesystem::temp_directory_path() / ("fewwatt-govern-" + std::to_string(getpid()) + ".step"))
          .string();
  auto work = workload_options(options);
  work.environment[hw::kSimulatedStepVariable] = file;
  return std::make_unique<ProgramRunner>(
      std::make_unique<hw::SimulatedBoardAtWork>(std::move(device), file, options.speed, options.common.seed),
      profiler_options(options), std::move(work), time, budget);
}

std::unique_ptr<Runner> replay_runner(const Options& options) {
  require(!options.profiles.empty() && !options.profiled_device.empty() && !options.workload.empty(),
          "--device replay needs --profiles, --profiled-device and --workload");
  require(options.command.empty(), "--device replay runs no program");
  const auto store = datasets::read_profiles(options.profiles);
  const auto* profile = store.find(options.profiled_device, options.workload);
  if (profile == nullptr)
    throw datasets::DataError(options.profiles + ": has no profile " + options.profiled_device + '/' +
                              options.workload);
  std::map<hw::PowerMode, hw::Measurement> known;
  for (std::size_t i = 0; i < profile->modes.size(); ++i) known[profile->modes[i]] = profile->measurements[i];
  return std::make_unique<KnownRunner>(
      hw::PowerModeSpace::list(profile->space->knobs(), profile->modes),
      [known](const hw::PowerMode& mode) { return known.at(mode); }, options);
}

std::unique_ptr<Runner> jetson_runner(const Options& options, hw::Monotonic& time, Budget& budget) {
  require(!options.command.empty(), "give the program to run: -- CMD...");
  auto board = std::make_unique<hw::JetsonBoard>(options.jetson, time);
  std::vector<std::string> notices;
  if (board->replayed() > 0)
    notices.push_back("a run before this one did not end: " + std::to_string(board->replayed()) +
                      " controls are put back");
  auto runner = std::make_unique<ProgramRunner>(std::move(board), profiler_options(options),
                                                workload_options(options), time, budget);
  runner->notices = std::move(notices);
  return runner;
}

std::unique_ptr<Runner> runner_of(const Options& options, hw::Monotonic& time, Budget& budget) {
  const std::string simulated = "simulated:";
  if (options.device == "jetson") return jetson_runner(options, time, budget);
  if (options.device == "replay") return replay_runner(options);
  if (options.device.starts_with(simulated))
    return simulated_runner(options, options.device.substr(simulated.size()), time, budget);
  throw program::UsageError("--device must be jetson, simulated:BOARD or replay, found \"" + options.device +
                            "\"");
}

std::shared_ptr<const learners::Learner> learner_of(const Options& options) {
  try {
    if (!options.init.empty()) {
      const auto checkpoint = learners::read_checkpoint(options.init);
      require(learners::find_learner(checkpoint.learner).gives_uncertainty,
              options.init + ": its learner " + checkpoint.learner + " gives no uncertainty");
      return learners::make_learner(checkpoint);
    }
    require(learners::find_learner(options.learner).gives_uncertainty,
            "--learner " + options.learner + " gives no uncertainty");
    return learners::make_learner(options.learner);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(e.what());
  }
}

// One line per window, written at once: t_s,<knobs>,time_ms,power_w,budget_w,reason,event.
class Log {
 public:
  Log(const std::string& path, const hw::PowerModeSpace& space) : path_(path) {
    if (path.empty()) return;
    if (std::filesystem::exists(path)) throw datasets::DataError(path + ": is there already");
    out_.open(path);
    std::string roles;
    for (const auto& knob : space.knobs()) roles += std::string(hw::to_string(knob.role)) + ',';
    write("t_s," + roles + "time_ms,power_w,budget_w,reason,event");
  }
  void line(double t_s, const learners::Governor::Move& move, const hw::Measurement& measured,
            double budget_w, const std::string& event) {
    if (path_.empty()) return;
    std::ostringstream text;
    text << std::setprecision(10) << t_s << ',';
    for (const int setting : move.mode) text << setting << ',';
    for (const double value : {measured.time_ms, measured.power_w}) {
      if (!std::isnan(value)) text << value;
      text << ',';
    }
    text << budget_w << ',' << learners::to_string(move.reason) << ',' << event;
    write(text.str());
  }

 private:
  void write(const std::string& text) {
    out_ << text << std::endl;
    if (!out_) throw datasets::DataError(path_ + ": cannot write");
  }
  std::string path_;
  std::ofstream out_;
};

// Measured modes of the present workload, for fewwatt adapt --measurements.
void write_measurements(const std::string& path, const tasks::Samples& samples) {
  std::ostringstream text;
  text << std::setprecision(17);
  for (const auto& knob : samples.space->knobs()) text << hw::to_string(knob.role) << ',';
  text << "time_ms,power_w\n";
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (const int setting : samples.modes[i]) text << setting << ',';
    for (const int t : {tasks::kTimeMs, tasks::kPowerW}) {
      const double value = samples.targets(static_cast<Eigen::Index>(i), t);
      if (!std::isnan(value)) text << value;
      text << (t == tasks::kTimeMs ? "," : "\n");
    }
  }
  datasets::write_file(path, text.str());
}

struct Outcome {
  std::size_t windows = 0, inside = 0, rejected = 0, moves = 0;
  double measured_s = 0, inside_s = 0;
  std::optional<hw::PowerMode> mode;  // the last that was measured
  hw::Measurement measured;
  std::string rejection;  // the last
  bool interrupted = false, ended = false;
  std::string died;
};

void govern_windows(Runner& runner, learners::Governor& governor, Budget& budget, Log& log,
                    const Options& options, Outcome& outcome) {
  const double end_s = options.minutes > 0 ? 60 * options.minutes : std::numeric_limits<double>::infinity();
  std::optional<hw::PowerMode> before;
  while (told_to_stop == 0 && runner.now_s() < end_s) {
    budget.changed();
    const double budget_w = budget.watts(), from_s = runner.now_s();
    const auto move = governor.next(budget_w, (end_s - from_s) / options.window_s);
    outcome.moves += before && *before != move.mode ? 1 : 0;
    before = move.mode;
    const auto attempt = runner.window(move.mode);
    std::string event;
    switch (attempt.status) {
      case hw::AttemptStatus::ok:
        ++outcome.windows;
        outcome.measured_s += attempt.took_s;
        if (attempt.measured.power_w <= budget_w) {
          ++outcome.inside;
          outcome.inside_s += attempt.took_s;
        }
        outcome.mode = move.mode;
        outcome.measured = attempt.measured;
        if (governor.tell(move.mode, attempt.measured))
          event = governor.recognised() ? "workload-known" : "workload-changed";
        break;
      case hw::AttemptStatus::interrupted:
        outcome.interrupted = told_to_stop != 0;
        event = outcome.interrupted ? "stopped" : "budget-changed";
        break;
      case hw::AttemptStatus::program_ended:
        outcome.ended = true;
        event = "program-ended";
        break;
      default:
        ++outcome.rejected;
        outcome.rejection = std::string(hw::to_string(attempt.status)) + ": " + attempt.detail;
        event = hw::to_string(attempt.status);
        governor.reject(move.mode);
    }
    log.line(runner.now_s(), move, attempt.measured, budget_w, event);
    if (!options.common.quiet && (!event.empty() || isatty(STDERR_FILENO) != 0))
      std::cerr << std::lround(runner.now_s()) << " s  " << hw::describe(runner.space(), move.mode) << "  "
                << std::setprecision(4) << attempt.measured.time_ms << " ms, " << attempt.measured.power_w
                << " W of " << budget_w << "  " << learners::to_string(move.reason)
                << (event.empty() ? "" : ", ") << event << '\n';
    if (attempt.status == hw::AttemptStatus::program_died) {
      outcome.died = outcome.rejection;
      return;
    }
    if (outcome.ended) return;
    // A window that failed at once is not tried again at once.
    if (const double left_s = options.window_s - (runner.now_s() - from_s);
        attempt.status != hw::AttemptStatus::ok && attempt.status != hw::AttemptStatus::interrupted &&
        left_s > 0)
      runner.wait_s(left_s);
  }
  outcome.interrupted = outcome.interrupted || told_to_stop != 0;
}

int govern(const Options& options) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ})
    sigaction(signal, &action, nullptr);  // they come as errors, too
  const auto learner = learner_of(options);
  hw::SystemMonotonic time;
  Budget budget(options.max_power_w, options.budget_file);
  const auto runner = runner_of(options, time, budget);
  if (!options.common.quiet)
    for (const auto& notice : runner->notices) std::cerr << notice << '\n';
  learners::GovernorOptions governing;
  governing.confidence = options.confidence;
  governing.seed = options.common.seed;
  learners::Governor governor(std::make_shared<const hw::PowerModeSpace>(runner->space()), learner,
                              governing);
  Outcome outcome;
  try {
    Log log(options.log, runner->space());
    govern_windows(*runner, governor, budget, log, options, outcome);
  } catch (const std::exception& e) {
    const auto troubles = runner->finish();
    throw std::runtime_error(
        e.what() + (troubles.empty() ? std::string() : "; not all was put back: " + troubles.front()));
  }
  const auto troubles = runner->finish();
  if (!options.out.empty() && outcome.windows > 0) write_measurements(options.out, governor.samples());

  const double inside = outcome.measured_s > 0 ? 100 * outcome.inside_s / outcome.measured_s : 0;
  if (options.common.json) {
    Json report{{"windows", outcome.windows},
                {"rejected", outcome.rejected},
                {"moves", outcome.moves},
                {"changes", governor.changes()},
                {"inside_percent", inside},
                {"seconds", runner->now_s()},
                {"interrupted", outcome.interrupted},
                {"program_ended", outcome.ended},
                {"notices", runner->notices},
                {"not_put_back", troubles}};
    if (outcome.mode) {
      for (std::size_t k = 0; k < outcome.mode->size(); ++k)
        report["mode"][std::string(hw::to_string(runner->space().knobs()[k].role))] = (*outcome.mode)[k];
      report["time_ms"] = outcome.measured.time_ms;
      report["power_w"] = outcome.measured.power_w;
    }
    std::cout << report.dump(2) << '\n';
  } else if (!options.common.quiet && outcome.mode) {
    std::cout << std::setprecision(4) << outcome.windows << " windows, " << inside
              << " % of their time inside the budget, " << outcome.moves << " moves, " << governor.changes()
              << " changes of the workload; last " << hw::describe(runner->space(), *outcome.mode) << ": "
              << outcome.measured.time_ms << " ms, " << outcome.measured.power_w << " W\n";
  }
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  if (!outcome.died.empty()) throw hw::DeviceError(outcome.died);
  if (outcome.windows == 0 && !outcome.rejection.empty())
    throw hw::DeviceError("nothing could be measured, the last was " + outcome.rejection);
  return outcome.windows > 0 && outcome.inside == 0 ? program::kNoModeFits : program::kDone;
}

void check(const Options& options) {
  const auto positive = [](const char* name, double value) {
    require(value > 0 && std::isfinite(value), std::string(name) + " must be > 0");
  };
  positive("--max-power-w", options.max_power_w);
  positive("--window-s", options.window_s);
  positive("--simulated-speed", options.speed);
  require(options.minutes >= 0 && std::isfinite(options.minutes), "--minutes must be > 0");
  require(options.confidence >= 0.5 && options.confidence < 1,
          "--confidence must be at least 0.5 and below 1");
  require(options.init.empty() || options.learner.empty(),
          "give one of --init and --learner, or neither for auto");
  require(options.grid.empty() || options.device.starts_with("simulated:"),
          "--grid goes with --device simulated:BOARD");
  require(options.speed == 1 || options.device.starts_with("simulated:"),
          "--simulated-speed goes with --device simulated:BOARD");
  require(!options.command.empty() || options.minutes > 0 || options.device == "jetson",
          "without a program give --minutes, after which to end");
  require(options.minibatches.value >= 2, "--minibatches must be >= 2");
  if (!options.out.empty())
    program::refuse_overwriting(options.out,
                                {options.init, options.profiles, options.budget_file, options.log});
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("govern", [&]() -> int {
    namespace po = program::po;
    Options options;
    program::Manual manual;
    manual.verb = "govern";
    manual.synopsis = "--max-power-w W [--budget-file F] [--init INIT.h5] -- CMD...";
    manual.about =
        "Runs a program inside a power budget, as fast as it can be there, until it ends or is stopped. "
        "Measures time per "
        "step and power in one window after the other, moves to another mode where that is sure to fit and "
        "worth a "
        "window, leaves a mode that was over the budget, and starts anew when the workload changes. The "
        "program "
        "writes a newline to the file descriptor FEWWATT_STEP_FD after each step. The clocks are put back "
        "whatever "
        "happens.";
    auto add = manual.options.add_options();
    add("max-power-w", po::value(&options.max_power_w)->required()->value_name("W"), "the budget");
    add("budget-file", po::value(&options.budget_file)->value_name("FILE"),
        "holds the budget in W in place of --max-power-w, and may be written again at any time");
    add("init", po::value(&options.init)->value_name("FILE"), "checkpoint, written by fewwatt meta-train");
    add("learner", po::value(&options.learner)->value_name("NAME"),
        "a learner that needs no checkpoint, and gives uncertainty; auto if no --init is given");
    add("confidence", po::value(&options.confidence)->default_value(options.confidence, "0.95"),
        "that a mode fits, before it is tried");
    add("log", po::value(&options.log)->value_name("FILE"),
        "CSV file with a row per window, written as it goes: what ran, what it cost, and why");
    add("out", po::value(&options.out)->value_name("FILE"),
        "CSV file of the measured modes of what ran last, for fewwatt adapt --measurements");
    add("minutes", po::value(&options.minutes), "after which to end; never, unless given");
    add("window-s", po::value(&options.window_s)->default_value(options.window_s),
        "of one measurement, at least");
    add("minibatches", po::value(&options.minibatches)->default_value(options.minibatches),
        "steps in one measurement, at least");
    add("start-s", po::value(&options.start_s)->default_value(options.start_s),
        "of the program, until its first step, at most");
    add("warm-up-s", po::value(&options.warm_up_s)->default_value(options.warm_up_s),
        "after a move, until time and power are steady, at most");
    add("step-timeout-s", po::value(&options.step_timeout_s)->default_value(options.step_timeout_s),
        "without a step, at most");
    add("stop-grace-s", po::value(&options.stop_grace_s)->default_value(options.stop_grace_s),
        "between SIGTERM and SIGKILL");
    add("as-root", po::bool_switch(&options.as_root),
        "run the program as root, not as the user who called sudo");
    add("device", po::value(&options.device)->default_value("jetson"),
        "jetson (this board), simulated:BOARD, or replay");
    add("workload", po::value(&options.workload), "that is simulated or replayed");
    add("grid", po::value(&options.grid), "of a simulated board: full, or a grid that fewwatt device lists");
    add("simulated-speed", po::value(&options.speed)->default_value(1),
        "how many times faster its time passes");
    add("profiles", po::value(&options.profiles), "file of the profile that is replayed");
    add("profiled-device", po::value(&options.profiled_device), "its device");
    add("root", po::value(&options.jetson.root),
        "folder in which the board's /sys, /proc and /etc lie; the board's own");
    add("state", po::value(&options.jetson.state), "folder of what is to be put back (/run/fewwatt)");
    add("command", po::value(&options.command), "the program and its arguments, after --");
    manual.positional.add("command", -1);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;
    check(options);
    if (options.init.empty() && options.learner.empty()) options.learner = "auto";
    return govern(options);
  });
}
