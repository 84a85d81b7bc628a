#pragma once

#include <Eigen/Core>
#include <functional>

namespace fewwatt::tests {

// || analytic - numeric || / || numeric ||, the numeric gradient by central differences over every parameter.
inline double gradient_error(const std::function<double(const Eigen::VectorXd&)>& loss,
                             const Eigen::VectorXd& at, const Eigen::VectorXd& analytic, double step = 1e-5) {
  Eigen::VectorXd numeric(at.size());
  Eigen::VectorXd x = at;
  for (Eigen::Index i = 0; i < at.size(); ++i) {
    x[i] = at[i] + step;
    const double up = loss(x);
    x[i] = at[i] - step;
    const double down = loss(x);
    x[i] = at[i];
    numeric[i] = (up - down) / (2 * step);
  }
  return (analytic - numeric).norm() / numeric.norm();
}

}  // namespace fewwatt::tests
