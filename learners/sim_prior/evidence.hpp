#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "learners/sim_prior/hypotheses.hpp"

// The third part of SimPrior: how likely the rows of a target make each hypothesis, and the average of all of them.
namespace fewwatt::learners {

struct MeanFunction {
  Mean kind;
  double offset;  // on the support
};

// Hypotheses of one cloud and one residual, each with a mean function of its own, averaged over scales. With the functions
// u(x) = [1, C(x, support), R(x, support), m_1(x) .. m_q(x)] of a mode, the mean of log y is u . mean_of, and its second
// moment
//   a C(x,x) + b R(x,x) + constant + u' moment u.
// C(x, support) is root(x)' root(support): where the roots are shorter than the support, root(x) stands in its place in u.
struct Component {
  std::size_t cloud, residual;
  std::vector<MeanFunction> means = {};
  double a = 0, b = 0, constant = 0;
  Vector mean_of;          // [1 + c + k + q], c of the cloud, min(k, r)
  Eigen::MatrixXd moment;  // [1 + c + k + q, 1 + c + k + q]
};

// What the rows of a target say of it.
struct TargetFit {
  double level = 0;  // of log y on the support
  double noise_variance = 0;
  std::vector<hw::PowerMode> modes;
  SimInputs inputs;
  std::array<Eigen::VectorXf, kNumClouds> levels;     // of each workload's log on the support
  std::array<SimPopulation::Rows, kNumClouds> roots;  // on the support
  std::vector<SimResidual> residuals;
  std::vector<Component> components;
  Cloud stated;
  LeftOut left_out;

  bool has_short_roots(std::size_t cloud) const { return roots[cloud].rows() < roots[cloud].cols(); }
  bool uses(std::size_t cloud) const;
};

// Hypotheses are weighted by (evidence prior)^temper, Rasmussen & Williams 2006, eq. 2.30; those of little weight are left out. Throws
// std::runtime_error when no covariance is positive definite.
TargetFit fit_of(int target, const TargetSupport& known, SimInputs inputs, Hypotheses hypotheses,
                 const Retrieved& retrieved, const MeanFunctions& means, const SimPriorOptions& options);

}  // namespace fewwatt::learners
