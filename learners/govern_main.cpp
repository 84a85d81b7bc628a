// fewwatt govern --max-power-w 30 [--budget-file F] [--init INIT.h5] [--agent A.h5] -- CMD...
//                --device simulated:BOARD --workload W [-- CMD...]
//                --device replay --profiles P.h5 --profiled-device D --workload W
//
// Runs a program inside a power budget, as fast as that lets it: measures while it runs, and moves to better modes.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/atomic_file.hpp"
#include "datasets/csv.hpp"
#include "datasets/measured_workload.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "hw/readable.hpp"
#include "hw/regular_file.hpp"
#include "learners/control/governed_agent.hpp"
#include "learners/govern.hpp"
#include "learners/programs/live_page.hpp"
#include "learners/programs/shared_options.hpp"
#include "learners/programs/shown_run.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBudgetBytes = 4096;
constexpr int kGivenDigits = 6;  // of a budget
constexpr double kNoise = 0.01;  // of windows whose time and power are known

struct Options {
  program::CommonOptions common;
  double max_power_w = 0, confidence = 0.95, minutes = 0;
  std::string budget_file, log, out, agent;
  std::optional<std::string> live;  // --live
  program::LearnerChoice choice;
  learners::GovernorOptions governing;
  learners::UpdateOptions forgetting;
  hw::MeasuringOptions measuring;

  Options() {
    measuring.device = "jetson";
    measuring.program_output = true;
    measuring.profiler.keeps_running = true;
    measuring.profiler.minibatches = 8;
    measuring.profiler.counters_s = 0;  // an event that is counted late spoils the next window
  }
};

// The budget in force: what the file says, while it says one.
class Budget {
 public:
  Budget(double watts, std::string file) : watts_(watts), file_(std::move(file)) { changed(); }

  double watts() const { return watts_; }
  // Looks at the file. What is no budget leaves it as it was: notice() says so.
  bool changed() {
    if (file_.empty()) return false;
    double value = 0;
    try {
      value = parse_budget(hw::read_regular_file(file_, kMostBudgetBytes));
      trouble_ = "";
    } catch (const std::runtime_error& e) {
      trouble_ = e.what();
    }
    if (!trouble_.empty() || value == watts_) return false;
    watts_ = value;
    return true;
  }
  // What is wrong with the file, where that was not said before; "" = nothing.
  std::string notice() {
    if (trouble_ == said_) return "";
    said_ = trouble_;
    std::ostringstream text;
    if (!said_.empty()) text << said_ << "; the budget stays " << watts_ << " W";
    return text.str();
  }

 private:
  // The content is not quoted: the file may be another one than was meant.
  double parse_budget(const std::string& content) const {
    std::istringstream lines(content);
    std::string line, number;
    const auto expect = [&](std::size_t at, const char* what) {
      throw std::runtime_error(file_ + ", line " + std::to_string(at) + ": expected " + what);
    };
    double value = 0;
    for (std::size_t at = 1; std::getline(lines, line); ++at) {
      while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.pop_back();
      if (at > 1 && !line.empty()) expect(at, "nothing more");
      if (at == 1 && !(datasets::parse_number(line, value) && value > 0 && std::isfinite(value)))
        expect(at, "a number of watts above 0");
    }
    if (value == 0) expect(1, "a number of watts above 0");
    return value;
  }

  double watts_;
  std::string file_, trouble_, said_;
};

program::ChosenLearner learner_of(const Options& options) {
  auto chosen = program::chosen_learner(options.choice);
  program::require(chosen.facts().gives_uncertainty,
                   (options.choice.trained() ? options.choice.init + ": its learner " : "--learner ") +
                       chosen.name + " gives no uncertainty");
  program::check_forgetting(options.forgetting.forget, chosen);
  return chosen;
}

// The agent, where one is asked for.
std::optional<learners::PolicyModel> agent_of(const Options& options) {
  if (options.agent.empty()) return std::nullopt;
  auto agent = program::read_agent(options.agent);
  if (agent.mdp->task != tasks::ModeTask::run)
    throw datasets::DataError(options.agent +
                              ": the agent was trained for the task find, and govern needs one for run");
  return agent;
}

// One line per window, written at once: t_s,<knobs>,time_ms,power_w,budget_w,reason,event. A line that cannot be written, for instance
// on a full disk, is left out as a whole: what is governed goes on.
class Log {
 public:
  // "" for none. Throws DataError where the file cannot be made, or is there, be it a link.
  Log(const std::string& path, const hw::PowerModeSpace& space) : path_(path) {
    if (path.empty()) return;
    file_ = hw::Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file_)
      throw datasets::DataError(path + (errno == EEXIST
                                            ? std::string(": is there already")
                                            : std::string(": cannot create: ") + std::strerror(errno)));
    for (const auto& knob : space.knobs()) header_ += std::string(hw::to_string(knob.role)) + ',';
    header_ = "t_s," + header_ + "time_ms,power_w,budget_w,reason,event\n";
    write_header();
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
    text << budget_w << ',' << learners::to_string(move.reason) << ',' << event << '\n';
    if (!write_header() || !append(text.str())) ++lost_;
  }
  // What is to be said of lines that are missing, where that was not said before; "" = nothing.
  std::string notice() {
    if (lost_ == 0 || said_) return "";
    said_ = true;
    return path_ + ": cannot write: " + std::strerror(why_) + "; what cannot be written is left out";
  }
  // At the end; "" when none is missing.
  std::string lost() const {
    return lost_ == 0 ? "" : path_ + ": " + std::to_string(lost_) + " lines could not be written";
  }

 private:
  bool write_header() {
    if (!header_.empty() && append(header_)) header_.clear();
    return header_.empty();
  }
  bool append(const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
      const auto written =
          ::pwrite(file_.get(), text.data() + done, text.size() - done, end_ + static_cast<off_t>(done));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        why_ = written < 0 ? errno : ENOSPC;
        if (done > 0 && ::ftruncate(file_.get(), end_) != 0) why_ = errno;  // no part of a line stays
        return false;
      }
      done += static_cast<std::size_t>(written);
    }
    end_ += static_cast<off_t>(done);
    return true;
  }

  std::string path_, header_;  // header_: not written yet
  hw::Descriptor file_;
  int why_ = 0;
  off_t end_ = 0;  // of the last whole line
  std::size_t lost_ = 0;
  bool said_ = false;
};

// The page of --live shows the run, as fewwatt view shows its log.
void show_run(program::LivePage& live, const Options& options, const hw::PowerModeSpace& space) {
  Json knobs = Json::array();
  for (const auto& knob : space.knobs()) knobs.push_back(hw::to_string(knob.role));
  live.show({"govern", "governor", hw::printable(options.log), Json{{"knobs", knobs}}});
}

// A window, with what is in a line of the log.
void add_window(program::LivePage& live, double t_s, const learners::Governor::Move& move,
                const hw::Measurement& measured, double budget_w, const std::string& event) {
  if (!live) return;
  live.add(hw::json_text(Json{{"t_s", t_s},
                              {"mode", move.mode},
                              {"time_ms", view::known(measured.time_ms)},
                              {"power_w", view::known(measured.power_w)},
                              {"budget_w", budget_w},
                              {"reason", learners::to_string(move.reason)},
                              {"event", event}}));
}

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
  datasets::write_file(path, text.str(),
                       datasets::text_file("a table of measured modes", [](std::string_view start) {
                         return datasets::first_line(start).ends_with(",time_ms,power_w");
                       }));
}

constexpr std::size_t kHopeless = 3;  // windows

struct Outcome {
  std::size_t windows = 0, inside = 0, rejected = 0, moves = 0;
  std::size_t complete = 0;  // windows with both time and power
  double measured_s = 0, inside_s = 0;
  std::optional<hw::PowerMode> mode;  // the last that was measured
  hw::Measurement measured;
  std::string rejection;  // the last
  bool interrupted = false, ended = false;
  std::string died;
};

// agent: around which the governor is; nullptr: it decides alone.
void govern_windows(datasets::MeasuredWorkload& runner, learners::Governor& governor,
                    learners::GovernedAgent* agent, Budget& budget, Log& log, program::LivePage& live,
                    const Options& options, Outcome& outcome) {
  const double end_s = options.minutes > 0 ? 60 * options.minutes : std::numeric_limits<double>::infinity();
  std::optional<hw::PowerMode> before;
  const auto tell = [&](const std::string& notice) {
    if (notice.empty()) return;
    runner.notices.push_back(notice);
    if (!options.common.quiet) std::cerr << notice << '\n';
  };
  while (!program::told_to_stop() && runner.now_s() < end_s) {
    budget.changed();
    tell(budget.notice());
    const double budget_w = budget.watts(), from_s = runner.now_s();
    const double left = (end_s - from_s) / options.measuring.profiler.window_s;
    const auto move = agent != nullptr ? agent->next(budget_w, left) : governor.next(budget_w, left);
    const bool moves = before && *before != move.mode, known = governor.recognised();
    outcome.moves += moves ? 1 : 0;
    before = move.mode;
    const auto attempt = runner.attempt(move.mode);
    std::string event;
    switch (attempt.status) {
      case hw::AttemptStatus::ok:
        ++outcome.windows;
        outcome.complete +=
            std::isfinite(attempt.measured.time_ms) && std::isfinite(attempt.measured.power_w) ? 1 : 0;
        outcome.measured_s += attempt.took_s;
        if (attempt.measured.power_w <= budget_w) {
          ++outcome.inside;
          outcome.inside_s += attempt.took_s;
        }
        outcome.mode = move.mode;
        outcome.measured = attempt.measured;
        if (moves) governor.moved(attempt.changing_s / options.measuring.profiler.window_s);
        // What was recognised may be another after all, and another may be recognised a window later.
        if ((agent != nullptr ? agent->tell(move.mode, attempt.measured)
                              : governor.tell(move.mode, attempt.measured)) ||
            known != governor.recognised())
          event = governor.recognised() ? "workload-known" : "workload-changed";
        break;
      case hw::AttemptStatus::interrupted:
        outcome.interrupted = program::told_to_stop();
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
        if (agent != nullptr)
          agent->reject(move.mode);
        else
          governor.reject(move.mode);
    }
    const double now_s = runner.now_s();
    log.line(now_s, move, attempt.measured, budget_w, event);
    add_window(live, now_s, move, attempt.measured, budget_w, event);
    tell(log.notice());
    if (!options.common.quiet && (!event.empty() || isatty(STDERR_FILENO) != 0))
      std::cerr << std::lround(runner.now_s()) << " s  " << hw::readable_mode(runner.space(), move.mode)
                << ": " << hw::readable_measurement(attempt.measured) << ", budget "
                << hw::readable_number(budget_w, kGivenDigits) << " W  " << learners::to_string(move.reason)
                << (event.empty() ? "" : ", ") << event << '\n';
    // What never began is not going to.
    const bool hopeless = attempt.status == hw::AttemptStatus::device_error && outcome.windows == 0 &&
                          outcome.rejected >= kHopeless;
    if (attempt.status == hw::AttemptStatus::program_died || attempt.status == hw::AttemptStatus::no_steps ||
        hopeless) {
      outcome.died = outcome.rejection;
      return;
    }
    if (outcome.ended) return;
    // A window that failed at once is not tried again at once.
    if (const double left_s = options.measuring.profiler.window_s - (runner.now_s() - from_s);
        attempt.status != hw::AttemptStatus::ok && attempt.status != hw::AttemptStatus::interrupted &&
        left_s > 0)
      runner.wait_s(left_s);
  }
  outcome.interrupted = outcome.interrupted || program::told_to_stop();
}

int govern(Options& options) {
  options.measuring.signals = program::catch_signals();
  if (!options.common.quiet)
    options.measuring.profiler.notice = [](const std::string& text) { std::cerr << text << '\n'; };
  program::LivePage live(options.live);
  const auto learning = learner_of(options);
  const auto policy = agent_of(options);
  hw::SystemMonotonic time;
  Budget budget(options.max_power_w, options.budget_file);
  const auto runner = program::during("opening --device " + options.measuring.device, [&] {
    return datasets::open_measured_workload(
        {options.measuring, options.common.seed, kNoise}, time,
        [&budget] { return program::told_to_stop() || budget.changed(); });
  });
  if (!options.common.quiet)
    for (const auto& notice : runner->notices) std::cerr << notice << '\n';
  auto governing = options.governing;
  governing.confidence = options.confidence;
  governing.seed = options.common.seed;
  governing.forgetting = options.forgetting;
  governing.inherits = learning.facts().weighs_rows;
  const auto space = std::make_shared<const hw::PowerModeSpace>(runner->space());
  learners::Governor governor(space, learning.learner, governing);
  std::optional<learners::GovernedAgent> agent;
  if (policy)
    agent.emplace(governor,
                  program::agent_on(options.agent, *policy, space,
                                    tasks::characteristics_of(runner->attributes), options.common.seed));
  Outcome outcome;
  try {
    Log log(options.log, runner->space());
    show_run(live, options, runner->space());
    program::during("governing", [&] {
      govern_windows(*runner, governor, agent ? &*agent : nullptr, budget, log, live, options, outcome);
    });
    if (const auto lost = log.lost(); !lost.empty()) {
      runner->notices.push_back(lost);
      if (!options.common.quiet) std::cerr << lost << '\n';
    }
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
    std::cout << hw::json_text(report, 2) << '\n';
  } else if (outcome.mode) {
    std::cout << hw::counted(outcome.windows, "window") << ", " << hw::readable_number(inside, 4)
              << " % of their time inside the budget, " << hw::counted(outcome.moves, "move") << ", "
              << hw::counted(governor.changes(), "change") << " of the workload; last mode "
              << hw::readable_mode(runner->space(), *outcome.mode) << ": "
              << hw::readable_measurement(outcome.measured) << '\n';
  }
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  if (!outcome.died.empty()) throw hw::DeviceError(outcome.died);
  if (outcome.windows == 0 && !outcome.rejection.empty())
    throw hw::DeviceError("nothing could be measured; the last attempt: " + outcome.rejection);
  if (outcome.windows > 0 && outcome.complete == 0)
    throw hw::DeviceError("no window had both a time and a power; both are needed to govern");
  return outcome.windows > 0 && outcome.inside == 0 ? program::kNoModeFits : program::kDone;
}

void check(const program::po::variables_map& values, const Options& options) {
  const auto positive = [](const char* name, double value) {
    program::require(value > 0 && std::isfinite(value), std::string(name) + " must be > 0");
  };
  positive("--max-power-w", options.max_power_w);
  if (program::is_given(values, "minutes")) positive("--minutes", options.minutes);
  program::require(options.confidence >= 0.5 && options.confidence < 1,
                   "--confidence must be at least 0.5 and below 1");
  options.choice.check();
  if (auto error = options.forgetting.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  if (auto error = options.measuring.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(!options.measuring.command.empty() || options.minutes > 0,
                   "without a program --minutes is needed, after which to end");
  if (!options.out.empty()) {
    const auto folder = std::filesystem::path(options.out).parent_path();
    program::require(folder.empty() || std::filesystem::is_directory(folder),
                     "--out " + options.out + ": no such folder");
  }
  program::refuse_overwriting(
      {{"--log", options.log}, {"--out", options.out}},
      {options.choice.init, options.agent, options.measuring.profiles, options.budget_file});
  program::refuse_without_effect(values, {{{"workload"},
                                           options.measuring.device != "jetson",
                                           "with --device jetson the workload is the program that runs"}});
  program::refuse_without_effect(values, program::measuring_effects(options.measuring));
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("govern", [&]() -> int {
    namespace po = program::po;
    Options options;
    program::Manual manual;
    manual.verb = "govern";
    manual.synopsis = "--max-power-w W [--budget-file F] [--init INIT.h5] [--agent A.h5] -- CMD...";
    manual.about =
        "Runs a program inside a power budget, as fast as possible, until it ends or is stopped. Measures\n"
        "time per step and power in one window after the other. Moves to a faster mode that is sure enough\n"
        "to fit, leaves a mode that was over the budget, and learns anew when the workload changes. The\n"
        "program writes a newline to the file descriptor FEWWATT_STEP_FD, or to the named pipe\n"
        "FEWWATT_STEP_PATH, after each step. The clocks are put back whatever happens.";
    const program::SettablePart governor{"governor", "what moves between modes",
                                         [&](learners::OptionVisitor& on) { options.governing.each(on); }};
    program::add_learner_options(manual, options.choice, governor);
    auto add = manual.options.add_options();
    add("max-power-w", po::value(&options.max_power_w)->required()->value_name("W"), "power budget in watts");
    add("budget-file", po::value(&options.budget_file)->value_name("FILE"),
        "file with the budget in watts, which may change at any time; --max-power-w counts while the file "
        "has none");
    add("confidence", program::real(options.confidence)->value_name("P"),
        "probability with which a mode must fit before the governor tries it");
    add("agent", po::value(&options.agent)->value_name("FILE"),
        "agent that proposes each window's mode, trained for the task run by fewwatt meta-train; its "
        "proposals need not reach --confidence");
    add("forget", program::real(options.forgetting.forget)->value_name("F"),
        "every window makes earlier measurements count F times as much; 1 forgets nothing");
    add("log", po::value(&options.log)->value_name("FILE"),
        "CSV file to write, with a row per window: the mode, time, power, budget, and why this mode ran");
    add("out", po::value(&options.out)->value_name("FILE"),
        "CSV file to write at the end: the measured modes of the last workload, for adapt --measurements");
    program::add_live_option(manual, options.live);
    add("minutes", po::value(&options.minutes)->value_name("N"),
        "minutes after which to end; if not given, when the program ends");
    add("workload", po::value(&options.measuring.workload)->value_name("NAME"),
        "name of the simulated or replayed workload");
    program::add_measuring_options(manual, options.measuring);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;
    program::set_part(options.choice, governor);
    check(*values, options);
    return govern(options);
  });
}
