#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "learners/sim_prior/hypotheses.hpp"

// The third part of SimPrior: how likely the rows of a target make each hypothesis, and the average of all of them.
namespace fewwatt::learners {

// A hypothesis averaged over its scales. With the functions u(x) = [1, C(x, support), R(x, support), m(x)] of a mode, m its mean
// function less `offset`, the mean of log y is u . mean_of, and its second moment
//   a C(x,x) + b R(x,x) + constant + u' moment u.
// C(x, support) is root(x)' root(support): where the roots are shorter than the support, root(x) stands in its place in u. All of it is
// multiplied by the hypothesis's weight.
struct Component {
  CloudName cloud;                    // whose covariance is C
  Mean mean;                          // which mean function
  std::size_t residual;               // position of R among TargetFit::residuals
  double offset = 0;                  // mean of the mean function over the rows
  double a = 0, b = 0, constant = 0;  // see above
  Vector mean_of;                     // [2 + c + k], c of the cloud, min(k, r)
  Eigen::MatrixXd moment;             // [2 + c + k, 2 + c + k]
};

// What the k rows of a target say of it.
struct TargetFit {
  double level = 0;           // mean of log y over the rows
  double noise_variance = 0;  // of a measurement's log
  SimInputs inputs;           // of the rows
  std::array<Eigen::VectorXf, kNumClouds>
      levels;  // of each cloud's workloads: means of their logs over the rows
  std::array<SimPopulation::Rows, kNumClouds> roots;  // [r,k] of each cloud on the rows, see CloudLogs
  std::vector<SimResidual> residuals;                 // those of Hypotheses::groups
  std::vector<Component> components;                  // of hypotheses with weight
  Cloud stated;                                       // that of the hypotheses
  LeftOut left_out;                                   // how each row is predicted from the others

  // Whether the cloud has fewer directions than there are rows.
  bool has_short_roots(std::size_t cloud) const { return roots[cloud].rows() < roots[cloud].cols(); }
  bool uses(std::size_t cloud) const;  // whether a component is of the cloud
};

// Hypotheses are weighted by (evidence prior)^temper, Rasmussen & Williams 2006, eq. 2.30; those of little weight are left out. Throws
// std::runtime_error when no covariance is positive definite.
TargetFit fit_of(int target, const TargetSupport& known, SimInputs inputs, const Hypotheses& hypotheses,
                 const Retrieved& retrieved, const MeanFunctions& means, const SimPriorOptions& options);

}  // namespace fewwatt::learners
