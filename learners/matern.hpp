#pragma once

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Vector;

// The Matern function with nu = 5/2 of knobs that each have a length, logs of which are log_lengths [d]:
//   (1 + s + s^2 / 3) exp(-s),   s = sqrt(5) || (a_i - b_j) / length ||          Rasmussen & Williams 2006, eq. 4.17
Matrix matern(const Matrix& a, const Matrix& b, const Vector& log_lengths);  // [n,m]

// The same of rows with themselves, and what its slopes need.
class MaternOf {
 public:
  MaternOf(const Matrix& z, const Vector& log_lengths);
  const Eigen::MatrixXd& value() const { return value_; }  // [n,n]
  // d / d log_lengths of sum_ij weight_ij value_ij; weight: symmetric, [n,n].
  Vector slopes(const Eigen::MatrixXd& weight) const;

 private:
  Matrix scaled_;           // z / length
  Eigen::MatrixXd common_;  // (1 + s) exp(-s)
  Eigen::MatrixXd value_;
};

}  // namespace fewwatt::learners
