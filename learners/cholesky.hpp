#pragma once

#include <Eigen/Cholesky>
#include <string_view>

namespace fewwatt::learners {

inline constexpr double kMostJitter = 1e-2;  // see cholesky()
// The Cholesky decomposition of a symmetric matrix that is positive definite except for rounding. Where rounding matters, the smallest
// sufficient value is added to the diagonal, up to kMostJitter of its mean. Throws std::runtime_error naming `what` ("gp: the covariance
// of 8 rows") when that is not enough.
Eigen::LLT<Eigen::MatrixXd> cholesky(const Eigen::MatrixXd& matrix, std::string_view what);

// (L L')^-1, symmetric, of the lower triangle L of a matrix. Unlike LLT::solve(identity) it makes use of the zeros of L.
Eigen::MatrixXd inverse_of_squared(const Eigen::Ref<const Eigen::MatrixXd>& lower);

}  // namespace fewwatt::learners
