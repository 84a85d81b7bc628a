#include "meta/registry.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>

#include "datasets/generate.hpp"
#include "hw/version.hpp"
#include "learners/auto.hpp"
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

NetOptions net_options() {
  NetOptions net;
  net.fine_tune.fill({.steps = 100, .rate = 1e-3});
  return net;
}

OuterLoop plan_maml(const InitializerRequest& request, const Profiles& training) {
  MamlOptions options;
  options.net = net_options();
  FineTuneGrid grid;
  if (request.steps > 0) options.max_steps = request.steps;
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
  loop.learner = std::make_unique<Maml>(request.name, training, options, request.seed);
  loop.settings = fine_tune_settings(grid);
  loop.untrained = request.name == "random-init";
  return loop;
}

OuterLoop plan_reptile(const InitializerRequest& request, const Profiles& training) {
  ReptileOptions options;
  options.net = net_options();
  if (request.steps > 0) options.max_steps = request.steps;
  options.inner_rate = request.inner_rate.value_or(options.inner_rate);
  options.inner_steps = request.inner_steps.value_or(options.inner_steps);
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<Reptile>(training, options, request.seed);
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

TestTimeSettings proto_settings() {
  using learners::ProtoModel;
  const auto settings = proto_fine_tunes();
  return {settings.size(),
          [settings](const learners::Checkpoint& snapshot, tasks::Target target, const tasks::Task& task) {
            std::vector<double> errors;
            for (const auto& setting : settings) errors.push_back(try_proto(snapshot, setting, target, task));
            return errors;
          },
          [settings](learners::Checkpoint& snapshot, tasks::Target target, std::size_t setting) {
            auto model = ProtoModel::from_checkpoint(snapshot);
            if (!model.targets[target]) return;
            model.targets[target]->fine_tune = settings[setting];
            snapshot = model.to_checkpoint();
          },
          [settings](std::size_t setting) {
            const auto& s = settings[setting];
            return "kernel with " + std::to_string(s.kernel_steps) + " Adam steps, freedom " +
                   std::to_string(s.kernel_freedom);
          }};
}

OuterLoop plan_proto(const InitializerRequest& request, const Profiles& training) {
  ProtoNetOptions options;
  if (request.steps > 0) options.max_steps = request.steps;
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  options.parts.heads = request.name != "proto-no-heads";
  options.parts.residual = request.name != "proto-no-residual";
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<ProtoNet>(request.name, training, options, request.seed);
  // The embedding needs its steps even where the regression does not.
  loop.train.validate_every = request.validate_every.value_or(std::max(1, options.max_steps / 3));
  loop.settings = proto_settings();
  return loop;
}

OuterLoop plan_ridge(const InitializerRequest& request, const Profiles& training) {
  using learners::RidgeModel;
  RidgeMetaOptions options;
  if (request.steps > 0) options.max_steps = request.steps;
  options.outer_rate = request.outer_rate.value_or(options.outer_rate);
  if (request.name == "r2d2") options.loss = RidgeLoss::squared;
  auto loop = loop_for(request, training, options.max_steps);
  loop.learner = std::make_unique<RidgeMeta>(request.name, training, options, request.seed);
  static constexpr std::array kScales = {0.3, 1.0, 3.0, 10.0};
  loop.settings = {
      kScales.size(),
      [](const learners::Checkpoint& snapshot, tasks::Target target, const tasks::Task& task) {
        std::vector<double> errors;
        for (const double scale : kScales) errors.push_back(try_ridge(snapshot, scale, target, task));
        return errors;
      },
      [](learners::Checkpoint& snapshot, tasks::Target target, std::size_t setting) {
        auto model = RidgeModel::from_checkpoint(snapshot);
        if (!model.targets[target]) return;
        model.targets[target]->prior_scale = kScales[setting];
        snapshot = model.to_checkpoint();
      },
      [](std::size_t setting) { return "prior spreads times " + std::to_string(kScales[setting]); }};
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
  if (request.steps > 0) options.recipe.epochs = request.steps;
  return pretrain(choose_reference(training, options, log), options, log).to_checkpoint();
}

learners::Checkpoint train_sim_prior(const InitializerRequest& request, const Profiles& training,
                                     const Log& log) {
  SimPriorFitOptions options;
  if (request.steps > 0) options.steps = request.steps;
  return fit_sim_prior(training, options, request.seed, log).to_checkpoint();
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

// proto learns from simulated workloads too, in the modes of the first profile, where no others are given.
InitializerRequest proto_of_auto(InitializerRequest request, const Profiles& training) {
  constexpr std::size_t kSimulated = 32;
  request.name = "proto";
  if (request.also.empty())
    request.also = datasets::generate_population(training[0].space, training[0].modes, kSimulated,
                                                 {.seed = request.seed});
  return request;
}

learners::Checkpoint auto_of_proto(InitializerRequest request, const Profiles& training, const Log& log,
                                   const learners::Checkpoint& proto) {
  request.name = "sim_prior";
  request.steps = 0;  // they are proto's
  return learners::auto_checkpoint({train_sim_prior(request, training, log), proto});
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
};

const auto& entries() {
  static const std::array<Entry, 20> table = {{
      {{"transfer", "the published net, trained on one reference workload", "transfer", "", false},
       nullptr,
       train_transfer},
      {{"transfer-log", "transfer with log targets", "transfer-log", "", false}, nullptr, train_transfer},
      {{"auto", "sim_prior, and proto with simulated workloads too, which auto weighs", "auto", ""},
       plan_proto,
       nullptr,
       nullptr,
       proto_of_auto,
       auto_of_proto},
      {{"sim_prior", "what training workloads have that simulated ones have not", "sim_prior", "", false},
       nullptr,
       train_sim_prior},
      {{"auto-blind", "auto without characteristics", "auto", "auto"},
       plan_proto,
       nullptr,
       without_characteristics,
       proto_of_auto,
       auto_of_proto},
      {{"sim_prior-blind", "sim_prior without characteristics", "sim_prior", "sim_prior", false},
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
      {{"random-init", "MAML's net and fine-tuning from random weights", "fine_tune", "maml"},
       plan_maml,
       nullptr,
       untrained},
      {{"ridge", "ALPaCA: a net whose last layer is Bayesian, with a learned prior", "ridge", ""},
       plan_ridge},
      {{"r2d2", "R2D2: a net whose last layer is a ridge regression", "ridge", ""}, plan_ridge},
      {{"proto", "prototypical network: heads of the nearest workloads, and a residual", "proto", ""},
       plan_proto},
      {{"proto-even", "proto with the same weight for all workloads", "proto", "proto"},
       plan_proto,
       nullptr,
       even_prototypes},
      {{"proto-shuffled", "proto with each prototype at its neighbour's place", "proto", "proto"},
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
  const auto sort = [](Profiles& profiles) {  // their order in a file or list must not matter
    std::sort(profiles.begin(), profiles.end(), [](const Profile& a, const Profile& b) {
      return std::tie(a.device, a.workload) < std::tie(b.device, b.workload);
    });
  };
  auto sorted = training;
  auto with_also = request;
  sort(sorted);
  sort(with_also.also);
  TrainedInitializer result;
  if (entry->plan == nullptr) {
    if (resume != nullptr)
      throw std::invalid_argument("--resume: " + request.name + " has no outer loop to go on with");
    if (!request.also.empty())
      throw std::invalid_argument("--also: " + request.name + " has no outer loop to draw other tasks in");
    result.checkpoint = entry->train(request, sorted, hooks.log);
  } else {
    if (const auto warning = blas_warning(); !warning.empty() && hooks.log) hooks.log("warning: " + warning);
    const auto part = entry->part != nullptr ? entry->part(with_also, sorted) : with_also;
    result = run_outer_loops(part, entry->plan, sorted, hooks, resume);
    if (result.checkpoint.learner.empty()) return result;
    if (entry->whole != nullptr)
      result.checkpoint = entry->whole(with_also, sorted, hooks.log, result.checkpoint);
  }
  sorted.insert(sorted.end(), with_also.also.begin(), with_also.also.end());
  result.checkpoint.origin = {request.seed, std::string(hw::git_revision()), hash_of(sorted)};
  if (entry->twin != nullptr) result.checkpoint = entry->twin(result.checkpoint);
  return result;
}

learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<Profile>& training,
                                       const std::function<void(const std::string&)>& log) {
  auto result = run_training(request, training, {.log = log});
  if (!result.message.empty() && log) log(result.message);
  return std::move(result.checkpoint);
}

}  // namespace fewwatt::meta
