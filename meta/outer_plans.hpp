#pragma once

#include <cmath>
#include <tuple>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "meta/deep_kernel.hpp"
#include "meta/maml.hpp"
#include "meta/proto_net.hpp"
#include "meta/reptile.hpp"
#include "meta/ridge_meta.hpp"
#include "meta/training_run.hpp"

// How the registry's meta-learners with an outer loop are made for given profiles.
namespace fewwatt::meta {

// Of a learner's own steps, what suffices where training goes on.
inline constexpr double kStepsToGoOn = 0.25;

// Options of every outer loop on power modes.
struct LoopOptions {
  int meta_batch = TrainOptions().meta_batch;  // tasks per outer update
  int validate_every = 0;                      // outer updates; 0: there are `validations` in all
  int validations = 10;                        // where validate_every is 0
  int patience = 4;                            // TrainOptions::patience
  int query = static_cast<int>(tasks::TaskSourceOptions().query);  // rows of a task, at most
  double log_scale = 0.2, sub_grid = 0.5;                          // of the augmentation of tasks
  void each(learners::OptionVisitor& on);                          // names every option once
};

// Outer training that suits the profiles at hand; learner and settings are left to fill in.
OuterLoop loop_for(const LoopOptions& options, const std::vector<datasets::Profile>& training, int max_steps);

// A meta-learner, and its settings at test time.
struct Built {
  OnModes modes;              // the meta-learner
  TestTimeSettings settings;  // what is chosen on validation tasks
};

// How a meta-learner is trained whose own options are `own` and those of its loop `loop` where the request does not set them.
// build(options, request, training): what is Built.
template <class Options, class Build>
Plan plan_of(Options own, LoopOptions loop, Build build, bool untrained = false) {
  return [=](const InitializerRequest& request, const std::vector<datasets::Profile>& training) {
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

// The options of several structs, one after the other.
template <class... Options>
learners::EachOption each_of(Options... own) {
  return [=](learners::OptionVisitor& on) {
    auto copies = std::make_tuple(own...);
    std::apply([&](auto&... one) { (one.each(on), ...); }, copies);
  };
}

// On power modes, defaults that differ from those of the structs.
MamlOptions maml_options();
ReptileOptions reptile_options();
// The embedding needs its steps even where the regression does not: few validations.
inline const LoopOptions kProtoLoop = {.validations = 3};
// Each step costs the cube of all rows.
inline const LoopOptions kKernelLoop = {.query = 32};

// Each meta-learner, with the settings of its board's learner that are tried on validation tasks.
Built build_maml(const MamlOptions& options, const InitializerRequest& request,
                 const std::vector<datasets::Profile>& training);
// Half of the updates look at all inner steps.
Built build_maml_plus_plus(MamlOptions options, const InitializerRequest& request,
                           const std::vector<datasets::Profile>& training);
Built build_reptile(const ReptileOptions& options, const InitializerRequest& request,
                    const std::vector<datasets::Profile>& training);
Built build_proto(ProtoNetOptions options, const InitializerRequest& request,
                  const std::vector<datasets::Profile>& training);
Built build_ridge(const RidgeMetaOptions& options, const InitializerRequest& request,
                  const std::vector<datasets::Profile>& training);
Built build_deep_kernel(const DeepKernelOptions& options, const InitializerRequest& request,
                        const std::vector<datasets::Profile>& training);

}  // namespace fewwatt::meta
