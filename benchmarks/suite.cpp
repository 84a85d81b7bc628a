#include "benchmarks/suite.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/import.hpp"
#include "datasets/ini.hpp"
#include "datasets/mapping.hpp"
#include "datasets/profile_io.hpp"
#include "hw/modules.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
namespace fs = std::filesystem;

constexpr std::string_view kBothSuffix = "+sim", kSimulatedSuffix = "-sim";
static_assert(kBothSuffix.size() == kSimulatedSuffix.size());

BudgetRule parse_budgets(const IniSection& section) {
  const std::string key = "budgets";
  const auto parts = cut(section.text(key), ':');
  if (parts.size() == 1) return {.count = parse_key(section, key, parts[0], parse_count)};
  BudgetRule rule;
  const bool good = parts.size() == 3 && datasets::parse_number(parts[0], rule.first_w) &&
                    datasets::parse_number(parts[1], rule.last_w) &&
                    datasets::parse_number(parts[2], rule.step_w);
  if (!good || rule.first_w <= 0 || rule.last_w < rule.first_w || rule.step_w <= 0)
    refuse(section, key, "a number of budgets, or first:last:step in W");
  return rule;
}

ExcessMargin parse_margin(const IniSection& section, const std::string& text) {
  double value = 0;
  const bool good =
      !text.empty() && datasets::parse_number(text.substr(0, text.size() - 1), value) && value >= 0;
  if (good && text.back() == '%') return {.watts = 0, .fraction = value / 100};
  if (good && text.back() == 'W') return {.watts = value, .fraction = 0};
  refuse(section, "excess_margin", "a margin as 5% or 1W");
}

template <class Check>
void check_names(const IniSection& section, const std::string& key, const std::vector<std::string>& names,
                 Check check) {
  for (const auto& name : names) parse_key(section, key, name, check);
}

SplitRule parse_split(const IniSection& section) {
  section.check_keys({"train", "test", "one_out"});
  SplitRule rule{.name = trim(std::string_view(section.name).substr(std::string_view("split").size())),
                 .train = {},
                 .test = {}};
  if (section.find("one_out") != nullptr) {
    if (section.find("train") != nullptr || section.find("test") != nullptr)
      throw DataError(section.where + ": expected either one_out, or train and test");
    rule.one_out = true;
    rule.test = parse_key(section, "one_out", parse_list);
    return rule;
  }
  rule.test = parse_key(section, "test", parse_list);
  if (section.find("train") != nullptr) rule.train = parse_key(section, "train", parse_list);
  return rule;
}

// The keys simulate, grid, workloads and random_workloads.
datasets::SimulationRequest parse_simulation(const IniSection& section) {
  for (const char* key : {"mapping", "inputs"})
    if (section.find(key) != nullptr)
      throw DataError(section.where + ": " + key + ": a suite with simulate has none");
  datasets::SimulationRequest request;
  request.devices = parse_key(section, "simulate", parse_list);
  request.grid = section.text_or("grid", request.grid);
  const auto* random = section.find("random_workloads");
  if (random != nullptr)
    request.random_workloads = parse_key(section, "random_workloads", *random, parse_count);
  if (random == nullptr || section.find("workloads") != nullptr)
    request.workloads = parse_key(section, "workloads", parse_list);
  check_names(section, "simulate", request.devices, [](const auto& name) { hw::find_simulated_board(name); });
  check_names(section, "workloads", request.workloads,
              [](const auto& name) { hw::find_simulated_workload(name); });
  if (const auto error = request.error(); !error.empty()) throw DataError(section.where + ": " + error);
  return request;
}

std::string full_name(const datasets::Profile& profile) {
  return profile.device + '/' + profile.workload;
}

bool names_device(const std::string& glob) {
  return glob.find('/') != std::string::npos;
}

bool matches(const std::string& glob, const datasets::Profile& profile) {
  return glob_matches(glob, names_device(glob) ? full_name(profile) : profile.workload);
}

bool matches_any(const std::vector<std::string>& globs, const datasets::Profile& profile) {
  return std::any_of(globs.begin(), globs.end(), [&](const auto& glob) { return matches(glob, profile); });
}

// Whether a learner of a suite is trained on the profiles of a split.
bool is_trained(const std::string& name, const meta::Registry& registry) {
  const auto learner = parse_learner(name);
  if (learner.training == LearnerName::Training::none || learner.training == LearnerName::Training::simulated)
    return false;
  return registry.meta_learners.look_up(learner.base) != nullptr;
}

// Throws where one matches nothing.
void check_globs(const std::string& where, const std::vector<std::string>& globs,
                 const datasets::ProfileStore& store) {
  for (const auto& glob : globs) {
    if (std::any_of(store.profiles.begin(), store.profiles.end(),
                    [&](const auto& profile) { return matches(glob, profile); }))
      continue;
    std::set<std::string> names;
    for (const auto& profile : store.profiles)
      names.insert(names_device(glob) ? full_name(profile) : profile.workload);
    std::string known;
    for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
    throw DataError(where + ": '" + glob + "' matches nothing, there are: " + known);
  }
}

void remove_target(datasets::Profile& profile, tasks::Target target) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  for (auto& measurement : profile.measurements)
    (target == tasks::kTimeMs ? measurement.time_ms : measurement.power_w) = kUnknown;
  (target == tasks::kTimeMs ? profile.time_std_ms : profile.power_std_w).clear();
  (target == tasks::kTimeMs ? profile.time_true_ms : profile.power_true_w).clear();
}

}  // namespace

bool glob_matches(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  if (glob.front() == '*')
    return glob_matches(glob.substr(1), text) || (!text.empty() && glob_matches(glob, text.substr(1)));
  if (text.empty() || (glob.front() != '?' && glob.front() != text.front())) return false;
  return glob_matches(glob.substr(1), text.substr(1));
}

LearnerName parse_learner(const std::string& name) {
  const std::string_view text = name;
  LearnerName learner;
  const auto cut_at = [&](std::size_t at) {
    learner.base = name.substr(0, at);
    learner.suffix = name.substr(at);
  };
  const auto colon = name.find(':');
  if (colon == std::string::npos) {
    const bool both = text.ends_with(kBothSuffix), simulated = text.ends_with(kSimulatedSuffix);
    cut_at(both || simulated ? name.size() - kBothSuffix.size() : name.size());
    if (both) learner.training = LearnerName::Training::both;
    if (simulated) learner.training = LearnerName::Training::simulated;
    return learner;
  }
  cut_at(colon);
  const auto part = name.substr(colon + 1);
  if (part == "0") {
    learner.training = LearnerName::Training::none;
    return learner;
  }
  const auto middle = std::min(part.find_first_of("+x"), part.size());
  try {
    learner.workloads = parse_count(part.substr(0, middle));
    if (middle < part.size())
      (part[middle] == '+' ? learner.added : learner.modes) = parse_count(part.substr(middle + 1));
  } catch (const std::invalid_argument&) {
    throw std::invalid_argument("learner '" + name + "': expected NAME:WORKLOADS, NAME:WORKLOADSxMODES, " +
                                "NAME:WORKLOADS+MORE or NAME:0");
  }
  return learner;
}

std::string LearnerName::with_base(std::string_view other) const {
  return std::string(other) + suffix;
}

std::string LearnerName::start() const {
  return added > 0 ? base + ':' + std::to_string(workloads) : "";
}

void check_learner(const std::string& name, const meta::Registry& registry) {
  const auto learner = parse_learner(name);
  std::string known;
  const auto is_named = [&](std::string_view other) {
    known += (known.empty() ? "" : ", ") + std::string(other);
    return learner.base == other;
  };
  const bool untrained = learner.training == LearnerName::Training::none;
  if (learner.suffix.empty() || untrained)
    for (const auto& facts : registry.learners)
      if (!facts.needs_checkpoint && is_named(facts.name)) return;
  for (const auto& facts : registry.meta_learners) {
    const bool can = !untrained &&
                     (learner.training == LearnerName::Training::profiles || facts.has_outer_loop()) &&
                     (learner.added == 0 || facts.goes_on);
    if (can && is_named(facts.name)) return;
  }
  throw std::invalid_argument("unknown learner '" + name + "', known are: " + known +
                              (learner.suffix.empty() ? "" : "; each with " + learner.suffix));
}

void check_sampler(const std::string& name, const meta::Registry& registry) {
  registry.samplers.find(name);
}

void check_learners(const Suite& suite) {
  for (const auto& learner : suite.learners) {
    const auto parsed = parse_learner(learner);
    if (suite.population == 0 && (parsed.training == LearnerName::Training::both ||
                                  parsed.training == LearnerName::Training::simulated))
      throw DataError(suite.path + ": [suite]: " + learner + " needs a key population");
    if (const auto start = parsed.start();
        !start.empty() &&
        std::find(suite.learners.begin(), suite.learners.end(), start) == suite.learners.end())
      throw DataError(suite.path + ": [suite]: " + learner + " needs " + start + " among the learners");
  }
}

void check_searches(const Suite& suite) {
  for (const auto& search : suite.searches)
    if (!search.learner.empty() &&
        std::find(suite.learners.begin(), suite.learners.end(), search.learner) == suite.learners.end())
      throw DataError(suite.path + ": [suite]: search '" + search.label + "' needs " + search.learner +
                      " among the learners");
}

namespace {

constexpr std::string_view kAdapt = "adapt.";

void add_learner_settings(Suite& suite, const IniSection& section, const meta::Registry& registry) {
  const auto name = trim(std::string_view(section.name).substr(std::string_view("learner").size()));
  auto& settings = suite.settings[name];
  for (const auto& [key, value] : section.entries) settings[key] = value;
  try {
    const auto* trained = registry.meta_learners.look_up(name);
    LearnerName learner;
    learner.base = name;
    if (trained == nullptr) learner.training = LearnerName::Training::none;
    const auto [train, adapt] = settings_of(suite, learner, registry);
    if (trained != nullptr) learners::set_options(train, name, trained->options);
    const auto& adapting = registry.learners.find(trained != nullptr ? trained->adapted_by : name);
    learners::set_options(adapt, adapting.name, adapting.options);
  } catch (const std::invalid_argument& e) {
    throw DataError(section.where + ": " + e.what());
  }
}

}  // namespace

LearnerSettings settings_of(const Suite& suite, const LearnerName& learner, const meta::Registry& registry) {
  LearnerSettings all;
  const auto found = suite.settings.find(learner.base);
  if (found == suite.settings.end()) return all;
  const bool of_trained = registry.meta_learners.look_up(learner.base) != nullptr;
  for (const auto& [key, value] : found->second) {
    if (of_trained && key.starts_with(kAdapt))
      all.adapt[key.substr(kAdapt.size())] = value;
    else if (!of_trained)
      all.adapt[key] = value;
    else if (learner.is_trained())
      all.train[key] = value;
  }
  return all;
}

Suite read_suite(const std::string& path, const meta::Registry& registry) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name",      "mapping",          "inputs",     "simulate",   "grid",
                   "workloads", "random_workloads", "targets",    "shots",      "seeds",
                   "samplers",  "learners",         "budgets",    "confidence", "excess_margin",
                   "module",    "train_steps",      "population", "searches",   "measured"});
  Suite suite;
  suite.path = path;
  suite.name = head.text("name");

  const fs::path folder = fs::absolute(path).parent_path();
  const std::string mapping = head.text_or("mapping", "");
  if (mapping.ends_with(".ini"))
    suite.mapping = (folder / mapping).lexically_normal().string();
  else if (!mapping.empty())
    suite.mapping = (folder / "../../datasets/mappings" / (mapping + ".ini")).lexically_normal().string();
  if (!suite.mapping.empty() && !fs::is_regular_file(suite.mapping))
    refuse(head, "mapping", "the name of a mapping (" + suite.mapping + " is no file)");
  if (head.find("simulate") != nullptr)
    suite.simulation = parse_simulation(head);
  else
    suite.inputs = parse_key(head, "inputs", parse_list);
  for (const char* key : {"grid", "workloads", "random_workloads"})
    if (!suite.simulation && head.find(key) != nullptr)
      throw DataError(head.where + ": " + key + ": only for a suite with simulate");

  for (const auto& target : parse_key(head, "targets", parse_list)) {
    const auto at = std::find(std::begin(tasks::kTargetNames), std::end(tasks::kTargetNames), target);
    if (at == std::end(tasks::kTargetNames)) refuse(head, "targets", "time, power or both");
    suite.targets[static_cast<std::size_t>(at - std::begin(tasks::kTargetNames))] = true;
  }
  suite.shots = parse_key(head, "shots", parse_shots);
  suite.seeds = parse_key(head, "seeds", parse_count);
  if (const auto* text = head.find("train_steps"))
    suite.train_steps = parse_key(head, "train_steps", *text, parse_count);
  if (const auto* text = head.find("population"))
    suite.population = parse_key(head, "population", *text, parse_count);
  suite.samplers = parse_key(head, "samplers", parse_list);
  check_names(head, "samplers", suite.samplers, [&](const auto& name) { check_sampler(name, registry); });
  suite.learners = parse_key(head, "learners", parse_list);
  check_names(head, "learners", suite.learners, [&](const auto& name) { check_learner(name, registry); });
  check_learners(suite);

  if (head.find("budgets") != nullptr) {
    if (!suite.targets[tasks::kTimeMs] || !suite.targets[tasks::kPowerW])
      throw DataError(head.where + ": budgets need targets = time, power");
    suite.budgets = parse_budgets(head);
    suite.budgets_text = head.text("budgets");
  }
  if (head.find("searches") != nullptr) {
    if (!suite.budgets) throw DataError(head.where + ": searches need budgets");
    for (const auto& text : parse_key(head, "searches", parse_list))
      suite.searches.push_back(
          parse_key(head, "searches", text, [&](const auto& name) { return parse_search(name, registry); }));
    suite.measured = parse_key(head, "measured", parse_counts);
    check_searches(suite);
  }
  if (const auto* text = head.find("confidence")) {
    if (!datasets::parse_number(*text, suite.confidence) ||
        !(suite.confidence >= 0.5 && suite.confidence < 1))
      refuse(head, "confidence", "a probability from 0.5 to below 1");
  }
  suite.excess_margin_text = head.text_or("excess_margin", suite.excess_margin_text);
  suite.excess_margin = parse_margin(head, suite.excess_margin_text);
  suite.module = head.text_or("module", "");
  if (!suite.module.empty())
    check_names(head, "module", {suite.module}, [](const auto& name) { hw::find_module(name); });

  for (const auto& section : file.sections) {
    if (section.name == "suite") continue;
    if (section.name.starts_with("learner ")) {
      add_learner_settings(suite, section, registry);
      continue;
    }
    if (!section.name.starts_with("split "))
      throw DataError(section.where + ": expected [suite], [learner NAME] or [split NAME]");
    suite.splits.push_back(parse_split(section));
  }
  if (suite.splits.empty()) throw DataError(path + ": no section [split NAME] with a key test");
  return suite;
}

datasets::ProfileStore load_profiles(const Suite& suite, const std::string& data_root,
                                     std::vector<std::string>* notices) {
  std::vector<std::string> inputs;
  for (const auto& input : suite.inputs) {
    const fs::path path = fs::path(data_root) / input;
    if (!fs::exists(path))
      throw DataError(suite.path + ": [suite]: inputs: no file or folder " + path.string() +
                      " below the data root");
    inputs.push_back(path.string());
  }
  datasets::ProfileStore store;
  if (suite.simulation) {
    try {
      store = datasets::generate_profiles(*suite.simulation);
    } catch (const std::invalid_argument& e) {
      throw DataError(suite.path + ": [suite]: " + e.what());
    }
  } else if (!suite.mapping.empty()) {
    store = datasets::import_profiles(datasets::read_mapping(suite.mapping), inputs);
  } else {
    for (const auto& input : inputs) {
      auto part = datasets::read_profiles(input);
      store.devices.merge(part.devices);
      std::move(part.profiles.begin(), part.profiles.end(), std::back_inserter(store.profiles));
    }
  }
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    bool known = !suite.targets[target];
    for (auto& profile : store.profiles) {
      known = known || (target == tasks::kTimeMs ? profile.has_time() : profile.has_power());
      if (!suite.targets[target]) remove_target(profile, target);
    }
    if (!known) throw DataError(suite.path + ": targets: no profile has " + tasks::kTargetNames[target]);
  }
  std::erase_if(store.profiles, [&](const auto& profile) {
    const bool empty = !profile.has_time() && !profile.has_power();
    if (empty && notices != nullptr)
      notices->push_back("workload " + full_name(profile) + " has none of the suite's targets: left out");
    return empty;
  });
  return store;
}

std::vector<SplitRule> split_rules(const Suite& suite, const datasets::ProfileStore& store) {
  std::vector<SplitRule> rules;
  for (const auto& rule : suite.splits) {
    if (!rule.one_out) {
      rules.push_back(rule);
      continue;
    }
    check_globs(suite.path + ": [split " + rule.name + "]: one_out", rule.test, store);
    for (const auto& tested : store.profiles) {
      if (!matches_any(rule.test, tested)) continue;
      SplitRule one{.name = rule.name + ' ' + full_name(tested), .train = {}, .test = {full_name(tested)}};
      for (const auto& other : store.profiles)
        if (matches_any(rule.test, other) && other.workload != tested.workload)
          one.train.push_back(full_name(other));
      one.untrained = one.train.empty();
      rules.push_back(std::move(one));
    }
  }
  return rules;
}

tasks::Split make_split(const Suite& suite, const SplitRule& rule, const datasets::ProfileStore& store,
                        const meta::Registry& registry) {
  const std::string where = suite.path + ": [split " + rule.name + "]: ";
  check_globs(where + "train", rule.train, store);
  check_globs(where + "test", rule.test, store);
  tasks::Split split;
  std::set<std::string> tested;
  for (const auto& profile : store.profiles) {
    if (!matches_any(rule.test, profile)) continue;
    tested.insert(profile.workload);
    split.test.push_back(profile);
  }
  for (const auto& profile : store.profiles) {
    const bool other_workload = !tested.contains(profile.workload),
               is_tested = matches_any(rule.test, profile);
    for (const auto& glob : rule.train) {
      if (matches(glob, profile) && (is_tested || (!other_workload && !names_device(glob))))
        throw DataError(where + "workload " + profile.workload + " is both trained on and tested");
    }
    if (rule.train.empty() ? other_workload && !rule.untrained : matches_any(rule.train, profile))
      split.train.push_back(profile);
  }
  const auto trained = std::find_if(suite.learners.begin(), suite.learners.end(),
                                    [&](const auto& name) { return is_trained(name, registry); });
  if (split.train.empty() && trained != suite.learners.end())
    throw DataError(where + "no workload is left to train " + *trained + " on" +
                    (rule.untrained ? ", one_out matches no other" : ""));
  return split;
}

}  // namespace fewwatt::benchmarks
