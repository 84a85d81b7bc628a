#pragma once

#include <cstddef>
#include <vector>

#include "learners/sim_population.hpp"
#include "tasks/task.hpp"

namespace fewwatt::learners {

// Weighted workloads: what they have in common and how they differ. From their logs at some modes, [which,n], a workload
// like them has there the mean weights' logs and the covariance root' root.
struct Cloud {
  std::vector<std::size_t> which;
  Eigen::VectorXf weights;  // sum 1
  // root = spread logs, [r, which], rows sum to 0; [0,0]: root = sqrt(weight) (log - mean)
  SimPopulation::Rows spread = {};
};

// The clouds that priors are made of. Retrieved: of those that fit the support best; all: of some that stand for all there are.
// kStated: training workloads, by what is stated of them; one for each target.
enum CloudName : std::size_t {
  kRetrieved,
  kAll,
  kRetrievedMixtures,
  kAllMixtures,
  kRetrievedBlends,
  kStated,
  kNumClouds
};

// Logs of the cloud at modes, each less its level on the support; mean and deviations.
struct CloudLogs {
  tasks::Vector mean;        // [n]
  SimPopulation::Rows root;  // [which or r, n], sqrt(weight) (log - mean): covariance = root' root
};
// logs [which, n]; levels [which], of each workload's log on the support.
CloudLogs at_modes(const Cloud& cloud, const SimPopulation::Rows& logs, const Eigen::VectorXf& levels);

}  // namespace fewwatt::learners
