#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/metrics.hpp"
#include "benchmarks/search.hpp"
#include "datasets/generate.hpp"
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
  // The profiles of `test` are tested one after the other, and each is trained on all others that are not of its workload.
  bool one_out = false;
  bool untrained = false;  // of one_out: no other profile is left to train on
};

// A benchmark as a file:
//   [suite]
//   name = tx2-power
//   mapping = tx2-osldvfs    datasets/mappings/<name>.ini of the checkout that the suite file lies in, two folders
//                            up; or a file ending in .ini, from the suite's folder; without it, inputs are
//                            profile files
//   inputs = tx2-osldvfs     files or folders below the data root
//   simulate = orin-agx-64   in place of mapping and inputs: simulated boards (hw/simulated_device.hpp),
//   grid = powertrain        their modes: full, the default, the name of a published grid, or a number of modes,
//   workloads = lstm, ...    and what runs on each,
//   random_workloads = 32    number of random workloads, besides these or alone: random-0, random-1, ...
//   targets = time, power    what is used of the profiles
//   shots = 5, 10, 25, 50    numbers of measured modes. At 0 only learners answer that have learned from workloads which state what
//                            they are
//   seeds = 10               draws of the measured modes
//   samplers = random        that draw them
//   learners = gp, maml      learners that need no checkpoint, and meta-learners, trained once per split, of the registry that
//                            read_suite() and run_suite() are given
//   searches = designed-ei auto, random -, predict transfer 50
//                            with both targets and budgets: searches in a closed loop, each with one of the learners above
//                            (parse_search), for every budget that counts
//   measured = 10, 15, 25    numbers of their measurements, the start included; a search may name its own number instead
//   budgets = 20             watt budgets, with both targets: that many per workload, or first:last:step as 17:50:1
//   confidence = 0.9         with budgets: learners with uncertainty decide a second time, for modes that are inside with
//                            this probability; 0.5, the default: they do not
//   excess_margin = 5%       or 1W, the default: what counts as far over the budget
//   module = tx2             the board whose presets are compared with
//   population = 32          number of simulated workloads (datasets::generate_population, in the modes of the first training
//                            profile) for names such as maml+sim, trained on these as well, and maml-sim, trained on these
//                            alone. Trained on fewer profiles: maml:4, the first 4 of the training workloads, in a random order
//                            that all learners share; maml:4x200, 200 modes of each, drawn for each; maml:4+4, 4 more added to
//                            maml:4, which must be among the learners (InitializerRequest::init); auto:0, without training
//   train_steps = 30         outer steps or epochs of training, for quick looks; without it, each
//                            meta-learner's own
//   [learner NAME]           options of a learner, as `meta-train --set` or, of one that is not trained, `adapt --set` has them;
//                            for all variants of its name (maml+sim)
//   hidden = 32,32
//   adapt.temper = 0.5       of one that is trained: what `adapt --set` has
//   [split NAME]             one or more
//   train = inceptionv3_*    globs of workloads, or of DEVICE/WORKLOAD; without it, all workloads that are not tested
//   test = xception_*
//   one_out = v100/*         in place of train and test: as many splits as profiles match, each testing one of them and
//                            trained on the others. Where none is left, only learners that need no training can be tested
struct Suite {
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
  std::vector<SplitRule> splits;                          // at least one
};

// What a suite calls a learner: the name in a registry, and what it is trained on.
struct LearnerName {
  // What it is trained on.
  enum class Training {
    profiles,   // maml
    both,       // maml+sim
    simulated,  // maml-sim
    none        // auto:0
  };
  std::string base;                                 // "maml"
  Training training = Training::profiles;           // what it is trained on
  std::size_t workloads = 0, added = 0, modes = 0;  // maml:4+4, maml:4x200; 0 = all, none, all
  std::string suffix;                               // what follows the base

  bool is_trained() const { return training != Training::none; }  // whether it sees any workload before
  std::string with_base(std::string_view other) const;            // of another base, trained on the same
  std::string start() const;  // maml:4 of maml:4+4; "" where nothing is added
};
// Of what a suite sets for a learner: what its training gets, and what the learner that adapts gets.
struct LearnerSettings {
  learners::Settings train;  // keys without the prefix adapt.
  learners::Settings adapt;  // keys that had it, or all of a learner that is not trained
};
LearnerSettings settings_of(const Suite& suite, const LearnerName& learner,
                            const meta::Registry& registry = meta::builtin());
LearnerName parse_learner(const std::string& name);  // throws std::invalid_argument for a bad suffix

// The suite's learners, samplers and searches are the registry's. Throws datasets::DataError naming the file, section and key,
// what is expected and what stands there.
Suite read_suite(const std::string& path, const meta::Registry& registry = meta::builtin());

// Throws datasets::DataError naming the learner that is trained on a population where the suite has none, or adds to one that
// is not among the learners.
void check_learners(const Suite& suite);
// Throws datasets::DataError naming the search whose learner is not among the suite's.
void check_searches(const Suite& suite);
// Throws std::invalid_argument listing the known names.
void check_learner(const std::string& name, const meta::Registry& registry = meta::builtin());
void check_sampler(const std::string& name, const meta::Registry& registry = meta::builtin());

// Imports or simulates the suite's profiles. Removes the targets that the suite does not use, and profiles without any other target;
// `notices` names these profiles. Throws datasets::DataError, also when no profile has a target.
datasets::ProfileStore load_profiles(const Suite& suite, const std::string& data_root,
                                     std::vector<std::string>* notices = nullptr);

// One after the other, those of one_out as the splits they stand for. Throws datasets::DataError as make_split.
std::vector<SplitRule> split_rules(const Suite& suite, const datasets::ProfileStore& store);

// Throws datasets::DataError naming the suite and the split when a glob matches nothing, a profile is both trained on and
// tested, or its workload is where the globs of train do not name devices, or nothing is left to train on and a learner of the
// suite is trained.
tasks::Split make_split(const Suite& suite, const SplitRule& rule, const datasets::ProfileStore& store,
                        const meta::Registry& registry = meta::builtin());

// Whether a text fits a glob of SplitRule.
bool glob_matches(std::string_view glob, std::string_view text);

}  // namespace fewwatt::benchmarks
