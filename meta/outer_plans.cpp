#include "meta/outer_plans.hpp"

#include <algorithm>
#include <limits>

#include "hw/numbers.hpp"
#include "meta/fine_tune_search.hpp"

namespace fewwatt::meta {
namespace {

using Profiles = std::vector<datasets::Profile>;

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

// What the heads and the kernel of a proto checkpoint are fitted to a support set with.
std::vector<learners::ProtoFineTune> proto_fine_tunes() {
  std::vector<learners::ProtoFineTune> all(1);
  for (const int steps : {20, 40, 80}) {
    for (const double freedom : {0.5, 1.0}) all.push_back({.kernel_steps = steps, .kernel_freedom = freedom});
  }
  return all;
}

std::string describe_kernel_fit(int steps, double freedom) {
  return "kernel with " + std::to_string(steps) + " Adam steps, freedom " + hw::number_text(freedom);
}

// What the kernel of a gp checkpoint is fitted to a support set with.
std::vector<learners::GpFineTune> gp_fine_tunes() {
  std::vector<learners::GpFineTune> all(1);
  for (const int steps : {20, 40, 80})
    for (const double freedom : {0.5, 1.0}) all.push_back({steps, freedom});
  return all;
}

}  // namespace

void LoopOptions::each(learners::OptionVisitor& on) {
  on.whole("meta_batch", meta_batch, 1, 1'000'000, "number of tasks per outer update");
  on.whole("validate_every", validate_every, 0, kMostSteps,
           "number of outer updates between validations; 0: there are " + std::to_string(validations) +
               " validations in all");
  on.whole(
      "patience", patience, 0, kMostSteps,
      "training stops after this many validations in a row without a better one; 0: it never stops early");
  on.whole("query", query, 1, 1'000'000, "greatest number of query rows of a task");
  on.real("log_scale", log_scale, 0, 10,
          "augmentation: a task's log targets are stretched by a random factor, whose log has this standard "
          "deviation");
  on.real("sub_grid", sub_grid, 0, 1,
          "augmentation: share of tasks whose modes come from a random part of the grid");
}

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
          [](double scale) { return "prior spreads times " + hw::number_text(scale); }, request.interrupted)};
}

Built build_deep_kernel(const DeepKernelOptions& options, const InitializerRequest& request,
                        const Profiles& training) {
  return {deep_kernel_on_modes(request.name, training, options, request.seed, init_of(request)),
          settings_for<learners::GpModel>(
              gp_fine_tunes(), &learners::GpTarget::fine_tune, try_gp,
              [](const auto& s) { return describe_kernel_fit(s.steps, s.freedom); }, request.interrupted)};
}

}  // namespace fewwatt::meta
