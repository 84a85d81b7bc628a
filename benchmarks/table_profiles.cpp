#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>
#include <optional>
#include <set>

#include "benchmarks/suite_keys.hpp"
#include "benchmarks/table_suite.hpp"
#include "datasets/import.hpp"
#include "datasets/mapping.hpp"
#include "datasets/profile_io.hpp"
#include "hw/text.hpp"

// The profiles of a suite of tables, and who of them is trained on and tested in each split.
namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
namespace fs = std::filesystem;

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
    throw DataError(where + ": '" + glob + "' matches nothing, there are: " + hw::join(names));
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

datasets::ProfileStore load_profiles(const TableSuite& suite, const std::string& data_root,
                                     std::vector<std::string>* notices) {
  std::optional<datasets::Mapping> mapping;
  if (!suite.mapping.empty()) mapping = datasets::read_mapping(suite.mapping);
  std::vector<std::string> inputs;
  for (const auto& input : suite.inputs) {
    const fs::path path = fs::path(data_root) / input;
    if (!fs::exists(path))
      throw DataError(
          suite.path + ": [suite]: inputs: no file or folder " + path.string() + " below the data root" +
          (mapping && !mapping->set.empty() ? "; scripts/fetch-data " + mapping->set + " fetches it" : ""));
    inputs.push_back(path.string());
  }
  datasets::ProfileStore store;
  if (suite.simulation) {
    try {
      store = datasets::generate_profiles(*suite.simulation);
    } catch (const std::invalid_argument& e) {
      throw DataError(suite.path + ": [suite]: " + e.what());
    }
  } else if (mapping) {
    store = datasets::import_profiles(*mapping, inputs);
  } else {
    for (const auto& input : inputs) {
      auto part = datasets::read_profiles(input);
      store.devices.merge(part.devices);
      std::move(part.profiles.begin(), part.profiles.end(), std::back_inserter(store.profiles));
    }
  }
  if (!suite.module.empty())
    for (const auto& profile : store.profiles)
      check_presets_of(suite.path + ": [suite]", suite.module, profile.device);
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

std::vector<SplitRule> split_rules(const TableSuite& suite, const datasets::ProfileStore& store) {
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

tasks::Split make_split(const TableSuite& suite, const SplitRule& rule, const datasets::ProfileStore& store,
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
