#include "meta/registry.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <tuple>

#include "datasets/generate.hpp"
#include "hw/version.hpp"
#include "learners/ensemble.hpp"
#include "meta/deep_kernel.hpp"
#include "meta/factor_fit.hpp"
#include "meta/fine_tune_search.hpp"
#include "meta/maml.hpp"
#include "meta/pretrain.hpp"
#include "meta/proto_net.hpp"
#include "meta/reptile.hpp"
#include "meta/ridge_meta.hpp"
#include "meta/sim_prior_fit.hpp"

namespace fewwatt::meta {
namespace {

using datasets::Profile;
using Profiles = std::vector<Profile>;
using Log = std::function<void(const std::string&)>;
using tasks::kNumTargets;

// ---- what has an outer loop ----

constexpr std::chrono::seconds kMoment{3};

// Of the learner's own, what suffices where training goes on.
constexpr double kStepsToGoOn = 0.25;

int steps_of(const InitializerRequest& request, int own) {
  if (request.steps > 0) return request.steps;
  return request.init ? std::max(1, static_cast<int>(std::lround(kStepsToGoOn * own))) : own;
}

const learners::Checkpoint* init_of(const InitializerRequest& request) {
  return request.init ? &*request.init : nullptr;
}

// Outer training that suits the profiles at hand; learner and settings are left to fill in.
OuterLoop loop_for(const InitializerRequest& request, const Profiles& training, int max_steps) {
  OuterLoop loop;
  loop.train.seed = request.seed;
  loop.train.steps = max_steps;
  loop.train.meta_batch = request.meta_batch.value_or(loop.train.meta_batch);
  loop.train.validate_every = request.validate_every.value_or(std::max(1, max_steps / 10));
  loop.train.patience = request.patience.value_or(4);
  std::size_t most = 0;
  for (const auto& profile : training) most = std::max(most, profile.modes.size());
  loop.source.max_shots = std::clamp<std::size_t>(most / 2, 1, 50);
  loop.source.min_shots = std::min<std::size_t>(5, loop.source.max_shots);
  loop.source.augmentation = {.log_offset = 0, .log_scale = 0.2, .sub_grid = 0.5};
  return loop;
}

TestTimeSettings fine_tune_settings(const FineTuneGrid& grid) {
  using learners::FineTuneModel;
  const auto settings = grid.settings();
  return {settings.size(),
          [grid](const learners::Checkpoint& snapshot, tasks::Target target, const tasks::Task& task) {
            const auto model = FineTuneModel::from_checkpoint(snapshot);
            if (!model.targets[target])
              return std::vector<double>(grid.settings().size(), std::numeric_limits<double>::infinity());
            return try_fine_tuning(model, target, task, grid);
          },
          [settings](learners::Checkpoint& snapshot, tasks::Target target, std::size_t setting) {
            auto model = FineTuneModel::from_checkpoint(snapshot);
            if (!model.targets[target]) return;
            model.targets[target]->fine_tune = settings[setting];
            snapshot = model.to_checkpoint();
          },
          [settings](std::size_t setting) { return "fine-tuning with " + describe(settings[setting]); }};
}

// Settings of the member `field` of a Model's targets; attempt(snapshot, setting, target, task) is the error with one.
template <class Model, class Target, class Setting, class Attempt, class Describe>
TestTimeSettings settings_for(const std::vector<Setting>& settings, Setting Target::*field,
                              const Attempt& attempt, const Describe& describe,
                              const StopCheck& interrupted) {
  return {settings.size(),
          [=](const learners::Checkpoint& snapshot, tasks::Target target, const tasks::Task& task) {
            std::vector<double> errors;
            for (const auto& setting : settings) {
              throw_if_told(interrupted);
              errors.push_back(attempt(snapshot, setting, target, task));
            }
            return errors;
          },
          [=](learners::Checkpoint& snapshot, tasks::Target target, std::size_t setting) {
            auto model = Model::from_checkpoint(snapshot);
            if (!model.targets[target]) return;
            (*model.targets[target]).*field = settings[setting];
            snapshot = model.to_checkpoint();
          },
          [=](std::size_t setting) { return describe(settings[setting]); }};
}

NetOptions net_options() {
  NetOptions net;
  net.fine_tune.fill({.steps = 100, .rate = 1e-3});
  return net;
}

OuterLoop plan_maml(const InitializerRequest& request, const Profiles& training) {
  MamlOptions options;
  options.net = net_options();
  FineTuneGrid grid;
  options.max_steps = steps_of(request, options.max_steps);
  options.inner.rate = request.inner_rate.value_or(options.inner.rate);
  options.inner.steps = request.inner_steps.value_or(options.inner.steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  options.inner.first_order = request.name == "fomaml";
  if (request.name == "joint") options.inner.steps = 0;
  if (request.name == "meta-sgd") options.learned_rates = LearnedRates::per_parameter;
  if (request.name == "maml++") {
    options.learned_rates = LearnedRates::per_layer_and_step;
    options.multi_step_until = options.max_steps / 2;
  }
  if (options.learned_rates != LearnedRates::none) grid.learned_rate_steps = {5, 10, 20, 50};
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<Maml>(request.name, training, options, request.seed, init_of(request));
  loop.settings = fine_tune_settings(grid);
  loop.untrained = request.name == "random-init";
  return loop;
}

OuterLoop plan_reptile(const InitializerRequest& request, const Profiles& training) {
  ReptileOptions options;
  options.net = net_options();
  options.max_steps = steps_of(request, options.max_steps);
  options.inner_rate = request.inner_rate.value_or(options.inner_rate);
  options.inner_steps = request.inner_steps.value_or(options.inner_steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<Reptile>(training, options, request.seed, init_of(request));
  loop.settings = fine_tune_settings({});
  return loop;
}

// What the heads and the kernel of a proto checkpoint are fitted to a support set with.
std::vector<learners::ProtoFineTune> proto_fine_tunes() {
  std::vector<learners::ProtoFineTune> all(1);
  for (const int steps : {20, 40, 80}) {
    for (const double freedom : {0.5, 1.0}) all.push_back({.kernel_steps = steps, .kernel_freedom = freedom});
  }
  return all;
}

std::string describe_kernel_fit(int steps, double freedom) {
  return "kernel with " + std::to_string(steps) + " Adam steps, freedom " + std::to_string(freedom);
}

OuterLoop plan_proto(const InitializerRequest& request, const Profiles& training) {
  ProtoNetOptions options;
  options.max_steps = steps_of(request, options.max_steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  options.parts.heads = request.name != "proto-no-heads";
  options.parts.residual = request.name != "proto-no-residual";
  options.interrupted = request.interrupted;
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<ProtoNet>(request.name, training, options, request.seed, init_of(request));
  // The embedding needs its steps even where the regression does not.
  loop.train.validate_every = request.validate_every.value_or(std::max(1, options.max_steps / 3));
  loop.settings = settings_for<learners::ProtoModel>(
      proto_fine_tunes(), &learners::ProtoTarget::fine_tune, try_proto,
      [](const auto& s) { return describe_kernel_fit(s.kernel_steps, s.kernel_freedom); },
      request.interrupted);
  return loop;
}

OuterLoop plan_ridge(const InitializerRequest& request, const Profiles& training) {
  RidgeMetaOptions options;
  options.max_steps = steps_of(request, options.max_steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  if (request.name == "r2d2") options.loss = RidgeLoss::squared;
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<RidgeMeta>(request.name, training, options, request.seed, init_of(request));
  loop.settings = settings_for<learners::RidgeModel>(
      std::vector{0.3, 1.0, 3.0, 10.0}, &learners::RidgeTarget::prior_scale, try_ridge,
      [](double scale) { return "prior spreads times " + std::to_string(scale); }, request.interrupted);
  return loop;
}

// What the kernel of a gp checkpoint is fitted to a support set with.
std::vector<learners::GpFineTune> gp_fine_tunes() {
  std::vector<learners::GpFineTune> all(1);
  for (const int steps : {20, 40, 80})
    for (const double freedom : {0.5, 1.0}) all.push_back({steps, freedom});
  return all;
}

OuterLoop plan_deep_kernel(const InitializerRequest& request, const Profiles& training) {
  DeepKernelOptions options;
  options.max_steps = steps_of(request, options.max_steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  if (request.name == "gp-meta") options.embedding = 0;
  auto loop = loop_for(request, training, options.max_steps);
  loop.source.query = 32;  // each step costs the cube of all rows
  loop.learner =
      std::make_unique<DeepKernel>(request.name, training, options, request.seed, init_of(request));
  loop.settings = settings_for<learners::GpModel>(
      gp_fine_tunes(), &learners::GpTarget::fine_tune, try_gp,
      [](const auto& s) { return describe_kernel_fit(s.steps, s.freedom); }, request.interrupted);
  return loop;
}

learners::Checkpoint even_prototypes(const learners::Checkpoint& proto) {
  auto model = learners::ProtoModel::from_checkpoint(proto);
  model.trained_by = "proto-even";
  model.parts.embedding = false;
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = proto.origin;
  return checkpoint;
}

// ---- what has none ----

learners::Checkpoint train_transfer(const InitializerRequest& request, const Profiles& training,
                                    const Log& log) {
  PretrainOptions options;
  options.log_targets = request.name == "transfer-log";
  options.seed = request.seed;
  options.interrupted = request.interrupted;
  if (request.steps > 0) options.recipe.epochs = request.steps;
  return pretrain(choose_reference(training, options, log), options, log).to_checkpoint();
}

learners::Checkpoint train_sim_prior(const InitializerRequest& request, const Profiles& training,
                                     const Log& log) {
  SimPriorFitOptions options;
  options.steps = steps_of(request, options.steps);
  options.interrupted = request.interrupted;
  std::optional<learners::SimPriorModel> start;
  if (request.init) start = learners::SimPriorModel::from_checkpoint(*request.init);
  return fit_sim_prior(training, options, request.seed, log, start ? &*start : nullptr).to_checkpoint();
}

learners::Checkpoint train_factor(const InitializerRequest& request, const Profiles& training,
                                  const Log& log) {
  FactorFitOptions options;
  if (request.steps > 0) options.steps = request.steps;
  options.interrupted = request.interrupted;
  return fit_factor(training, options, request.seed, log).to_checkpoint();
}

// A control: whatever sim_prior has learned of characteristics is gone, also where it is part of auto.
learners::Checkpoint without_characteristics(const learners::Checkpoint& trained) {
  auto blind = trained;
  const auto forget = [](auto& entries) {
    std::erase_if(entries,
                  [](const auto& entry) { return entry.first.find("stated/") != std::string::npos; });
  };
  forget(blind.tensors);
  forget(blind.numbers);
  return blind;
}

// ---- auto ----

// An embedding of workloads is not learned from few rows, but a step costs as much as with many. So auto trains proto in as many
// steps as are the rows' share of kRowsForAllSteps, and with fewer than kRowsForProto does without, unless steps are asked for.
constexpr std::size_t kRowsForProto = 100, kRowsForAllSteps = 1000;
std::size_t rows_in(const Profiles& training) {
  std::size_t rows = 0;
  for (const auto& profile : training) rows += profile.modes.size();
  return rows;
}
bool pays_in_auto(const InitializerRequest& request, const Profiles& training) {
  return request.steps > 0 || !request.also.empty() || rows_in(training) >= kRowsForProto;
}

// proto learns from simulated workloads too, in the modes of the first profile, where no others are given.
InitializerRequest proto_of_auto(InitializerRequest request, const Profiles& training) {
  constexpr std::size_t kSimulated = 32;
  request.name = "proto";
  if (request.init) {
    const auto names = learners::member_names(*request.init);
    if (std::find(names.begin(), names.end(), "proto") != names.end())
      request.init = learners::member_checkpoint(*request.init, "proto");
    else
      request.init.reset();
  }
  if (const auto rows = rows_in(training); request.steps == 0 && !request.init && rows < kRowsForAllSteps)
    request.steps = std::max(
        1, static_cast<int>(static_cast<std::size_t>(ProtoNetOptions().max_steps) * rows / kRowsForAllSteps));
  if (request.also.empty())
    request.also = datasets::generate_population(training[0].space, training[0].modes, kSimulated,
                                                 {.seed = request.seed});
  return request;
}

learners::Checkpoint auto_of_proto(InitializerRequest request, const Profiles& training, const Log& log,
                                   const learners::Checkpoint& proto) {
  request.name = "sim_prior";
  request.steps = 0;  // they are proto's
  if (request.init) request.init = learners::member_checkpoint(*request.init, "sim_prior");
  std::vector<learners::MemberCheckpoint> members = {{"sim_prior", train_sim_prior(request, training, log)}};
  if (!proto.learner.empty()) members.push_back({"proto", proto});
  return learners::checkpoint_of_members("auto", members);
}

// ---- ensembles ----

learners::Checkpoint with_combination(learners::Checkpoint ensemble, const std::string& trained_by,
                                      learners::Combination combination) {
  ensemble.texts["trained_by"] = trained_by;
  ensemble.texts["combination"] = learners::to_string(combination);
  return ensemble;
}

// Of methods, each trained as by itself.
learners::Checkpoint train_stack(const InitializerRequest& request, const Profiles& training,
                                 const Log& log) {
  std::vector<learners::MemberCheckpoint> members;
  for (const std::string name : {"sim_prior", "proto", "ridge"}) {
    auto one = request;
    one.name = name;
    if (name == "proto") one = proto_of_auto(one, training);
    members.push_back({name, train_initializer(one, training, log)});
  }
  members.push_back({"gp"});
  return with_combination(learners::checkpoint_of_members("ensemble", members), request.name,
                          learners::Combination::stacking);
}

learners::Checkpoint product_of(const learners::Checkpoint& stack) {
  auto product = with_combination(stack, "poe", learners::Combination::product);
  product.origin = stack.origin;
  return product;
}

// Of initializers, that differ in their seed: "proto-seeds" of proto.
learners::Checkpoint train_seeds(const InitializerRequest& request, const Profiles& training,
                                 const Log& log) {
  constexpr std::uint64_t kSeeds = 4;
  auto one = request;
  one.name = request.name.substr(0, request.name.find('-'));
  std::vector<learners::MemberCheckpoint> members;
  for (std::uint64_t i = 0; i < kSeeds; ++i) {
    one.seed = request.seed + i;
    members.push_back({one.name + "." + std::to_string(i), train_initializer(one, training, log)});
  }
  return with_combination(learners::checkpoint_of_members("ensemble", members), request.name,
                          learners::Combination::stacking);
}

// ---- the table ----

struct Entry {
  MetaLearnerFacts facts;
  OuterLoop (*plan)(const InitializerRequest&, const Profiles&);  // nullptr for what has no outer loop
  learners::Checkpoint (*train)(const InitializerRequest&, const Profiles&,
                                const Log&) = nullptr;  // without plan
  // From what the plan gives, or the checkpoint of what this is the twin of; nullptr = as it is.
  learners::Checkpoint (*twin)(const learners::Checkpoint&) = nullptr;
  // The request that the plan gets; what becomes of its checkpoint. nullptr = as they are.
  InitializerRequest (*part)(InitializerRequest, const Profiles&) = nullptr;
  learners::Checkpoint (*whole)(InitializerRequest, const Profiles&, const Log&,
                                const learners::Checkpoint&) = nullptr;
  // Whether the plan is worth its time, where the whole can do without. nullptr = always.
  bool (*pays)(const InitializerRequest&, const Profiles&) = nullptr;
};

const auto& entries() {
  static const std::array<Entry, 27> table = {{
      {{"transfer", "the published net, trained on one reference workload", "transfer", "", false, false},
       nullptr,
       train_transfer},
      {{"transfer-log", "transfer with log targets", "transfer-log", "", false, false},
       nullptr,
       train_transfer},
      {{"auto", "sim_prior, and proto with simulated workloads too, which auto weighs", "auto", ""},
       plan_proto,
       nullptr,
       nullptr,
       proto_of_auto,
       auto_of_proto,
       pays_in_auto},
      {{"sim_prior", "what training workloads have that simulated ones have not", "sim_prior", "", false},
       nullptr,
       train_sim_prior},
      {{"factor", "mean and covariance of training workloads' curves, and a smooth function", "factor", "",
        false, false},
       nullptr,
       train_factor},
      {{"auto-blind", "auto without characteristics", "auto", "auto", true, false},
       plan_proto,
       nullptr,
       without_characteristics,
       proto_of_auto,
       auto_of_proto,
       pays_in_auto},
      {{"sim_prior-blind", "sim_prior without characteristics", "sim_prior", "sim_prior", false, false},
       nullptr,
       train_sim_prior,
       without_characteristics},
      {{"maml", "MAML, exact second order", "fine_tune", ""}, plan_maml},
      {{"fomaml", "MAML of first order", "fine_tune", ""}, plan_maml},
      {{"meta-sgd", "MAML with a learned inner rate for each parameter", "fine_tune", ""}, plan_maml},
      {{"maml++", "MAML with learned rates per layer and step, and multi-step loss", "fine_tune", ""},
       plan_maml},
      {{"reptile", "Reptile: moves towards what fine-tuning reaches", "fine_tune", ""}, plan_reptile},
      {{"joint", "MAML's net fitted to all training workloads at once", "fine_tune", ""}, plan_maml},
      {{"random-init", "MAML's net and fine-tuning from random weights", "fine_tune", "maml", true, false},
       plan_maml,
       nullptr,
       untrained},
      {{"ridge", "ALPaCA: a net whose last layer is Bayesian, with a learned prior", "ridge", ""},
       plan_ridge},
      {{"r2d2", "R2D2: a net whose last layer is a ridge regression", "ridge", ""}, plan_ridge},
      {{"gp-meta", "Gaussian process with a learned mean and kernel", "gp", ""}, plan_deep_kernel},
      {{"deep-kernel", "deep kernel transfer: gp-meta whose kernel acts on a net's outputs too", "gp", ""},
       plan_deep_kernel},
      {{"proto", "prototypical network: heads of the nearest workloads, and a residual", "proto", ""},
       plan_proto},
      {{"stack", "sim_prior, proto, ridge and gp, averaged by stacking", "ensemble", "", false, false},
       nullptr,
       train_stack},
      {{"poe", "the same as a product of experts", "ensemble", "stack", false, false},
       nullptr,
       train_stack,
       product_of},
      {{"proto-seeds", "four protos from different seeds, averaged by stacking", "ensemble", "", false,
        false},
       nullptr,
       train_seeds},
      {{"ridge-seeds", "four ridges from different seeds, averaged by stacking", "ensemble", "", false,
        false},
       nullptr,
       train_seeds},
      {{"proto-even", "proto with the same weight for all workloads", "proto", "proto", true, false},
       plan_proto,
       nullptr,
       even_prototypes},
      {{"proto-shuffled", "proto with each prototype at its neighbour's place", "proto", "proto", true,
        false},
       plan_proto,
       nullptr,
       shuffled_prototypes},
      {{"proto-no-heads", "proto without heads: a kernel alone", "proto", ""}, plan_proto},
      {{"proto-no-residual", "proto without a residual: heads alone", "proto", ""}, plan_proto},
  }};
  return table;
}

}  // namespace

std::span<const MetaLearnerFacts> meta_learner_facts() {
  static const auto facts = [] {
    std::vector<MetaLearnerFacts> all;
    for (const auto& entry : entries()) all.push_back(entry.facts);
    return all;
  }();
  return facts;
}

learners::Checkpoint untrained(const learners::Checkpoint& maml) {
  auto model = learners::FineTuneModel::from_checkpoint(maml);
  model.trained_by = "random-init";
  for (int t = 0; t < kNumTargets; ++t) {
    if (model.targets[t]) model.targets[t]->weights = initial_weights(model.shape, maml.origin.seed, t);
  }
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = maml.origin;
  return checkpoint;
}

learners::Checkpoint twin(std::string_view name, const learners::Checkpoint& trained) {
  for (const auto& entry : entries()) {
    if (entry.facts.name == name && !entry.facts.twin_of.empty()) return entry.twin(trained);
  }
  throw std::invalid_argument(std::string(name) + " is the twin of no meta-learner");
}

TrainedInitializer run_training(const InitializerRequest& request, const std::vector<Profile>& training,
                                const RunHooks& hooks, const learners::Checkpoint* resume) {
  const auto entry = std::find_if(entries().begin(), entries().end(),
                                  [&](const Entry& e) { return e.facts.name == request.name; });
  if (entry == entries().end()) {
    std::string known;
    for (const auto& e : entries()) known += (known.empty() ? "" : ", ") + std::string(e.facts.name);
    throw std::invalid_argument("unknown meta-learner " + request.name + "; known: " + known);
  }
  if (training.empty()) throw std::invalid_argument("train_initializer: no profile to train on");
  if (request.steps < 0) {
    throw std::invalid_argument("train_initializer: steps must be >= 0, got " +
                                std::to_string(request.steps));
  }
  if (request.init && !entry->facts.goes_on)
    throw std::invalid_argument("--init: training of " + request.name + " does not go on from another");
  if (request.init && request.init->text("trained_by") != request.name)
    throw std::invalid_argument("--init: expected an initializer trained by " + request.name +
                                ", found one by " + request.init->text("trained_by"));
  const auto sort = [](Profiles& profiles) {  // their order in a file or list must not matter
    std::sort(profiles.begin(), profiles.end(), [](const Profile& a, const Profile& b) {
      return std::tie(a.device, a.workload) < std::tie(b.device, b.workload);
    });
  };
  auto sorted = training;
  auto with_also = request;
  if (hooks.interrupted) with_also.interrupted = hooks.interrupted;
  sort(sorted);
  sort(with_also.also);
  TrainedInitializer result;
  const bool pays = entry->pays == nullptr || entry->pays(with_also, sorted);
  if (!pays) {
    if (resume != nullptr)
      throw std::invalid_argument("--resume: with less than " + std::to_string(kRowsForProto) +
                                  " rows to train on " + request.name + " has no outer loop to go on with");
    try {
      result.checkpoint = entry->whole(with_also, sorted, hooks.log, {});
    } catch (const Interrupted&) {
      return {{}, Stop::interrupted, "interrupted"};
    }
  } else if (entry->plan == nullptr) {
    if (resume != nullptr)
      throw std::invalid_argument("--resume: " + request.name + " has no outer loop to go on with");
    if (!request.also.empty())
      throw std::invalid_argument("--also: " + request.name + " has no outer loop to draw other tasks in");
    try {
      result.checkpoint = entry->train(with_also, sorted, hooks.log);
    } catch (const Interrupted&) {
      return {{}, Stop::interrupted, "interrupted"};
    }
  } else {
    if (const auto warning = blas_warning(); !warning.empty() && hooks.log) hooks.log("warning: " + warning);
    const auto part = entry->part != nullptr ? entry->part(with_also, sorted) : with_also;
    result = run_outer_loops(part, entry->plan, sorted, hooks, resume);
    if (result.checkpoint.learner.empty()) return result;
    if (entry->whole != nullptr) {
      // What was interrupted is kept all the same where the rest takes no more than a moment.
      if (result.stop == Stop::interrupted)
        with_also.interrupted = [until = std::chrono::steady_clock::now() + kMoment] {
          return std::chrono::steady_clock::now() > until;
        };
      try {
        result.checkpoint = entry->whole(with_also, sorted, hooks.log, result.checkpoint);
      } catch (const Interrupted&) {
        if (result.stop != Stop::interrupted) result.message = "interrupted after the last outer step";
        return {{}, Stop::interrupted, result.message};
      }
    }
  }
  sorted.insert(sorted.end(), with_also.also.begin(), with_also.also.end());
  result.checkpoint.origin = {request.seed, std::string(hw::git_revision()), hash_of(sorted)};
  if (entry->twin != nullptr) result.checkpoint = entry->twin(result.checkpoint);
  return result;
}

learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<Profile>& training,
                                       const std::function<void(const std::string&)>& log) {
  auto result = run_training(request, training, {.log = log, .interrupted = request.interrupted});
  if (result.stop == Stop::interrupted) throw Interrupted();
  if (!result.message.empty() && log) log(result.message);
  return std::move(result.checkpoint);
}

}  // namespace fewwatt::meta
