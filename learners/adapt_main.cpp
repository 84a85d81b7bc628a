// fewwatt adapt [--init INIT.h5 | --learner NAME]
//               --profiles P.h5 --device D --workload W --shots 50 --sampler random | --measurements M.csv
//               | --space BOARD --flops N ...
//               --out MODEL.h5
// fewwatt adapt --update MODEL.h5 [--init INIT.h5] --measurements M.csv --out NEW.h5
//
// Fits a learner to few measured modes of one workload, or to none where it is known what the workload is, and writes
// what it predicts of all modes.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/modules.hpp"
#include "hw/printable.hpp"
#include "hw/text.hpp"
#include "learners/programs/adapt_input.hpp"
#include "learners/programs/adapt_report.hpp"
#include "learners/programs/shared_options.hpp"
#include "learners/samplers/sampler.hpp"
#include "learners/update.hpp"

namespace {

using namespace fewwatt;

struct Options {
  program::CommonOptions common;
  program::LearnerChoice choice;
  adapt::Source source;
  std::string update;  // the model to add rows to; "" = none
  bool refit = false;
  learners::UpdateOptions updating;
  std::string out;
};

// Number of modes that are predicted at once, so that memory does not grow with the number of modes.
constexpr std::size_t kChunk = 32'768;

// Options that belong to one of the sources of rows, or to an update.
void check_effects(const Options& options, const program::po::variables_map& values) {
  const auto& source = options.source;
  const bool updates = !options.update.empty(), drawn = !source.profiles.empty(),
             measured = !source.measurements.empty(), mapped = !source.mapping.empty();
  auto about_workload = program::attribute_options();
  about_workload.emplace_back("time-of");
  auto of_model = about_workload;
  of_model.insert(of_model.end(), {"learner", "profiles", "space", "device", "workload"});
  program::refuse_without_effect(
      values, {{{"refit", "forget"}, updates, "it goes with --update"},
               {{"mapping", "decimal", "trust-units", "max-modes"}, measured, "it goes with --measurements"},
               {{"shots", "sampler"}, drawn, "it goes with --profiles; of --measurements all rows are used"},
               {{"sampler"}, source.shots.value > 0, "with --shots 0 no mode is drawn"},
               {of_model, !updates, "the model of --update says that already"},
               {about_workload, !mapped, "the --mapping has them already"},
               {about_workload, !drawn, "the profile has them already"}});
}

void check(const Options& options, const program::po::variables_map& values) {
  const auto& source = options.source;
  const bool updates = !options.update.empty(), drawn = !source.profiles.empty(),
             measured = !source.measurements.empty();
  program::require(!drawn || !measured, "give one of --profiles and --measurements");
  program::require(!updates || measured, "--update needs --measurements, the rows to add");
  program::require(
      drawn || measured || !source.space_name.empty(),
      "give one of --profiles and --measurements, or --space BOARD[:GRID] to predict without measured modes");
  program::refuse_overwriting({{"--out", options.out}}, {options.choice.init, options.update, source.profiles,
                                                         source.measurements, source.mapping});
  options.choice.check();
  program::require(options.updating.error().empty(), "--forget must be above 0 and at most 1");
  if (drawn) program::check_sampler(source.sampler);
  if (!source.time_of.empty()) program::time_of_option(source.time_of);
  check_effects(options, values);
  if (updates) return;
  program::require(
      options.choice.trained() || !source.measures_nothing(),
      "without measured modes --init is needed: an initializer that was trained on other workloads");
  program::require(
      drawn || !options.choice.trained() || !source.space_name.empty(),
      "--init with --measurements needs --space BOARD[:GRID]: settings are scaled by the board's greatest "
      "ones, which a few measured modes may lack; fewwatt device list names the boards");
  program::require(!drawn || (!source.device.empty() && !source.workload.empty()),
                   "--profiles needs --device and --workload");
}

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  program::Count max_modes;
  std::string decimal;
  program::Manual manual;
  manual.verb = "adapt";
  manual.synopsis =
      "[--init INIT.h5 | --learner NAME] (--profiles P.h5 --device D --workload W | --measurements M.csv | "
      "--space BOARD --flops N ...) --out MODEL.h5 (or --update MODEL.h5 --measurements M.csv --out NEW.h5)";
  manual.about =
      "Fits a learner to few measured modes of a workload and writes what it predicts of all modes of the\n"
      "device. The measurements are your own, or drawn from a profile by a sampler; then the error on the\n"
      "profile's other modes is printed.\n"
      "With --shots 0, or --space alone, nothing is measured: an --init that was trained on workloads\n"
      "which state batch_size, layers, parameters or flops says what to expect of one that states them\n"
      "too.\n"
      "--update adds measurements to a model: it adapts to the model's rows and the new ones together,\n"
      "with the model's hyper-parameters. A mode that both have counts with the mean.";
  auto& source = options.source;
  program::add_learner_options(manual, options.choice);
  auto add = manual.options.add_options();
  add("profiles", po::value(&source.profiles)->value_name("FILE"), "file of profiles");
  add("update", po::value(&options.update)->value_name("FILE"),
      "model to add --measurements to; give --init too where the model came from one");
  add("refit", po::bool_switch(&options.refit), "with --update: search for hyper-parameters again");
  add("forget", program::real(options.updating.forget)->value_name("F"),
      "with --update: every new row makes earlier rows count F times as much; 1 forgets nothing");
  add("measurements", po::value(&source.measurements)->value_name("FILE"),
      "CSV file with a row per measured mode; columns cpu_cores, cpu_khz, gpu_khz, mem_khz, ..., time_ms, "
      "power_w, or with another unit: gpu_mhz, \"power (mW)\"");
  add("mapping", po::value(&source.mapping)->value_name("FILE"),
      "what the columns of --measurements are, as for fewwatt import (docs/mappings.md)");
  add("decimal", po::value(&decimal)->value_name("SIGN"),
      "decimal sign of the numbers in --measurements: point or comma; the other one groups thousands");
  add("trust-units", po::bool_switch(&source.trust_units),
      "take clocks, powers and times of --measurements as they are, even where they seem to be in another "
      "unit");
  add("device", po::value(&source.device)->value_name("NAME"),
      "device of the profile; with --measurements, what to call it");
  add("workload", po::value(&source.workload)->value_name("NAME"),
      "workload of the profile; with --measurements, what to call it");
  add("time-of", po::value(&source.time_of)->value_name("WHAT"),
      "what one time_ms is, of --measurements or to be predicted: minibatch, epoch or run (default)");
  program::add_attribute_options(manual, source.stated);
  add("shots", po::value(&source.shots)->default_value(source.shots)->value_name("N"),
      "number of modes to draw from the profile as measured; 0: none");
  const std::string how_to_draw = "how to draw them: " + hw::join(learners::builtin().samplers.names());
  add("sampler", po::value(&source.sampler)->default_value("random")->value_name("NAME"),
      how_to_draw.c_str());
  add("space", po::value(&source.space_name)->value_name("BOARD[:GRID]"),
      "modes to predict, as orin-agx-64 or orin-agx-64:powertrain; default: the profile's; for a "
      "--learner with --measurements every combination of the levels there");
  add("max-modes", po::value(&max_modes)->value_name("N"),
      "greatest number of modes of a device (4000000), and of combinations of the levels in --measurements "
      "(100000): where there are more of these, only the measured modes are predicted");
  add("out", po::value(&options.out)->required()->value_name("FILE"),
      "model to write; replaces a model of that name");
  manual.choices["sampler"] = program::names_in(learners::builtin().samplers);
  manual.choices["decimal"] = {"point", "comma"};
  manual.choices["time-of"] = {"minibatch", "epoch", "run"};
  manual.choices["space"] = program::known_spaces();
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  if (!decimal.empty()) {
    const auto sign = datasets::parse_decimal_sign(decimal);
    program::require(sign.has_value(), "--decimal: expected point or comma, found '" + decimal + "'");
    source.decimal = *sign;
  }
  if (values->count("max-modes") > 0) source.max_modes = max_modes.value;
  check(options, *values);
  if (!source.space_name.empty()) {
    const auto colon = source.space_name.find(':');
    const auto grid = colon == std::string::npos ? "full" : source.space_name.substr(colon + 1);
    source.space = program::as_usage([&] { return hw::module_space(source.board(), grid); });
  }
  source.seed = options.common.seed;
  return options;
}

// A checkpoint may have been trained for the one target that was not measured.
void require_prediction(const Options& options, const learners::Model& model) {
  const auto& by = options.choice.trained() ? options.choice.init : model.learner;
  std::string measured;
  const learners::Matrix medians = model.prediction.median();
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto column = medians.col(target).array();
    if (column.isInf().any() || (!column.isNaN().all() && !(column > 0).all()))
      throw datasets::DataError(by + ": predicts a " + tasks::kTargetNames[target] +
                                " that is no number above 0: its options do not suit what was measured");
  }
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    if (!medians.col(target).array().isNaN().any()) return;
    if (model.support.has(target))
      measured += (measured.empty() ? "" : " and ") + std::string(tasks::kTargetNames[target]);
  }
  throw datasets::DataError(by + ": was not trained to predict " + measured +
                            ", and nothing else was measured");
}

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Throws DataError where the model was adapted by another learner than the chosen one, or with other options.
void check_same_learner(const Options& options, const learners::Model& before,
                        const program::ChosenLearner& chosen) {
  if (before.learner != chosen.name || before.origin != chosen.origin) {
    const auto text = [](const std::string& learner, const learners::Origin& origin) {
      return learner + " trained on " + (origin.data_hash.empty() ? "nothing" : "data " + origin.data_hash) +
             ", seed " + std::to_string(origin.seed);
    };
    throw datasets::DataError(
        options.update + ": was adapted from " + text(before.learner, before.origin) + "; " +
        (options.choice.trained() ? options.choice.init + " is " + text(chosen.name, chosen.origin)
                                  : "give that initializer as --init"));
  }
  if (!options.choice.set.empty() && chosen.settings != before.settings)
    throw datasets::DataError(
        options.update + ": was adapted with " +
        (before.settings.empty() ? "no --set" : "--set " + learners::to_text(before.settings)) +
        "; an update cannot change that");
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
    put(some.log_mean, from, all.log_mean);
    put(some.log_variance, from, all.log_variance);
    put(some.latent_log_variance, from, all.latent_log_variance);
  }
  return all;
}

// Throws DataError for a value that seems to be in another unit, unless the learner has left it out. In a mode that the model had before
// it is part of a mean.
void check_odd(const adapt::Input& input, const std::optional<learners::Model>& before,
               const learners::Model& model) {
  for (const auto& odd : input.odd) {
    const bool known =
        before && std::count(before->support.modes.begin(), before->support.modes.end(), odd.mode) > 0;
    const auto target = odd.metric == datasets::Metric::time_ms ? tasks::kTimeMs : tasks::kPowerW;
    const bool left_out = std::any_of(model.doubted.begin(), model.doubted.end(), [&](const auto& doubted) {
      return doubted.mode == odd.mode && doubted.target == target;
    });
    if (known || !left_out) throw datasets::DataError(odd.why);
  }
}

// The model that is updated; its space and its learner become those of the options.
std::optional<learners::Model> read_before(Options& options) {
  if (options.update.empty()) return std::nullopt;
  auto before = program::during("reading " + options.update, [&] {
    return learners::read_model(options.update,
                                {.max_modes = options.source.max_modes.value_or(hw::kMostModes)});
  });
  options.source.space = *before.space;
  options.source.space_name = before.device;
  if (!options.choice.trained()) {
    program::require(!learners::find_learner(before.learner).needs_checkpoint,
                     options.update + ": " + before.learner +
                         " must be trained first: give the initializer that the model came from as --init");
    options.choice.learner = before.learner;
  }
  return before;
}

// The chosen learner, with the options that the model before was adapted with.
program::ChosenLearner learner_for(const Options& options, const std::optional<learners::Model>& before) {
  auto choice = options.choice;
  if (before && choice.set.empty())
    for (const auto& [key, value] : before->settings) choice.set.push_back(key + "=" + value);
  auto chosen = program::chosen_learner(choice);
  if (before) check_same_learner(options, *before, chosen);
  program::check_forgetting(options.updating.forget, chosen);
  return chosen;
}

// source -> support -> learner -> model -> file
int run(Options options) {
  learners::check_model_output(options.out);
  const auto before = read_before(options);
  const auto chosen = learner_for(options, before);
  const auto& source = options.source;
  auto input = program::during("reading " + (source.path().empty() ? source.space_name : source.path()), [&] {
    return adapt::read_input(source, chosen.learner, chosen.facts().doubts_rows, before ? &*before : nullptr);
  });
  if (before) adapt::add_rows_of(*before, options.updating, input);

  const auto start = std::chrono::steady_clock::now();
  const auto predictor = program::during(
      "adapting " + chosen.name + " to " + hw::counted(input.support.size(), "measured mode"), [&] {
        return chosen.learner->update(input.support,
                                      before && !options.refit ? before->fitted : learners::Fitted{});
      });
  adapt::Took took{.adapt_ms = ms_since(start)};
  const auto predict_start = std::chrono::steady_clock::now();

  learners::Model model;
  model.learner = chosen.name;
  model.origin = chosen.origin;
  model.settings = chosen.settings;
  model.device = input.profile.device;
  model.workload = input.profile.workload;
  model.attributes = input.profile.attributes;
  model.space = input.support.space;
  model.support = input.support;
  model.doubted = predictor->doubted();
  model.fitted = predictor->fitted();
  model.prediction = program::during("predicting " + std::to_string(model.space->size()) + " modes",
                                     [&] { return predict_all(*predictor, *model.space); });
  took.predict_ms = ms_since(predict_start);
  check_odd(input, before, model);
  require_prediction(options, model);
  learners::write_model(options.out, model);

  std::optional<std::size_t> fresh;
  if (before) fresh = model.support.size() - before->support.size();
  const auto report = adapt::report_of(model, *predictor, input, fresh, took, options.out);
  if (options.common.json)
    std::cout << hw::json_text(report) << '\n';
  else if (!options.common.quiet)
    adapt::print(report);
  if (!options.common.quiet)
    for (const auto& notice : input.notices)
      std::cerr << "fewwatt adapt: " << hw::printable_lines(notice) << '\n';
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("adapt", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
