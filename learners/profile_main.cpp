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
  if (!options.confidence && !chosen.facts().gives_uncertainty)
    options.aim.limits.confidence = profile::kConfidence;
  return chosen.learner;
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

int measure(Options& options) {
  options.measuring.signals = program::catch_signals();
  if (!options.common.quiet)
    options.measuring.profiler.notice = [](const std::string& text) { std::cerr << text << '\n'; };
  const auto learner = learner_of(options);
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
                              ": an earlier run did not end; go on with it by --resume, or remove the file");
  if (!exists && options.resume && std::filesystem::exists(options.out))
    for (const auto& profile : datasets::read_profiles(options.out).profiles)
      if (profile.device == header.device && profile.workload == header.workload)
        throw datasets::DataError(options.out + ": nothing to resume: the run that measured the " +
                                  std::to_string(profile.modes.size()) + " modes of " + profile.device + "/" +
                                  profile.workload + " has ended; to measure more, leave out --resume");
  auto log = exists ? datasets::RunLog::open_to_append(log_path(options), header)
                    : datasets::RunLog::create(log_path(options), header);
  if (const auto skipped = log.records().skipped_lines; skipped > 0)
    bench->notices.push_back(log_path(options) + ": " + hw::counted(skipped, "line") +
                             (skipped == 1 ? " is" : " are") + " blank or damaged, and left out");
  if (const auto dropped = log.records().dropped_bytes; dropped > 0)
    bench->notices.push_back(log_path(options) + ": its last line, of " + hw::counted(dropped, "byte") +
                             ", is incomplete and left out");
  if (!options.common.quiet)
    for (const auto& notice : bench->notices) std::cerr << notice << '\n';
  profile::Outcome outcome;
  try {
    outcome = program::during("measuring " + header.device + '/' + header.workload,
                              [&] { return profile::measure_modes(*bench, log, options, learner); });
  } catch (const std::exception& e) {
    const auto troubles = bench->finish();
    throw std::runtime_error(
        e.what() + (troubles.empty() ? std::string() : "; not all was put back: " + troubles.front()));
  }
  const auto told = bench->notices.size();
  const auto troubles = bench->finish();
  const bool any =
      std::any_of(log.records().records.begin(), log.records().records.end(),
                  [](const RunRecord& record) { return record.status == hw::AttemptStatus::ok; });
  if (any) program::during("writing " + options.out, [&] { datasets::fold(log.records(), options.out); });
  const bool complete = !outcome.interrupted && !outcome.out_of_time && outcome.stopped.empty();
  if (complete && any) {
    // What was rejected, and why, is in no other place.
    const bool rejected =
        std::any_of(log.records().records.begin(), log.records().records.end(),
                    [](const RunRecord& record) { return record.status != hw::AttemptStatus::ok; });
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
    if (outcome.reached) json["goal"] = profile::to_json(bench->space(), options.aim, *outcome.reached);
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
      std::cout << "  --max-s has passed, with " << outcome.measured + outcome.before << " of "
                << outcome.wanted << " measured; --resume goes on\n";
    for (const auto& [mode, why] : outcome.given_up)
      std::cout << "  without " << hw::describe(bench->space(), mode) << ": " << why << '\n';
  }
  if (outcome.reached && !options.common.json)
    profile::print(std::cout, bench->space(), options.aim, *outcome.reached);
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  if (!outcome.stopped.empty())
    throw hw::DeviceError(
        outcome.stopped +
        "\nwhat was measured is kept; --resume goes on, and with --go-on such modes are left out");
  if (outcome.interrupted)
    throw hw::DeviceError("stopped by a signal; what was measured is kept, and --resume goes on");
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
  program::require(options.merge.size() >= 2, "--merge: expected two files or more");
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

}  // namespace

int main(int argc, char** argv) {
  return program::run("profile", [&]() -> int {
    auto options = profile::parse(argc, argv);
    if (!options) return program::kDone;
    return options->merge.empty() ? measure(*options) : merge(*options);
  });
}
