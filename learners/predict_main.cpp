// fewwatt predict --model MODEL.h5 --out modes.csv
//
// Writes what a model says of every mode of its device: one row per mode, in the order of the space.

#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/atomic_file.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "hw/readable.hpp"
#include "learners/model.hpp"
#include "learners/programs/shared_options.hpp"

namespace {

using namespace fewwatt;

struct Options {
  program::CommonOptions common;
  std::string model;
  std::string out;  // "-" = standard output
  program::Count max_modes{hw::kMostModes};
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  program::Manual manual;
  manual.verb = "predict";
  manual.synopsis = "--model MODEL.h5 --out modes.csv";
  manual.about =
      "Writes the predicted time, power and energy of all modes of the device as CSV. Columns:\n"
      "  one for each knob;\n"
      "  time_median_ms, power_median_w, energy_median_j, epoch_median_s: the predictions, where known;\n"
      "  time_p05_ms, time_p95_ms, power_p05_w, power_p95_w, of learners with uncertainty: one measurement\n"
      "  of twenty stays below p05, one of twenty is above p95;\n"
      "  time_latent_log_std, power_latent_log_std: standard deviation of the log of what many\n"
      "  measurements would average to;\n"
      "  measured: 1 for the modes that were measured, else 0.";
  auto add = manual.options.add_options();
  add("model", program::po::value(&options.model)->required()->value_name("FILE"),
      "model, written by fewwatt adapt");
  add("out", program::po::value(&options.out)->required()->value_name("FILE"),
      "CSV file to write, or - for standard output; replaces a table of predictions of that name");
  add("max-modes", program::po::value(&options.max_modes)->default_value(options.max_modes)->value_name("N"),
      "greatest number of modes of the device");
  if (!program::parse(argc, argv, manual, options.common)) return std::nullopt;
  if (options.out == "-" && options.common.json)
    throw program::UsageError("--json and --out - cannot be given together: both write to standard output");
  return options;
}

std::string to_csv(const learners::Model& model) {
  struct Column {
    std::string name;
    Eigen::VectorXd values;
  };
  const auto& p = model.prediction;
  const learners::Matrix medians = p.median();
  std::vector<Column> columns;
  for (const auto& [target, name, unit] :
       {std::tuple(tasks::kTimeMs, "time", "_ms"), {tasks::kPowerW, "power", "_w"}}) {
    if (!p.predicts(target)) continue;
    const auto add = [&](const std::string& what, const std::string& in, const Eigen::VectorXd& values) {
      columns.push_back({name + what + in, values});
    };
    add("_median", unit, medians.col(target));
    if (!p.uncertain()) continue;
    add("_p05", unit, p.quantile(0.05).col(target));
    add("_p95", unit, p.quantile(0.95).col(target));
    add("_latent_log_std", "", p.latent_log_variance.col(target).cwiseSqrt());
  }
  const Eigen::VectorXd time_ms = medians.col(tasks::kTimeMs);
  if (p.predicts(tasks::kTimeMs) && p.predicts(tasks::kPowerW))
    columns.push_back({"energy_median_j", time_ms.cwiseProduct(medians.col(tasks::kPowerW)) / 1000});
  if (const auto epoch_s_per_ms = model.epoch_s(1); epoch_s_per_ms && p.predicts(tasks::kTimeMs))
    columns.push_back({"epoch_median_s", time_ms * *epoch_s_per_ms});

  std::ostringstream text;
  text << std::setprecision(9);
  for (const auto& knob : model.space->knobs()) text << to_string(knob.role) << ',';
  for (const auto& column : columns) text << column.name << ',';
  text << "measured\n";
  const std::set<hw::PowerMode> measured(model.support.modes.begin(), model.support.modes.end());
  for (std::size_t row = 0; row < model.space->size(); ++row) {
    const auto mode = model.space->at(row);
    for (const int setting : mode) text << setting << ',';
    for (const auto& column : columns) text << column.values[static_cast<Eigen::Index>(row)] << ',';
    text << measured.count(mode) << '\n';
  }
  return text.str();
}

// ": 6 ms to 24 ms a step, 2 W to 8 W", as far as the model predicts them.
std::string ranges_of(const learners::Model& model) {
  const learners::Matrix medians = model.prediction.median();
  std::string text;
  const auto add = [&](tasks::Target target, std::string (*text_of)(double, double),
                       const std::string& unit) {
    if (!model.prediction.predicts(target)) return;
    const auto column = medians.col(target);
    text += (text.empty() ? ": " : ", ") + text_of(column.minCoeff<Eigen::PropagateNumbers>(), 0) + " to " +
            text_of(column.maxCoeff<Eigen::PropagateNumbers>(), 0) + unit;
  };
  add(tasks::kTimeMs, hw::readable_time, ' ' + program::unit_of(model.attributes.time_of));
  add(tasks::kPowerW, hw::readable_power, "");
  return text;
}

// Any file that to_csv() wrote may be replaced.
datasets::Replaceable table_of_predictions() {
  return datasets::text_file("a table of predictions", [](std::string_view start) {
    const auto header = datasets::first_line(start);
    return hw::parse_knob_role(header.substr(0, header.find(','))) && header.ends_with(",measured");
  });
}

int run(const Options& options) {
  program::refuse_overwriting({{"--out", options.out}}, {options.model});
  if (options.out != "-") datasets::check_output(options.out, table_of_predictions());
  const auto model = program::during("reading " + options.model, [&] {
    return learners::read_model(options.model, {.max_modes = options.max_modes.value});
  });
  const std::string csv = to_csv(model);
  if (options.out == "-") {
    std::cout << csv;
    return program::kDone;
  }
  datasets::write_file(options.out, csv, table_of_predictions());
  if (options.common.json) {
    const nlohmann::ordered_json report{{"out", options.out},
                                        {"device", model.device},
                                        {"workload", model.workload},
                                        {"learner", model.learner},
                                        {"modes", model.space->size()}};
    std::cout << hw::json_text(report) << '\n';
  } else if (!options.common.quiet) {
    std::cout << options.out << ": " << hw::counted(model.space->size(), "mode") << " of "
              << hw::printable(model.device + '/' + model.workload) << ranges_of(model) << "; "
              << model.support.size() << " measured\n";
  }
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("predict", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
