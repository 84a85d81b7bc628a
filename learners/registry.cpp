#include "learners/registry.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "learners/auto.hpp"
#include "learners/ensemble.hpp"
#include "learners/factor.hpp"
#include "learners/fine_tune.hpp"
#include "learners/gp.hpp"
#include "learners/physics.hpp"
#include "learners/proto.hpp"
#include "learners/ridge.hpp"
#include "learners/sim_prior.hpp"
#include "learners/spread.hpp"
#include "learners/transfer.hpp"

namespace fewwatt::learners {
namespace {

using Made = std::unique_ptr<const Learner>;

// An entry without options. make(checkpoint)
template <class Make>
LearnerEntry without_options(LearnerEntry entry, Make make) {
  entry.make = [make](const Checkpoint& c, const Settings&, const Registry&) -> Made { return make(c); };
  return entry;
}

LearnerEntry scratch(const std::string& name, const std::string& about, bool log) {
  return with_options<PublishedRecipe>(
      {.name = name, .about = about},
      [log](const Checkpoint&, const PublishedRecipe& recipe, const Registry&) {
        return std::make_unique<Scratch>(log, recipe);
      });
}

LearnerEntry transfer(const std::string& name, const std::string& about, bool log) {
  return with_options<PublishedRecipe>(
      {.name = name, .about = about, .needs_checkpoint = true},
      [log](const Checkpoint& c, const PublishedRecipe& recipe, const Registry&) {
        return std::make_unique<Transfer>(TransferModel::from_checkpoint(c, log), recipe);
      });
}

bool has_stated_workloads(const Checkpoint& sim_prior, const Registry&) {
  return SimPriorModel::from_checkpoint(sim_prior).stated.has_value();
}

bool a_member_needs_no_rows(const Checkpoint& whole, const Registry& registry) {
  const auto names = member_names(whole);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return needs_no_rows(member_checkpoint(whole, name), registry);
  });
}

std::vector<LearnerEntry> builtin_learners() {
  std::vector<LearnerEntry> all;
  all.push_back(with_options<AutoOptions>(
      {.name = "auto",
       .about = "the default: sim_prior and others, weighed by how they predict rows of the support",
       .gives_uncertainty = true,
       .weighs_rows = true,
       .joint_targets = true,
       .combines = true,
       .doubts_rows = true,
       .most_rows = kMostRows,
       .needs_no_rows = a_member_needs_no_rows},
      [](const Checkpoint& c, const AutoOptions& options, const Registry& registry) {
        return std::make_unique<Auto>(c.learner.empty() ? nullptr : &c, options, registry);
      }));
  all.push_back(scratch("scratch", "the published net from random weights", false));
  all.push_back(scratch("scratch-log", "the same net with log targets, inverse and log features", true));
  all.push_back(transfer("transfer", "plain transfer learning from one reference workload", false));
  all.push_back(transfer("transfer-log", "transfer with log targets", true));
  all.push_back(without_options(
      {.name = "fine_tune", .about = "a meta-learned initializer, fine-tuned", .needs_checkpoint = true},
      [](const Checkpoint& c) { return std::make_unique<FineTune>(FineTuneModel::from_checkpoint(c)); }));
  all.push_back(without_options({.name = "physics", .about = "non-negative combination of what clocks cost"},
                                [](const Checkpoint&) { return std::make_unique<Physics>(); }));
  all.push_back(
      {.name = "gp",
       .about =
           "Gaussian process on the support alone, or with a mean and kernel learned from other workloads",
       .gives_uncertainty = true,
       .weighs_rows = true,
       .fits_rows = true,
       .most_rows = kMostRows,
       .options = [](OptionVisitor& on) { GpOptions().each(on); },
       .make = [](const Checkpoint& c, const Settings& settings, const Registry&) -> Made {
         if (!c.learner.empty()) {  // training has chosen all that can be set
           set_options(settings, "gp", {});
           return std::make_unique<Gp>(GpModel::from_checkpoint(c));
         }
         GpOptions options;
         set_options(settings, "gp", [&](OptionVisitor& on) { options.each(on); });
         return std::make_unique<Gp>(options);
       }});
  all.push_back(without_options(
      {.name = "proto",
       .about = "prototypical network: heads of the nearest training workloads, and a residual",
       .needs_checkpoint = true,
       .gives_uncertainty = true,
       .fits_rows = true,
       .most_rows = kMostRows},
      [](const Checkpoint& c) { return std::make_unique<Proto>(ProtoModel::from_checkpoint(c)); }));
  all.push_back(without_options(
      {.name = "ridge",
       .about = "a meta-learned net whose last layer is fitted in closed form",
       .needs_checkpoint = true,
       .gives_uncertainty = true,
       .weighs_rows = true},
      [](const Checkpoint& c) { return std::make_unique<Ridge>(RidgeModel::from_checkpoint(c)); }));
  all.push_back(without_options(
      {.name = "factor",
       .about = "factor model: mean and covariance of the training workloads' curves, and a Matern function",
       .needs_checkpoint = true,
       .gives_uncertainty = true,
       .weighs_rows = true,
       .most_rows = kMostRows},
      [](const Checkpoint& c) { return std::make_unique<Factor>(FactorModel::from_checkpoint(c)); }));
  all.push_back(with_options<EnsembleOptions>(
      {.name = "ensemble",
       .about = "several trained learners as one, by how they predict rows of the support",
       .needs_checkpoint = true,
       .gives_uncertainty = true,
       .weighs_rows = true,
       .joint_targets = true,
       .combines = true,
       .most_rows = kMostRows},
      [](const Checkpoint& c, const EnsembleOptions& options, const Registry& registry) {
        return std::make_unique<Ensemble>(c, options, registry);
      }));
  all.push_back(with_options<SimPriorOptions>(
      {.name = "sim_only",
       .about = "Gaussian process around simulated workloads that fit the support",
       .gives_uncertainty = true,
       .weighs_rows = true,
       .joint_targets = true,
       .most_rows = kMostRows},
      [](const Checkpoint&, const SimPriorOptions& options, const Registry&) {
        return std::make_unique<SimPrior>(std::nullopt, options);
      }));
  all.push_back(with_options<SimPriorOptions>(
      {.name = "sim_prior",
       .about = "sim_only with what training workloads have taught it of the knobs",
       .needs_checkpoint = true,
       .gives_uncertainty = true,
       .weighs_rows = true,
       .joint_targets = true,
       .most_rows = kMostRows,
       .needs_no_rows = has_stated_workloads},
      [](const Checkpoint& c, const SimPriorOptions& options, const Registry&) {
        return std::make_unique<SimPrior>(SimPriorModel::from_checkpoint(c), options);
      }));
  return all;
}

Registry make_builtin() {
  Registry registry;
  for (auto& learner : builtin_learners()) registry.learners.add(std::move(learner));
  for (auto& sampler : builtin_samplers()) registry.samplers.add(std::move(sampler));
  for (auto& search : builtin_searches()) registry.searches.add(std::move(search));
  for (auto& controller : builtin_controllers()) registry.controllers.add(std::move(controller));
  return registry;
}

Made make(const LearnerEntry& entry, const Checkpoint& checkpoint, const Settings& settings,
          const Registry& registry) {
  set_options(settings, entry.name, entry.options);
  auto learner = entry.make(checkpoint, settings, registry);
  if (!learner) throw std::invalid_argument("learner " + entry.name + " was not made");
  return learner;
}

}  // namespace

std::string name_error(std::string_view name) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const auto allowed = [&](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_+").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (name.empty() || !letter(static_cast<unsigned char>(name.front())) ||
      !std::all_of(name.begin(), name.end(), allowed))
    return "a name is a letter, then letters, digits, - _ and +";
  for (const std::string_view suffix : {"+sim", "-sim"})
    if (name.ends_with(suffix))
      return "a name does not end in " + std::string(suffix) + ", which suites append";
  return "";
}

const Registry& builtin() {
  static const Registry registry = make_builtin();
  return registry;
}

const LearnerEntry& find_learner(std::string_view name, const Registry& registry) {
  return registry.learners.find(name);
}

std::unique_ptr<const Learner> make_learner(std::string_view name, const Settings& settings,
                                            const Registry& registry) {
  const auto& entry = registry.learners.find(name);
  if (entry.needs_checkpoint) {
    throw std::invalid_argument("learner " + entry.name + " needs a checkpoint (fewwatt meta-train)");
  }
  return make(entry, {}, settings, registry);
}

bool needs_no_rows(const Checkpoint& checkpoint, const Registry& registry) {
  const auto& entry = registry.learners.find(checkpoint.learner);
  return entry.needs_no_rows && entry.needs_no_rows(checkpoint, registry);
}

std::unique_ptr<const Learner> make_learner(const Checkpoint& checkpoint, const Settings& settings,
                                            const Registry& registry) {
  return make(registry.learners.find(checkpoint.learner), checkpoint, settings, registry);
}

}  // namespace fewwatt::learners
