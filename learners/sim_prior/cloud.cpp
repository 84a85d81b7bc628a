#include "learners/sim_prior/cloud.hpp"

namespace fewwatt::learners {

CloudLogs at_modes(const Cloud& cloud, const SimPopulation::Rows& logs, const Eigen::VectorXf& levels) {
  SimPopulation::Rows root = logs.colwise() - levels;
  const Eigen::RowVectorXf mean = cloud.weights.transpose() * root;
  if (cloud.spread.size() > 0) return {mean.transpose().cast<double>(), cloud.spread * root};
  root.rowwise() -= mean;
  root.array().colwise() *= cloud.weights.array().sqrt();
  return {mean.transpose().cast<double>(), std::move(root)};
}

}  // namespace fewwatt::learners
