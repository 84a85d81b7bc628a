// fewwatt profile --device jetson --workload NAME --modes 50 --out P.h5 -- CMD...
//                 --device simulated:BOARD --workload W [-- CMD...]
//                 --device replay --profiles P.h5 --profiled-device D --workload W
//                 ... --goal fastest --max-power-w 30 --measurements 15 ...
//                 --merge A.h5 --merge B.h5 --out C.h5
//
// Measures time and power of a program in one power mode after the other, and keeps every mode as soon as it is measured. With
// a goal, the modes are those of a closed-loop search.

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "datasets/measured_workload.hpp"
#include "datasets/merge.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/run_log.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/readable.hpp"
#include "learners/programs/live_page.hpp"
#include "learners/programs/profile_goal.hpp"
#include "learners/programs/profile_options.hpp"
#include "learners/programs/profile_run.hpp"

namespace {

using namespace fewwatt;
using datasets::RunRecord;
using profile::Options;
using Json = nlohmann::ordered_json;

std::string log_path(const Options& options) {
  return options.out + ".log";
}

// What chooses modes, where something does. Where nobody asks for a confidence, a learner without uncertainty decides by its
// prediction.
std::shared_ptr<const learners::Learner> learner_of(Options& options) {
  if (!profile::needs_learner(options)) return nullptr;
  const auto chosen = program::chosen_learner(options.choice);
  program::require(!options.agent || chosen.facts().gives_uncertainty,
                   (options.choice.trained() ? options.choice.init + ": its learner " : "--learner ") +
                       chosen.name + " gives no uncertainty, which an agent's shield needs");
  if (!options.confidence && !chosen.facts().gives_uncertainty)
    options.aim.limits.confidence = profile::kConfidence;
  return chosen.learner;
}

// What chooses the modes, for the log.
datasets::DeviceAttributes chosen_by(const Options& options) {
  datasets::DeviceAttributes by = {{"seed", std::to_string(options.common.seed)}};
  if (!options.given.empty()) {
    by["modes"] = "given";
  } else if (options.goal.empty()) {
    by["sampler"] = options.sampler;
  } else {
    by["goal"] = options.goal;
    by["search"] = options.search;
  }
  return by;
}

datasets::RunHeader header_of(const Options& options, const datasets::MeasuredWorkload& bench) {
  datasets::RunHeader header;
  header.device = options.name.empty() ? bench.device : options.name;
  header.workload = options.measuring.workload;
  header.attributes = options.attributes;
  header.space = std::make_shared<const hw::PowerModeSpace>(bench.space());
  header.device_attributes = bench.device_attributes;
  header.chosen_by = chosen_by(options);
  header.run_attributes = bench.run_attributes;
  return header;
}

// A new log, or that of the run to resume. Throws DataError where there is one of an earlier run, or none to go on with.
datasets::RunLog open_log(const Options& options, const datasets::RunHeader& header,
                          std::vector<std::string>& notices) {
  const auto path = log_path(options);
  const bool exists = std::filesystem::exists(path);
  if (exists && !options.resume)
    throw datasets::DataError(path +
                              ": an earlier run did not end; go on with it by --resume, or remove the file");
  if (!exists && options.resume && std::filesystem::exists(options.out))
    for (const auto& profile : datasets::read_profiles(options.out).profiles)
      if (profile.device == header.device && profile.workload == header.workload)
        throw datasets::DataError(options.out + ": nothing to resume: the run that measured the " +
                                  std::to_string(profile.modes.size()) + " modes of " + profile.device + "/" +
                                  profile.workload + " has ended; to measure more, leave out --resume");
  auto log = exists ? datasets::RunLog::open_to_append(path, header) : datasets::RunLog::create(path, header);
  if (const auto skipped = log.records().skipped_lines; skipped > 0)
    notices.push_back(path + ": " + hw::counted(skipped, "line") + (skipped == 1 ? " is" : " are") +
                      " blank or damaged, and left out");
  if (const auto dropped = log.records().dropped_bytes; dropped > 0)
    notices.push_back(path + ": its last line, of " + hw::counted(dropped, "byte") +
                      ", is incomplete and left out");
  return log;
}

// Writes the profile. A log of a run that is complete goes, unless it tells what is in no other place: what was rejected and why, or in
// which order a search measured.
void keep(const Options& options, const datasets::RunRecords& run, bool complete) {
  program::during("writing " + options.out, [&] { datasets::fold(run, options.out); });
  if (!complete) return;
  const auto path = log_path(options);
  const bool rejected = std::any_of(run.records.begin(), run.records.end(), [](const RunRecord& record) {
    return record.status != hw::AttemptStatus::ok;
  });
  if (rejected || !options.goal.empty())
    std::filesystem::rename(path, path + ".done");
  else
    std::filesystem::remove(path);
}

// How a run ended, for people and as JSON.
struct Ended {
  const datasets::RunHeader& header;
  const profile::Outcome& outcome;
  const datasets::MeasuredWorkload& bench;
  std::vector<std::string> troubles;  // what was not put back
  std::size_t modes = 0;              // in the profile
  std::size_t told = 0;               // notices that were printed already
};

Json to_json(const Options& options, const Ended& ended) {
  const auto& [header, outcome, bench, troubles, modes, told] = ended;
  Json given_up = Json::array();
  for (const auto& [mode, why] : outcome.given_up)
    given_up.push_back({{"mode", hw::describe(bench.space(), mode)}, {"why", why}});
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
            {"notices", bench.notices},
            {"not_put_back", troubles}};
  if (outcome.reached) json["goal"] = profile::to_json(bench.space(), options.aim, *outcome.reached);
  return json;
}

void print(const Options& options, const Ended& ended) {
  const auto& [header, outcome, bench, troubles, modes, told] = ended;
  for (std::size_t i = told; i < bench.notices.size(); ++i) std::cerr << bench.notices[i] << '\n';
  std::cout << header.device << '/' << header.workload << ": ";
  if (modes < outcome.measured + outcome.before)
    std::cout << hw::counted(outcome.measured, "measurement") << ", " << hw::counted(modes, "mode");
  else
    std::cout << hw::counted(outcome.measured, "mode") << " measured";
  if (outcome.before > 0) std::cout << ", " << outcome.before << " before";
  if (outcome.rejected_attempts > 0)
    std::cout << ", " << hw::counted(outcome.rejected_attempts, "attempt") << " rejected";
  std::cout << (modes > 0 ? " -> " + options.out : "") << '\n';
  if (outcome.out_of_time)
    std::cout << "  --max-s has passed, with " << outcome.measured + outcome.before << " of "
              << outcome.wanted << " measured; --resume goes on\n";
  for (const auto& [mode, why] : outcome.given_up)
    std::cout << "  without " << hw::readable_mode(bench.space(), mode) << ": " << why << '\n';
}

// Throws DeviceError where something was not put back, or the run did not come to its end.
int exit_code(const Options& options, const Ended& ended) {
  const auto& outcome = ended.outcome;
  if (!ended.troubles.empty()) throw hw::DeviceError("not all was put back: " + ended.troubles.front());
  if (!outcome.stopped.empty())
    throw hw::DeviceError(
        outcome.stopped +
        "\nwhat was measured is kept; --resume goes on, and with --go-on such modes are left out");
  if (outcome.interrupted)
    throw hw::DeviceError("stopped by a signal; what was measured is kept, and --resume goes on");
  if (ended.modes == 0) throw hw::DeviceError("no mode was measured");
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

int measure(Options& options) {
  options.measuring.signals = program::catch_signals();
  if (!options.common.quiet)
    options.measuring.profiler.notice = [](const std::string& text) { std::cerr << text << '\n'; };
  program::LivePage live(options.live);
  const auto learner = learner_of(options);
  hw::SystemMonotonic time;
  const auto bench = program::during("opening --device " + options.measuring.device, [&] {
    return datasets::open_measured_workload({options.measuring, options.common.seed}, time,
                                            program::told_to_stop);
  });
  if (options.measuring.device != "jetson") options.attributes = bench->attributes;
  const auto header = header_of(options, *bench);
  profile::given_modes(options, *header.space);  // are they modes here?
  if (options.agent)                             // can it act here?
    program::agent_on(options.agent_file, *options.agent, header.space, {}, options.common.seed);
  datasets::check_fold(header, options.out);
  bench->notices.insert(bench->notices.end(), options.notices.begin(), options.notices.end());
  auto log = open_log(options, header, bench->notices);
  if (!options.common.quiet)
    for (const auto& notice : bench->notices) std::cerr << notice << '\n';
  profile::show_run(live, log);
  profile::Outcome outcome;
  try {
    outcome = program::during("measuring " + header.device + '/' + header.workload,
                              [&] { return profile::measure_modes(*bench, log, options, learner, live); });
  } catch (const std::exception& e) {
    const auto troubles = bench->finish();
    throw std::runtime_error(
        e.what() + (troubles.empty() ? std::string() : "; not all was put back: " + troubles.front()));
  }
  Ended ended{header, outcome, *bench, {}, 0, bench->notices.size()};
  ended.troubles = bench->finish();
  const auto& run = log.records();
  if (std::any_of(run.records.begin(), run.records.end(),
                  [](const RunRecord& record) { return record.status == hw::AttemptStatus::ok; })) {
    keep(options, run, !outcome.interrupted && !outcome.out_of_time && outcome.stopped.empty());
    ended.modes = datasets::to_profile(run).modes.size();
  }
  if (options.common.json)
    std::cout << hw::json_text(to_json(options, ended), 2) << '\n';
  else if (!options.common.quiet)
    print(options, ended);
  if (outcome.reached && !options.common.json)
    profile::print(std::cout, bench->space(), options.aim, *outcome.reached,
                   program::unit_of(options.attributes.time_of));
  return exit_code(options, ended);
}

int merge(const Options& options) {
  program::require(options.merge.size() >= 2, "--merge: expected two files or more");
  program::refuse_overwriting({{"--out", options.out}}, options.merge);
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

}  // namespace

int main(int argc, char** argv) {
  return program::run("profile", [&]() -> int {
    auto options = profile::parse(argc, argv);
    if (!options) return program::kDone;
    return options->merge.empty() ? measure(*options) : merge(*options);
  });
}
