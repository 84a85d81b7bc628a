#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "learners/learner.hpp"
#include "learners/mixtures.hpp"
#include "learners/sim_population.hpp"
#include "learners/sim_prior/cloud.hpp"
#include "learners/sim_prior/model.hpp"
#include "learners/sim_prior/options.hpp"

// The first part of SimPrior: which workloads that might exist are like the one that was measured.
namespace fewwatt::learners {

// What simulated workloads, those of a population's first, take in the modes of a support.
struct SimulatedSupport {
  std::vector<hw::PowerMode> modes;  // ascending
  SimPopulation::Logs logs;          // [population, modes]
};

// One target of a support: its k known rows.
struct TargetSupport {
  TargetRows rows;   // as rows_of() gives them
  Vector logs;       // [k] log y less their mean
  double level = 0;  // that mean
};
// All targets of a support; nullopt: not measured.
using TargetSupports = std::array<std::optional<TargetSupport>, tasks::kNumTargets>;
TargetSupports targets_of(const Samples& support);  // see TargetSupports

// Workloads that might exist, and what training has learned.
struct Sources {
  std::shared_ptr<const SimPopulation> population;  // simulated workloads
  std::shared_ptr<const SimPriorModel> model;       // nullptr without training
  // Of training workloads; blends: of one of them and of the first simulated ones. nullptr without a model, and where modes are
  // not those of training.
  std::shared_ptr<const Mixtures> mixtures, blends;
};

// The clouds of a support, but kStated.
struct Retrieved {
  std::shared_ptr<const hw::PowerModeSpace> space;  // of the device
  Sources sources;                                  // of their workloads
  std::array<Cloud, kNumClouds> clouds;             // without workloads where there is none
  // Logs of their workloads on the rows of each target, [which, k]; [0,0]: none
  std::array<std::array<SimPopulation::Rows, kNumClouds>, tasks::kNumTargets> logs;
  // What is taken off the logs of each workload of the cloud kAll before it is blended; [0]: there are no blends.
  std::array<Eigen::VectorXf, tasks::kNumTargets> levels_in_blends;

  // Logs of the clouds that are wanted, at n modes, [which, n].
  std::array<SimPopulation::Logs, kNumClouds> at(std::span<const hw::PowerMode> modes,
                                                 const std::array<bool, kNumClouds>& wanted) const;
  // Logs of the blends `which` at n modes, [which, n]; all: those of the cloud kAll there.
  SimPopulation::Logs blend(std::span<const hw::PowerMode> modes, std::span<const std::size_t> which,
                            SimPopulation::Logs all) const;
};

// sum over rows of (log y - log of the workload)^2, both less their means, of each workload: [w]. How alike workloads are
// says more than noise does; a row of more than usual noise counts for less. logs [w,k], centred [k].
Vector misfits(const SimPopulation::Rows& logs, const Vector& centred, const Vector& noise_factors);

// w_i ~ exp(-q_i / (2 tau)), sum 1, with the tau that makes 1 / sum w^2 `effective`, or as near as it gets.
Eigen::VectorXf retrieval_weights(const Vector& q, double effective);

// Workloads are retrieved by time and power together:  q = sum over targets of misfit / error^2. simulated: of the support's modes.
Retrieved retrieve(const Sources& sources, const SimPriorOptions& options,
                   std::shared_ptr<const hw::PowerModeSpace> space, const TargetSupports& targets,
                   const SimulatedSupport& simulated);

}  // namespace fewwatt::learners
