#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/external/external.hpp"
#include "benchmarks/learner_name.hpp"
#include "benchmarks/metrics.hpp"
#include "benchmarks/search.hpp"
#include "datasets/generate.hpp"
#include "datasets/ini.hpp"
#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "meta/registry.hpp"
#include "tasks/split.hpp"

namespace fewwatt::benchmarks {

// Which profiles are trained on and which are tested: globs ('*' any characters, '?' one) of workloads, or of
// DEVICE/WORKLOAD where they have a '/'.
struct SplitRule {
  std::string name;                // of the section
  std::vector<std::string> train;  // none: every workload that is not tested
  std::vector<std::string> test;   // at least one
  // The profiles of `test` are tested one after the other. Each is trained on all others that are not of its workload.
  bool one_out = false;
  bool untrained = false;  // of one_out: no other profile is left to train on
};

// A suite of kind `tables`, which scores learners on profiles. As a file:
//   [suite]
//   name = tx2-power
//   kind = tables            may be left out
//   mapping = tx2-osldvfs    datasets/mappings/<name>.ini of the checkout that the suite file lies in, two folders
//                            up; or a file ending in .ini, from the suite's folder; without it, inputs are
//                            profile files
//   inputs = tx2-osldvfs     files or folders below the data root
//   simulate = orin-agx-64   in place of mapping and inputs: simulated boards (hw/simulated_device.hpp)
//   grid = powertrain        with simulate: their modes. full, the default, the name of a published grid, or a number of modes
//   workloads = lstm, ...    with simulate: what runs on each
//   random_workloads = 32    with simulate: number of random workloads, random-0, random-1, ..., besides these or alone
//   targets = time, power    what is used of the profiles
//   shots = 5, 10, 25, 50    numbers of measured modes. At 0 only those learners answer that have learned from workloads which
//                            state what they are
//   seeds = 10               draws of the measured modes
//   samplers = random        that draw them
//   learners = gp, maml      learners that need no checkpoint, and meta-learners, which are trained once per split; LearnerName has
//                            the suffixes
//   budgets = 20             with both targets: number of watt budgets per workload, or first:last:step as 17:50:1
//   confidence = 0.9         with budgets: learners with uncertainty decide a second time, for modes that are inside with
//                            this probability; 0.5, the default: they do not
//   excess_margin = 5%       with budgets: what counts as far over one; 1W is the default
//   module = tx2             with budgets: the board whose presets are compared with
//   searches = designed-ei auto, random -, predict transfer 50
//                            with budgets: searches in a closed loop (parse_search) for every budget that counts; their learners
//                            are among those above
//   measured = 10, 15, 25    with searches: numbers of their measurements, the start included; a search may name its own number
//   population = 32          number of simulated workloads (datasets::generate_population, in the modes of the first training
//                            profile) for the suffixes +sim and -sim
//   train_steps = 30         outer steps or epochs of training, for quick looks; without it, each meta-learner's own
//   [learner NAME]           options of a learner, as `meta-train --set` or, of one that is not trained, `adapt --set` has them;
//                            for all suffixes of its name (maml+sim)
//   hidden = 32,32
//   adapt.temper = 0.5       of one that is trained: what `adapt --set` has
//   [external NAME]          a learner, meta-learner or search of others, benchmarks/external/external.hpp; among the learners, or the searches
//   [split NAME]             one or more
//   train = inceptionv3_*    globs of workloads, or of DEVICE/WORKLOAD; without it, all workloads that are not tested
//   test = xception_*
//   one_out = v100/*         in place of train and test: a split for each profile that matches, which tests that profile and trains on
//                            the others. Where none is left, only learners that need no training can be tested
struct TableSuite {
  std::string path;                                       // of the file
  std::string name;                                       // of the suite, in rows and reports
  std::string mapping;                                    // path, or "" for profile files
  std::vector<std::string> inputs;                        // paths below the data root
  std::optional<datasets::SimulationRequest> simulation;  // in place of mapping and inputs
  std::array<bool, tasks::kNumTargets> targets{};         // whether each target is used
  std::vector<std::size_t> shots;                         // numbers of measured modes
  std::size_t seeds = 0;                                  // number of draws
  std::vector<std::string> samplers;                      // that draw the measured modes
  std::vector<std::string> learners;                      // as LearnerName writes them
  std::vector<SearchName> searches;                       // in a closed loop; none where empty
  std::vector<std::size_t> measured;                      // by a search
  std::optional<BudgetRule> budgets;                      // for which modes are chosen
  std::string budgets_text;                               // as written; "" for none
  double confidence = 0.5;                                // of second decisions; 0.5 = there are none
  ExcessMargin excess_margin;                             // what counts as far over the budget
  std::string excess_margin_text = "1W";                  // as written
  std::string module;                                     // "" for none
  std::size_t train_steps = 0;                            // 0 = the default
  std::map<std::string, learners::Settings> settings;     // by LearnerName::base: sections [learner NAME]
  std::size_t population = 0;                             // number of simulated workloads
  std::vector<External> externals;                        // programs of others: sections [external NAME]
  std::vector<SplitRule> splits;                          // at least one
};

// What a suite sets for a learner.
struct LearnerSettings {
  learners::Settings train;  // of its training: keys without the prefix adapt.
  learners::Settings
      adapt;  // of the learner that adapts: keys that had the prefix, or all where nothing is trained
};
LearnerSettings settings_of(const TableSuite& suite, const LearnerName& learner,
                            const meta::Registry& registry = meta::builtin());

// The suite's learners, samplers and searches are the registry's, or externals of the suite. Throws datasets::DataError naming the file,
// section and key, what is expected and what stands there.
TableSuite read_table_suite(const std::string& path, const meta::Registry& registry = meta::builtin());

// The path of the mapping that the key `mapping` of a suite file names, "" without the key. Throws datasets::DataError where it is no file.
std::string mapping_path(const datasets::IniSection& head, const std::string& suite);
// Sets the key `searches`. Throws std::invalid_argument for a bad search, or where the suite has no budgets.
void set_searches(TableSuite& suite, const std::string& text,
                  const meta::Registry& registry = meta::builtin());
// Removes all splits but those of these names. Throws std::invalid_argument listing the known names.
void keep_splits(TableSuite& suite, const std::vector<std::string>& names);

// Throws datasets::DataError naming the learner that is trained on a population where the suite has none, or adds to one that
// is not among the learners.
void check_learners(const TableSuite& suite);
// Throws datasets::DataError naming the search whose learner is not among the suite's, and std::invalid_argument, "measured: ...", where
// there are no searches to measure, or a search without a number of measurements.
void check_searches(const TableSuite& suite);
// Throws std::invalid_argument listing the known names.
void check_sampler(const std::string& name, const meta::Registry& registry = meta::builtin());

// Imports or simulates the suite's profiles. Removes the targets that the suite does not use, and profiles without any other target;
// `notices` names these profiles. Throws datasets::DataError, also when no profile has a target.
datasets::ProfileStore load_profiles(const TableSuite& suite, const std::string& data_root,
                                     std::vector<std::string>* notices = nullptr);

// The splits of the suite in order. One with one_out becomes those that it stands for. Throws datasets::DataError as make_split.
std::vector<SplitRule> split_rules(const TableSuite& suite, const datasets::ProfileStore& store);

// Throws datasets::DataError naming the suite and the split where
// - a glob matches nothing;
// - a profile is both trained on and tested, or its workload is and the globs of train do not name devices;
// - nothing is left to train on and a learner of the suite is trained.
tasks::Split make_split(const TableSuite& suite, const SplitRule& rule, const datasets::ProfileStore& store,
                        const meta::Registry& registry = meta::builtin());

// Whether a text fits a glob of SplitRule.
bool glob_matches(std::string_view glob, std::string_view text);

}  // namespace fewwatt::benchmarks
