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
using tasks::kNumTargets;

// ---- what has an outer loop ----

constexpr std::chrono::seconds kMoment{3};

// Of the learner's own, what suffices where training goes on.
constexpr double kStepsToGoOn = 0.25;

// Options of every outer loop.
struct LoopOptions {
  int meta_batch = TrainOptions().meta_batch;
  int validate_every = 0;
  int validations = 10;  // where validate_every is 0
  int patience = 4;
  int query = static_cast<int>(tasks::TaskSourceOptions().query);
  double log_scale = 0.2, sub_grid = 0.5;

  void each(learners::OptionVisitor& on) {
    on.whole("meta_batch", meta_batch, 1, 1'000'000, "number of tasks per outer update");
    on.whole("validate_every", validate_every, 0, kMostSteps,
             "number of outer updates between validations; 0: there are " + std::to_string(validations) +
                 " validations in all");
    on.whole(
        "patience", patience, 0, kMostSteps,
        "training stops after this many validations in a row without a better one; 0: it never stops early");
    on.whole("query", query, 1, 1'000'000, "greatest number of query rows of a task");
    on.real(
        "log_scale", log_scale, 0, 10,
        "augmentation: a task's log targets are stretched by a random factor, whose log has this standard "
        "deviation");
    on.real("sub_grid", sub_grid, 0, 1,
            "augmentation: share of tasks whose modes come from a random part of the grid");
  }
};

// Outer training that suits the profiles at hand; learner and settings are left to fill in.
OuterLoop loop_for(const LoopOptions& options, const Profiles& training, int max_steps) {
  OuterLoop loop;
  loop.train.steps = max_steps;
  loop.train.meta_batch = options.meta_batch;
  loop.train.validate_every =
      options.validate_every > 0 ? options.validate_every : std::max(1, max_steps / options.validations);
  loop.train.patience = options.patience;
  std::size_t most = 0;
  for (const auto& profile : training) most = std::max(most, profile.modes.size());
  loop.source.max_shots = std::clamp<std::size_t>(most / 2, 1, 50);
  loop.source.min_shots = std::min<std::size_t>(5, loop.source.max_shots);
  loop.source.query = static_cast<std::size_t>(options.query);
  loop.source.augmentation = {.log_offset = 0, .log_scale = options.log_scale, .sub_grid = options.sub_grid};
  return loop;
}

// How a meta-learner is trained whose own options are `own` and those of its loop `loop` where the request does not set them.
// build(options, request, training): the learner, and its settings at test time.
struct Built {
  OnModes modes;
  TestTimeSettings settings;
};
template <class Options, class Build>
Plan plan_of(Options own, LoopOptions loop, Build build, bool untrained = false) {
  return [=](const InitializerRequest& request, const Profiles& training) {
    auto options = own;
    auto of_loop = loop;
    learners::set_options(request.settings, request.name, [&](learners::OptionVisitor& on) {
      options.each(on);
      of_loop.each(on);
    });
    if (request.init && !request.settings.contains("steps"))
      options.max_steps = std::max(1, static_cast<int>(std::lround(kStepsToGoOn * options.max_steps)));
    auto planned = loop_for(of_loop, training, options.max_steps);
    auto built = build(options, request, training);
    planned.modes = std::move(built.modes);
    planned.settings = std::move(built.settings);
    planned.untrained = untrained;
    return planned;
  };
}
template <class... Options>
learners::EachOption each_of(Options... own) {
  return [=](learners::OptionVisitor& on) {
    auto copies = std::make_tuple(own...);
    std::apply([&](auto&... one) { (one.each(on), ...); }, copies);
  };
}

const learners::Checkpoint* init_of(const InitializerRequest& request) {
  return request.init ? &*request.init : nullptr;
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

MamlOptions maml_options() {
  MamlOptions options;
  options.net = net_options();
  return options;
}
Built build_maml(const MamlOptions& options, const InitializerRequest& request, const Profiles& training) {
  FineTuneGrid grid;
  if (options.learned_rates != LearnedRates::none || options.adapted_layers > 0)
    grid.learned_rate_steps = {5, 10, 20, 50};
  return {maml_on_modes(request.name, training, options, request.seed, init_of(request)),
          fine_tune_settings(grid)};
}
// Half of the updates look at all inner steps.
Built build_maml_plus_plus(MamlOptions options, const InitializerRequest& request, const Profiles& training) {
  options.multi_step_until = options.max_steps / 2;
  return build_maml(options, request, training);
}

ReptileOptions reptile_options() {
  ReptileOptions options;
  options.net = net_options();
  return options;
}
Built build_reptile(const ReptileOptions& options, const InitializerRequest& request,
                    const Profiles& training) {
  return {reptile_on_modes(request.name, training, options, request.seed, init_of(request)),
          fine_tune_settings({})};
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

// The embedding needs its steps even where the regression does not: few validations.
const LoopOptions kProtoLoop = {.validations = 3};
Built build_proto(ProtoNetOptions options, const InitializerRequest& request, const Profiles& training) {
  options.interrupted = request.interrupted;
  return {proto_on_modes(request.name, training, options, request.seed, init_of(request)),
          settings_for<learners::ProtoModel>(
              proto_fine_tunes(), &learners::ProtoTarget::fine_tune, try_proto,
              [](const auto& s) { return describe_kernel_fit(s.kernel_steps, s.kernel_freedom); },
              request.interrupted)};
}

Built build_ridge(const RidgeMetaOptions& options, const InitializerRequest& request,
                  const Profiles& training) {
  return {
      ridge_on_modes(request.name, training, options, request.seed, init_of(request)),
      settings_for<learners::RidgeModel>(
          std::vector{0.3, 1.0, 3.0, 10.0}, &learners::RidgeTarget::prior_scale, try_ridge,
          [](double scale) { return "prior spreads times " + std::to_string(scale); }, request.interrupted)};
}

// What the kernel of a gp checkpoint is fitted to a support set with.
std::vector<learners::GpFineTune> gp_fine_tunes() {
  std::vector<learners::GpFineTune> all(1);
  for (const int steps : {20, 40, 80})
    for (const double freedom : {0.5, 1.0}) all.push_back({steps, freedom});
  return all;
}

const LoopOptions kKernelLoop = {.query = 32};  // each step costs the cube of all rows
Built build_deep_kernel(const DeepKernelOptions& options, const InitializerRequest& request,
                        const Profiles& training) {
  return {deep_kernel_on_modes(request.name, training, options, request.seed, init_of(request)),
          settings_for<learners::GpModel>(
              gp_fine_tunes(), &learners::GpTarget::fine_tune, try_gp,
              [](const auto& s) { return describe_kernel_fit(s.steps, s.freedom); }, request.interrupted)};
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

// A control: whatever sim_prior has learned of characteristics is gone.
learners::Checkpoint without_characteristics(const learners::Checkpoint& sim_prior) {
  auto model = learners::SimPriorModel::from_checkpoint(sim_prior);
  model.stated.reset();
  auto blind = model.to_checkpoint();
  blind.origin = sim_prior.origin;
  return blind;
}

// ---- what consists of parts ----

// The option of what consists of parts that sets the steps of those that have an outer loop.
struct StepsOfParts {
  int steps = 0;
  void each(learners::OptionVisitor& on) {
    on.whole("steps", steps, 0, kMostSteps,
             "greatest number of outer updates of each part; 0: what each part has itself");
  }
};
// Theirs, and those of outer loops for all of them.
learners::EachOption options_of_parts(const std::vector<std::string>& names) {
  return [=](learners::OptionVisitor& on) {
    StepsOfParts().each(on);
    LoopOptions().each(on);
    for (const auto& name : names) on.part(name + ".", builtin().meta_learners.find(name).options);
  };
}
// What a part is asked for: what is set for all parts and it has, and its own settings.
InitializerRequest part_of(InitializerRequest request, const std::string& name, const Registry& registry) {
  learners::Settings settings;
  for (const auto& option : learners::options_of(registry.meta_learners.find(name).options)) {
    if (const auto all = request.settings.find(option.name);
        all != request.settings.end() && *all != std::pair<const std::string, std::string>("steps", "0"))
      settings[option.name] = all->second;
    if (const auto own = request.settings.find(name + "." + option.name); own != request.settings.end())
      settings[option.name] = own->second;
  }
  request.name = name;
  request.settings = std::move(settings);
  return request;
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
bool pays_in_auto(const InitializerRequest& request, const Profiles& training, const Registry& registry) {
  return part_of(request, "proto", registry).settings.contains("steps") || !request.also.empty() ||
         rows_in(training) >= kRowsForProto;
}

// proto learns from simulated workloads too, in the modes of the first profile, where no others are given.
InitializerRequest proto_of_auto(const InitializerRequest& whole, const Profiles& training,
                                 const Registry& registry) {
  constexpr std::size_t kSimulated = 32;
  auto request = part_of(whole, "proto", registry);
  if (request.init) {
    const auto names = learners::member_names(*request.init);
    if (std::find(names.begin(), names.end(), "proto") != names.end())
      request.init = learners::member_checkpoint(*request.init, "proto");
    else
      request.init.reset();
  }
  if (const auto rows = rows_in(training);
      !request.settings.contains("steps") && !request.init && rows < kRowsForAllSteps)
    request.settings["steps"] = std::to_string(std::max<std::size_t>(
        1, static_cast<std::size_t>(ProtoNetOptions().max_steps) * rows / kRowsForAllSteps));
  if (request.also.empty())
    request.also = datasets::generate_population(training[0].space, training[0].modes, kSimulated,
                                                 {.seed = request.seed});
  return request;
}

OuterLoop plan_of_proto(const InitializerRequest& proto, const Profiles& training, const Registry& registry) {
  return registry.meta_learners.find("proto").plan(proto, training, registry);
}

learners::Checkpoint auto_of_proto(const InitializerRequest& whole, const Profiles& training, const Log& log,
                                   const learners::Checkpoint& proto, const Registry& registry) {
  auto request = part_of(whole, "sim_prior", registry);
  if (!whole.settings.contains("sim_prior.steps")) request.settings.erase("steps");  // they are proto's
  if (request.init) request.init = learners::member_checkpoint(*request.init, "sim_prior");
  std::vector<learners::MemberCheckpoint> members = {
      {"sim_prior", registry.meta_learners.find("sim_prior").train(request, training, log, registry)}};
  if (!proto.learner.empty()) members.push_back({"proto", proto});
  return learners::checkpoint_of_members("auto", members);
}

// Without what its first member, sim_prior, has learned of characteristics.
learners::Checkpoint auto_without_characteristics(const learners::Checkpoint& whole) {
  std::vector<learners::MemberCheckpoint> members;
  for (const auto& name : learners::member_names(whole))
    members.push_back({name, learners::member_checkpoint(whole, name)});
  members.front().checkpoint = without_characteristics(members.front().checkpoint);
  auto blind = learners::checkpoint_of_members(whole.learner, members);
  blind.origin = whole.origin;
  return blind;
}

// ---- ensembles ----

learners::Checkpoint with_combination(learners::Checkpoint ensemble, const std::string& trained_by,
                                      learners::Combination combination) {
  ensemble.texts["trained_by"] = trained_by;
  ensemble.texts["combination"] = learners::to_string(combination);
  return ensemble;
}

// Of methods, each trained as by itself.
learners::Checkpoint train_stack(const InitializerRequest& request, const Profiles& training, const Log& log,
                                 const Registry& registry) {
  std::vector<learners::MemberCheckpoint> members;
  for (const auto& part : {part_of(request, "sim_prior", registry),
                           proto_of_auto(request, training, registry), part_of(request, "ridge", registry)})
    members.push_back({part.name, train_initializer(part, training, log, registry)});
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
auto train_seeds(const std::string& name) {
  return [name](const InitializerRequest& request, const Profiles& training, const Log& log,
                const Registry& registry) {
    constexpr std::uint64_t kSeeds = 4;
    auto one = request;
    one.name = name;
    std::vector<learners::MemberCheckpoint> members;
    for (std::uint64_t i = 0; i < kSeeds; ++i) {
      one.seed = request.seed + i;
      members.push_back(
          {one.name + "." + std::to_string(i), train_initializer(one, training, log, registry)});
    }
    return with_combination(learners::checkpoint_of_members("ensemble", members), request.name,
                            learners::Combination::stacking);
  };
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
  const auto auto_options = options_of_parts({"proto", "sim_prior"});
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
       .about = "sim_prior, and proto with simulated workloads too, which auto weighs",
       .adapted_by = "auto",
       .goes_on = true,
       .options = auto_options,
       .plan = plan_of_proto,
       .part = proto_of_auto,
       .whole = auto_of_proto,
       .pays = pays_in_auto},
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
       .options = auto_options,
       .plan = plan_of_proto,
       .twin = auto_without_characteristics,
       .part = proto_of_auto,
       .whole = auto_of_proto,
       .pays = pays_in_auto},
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
  return registry;
}

}  // namespace

std::string MetaLearnerEntry::error() const {
  if (static_cast<bool>(plan) == static_cast<bool>(train)) return "it needs one of plan and train";
  if (adapted_by.empty()) return "it needs a learner that adapts it, adapted_by";
  if (twin_of.empty() != !twin) return "twin_of and twin go together";
  if (static_cast<bool>(part) != static_cast<bool>(whole) || (whole && !plan))
    return "part and whole go together, with plan";
  if (pays && !whole) return "pays goes with part and whole";
  return "";
}

const Registry& builtin() {
  static const Registry registry = make_builtin();
  return registry;
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

TrainedInitializer run_training(const InitializerRequest& request, const std::vector<Profile>& training,
                                const RunHooks& hooks, const learners::Checkpoint* resume,
                                const Registry& registry) {
  const auto& entry = registry.meta_learners.find(request.name);
  if (training.empty()) throw std::invalid_argument("train_initializer: no profile to train on");
  learners::set_options(request.settings, request.name, entry.options);
  if (request.init && !entry.goes_on)
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
  const bool pays = !entry.pays || entry.pays(with_also, sorted, registry);
  if (!pays) {
    if (resume != nullptr)
      throw std::invalid_argument("--resume: on these profiles " + request.name +
                                  " is trained without an outer loop to go on with");
    try {
      result.checkpoint = entry.whole(with_also, sorted, hooks.log, {}, registry);
    } catch (const Interrupted&) {
      return {{}, Stop::interrupted, "interrupted"};
    }
  } else if (!entry.plan) {
    if (resume != nullptr)
      throw std::invalid_argument("--resume: " + request.name + " has no outer loop to go on with");
    if (!request.also.empty())
      throw std::invalid_argument("--also: " + request.name + " has no outer loop to draw other tasks in");
    try {
      result.checkpoint = entry.train(with_also, sorted, hooks.log, registry);
    } catch (const Interrupted&) {
      return {{}, Stop::interrupted, "interrupted"};
    }
  } else {
    if (const auto warning = blas_warning(); !warning.empty() && hooks.log) hooks.log("warning: " + warning);
    const auto part = entry.part ? entry.part(with_also, sorted, registry) : with_also;
    const auto plan = [&](const InitializerRequest& asked, const Profiles& profiles) {
      return entry.plan(asked, profiles, registry);
    };
    result = run_outer_loops(part, plan, sorted, hooks, resume, registry);
    if (result.checkpoint.learner.empty()) return result;
    if (entry.whole) {
      // What was interrupted is kept all the same where the rest takes no more than a moment.
      if (result.stop == Stop::interrupted)
        with_also.interrupted = [until = std::chrono::steady_clock::now() + kMoment] {
          return std::chrono::steady_clock::now() > until;
        };
      try {
        result.checkpoint = entry.whole(with_also, sorted, hooks.log, result.checkpoint, registry);
      } catch (const Interrupted&) {
        if (result.stop != Stop::interrupted) result.message = "interrupted after the last outer step";
        return {{}, Stop::interrupted, result.message};
      }
    }
  }
  sorted.insert(sorted.end(), with_also.also.begin(), with_also.also.end());
  result.checkpoint.origin = {request.seed, std::string(hw::git_revision()), hash_of(sorted)};
  if (entry.twin) result.checkpoint = entry.twin(result.checkpoint);
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
