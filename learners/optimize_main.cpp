// fewwatt optimize --model MODEL.h5 --max-power-w 30 [--objective time|energy|power|edp|zeus] [--max-time-ms T]
//                  [--confidence 0.95] [--pareto]
//
// Looks the best mode within the limits up in a model's table. Of a measured mode it takes what was measured.
// Exit code 3 when no mode fits.

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
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
  std::string objective_name;
  learners::Objective objective;
  learners::PowerBudget budget;
  std::optional<double> max_epoch_s, max_slowdown;
  bool pareto = false;
};

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  double eta = 0.5;
  program::Manual manual;
  manual.verb = "optimize";
  manual.synopsis =
      "--model MODEL.h5 [--max-power-w W] [--max-time-ms T] [--objective NAME] [--confidence P]";
  manual.about =
      "Prints the mode with the least time, energy, energy-delay product or power within the "
      "limits;\n"
      "with --pareto all modes within the limits that no other one beats in both time and power.\n"
      "A measured mode is judged by what was measured, every other one by its prediction.\n"
      "Exit code 3 when no mode is within the limits; the one of least violation is named.";
  auto add = manual.options.add_options();
  add("model", po::value(&options.model)->required()->value_name("FILE"), "model, written by fewwatt adapt");
  add("max-power-w", po::value(&options.budget.max_power_w)->value_name("W"), "power budget in watts");
  add("max-time-ms", po::value(&options.budget.max_time_ms)->value_name("MS"), "time limit in milliseconds");
  add("max-energy-j", po::value(&options.budget.max_energy_j)->value_name("J"),
      "limit on time x power, in joules");
  add("max-epoch-s", po::value<double>()->value_name("S"), "deadline of an epoch, in seconds");
  add("max-slowdown", po::value<double>()->value_name("F"),
      "time is at most F times that of the fastest mode; 1.1 = a tenth slower");
  add("objective", po::value(&options.objective_name)->default_value("time")->value_name("NAME"),
      "what to minimise: time, energy, power, edp (energy x time), ed2p to ed9p (energy x time^n), or zeus "
      "(eta x energy + (1 - eta) x time x the most power of any mode)");
  add("eta", po::value(&eta)->value_name("E"),
      "weight of energy in --objective zeus, 0 to 1; 0.5 if not given");
  add("confidence", po::value(&options.budget.confidence)->default_value(0.5, "0.5")->value_name("P"),
      "least probability that a limit holds; 0.5 = the prediction itself decides");
  add("pareto", po::bool_switch(&options.pareto), "print the front of time and power instead of one mode");
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  if (options.pareto && !(*values)["objective"].defaulted())
    throw program::UsageError("--pareto minimises time and power: give no --objective");
  if (const auto error = options.budget.error(); !error.empty()) throw program::UsageError(error);
  const auto at_least = [&](const char* name, double least, bool itself) -> std::optional<double> {
    if (values->count(name) == 0) return std::nullopt;
    const double value = (*values)[name].as<double>();
    if (std::isfinite(value) && (value > least || (itself && value == least))) return value;
    std::ostringstream message;
    message << "--" << name << " must be " << (itself ? ">= " : "> ") << least << ", found " << value;
    throw program::UsageError(message.str());
  };
  options.max_epoch_s = at_least("max-epoch-s", 0, false);
  options.max_slowdown = at_least("max-slowdown", 1, true);
  try {
    options.objective = learners::parse_objective(options.objective_name);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(e.what());
  }
  if (values->count("eta") > 0 && options.objective_name != "zeus")
    throw program::UsageError("--eta is for --objective zeus");
  if (!(eta >= 0 && eta <= 1))
    throw program::UsageError("--eta must be in [0, 1], found " + std::to_string(eta));
  if (options.objective_name == "zeus") options.objective.eta = eta;
  if (!options.pareto && !options.objective.needs_time() && !options.budget.limits_time() &&
      !options.max_epoch_s && !options.max_slowdown) {
    throw program::UsageError("--objective power needs --max-time-ms, --max-epoch-s or --max-slowdown");
  }
  return options;
}

// The largest or least known value of a target.
double extreme(const learners::Model& model, tasks::Target target, bool largest) {
  const auto column = model.prediction.mean.col(target).array();
  if (column.isNaN().all())
    throw std::invalid_argument(std::string("the prediction has no ") + tasks::kTargetNames[target] +
                                ", which this objective or limit needs");
  return largest ? column.maxCoeff<Eigen::PropagateNumbers>() : column.minCoeff<Eigen::PropagateNumbers>();
}

// The user's limits in terms of one time. Throws std::invalid_argument where the model does not say what they need.
learners::PowerBudget budget_for(const Options& options, const learners::Model& model) {
  auto budget = options.budget;
  if (options.max_slowdown) {
    budget.max_time_ms =
        std::min(budget.max_time_ms, *options.max_slowdown * extreme(model, tasks::kTimeMs, false));
  }
  if (options.max_epoch_s) {
    const auto epoch_s = model.epoch_s(1);
    if (!epoch_s)
      throw std::invalid_argument("--max-epoch-s needs a workload whose epochs are known: time is per " +
                                  std::string(to_string(model.attributes.time_of)) +
                                  ", and minibatches_per_epoch is not stated");
    budget.max_time_ms = std::min(budget.max_time_ms, *options.max_epoch_s / *epoch_s);
  }
  return budget;
}

void add_known(Json& object, const char* name, double value) {
  if (!std::isnan(value)) object[name] = value;
}

// What is known of a mode; names hold the units, unknown numbers are left out.
Json mode_json(const learners::Model& model, std::size_t row, const learners::PowerBudget& budget) {
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
    const double time_std_ms = model.prediction.stddev(r, tasks::kTimeMs);
    add_known(result, "time_std_ms", time_std_ms);
    add_known(result, "power_std_w", model.prediction.stddev(r, tasks::kPowerW));
    // The mean of a log-normal time, median exp(s^2 / 2) with s the stddev of its log; time_ms is its median.
    add_known(result, "expected_time_ms", std::hypot(time_ms, time_std_ms));
  }
  add_known(result, "energy_j", time_ms * power_w / 1000);
  if (const auto epoch_s = model.epoch_s(time_ms)) add_known(result, "epoch_s", *epoch_s);
  const auto within = learners::probabilities(model.prediction, row, budget);
  add_known(result, "power_probability", within.power);
  add_known(result, "time_probability", within.time);
  add_known(result, "energy_probability", within.energy);
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
    std::cout << "  " << std::left << std::setw(18) << name << value << '\n';
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

// "cpu_khz=1000000 gpu_khz=500000: time_ms 8, power_w 5.5, power_probability 0.98"
std::string summary(const Json& mode) {
  std::string text;
  for (const auto& [name, value] : mode["mode"].items())
    text += (text.empty() ? "" : " ") + name + "=" + number(value);
  const char* separator = ": ";
  for (const char* name :
       {"time_ms", "power_w", "energy_j", "power_probability", "time_probability", "energy_probability"}) {
    if (mode.contains(name))
      text += std::exchange(separator, ", ") + std::string(name) + " " + number(mode[name]);
  }
  return text;
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
  const auto add = [&](const char* name, double limit, const char* unit) {
    if (std::isfinite(limit))
      text << (text.str().empty() ? "" : " and ") << name << " <= " << limit << ' ' << unit;
  };
  add("power", budget.max_power_w, "W");
  add("time", budget.max_time_ms, "ms");
  add("energy", budget.max_energy_j, "J");
  if (text.str().empty()) return "no limit";
  if (budget.confidence != 0.5) text << " at confidence " << budget.confidence;
  return text.str();
}

// The mode that comes nearest to a budget that nothing fits.
int report_no_fit(const Options& options, const learners::Model& model, const learners::PowerBudget& budget,
                  Json result) {
  const auto nearest = learners::least_violation(model.prediction, budget);
  result["least_violation"] = mode_json(model, nearest.row, budget);
  result["least_violation"]["over_percent"] = 100 * (nearest.excess - 1);
  if (options.common.json) std::cout << result << '\n';
  std::cerr << "fewwatt optimize: no mode fits " << describe(budget) << "; the least violation, "
            << number(result["least_violation"]["over_percent"]) << " % over"
            << (budget.confidence != 0.5 ? " at this confidence" : "") << ", has "
            << summary(result["least_violation"]) << '\n';
  return program::kNoModeFits;
}

int run(const Options& options) {
  auto model = learners::read_model(options.model);
  model.prediction = model.with_measurements();
  Json result{{"device", model.device},
              {"workload", model.workload},
              {"learner", model.learner},
              {"objective", options.objective_name},
              {"time_of", to_string(model.attributes.time_of)},
              {"confidence", options.budget.confidence}};
  const std::string title = model.device + "/" + model.workload + " (" + model.learner + "), ";
  try {
    const auto budget = budget_for(options, model);
    if (budget.limits_power()) result["max_power_w"] = budget.max_power_w;
    if (budget.limits_time()) result["max_time_ms"] = budget.max_time_ms;
    if (budget.limits_energy()) result["max_energy_j"] = budget.max_energy_j;
    if (options.pareto) {
      const auto rows = learners::pareto(model.prediction, budget);
      if (rows.empty()) return report_no_fit(options, model, budget, result);
      for (const std::size_t row : rows) result["front"].push_back(mode_json(model, row, budget));
      if (options.common.json) {
        std::cout << result << '\n';
      } else {
        std::cout << title << "front of time and power, " << describe(budget) << ":\n";
        print_front(result["front"]);
      }
      return program::kDone;
    }
    auto objective = options.objective;
    if (objective.eta < 1) {
      objective.max_power_w = extreme(model, tasks::kPowerW, true);
      result["eta"] = objective.eta;
      result["zeus_max_power_w"] = objective.max_power_w;
    }
    const auto rows = learners::best(model.prediction, objective, budget, 2);
    if (rows.empty()) return report_no_fit(options, model, budget, result);
    const Json chosen = mode_json(model, rows[0], budget);
    const Json runner_up = rows.size() > 1 ? mode_json(model, rows[1], budget) : Json(nullptr);
    if (options.common.json) {
      result.update(chosen);
      result["runner_up"] = runner_up;
      std::cout << result << '\n';
    } else {
      std::cout << title << "least " << options.objective_name << ", " << describe(budget) << ":\n";
      print_mode(model, chosen);
      std::cout << "  runner-up: " << (runner_up.is_null() ? "no other mode fits" : summary(runner_up))
                << '\n';
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
