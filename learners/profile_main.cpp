// fewwatt profile --device jetson --workload NAME --modes 50 --out P.h5 -- CMD...
//                 --device simulated:BOARD --workload W [-- CMD...]
//                 --device replay --profiles P.h5 --profiled-device D --workload W
//                 ... --goal fastest --max-power-w 30 --measurements 15 ...
//                 --merge A.h5 --merge B.h5 --out C.h5
//
// Measures time and power of a program in one power mode after the other, and keeps every mode as soon as it is measured. With
// a goal, the modes are those of a closed-loop search.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/measured_workload.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/run_log.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/program.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/optimize/search.hpp"
#include "learners/registry.hpp"

namespace {

using namespace fewwatt;
using datasets::RunRecord;
using datasets::RunStatus;
using Json = nlohmann::ordered_json;

constexpr int kFoldEvery = 25;          // modes; the log has them at once
constexpr std::size_t kTellEvery = 10;  // modes, where progress is no terminal's
constexpr double kConfidence = 0.5;     // of a goal whose answer is measured
constexpr const char* kPredict = "predict";
constexpr std::size_t kMore = 10;  // modes: what so many more would be expected to gain is told at the end

struct Options {
  program::CommonOptions common;
  hw::MeasuringOptions measuring;
  std::string name, out, kind, time_of;
  std::string sampler, goal, search, init, learner;
  learners::Goal aim;                                 // with a goal
  std::optional<double> confidence;                   // of it, where that is asked for
  std::shared_ptr<const learners::Learner> learning;  // what chooses modes, where something does
  double stop_gain = 0, max_s = 0;
  program::Count measurements{0};
  program::Count modes{50}, retries{2};
  std::vector<std::string> merge;
  bool resume = false, go_on = false;
  datasets::WorkloadAttributes attributes;
};

std::string log_path(const Options& options) {
  return options.out + ".log";
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

// A goal, and how near it is.
struct Reached {
  std::optional<learners::Answer> answer, nearest;  // nearest: where there is no answer
  double expected_gain = std::nan("");              // of kMore more
};

// What has come of a run.
struct Outcome {
  std::optional<Reached> reached;                    // with a goal
  std::size_t wanted = 0, measured = 0, before = 0;  // before: in the log already
  std::size_t rejected_attempts = 0;
  std::vector<std::pair<hw::PowerMode, std::string>> given_up;
  bool interrupted = false, out_of_time = false;
  std::string stopped;  // why it did not go on
};

// One mode, tried again where that may help.
bool measure(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const hw::PowerMode& mode,
             const Options& options, Outcome& outcome) {
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
    const bool in_vain =
        done.status == hw::AttemptStatus::program_died || done.status == hw::AttemptStatus::no_steps;
    if (in_vain && !options.go_on) {
      outcome.stopped = last;
      return false;
    }
  }
  outcome.given_up.emplace_back(mode, last);
  if (!options.go_on) outcome.stopped = last;
  return false;
}

bool needs_learner(const Options& options) {
  return options.goal.empty() ? learners::learns(options.sampler) : learners::needs_learner(options.search);
}

std::shared_ptr<const learners::Learner> learner_of(Options& options) {
  if (!needs_learner(options)) return nullptr;
  const auto decide_by_prediction_unless_sure = [&](std::string_view name) {
    if (!options.confidence && !learners::find_learner(name).gives_uncertainty)
      options.aim.limits.confidence = kConfidence;
  };
  if (!options.init.empty()) {
    const auto checkpoint =
        program::during("reading " + options.init, [&] { return learners::read_checkpoint(options.init); });
    decide_by_prediction_unless_sure(checkpoint.learner);
    return learners::make_learner(checkpoint);
  }
  try {
    const std::string name = options.learner.empty() ? "auto" : options.learner;
    decide_by_prediction_unless_sure(name);
    return learners::make_learner(name);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(std::string("--learner: ") + e.what());
  }
}

// The search, where there is a goal; else nullptr.
std::unique_ptr<learners::Search> search_of(const Options& options,
                                            std::shared_ptr<const hw::PowerModeSpace> space,
                                            std::size_t wanted) {
  if (options.goal.empty()) return nullptr;
  learners::SearchOptions so;
  so.planned = options.search == kPredict ? wanted - 1 : wanted;  // its answer is measured too
  so.seed = options.common.seed;
  so.stop_gain = options.stop_gain;
  so.characteristics = tasks::characteristics_of(options.attributes);
  return learners::make_search(options.search, std::move(space), options.learning, options.aim, so);
}

Outcome run(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const Options& options) {
  Outcome outcome;
  const auto& space = bench.space();
  const auto shared = std::make_shared<const hw::PowerModeSpace>(space);
  outcome.wanted = std::min<std::size_t>(options.modes.value, space.size());
  const auto search = search_of(options, shared, outcome.wanted);
  std::unique_ptr<tasks::ModeSampler> own;
  if (!search) {
    learners::SamplerOptions so;
    so.planned = outcome.wanted;
    so.seed = options.common.seed;
    so.characteristics = tasks::characteristics_of(options.attributes);
    so.cost.units = static_cast<double>(options.measuring.profiler.minibatches);
    own = learners::make_sampler(options.sampler, shared, options.learning, so);
  }
  tasks::ModeSampler& sampler = search ? *search : *own;
  std::vector<hw::PowerMode> known;
  for (const auto& record : log.records().records)
    if (record.status == RunStatus::ok) {
      known.push_back(record.mode);
      sampler.tell(record.mode, record.measured);
    }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  // Samplers that learn go on from what they are told; the others ask for the same modes again.
  const bool goes_on = search || learners::learns(options.sampler);
  if (goes_on) outcome.before = std::min(known.size(), outcome.wanted);
  hw::SystemMonotonic time;
  const double start_s = time.now_s();
  std::size_t tried = 0;
  const auto in_time = [&] { return options.max_s == 0 || time.now_s() - start_s < options.max_s; };
  for (std::size_t asked = outcome.before;
       asked < outcome.wanted && !program::told_to_stop() && outcome.stopped.empty(); ++asked) {
    if (!in_time()) {
      outcome.out_of_time = true;
      break;
    }
    const auto mode = sampler.ask();
    if (!mode) break;
    if (!goes_on && std::binary_search(known.begin(), known.end(), *mode)) {
      ++outcome.before;
      continue;
    }
    if (!measure(bench, log, *mode, options, outcome)) {
      hw::Measurement spoiled;
      spoiled.throttled = true;
      sampler.tell(*mode, spoiled);
    } else {
      const auto& row = log.records().records.back().measured;
      sampler.tell(*mode, row);
      ++tried;
      const bool terminal = isatty(STDERR_FILENO) != 0;
      if (!options.common.quiet && (terminal || search || tried % kTellEvery == 0)) {
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
  outcome.interrupted = outcome.interrupted || program::told_to_stop();
  if (search) {
    outcome.reached = Reached{search->answer(), search->nearest(), std::nan("")};
    auto& answer = outcome.reached->answer;
    if (answer && !answer->measured && !outcome.interrupted && outcome.stopped.empty() && in_time() &&
        measure(bench, log, answer->mode, options, outcome)) {
      const auto& row = log.records().records.back().measured;
      search->tell(answer->mode, row);
      answer->time_ms = row.time_ms;
      answer->power_w = row.power_w;
      answer->measured = true;
    }
    if (outcome.reached->answer) outcome.reached->expected_gain = search->expected_gain(kMore);
  }
  return outcome;
}

// "power 28.1 W, 6.3 % below the 30 W allowed"
std::string margins(const learners::PowerBudget& limits, const learners::Answer& answer) {
  std::ostringstream text;
  text << std::setprecision(4);
  for (const auto& [name, value, limit, unit] :
       {std::tuple("time", answer.time_ms, limits.max_time_ms, "ms"),
        {"power", answer.power_w, limits.max_power_w, "W"},
        {"energy", answer.time_ms * answer.power_w / 1000, limits.max_energy_j, "J"}})
    if (std::isfinite(limit))
      text << "; " << name << ' ' << std::setprecision(2) << 100 * std::abs(1 - value / limit)
           << (value > limit ? " % above the " : " % below the ") << std::setprecision(4) << limit << ' '
           << unit << " allowed";
  if (!answer.measured) text << "; predicted, not measured";
  return text.str();
}

void print(std::ostream& out, const hw::PowerModeSpace& space, const learners::Goal& goal,
           const Reached& reached) {
  if (!reached.answer) {
    out << "no measured mode is within the limits with probability " << goal.limits.confidence;
    if (const auto& nearest = reached.nearest)
      out << "; nearest: " << std::setprecision(4) << hw::describe(space, nearest->mode) << ": "
          << nearest->time_ms << " ms, " << nearest->power_w << " W" << margins(goal.limits, *nearest);
    out << '\n';
    return;
  }
  const auto& answer = *reached.answer;
  out << std::setprecision(4) << "best: " << hw::describe(space, answer.mode) << ": " << answer.time_ms
      << " ms, " << answer.power_w << " W" << margins(goal.limits, answer) << '\n';
  constexpr double kLittle = 0.1;  // %
  if (const double gain = 100 * reached.expected_gain; std::isfinite(gain)) {
    out << "measuring " << kMore << " modes more is expected to gain ";
    if (gain < kLittle)
      out << "less than " << kLittle << " %\n";
    else
      out << std::setprecision(2) << gain << " %\n";
  }
}

Json to_json(const hw::PowerModeSpace& space, const learners::Goal& goal, const Reached& reached) {
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  const auto add = [&](Json& to, const learners::Answer& answer) {
    for (std::size_t k = 0; k < answer.mode.size(); ++k)
      to["mode"][std::string(hw::to_string(space.knobs()[k].role))] = answer.mode[k];
    to["measured"] = answer.measured;
    to["time_ms"] = number(answer.time_ms);
    to["power_w"] = number(answer.power_w);
    if (goal.limits.limits_power()) to["power_margin"] = number(1 - answer.power_w / goal.limits.max_power_w);
  };
  Json json{{"fits", reached.answer.has_value()}};
  if (reached.answer)
    add(json, *reached.answer);
  else if (reached.nearest)
    add(json["nearest"], *reached.nearest);
  json["more"] = kMore;
  json["expected_gain"] = number(reached.expected_gain);
  return json;
}

// What the user says of the workload, and what the device knows of it beyond that.
datasets::WorkloadAttributes attributes_of(const Options& options, const datasets::MeasuredWorkload& on) {
  if (options.measuring.device == "replay") return on.attributes;
  auto attributes = options.attributes;
  for (const auto& [name, text] : datasets::kTextAttributes)
    if ((attributes.*text).empty()) attributes.*text = on.attributes.*text;
  for (const auto& [name, number] : datasets::kNumberAttributes)
    if (!(attributes.*number)) attributes.*number = on.attributes.*number;
  return attributes;
}

int profile(Options& options) {
  options.measuring.signals = program::catch_signals();
  if (!options.common.quiet)
    options.measuring.profiler.notice = [](const std::string& text) { std::cerr << text << '\n'; };
  options.learning = learner_of(options);
  hw::SystemMonotonic time;
  const auto bench = program::during("opening --device " + options.measuring.device, [&] {
    return datasets::open_measured_workload({options.measuring, options.common.seed}, time,
                                            program::told_to_stop);
  });
  options.attributes = attributes_of(options, *bench);
  datasets::RunHeader header;
  header.device = options.name.empty() ? bench->device : options.name;
  header.workload = options.measuring.workload;
  header.attributes = options.attributes;
  header.space = std::make_shared<const hw::PowerModeSpace>(bench->space());
  header.device_attributes = bench->device_attributes;
  header.run_attributes = bench->run_attributes;
  datasets::check_fold(header, options.out);
  const bool exists = std::filesystem::exists(log_path(options));
  if (exists && !options.resume)
    throw datasets::DataError(log_path(options) +
                              ": of a run that did not end; --resume goes on with it, else remove it");
  if (!exists && options.resume && std::filesystem::exists(options.out))
    for (const auto& profile : datasets::read_profiles(options.out).profiles)
      if (profile.device == header.device && profile.workload == header.workload)
        throw datasets::DataError(options.out + ": nothing to go on with, the " +
                                  std::to_string(profile.modes.size()) + " modes of " + profile.device + "/" +
                                  profile.workload +
                                  " are of a run that ended; without --resume more are measured");
  auto log = exists ? datasets::RunLog::open_to_append(log_path(options), header)
                    : datasets::RunLog::create(log_path(options), header);
  if (const auto skipped = log.records().skipped_lines; skipped > 0)
    bench->notices.push_back(log_path(options) + ": " + hw::counted(skipped, "line") +
                             (skipped == 1 ? " is" : " are") + " blank or damaged and left out");
  if (const auto dropped = log.records().dropped_bytes; dropped > 0)
    bench->notices.push_back(log_path(options) + ": its last line, of " + hw::counted(dropped, "byte") +
                             ", was not whole and is left out");
  if (!options.common.quiet)
    for (const auto& notice : bench->notices) std::cerr << notice << '\n';
  Outcome outcome;
  try {
    outcome = program::during("measuring " + header.device + '/' + header.workload,
                              [&] { return run(*bench, log, options); });
  } catch (const std::exception& e) {
    const auto troubles = bench->finish();
    throw std::runtime_error(
        e.what() + (troubles.empty() ? std::string() : "; not all was put back: " + troubles.front()));
  }
  const auto told = bench->notices.size();
  const auto troubles = bench->finish();
  const bool any = std::any_of(log.records().records.begin(), log.records().records.end(),
                               [](const RunRecord& record) { return record.status == RunStatus::ok; });
  if (any) program::during("writing " + options.out, [&] { datasets::fold(log.records(), options.out); });
  const bool complete = !outcome.interrupted && !outcome.out_of_time && outcome.stopped.empty();
  if (complete && any) {
    // What was rejected, and why, is in no other place.
    const bool rejected = std::any_of(log.records().records.begin(), log.records().records.end(),
                                      [](const RunRecord& record) { return record.status != RunStatus::ok; });
    if (rejected)
      std::filesystem::rename(log_path(options), log_path(options) + ".done");
    else
      std::filesystem::remove(log_path(options));
  }

  const std::size_t modes = any ? datasets::to_profile(log.records()).modes.size() : 0;
  if (options.common.json) {
    Json given_up = Json::array();
    for (const auto& [mode, why] : outcome.given_up)
      given_up.push_back({{"mode", hw::describe(bench->space(), mode)}, {"why", why}});
    Json json{{"out", options.out},
              {"device", header.device},
              {"workload", header.workload},
              {"measured", outcome.measured},
              {"measured_before", outcome.before},
              {"modes", modes},
              {"rejected_attempts", outcome.rejected_attempts},
              {"given_up", given_up},
              {"interrupted", outcome.interrupted},
              {"out_of_time", outcome.out_of_time},
              {"notices", bench->notices},
              {"not_put_back", troubles}};
    if (outcome.reached) json["goal"] = to_json(bench->space(), options.aim, *outcome.reached);
    std::cout << hw::json_text(json, 2) << '\n';
  } else if (!options.common.quiet) {
    for (std::size_t i = told; i < bench->notices.size(); ++i) std::cerr << bench->notices[i] << '\n';
    std::cout << header.device << '/' << header.workload << ": ";
    if (modes < outcome.measured + outcome.before)
      std::cout << hw::counted(outcome.measured, "measurement") << ", " << hw::counted(modes, "mode");
    else
      std::cout << hw::counted(outcome.measured, "mode") << " measured";
    if (outcome.before > 0) std::cout << ", " << outcome.before << " before";
    if (outcome.rejected_attempts > 0)
      std::cout << ", " << hw::counted(outcome.rejected_attempts, "attempt") << " rejected";
    std::cout << (any ? " -> " + options.out : "") << '\n';
    if (outcome.out_of_time)
      std::cout << "  --max-s is over with " << outcome.measured + outcome.before << " of " << outcome.wanted
                << " measured; --resume goes on\n";
    for (const auto& [mode, why] : outcome.given_up)
      std::cout << "  without " << hw::describe(bench->space(), mode) << ": " << why << '\n';
  }
  if (outcome.reached && !options.common.json)
    print(std::cout, bench->space(), options.aim, *outcome.reached);
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  if (!outcome.stopped.empty())
    throw hw::DeviceError(outcome.stopped +
                          "\nwhat was measured is kept; --resume goes on, --go-on leaves such modes out");
  if (outcome.interrupted)
    throw hw::DeviceError("told to stop; what was measured is kept, and --resume goes on");
  if (!any) throw hw::DeviceError("no mode was measured");
  if (!outcome.reached) return program::kDone;
  const auto& answer = outcome.reached->answer;
  if (!answer) return program::kNoModeFits;
  const auto& limits = options.aim.limits;
  // Not so after a search that answers with what was measured inside.
  if (answer->measured && (answer->power_w > limits.max_power_w || answer->time_ms > limits.max_time_ms ||
                           answer->time_ms * answer->power_w / 1000 > limits.max_energy_j))
    return program::kMeasuredOverBudget;
  return program::kDone;
}

int merge(const Options& options) {
  program::require(options.merge.size() >= 2, "--merge: give two files or more");
  program::refuse_overwriting(options.out, options.merge);
  const auto read = [](const std::string& path) {
    return program::during("reading " + path, [&] { return datasets::read_profiles(path); });
  };
  auto merged = read(options.merge.front());
  for (std::size_t i = 1; i < options.merge.size(); ++i)
    merged = datasets::merge_profiles(merged, read(options.merge[i]), options.merge[i]);
  datasets::write_profiles(options.out, merged);
  if (options.common.json)
    std::cout << hw::json_text(Json{{"out", options.out}, {"profiles", merged.profiles.size()}}, 2) << '\n';
  else if (!options.common.quiet)
    std::cout << hw::counted(merged.profiles.size(), "profile") << " -> " << options.out << '\n';
  return program::kDone;
}

// What --goal and its limits mean.
void read_goal(Options& options) {
  const auto& limits = options.aim.limits;
  const bool limited = limits.limits_power() || limits.limits_time() || limits.limits_energy();
  program::require(!options.goal.empty() ||
                       (!limited && options.stop_gain == 0 && options.search.empty() && !options.confidence),
                   "limits, --confidence, --search and --stop-gain go with --goal");
  if (options.goal.empty()) return;
  if (options.search.empty()) options.search = "designed-ei";
  const auto searches = learners::search_names();
  program::require(std::find(searches.begin(), searches.end(), options.search) != searches.end(),
                   "--search must be one of " + program::join(searches) + ", found " + options.search);
  const std::string expected = "--goal must be fastest, time, energy, power, edp or ed2p to ed9p, found ";
  program::require(options.goal != "zeus", expected + options.goal);
  try {
    options.aim.objective =
        learners::parse_objective(options.goal == "fastest" ? std::string("time") : options.goal);
  } catch (const std::invalid_argument&) {
    throw program::UsageError(expected + options.goal);
  }
  const bool predicts = options.search == kPredict;
  options.aim.limits.confidence =
      options.confidence.value_or(predicts ? learners::kUsualConfidence : kConfidence);
  if (const auto error = options.aim.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(!predicts || options.modes.value > 1, "--search predict measures 2 modes or more");
  program::require(
      options.stop_gain == 0 || (learners::needs_learner(options.search) && !predicts),
      "--search " + options.search + " does not know what more measurements gain: no --stop-gain");
}

void check(const Options& options) {
  program::require(!options.out.empty(), "give --out, the file of profiles to write");
  if (!options.merge.empty()) {
    program::require(options.measuring.device.empty() && options.measuring.command.empty(),
                     "--merge measures nothing");
    return;
  }
  program::require(!options.measuring.device.empty(), "give --device: jetson, simulated:BOARD or replay");
  program::require(!options.measuring.workload.empty(), "give --workload, a name for what is measured");
  program::require(datasets::is_profile_name(options.measuring.workload),
                   "--workload: letters, digits and . _ + - only");
  program::require(options.name.empty() || datasets::is_profile_name(options.name),
                   "--name: letters, digits and . _ + - only");
  if (auto error = options.measuring.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(options.modes.value > 0, "--modes, or --measurements, must be > 0");
  const auto samplers = learners::sampler_names();
  program::require(std::find(samplers.begin(), samplers.end(), options.sampler) != samplers.end(),
                   "--sampler must be one of " + program::join(samplers) + ", found " + options.sampler);
  program::require(options.init.empty() || options.learner.empty(), "give one of --init and --learner");
  program::require(options.max_s >= 0 && std::isfinite(options.max_s), "--max-s must be >= 0");
  program::require(options.stop_gain >= 0 && options.stop_gain < 1, "--stop-gain must be in [0, 1)");
  program::refuse_overwriting(options.out, {options.measuring.profiles});
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
        "power.\n"
        "The program writes a newline to the file descriptor FEWWATT_STEP_FD, or to the named pipe\n"
        "FEWWATT_STEP_PATH, after each step (minibatch). A mode counts once time and power are steady;\n"
        "measurements that throttling spoiled are made again. Every mode is kept at once in P.h5.log, and "
        "goes to\n"
        "P.h5. The clocks are put back whatever happens.";
    const std::string samplers = "what chooses them: " + program::join(learners::sampler_names()),
                      searches = "how to reach the goal: " + program::join(learners::search_names()) +
                                 "; designed-ei if not said";
    auto add = manual.options.add_options();
    add("name", po::value(&options.name), "of the device, in the profile; the board's model if not given");
    add("workload", po::value(&options.measuring.workload), "name of what is measured, in the profile");
    add("out", po::value(&options.out), "file of profiles; others in it stay");
    add("modes", po::value(&options.modes)->default_value(options.modes), "how many to measure");
    add("measurements", po::value(&options.measurements), "another name of --modes");
    add("max-s", po::value(&options.max_s)->default_value(0),
        "seconds after which no new mode is begun; --resume then goes on; 0 = no limit");
    add("sampler", po::value(&options.sampler)->default_value("random"), samplers.c_str());
    add("goal", po::value(&options.goal),
        "what to look for: fastest, or time, energy, power, edp, ed2p to ed9p. The modes to measure are then "
        "chosen for it");
    add("max-power-w", po::value(&options.aim.limits.max_power_w), "limit of the goal");
    add("max-time-ms", po::value(&options.aim.limits.max_time_ms), "limit of the goal");
    add("max-energy-j", po::value(&options.aim.limits.max_energy_j), "limit of the goal");
    add("confidence",
        po::value<double>()->notifier([&](double value) { options.confidence = value; })->value_name("P"),
        "probability, given all measurements, that the best mode keeps the limits; if not given 0.9 where it "
        "is "
        "predicted (--search predict), and 0.5 where it is measured to keep them");
    add("search", po::value(&options.search), searches.c_str());
    add("stop-gain", po::value(&options.stop_gain)->default_value(0),
        "fraction; end once the next measurement is expected to gain less");
    add("init", po::value(&options.init),
        "checkpoint of the learner that chooses modes, of fewwatt meta-train");
    add("learner", po::value(&options.learner), "one that needs no checkpoint; auto if there is no --init");
    add("resume", po::bool_switch(&options.resume), "go on with a run that did not end");
    add("retries", po::value(&options.retries)->default_value(options.retries), "of a rejected measurement");
    auto& profiler = options.measuring.profiler;
    add("timeout-s", po::value(&profiler.timeout_s)->default_value(profiler.timeout_s),
        "for a mode, at most");
    add("cool-s", po::value(&profiler.cool_s)->default_value(profiler.cool_s),
        "to cool down before a mode, at most");
    add("counters-s", po::value(&profiler.counters_s)->default_value(profiler.counters_s),
        "how long to wait for the kernel's counters of over-current events, where there are any");
    add("margin-c", po::value(&profiler.margin_c)->default_value(profiler.margin_c),
        "how far below the nearest trip temperature the board must be before a mode");
    add("restart", po::bool_switch(&profiler.restart), "start the program anew in every mode");
    add("program-output", po::bool_switch(&options.measuring.program_output), "show what the program prints");
    add("go-on", po::bool_switch(&options.go_on),
        "leave out modes in which the program dies or nothing can be measured");
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
    add("merge", po::value(&options.merge),
        "file of profiles; twice or more: their rows together go to --out");
    program::add_measuring_options(manual, options.measuring);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;
    program::require(values->count("measurements") == 0 || (*values)["modes"].defaulted(),
                     "give one of --modes and --measurements");
    if (values->count("measurements") > 0) options.modes = options.measurements;
    read_goal(options);
    check(options);
    if (!options.merge.empty()) return merge(options);
    const auto kind = datasets::parse_workload_kind(options.kind);
    const auto time_of = datasets::parse_time_of(options.time_of);
    program::require(kind.has_value(),
                     "--kind must be dnn-training, dnn-inference or non-dnn, found " + options.kind);
    program::require(time_of.has_value(),
                     "--time-of must be minibatch, epoch or run, found " + options.time_of);
    options.attributes.kind = *kind;
    options.attributes.time_of = *time_of;
    return profile(options);
  });
}
