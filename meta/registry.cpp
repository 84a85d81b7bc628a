#include "meta/registry.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "hw/text.hpp"
#include "hw/version.hpp"
#include "meta/combined.hpp"
#include "meta/factor_fit.hpp"
#include "meta/outer_plans.hpp"
#include "meta/pretrain.hpp"
#include "meta/rl/mode_agents.hpp"
#include "meta/sim_prior_fit.hpp"

namespace fewwatt::meta {
namespace {

using datasets::Profile;
using Profiles = std::vector<Profile>;
using tasks::kNumTargets;

// ---- what has no outer loop ----

// The options of a request, over those that stand where it does not set them.
template <class Options>
Options options_for(const InitializerRequest& request, Options options = {}) {
  learners::set_options(request.settings, request.name,
                        [&](learners::OptionVisitor& on) { options.each(on); });
  options.interrupted = request.interrupted;
  return options;
}

auto train_transfer(bool log_targets) {
  return [log_targets](const InitializerRequest& request, const Profiles& training, const Log& log,
                       const Registry&) {
    auto options = options_for<PretrainOptions>(request);
    options.log_targets = log_targets;
    options.seed = request.seed;
    return pretrain(choose_reference(training, options, log), options, log).to_checkpoint();
  };
}

learners::Checkpoint train_sim_prior(const InitializerRequest& request, const Profiles& training,
                                     const Log& log, const Registry&) {
  SimPriorFitOptions own;
  if (request.init) own.steps = std::max(1, static_cast<int>(std::lround(kStepsToGoOn * own.steps)));
  const auto options = options_for(request, own);
  std::optional<learners::SimPriorModel> start;
  if (request.init) start = learners::SimPriorModel::from_checkpoint(*request.init);
  return fit_sim_prior(training, options, request.seed, log, start ? &*start : nullptr).to_checkpoint();
}

learners::Checkpoint train_factor(const InitializerRequest& request, const Profiles& training, const Log& log,
                                  const Registry&) {
  return fit_factor(training, options_for<FactorFitOptions>(request), request.seed, log).to_checkpoint();
}

// A control: proto with the same weight for all workloads.
learners::Checkpoint even_prototypes(const learners::Checkpoint& proto) {
  auto model = learners::ProtoModel::from_checkpoint(proto);
  model.trained_by = "proto-even";
  model.parts.embedding = false;
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = proto.origin;
  return checkpoint;
}

// ---- the table ----

// With an outer loop that can start from another's checkpoint. `own` and `loop` are its options by default.
template <class Options, class Build>
MetaLearnerEntry looped(MetaLearnerEntry entry, const Options& own, const LoopOptions& loop, Build build,
                        bool untrained = false) {
  entry.options = each_of(own, loop);
  entry.plan = [plan = plan_of(own, loop, build, untrained)](const InitializerRequest& request,
                                                             const Profiles& training, const Registry&) {
    return plan(request, training);
  };
  return entry;
}
// Options that differ from the usual ones.
template <class Options, class Change>
Options with(Options options, Change change) {
  change(options);
  return options;
}

// One of those that fine_tune adapts.
template <class Options, class Build>
MetaLearnerEntry initializer(const std::string& name, const std::string& about, const Options& own,
                             Build build) {
  return looped({.name = name, .about = about, .adapted_by = "fine_tune", .goes_on = true}, own, {}, build);
}
template <class Change>
MetaLearnerEntry proto(const std::string& name, const std::string& about, Change change) {
  return looped({.name = name, .about = about, .adapted_by = "proto", .goes_on = true},
                with(ProtoNetOptions(), change), kProtoLoop, build_proto);
}
MetaLearnerEntry proto_twin(const std::string& name, const std::string& about,
                            learners::Checkpoint (*twin)(const learners::Checkpoint&)) {
  return looped({.name = name, .about = about, .adapted_by = "proto", .twin_of = "proto", .twin = twin},
                ProtoNetOptions(), kProtoLoop, build_proto);
}

std::vector<MetaLearnerEntry> builtin_meta_learners() {
  const auto stack_options = options_of_parts({"sim_prior", "proto", "ridge"});
  const auto transfer_options = each_of(PretrainOptions());
  const auto sim_prior_options = each_of(SimPriorFitOptions());
  const auto maml = maml_options();
  const auto as_it_is = [](ProtoNetOptions&) {};
  return {
      {.name = "transfer",
       .about = "the published net, trained on one reference workload",
       .adapted_by = "transfer",
       .options = transfer_options,
       .train = train_transfer(false)},
      {.name = "transfer-log",
       .about = "transfer with log targets",
       .adapted_by = "transfer-log",
       .options = transfer_options,
       .train = train_transfer(true)},
      {.name = "auto",
       .about = "sim_prior, which auto weighs beside what needs no training",
       .adapted_by = "auto",
       .goes_on = true,
       .options = sim_prior_options,
       .train = train_auto},
      {.name = "sim_prior",
       .about = "what training workloads have that simulated ones have not",
       .adapted_by = "sim_prior",
       .goes_on = true,
       .options = sim_prior_options,
       .train = train_sim_prior},
      {.name = "factor",
       .about = "mean and covariance of training workloads' curves, and a smooth function",
       .adapted_by = "factor",
       .options = each_of(FactorFitOptions()),
       .train = train_factor},
      {.name = "auto-blind",
       .about = "auto without characteristics",
       .adapted_by = "auto",
       .twin_of = "auto",
       .options = sim_prior_options,
       .train = train_auto,
       .twin = auto_without_characteristics},
      {.name = "sim_prior-blind",
       .about = "sim_prior without characteristics",
       .adapted_by = "sim_prior",
       .twin_of = "sim_prior",
       .options = sim_prior_options,
       .train = train_sim_prior,
       .twin = without_characteristics},
      initializer("maml", "MAML, exact second order", maml, build_maml),
      initializer("fomaml", "MAML of first order", with(maml, [](auto& o) { o.inner.first_order = true; }),
                  build_maml),
      initializer("meta-sgd", "MAML with a learned inner rate for each parameter",
                  with(maml, [](auto& o) { o.learned_rates = LearnedRates::per_parameter; }), build_maml),
      initializer("anil", "MAML whose inner loop takes steps of the last layer alone",
                  with(maml, [](auto& o) { o.adapted_layers = 1; }), build_maml),
      initializer("maml++", "MAML with learned rates per layer and step, and multi-step loss",
                  with(maml, [](auto& o) { o.learned_rates = LearnedRates::per_layer_and_step; }),
                  build_maml_plus_plus),
      initializer("reptile", "Reptile: moves towards what fine-tuning reaches", reptile_options(),
                  build_reptile),
      initializer("joint", "MAML's net fitted to all training workloads at once",
                  with(maml, [](auto& o) { o.inner.steps = 0; }), build_maml),
      looped({.name = "random-init",
              .about = "MAML's net and fine-tuning from random weights",
              .adapted_by = "fine_tune",
              .twin_of = "maml",
              .twin = untrained},
             maml, {}, build_maml, /*untrained=*/true),
      looped({.name = "ridge",
              .about = "ALPaCA: a net whose last layer is Bayesian, with a learned prior",
              .adapted_by = "ridge",
              .goes_on = true},
             RidgeMetaOptions(), {}, build_ridge),
      looped({.name = "r2d2",
              .about = "R2D2: a net whose last layer is a ridge regression",
              .adapted_by = "ridge",
              .goes_on = true},
             with(RidgeMetaOptions(), [](auto& o) { o.loss = RidgeLoss::squared; }), {}, build_ridge),
      looped({.name = "gp-meta",
              .about = "Gaussian process with a learned mean and kernel",
              .adapted_by = "gp",
              .goes_on = true},
             with(DeepKernelOptions(), [](auto& o) { o.embedding = 0; }), kKernelLoop, build_deep_kernel),
      looped({.name = "deep-kernel",
              .about = "deep kernel transfer: gp-meta whose kernel acts on a net's outputs too",
              .adapted_by = "gp",
              .goes_on = true},
             DeepKernelOptions(), kKernelLoop, build_deep_kernel),
      proto("proto", "prototypical network: heads of the nearest workloads, and a residual", as_it_is),
      {.name = "stack",
       .about = "sim_prior, proto, ridge and gp, averaged by stacking",
       .adapted_by = "ensemble",
       .options = stack_options,
       .train = train_stack},
      {.name = "poe",
       .about = "the same as a product of experts",
       .adapted_by = "ensemble",
       .twin_of = "stack",
       .options = stack_options,
       .train = train_stack,
       .twin = product_of},
      {.name = "proto-seeds",
       .about = "four protos from different seeds, averaged by stacking",
       .adapted_by = "ensemble",
       .options = each_of(ProtoNetOptions(), kProtoLoop),
       .train = train_seeds("proto")},
      {.name = "ridge-seeds",
       .about = "four ridges from different seeds, averaged by stacking",
       .adapted_by = "ensemble",
       .options = each_of(RidgeMetaOptions(), LoopOptions()),
       .train = train_seeds("ridge")},
      proto_twin("proto-even", "proto with the same weight for all workloads", even_prototypes),
      proto_twin("proto-shuffled", "proto with each prototype at its neighbour's place", shuffled_prototypes),
      proto("proto-no-heads", "proto without heads: a kernel alone", [](auto& o) { o.parts.heads = false; }),
      proto("proto-no-residual", "proto without a residual: heads alone",
            [](auto& o) { o.parts.residual = false; })};
}

Registry make_builtin() {
  Registry registry;
  static_cast<learners::Registry&>(registry) = learners::builtin();
  for (auto& entry : builtin_meta_learners()) registry.meta_learners.add(std::move(entry));
  registry.agents = builtin_agents();
  return registry;
}

}  // namespace

std::string MetaLearnerEntry::error() const {
  if (static_cast<bool>(plan) == static_cast<bool>(train)) return "it needs one of plan and train";
  if (adapted_by.empty()) return "it needs a learner that adapts it, adapted_by";
  if (twin_of.empty() != !twin) return "twin_of and twin go together";
  return "";
}

const Registry& builtin() {
  static const Registry registry = make_builtin();
  return registry;
}

TrainingFacts training_facts(std::string_view name, const Registry& registry) {
  if (const auto* found = registry.meta_learners.look_up(name))
    return {found->about, found->options, false, found->has_outer_loop(), found->goes_on};
  if (const auto* found = registry.agents.look_up(name))
    return {.about = found->about,
            .options = options_of_mode_agent(*found),
            .is_agent = true,
            .has_outer_loop = true};
  auto known = registry.meta_learners.names();
  const auto agents = registry.agents.names();
  known.insert(known.end(), agents.begin(), agents.end());
  throw std::invalid_argument("unknown learner " + std::string(name) +
                              ", known are: " + hw::join(registry.meta_learners.names()) +
                              "; and the agents " + hw::join(agents) + hw::did_you_mean(name, known));
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

learners::Checkpoint twin(std::string_view name, const learners::Checkpoint& trained,
                          const Registry& registry) {
  const auto& entry = registry.meta_learners.find(name);
  if (!entry.twin) throw std::invalid_argument(entry.name + " is the twin of no meta-learner");
  return entry.twin(trained);
}

namespace {

// The training of a learner.
TrainedInitializer train_learner(const MetaLearnerEntry& entry, const InitializerRequest& request,
                                 const Profiles& sorted, const RunHooks& hooks,
                                 const learners::Checkpoint* resume, const Registry& registry) {
  if (entry.plan) {
    const auto plan = [&](const InitializerRequest& asked, const Profiles& profiles) {
      return entry.plan(asked, profiles, registry);
    };
    return run_outer_loops(request, plan, sorted, hooks, resume, registry);
  }
  if (resume != nullptr)
    throw std::invalid_argument("--resume: " + request.name + " has no outer loop to go on with");
  if (!request.also.empty())
    throw std::invalid_argument("--also: " + request.name + " has no outer loop to draw other tasks in");
  TrainedInitializer result;
  try {
    result.checkpoint = entry.train(request, sorted, hooks.log, registry);
  } catch (const Interrupted&) {
    result.stop = Stop::interrupted;
    result.message = "interrupted";
  }
  return result;
}

}  // namespace

TrainedInitializer run_training(const InitializerRequest& request, const std::vector<Profile>& training,
                                const RunHooks& hooks, const learners::Checkpoint* resume,
                                const Registry& registry) {
  const auto facts = training_facts(request.name, registry);
  if (training.empty()) throw std::invalid_argument("train_initializer: no profile to train on");
  learners::set_options(request.settings, request.name, facts.options);
  if (request.init && !facts.goes_on)
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
  if (const auto warning = blas_warning(); facts.has_outer_loop && !warning.empty() && hooks.log)
    hooks.log("warning: " + warning);
  const auto* learner = registry.meta_learners.look_up(request.name);
  auto result = learner != nullptr
                    ? train_learner(*learner, with_also, sorted, hooks, resume, registry)
                    : train_mode_agent(registry.agents.find(request.name), with_also, sorted, hooks, resume);
  if (result.checkpoint.learner.empty()) return result;
  sorted.insert(sorted.end(), with_also.also.begin(), with_also.also.end());
  result.checkpoint.origin = {request.seed, std::string(hw::git_revision()), hash_of(sorted)};
  if (learner != nullptr && learner->twin) result.checkpoint = learner->twin(result.checkpoint);
  return result;
}

learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<Profile>& training, const Log& log,
                                       const Registry& registry) {
  auto result =
      run_training(request, training, {.log = log, .interrupted = request.interrupted}, nullptr, registry);
  if (result.stop == Stop::interrupted) throw Interrupted();
  if (!result.message.empty() && log) log(result.message);
  return std::move(result.checkpoint);
}

}  // namespace fewwatt::meta
