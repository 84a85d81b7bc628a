#include "meta/combined.hpp"

#include <algorithm>

#include "datasets/generate.hpp"
#include "learners/ensemble.hpp"
#include "learners/sim_prior.hpp"
#include "meta/outer_plans.hpp"

namespace fewwatt::meta {
namespace {

using Profiles = std::vector<datasets::Profile>;

// The option of what consists of parts that sets the steps of those that have an outer loop.
struct StepsOfParts {
  int steps = 0;
  void each(learners::OptionVisitor& on) {
    on.whole("steps", steps, 0, kMostSteps,
             "greatest number of outer updates of each part; 0: what each part has itself");
  }
};

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

// proto learns from simulated workloads too, in the modes of the first profile. An embedding of workloads is not learned from few rows,
// but a step costs as much as with many: so it takes as many steps as are the rows' share of kRowsForAllSteps, unless steps are asked for.
InitializerRequest proto_of_stack(const InitializerRequest& whole, const Profiles& training,
                                  const Registry& registry) {
  constexpr std::size_t kSimulated = 32, kRowsForAllSteps = 1000;
  auto request = part_of(whole, "proto", registry);
  std::size_t rows = 0;
  for (const auto& profile : training) rows += profile.modes.size();
  if (!request.settings.contains("steps") && rows < kRowsForAllSteps)
    request.settings["steps"] = std::to_string(std::max<std::size_t>(
        1, static_cast<std::size_t>(ProtoNetOptions().max_steps) * rows / kRowsForAllSteps));
  request.also =
      datasets::generate_population(training[0].space, training[0].modes, kSimulated, {.seed = request.seed});
  return request;
}

learners::Checkpoint with_combination(learners::Checkpoint ensemble, const std::string& trained_by,
                                      learners::Combination combination) {
  ensemble.texts["trained_by"] = trained_by;
  ensemble.texts["combination"] = learners::to_string(combination);
  return ensemble;
}

}  // namespace

learners::EachOption options_of_parts(const std::vector<std::string>& names) {
  return [=](learners::OptionVisitor& on) {
    StepsOfParts().each(on);
    LoopOptions().each(on);
    for (const auto& name : names) on.part(name + ".", builtin().meta_learners.find(name).options);
  };
}

learners::Checkpoint train_auto(const InitializerRequest& whole, const Profiles& training, const Log& log,
                                const Registry& registry) {
  auto request = whole;
  if (request.init) request.init = learners::member_checkpoint(*request.init, "sim_prior");
  return learners::checkpoint_of_members(
      "auto",
      {{"sim_prior", registry.meta_learners.find("sim_prior").train(request, training, log, registry)}});
}

learners::Checkpoint without_characteristics(const learners::Checkpoint& sim_prior) {
  auto model = learners::SimPriorModel::from_checkpoint(sim_prior);
  model.stated.reset();
  auto blind = model.to_checkpoint();
  blind.origin = sim_prior.origin;
  return blind;
}

learners::Checkpoint auto_without_characteristics(const learners::Checkpoint& whole) {
  std::vector<learners::MemberCheckpoint> members;
  for (const auto& name : learners::member_names(whole))
    members.push_back({name, learners::member_checkpoint(whole, name)});
  members.front().checkpoint = without_characteristics(members.front().checkpoint);
  auto blind = learners::checkpoint_of_members(whole.learner, members);
  blind.origin = whole.origin;
  return blind;
}

learners::Checkpoint train_stack(const InitializerRequest& request, const Profiles& training, const Log& log,
                                 const Registry& registry) {
  std::vector<learners::MemberCheckpoint> members;
  for (const auto& part : {part_of(request, "sim_prior", registry),
                           proto_of_stack(request, training, registry), part_of(request, "ridge", registry)})
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

TrainWhole train_seeds(const std::string& name) {
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

}  // namespace fewwatt::meta
