#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "learners/learner.hpp"
#include "learners/sim_prior/cloud.hpp"
#include "learners/sim_prior/options.hpp"
#include "learners/sim_prior/retrieve.hpp"
#include "learners/sim_residual.hpp"

// The second part of SimPrior: which Gaussian processes a target's logs may be a draw of.
namespace fewwatt::learners {

// training: what the training workloads have in common. flat: no mode differs from another.
enum class Mean { cloud, training, physics, flat };

// The mean functions that are the same for all hypotheses of that kind.
struct MeanFunctions {
  std::unique_ptr<const Predictor> physics;
  std::vector<hw::PowerMode> curve_modes;         // of curves, ascending
  std::array<Vector, tasks::kNumTargets> curves;  // mean of the training workloads; [0]: none

  // At modes, [n], before its offset. cloud: mean of the hypothesis's cloud there, which stands in where the training workloads
  // have none. Flat is 0: the offset is all there is.
  Vector operator()(int target, Mean kind, std::span<const hw::PowerMode> modes, const Vector& cloud) const;
};

// Of a Gaussian process: factors of the simulated covariance and of the residual; variance of the noise.
struct Scale {
  double a, b, noise;
  double log_prior;
};
// Residuals, by position, and scales that some hypotheses are averaged over.
struct ResidualGroup {
  std::size_t from, to;
  std::vector<Scale> scales;
};

// With one of its group's residuals R and scales (a, b, noise), C the covariance of the cloud,
//   log y ~ GP(mean + level, scale a C + b R + kSimLevelVariance) + noise
struct Hypothesis {
  CloudName cloud;
  Mean mean;
  double scale, log_prior;
  std::size_t group = 0;
};
struct Hypotheses {
  std::vector<Hypothesis> all;  // those with the same covariance one after the other
  std::vector<ResidualGroup> groups;
  std::vector<SimResidual> residuals;
  Cloud stated;                     // of kStated, where a hypothesis is about that
  SimPopulation::Rows stated_logs;  // [which, k]
};

// Those of a target. support: has the target. Sets means' curve of the target. Throws std::invalid_argument when the model's residual
// does not fit the space.
Hypotheses hypotheses_of(int target, const Samples& support, const TargetSupport& known,
                         const SimInputs& inputs, const Retrieved& retrieved, const SimPriorOptions& options,
                         MeanFunctions& means);

}  // namespace fewwatt::learners
