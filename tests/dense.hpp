#pragma once

#include <Eigen/Core>

namespace fewwatt::tests {

// Compiled once: these take seconds in every test that includes them.
Eigen::MatrixXd least_squares(const Eigen::MatrixXd& a,
                              const Eigen::MatrixXd& b);        // x of least |a x - b|, per column of b
Eigen::VectorXd eigenvalues(const Eigen::MatrixXd& symmetric);  // ascending

}  // namespace fewwatt::tests
