// fewwatt profile --device jetson --workload NAME --modes 50 --out P.h5 -- CMD...
//                 --device simulated:BOARD --workload W [-- CMD...]
//                 --device replay --profiles P.h5 --profiled-device D --workload W
//                 --merge A.h5 --merge B.h5 --out C.h5
//
// Measures time and power of a program in one power mode after the other, and keeps every mode as soon as it is measured.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/profile_io.hpp"
#include "datasets/replay_device.hpp"
#include "datasets/run_log.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/jetson/profiler.hpp"
#include "hw/modules.hpp"
#include "hw/program.hpp"
#include "hw/simulated_device.hpp"
#include "tasks/samplers/sampler.hpp"

namespace {

using namespace fewwatt;
using datasets::RunRecord;
using datasets::RunStatus;
using Json = nlohmann::ordered_json;

constexpr int kFoldEvery = 25;          // modes; the log has them at once
constexpr std::size_t kTellEvery = 10;  // modes, where progress is no terminal's

volatile std::sig_atomic_t told_to_stop = 0;
void on_signal(int) {
  told_to_stop = 1;
}

struct Options {
  program::CommonOptions common;
  std::string device, name, workload, grid, profiles, profiled_device, out;
  std::string kind, time_of;
  std::string sampler;
  program::Count modes{50}, minibatches{40}, retries{2};
  std::vector<std::string> command, merge;
  bool resume = false, restart = false, go_on = false, as_root = false, program_output = false;
  double start_s = 0, counters_s = 0, warm_up_s = 0, window_s = 0, timeout_s = 0, step_timeout_s = 0,
         cool_s = 0, margin_c = 0, stop_grace_s = 0, speed = 1;
  hw::JetsonOptions jetson;
  datasets::WorkloadAttributes attributes;
};

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw program::UsageError(otherwise);
}

std::string log_path(const Options& options) {
  return options.out + ".log";
}

// Where modes are measured.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual const hw::PowerModeSpace& space() const = 0;
  virtual hw::Attempt attempt(const hw::PowerMode& mode) = 0;
  // Puts back what was changed; sentences for what could not be.
  virtual std::vector<std::string> finish() { return {}; }
  std::string device;                     // name in the profile
  datasets::DeviceAttributes attributes;  // of the device
  datasets::DeviceAttributes run;         // of this run
  std::vector<std::string> notices;
};

// A program that runs.
class ProgramBench final : public Bench {
 public:
  ProgramBench(hw::Monotonic& time, std::unique_ptr<hw::MeasuredBoard> board, hw::ProfilerOptions profiler,
               hw::WorkloadOptions workload)
      : board_(std::move(board)),
        profiler_(std::make_unique<hw::Profiler>(*board_, std::move(workload), time, profiler,
                                                 [] { return told_to_stop != 0; })) {}
  const hw::PowerModeSpace& space() const override { return board_->space(); }
  hw::Attempt attempt(const hw::PowerMode& mode) override { return profiler_->attempt(mode); }
  std::vector<std::string> finish() override {
    const auto garbage = profiler_->garbage_bytes();
    profiler_.reset();  // the program ends before the clocks are put back
    auto* jetson = dynamic_cast<hw::JetsonBoard*>(board_.get());
    auto troubles = jetson != nullptr ? jetson->restore() : std::vector<std::string>();
    constexpr std::size_t kFew = 16;
    if (garbage > kFew)
      notices.push_back("the program wrote " + std::to_string(garbage) +
                        " bytes that are no newlines to the descriptor of steps");
    return troubles;
  }

 private:
  std::unique_ptr<hw::MeasuredBoard> board_;
  std::unique_ptr<hw::Profiler> profiler_;
};

// A device that knows the answers.
class DeviceBench final : public Bench {
 public:
  explicit DeviceBench(std::unique_ptr<hw::Device> of) : device_(std::move(of)) {}
  const hw::PowerModeSpace& space() const override { return device_->space(); }
  hw::Attempt attempt(const hw::PowerMode& mode) override {
    hw::Attempt attempt;
    if (told_to_stop != 0) {
      attempt.status = hw::AttemptStatus::interrupted;
      return attempt;
    }
    attempt.measured = device_->measure(mode);
    return attempt;
  }

 private:
  std::unique_ptr<hw::Device> device_;
};

// "NVIDIA Jetson AGX Orin Developer Kit" as a name in a file of profiles.
std::string plain_name(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    c = std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : '-';
  }
  return text.empty() ? "jetson" : text;
}

hw::ProfilerOptions profiler_options(const Options& options) {
  hw::ProfilerOptions p;
  p.minibatches = options.minibatches.value;
  p.window_s = options.window_s;
  p.start_s = options.start_s;
  p.counters_s = options.counters_s;
  p.warm_up_s = options.warm_up_s;
  p.timeout_s = options.timeout_s;
  p.step_timeout_s = options.step_timeout_s;
  p.margin_c = options.margin_c;
  p.cool_s = options.cool_s;
  p.restart = options.restart;
  p.meter_interval_s = std::min(0.1, options.window_s / 20) / options.speed;
  return p;
}

hw::WorkloadOptions workload_options(const Options& options) {
  hw::WorkloadOptions w;
  w.command = options.command;
  w.stop_grace_s = options.stop_grace_s;
  w.quiet = !options.program_output;
  w.as_invoking_user = !options.as_root;
  return w;
}

std::unique_ptr<Bench> simulated_bench(Options& options, const std::string& board_name, hw::Monotonic& time) {
  const auto& board = hw::find_simulated_board(board_name);
  const auto& workload = hw::find_simulated_workload(options.workload);
  auto space = hw::module_space(board_name, options.grid.empty() ? "full" : options.grid);
  hw::SimulatedDevice device(board, workload, std::move(space), {.seed = options.common.seed});
  auto& a = options.attributes;
  a.model = workload.network.model;
  a.dataset = workload.pipeline.dataset;
  if (!a.batch_size) a.batch_size = workload.batch_size;
  const auto known = [](std::optional<double>& into, double value) {
    if (!into && value > 0) into = value;
  };
  known(a.layers, workload.network.layers);
  known(a.parameters, workload.network.parameters);
  known(a.flops, workload.network.flops);
  known(a.minibatches_per_epoch, workload.minibatches_per_epoch());
  if (a.source.empty()) a.source = "fewwatt profile, simulated";
  std::unique_ptr<Bench> bench;
  if (options.command.empty()) {
    bench = std::make_unique<DeviceBench>(std::make_unique<hw::SimulatedDevice>(std::move(device)));
  } else {
    const auto file = options.out + ".step";
    auto work = workload_options(options);
    work.environment[hw::kSimulatedStepVariable] = std::filesystem::absolute(file).string();
    bench = std::make_unique<ProgramBench>(time,
                                           std::make_unique<hw::SimulatedBoardAtWork>(
                                               std::move(device), file, options.speed, options.common.seed),
                                           profiler_options(options), std::move(work));
  }
  bench->device = board_name;
  bench->attributes = {{"board", hw::find_module(board_name).title}, {"simulated", "yes"}};
  return bench;
}

std::unique_ptr<Bench> replay_bench(Options& options) {
  require(!options.profiles.empty() && !options.profiled_device.empty(),
          "--device replay needs --profiles and --profiled-device");
  require(options.command.empty(), "--device replay runs no program");
  const auto store = datasets::read_profiles(options.profiles);
  const auto* profile = store.find(options.profiled_device, options.workload);
  if (profile == nullptr)
    throw datasets::DataError(options.profiles + ": has no profile " + options.profiled_device + '/' +
                              options.workload);
  options.attributes = profile->attributes;
  auto bench = std::make_unique<DeviceBench>(std::make_unique<datasets::ReplayDevice>(*profile));
  bench->device = options.profiled_device;
  if (const auto found = store.devices.find(options.profiled_device); found != store.devices.end())
    bench->attributes = found->second;
  return bench;
}

std::unique_ptr<Bench> jetson_bench(Options& options, hw::Monotonic& time) {
  require(!options.command.empty(), "--device jetson needs a program to measure: -- CMD...");
  auto board = std::make_unique<hw::JetsonBoard>(options.jetson, time);
  const auto& found = board->board();
  const auto device = plain_name(found.model);
  datasets::DeviceAttributes attributes = {{"board", found.model},
                                           {"jetpack", found.jetpack},
                                           {"l4t", found.release},
                                           {"power", board->power().describe()}};
  std::erase_if(attributes, [](const auto& entry) { return entry.second.empty(); });
  std::vector<std::string> notices;
  for (const auto& [what, why] : found.missing) notices.push_back(what + " is not measured: " + why);
  if (board->replayed() > 0)
    notices.push_back("a run before this one did not end: " + std::to_string(board->replayed()) +
                      " controls are put back");
  attributes.merge(board->setting());
  const auto boot = board->state().boot_id;
  auto bench = std::make_unique<ProgramBench>(time, std::move(board), profiler_options(options),
                                              workload_options(options));
  bench->device = device;
  bench->attributes = std::move(attributes);
  bench->run = {{"boot_id", boot}};
  bench->notices = std::move(notices);
  return bench;
}

std::unique_ptr<Bench> bench_of(Options& options, hw::Monotonic& time) {
  const std::string simulated = "simulated:";
  if (options.device == "jetson") return jetson_bench(options, time);
  if (options.device == "replay") return replay_bench(options);
  if (options.device.starts_with(simulated))
    return simulated_bench(options, options.device.substr(simulated.size()), time);
  throw program::UsageError("--device must be jetson, simulated:BOARD or replay, found \"" + options.device +
                            "\"");
}

std::string duration(double seconds) {
  std::ostringstream text;
  if (seconds < 100)
    text << std::setprecision(2) << seconds << " s";
  else if (seconds < 6000)
    text << std::lround(seconds / 60) << " min";
  else
    text << std::setprecision(2) << std::fixed << seconds / 3600 << " h";
  return text.str();
}

RunRecord record_of(const hw::PowerMode& mode, const hw::Attempt& attempt) {
  RunRecord record;
  record.mode = mode;
  record.status = *datasets::parse_run_status(hw::to_string(attempt.status));
  record.detail = attempt.detail;
  record.measured = attempt.measured;
  record.time_std_ms = attempt.time_std_ms;
  record.power_std_w = attempt.power_std_w;
  record.power_samples = attempt.power_samples;
  record.took_s = attempt.took_s;
  return record;
}

// What has come of a run.
struct Outcome {
  std::size_t wanted = 0, measured = 0, before = 0;  // before: in the log already
  std::size_t rejected_attempts = 0;
  std::vector<std::pair<hw::PowerMode, std::string>> given_up;
  bool interrupted = false;
  std::string stopped;  // why it did not go on
};

// One mode, tried again where that may help.
bool measure(Bench& bench, datasets::RunLog& log, const hw::PowerMode& mode, const Options& options,
             Outcome& outcome) {
  std::string last;
  for (std::size_t attempt = 0; attempt <= options.retries.value; ++attempt) {
    const auto done = bench.attempt(mode);
    if (done.status == hw::AttemptStatus::interrupted) {
      outcome.interrupted = true;
      return false;
    }
    log.append(record_of(mode, done));
    if (done.status == hw::AttemptStatus::ok) {
      ++outcome.measured;
      return true;
    }
    ++outcome.rejected_attempts;
    last = std::string(hw::to_string(done.status)) + ": " + done.detail;
    if (!options.common.quiet)
      std::cerr << hw::describe(bench.space(), mode) << " rejected, " << last << '\n';
    if (done.status == hw::AttemptStatus::program_died && !options.go_on) {
      outcome.stopped = last;
      return false;
    }
  }
  outcome.given_up.emplace_back(mode, last);
  if (!options.go_on) outcome.stopped = last;
  return false;
}

Outcome run(Bench& bench, datasets::RunLog& log, const Options& options) {
  Outcome outcome;
  const auto& space = bench.space();
  outcome.wanted = std::min<std::size_t>(options.modes.value, space.size());
  const auto sampler = tasks::make_sampler(options.sampler, space, outcome.wanted, options.common.seed);
  std::vector<hw::PowerMode> known;
  for (const auto& record : log.records().records)
    if (record.status == RunStatus::ok) known.push_back(record.mode);
  std::sort(known.begin(), known.end());
  hw::SystemMonotonic time;
  const double start_s = time.now_s();
  std::size_t tried = 0;
  for (std::size_t asked = 0; asked < outcome.wanted && told_to_stop == 0 && outcome.stopped.empty();
       ++asked) {
    const auto mode = sampler->ask();
    if (!mode) break;
    if (std::binary_search(known.begin(), known.end(), *mode)) {
      ++outcome.before;
      continue;
    }
    if (measure(bench, log, *mode, options, outcome)) {
      const auto& row = log.records().records.back().measured;
      sampler->tell(*mode, row);
      ++tried;
      const bool terminal = isatty(STDERR_FILENO) != 0;
      if (!options.common.quiet && (terminal || tried % kTellEvery == 0)) {
        const auto left = static_cast<double>(outcome.wanted - asked - 1);
        std::cerr << asked + 1 << '/' << outcome.wanted << "  " << hw::describe(space, *mode) << ": "
                  << std::setprecision(4) << row.time_ms << " ms, " << row.power_w << " W, "
                  << duration((time.now_s() - start_s) / static_cast<double>(tried) * left) << " left   "
                  << (terminal ? '\r' : '\n');
      }
    }
    if (outcome.measured % kFoldEvery == 0 && outcome.measured > 0)
      datasets::fold(log.records(), options.out);
  }
  outcome.interrupted = outcome.interrupted || told_to_stop != 0;
  return outcome;
}

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ})
    sigaction(signal, &action, nullptr);  // they come as errors, too
}

int profile(Options& options) {
  catch_signals();
  hw::SystemMonotonic time;
  const auto bench = bench_of(options, time);
  datasets::RunHeader header;
  header.device = options.name.empty() ? bench->device : options.name;
  header.workload = options.workload;
  header.attributes = options.attributes;
  header.space = std::make_shared<const hw::PowerModeSpace>(bench->space());
  header.device_attributes = bench->attributes;
  header.run_attributes = bench->run;
  datasets::check_fold(header, options.out);
  const bool exists = std::filesystem::exists(log_path(options));
  if (exists && !options.resume)
    throw datasets::DataError(log_path(options) +
                              ": of a run that did not end; --resume goes on with it, else remove it");
  auto log = exists ? datasets::RunLog::open_to_append(log_path(options), header)
                    : datasets::RunLog::create(log_path(options), header);
  if (const auto dropped = log.records().dropped_bytes; dropped > 0)
    bench->notices.push_back(log_path(options) + ": its last line, of " + std::to_string(dropped) +
                             " bytes, was not whole and is left out");
  if (!options.common.quiet)
    for (const auto& notice : bench->notices) std::cerr << notice << '\n';
  Outcome outcome;
  try {
    outcome = run(*bench, log, options);
  } catch (const std::exception& e) {
    const auto troubles = bench->finish();
    throw std::runtime_error(
        e.what() + (troubles.empty() ? std::string() : "; not all was put back: " + troubles.front()));
  }
  const auto told = bench->notices.size();
  const auto troubles = bench->finish();
  const bool any = std::any_of(log.records().records.begin(), log.records().records.end(),
                               [](const RunRecord& record) { return record.status == RunStatus::ok; });
  if (any) datasets::fold(log.records(), options.out);
  const bool complete = !outcome.interrupted && outcome.stopped.empty();
  if (complete && any) {
    // What was rejected, and why, is in no other place.
    const bool rejected = log.records().records.size() > datasets::to_profile(log.records()).modes.size();
    if (rejected)
      std::filesystem::rename(log_path(options), log_path(options) + ".done");
    else
      std::filesystem::remove(log_path(options));
  }

  if (options.common.json) {
    Json given_up = Json::array();
    for (const auto& [mode, why] : outcome.given_up)
      given_up.push_back({{"mode", hw::describe(bench->space(), mode)}, {"why", why}});
    std::cout << Json{{"out", options.out},
                      {"device", header.device},
                      {"workload", header.workload},
                      {"measured", outcome.measured},
                      {"measured_before", outcome.before},
                      {"rejected_attempts", outcome.rejected_attempts},
                      {"given_up", given_up},
                      {"interrupted", outcome.interrupted},
                      {"notices", bench->notices},
                      {"not_put_back", troubles}}
                     .dump(2)
              << '\n';
  } else if (!options.common.quiet) {
    for (std::size_t i = told; i < bench->notices.size(); ++i) std::cerr << bench->notices[i] << '\n';
    std::cout << header.device << '/' << header.workload << ": " << outcome.measured << " modes measured";
    if (outcome.before > 0) std::cout << ", " << outcome.before << " before";
    if (outcome.rejected_attempts > 0) std::cout << ", " << outcome.rejected_attempts << " attempts rejected";
    std::cout << (any ? " -> " + options.out : "") << '\n';
    for (const auto& [mode, why] : outcome.given_up)
      std::cout << "  without " << hw::describe(bench->space(), mode) << ": " << why << '\n';
  }
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  if (!outcome.stopped.empty())
    throw hw::DeviceError(outcome.stopped +
                          "\nwhat was measured is kept; --resume goes on, --go-on leaves such modes out");
  if (outcome.interrupted)
    throw hw::DeviceError("told to stop; what was measured is kept, and --resume goes on");
  if (!any) throw hw::DeviceError("no mode was measured");
  return program::kDone;
}

int merge(const Options& options) {
  require(options.merge.size() >= 2, "--merge: give two files or more");
  program::refuse_overwriting(options.out, options.merge);
  auto merged = datasets::read_profiles(options.merge.front());
  for (std::size_t i = 1; i < options.merge.size(); ++i)
    merged = datasets::merge_profiles(merged, datasets::read_profiles(options.merge[i]), options.merge[i]);
  datasets::write_profiles(options.out, merged);
  if (options.common.json)
    std::cout << Json{{"out", options.out}, {"profiles", merged.profiles.size()}}.dump(2) << '\n';
  else if (!options.common.quiet)
    std::cout << merged.profiles.size() << " profiles -> " << options.out << '\n';
  return program::kDone;
}

void check(const Options& options) {
  require(!options.out.empty(), "give --out, the file of profiles to write");
  if (!options.merge.empty()) {
    require(options.device.empty() && options.command.empty(), "--merge measures nothing");
    return;
  }
  require(!options.device.empty(), "give --device: jetson, simulated:BOARD or replay");
  require(!options.workload.empty(), "give --workload, a name for what is measured");
  require(datasets::is_profile_name(options.workload), "--workload: letters, digits and . _ + - only");
  require(options.name.empty() || datasets::is_profile_name(options.name),
          "--name: letters, digits and . _ + - only");
  require(options.modes.value > 0, "--modes must be > 0");
  require(options.grid.empty() || options.device.starts_with("simulated:"),
          "--grid goes with --device simulated:BOARD");
  require(options.speed > 0 && std::isfinite(options.speed), "--simulated-speed must be > 0");
  require(options.speed == 1 || options.device.starts_with("simulated:"),
          "--simulated-speed goes with --device simulated:BOARD");
  program::refuse_overwriting(options.out, {options.profiles});
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("profile", [&]() -> int {
    namespace po = program::po;
    Options options;
    program::Manual manual;
    manual.verb = "profile";
    manual.synopsis =
        "--device jetson --workload NAME --out P.h5 -- CMD... (or --merge A.h5 --merge B.h5 --out P.h5)";
    manual.about =
        "Runs a program in one power mode after the other and measures its time per step and the module's "
        "power. The "
        "program writes a newline to the file descriptor FEWWATT_STEP_FD after each step (minibatch). A mode "
        "counts once "
        "time and power are steady; measurements that throttling spoiled are made again. Every mode is kept "
        "at once in "
        "P.h5.log, and goes to P.h5; the clocks are put back whatever happens.";
    auto add = manual.options.add_options();
    add("device", po::value(&options.device), "jetson (this board), simulated:BOARD, or replay");
    add("name", po::value(&options.name), "of the device, in the profile; the board's model");
    add("workload", po::value(&options.workload), "name of what is measured, in the profile");
    add("out", po::value(&options.out), "file of profiles; others in it stay");
    add("modes", po::value(&options.modes)->default_value(options.modes), "how many to measure");
    add("sampler", po::value(&options.sampler)->default_value("random"), "what chooses them");
    add("resume", po::bool_switch(&options.resume), "go on with a run that did not end");
    add("minibatches", po::value(&options.minibatches)->default_value(options.minibatches),
        "timed in a mode, at least");
    add("window-s", po::value(&options.window_s)->default_value(5), "in which power is measured, at least");
    add("start-s", po::value(&options.start_s)->default_value(600),
        "of the program, until its first step, at most");
    add("warm-up-s", po::value(&options.warm_up_s)->default_value(120),
        "until time and power are steady, at most");
    add("step-timeout-s", po::value(&options.step_timeout_s)->default_value(120), "without a step, at most");
    add("timeout-s", po::value(&options.timeout_s)->default_value(900), "for a mode, at most");
    add("retries", po::value(&options.retries)->default_value(options.retries), "of a rejected measurement");
    add("cool-s", po::value(&options.cool_s)->default_value(180), "to cool down before a mode, at most");
    add("counters-s", po::value(&options.counters_s)->default_value(2.2),
        "waited for the kernel's counters of over-current events, where there are any");
    add("margin-c", po::value(&options.margin_c)->default_value(5),
        "below the nearest trip temperature before a mode");
    add("restart", po::bool_switch(&options.restart), "start the program anew in every mode");
    add("go-on", po::bool_switch(&options.go_on),
        "leave out modes in which the program dies or nothing can be measured");
    add("stop-grace-s", po::value(&options.stop_grace_s)->default_value(10), "between SIGTERM and SIGKILL");
    add("program-output", po::bool_switch(&options.program_output), "show what the program prints");
    add("as-root", po::bool_switch(&options.as_root),
        "run the program as root, not as the user who called sudo");
    add("kind", po::value(&options.kind)->default_value("dnn-training"),
        "dnn-training, dnn-inference or non-dnn");
    add("time-of", po::value(&options.time_of)->default_value("minibatch"),
        "what a step is: minibatch, epoch or run");
    const auto number = [&](const char* name, std::optional<double>& into) {
      add(name, po::value<double>()->notifier([&into](double value) { into = value; }),
          "of the workload, where known");
    };
    number("batch-size", options.attributes.batch_size);
    number("minibatches-per-epoch", options.attributes.minibatches_per_epoch);
    number("layers", options.attributes.layers);
    number("parameters", options.attributes.parameters);
    number("flops", options.attributes.flops);
    add("grid", po::value(&options.grid), "of a simulated board: full, or a grid that fewwatt device lists");
    add("simulated-speed", po::value(&options.speed)->default_value(1),
        "how many times faster its time passes");
    add("profiles", po::value(&options.profiles), "file of the profile that is replayed");
    add("profiled-device", po::value(&options.profiled_device), "its device");
    add("merge", po::value(&options.merge),
        "file of profiles; twice or more: their rows together go to --out");
    add("root", po::value(&options.jetson.root),
        "folder in which the board's /sys, /proc and /etc lie; the board's own");
    add("state", po::value(&options.jetson.state), "folder of what is to be put back (/run/fewwatt)");
    add("command", po::value(&options.command), "the program and its arguments, after --");
    manual.positional.add("command", -1);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;
    check(options);
    if (!options.merge.empty()) return merge(options);
    const auto kind = datasets::parse_workload_kind(options.kind);
    const auto time_of = datasets::parse_time_of(options.time_of);
    require(kind.has_value(), "--kind must be dnn-training, dnn-inference or non-dnn, found " + options.kind);
    require(time_of.has_value(), "--time-of must be minibatch, epoch or run, found " + options.time_of);
    options.attributes.kind = *kind;
    options.attributes.time_of = *time_of;
    return profile(options);
  });
}
