#pragma once

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Vector;

// The Matern function with nu = 5/2. Each knob has a length of its own; log_lengths [d] are their logs.
//   (1 + s + s^2 / 3) exp(-s),   s = sqrt(5) || (a_i - b_j) / length ||          Rasmussen & Williams 2006, eq. 4.17
Matrix matern(const Matrix& a, const Matrix& b, const Vector& log_lengths);  // [n,m]

// The Matern function between the rows of one matrix, kept together with what its slopes need.
class MaternOf {
 public:
  MaternOf(const Matrix& z, const Vector& log_lengths);    // z [n,d]
  const Eigen::MatrixXd& value() const { return value_; }  // [n,n]
  // d / d log_lengths of sum_ij weight_ij value_ij; weight: symmetric, [n,n].
  Vector slopes(const Eigen::MatrixXd& weight) const;

 private:
  Matrix scaled_;           // z / length
  Eigen::MatrixXd common_;  // (1 + s) exp(-s)
  Eigen::MatrixXd value_;
};

}  // namespace fewwatt::learners
