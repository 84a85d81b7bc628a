#include "benchmarks/controllers/controller_suite.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "benchmarks/drift.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/table_suite.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/modules.hpp"
#include "hw/simulated_device.hpp"
#include "hw/text.hpp"
#include "learners/control/controllers.hpp"
#include "meta/rl/agents.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using tasks::ModeTask;

constexpr std::string_view kAgent = "agent ", kAlone = "-alone", kAdapted = "-adapted", kShield = "+shield";
constexpr std::string_view kKnowing[] = {"oracle", "presets", "best-measured"};

// The keys that only a simulated suite has.
constexpr std::string_view kOfSimulated[] = {"grid",       "workloads",   "budgets",
                                             "time_noise", "power_noise", "changes",
                                             "boards",     "population",  "train_changes"};

// "ppo" of "ppo-alone", where it ends so.
bool cut_off(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

double number_in(const IniSection& section, const std::string& key, double fallback, double least,
                 double most) {
  const double value = section.number_or(key, fallback);
  if (!(value >= least && value <= most))
    refuse(section, key, "a number in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
  return value;
}

std::size_t count_or(const IniSection& section, const std::string& key, std::size_t fallback) {
  return section.find(key) == nullptr ? fallback : count_of(section, key);
}

std::size_t candidates_or(const IniSection& section, std::size_t fallback) {
  const auto count = count_or(section, "candidates", fallback);
  if (count > tasks::kMostActions)
    refuse(section, "candidates", "at most " + std::to_string(tasks::kMostActions));
  return count;
}

// Numbers of measurements of an episode.
std::vector<std::size_t> read_lengths(const IniSection& head, const std::string& key) {
  auto lengths = parse_key(head, key, parse_counts);
  for (const auto length : lengths)
    if (length < 2 || length > tasks::kMostMeasurements)
      refuse(head, key, "numbers from 2 to " + std::to_string(tasks::kMostMeasurements));
  return lengths;
}

void read_simulation(const IniSection& head, ControllerSuite& suite) {
  for (const char* key : {"mapping", "inputs"})
    if (head.find(key) != nullptr)
      throw DataError(head.where + ": " + key + ": a suite with simulate has none");
  suite.board = head.text("simulate");
  suite.grid = head.text_or("grid", "full");
  parse_key(head, "simulate", [&](const auto&) { hw::find_simulated_board(suite.board); });
  parse_key(head, "simulate", [&](const auto&) { hw::module_space(suite.board, suite.grid); });
  suite.workloads = parse_key(head, "workloads", parse_list);
  for (const auto& workload : suite.workloads)
    parse_key(head, "workloads", [&](const auto&) { hw::find_simulated_workload(workload); });
  const auto budgets = cut(head.text("budgets"), ':');
  if (budgets.size() != 2 || !datasets::parse_number(budgets[0], suite.first_w) ||
      !datasets::parse_number(budgets[1], suite.last_w) || !(suite.first_w > 0) ||
      !(suite.last_w >= suite.first_w))
    refuse(head, "budgets", "first:last in W");
  suite.time_noise = number_in(head, "time_noise", 0.01, 0, 1);
  suite.power_noise = number_in(head, "power_noise", 0.01, 0, 1);
  suite.changes = count_or(head, "changes", 0);
  suite.train_changes = count_or(head, "train_changes", 0);
  suite.boards = count_or(head, "boards", 0);
  suite.population = count_or(head, "population", 0);
}

void read_profiles(const IniSection& head, ControllerSuite& suite) {
  for (const auto key : kOfSimulated)
    if (head.find(key) != nullptr)
      throw DataError(head.where + ": " + std::string(key) + ": only for a suite with simulate");
  suite.mapping = mapping_path(head, suite.path);
  suite.inputs = parse_key(head, "inputs", parse_list);
}

void read_task(const IniSection& head, ControllerSuite& suite) {
  const auto task = std::find_if(tasks::kModeTasks.begin(), tasks::kModeTasks.end(),
                                 [name = head.text("task")](const auto& one) { return one.first == name; });
  if (task == tasks::kModeTasks.end()) refuse(head, "task", "find or run");
  suite.task = task->second;
  suite.measurements = read_lengths(head, "measurements");
  suite.train_measurements = head.find("train_measurements") == nullptr
                                 ? suite.measurements
                                 : read_lengths(head, "train_measurements");
  suite.switch_share = number_in(head, "switch_share", 0, 0, 0.9);
  if (suite.task == ModeTask::run) {
    if (suite.measurements.size() != 1) refuse(head, "measurements", "one number, with task = run");
    return;
  }
  for (const char* key : {"changes", "train_changes", "switch_share"})
    if (head.find(key) != nullptr) throw DataError(head.where + ": " + key + ": only with task = run");
}

// Keys of a section of an agent that are no options of its algorithm.
const std::set<std::string> kOfPlan = {"actions", "reward", "candidates", "shielded", "greedy"};

void read_agent(const IniSection& section, ControllerSuite& suite) {
  const auto base = trim(std::string_view(section.name).substr(kAgent.size()));
  AgentPlan plan;
  for (const auto& [key, value] : section.entries)
    if (!kOfPlan.contains(key)) plan.algorithm[key] = value;
  try {
    const auto contestant = parse_rival(base);
    const auto& entry = meta::builtin_agents().find(contestant.name);
    if (contestant.shield || contestant.adapted)
      throw std::invalid_argument("expected what is trained, " + contestant.base);
    learners::set_options(plan.algorithm, contestant.name, entry.options);
  } catch (const std::invalid_argument& e) {
    throw DataError(section.where + ": " + e.what());
  }
  const auto named = [&](const char* key, const char* usual, const auto& all, const char* expected) {
    const auto found =
        std::find_if(all.begin(), all.end(),
                     [name = section.text_or(key, usual)](const auto& one) { return one.first == name; });
    if (found == all.end()) refuse(section, key, expected);
    return found->second;
  };
  plan.actions = named("actions", "jump", tasks::kModeActionKinds, "jump or move");
  plan.reward = named("reward", "scaled", tasks::kRewardForms, "scaled, posed or log");
  plan.candidates = candidates_or(section, plan.candidates);
  const auto flag = [&](const char* key) {
    const auto value = section.text_or(key, "false");
    if (value != "true" && value != "false") refuse(section, key, "true or false");
    return value == "true";
  };
  plan.shielded = flag("shielded");
  plan.greedy = flag("greedy");
  if (!suite.agents.emplace(base, std::move(plan)).second)
    throw DataError(section.where + ": there is a section of that agent already");
}

// Throws std::invalid_argument where a suite of this kind cannot have the contestant.
void check_agent(const Rival& one, const ControllerSuite& suite) {
  if ((one.alone || one.adapted) && suite.task == ModeTask::run)
    throw std::invalid_argument(one.label + " is only for task = find");
  if (one.alone) {
    if (suite.alone_measurements == 0)
      throw std::invalid_argument(one.label + " needs a key alone_measurements");
  } else if (suite.simulated() && (suite.boards == 0 || suite.population == 0)) {
    throw std::invalid_argument(one.label + " needs keys boards and population");
  }
}

void check_knowing(const Rival& one, const ControllerSuite& suite) {
  if (one.name == "presets" && suite.module.empty())
    throw std::invalid_argument(one.label + " needs a key module");
  if (one.name == "best-measured" && suite.task == ModeTask::run)
    throw std::invalid_argument(one.label + " is only for task = find");
}

[[noreturn]] void refuse_unknown(const std::string& contestant, const learners::Registry& registry) {
  std::vector<std::string_view> known = registry.controllers.names();
  for (const auto& names : {registry.searches.names(), meta::builtin_agents().names(),
                            std::vector<std::string_view>(std::begin(kKnowing), std::end(kKnowing))})
    known.insert(known.end(), names.begin(), names.end());
  throw std::invalid_argument("unknown contestant '" + contestant + "', known are: " + hw::join(known) +
                              hw::did_you_mean(contestant, known));
}

}  // namespace

Rival parse_rival(const std::string& text) {
  Rival one;
  one.label = one.base = text;
  one.shield = cut_off(one.base, kShield);
  one.adapted = cut_off(one.base, kAdapted);
  one.name = one.base;
  const bool alone = cut_off(one.name, kAlone);
  if (one.adapted && one.name != "maml-policy")
    throw std::invalid_argument(text + ": only maml-policy adapts, found " + one.name);
  if (one.adapted && alone)
    throw std::invalid_argument(text + ": expected either " + std::string(kAlone) + " or " +
                                std::string(kAdapted));
  if (meta::builtin_agents().look_up(one.name) != nullptr) {
    one.kind = Rival::Kind::agent;
    one.alone = alone;
    return one;
  }
  if (alone) throw std::invalid_argument(text + ": only agents are trained alone, found " + one.name);
  if (std::find(std::begin(kKnowing), std::end(kKnowing), one.name) != std::end(kKnowing)) {
    if (one.shield && one.name != "oracle")
      throw std::invalid_argument(text + ": " + one.name + " needs no shield");
    one.kind = Rival::Kind::knowing;
  }
  return one;
}

AgentPlan ControllerSuite::plan(const std::string& base) const {
  const auto found = agents.find(base);
  return found == agents.end() ? AgentPlan() : found->second;
}

tasks::ModeMdpOptions ControllerSuite::mdp(std::size_t length) const {
  tasks::ModeMdpOptions options;
  options.task = task;
  options.lambda = lambda;
  options.measurements = length;
  options.switch_share = switch_share;
  return options;
}

namespace {

// A section of an agent that does not take part is likely to be meant for another one.
void check_all_used(const ControllerSuite& suite, const std::string& where) {
  for (const auto& [base, plan] : suite.agents) {
    const auto takes_part = [&base = base](const std::string& text) {
      const auto one = parse_rival(text);
      return one.base == base || (one.adapted && one.name == base);
    };
    if (std::none_of(suite.contestants.begin(), suite.contestants.end(), takes_part))
      throw DataError(where + ": contestants: none is " + base + ", which has the section [agent " + base +
                      "]");
  }
}

}  // namespace

ControllerSuite read_controller_suite(const std::string& path, const learners::Registry& registry) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name",          "kind",
                   "task",          "simulate",
                   "grid",          "workloads",
                   "budgets",       "time_noise",
                   "power_noise",   "mapping",
                   "inputs",        "measurements",
                   "changes",       "switch_share",
                   "seeds",         "lambda",
                   "learner",       "shield",
                   "module",        "contestants",
                   "boards",        "population",
                   "candidates",    "train_measurements",
                   "train_changes", "alone_measurements"});
  ControllerSuite suite;
  suite.path = path;
  suite.name = head.text("name");
  read_task(head, suite);
  if (head.find("simulate") != nullptr)
    read_simulation(head, suite);
  else
    read_profiles(head, suite);
  suite.seeds = count_of(head, "seeds");
  suite.lambda = number_in(head, "lambda", suite.lambda, 0, tasks::kMostLambda);
  suite.shield = number_in(head, "shield", suite.shield, 0.5, 0.999);
  suite.learner = head.text("learner");
  parse_key(head, "learner", [&](const auto& name) { check_drift_learner(name, registry); });
  if (const auto* module = head.find("module")) {
    suite.module = *module;
    parse_key(head, "module", [](const auto& name) { hw::find_module(name); });
    if (suite.simulated()) check_presets_of(head.where, suite.module, suite.board);
  }
  suite.alone_measurements = count_or(head, "alone_measurements", 0);
  suite.candidates = candidates_or(head, 0);
  suite.contestants = parse_key(head, "contestants", parse_list);
  for (const auto& section : file.sections) {
    if (section.name == "suite") continue;
    if (!section.name.starts_with(kAgent))
      throw DataError(section.where + ": expected [suite] or [agent NAME]");
    read_agent(section, suite);
  }
  try {
    check_contestants(suite, registry);
  } catch (const std::invalid_argument& e) {
    throw DataError(head.where + ": " + e.what());
  }
  check_all_used(suite, head.where);
  return suite;
}

void check_contestants(const ControllerSuite& suite, const learners::Registry& registry) {
  // A controller is made once for a small board, so that its name and what it needs are checked.
  static const auto board = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::cpu_khz, {500'000, 1'000'000}}, {hw::KnobRole::gpu_khz, {500'000, 1'000'000}}}));
  const std::shared_ptr<const learners::Learner> learner =
      learners::make_learner(suite.learner, {}, registry);
  const learners::ControllerRequest request{
      .space = board, .learner = learner, .task = suite.task, .budget_w = 10};
  for (const auto& text : suite.contestants) {
    try {
      const auto one = parse_rival(text);
      if (one.kind == Rival::Kind::agent)
        check_agent(one, suite);
      else if (one.kind == Rival::Kind::knowing)
        check_knowing(one, suite);
      else if (registry.controllers.look_up(one.name) == nullptr &&
               registry.searches.look_up(one.name) == nullptr)
        refuse_unknown(one.name, registry);
      else
        learners::make_controller(one.name, request, {}, registry);
    } catch (const std::invalid_argument& e) {
      throw std::invalid_argument(std::string("contestants: ") + e.what());
    }
  }
}

}  // namespace fewwatt::benchmarks
