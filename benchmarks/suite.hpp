#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/metrics.hpp"
#include "benchmarks/search.hpp"
#include "datasets/generate.hpp"
#include "datasets/profile.hpp"
#include "tasks/split.hpp"

namespace fewwatt::benchmarks {

// Which profiles are trained on and which are tested: globs ('*' any characters, '?' one) of workloads, or of
// DEVICE/WORKLOAD where they have a '/'.
struct SplitRule {
  std::string name;
  std::vector<std::string> train;  // none: every workload that is not tested
  std::vector<std::string> test;
  bool one_out =
      false;  // test has the profiles that are tested one after the other, each without its own workload
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
//   random_workloads = 32    and so many more, or these alone, that nobody wrote: random-0, random-1, ...
//   targets = time, power    what is used of the profiles
//   shots = 5, 10, 25, 50    modes measured; from 0 only those predict that have learned from workloads which state
//                            what they are
//   seeds = 10               draws of the measured modes
//   samplers = random        that draw them
//   learners = gp, maml      learners that need no checkpoint, and meta-learners, trained once per split
//   searches = designed-ei auto, random -, predict transfer 50
//                            with both targets and budgets: searches in a closed loop, each with one of the learners above
//                            (parse_search), for every budget that counts,
//   measured = 10, 15, 25    with so many measurements, those for the start included, but for those that name their own number
//   budgets = 20             watt budgets, with both targets: so many per workload, or first:last:step as 17:50:1
//   confidence = 0.9         with budgets: learners that know their uncertainty decide a second time, and need
//                            this probability that a mode is inside; 0.5, the default: they do not
//   excess_margin = 5%       or 1W, the default: what counts as far over the budget
//   module = tx2             the board whose presets are compared with
//   population = 32          learners trained on others may have names as maml+sim, trained on so many simulated
//                            workloads as well (datasets::generate_population, in the modes of the first training
//                            profile), and maml-sim, trained on these alone. Trained on fewer profiles: maml:4, the first 4
//                            of the training workloads, in a drawn order, which all learners share; maml:4x200, 200 modes of
//                            each, drawn for each; maml:4+4, 4 more added to maml:4, which must be among the learners
//                            (InitializerRequest::init); auto:0, one that needs no checkpoint, without any
//   train_steps = 30         outer steps or epochs of training, for quick looks; without it, each
//                            meta-learner's own
//   rows_per_mode = 40       with scratch and transfer, log or not: each measured mode stands for so many rows, as
//                            published, so an epoch is so many passes over the support; 1, the default, is faster
//   [split NAME]             one or more
//   train = inceptionv3_*    globs of workloads, or of DEVICE/WORKLOAD; without it, all workloads that are not tested
//   test = xception_*
//   one_out = v100/*         in place of train and test: as many splits as profiles match, each testing one of them and
//                            trained on the others. Where none is left, only learners that need no training can be tested
struct Suite {
  std::string path;  // of the file
  std::string name;
  std::string mapping;  // path, or "" for profile files
  std::vector<std::string> inputs;
  std::optional<datasets::SimulationRequest> simulation;  // in place of mapping and inputs
  std::array<bool, tasks::kNumTargets> targets{};
  std::vector<std::size_t> shots;
  std::size_t seeds = 0;
  std::vector<std::string> samplers, learners;
  std::vector<SearchName> searches;
  std::vector<std::size_t> measured;  // by a search
  std::optional<BudgetRule> budgets;
  std::string budgets_text;  // "" for none
  double confidence = 0.5;
  ExcessMargin excess_margin;
  std::string excess_margin_text = "1W";
  std::string module;           // "" for none
  std::size_t train_steps = 0;  // 0 = the default
  std::size_t rows_per_mode = 1;
  std::size_t population = 0;
  std::vector<SplitRule> splits;
};

// What a suite calls a learner: the name in a registry, and what it is trained on.
struct LearnerName {
  enum class Training { profiles, both, simulated, none };  // maml, maml+sim, maml-sim, auto:0
  std::string base;
  Training training = Training::profiles;
  std::size_t workloads = 0, added = 0, modes = 0;  // maml:4+4, maml:4x200; 0 = all, none, all
  std::string suffix;                               // what follows the base

  std::string with_base(std::string_view other) const;  // of another base, trained on the same
  std::string start() const;                            // maml:4 of maml:4+4; "" where nothing is added
};
LearnerName parse_learner(const std::string& name);  // throws std::invalid_argument for a bad suffix

// Throws datasets::DataError naming the file, section and key, what is expected and what stands there.
Suite read_suite(const std::string& path);

// Throws datasets::DataError naming the learner that is trained on a population where the suite has none, or adds to one that
// is not among the learners.
void check_learners(const Suite& suite);
// Throws datasets::DataError naming the search whose learner is not among the suite's.
void check_searches(const Suite& suite);
// Throws std::invalid_argument listing the known names.
void check_learner(const std::string& name);
void check_sampler(const std::string& name);

// Imports or simulates the suite's profiles. Removes the targets that the suite does not use, and profiles without any other target;
// `notices` names these profiles. Throws datasets::DataError, also when no profile has a target.
datasets::ProfileStore load_profiles(const Suite& suite, const std::string& data_root,
                                     std::vector<std::string>* notices = nullptr);

// One after the other, those of one_out as the splits they stand for. Throws datasets::DataError as make_split.
std::vector<SplitRule> split_rules(const Suite& suite, const datasets::ProfileStore& store);

// Throws datasets::DataError naming the suite and the split when a glob matches nothing, a profile is both trained on and
// tested, or its workload is where the globs of train do not name devices, or nothing is left to train on and a learner of the
// suite is trained.
tasks::Split make_split(const Suite& suite, const SplitRule& rule, const datasets::ProfileStore& store);

bool glob_matches(std::string_view glob, std::string_view text);

}  // namespace fewwatt::benchmarks
