// fewwatt adapt [--init INIT.h5 | --learner NAME]
//               --profiles P.h5 --device D --workload W --shots 50 --sampler random | --measurements M.csv
//               | --space BOARD --flops N ...
//               --out MODEL.h5
// fewwatt adapt --update MODEL.h5 [--init INIT.h5] --measurements M.csv --out NEW.h5
//
// Fits a learner to few measured modes of one workload, or to none where it is known what the workload is, and writes
// what it predicts of all modes.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/csv.hpp"
#include "datasets/import.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/replay_device.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/modules.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "learners/registry.hpp"
#include "learners/samplers/sampler.hpp"
#include "learners/spread.hpp"
#include "learners/update.hpp"
#include "tasks/collect.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

struct Options {
  program::CommonOptions common;
  std::string init, learner;  // one of them
  std::string update;         // the model to add rows to; "" = none
  bool refit = false;
  learners::UpdateOptions updating;
  std::string profiles, measurements;  // one of them, or neither
  std::string mapping;                 // of the measurements; "" = standard column names
  std::string device, workload;        // "" = not said
  std::string time_of;                 // of measurements without a mapping
  datasets::DecimalSign decimal = datasets::DecimalSign::unsaid;  // of measurements
  bool trust_units = false;
  // What is known of a workload that is not a profile's: kOwnAttributes.
  datasets::WorkloadAttributes own;
  program::Count shots{50};
  std::string sampler;
  std::optional<hw::PowerModeSpace> space;  // nullopt = what the data say
  std::string space_name;
  std::optional<std::size_t> max_modes;  // nullopt: kMostModes, and kMostFromData
  std::string out;
};

// Combinations of the levels of --measurements: more than this no board has, so clocks jitter.
constexpr std::size_t kMostFromData = 100'000;
constexpr std::size_t kMostNamed = 10;  // columns that are not used, by name
// Modes predicted at once: what is computed of them fits into memory however many modes there are.
constexpr std::size_t kChunk = 32'768;

// Numbers that the user may state, all but those of a mapping or a profile.
constexpr std::pair<const char*, std::optional<double> datasets::WorkloadAttributes::*> kOwnAttributes[] = {
    {"batch-size", &datasets::WorkloadAttributes::batch_size},
    {"layers", &datasets::WorkloadAttributes::layers},
    {"parameters", &datasets::WorkloadAttributes::parameters},
    {"flops", &datasets::WorkloadAttributes::flops},
    {"minibatches-per-epoch", &datasets::WorkloadAttributes::minibatches_per_epoch}};

// What there is to learn from: the support, and the profile that holds its rows and perhaps others.
struct Problem {
  datasets::Profile profile;
  tasks::Samples support;
  std::vector<std::string> notices;  // for people, on stderr
  std::vector<datasets::ImportReport::Odd> odd;
};

// Runs `check`, whose std::invalid_argument is about an option.
template <class Check>
auto as_usage(const Check& check) {
  try {
    return check();
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(e.what());
  }
}

bool nothing_measured(const Options& options) {
  return options.measurements.empty() && (options.profiles.empty() || options.shots.value == 0);
}

void check_update(const Options& options) {
  program::require(options.learner.empty(), "--learner: an update goes on with the model's");
  program::require(!options.measurements.empty(), "--update needs --measurements");
  program::require(options.profiles.empty() && options.space_name.empty() && options.device.empty() &&
                       options.workload.empty() && options.time_of.empty(),
                   "--profiles, --space, --device, --workload and --time-of: said by the model");
  program::require(options.updating.error().empty(), "--forget must be above 0 and at most 1");
}

void check(const Options& options, bool draws_shots) {
  program::require(options.init.empty() || options.learner.empty(),
                   "give one of --init and --learner, or neither for auto");
  program::require(options.profiles.empty() || options.measurements.empty(),
                   "give one of --profiles and --measurements");
  program::require(
      !options.profiles.empty() || !options.measurements.empty() || !options.space_name.empty(),
      "give one of --profiles and --measurements, or --space BOARD[:GRID] to predict without measured modes");
  program::refuse_overwriting(
      options.out, {options.init, options.update, options.profiles, options.measurements, options.mapping});
  std::string own;
  for (const auto& [name, member] : kOwnAttributes)
    if (options.own.*member) own += (own.empty() ? "--" : ", --") + std::string(name);
  if (!options.update.empty()) {
    program::require(own.empty() && !draws_shots,
                     "--shots, --sampler" + (own.empty() ? own : ", " + own) +
                         ": an update adds measurements to what the model is of");
    return check_update(options);
  }
  program::require(!options.refit && options.updating.forget == 1, "--refit and --forget go with --update");
  if (options.init.empty()) {
    const auto& facts = as_usage([&] { return learners::find_learner(options.learner); });
    program::require(!facts.needs_checkpoint, "--learner " + options.learner +
                                                  " must be trained first: give its checkpoint as --init");
    program::require(
        !nothing_measured(options),
        "without measured modes --init must be a checkpoint that was trained on other workloads");
  }
  if (options.profiles.empty()) {
    program::require(
        options.init.empty() || !options.space_name.empty(),
        "--init with --measurements needs --space BOARD[:GRID]: a checkpoint scales settings by the board's "
        "greatest ones, which few measured modes need not hold; fewwatt device list names the boards");
    program::require(!draws_shots,
                     "--shots and --sampler go with --profiles: all rows of --measurements are used");
    program::require(options.mapping.empty() || !options.measurements.empty(),
                     "--mapping goes with --measurements");
    program::require(options.mapping.empty() || (options.time_of.empty() && own.empty()),
                     "--time-of" + (own.empty() ? own : ", " + own) + ": said by the --mapping");
    program::require(options.time_of.empty() || datasets::parse_time_of(options.time_of),
                     "--time-of must be minibatch, epoch or run, found " + options.time_of);
    for (const auto& [name, member] : kOwnAttributes) {
      const auto& value = options.own.*member;
      program::require(!value || (std::isfinite(*value) && *value > 0),
                       "--" + std::string(name) + " must be a number > 0");
    }
  } else {
    program::require(!options.device.empty() && !options.workload.empty(),
                     "--profiles needs --device and --workload");
    program::require(options.mapping.empty() && options.time_of.empty(),
                     "--mapping and --time-of go with --measurements");
    program::require(own.empty(), own + ": said by the profile");
    const auto samplers = learners::sampler_names();
    program::require(std::find(samplers.begin(), samplers.end(), options.sampler) != samplers.end(),
                     "unknown --sampler " + options.sampler + "; known: " + program::join(samplers));
  }
}

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  std::array<double, std::size(kOwnAttributes)> own{};
  program::Count max_modes;
  std::string decimal;
  program::Manual manual;
  manual.verb = "adapt";
  manual.synopsis =
      "[--init INIT.h5 | --learner NAME] (--profiles P.h5 --device D --workload W | --measurements M.csv | "
      "--space BOARD --flops N ...) --out MODEL.h5 (or --update MODEL.h5 --measurements M.csv --out NEW.h5)";
  manual.about =
      "Fits a learner to few measured modes of a workload and writes what it predicts of all modes of the "
      "device.\n"
      "The measurements are your own, or drawn from a profile by a sampler; then the error on the profile's "
      "other\n"
      "modes is printed.\n"
      "With --shots 0, or --space alone, nothing is measured: an --init that was trained on workloads which "
      "state\n"
      "batch_size, layers, parameters or flops says what to expect of one that states them too.\n"
      "--update adds measurements to a model: the same as adapting to all of its rows and the new ones with "
      "the\n"
      "hyper-parameters that it has; a mode that the model has already counts with the mean.";
  auto add = manual.options.add_options();
  add("init", po::value(&options.init)->value_name("FILE"), "checkpoint, written by fewwatt meta-train");
  add("learner", po::value(&options.learner)->value_name("NAME"),
      "a learner that needs no checkpoint: auto (if no --init is given), sim_only, physics, gp, scratch, "
      "scratch-log");
  add("profiles", po::value(&options.profiles)->value_name("FILE"), "file of profiles");
  add("update", po::value(&options.update)->value_name("FILE"),
      "model to add --measurements to; with --init where it was adapted from a checkpoint");
  add("refit", po::bool_switch(&options.refit), "with --update: search for hyper-parameters anew");
  add("forget", po::value(&options.updating.forget)->default_value(1)->value_name("F"),
      "with --update: every new row makes earlier ones count F times as much");
  add("measurements", po::value(&options.measurements)->value_name("FILE"),
      "CSV file with a row per measured mode; columns cpu_cores, cpu_khz, gpu_khz, mem_khz, ..., time_ms, "
      "power_w, or with another unit: gpu_mhz, \"power (mW)\"");
  add("mapping", po::value(&options.mapping)->value_name("FILE"),
      "what the columns of --measurements are, as for fewwatt import (docs/mappings.md)");
  add("decimal", po::value(&decimal)->value_name("SIGN"),
      "what stands before fractions in --measurements, point or comma; the other one groups thousands");
  add("trust-units", po::bool_switch(&options.trust_units),
      "take clocks, powers and times of --measurements as they are, though they look as if they had another "
      "unit");
  add("device", po::value(&options.device)->value_name("NAME"),
      "device of the profile; with --measurements, what to call it");
  add("workload", po::value(&options.workload)->value_name("NAME"),
      "workload of the profile; with --measurements, what to call it");
  add("time-of", po::value(&options.time_of)->value_name("WHAT"),
      "what one time_ms is, of --measurements or to be predicted: minibatch, epoch or run (default)");
  constexpr std::array kMeanings = {"of the workload that is not a profile's", "of its network",
                                    "of its network, in all", "of its network, for one sample forward",
                                    "of the workload, for epoch times"};
  for (std::size_t i = 0; i < own.size(); ++i)
    add(kOwnAttributes[i].first, po::value(&own[i])->value_name("N"), kMeanings[i]);
  add("shots", po::value(&options.shots)->default_value(options.shots)->value_name("N"),
      "modes to draw from the profile; 0: none is measured");
  const std::string how_to_draw = "how to draw them: " + program::join(learners::sampler_names());
  add("sampler", po::value(&options.sampler)->default_value("random")->value_name("NAME"),
      how_to_draw.c_str());
  add("space", po::value(&options.space_name)->value_name("BOARD[:GRID]"),
      "modes to predict, as orin-agx-64 or orin-agx-64:powertrain; default: the profile's; for a "
      "--learner with --measurements every combination of the levels there");
  add("max-modes", po::value(&max_modes)->value_name("N"),
      "most modes of a device (4000000); and most combinations of the levels of --measurements (100000): "
      "where they have "
      "more, clocks jitter, and only the modes that were measured are predicted");
  add("out", po::value(&options.out)->required()->value_name("FILE"),
      "model to write; a model that is there is replaced");
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  if (options.init.empty() && options.learner.empty() && options.update.empty()) options.learner = "auto";
  for (std::size_t i = 0; i < own.size(); ++i)
    if (values->count(kOwnAttributes[i].first) > 0) options.own.*kOwnAttributes[i].second = own[i];
  if (!decimal.empty()) {
    const auto sign = datasets::parse_decimal_sign(decimal);
    program::require(sign.has_value(), "--decimal: expected point or comma, found '" + decimal + "'");
    options.decimal = *sign;
  }
  program::require(!options.measurements.empty() || (decimal.empty() && !options.trust_units),
                   "--decimal and --trust-units go with --measurements");
  if (values->count("max-modes") > 0) options.max_modes = max_modes.value;
  check(options, !(*values)["shots"].defaulted() || !(*values)["sampler"].defaulted());
  if (!options.space_name.empty()) {
    const auto colon = options.space_name.find(':');
    const auto grid = colon == std::string::npos ? "full" : options.space_name.substr(colon + 1);
    options.space = as_usage([&] { return hw::module_space(options.space_name.substr(0, colon), grid); });
  }
  return options;
}

// The profile that the options name, if the store has it and no other fits as well.
datasets::Profile pick(datasets::ProfileStore store, const std::string& path, const std::string& device,
                       const std::string& workload) {
  std::vector<const datasets::Profile*> fitting;
  std::string known;
  for (const auto& profile : store.profiles) {
    known += (known.empty() ? "" : ", ") + profile.device + "/" + profile.workload;
    if ((device.empty() || profile.device == device) && (workload.empty() || profile.workload == workload))
      fitting.push_back(&profile);
  }
  const std::string wanted = (device.empty() ? "*" : device) + "/" + (workload.empty() ? "*" : workload);
  if (fitting.empty())
    throw datasets::DataError(path + ": no profile " + wanted +
                              "; there are: " + (known.empty() ? "none" : known));
  if (fitting.size() > 1)
    throw datasets::DataError(path + ": more than one profile " + wanted +
                              ", choose by --device and --workload: " + known);
  return *fitting.front();
}

Problem draw_from_profile(const Options& options, std::shared_ptr<const learners::Learner> learner) {
  Problem problem;
  problem.profile =
      pick(datasets::read_profiles(options.profiles), options.profiles, options.device, options.workload);
  const auto& profile = problem.profile;
  const auto shots = options.shots.value;
  if (profile.modes.size() < shots) {
    throw datasets::DataError(options.profiles + ": " + profile.device + "/" + profile.workload + " has " +
                              hw::counted(profile.modes.size(), "mode") + ", fewer than the " +
                              hw::counted(shots, "shot") + " asked for");
  }
  if (shots == 0) {
    problem.support = tasks::samples_of(profile, {});
    return problem;
  }
  datasets::ReplayDevice device(profile);
  learners::SamplerOptions sampling;
  sampling.planned = shots;
  sampling.seed = options.common.seed;
  sampling.characteristics = tasks::characteristics_of(profile.attributes);
  const auto sampler =
      learners::make_sampler(options.sampler, std::make_shared<const hw::PowerModeSpace>(device.space()),
                             std::move(learner), sampling);
  std::vector<std::size_t> rows;
  const auto drawn = tasks::collect(device, *sampler, shots);
  for (const auto& mode : drawn.modes)
    rows.push_back(static_cast<std::size_t>(
        std::lower_bound(profile.modes.begin(), profile.modes.end(), mode) - profile.modes.begin()));
  problem.support = tasks::samples_of(profile, rows);
  return problem;
}

// Columns called as knob roles and metrics are. The others go to `unused`: one may be misspelt.
datasets::Mapping standard_mapping(const Options& options, std::vector<std::string>& unused) {
  datasets::Mapping mapping;
  mapping.path = options.measurements;
  mapping.decimal = options.decimal;
  mapping.device.text = !options.device.empty() ? options.device
                        : options.space         ? options.space_name.substr(0, options.space_name.find(':'))
                                                : "from-data";
  mapping.workload.text = !options.workload.empty()
                              ? options.workload
                              : std::filesystem::path(options.measurements).stem().string();
  mapping.time_of = datasets::parse_time_of(options.time_of).value_or(datasets::TimeOf::run);
  mapping.repeated = datasets::Average::mean;
  mapping.files.push_back(
      datasets::standard_columns(datasets::read_csv(options.measurements, options.decimal), &unused));
  return mapping;
}

// What the user says of a workload. Throws DataError where it contradicts the space.
void state_own(datasets::Profile& profile, const Options& options) {
  for (const auto& [name, member] : kOwnAttributes) profile.attributes.*member = options.own.*member;
  const auto& space = options.space ? *options.space : *profile.space;
  if (const auto error = datasets::attributes_error(profile.attributes, space); !error.empty())
    throw datasets::DataError(profile.device + "/" + profile.workload + ": " + error);
}

Problem take_nothing(const Options& options) {
  Problem problem;
  auto& profile = problem.profile;
  const auto board = options.space_name.substr(0, options.space_name.find(':'));
  profile.device = options.device.empty() ? board : options.device;
  profile.workload = options.workload.empty() ? "not-measured" : options.workload;
  profile.attributes.time_of = datasets::parse_time_of(options.time_of).value_or(datasets::TimeOf::run);
  profile.space = std::make_shared<const hw::PowerModeSpace>(*options.space);
  state_own(profile, options);
  problem.support = tasks::samples_of(profile);
  return problem;
}

// Rows of one mode are measurements of their own: their mean is surer than one of them, by how much they spread.
void count_repeats(Problem& problem) {
  const auto& measured = problem.profile.measurements;
  if (std::none_of(measured.begin(), measured.end(), [](const auto& m) { return m.repeats > 1; })) return;
  auto& support = problem.support;
  support.noise_factors.resize(support.targets.rows(), tasks::kNumTargets);
  for (std::size_t i = 0; i < measured.size(); ++i)
    for (const auto& [target, stddevs] : {std::pair(tasks::kTimeMs, &problem.profile.time_std_ms),
                                          {tasks::kPowerW, &problem.profile.power_std_w}}) {
      const auto row = static_cast<Eigen::Index>(i);
      const double stddev = stddevs->empty() ? std::nan("") : (*stddevs)[i];
      support.noise_factors(row, target) =
          tasks::noise_factor(measured[i].repeats, stddev / support.targets(row, target));
    }
}

// leaves_out: the learner does so with a value that the others speak against. before: what is updated, or nullptr.
Problem take_measurements(const Options& options, bool leaves_out, const learners::Model* before) {
  Problem problem;
  const bool own = options.mapping.empty();
  std::vector<std::string> unused;
  auto mapping = own ? standard_mapping(options, unused) : datasets::read_mapping(options.mapping);
  if (options.decimal != datasets::DecimalSign::unsaid) mapping.decimal = options.decimal;
  mapping.trust_units = mapping.trust_units || options.trust_units;
  for (std::size_t i = 0; i < std::min(unused.size(), kMostNamed); ++i)
    problem.notices.push_back(options.measurements + ": column " + unused[i] + " was not used");
  if (unused.size() > kMostNamed)
    problem.notices.push_back(options.measurements + ": " + std::to_string(unused.size() - kMostNamed) +
                              " more columns were not used");
  datasets::ImportOptions known;
  known.leave_odd = leaves_out;
  if (options.space) {
    known.levels = std::make_shared<const hw::PowerModeSpace>(*options.space);
    known.levels_of = options.space_name;
  }
  if (before != nullptr)
    known.expected = [before](const hw::PowerMode& mode, datasets::Metric metric) {
      const auto at = before->space->index_of(mode);
      const auto target = metric == datasets::Metric::time_ms ? tasks::kTimeMs : tasks::kPowerW;
      return at ? before->prediction.mean(static_cast<Eigen::Index>(*at), target) : std::nan("");
    };
  datasets::ImportReport report;
  auto store = datasets::import_profiles(mapping, {options.measurements}, &report, known);
  problem.notices.insert(problem.notices.end(), report.notices.begin(), report.notices.end());
  problem.profile =
      pick(std::move(store), options.measurements, own ? "" : options.device, own ? "" : options.workload);
  for (auto& one : report.odd)
    if (one.device == problem.profile.device && one.workload == problem.profile.workload)
      problem.odd.push_back(std::move(one));
  if (own) state_own(problem.profile, options);
  const auto& knobs = problem.profile.space->knobs();
  const auto most = options.max_modes.value_or(kMostFromData);
  if (hw::combinations(knobs, most)) {
    problem.profile.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(knobs, most));
  } else if (!options.space) {
    const auto& largest = *std::max_element(
        knobs.begin(), knobs.end(),
        [](const hw::Knob& a, const hw::Knob& b) { return a.levels.size() < b.levels.size(); });
    problem.notices.push_back(
        options.measurements + ": its levels have more than " + std::to_string(most) + " combinations, " +
        std::string(to_string(largest.role)) + " " + std::to_string(largest.levels.size()) +
        " of them: its clocks jitter, and only the " + std::to_string(problem.profile.space->size()) +
        " modes that were measured are predicted");
  }
  problem.support = tasks::samples_of(problem.profile);
  if (mapping.repeated) count_repeats(problem);
  return problem;
}

// The support in the space to predict. Throws DataError for a mode that is not there.
void move_to_space(Problem& problem, const Options& options) {
  auto& support = problem.support;
  const auto& path = options.profiles.empty() ? options.measurements : options.profiles;
  support.space = problem.profile.space;
  if (!options.space) return;
  const auto roles = hw::describe_roles(*options.space), found = hw::describe_roles(*support.space);
  if (roles != found)
    throw datasets::DataError(path + ": " + options.space_name + " has the knobs " + roles + ", found " +
                              found);
  for (const auto& mode : support.modes) {
    if (!options.space->index_of(mode)) {
      throw datasets::DataError(path + ": " + hw::describe(*support.space, mode) + " is no mode of " +
                                options.space_name);
    }
  }
  support.space = std::make_shared<const hw::PowerModeSpace>(*options.space);
}

// Mean |predicted - measured| / measured over the profile's modes outside the support, in %; NaN where there
// is none.
std::array<double, tasks::kNumTargets> mape_on_others(const Problem& problem,
                                                      const learners::Predictor& predictor) {
  const std::set<hw::PowerMode> used(problem.support.modes.begin(), problem.support.modes.end());
  const auto all = tasks::samples_of(problem.profile);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!used.contains(all.modes[i])) rows.push_back(i);
  }
  std::array<double, tasks::kNumTargets> mape;
  mape.fill(std::numeric_limits<double>::quiet_NaN());
  if (rows.empty()) return mape;
  const auto others = all.subset(rows);
  const auto prediction = predictor.predict(others.modes);
  for (int target = 0; target < tasks::kNumTargets; ++target) {
    double sum = 0;
    std::size_t n = 0;
    for (Eigen::Index i = 0; i < others.targets.rows(); ++i) {
      const double error = std::abs(prediction.mean(i, target) / others.targets(i, target) - 1);
      if (std::isnan(error)) continue;
      sum += error;
      ++n;
    }
    if (n > 0) mape[static_cast<std::size_t>(target)] = 100 * sum / static_cast<double>(n);
  }
  return mape;
}

// A checkpoint may have been trained for the one target that was not measured.
void require_prediction(const Options& options, const learners::Model& model) {
  std::string measured;
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto column = model.prediction.mean.col(target).array();
    if (column.isInf().any() || (!column.isNaN().all() && !(column > 0).all()))
      throw datasets::DataError((options.init.empty() ? options.learner : options.init) + ": predicts a " +
                                tasks::kTargetNames[target] +
                                " that is no number above 0: its settings do not suit what was measured");
  }
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    if (!model.prediction.mean.col(target).array().isNaN().any()) return;
    if (model.support.has(target))
      measured += (measured.empty() ? "" : " and ") + std::string(tasks::kTargetNames[target]);
  }
  throw datasets::DataError((options.init.empty() ? options.learner : options.init) +
                            ": not trained to predict " + measured + ", which is all that was measured");
}

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Of the workloads that the new one behaves like, those below are not printed: among many, it is like none of them.
constexpr double kLeastPercent = 10;

void print(const Json& report) {
  std::cout << std::setprecision(5) << report["device"].get<std::string>() << '/'
            << report["workload"].get<std::string>() << ": " << report["learner"].get<std::string>()
            << (report["shots"] == 0
                    ? std::string(" without measured modes in ")
                    : " adapted to " + hw::counted(report["shots"].get<std::size_t>(), "measured mode") +
                          (report.contains("fresh") ? ", " + report["fresh"].dump() + " of them new," : "") +
                          " in ")
            << report["adapt_ms"].get<double>() << " ms, predicted "
            << hw::counted(report["modes"].get<std::size_t>(), "mode") << " in "
            << report["predict_ms"].get<double>() << " ms\n";
  for (const auto& [name, unit] : {std::pair("time", "ms"), std::pair("power", "W")}) {
    if (!report.contains(name)) continue;
    const auto& target = report[name];
    std::cout << "  " << std::left << std::setw(6) << name << target["least"].get<double>() << " to "
              << target["greatest"].get<double>() << ' ' << unit;
    if (target.contains("unsure"))
      std::cout << ", give or take " << std::lround(target["unsure"].get<double>()) << " %";
    if (target.contains("mape"))
      std::cout << ", error on the other measured modes " << target["mape"].get<double>() << " %";
    std::cout << '\n';
  }
  if (report.contains("weighs")) {
    std::cout << "  weighs: ";
    bool first = true;
    for (const auto& one : report["weighs"]) {
      std::cout << (first ? "" : ", ") << one["learner"].get<std::string>();
      for (const char* name : tasks::kTargetNames)
        if (one.contains(name))
          std::cout << ' ' << name << ' ' << std::lround(100 * one[name].get<double>()) << " %";
      first = false;
    }
    std::cout << '\n';
  }
  std::string like;
  for (const auto& similar : report.value("behaves_like", Json::array())) {
    const double percent = 100 * similar["weight"].get<double>();
    if (percent < kLeastPercent) break;  // falling by weight
    like += (like.empty() ? "" : ", ") + similar["workload"].get<std::string>() + ' ' +
            std::to_string(std::lround(percent)) + " %";
  }
  if (!like.empty()) std::cout << "  behaves like: " << hw::printable(like) << '\n';
  std::cout << "  -> " << report["out"].get<std::string>() << '\n';
}

// The rows of the model before, with those of the problem; and what else it says of the workload.
void add_to(const learners::Model& before, Problem& problem, const Options& options) {
  problem.profile.device = before.device;
  problem.profile.workload = before.workload;
  problem.profile.attributes = before.attributes;
  problem.support = learners::with_fresh_rows(before.support, problem.support, options.updating);
}

// Throws DataError where the checkpoint is not that of the model.
void check_same_checkpoint(const Options& options, const learners::Model& before,
                           const learners::Model& now) {
  if (before.learner == now.learner && before.origin == now.origin) return;
  const auto text = [](const learners::Model& model) {
    return model.learner + " trained on " +
           (model.origin.data_hash.empty() ? "nothing" : "data " + model.origin.data_hash) + ", seed " +
           std::to_string(model.origin.seed);
  };
  throw datasets::DataError(
      options.update + ": adapted from " + text(before) + "; " +
      (options.init.empty() ? "give that checkpoint as --init" : options.init + " is " + text(now)));
}

// Runs `check`, whose std::invalid_argument is about an entry of --init.
template <class Check>
auto as_of_init(const Options& options, const Check& check) {
  try {
    return check();
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(options.init + ": " + e.what());
  }
}

learners::Prediction predict_all(const learners::Predictor& predictor, const hw::PowerModeSpace& space) {
  const auto modes = space.modes();
  if (modes.size() <= kChunk) return predictor.predict(modes);
  learners::Prediction all;
  const auto put = [&](const learners::Matrix& some, std::size_t from, learners::Matrix& into) {
    if (some.size() == 0) return;
    if (into.size() == 0) into.resize(static_cast<Eigen::Index>(modes.size()), some.cols());
    into.middleRows(static_cast<Eigen::Index>(from), some.rows()) = some;
  };
  for (std::size_t from = 0; from < modes.size(); from += kChunk) {
    const auto some =
        predictor.predict(std::span(modes).subspan(from, std::min(kChunk, modes.size() - from)));
    put(some.mean, from, all.mean);
    put(some.stddev, from, all.stddev);
    put(some.latent_stddev, from, all.latent_stddev);
  }
  return all;
}

// Where the learner takes fewer rows than there are, says which.
void add_used_rows(const learners::Model& model, Problem& problem, Json& report) {
  const auto most = learners::find_learner(model.learner).most_rows;
  if (most == 0) return;
  const auto used = learners::spread_support(problem.support, most);
  if (used.size() == problem.support.size()) return;
  problem.notices.push_back(
      model.learner + " takes at most " + std::to_string(most) + " rows: " + std::to_string(used.size()) +
      " of " + std::to_string(problem.support.size()) +
      " measured modes are used, those that spread widest over log settings (--json lists them)");
  report["used"] = used.size();
  for (const auto& mode : used.modes)
    report["used_modes"].push_back(Json(std::vector<int>(mode.begin(), mode.end())));
}

// Says which values the learner left out.
void add_doubted(const learners::Model& model, Problem& problem, Json& report) {
  for (const auto& [mode, target] : model.doubted) {
    const auto row =
        static_cast<Eigen::Index>(std::find(model.support.modes.begin(), model.support.modes.end(), mode) -
                                  model.support.modes.begin());
    const double measured = model.support.targets(row, target);
    const double expected =
        model.prediction.mean(static_cast<Eigen::Index>(*model.space->index_of(mode)), target);
    const std::string name = target == tasks::kTimeMs ? "time_ms" : "power_w";
    Json one;
    for (std::size_t k = 0; k < mode.size(); ++k)
      one["mode"][std::string(to_string(model.space->knobs()[k].role))] = mode[k];
    one[name] = {{"measured", measured}, {"expected", expected}};
    report["left_out"].push_back(std::move(one));
    std::ostringstream text;
    text << std::setprecision(6) << "left out: " << name << ' ' << measured << " measured in "
         << hw::describe(*model.space, mode) << "; expected from the other rows: about " << expected;
    problem.notices.push_back(text.str());
  }
}

// Throws DataError for a value that seems to be in another unit, unless the learner has left it out. In a mode that the model had before
// it is part of a mean.
void check_odd(const Problem& problem, const std::optional<learners::Model>& before,
               const learners::Model& model) {
  for (const auto& odd : problem.odd) {
    const bool known =
        before && std::count(before->support.modes.begin(), before->support.modes.end(), odd.mode) > 0;
    const auto target = odd.metric == datasets::Metric::time_ms ? tasks::kTimeMs : tasks::kPowerW;
    const bool left_out = std::any_of(model.doubted.begin(), model.doubted.end(), [&](const auto& doubted) {
      return doubted.mode == odd.mode && doubted.target == target;
    });
    if (known || !left_out) throw datasets::DataError(odd.why);
  }
}

int run(Options options) {
  learners::check_model_output(options.out);
  learners::Model model;
  std::shared_ptr<const learners::Learner> learner;
  std::optional<learners::Model> before;
  if (!options.update.empty()) {
    before = program::during("reading " + options.update, [&] {
      return learners::read_model(options.update, {.max_modes = options.max_modes.value_or(hw::kMostModes)});
    });
    options.space = *before->space;
    options.space_name = before->device;
    if (options.init.empty()) {
      options.learner = before->learner;
      program::require(
          !learners::find_learner(options.learner).needs_checkpoint,
          options.update + ": " + options.learner + " must be trained first: give its checkpoint as --init");
    }
  }
  if (options.init.empty()) {
    model.learner = options.learner;
    if (before) check_same_checkpoint(options, *before, model);
    learner = learners::make_learner(options.learner);
  } else {
    const auto checkpoint =
        program::during("reading " + options.init, [&] { return learners::read_checkpoint(options.init); });
    model.learner = checkpoint.learner;
    model.origin = checkpoint.origin;
    if (before) check_same_checkpoint(options, *before, model);
    learner = as_of_init(options, [&] { return learners::make_learner(checkpoint); });
  }
  const auto& input = options.profiles.empty() ? options.measurements : options.profiles;
  auto problem = program::during("reading " + (input.empty() ? options.space_name : input), [&] {
    return !options.profiles.empty() ? draw_from_profile(options, learner)
           : !options.measurements.empty()
               ? take_measurements(options, model.learner == "auto", before ? &*before : nullptr)
               : take_nothing(options);
  });
  move_to_space(problem, options);
  if (before) add_to(*before, problem, options);

  const auto start = std::chrono::steady_clock::now();
  const auto count = hw::counted(problem.support.size(), "measured mode");
  const auto predictor = program::during("adapting " + model.learner + " to " + count, [&] {
    return learner->update(problem.support, before && !options.refit ? before->fitted : learners::Fitted{});
  });
  const double adapt_ms = ms_since(start);
  const auto predict_start = std::chrono::steady_clock::now();
  model.prediction = program::during("predicting " + std::to_string(problem.support.space->size()) + " modes",
                                     [&] { return predict_all(*predictor, *problem.support.space); });
  const double predict_ms = ms_since(predict_start);

  model.device = problem.profile.device;
  model.workload = problem.profile.workload;
  model.attributes = problem.profile.attributes;
  model.space = problem.support.space;
  model.support = problem.support;
  model.doubted = predictor->doubted();
  model.fitted = predictor->fitted();
  check_odd(problem, before, model);
  require_prediction(options, model);
  learners::write_model(options.out, model);

  Json report{{"out", options.out},       {"device", model.device},        {"workload", model.workload},
              {"learner", model.learner}, {"shots", model.support.size()}, {"modes", model.space->size()},
              {"adapt_ms", adapt_ms},     {"predict_ms", predict_ms}};
  if (before) report["fresh"] = model.support.size() - before->support.size();
  add_used_rows(model, problem, report);
  add_doubted(model, problem, report);
  const auto mape = mape_on_others(problem, *predictor);
  for (int target = 0; target < tasks::kNumTargets; ++target) {
    const auto column = model.prediction.mean.col(target);
    if (column.array().isNaN().any()) continue;
    auto& entry =
        report[tasks::kTargetNames[target]] = {{"least", column.minCoeff()}, {"greatest", column.maxCoeff()}};
    if (const double error = mape[static_cast<std::size_t>(target)]; !std::isnan(error))
      entry["mape"] = error;
    if (model.support.modes.empty()) {  // the median standard deviation, %
      Eigen::VectorXd share = model.prediction.stddev.col(target).cwiseQuotient(column);
      std::nth_element(share.begin(), share.begin() + share.size() / 2, share.end());
      entry["unsure"] = 100 * share[share.size() / 2];
    }
  }
  for (const auto& [workload, weight] : predictor->behaves_like())
    report["behaves_like"].push_back({{"workload", workload}, {"weight", weight}});
  for (const auto& [name, weights] : predictor->chosen()) {
    Json one{{"learner", name}};
    for (std::size_t t = 0; t < weights.size(); ++t)
      if (!std::isnan(weights[t])) one[tasks::kTargetNames[t]] = weights[t];
    report["weighs"].push_back(std::move(one));
  }
  if (options.common.json) {
    std::cout << hw::json_text(report) << '\n';
  } else if (!options.common.quiet) {
    print(report);
  }
  if (!options.common.quiet) {
    for (const auto& notice : problem.notices)
      std::cerr << "fewwatt adapt: " << hw::printable_lines(notice) << '\n';
  }
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("adapt", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
