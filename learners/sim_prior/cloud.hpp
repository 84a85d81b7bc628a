#pragma once

#include <cstddef>
#include <vector>

#include "learners/sim_population.hpp"
#include "tasks/task.hpp"

namespace fewwatt::learners {

// Weighted workloads: what they have in common and how they differ. From their logs at some modes, [which,n], a workload
// like them has there the mean weights' logs and the covariance root' root.
struct Cloud {
  std::vector<std::size_t> which;  // positions of the workloads where they come from
  Eigen::VectorXf weights;         // [which], sum 1
  // root = spread logs, [r, which], rows sum to 0; [0,0]: root = sqrt(weight) (log - mean)
  SimPopulation::Rows spread = {};
};

// The clouds that priors are made of.
enum CloudName : std::size_t {
  kRetrieved,          // simulated workloads that fit the support best
  kAll,                // some simulated workloads, which stand for all of them
  kRetrievedMixtures,  // mixtures of training workloads that fit the support best
  kAllMixtures,        // some mixtures, which stand for all of them
  kRetrievedBlends,    // blends of a training workload and a simulated one that fit the support best
  kStated,             // training workloads, by what is stated of them; one cloud for each target
  kNumClouds           // how many there are
};

// Logs of the cloud at modes, each less its level on the support; mean and deviations.
struct CloudLogs {
  tasks::Vector mean;        // [n]
  SimPopulation::Rows root;  // [which or r, n], sqrt(weight) (log - mean): covariance = root' root
};
// From logs of its workloads, [which, n], and their levels, [which]: the mean of each one's logs over the rows of the support.
CloudLogs at_modes(const Cloud& cloud, const SimPopulation::Rows& logs, const Eigen::VectorXf& levels);

}  // namespace fewwatt::learners
