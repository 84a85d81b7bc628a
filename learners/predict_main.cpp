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
#include "learners/model.hpp"

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
      "Writes the predicted time, power and energy of all modes of the device as CSV. Columns: one per "
      "knob;\n"
      "time_ms, power_w, time_std_ms, power_std_w, time_latent_std_ms, power_latent_std_w, energy_j and "
      "epoch_s\n"
      "where they are known; measured, 1 for the modes that the model rests on.";
  auto add = manual.options.add_options();
  add("model", program::po::value(&options.model)->required()->value_name("FILE"),
      "model, written by fewwatt adapt");
  add("out", program::po::value(&options.out)->required()->value_name("FILE"),
      "CSV file to write, or - for standard output; a table of predictions that is there is replaced");
  add("max-modes", program::po::value(&options.max_modes)->default_value(options.max_modes)->value_name("N"),
      "most modes of the device");
  if (!program::parse(argc, argv, manual, options.common)) return std::nullopt;
  if (options.out == "-" && options.common.json)
    throw program::UsageError("--json and --out - both want standard output");
  return options;
}

std::string to_csv(const learners::Model& model) {
  struct Column {
    std::string name;
    Eigen::VectorXd values;
  };
  const auto& [mean, stddev, latent] = model.prediction;
  const bool has_time = !mean.col(tasks::kTimeMs).array().isNaN().all();
  const bool has_power = !mean.col(tasks::kPowerW).array().isNaN().all();
  std::vector<Column> columns;
  if (has_time) columns.push_back({"time_ms", mean.col(tasks::kTimeMs)});
  if (has_power) columns.push_back({"power_w", mean.col(tasks::kPowerW)});
  if (has_time && stddev.size() > 0) columns.push_back({"time_std_ms", stddev.col(tasks::kTimeMs)});
  if (has_power && stddev.size() > 0) columns.push_back({"power_std_w", stddev.col(tasks::kPowerW)});
  if (has_time && latent.size() > 0) columns.push_back({"time_latent_std_ms", latent.col(tasks::kTimeMs)});
  if (has_power && latent.size() > 0) columns.push_back({"power_latent_std_w", latent.col(tasks::kPowerW)});
  if (has_time && has_power) {
    columns.push_back({"energy_j", mean.col(tasks::kTimeMs).cwiseProduct(mean.col(tasks::kPowerW)) / 1000});
  }
  if (const auto epoch_s_per_ms = model.epoch_s(1); epoch_s_per_ms && has_time) {
    columns.push_back({"epoch_s", mean.col(tasks::kTimeMs) * *epoch_s_per_ms});
  }

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

// What to_csv() made, of whatever model.
datasets::Replaceable table_of_predictions() {
  return datasets::text_file("a table of predictions", [](std::string_view start) {
    const auto header = datasets::first_line(start);
    return hw::parse_knob_role(header.substr(0, header.find(','))) && header.ends_with(",measured");
  });
}

int run(const Options& options) {
  program::refuse_overwriting(options.out, {options.model});
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
              << hw::printable(model.device + '/' + model.workload) << '\n';
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
