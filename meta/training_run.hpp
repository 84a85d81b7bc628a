#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/checkpoint.hpp"
#include "meta/meta_learner.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {

// What is asked for. Settings that are not given are the meta-learner's own.
struct InitializerRequest {
  std::string name;  // of the registry
  std::uint64_t seed = 0;
  int steps = 0;                                     // outer steps or epochs; 0 = the learner's own default
  std::vector<std::size_t> shots = {5, 10, 25, 50};  // support sizes that test-time settings are chosen for
  int validation_draws = 3;                          // support draws per left-out profile and number of shots
  std::optional<double> inner_rate = {}, outer_rate = {};
  std::optional<int> inner_steps = {}, meta_batch = {}, validate_every = {}, patience = {};
  // Profiles that are trained on as well but never validated on, as a simulated population beside measured ones.
  std::vector<datasets::Profile> also = {};
  // What the same meta-learner trained before, on some of the profiles. Training goes on from it, without folds, which is where
  // the time goes: a quarter of the learner's own steps, and the test-time settings that were chosen then. What it knows of workloads that are not among the
  // profiles any more, proto and sim_prior forget.
  std::optional<learners::Checkpoint> init = {};
  StopCheck interrupted = {};  // asked within what takes long: RunHooks::interrupted, where that is given
};

// How a snapshot can be fitted to a support set at test time: what is chosen on validation tasks, per target.
struct TestTimeSettings {
  std::size_t count = 0;
  // Mean absolute percentage error on the task's query with each setting, [count]; infinite where one fails.
  std::function<std::vector<double>(const learners::Checkpoint&, tasks::Target, const tasks::Task&)> errors;
  std::function<void(learners::Checkpoint&, tasks::Target, std::size_t setting)> choose;
  std::function<std::string(std::size_t setting)> describe;
};

// How one meta-learner is trained on given profiles.
struct OuterLoop {
  std::unique_ptr<MetaLearner> learner;
  TrainOptions train;
  tasks::TaskSourceOptions source;
  TestTimeSettings settings;
  bool untrained = false;  // the folds choose as ever, but the result is what training starts from
};
// From all profiles that are trained on, those of InitializerRequest::also at the end.
using Plan = std::function<OuterLoop(const InitializerRequest&, const std::vector<datasets::Profile>&)>;

struct RunProgress {
  std::string phase;  // "fold 1/4", "all workloads"
  Progress progress;
  double done = 0;  // share of the outer steps of the whole run, at most 1
};

struct RunHooks {
  std::function<void(const std::string&)> log = {};  // lines for people
  std::function<void(const RunProgress&)> progress = {};
  std::function<bool()> interrupted = {};
  // The state of the whole run, to go on from. Called every validate_every outer steps, after each fold and
  // when interrupted.
  std::function<void(const learners::Checkpoint&)> save = {};
};

struct TrainedInitializer {
  learners::Checkpoint checkpoint;  // learner "" when interrupted before there was anything to keep
  Stop stop = Stop::finished;
  std::string message;  // what stopped it, and what was kept
};

// Leaves out each training workload in turn, or each of at most 4 groups of workloads, trains on the others and
// validates on what is left out: that chooses the number of outer steps and the test-time settings. Then trains
// on all workloads. With one workload there is nothing to validate on and the plan's defaults stand. `resume`
// is what save() got; throws std::invalid_argument naming the setting when it is of another request or of
// other profiles.
TrainedInitializer run_outer_loops(const InitializerRequest& request, const Plan& plan,
                                   const std::vector<datasets::Profile>& training, const RunHooks& hooks,
                                   const learners::Checkpoint* resume);

// FNV-1a, 64 bit, of everything that training sees, in hexadecimal.
std::string hash_of(const std::vector<datasets::Profile>& profiles);

}  // namespace fewwatt::meta
