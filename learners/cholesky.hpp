#pragma once

#include <Eigen/Cholesky>
#include <string_view>

namespace fewwatt::learners {

// Of a symmetric matrix that is positive definite but for rounding. Where it is not, up to kMostJitter of its mean diagonal
// is added to the diagonal, as little as does. Throws std::runtime_error naming `what` ("gp: the covariance of 8 rows")
// when that does not do.
inline constexpr double kMostJitter = 1e-2;
Eigen::LLT<Eigen::MatrixXd> cholesky(const Eigen::MatrixXd& matrix, std::string_view what);

// (L L')^-1, symmetric, of the lower triangle L of a matrix. Unlike LLT::solve(identity) it spares the zeros of L.
Eigen::MatrixXd inverse_of_squared(const Eigen::Ref<const Eigen::MatrixXd>& lower);

}  // namespace fewwatt::learners
