#include "learners/update.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::learners {

std::string UpdateOptions::error() const {
  if (!(forget > 0 && forget <= 1))
    return "UpdateOptions: forget must be above 0 and at most 1, got " + std::to_string(forget);
  return "";
}

Samples with_fresh_rows(const Samples& support, const Samples& fresh, const UpdateOptions& options) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  support.check();
  fresh.check();
  const auto factors = [](const Samples& of) {
    return of.noise_factors.size() > 0 ? of.noise_factors
                                       : Matrix(Matrix::Ones(of.targets.rows(), tasks::kNumTargets));
  };
  Samples all = support;
  all.noise_factors = factors(support) * std::pow(options.forget, -static_cast<double>(fresh.size()));
  const Matrix fresh_factors = factors(fresh);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    if (!support.space->index_of(fresh.modes[i]))
      throw std::invalid_argument("row " + std::to_string(i) + ": no mode of the support's device: " +
                                  hw::describe(*fresh.space, fresh.modes[i]));
    const auto known = std::find(support.modes.begin(), support.modes.end(), fresh.modes[i]);
    if (known == support.modes.end()) {
      const auto n = static_cast<Eigen::Index>(all.size());
      all.modes.push_back(fresh.modes[i]);
      all.targets.conservativeResize(n + 1, Eigen::NoChange);
      all.targets.row(n) = fresh.targets.row(row);
      all.noise_factors.conservativeResize(n + 1, Eigen::NoChange);
      all.noise_factors.row(n) = fresh_factors.row(row);
      continue;
    }
    const auto at = static_cast<Eigen::Index>(known - support.modes.begin());
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      double &value = all.targets(at, t), &factor = all.noise_factors(at, t);
      const double other = fresh.targets(row, t), other_factor = fresh_factors(row, t);
      if (std::isnan(other)) continue;
      if (std::isnan(value)) {
        value = other;
        factor = other_factor;
        continue;
      }
      const double old_weight = 1 / factor, weight = 1 / other_factor, sum = old_weight + weight;
      const double mean = (old_weight * value + weight * other) / sum;
      // How far the two values are apart, in usual standard deviations. As in tasks::noise_factor(), one more pair with the usual
      // spread is counted in.
      const double spread = (value - other) / (tasks::kUsualNoise * mean);
      factor = std::max(1.0, (old_weight * weight / sum * spread * spread + 1) / 2) / sum;
      value = mean;
    }
  }
  if ((all.noise_factors.array() == 1).all()) all.noise_factors.resize(0, 0);
  return all;
}

}  // namespace fewwatt::learners
