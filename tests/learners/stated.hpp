#pragma once

#include "learners/log_gaussian.hpp"

namespace fewwatt::tests {

// A prediction by the medians and the standard deviations of its log-normal values, [n,2]; stddev [0,0] = unknown.
struct Stated {
  tasks::Matrix median, stddev = {}, latent_stddev = stddev;

  operator learners::LogGaussian() const {
    const auto log_variance = [&](const tasks::Matrix& of) -> tasks::Matrix {
      if (of.size() == 0) return {};
      return (of.array() / median.array()).square().log1p();
    };
    return {median.array().log(), log_variance(stddev), log_variance(latent_stddev)};
  }
};
// The standard deviation of a log-normal value of which `p` says the median, with the variance of its log.
inline double stddev(const learners::LogGaussian& p, Eigen::Index row, int target) {
  return p.mean(row, target) * std::sqrt(std::expm1(p.log_variance(row, target)));
}
inline void forget_uncertainty(learners::LogGaussian& p) {
  p.log_variance.resize(0, 0);
  p.latent_log_variance.resize(0, 0);
}

}  // namespace fewwatt::tests
