#include "learners/cholesky.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace fewwatt::learners {

Eigen::LLT<Eigen::MatrixXd> cholesky(const Eigen::MatrixXd& matrix, std::string_view what) {
  const double size = matrix.size() > 0 ? std::abs(matrix.diagonal().mean()) : 0;
  for (double jitter = 0; jitter <= kMostJitter; jitter = jitter == 0 ? 1e-12 : jitter * 100) {
    Eigen::MatrixXd sum = matrix;
    sum.diagonal().array() += jitter * size;
    Eigen::LLT<Eigen::MatrixXd> llt(sum);
    if (llt.info() == Eigen::Success && llt.matrixLLT().allFinite()) return llt;
  }
  throw std::runtime_error(std::string(what) + " is not positive definite");
}

}  // namespace fewwatt::learners
