#include "benchmarks/table_suite.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/modules.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
namespace fs = std::filesystem;

constexpr std::string_view kAdapt = "adapt.";

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

// Mapping and inputs, or the simulation in their place.
void read_source(const IniSection& head, TableSuite& suite) {
  suite.mapping = mapping_path(head, suite.path);
  if (head.find("simulate") != nullptr)
    suite.simulation = parse_simulation(head);
  else
    suite.inputs = parse_key(head, "inputs", parse_list);
}

void read_targets(const IniSection& head, TableSuite& suite) {
  for (const auto& target : parse_key(head, "targets", parse_list)) {
    const auto at = std::find(std::begin(tasks::kTargetNames), std::end(tasks::kTargetNames), target);
    if (at == std::end(tasks::kTargetNames)) refuse(head, "targets", "time, power or both");
    suite.targets[static_cast<std::size_t>(at - std::begin(tasks::kTargetNames))] = true;
  }
}

// Budgets, and what goes with them.
void read_decisions(const IniSection& head, TableSuite& suite, const meta::Registry& registry) {
  if (head.find("budgets") != nullptr) {
    if (!suite.targets[tasks::kTimeMs] || !suite.targets[tasks::kPowerW])
      throw DataError(head.where + ": budgets need targets = time, power");
    suite.budgets = parse_budgets(head);
    suite.budgets_text = head.text("budgets");
  }
  if (const auto* text = head.find("searches"))
    parse_key(head, "searches", *text, [&](const auto& names) { set_searches(suite, names, registry); });
  if (const auto* text = head.find("measured"))
    suite.measured = parse_key(head, "measured", *text, parse_counts);
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
}

// Refuses keys that would do nothing, since another key is not there.
void check_pairs(const IniSection& head) {
  const std::pair<const char*, const char*> kNeeds[] = {
      {"grid", "simulate"},         {"workloads", "simulate"}, {"random_workloads", "simulate"},
      {"searches", "budgets"},      {"measured", "searches"},  {"confidence", "budgets"},
      {"excess_margin", "budgets"}, {"module", "budgets"}};
  for (const auto& [key, needed] : kNeeds)
    if (head.find(key) != nullptr && head.find(needed) == nullptr)
      throw DataError(head.where + ": " + key + ": only for a suite with " + needed);
}

// Throws std::invalid_argument for options that the learner does not have.
void check_learner_settings(const std::string& name, const learners::Settings& settings,
                            const meta::Registry& registry) {
  const auto* trained = registry.meta_learners.look_up(name);
  const auto& adapting = registry.learners.find(trained != nullptr ? trained->adapted_by : name);
  if (trained != nullptr) {
    learners::set_options(settings, name, [&](learners::OptionVisitor& on) {
      if (trained->options) trained->options(on);
      if (adapting.options) on.part(std::string(kAdapt), adapting.options);
    });
    return;
  }
  for (const auto& [key, value] : settings) {
    if (!key.starts_with(kAdapt)) continue;
    const auto known = hw::join(learners::options_of(adapting.options), ", ",
                                [](const learners::OptionFacts& facts) { return facts.name; });
    throw std::invalid_argument(name + " has no option " + key +
                                ": a learner that is not trained has its options without '" +
                                std::string(kAdapt) + "'; it has " + (known.empty() ? "none" : known));
  }
  learners::set_options(settings, name, adapting.options);
}

std::vector<External> read_externals(const datasets::IniFile& file) {
  std::vector<External> externals;
  for (const auto& section : file.sections)
    if (section.name.starts_with("external ")) externals.push_back(parse_external(section, file.path));
  return externals;
}

void read_learner_settings(const IniSection& section, TableSuite& suite, const meta::Registry& registry) {
  const auto name = trim(std::string_view(section.name).substr(std::string_view("learner").size()));
  auto& settings = suite.settings[name];
  for (const auto& [key, value] : section.entries) settings[key] = value;
  try {
    check_learner_settings(name, settings, registry);
  } catch (const std::invalid_argument& e) {
    throw DataError(section.where + ": " + e.what());
  }
}

}  // namespace

std::string mapping_path(const datasets::IniSection& head, const std::string& suite) {
  const fs::path folder = fs::absolute(suite).parent_path();
  const std::string mapping = head.text_or("mapping", "");
  if (mapping.empty()) return "";
  const fs::path path =
      mapping.ends_with(".ini") ? folder / mapping : folder / "../../datasets/mappings" / (mapping + ".ini");
  auto file = path.lexically_normal().string();
  if (!fs::is_regular_file(file)) refuse(head, "mapping", "the name of a mapping (" + file + " is no file)");
  return file;
}

void check_sampler(const std::string& name, const meta::Registry& registry) {
  registry.samplers.find(name);
}

void check_learners(const TableSuite& suite) {
  for (const auto& learner : suite.learners) {
    const auto parsed = parse_learner(learner);
    if (suite.population == 0 && parsed.simulates())
      throw DataError(suite.path + ": [suite]: " + learner + " needs a key population");
    if (const auto start = parsed.start();
        !start.empty() &&
        std::find(suite.learners.begin(), suite.learners.end(), start) == suite.learners.end())
      throw DataError(suite.path + ": [suite]: " + learner + " needs " + start + " among the learners");
  }
}

void check_searches(const TableSuite& suite) {
  if (suite.searches.empty() && !suite.measured.empty())
    throw std::invalid_argument("measured: the suite has no searches, whose measurements it would count");
  for (const auto& search : suite.searches) {
    if (!search.measured && suite.measured.empty())
      throw std::invalid_argument("measured: expected how many modes search '" + search.label +
                                  "' measures, found nothing");
    if (!search.learner.empty() &&
        std::find(suite.learners.begin(), suite.learners.end(), search.learner) == suite.learners.end())
      throw DataError(suite.path + ": [suite]: search '" + search.label + "' needs " + search.learner +
                      " among the learners");
  }
}

void set_searches(TableSuite& suite, const std::string& text, const meta::Registry& registry) {
  if (!suite.budgets) throw std::invalid_argument("the suite has no budgets to search for");
  std::vector<SearchName> found;
  for (const auto& name : parse_list(text)) found.push_back(parse_search(name, registry));
  suite.searches = std::move(found);
}

void keep_splits(TableSuite& suite, const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (std::none_of(suite.splits.begin(), suite.splits.end(),
                     [&](const auto& split) { return split.name == name; }))
      throw std::invalid_argument(
          "unknown split '" + name +
          "', known are: " + hw::join(suite.splits, ", ", [](const auto& split) { return split.name; }) +
          hw::did_you_mean(name, suite.splits, [](const auto& split) { return split.name; }));
  std::erase_if(suite.splits, [&](const auto& split) {
    return std::find(names.begin(), names.end(), split.name) == names.end();
  });
}

LearnerSettings settings_of(const TableSuite& suite, const LearnerName& learner,
                            const meta::Registry& registry) {
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

TableSuite read_table_suite(const std::string& path, const meta::Registry& registry_without_externals) {
  const auto file = datasets::read_ini(path);
  const auto externals = read_externals(file);
  const auto registry = [&] {
    try {
      return with_externals(externals, registry_without_externals);
    } catch (const std::invalid_argument& e) {
      throw DataError(path + ": " + e.what());
    }
  }();
  const auto& head = file.section("suite");
  head.check_keys({"name",       "kind",        "mapping",         "inputs", "simulate",   "grid",
                   "workloads",  "targets",     "shots",           "seeds",  "samplers",   "learners",
                   "budgets",    "searches",    "measured",        "module", "confidence", "excess_margin",
                   "population", "train_steps", "random_workloads"});
  TableSuite suite;
  suite.path = path;
  suite.name = head.text("name");
  suite.externals = externals;
  read_source(head, suite);
  check_pairs(head);
  read_targets(head, suite);
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
  read_decisions(head, suite, registry);
  try {
    check_searches(suite);
  } catch (const std::invalid_argument& e) {
    throw DataError(head.where + ": " + e.what());
  }
  for (const auto& section : file.sections) {
    if (section.name == "suite" || section.name.starts_with("external ")) continue;
    if (section.name.starts_with("learner "))
      read_learner_settings(section, suite, registry);
    else if (section.name.starts_with("split "))
      suite.splits.push_back(parse_split(section));
    else
      throw DataError(section.where + ": expected [suite], [learner NAME], [external NAME] or [split NAME]");
  }
  if (suite.splits.empty()) throw DataError(path + ": no section [split NAME] with a key test");
  return suite;
}

}  // namespace fewwatt::benchmarks
