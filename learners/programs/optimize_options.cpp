#include "learners/programs/optimize_options.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "learners/programs/shared_options.hpp"

namespace fewwatt::optimize {
namespace {

namespace po = program::po;

// What is given and still has to be looked at together.
struct Given {
  double eta = 0.5, switch_s = 0, slow_switch_s = 0;
  std::vector<std::string> models;
  std::vector<double> shares;
};

void take_objective_and_limits(const po::variables_map& values, const Given& given, Options& options) {
  program::refuse_without_effect(
      values, {{{"objective"}, !options.pareto, "--pareto minimises both time and power"},
               {{"eta"}, options.objective_name == "zeus", "it goes with --objective zeus"}});
  if (values.count("confidence") > 0) options.confidence = values["confidence"].as<double>();
  options.budget.confidence = options.confidence.value_or(learners::kUsualConfidence);
  if (const auto error = options.budget.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  const auto at_least = [&](const char* name, double least, bool itself) -> std::optional<double> {
    if (values.count(name) == 0) return std::nullopt;
    const double value = values[name].as<double>();
    if (std::isfinite(value) && (value > least || (itself && value == least))) return value;
    std::ostringstream message;
    message << "--" << name << " must be " << (itself ? ">= " : "> ") << least << ", found " << value;
    throw program::UsageError(message.str());
  };
  options.max_epoch_s = at_least("max-epoch-s", 0, false);
  options.max_slowdown = at_least("max-slowdown", 1, true);
  options.objective = program::as_usage([&] { return learners::parse_objective(options.objective_name); });
  program::require(given.eta >= 0 && given.eta <= 1,
                   "--eta must be in [0, 1], found " + hw::number_text(given.eta));
  if (options.objective_name == "zeus") options.objective.eta = given.eta;
}

// Says what is made of shares that do not sum to 1.
void tell_shares(const Options& options, const std::vector<double>& shares) {
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  const bool has_negative = std::any_of(shares.begin(), shares.end(), [](double share) { return share < 0; });
  if ((!has_negative && std::abs(total - 1) <= 1e-6) || options.common.quiet) return;
  std::cerr << "fewwatt optimize: ";
  if (has_negative)
    std::cerr << "a negative share counts as 0";
  else
    std::cerr << "the shares sum to " << total << ", not 1";
  std::cerr << "; used instead:";
  for (const double share : options.shares) std::cerr << ' ' << share;
  std::cerr << '\n';
}

// Workloads without a share are left out.
void take_workloads(const Given& given, Options& options) {
  for (const auto& files : given.models) {
    options.models.push_back(program::list_in("model", files));
  }
  auto shares = given.shares;
  if (shares.empty()) shares.assign(given.models.size(), 1.0 / static_cast<double>(given.models.size()));
  program::require(shares.size() == given.models.size(), "expected one --share per --model, found " +
                                                             std::to_string(shares.size()) + " for " +
                                                             std::to_string(given.models.size()));
  program::require(given.shares.empty() || shares.size() > 1, "--share: one workload has all units of work");
  try {
    options.shares = learners::normalised_shares(shares);
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(std::string("--share: ") + e.what());
  }
  tell_shares(options, shares);
  for (std::size_t w = options.shares.size(); w-- > 0;) {
    if (options.shares[w] > 0) continue;
    if (!options.common.quiet)
      std::cerr << "fewwatt optimize: " << given.models[w] << " has no share and is left out\n";
    options.models.erase(options.models.begin() + static_cast<std::ptrdiff_t>(w));
    options.shares.erase(options.shares.begin() + static_cast<std::ptrdiff_t>(w));
  }
}

void take_together(const std::string& how, Options& options) {
  program::require(how == "predicted" || how == "measured",
                   "--together must be predicted or measured, found " + how);
  options.together =
      how == "predicted" ? learners::PairKnowledge::predicted : learners::PairKnowledge::measured;
  program::require(
      options.models.size() == 2 && options.models[0].size() == 1 && options.models[1].size() == 1,
      "--together is for two workloads, of one model each");
}

void take_switching(const po::variables_map& values, const Given& given, Options& options) {
  const double slow_s = values.count("slow-switch-s") > 0 ? given.slow_switch_s : given.switch_s;
  program::require(given.switch_s >= 0 && std::isfinite(given.switch_s), "--switch-s must be >= 0");
  program::require(slow_s >= given.switch_s && std::isfinite(slow_s),
                   "--slow-switch-s must be at least --switch-s");
  options.switching.fast_ms = 1000 * given.switch_s;
  options.switching.slow_ms = 1000 * slow_s;
  if (const auto error = options.switching.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(slow_s == 0 || values.count("units") > 0,
                   "--switch-s needs --units: how much work lies between the changes");
  program::refuse_without_effect(
      values,
      {{{"units"}, slow_s > 0, "it goes with --switch-s or --slow-switch-s: changes take no time without"}});
}

// Options that do not go with one table, or with several workloads.
void check_kind(const po::variables_map& values, const Options& options) {
#ifndef FEWWATT_PAGMO
  program::require(!options.evolve, "--evolve: this program was built without pagmo2");
#endif
  program::require(options.one_table() || options.evolve || options.models.size() <= learners::kMaxExactTurns,
                   "more than " + std::to_string(learners::kMaxExactTurns) +
                       " workloads cannot be searched exactly; --evolve can");
  const bool turns = !options.one_table();
  program::refuse_without_effect(
      values,
      {{{"schedule", "evolve", "units", "switch-s", "slow-switch-s"},
        turns,
        "it is for workloads that take turns"},
       {{"units", "switch-s", "slow-switch-s"},
        options.schedule,
        "without --schedule the mode never changes"},
       {{"pareto"}, !turns, "it is for one workload"},
       {{"max-epoch-s"}, !turns, "it is for one workload; --max-time-ms limits the average unit of work"}});
  program::require(!turns || options.objective.needs_time(),
                   "--objective power is for one workload: with several, idling would draw the least power");
  program::require(options.pareto || options.objective.needs_time() || options.budget.limits_time() ||
                       options.max_epoch_s || options.max_slowdown,
                   "--objective power needs a limit on time: --max-time-ms, --max-epoch-s or --max-slowdown");
}

}  // namespace

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  Given given;
  program::Manual manual;
  manual.verb = "optimize";
  manual.synopsis =
      "--model MODEL.h5 [--max-power-w W] [--max-time-ms T] [--objective NAME] [--confidence P]\n"
      "       fewwatt optimize --model A.h5 --share 0.5 --model B.h5 --share 0.5 [--schedule] ...";
  manual.about =
      "Prints the mode with the least time, energy, energy-delay product or power within the limits; with\n"
      "--pareto all modes within the limits that no other one beats in both time and power. A measured\n"
      "mode is judged by what was measured, every other one by its prediction.\n"
      "Several workloads take turns: of all units of work (minibatches, epochs or runs, as the models\n"
      "count) each does its share. They get one mode, or with --schedule one each; the power limit holds\n"
      "in every turn, limits on time and energy for the average unit of work, and so does the objective.\n"
      "Exit code 3 when no mode is within the limits; the one of least violation is named.";
  program::add_limit_options(manual, options.budget);
  auto add = manual.options.add_options();
  add("model", po::value(&given.models)->required()->value_name("FILE[,FILE..]"),
      "model, written by fewwatt adapt; one per workload. Several files are ways of running the same "
      "workload that a mode does not set, such as batch sizes or worker counts");
  add("share", po::value(&given.shares)->value_name("S"),
      "share of a workload in all units of work, one per --model; equal shares if not given");
  add("max-epoch-s", po::value<double>()->value_name("S"), "deadline of an epoch, in seconds");
  add("max-slowdown", po::value<double>()->value_name("F"),
      "greatest time, as a multiple of the predicted time of the fastest mode; 1.1 = a tenth slower");
  add("objective", po::value(&options.objective_name)->default_value("time")->value_name("NAME"),
      "what to minimise: time, energy, power, edp (energy x time), ed2p to ed9p (energy x time^n), or zeus "
      "(eta x energy + (1 - eta) x time x the most power of any mode)");
  add("eta", po::value(&given.eta)->value_name("E"),
      "weight of energy in --objective zeus, 0 to 1; 0.5 if not given");
  add("confidence", po::value<double>()->value_name("P"),
      "probability with which a limit must hold, 0.9 if not given; at 0.5 the prediction itself decides, as "
      "it always does for a model without uncertainty");
  add("schedule", po::bool_switch(&options.schedule), "find a mode for each workload instead of one for all");
  add("together", po::value<std::string>()->value_name("predicted|measured"),
      "two workloads run at the same time, until both have done their shares. predicted: from models of each "
      "alone; measured: each model was measured while the other workload ran");
  add("evolve", po::bool_switch(&options.evolve),
      "search by evolution (pagmo2) instead of exactly: for more than four workloads; depends on --seed");
  add("units", po::value(&options.switching.units)->value_name("N"),
      "units of work in one round, in which each workload has one turn");
  add("switch-s", po::value(&given.switch_s)->value_name("S"), "seconds that a change of the mode takes");
  add("slow-switch-s", po::value(&given.slow_switch_s)->value_name("S"),
      "the same where the number of cores or the memory clock changes; as --switch-s if not given");
  add("max-modes", po::value(&options.max_modes)->default_value(options.max_modes)->value_name("N"),
      "greatest number of modes of a device");
  add("pareto", po::bool_switch(&options.pareto),
      "print all modes within the limits that no other one beats in both time and power");
  manual.choices["objective"] = {"time", "energy", "power", "edp", "ed2p", "ed3p", "zeus"};
  manual.choices["together"] = {"predicted", "measured"};
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  take_objective_and_limits(*values, given, options);
  take_workloads(given, options);
  if (values->count("together") > 0) take_together((*values)["together"].as<std::string>(), options);
  take_switching(*values, given, options);
  check_kind(*values, options);
  return options;
}

}  // namespace fewwatt::optimize
