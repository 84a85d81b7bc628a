// fewwatt optimize --model MODEL.h5 --max-power-w 30 [--objective time|energy|power|edp|zeus] [--max-time-ms T]
//                  [--confidence 0.9] [--pareto]
// fewwatt optimize --model A.h5 --share 0.5 --model B.h5 --share 0.5 [--schedule] [--units N --switch-s S]
//
// Looks the best mode within the limits up in a model's table, or the modes of workloads that take turns on one board. Of a
// measured mode it takes what was measured. Exit code 3 when no mode fits.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "hw/readable.hpp"
#include "hw/text.hpp"
#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"
#ifdef FEWWATT_PAGMO
#include "learners/optimize/evolve.hpp"
#endif
#include "learners/optimize/schedule.hpp"
#include "learners/optimize/together.hpp"
#include "learners/programs/optimize_modes.hpp"
#include "learners/programs/optimize_options.hpp"
#include "learners/programs/shared_options.hpp"

namespace {

using namespace fewwatt;
using namespace fewwatt::optimize;

// The largest or least known value of a target.
double extreme(const learners::Model& model, tasks::Target target, bool largest) {
  const Eigen::ArrayXd column = model.prediction.median().col(target);
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

// The mode that comes nearest to a budget that nothing fits.
int report_no_fit(const Options& options, const learners::Model& model, const learners::PowerBudget& budget,
                  Json result) {
  const auto nearest = learners::least_violation(model.prediction, budget);
  result["least_violation"] = mode_json(model, nearest.row, budget);
  result["least_violation"]["over_percent"] = 100 * (nearest.excess - 1);
  if (options.common.json) std::cout << hw::json_text(result) << '\n';
  std::cerr << "fewwatt optimize: no mode fits " << describe(budget) << "; the nearest one is "
            << hw::readable_number(result["least_violation"]["over_percent"]) << " % over"
            << (decides_by_confidence(budget) ? " at this confidence" : "") << ": "
            << summary(result["least_violation"], program::unit_of(model.attributes.time_of), budget) << '\n';
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
      print_front(result["front"], budget);
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
    const auto unit = pair != nullptr ? "a unit of work" : program::unit_of(model.attributes.time_of);
    print_mode(chosen, model, unit, budget);
    std::cout << "  runner-up: "
              << (runner_up.is_null() ? "no other mode fits" : summary(runner_up, unit, budget)) << '\n';
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

// "30.1 ms, 820 mJ, 27.2 W on average, 2 slow changes of the mode a round"
std::string totals_line(const Json& totals) {
  std::string text = hw::readable_time(totals["time_ms"]);
  if (totals.contains("energy_j")) text += ", " + hw::readable_energy(totals["energy_j"]);
  if (totals.contains("mean_power_w"))
    text += ", " + hw::readable_power(totals["mean_power_w"]) + " on average";
  for (const auto& [name, kind] :
       {std::pair("fast_switches", "fast change"), {"slow_switches", "slow change"}})
    if (totals[name] != 0)
      text += ", " + hw::counted(totals[name].get<std::size_t>(), kind) + " of the mode a round";
  return text;
}

int run_turns(const Options& options, const std::vector<std::vector<learners::Model>>& models) {
  const auto problem = problem_for(options, models, !options.schedule);
  const auto picks = solve(options, problem);
  const auto totals = learners::totals_of(problem, picks);
  auto budget = options.budget;
  // Without another limit on a total, --max-slowdown is compared with medians: see turns_problem().
  const bool bounds = budget.limits_time() || budget.limits_energy();
  (bounds ? budget.max_time_ms : budget.max_predicted_ms) = problem.max_time_ms;
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
  for (std::size_t w = 0; w < models.size(); ++w) {
    const auto& turn = result["workloads"][w];
    turns << "  " << turn["workload"].get<std::string>() << " (" << turn["learner"].get<std::string>()
          << "), share " << hw::readable_number(turn["share"]) << ", "
          << summary(turn, program::unit_of(models[w][0].attributes.time_of), of_a_turn) << '\n';
  }
  if (!totals.fits()) {
    std::cerr << "fewwatt optimize: no " << (options.schedule ? "schedule" : "mode") << " fits "
              << describe(budget) << "; the nearest one is " << hw::readable_number(result["over_percent"])
              << " % over" << (decides_by_confidence(budget) ? " at this confidence" : "") << ", with "
              << hw::readable_time(result["time_ms"]) << " per unit of work in these modes:\n"
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

// Models of one --model are ways to run one workload. Refuses those of different networks; says which were given for one where they are
// called differently: they may be meant to take turns.
void check_ways(const Options& options, const std::vector<std::vector<learners::Model>>& models) {
  for (std::size_t w = 0; w < models.size(); ++w) {
    const auto& ways = models[w];
    const auto name = [&](std::size_t i) {
      return options.models[w][i] + " (" + hw::printable(ways[i].workload) + ")";
    };
    const std::string turns = "workloads that take turns have a --model each";
    for (std::size_t i = 1; i < ways.size(); ++i) {
      const auto &first = ways[0].attributes.model, &other = ways[i].attributes.model;
      if (!first.empty() && !other.empty() && first != other)
        throw datasets::DataError(name(0) + " and " + name(i) +
                                  ": expected ways to run one workload, found the networks " + first +
                                  " and " + other + "; " + turns);
      if (ways[0].workload != ways[i].workload && !options.common.quiet)
        std::cerr << "fewwatt optimize: " << name(0) << " and " << name(i)
                  << " are taken as ways to run one workload; " << turns << '\n';
    }
  }
}

int run(Options options) {
  std::vector<std::vector<learners::Model>> models;
  std::vector<std::string> names, unsure;  // unsure: of those that do not know how sure they are
  for (const auto& files : options.models) {
    models.emplace_back();
    for (const auto& file : files) {
      models.back().push_back(program::during("reading " + file, [&] {
        return learners::read_model(file, {.max_modes = options.max_modes.value});
      }));
      auto& model = models.back().back();
      model.prediction = model.with_measurements();
      const auto name = file + " (" + model.learner + ")";
      names.push_back(name);
      if (!model.prediction.uncertain()) unsure.push_back(name);
    }
  }
  check_ways(options, models);
  // Without a limit there is nothing to be sure of. A learner without uncertainty decides by its prediction.
  if (!options.confidence && !unsure.empty()) {
    options.budget.confidence = 0.5;
    const bool limited = options.budget.limits_time() || options.budget.limits_power() ||
                         options.budget.limits_energy() || options.max_epoch_s;
    if (limited && !options.common.quiet)
      std::cerr << "fewwatt optimize: " << hw::join(unsure)
                << " gives no uncertainty: limits are compared with the prediction itself, so about half of "
                << "the choices break them\n";
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
    throw datasets::DataError(hw::join(names) + ": " + e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("optimize", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
