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

// The mean function of a hypothesis.
enum class Mean {
  cloud,     // mean of its cloud
  training,  // mean of the training workloads
  physics,   // what Physics makes of the rows
  flat       // the same in all modes
};

// What mean functions consist of, beside the clouds.
struct MeanFunctions {
  std::unique_ptr<const Predictor> physics;       // adapted to the support
  std::vector<hw::PowerMode> curve_modes;         // of curves, [g], ascending
  std::array<Vector, tasks::kNumTargets> curves;  // [g] mean of the training workloads' logs; [0]: none

  // The mean function of a target at modes, [n], up to a constant. cloud: mean of the hypothesis's cloud there, [n]; it stands in where
  // the training workloads have no mode.
  Vector operator()(int target, Mean kind, std::span<const hw::PowerMode> modes, const Vector& cloud) const;
};
// Those of a support. trained: the model where its modes are those of the space, else nullptr.
MeanFunctions mean_functions_of(const Samples& support, const SimPriorModel* trained);

// One choice of a Gaussian process's hyper-parameters.
struct Scale {
  double a, b;       // factors of the cloud's covariance, and of the residual
  double noise;      // variance of a measurement's log
  double log_prior;  // log of its weight before the rows are seen, up to a constant
};
// A residual, and the scales that hypotheses with it are averaged over.
struct ResidualGroup {
  SimResidual residual;       // see there
  std::vector<Scale> scales;  // one at least
};

// With its group's residual R and one of its scales (a, b, noise), C the covariance of the cloud,
//   log y ~ GP(mean + level, scale a C + b R + kSimLevelVariance) + noise
struct Hypothesis {
  CloudName cloud;    // whose covariance it has
  Mean mean;          // its mean function
  double scale;       // factor of that covariance
  double log_prior;   // log of its weight before the rows are seen, up to a constant
  std::size_t group;  // position among Hypotheses::groups
};
// All hypotheses of a target.
struct Hypotheses {
  std::vector<Hypothesis> all;        // one at least
  std::vector<ResidualGroup> groups;  // that they refer to
  Cloud stated;                       // of kStated, where a hypothesis is about that
  SimPopulation::Rows stated_logs;    // [which, k] logs of its workloads on the rows
};

// Those of a target, which the support has. Throws std::invalid_argument when the model's residual does not fit the space.
Hypotheses hypotheses_of(int target, const Samples& support, const TargetSupport& known,
                         const SimInputs& inputs, const Retrieved& retrieved, const SimPriorOptions& options,
                         const MeanFunctions& means);

}  // namespace fewwatt::learners
