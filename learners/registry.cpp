#include "learners/registry.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>
#include <string>

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

struct Entry {
  LearnerFacts facts;
  Made (*make)(const Checkpoint&);  // the checkpoint is empty for a learner that needs none
};

Made make_transfer(const Checkpoint& c) {
  return std::make_unique<Transfer>(TransferModel::from_checkpoint(c));
}

const auto& entries() {
  static const std::array<Entry, 14> table = {{
      {{.name = "auto",
        .about = "the default: sim_prior and others, weighed by how they predict rows of the support",
        .gives_uncertainty = true,
        .weighs_rows = true,
        .joint_targets = true,
        .min_shots = 0,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made { return std::make_unique<Auto>(c.learner.empty() ? nullptr : &c); }},
      {{.name = "scratch", .about = "the published net from random weights"},
       [](const Checkpoint&) -> Made { return std::make_unique<Scratch>(false); }},
      {{.name = "scratch-log", .about = "the same net with log targets, inverse and log features"},
       [](const Checkpoint&) -> Made { return std::make_unique<Scratch>(true); }},
      {{.name = "transfer",
        .about = "plain transfer learning from one reference workload",
        .needs_checkpoint = true},
       make_transfer},
      {{.name = "transfer-log", .about = "transfer with log targets", .needs_checkpoint = true},
       make_transfer},
      {{.name = "fine_tune", .about = "a meta-learned initializer, fine-tuned", .needs_checkpoint = true},
       [](const Checkpoint& c) -> Made {
         return std::make_unique<FineTune>(FineTuneModel::from_checkpoint(c));
       }},
      {{.name = "physics", .about = "non-negative combination of what clocks cost"},
       [](const Checkpoint&) -> Made { return std::make_unique<Physics>(); }},
      {{.name = "gp",
        .about =
            "Gaussian process on the support alone, or with a mean and kernel learned from other workloads",
        .gives_uncertainty = true,
        .weighs_rows = true,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made {
         return c.learner.empty() ? std::make_unique<Gp>()
                                  : std::make_unique<Gp>(GpModel::from_checkpoint(c));
       }},
      {{.name = "proto",
        .about = "prototypical network: heads of the nearest training workloads, and a residual",
        .needs_checkpoint = true,
        .gives_uncertainty = true,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made { return std::make_unique<Proto>(ProtoModel::from_checkpoint(c)); }},
      {{.name = "ridge",
        .about = "a meta-learned net whose last layer is fitted in closed form",
        .needs_checkpoint = true,
        .gives_uncertainty = true,
        .weighs_rows = true},
       [](const Checkpoint& c) -> Made { return std::make_unique<Ridge>(RidgeModel::from_checkpoint(c)); }},
      {{.name = "factor",
        .about = "factor model: mean and covariance of the training workloads' curves, and a Matern function",
        .needs_checkpoint = true,
        .gives_uncertainty = true,
        .weighs_rows = true,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made { return std::make_unique<Factor>(FactorModel::from_checkpoint(c)); }},
      {{.name = "ensemble",
        .about = "several trained learners as one, by how they predict rows of the support",
        .needs_checkpoint = true,
        .gives_uncertainty = true,
        .weighs_rows = true,
        .joint_targets = true,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made { return std::make_unique<Ensemble>(c); }},
      {{.name = "sim_only",
        .about = "Gaussian process around simulated workloads that fit the support",
        .gives_uncertainty = true,
        .weighs_rows = true,
        .joint_targets = true,
        .most_rows = kMostRows},
       [](const Checkpoint&) -> Made { return std::make_unique<SimPrior>(); }},
      {{.name = "sim_prior",
        .about = "sim_only with what training workloads have taught it of the knobs",
        .needs_checkpoint = true,
        .gives_uncertainty = true,
        .weighs_rows = true,
        .joint_targets = true,
        .min_shots = 0,
        .most_rows = kMostRows},
       [](const Checkpoint& c) -> Made {
         return std::make_unique<SimPrior>(SimPriorModel::from_checkpoint(c));
       }},
  }};
  return table;
}

const Entry& find_entry(std::string_view name) {
  std::string known;
  for (const auto& entry : entries()) {
    if (entry.facts.name == name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.facts.name);
  }
  throw std::invalid_argument("unknown learner " + std::string(name) + "; known: " + known);
}

}  // namespace

std::span<const LearnerFacts> learner_facts() {
  static const auto facts = [] {
    std::vector<LearnerFacts> all;
    for (const auto& entry : entries()) all.push_back(entry.facts);
    return all;
  }();
  return facts;
}

const LearnerFacts& find_learner(std::string_view name) {
  return find_entry(name).facts;
}

std::unique_ptr<const Learner> make_learner(std::string_view name) {
  const auto& entry = find_entry(name);
  if (entry.facts.needs_checkpoint) {
    throw std::invalid_argument("learner " + std::string(name) + " needs a checkpoint (fewwatt meta-train)");
  }
  return entry.make({});
}

bool needs_no_rows(const Checkpoint& checkpoint) {
  const bool stated =
      std::any_of(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                  [](const auto& entry) { return entry.first.ends_with("stated/characteristics"); });
  return find_learner(checkpoint.learner).min_shots == 0 && stated;
}

std::unique_ptr<const Learner> make_learner(const Checkpoint& checkpoint) {
  return find_entry(checkpoint.learner).make(checkpoint);
}

}  // namespace fewwatt::learners
