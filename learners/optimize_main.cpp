// fewwatt optimize --model MODEL.h5 --max-power-w 30 [--objective time|energy|edp|power] [--max-time-ms T]
//                  [--confidence 0.95] [--pareto]
//
// Looks the best mode within the limits up in a model's table. Of a measured mode it takes what was measured.
// Exit code 3 when no mode fits.

#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>
#include <utility>

#include "hw/program.hpp"
#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

struct Options {
  program::CommonOptions common;
  std::string model;
  learners::Objective objective = learners::Objective::time;
  learners::PowerBudget budget;
  bool pareto = false;
};

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  std::string objective;
  program::Manual manual;
  manual.verb = "optimize";
  manual.synopsis =
      "--model MODEL.h5 [--max-power-w W] [--max-time-ms T] [--objective time|energy|edp|power]";
  manual.about =
      "Prints the mode with the least time, energy, energy-delay product or power within the "
      "limits;\n"
      "with --pareto all modes within the limits that no other one beats in both time and power.\n"
      "A measured mode is judged by what was measured, every other one by its prediction.\n"
      "Exit code 3 when no mode is within the limits.";
  auto add = manual.options.add_options();
  add("model", po::value(&options.model)->required()->value_name("FILE"), "model, written by fewwatt adapt");
  add("max-power-w", po::value(&options.budget.max_power_w)->value_name("W"), "power budget in watts");
  add("max-time-ms", po::value(&options.budget.max_time_ms)->value_name("MS"), "time limit in milliseconds");
  add("objective", po::value(&objective)->default_value("time")->value_name("NAME"),
      "what to minimise: time, energy, edp (energy x time) or power");
  add("confidence", po::value(&options.budget.confidence)->default_value(0.5, "0.5")->value_name("P"),
      "least probability that a limit holds; 0.5 = the predicted mean decides");
  add("pareto", po::bool_switch(&options.pareto), "print the front of time and power instead of one mode");
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  if (options.pareto && !(*values)["objective"].defaulted())
    throw program::UsageError("--pareto minimises time and power: give no --objective");
  if (const auto error = options.budget.error(); !error.empty()) throw program::UsageError(error);
  try {
    options.objective = learners::parse_objective(objective);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(e.what());
  }
  if (!options.pareto && options.objective == learners::Objective::power &&
      !std::isfinite(options.budget.max_time_ms)) {
    throw program::UsageError("--objective power needs --max-time-ms");
  }
  return options;
}

void add_known(Json& object, const char* name, double value) {
  if (!std::isnan(value)) object[name] = value;
}

// What is known of a mode; names hold the units, unknown numbers are left out.
Json mode_json(const learners::Model& model, std::size_t row) {
  const auto mode = model.space->at(row);
  const auto r = static_cast<Eigen::Index>(row);
  const double time_ms = model.prediction.mean(r, tasks::kTimeMs);
  const double power_w = model.prediction.mean(r, tasks::kPowerW);
  Json result;
  for (std::size_t k = 0; k < mode.size(); ++k) {
    result["mode"][std::string(to_string(model.space->knobs()[k].role))] = mode[k];
  }
  add_known(result, "time_ms", time_ms);
  add_known(result, "power_w", power_w);
  if (model.prediction.stddev.size() > 0) {
    add_known(result, "time_std_ms", model.prediction.stddev(r, tasks::kTimeMs));
    add_known(result, "power_std_w", model.prediction.stddev(r, tasks::kPowerW));
  }
  add_known(result, "energy_j", time_ms * power_w / 1000);
  if (const auto epoch_s = model.epoch_s(time_ms)) add_known(result, "epoch_s", *epoch_s);
  result["measured"] = nullptr;
  for (std::size_t i = 0; i < model.support.size(); ++i) {
    if (model.support.modes[i] != mode) continue;
    result["measured"] = Json::object();
    add_known(result["measured"], "time_ms",
              model.support.targets(static_cast<Eigen::Index>(i), tasks::kTimeMs));
    add_known(result["measured"], "power_w",
              model.support.targets(static_cast<Eigen::Index>(i), tasks::kPowerW));
  }
  return result;
}

std::string number(const Json& value) {
  std::ostringstream text;
  if (value.is_number_float()) {
    text << std::setprecision(5) << value.get<double>();
  } else {
    text << value;
  }
  return text.str();
}

void print_mode(const learners::Model& model, const Json& chosen) {
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << "  " << std::left << std::setw(14) << name << value << '\n';
  };
  for (const auto& [name, value] : chosen["mode"].items()) line(name, number(value));
  for (const auto& [name, value] : chosen.items()) {
    if (!value.is_number()) continue;
    line(name, number(value) +
                   (name == "time_ms" ? " per " + std::string(to_string(model.attributes.time_of)) : ""));
  }
  std::string measured;
  for (const auto& [name, value] : chosen["measured"].items())
    measured += (measured.empty() ? "" : ", ") + name + " " + number(value);
  line("measured", measured.empty() ? "no" : measured);
}

void print_front(const Json& front) {
  for (const auto& [name, value] : front[0]["mode"].items()) std::cout << std::setw(15) << name;
  for (const auto& [name, value] : front[0].items()) {
    if (value.is_number()) std::cout << std::setw(13) << name;
  }
  std::cout << "  measured\n";
  for (const auto& row : front) {
    for (const auto& value : row["mode"]) std::cout << std::setw(15) << number(value);
    for (const auto& value : row) {
      if (value.is_number()) std::cout << std::setw(13) << number(value);
    }
    std::cout << "  " << (row["measured"].is_null() ? "no" : "yes") << '\n';
  }
}

// "power <= 30 W and time <= 5 ms at confidence 0.95"; "no limit"
std::string describe(const learners::PowerBudget& budget) {
  std::ostringstream text;
  if (std::isfinite(budget.max_power_w)) text << "power <= " << budget.max_power_w << " W";
  if (std::isfinite(budget.max_time_ms)) {
    text << (text.str().empty() ? "" : " and ") << "time <= " << budget.max_time_ms << " ms";
  }
  if (text.str().empty()) return "no limit";
  if (budget.confidence != 0.5) text << " at confidence " << budget.confidence;
  return text.str();
}

// What comes nearest to a budget that nothing fits.
int report_no_fit(const Options& options, const learners::Model& model, Json result) {
  const auto& budget = options.budget;
  std::ostringstream message;
  message << "no mode fits " << describe(budget);
  const auto add_nearest = [&](const char* name, std::size_t row) {
    Json nearest = mode_json(model, row);
    const char* separator = " ";
    message << "; the " << name << " mode is at";
    for (const auto& [key, spread, unit] :
         {std::tuple("power_w", "power_std_w", "W"), std::tuple("time_ms", "time_std_ms", "ms")}) {
      if (!nearest.contains(key)) continue;
      message << std::exchange(separator, " and ") << number(nearest[key]) << ' ' << unit;
      if (budget.confidence != 0.5) message << " (stddev " << number(nearest[spread]) << ")";
    }
    message << ": " << hw::describe(*model.space, model.space->at(row));
    result[name] = std::move(nearest);
  };
  const bool has_power = !model.prediction.mean.col(tasks::kPowerW).array().isNaN().all();
  if (has_power) add_nearest("cheapest", learners::cheapest(model.prediction, budget));
  if (std::isfinite(budget.max_time_ms))
    add_nearest("fastest", learners::fastest_bound(model.prediction, budget));
  if (options.common.json) std::cout << result << '\n';
  std::cerr << "fewwatt optimize: " << message.str() << '\n';
  return program::kNoModeFits;
}

int run(const Options& options) {
  auto model = learners::read_model(options.model);
  model.prediction = model.with_measurements();
  Json result{{"device", model.device},
              {"workload", model.workload},
              {"learner", model.learner},
              {"objective", to_string(options.objective)},
              {"time_of", to_string(model.attributes.time_of)},
              {"confidence", options.budget.confidence}};
  if (std::isfinite(options.budget.max_power_w)) result["max_power_w"] = options.budget.max_power_w;
  if (std::isfinite(options.budget.max_time_ms)) result["max_time_ms"] = options.budget.max_time_ms;
  const std::string title = model.device + "/" + model.workload + " (" + model.learner + "), ";
  try {
    if (options.pareto) {
      const auto rows = learners::pareto(model.prediction, options.budget);
      if (rows.empty()) return report_no_fit(options, model, result);
      for (const std::size_t row : rows) result["front"].push_back(mode_json(model, row));
      if (options.common.json) {
        std::cout << result << '\n';
      } else {
        std::cout << title << "front of time and power, " << describe(options.budget) << ":\n";
        print_front(result["front"]);
      }
      return program::kDone;
    }
    const auto row = learners::choose(model.prediction, options.objective, options.budget);
    if (!row) return report_no_fit(options, model, result);
    const Json chosen = mode_json(model, *row);
    if (options.common.json) {
      result.update(chosen);
      std::cout << result << '\n';
    } else {
      std::cout << title << "least " << to_string(options.objective) << ", " << describe(options.budget)
                << ":\n";
      print_mode(model, chosen);
    }
    return program::kDone;
  } catch (const std::invalid_argument& e) {  // the model's learner did not predict what the limits need
    throw datasets::DataError(options.model + " (" + model.learner + "): " + e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("optimize", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
