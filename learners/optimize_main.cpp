// fewwatt optimize --model MODEL.h5 --max-power-w 30 [--objective time|energy|power|edp|zeus] [--max-time-ms T]
//                  [--confidence 0.9] [--pareto]
// fewwatt optimize --model A.h5 --share 0.5 --model B.h5 --share 0.5 [--schedule] [--units N --switch-s S]
//
// Looks the best mode within the limits up in a model's table, or the modes of workloads that take turns on one board. Of a
// measured mode it takes what was measured. Exit code 3 when no mode fits.

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <utility>

#include "hw/json_text.hpp"
#include "hw/program.hpp"
#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"
#ifdef FEWWATT_PAGMO
#include "learners/optimize/evolve.hpp"
#endif
#include "learners/optimize/schedule.hpp"
#include "learners/optimize/together.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

struct Options {
  program::CommonOptions common;
  std::vector<std::vector<std::string>> models;  // files: per workload, the ways of running it
  std::vector<double> shares;                    // one per workload, summing to 1
  std::string objective_name;
  learners::Objective objective;
  learners::PowerBudget budget;
  std::optional<double>
      confidence;  // as asked for; nullopt = the usual one, where models know their uncertainty
  std::optional<double> max_epoch_s, max_slowdown;
  bool pareto = false;
  bool schedule = false;
  learners::Switching switching;
  std::optional<learners::PairKnowledge> together;
  bool evolve = false;
  program::Count max_modes{hw::kMostModes};

  bool one_table() const { return together || (models.size() == 1 && models[0].size() == 1); }
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  double eta = 0.5, switch_s = 0, slow_switch_s = 0;
  std::vector<std::string> models;
  std::vector<double> shares;
  program::Manual manual;
  manual.verb = "optimize";
  manual.synopsis =
      "--model MODEL.h5 [--max-power-w W] [--max-time-ms T] [--objective NAME] [--confidence P]\n"
      "       fewwatt optimize --model A.h5 --share 0.5 --model B.h5 --share 0.5 [--schedule] ...";
  manual.about =
      "Prints the mode with the least time, energy, energy-delay product or power within the "
      "limits;\n"
      "with --pareto all modes within the limits that no other one beats in both time and power.\n"
      "A measured mode is judged by what was measured, every other one by its prediction.\n"
      "Several workloads take turns: of all units of work (minibatches, epochs or runs, as the models "
      "count)\n"
      "each does its share. They get one mode, or with --schedule one each; the power limit holds in every "
      "turn,\n"
      "limits on time and energy for the average unit of work, and so does the objective.\n"
      "Exit code 3 when no mode is within the limits; the one of least violation is named.";
  auto add = manual.options.add_options();
  add("model", po::value(&models)->required()->value_name("FILE[,FILE..]"),
      "model, written by fewwatt adapt; one per workload. Several files: ways of running the same workload "
      "that modes do not set, as batch sizes or worker counts");
  add("share", po::value(&shares)->value_name("S"),
      "share of a workload in the units of work, one per --model; equal ones if not given");
  add("max-power-w", po::value(&options.budget.max_power_w)->value_name("W"), "power budget in watts");
  add("max-time-ms", po::value(&options.budget.max_time_ms)->value_name("MS"), "time limit in milliseconds");
  add("max-energy-j", po::value(&options.budget.max_energy_j)->value_name("J"),
      "limit on time x power, in joules");
  add("max-epoch-s", po::value<double>()->value_name("S"), "deadline of an epoch, in seconds");
  add("max-slowdown", po::value<double>()->value_name("F"),
      "time is at most F times that of the fastest of all modes, whatever it draws; 1.1 = a tenth slower");
  add("objective", po::value(&options.objective_name)->default_value("time")->value_name("NAME"),
      "what to minimise: time, energy, power, edp (energy x time), ed2p to ed9p (energy x time^n), or zeus "
      "(eta x energy + (1 - eta) x time x the most power of any mode)");
  add("eta", po::value(&eta)->value_name("E"),
      "weight of energy in --objective zeus, 0 to 1; 0.5 if not given");
  add("confidence", po::value<double>()->value_name("P"),
      "least probability that a limit holds, 0.9 if not given; 0.5 = the prediction itself decides, as it "
      "does "
      "where a model does not know how uncertain it is");
  add("schedule", po::bool_switch(&options.schedule), "a mode for each workload instead of one for all");
  add("together", po::value<std::string>()->value_name("predicted|measured"),
      "two workloads run at the same time, until both have done their shares: predicted from what each takes "
      "alone, or each was measured while the other ran");
  add("evolve", po::bool_switch(&options.evolve),
      "search by evolution (pagmo2) instead of exactly, for more than four workloads; --seed changes the "
      "search");
  add("units", po::value(&options.switching.units)->value_name("N"),
      "units of work in a round, in which each workload has one turn");
  add("switch-s", po::value(&switch_s)->value_name("S"), "seconds that it takes to change the mode");
  add("slow-switch-s", po::value(&slow_switch_s)->value_name("S"),
      "the same where the number of cores or the memory clock changes; as --switch-s if not given");
  add("max-modes", po::value(&options.max_modes)->default_value(options.max_modes)->value_name("N"),
      "most modes of a device");
  add("pareto", po::bool_switch(&options.pareto), "print the front of time and power instead of one mode");
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  if (options.pareto && !(*values)["objective"].defaulted())
    throw program::UsageError("--pareto minimises time and power: give no --objective");
  if (values->count("confidence") > 0) options.confidence = (*values)["confidence"].as<double>();
  options.budget.confidence = options.confidence.value_or(learners::kUsualConfidence);
  if (const auto error = options.budget.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
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
  for (const auto& files : models) options.models.push_back(split(files, ','));
  if (shares.empty()) shares.assign(models.size(), 1.0 / static_cast<double>(models.size()));
  if (shares.size() != models.size())
    throw program::UsageError("expected one --share per --model, found " + std::to_string(shares.size()) +
                              " for " + std::to_string(models.size()));
  try {
    options.shares = learners::normalised_shares(shares);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(std::string("--share: ") + e.what());
  }
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  const bool has_negative = std::any_of(shares.begin(), shares.end(), [](double share) { return share < 0; });
  if ((has_negative || std::abs(total - 1) > 1e-6) && !options.common.quiet) {
    std::cerr << "fewwatt optimize: ";
    if (has_negative)
      std::cerr << "a negative share is none";
    else
      std::cerr << "shares sum to " << total;
    std::cerr << "; taken as";
    for (const double share : options.shares) std::cerr << ' ' << share;
    std::cerr << '\n';
  }
  for (std::size_t w = options.shares.size(); w-- > 0;) {
    if (options.shares[w] > 0) continue;
    if (!options.common.quiet) std::cerr << "fewwatt optimize: " << models[w] << " has no share: left out\n";
    options.models.erase(options.models.begin() + static_cast<std::ptrdiff_t>(w));
    options.shares.erase(options.shares.begin() + static_cast<std::ptrdiff_t>(w));
  }
  if (values->count("together") > 0) {
    const auto how = (*values)["together"].as<std::string>();
    if (how != "predicted" && how != "measured")
      throw program::UsageError("--together must be predicted or measured, found " + how);
    options.together =
        how == "predicted" ? learners::PairKnowledge::predicted : learners::PairKnowledge::measured;
    if (options.models.size() != 2 || options.models[0].size() != 1 || options.models[1].size() != 1)
      throw program::UsageError("--together is for two workloads, of one model each");
  }
  if (values->count("slow-switch-s") == 0) slow_switch_s = switch_s;
  program::require(switch_s >= 0 && std::isfinite(switch_s), "--switch-s must be >= 0");
  program::require(slow_switch_s >= switch_s && std::isfinite(slow_switch_s),
                   "--slow-switch-s must be at least --switch-s");
  options.switching.fast_ms = 1000 * switch_s;
  options.switching.slow_ms = 1000 * slow_switch_s;
  if (const auto error = options.switching.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  if (slow_switch_s > 0 && values->count("units") == 0)
    throw program::UsageError("--switch-s needs --units: how much work lies between the changes");
#ifndef FEWWATT_PAGMO
  if (options.evolve) throw program::UsageError("--evolve: this program was built without pagmo2");
#endif
  if (!options.one_table() && !options.evolve && options.models.size() > learners::kMaxExactTurns)
    throw program::UsageError("more than " + std::to_string(learners::kMaxExactTurns) +
                              " workloads cannot be searched exactly; --evolve can");
  if (options.one_table()) {
    for (const char* name : {"schedule", "evolve", "units", "switch-s", "slow-switch-s"})
      if (values->count(name) > 0 && !(*values)[name].defaulted())
        throw program::UsageError(std::string("--") + name + " is for workloads that take turns");
  } else {
    if (options.pareto) throw program::UsageError("--pareto is for one workload");
    if (options.max_epoch_s)
      throw program::UsageError(
          "--max-epoch-s is for one workload; --max-time-ms limits the average unit of work");
    if (!options.objective.needs_time())
      throw program::UsageError("--objective power is for one workload: idling between turns would have it");
  }
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
  if (options.max_slowdown)
    budget.max_predicted_ms = *options.max_slowdown * extreme(model, tasks::kTimeMs, false);
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
    for (const auto& [doubted, target] : model.doubted)
      if (doubted == mode)
        result["measured"]["left_out"].push_back(target == tasks::kTimeMs ? "time_ms" : "power_w");
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

void print_mode(const Json& chosen, const std::string& unit) {
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << "  " << std::left << std::setw(18) << name << value << '\n';
  };
  for (const auto& [name, value] : chosen["mode"].items()) line(name, number(value));
  for (const auto& [name, value] : chosen.items()) {
    if (!value.is_number()) continue;
    line(name, number(value) + (name == "time_ms" ? " per " + unit : ""));
  }
  if (chosen.contains("each_time_ms"))
    line("each_time_ms", number(chosen["each_time_ms"][0]) + ", " + number(chosen["each_time_ms"][1]));
  std::string measured;
  for (const auto& [name, value] : chosen["measured"].items())
    if (value.is_number()) measured += (measured.empty() ? "" : ", ") + name + " " + number(value);
  if (chosen["measured"].contains("left_out"))
    for (const auto& name : chosen["measured"]["left_out"])
      measured += "; " + name.get<std::string>() + " is doubted and left out";
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
  const auto width = [](const std::string& name) {
    return std::setw(std::max(13, static_cast<int>(name.size()) + 2));
  };
  for (const auto& [name, value] : front[0]["mode"].items()) std::cout << width(name) << name;
  for (const auto& [name, value] : front[0].items()) {
    if (value.is_number()) std::cout << width(name) << name;
  }
  std::cout << "  measured\n";
  for (const auto& row : front) {
    for (const auto& [name, value] : row["mode"].items()) std::cout << width(name) << number(value);
    for (const auto& [name, value] : row.items()) {
      if (value.is_number()) std::cout << width(name) << number(value);
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
  if (!text.str().empty() && budget.confidence != 0.5) text << " at confidence " << budget.confidence;
  add("predicted time", budget.max_predicted_ms, "ms");
  return text.str().empty() ? "no limit" : text.str();
}

// What was asked for, in numbers.
void add_question(Json& result, const learners::PowerBudget& budget, const learners::Objective& objective) {
  if (budget.limits_power()) result["max_power_w"] = budget.max_power_w;
  if (budget.limits_time() || std::isfinite(budget.max_predicted_ms))
    result["max_time_ms"] = std::min(budget.max_time_ms, budget.max_predicted_ms);
  if (budget.limits_energy()) result["max_energy_j"] = budget.max_energy_j;
  if (objective.eta < 1) {
    result["eta"] = objective.eta;
    result["zeus_max_power_w"] = objective.max_power_w;
  }
}

// The mode that comes nearest to a budget that nothing fits.
int report_no_fit(const Options& options, const learners::Model& model, const learners::PowerBudget& budget,
                  Json result) {
  const auto nearest = learners::least_violation(model.prediction, budget);
  result["least_violation"] = mode_json(model, nearest.row, budget);
  result["least_violation"]["over_percent"] = 100 * (nearest.excess - 1);
  if (options.common.json) std::cout << hw::json_text(result) << '\n';
  std::cerr << "fewwatt optimize: no mode fits " << describe(budget) << "; the least violation, "
            << number(result["least_violation"]["over_percent"]) << " % over"
            << (budget.confidence != 0.5 ? " at this confidence" : "") << ", has "
            << summary(result["least_violation"]) << '\n';
  return program::kNoModeFits;
}

// The best mode of one table, or its front. The table may be that of a pair.
int run_one(const Options& options, const learners::Model& model, const learners::Pair* pair = nullptr) {
  Json result{{"device", model.device},
              {"workload", model.workload},
              {"learner", model.learner},
              {"objective", options.objective_name},
              {"time_of", to_string(model.attributes.time_of)},
              {"confidence", options.budget.confidence}};
  const std::string title = model.device + "/" + model.workload + " (" + model.learner + "), ";
  const auto budget = budget_for(options, model);
  auto objective = options.objective;
  if (objective.eta < 1) objective.max_power_w = extreme(model, tasks::kPowerW, true);
  add_question(result, budget, objective);
  if (options.pareto) {
    const auto rows = learners::pareto(model.prediction, budget);
    if (rows.empty()) return report_no_fit(options, model, budget, result);
    for (const std::size_t row : rows) result["front"].push_back(mode_json(model, row, budget));
    if (options.common.json) {
      std::cout << hw::json_text(result) << '\n';
    } else {
      std::cout << title << "front of time and power, " << describe(budget) << ":\n";
      print_front(result["front"]);
    }
    return program::kDone;
  }
  const auto rows = learners::best(model.prediction, objective, budget, 2);
  if (rows.empty()) return report_no_fit(options, model, budget, result);
  Json chosen = mode_json(model, rows[0], budget);
  for (int i = 0; pair != nullptr && i < 2; ++i) {
    chosen["each_time_ms"].push_back(pair->each_ms(static_cast<Eigen::Index>(rows[0]), i));
  }
  const Json runner_up = rows.size() > 1 ? mode_json(model, rows[1], budget) : Json(nullptr);
  if (options.common.json) {
    result.update(chosen);
    result["runner_up"] = runner_up;
    std::cout << hw::json_text(result) << '\n';
  } else {
    std::cout << title << "least " << options.objective_name << ", " << describe(budget) << ":\n";
    print_mode(chosen, pair != nullptr ? "unit of work" : std::string(to_string(model.attributes.time_of)));
    std::cout << "  runner-up: " << (runner_up.is_null() ? "no other mode fits" : summary(runner_up)) << '\n';
  }
  return program::kDone;
}

// ---- Several workloads ----

// Options as a problem with one setting for all or one for each.
learners::TurnsProblem problem_for(const Options& options,
                                   const std::vector<std::vector<learners::Model>>& models,
                                   bool one_setting) {
  std::vector<learners::Turn> turns;
  auto objective = options.objective;
  for (std::size_t w = 0; w < models.size(); ++w) {
    turns.push_back({{}, options.shares[w]});
    for (const auto& model : models[w]) {
      turns[w].models.push_back(&model);
      if (objective.eta < 1)
        objective.max_power_w = std::max(objective.max_power_w, extreme(model, tasks::kPowerW, true));
    }
  }
  auto budget = options.budget;
  if (options.max_slowdown) {  // of each workload in its fastest mode, with nothing between turns
    const auto all = learners::turns_problem(turns, learners::Objective::time, {}, {}, false);
    double fastest_ms = 0;
    for (std::size_t w = 0; w < turns.size(); ++w) {
      double least_ms = INFINITY;
      for (const auto& option : all.options[w]) least_ms = std::min(least_ms, option.time_ms);
      fastest_ms += all.shares[w] * least_ms;
    }
    budget.max_predicted_ms = *options.max_slowdown * fastest_ms;
  }
  return learners::turns_problem(turns, objective, budget, options.switching, one_setting);
}

learners::Picks solve([[maybe_unused]] const Options& options, const learners::TurnsProblem& problem) {
#ifdef FEWWATT_PAGMO
  if (options.evolve) return learners::evolve_turns(problem, {.seed = options.common.seed});
#endif
  return learners::best_turns(problem);
}

Json totals_json(const learners::Totals& totals, const learners::TurnsProblem& problem) {
  Json result{{"time_ms", totals.time_ms}};
  add_known(result, "energy_j", totals.energy_j);
  add_known(result, "mean_power_w", 1000 * totals.energy_j / totals.time_ms);
  if (std::isfinite(problem.max_time_ms)) result["time_bound_ms"] = totals.bound_time_ms;
  if (std::isfinite(problem.max_energy_j)) result["energy_bound_j"] = totals.bound_energy_j;
  result["fast_switches"] = totals.fast_switches;
  result["slow_switches"] = totals.slow_switches;
  return result;
}

// "time_ms 30.1, energy_j 0.82, mean_power_w 27.2, slow_switches 2"
std::string totals_line(const Json& totals) {
  std::string text = "time_ms " + number(totals["time_ms"]);
  for (const char* name : {"energy_j", "mean_power_w", "fast_switches", "slow_switches"})
    if (totals.contains(name) && totals[name] != 0)
      text += ", " + std::string(name) + " " + number(totals[name]);
  return text;
}

int run_turns(const Options& options, const std::vector<std::vector<learners::Model>>& models) {
  const auto problem = problem_for(options, models, !options.schedule);
  const auto picks = solve(options, problem);
  const auto totals = learners::totals_of(problem, picks);
  auto budget = options.budget;
  budget.max_time_ms = problem.max_time_ms;
  Json result{{"device", models[0][0].device},
              {"objective", options.objective_name},
              {"confidence", options.budget.confidence},
              {"modes", options.schedule ? "one each" : "one for all"},
              {"search", options.evolve ? "evolution" : "exact"}};
  add_question(result, budget, problem.objective);
  const learners::PowerBudget of_a_turn{.max_power_w = budget.max_power_w, .confidence = budget.confidence};
  for (std::size_t w = 0; w < picks.size(); ++w) {
    const auto& option = problem.options[w][picks[w]];
    const auto& model = models[w][option.model];
    Json turn{{"workload", model.workload},
              {"learner", model.learner},
              {"model", options.models[w][option.model]},
              {"share", options.shares[w]}};
    turn.update(mode_json(model, option.row, of_a_turn));
    result["workloads"].push_back(turn);
  }
  result.update(totals_json(totals, problem));
  if (options.schedule) {  // what the schedule gains
    result["one_for_all"] = nullptr;
    try {
      const auto shared = problem_for(options, models, true);
      const auto in_one = learners::totals_of(shared, solve(options, shared));
      if (in_one.fits()) result["one_for_all"] = totals_json(in_one, shared);
    } catch (const std::invalid_argument&) {  // the models have no mode in common
    }
  }
  if (!totals.fits()) result["over_percent"] = 100 * (totals.excess - 1);
  if (options.common.json) std::cout << hw::json_text(result) << '\n';
  std::ostringstream turns;
  for (const auto& turn : result["workloads"])
    turns << "  " << turn["workload"].get<std::string>() << " (" << turn["learner"].get<std::string>()
          << "), share " << number(turn["share"]) << ", " << summary(turn) << '\n';
  if (!totals.fits()) {
    std::cerr << "fewwatt optimize: no " << (options.schedule ? "schedule" : "mode") << " fits "
              << describe(budget) << "; the least violation, " << number(result["over_percent"]) << " % over"
              << (budget.confidence != 0.5 ? " at this confidence" : "") << ", has time_ms "
              << number(result["time_ms"]) << " in these modes:\n"
              << turns.str();
    return program::kNoModeFits;
  }
  if (options.common.json) return program::kDone;
  std::cout << models[0][0].device << ", "
            << (models.size() == 1 ? "one workload" : std::to_string(models.size()) + " workloads in turns")
            << ", " << (options.schedule ? "a mode each" : "one mode") << ", least " << options.objective_name
            << ", " << describe(budget) << ":\n"
            << turns.str() << "  per unit of work: " << totals_line(result) << '\n';
  if (options.schedule)
    std::cout << "  in one mode:      "
              << (result["one_for_all"].is_null() ? "no mode fits" : totals_line(result["one_for_all"]))
              << '\n';
  return program::kDone;
}

int run(Options options) {
  std::vector<std::vector<learners::Model>> models;
  std::string names, unsure;  // unsure: of those that do not know how sure they are
  for (const auto& files : options.models) {
    models.emplace_back();
    for (const auto& file : files) {
      models.back().push_back(program::during("reading " + file, [&] {
        return learners::read_model(file, {.max_modes = options.max_modes.value});
      }));
      auto& model = models.back().back();
      model.prediction = model.with_measurements();
      const auto name = file + " (" + model.learner + ")";
      names += (names.empty() ? "" : ", ") + name;
      if (model.prediction.stddev.size() == 0) unsure += (unsure.empty() ? "" : ", ") + name;
    }
  }
  // Without a limit there is nothing to be sure of, and a learner that does not know how sure it is decides by what it predicts.
  if (!options.confidence && !unsure.empty()) {
    options.budget.confidence = 0.5;
    const bool limited = options.budget.limits_time() || options.budget.limits_power() ||
                         options.budget.limits_energy() || options.max_epoch_s;
    if (limited && !options.common.quiet)
      std::cerr << "fewwatt optimize: " << unsure
                << " gives no uncertainty: all limits are compared with what is "
                << "predicted, which breaks them about as often as not\n";
  }
  try {
    if (options.together) {
      const auto pair = learners::run_together(models[0][0], models[1][0],
                                               {options.shares[0], options.shares[1]}, *options.together);
      return run_one(options, pair.model, &pair);
    }
    return options.one_table() ? run_one(options, models[0][0]) : run_turns(options, models);
  } catch (
      const std::invalid_argument& e) {  // the models do not say what the limits need, or do not go together
    throw datasets::DataError(names + ": " + e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("optimize", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
