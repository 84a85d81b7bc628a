#include "learners/log_gaussian.hpp"

#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

namespace fewwatt::learners {
namespace {

// Least variance of the log of the mean of many measurements: no prediction is certain.
constexpr double kLeastVariance = 1e-12;

}  // namespace

double normal_quantile(double probability) {
  if (!(probability > 0 && probability < 1)) {
    throw std::invalid_argument("normal_quantile: probability must be in (0, 1), found " +
                                std::to_string(probability));
  }
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * probability);
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double probability_below(double limit, double mean, double variance) {
  if (variance == 0) return mean <= limit ? 1 : 0;
  return normal_cdf((limit - mean) / std::sqrt(variance));
}

LogGaussian LogGaussian::of_medians(const Matrix& medians) {
  return {medians.array().log(), {}, {}};
}

LogGaussian LogGaussian::unknown(Eigen::Index n, Eigen::Index t) {
  const Matrix nothing = Matrix::Constant(n, t, std::nan(""));
  return {nothing, nothing, nothing};
}

void LogGaussian::set(int target, const Vector& mean, const Vector& variance, double noise) {
  log_mean.col(target) = mean;
  log_variance.col(target) = variance;
  latent_log_variance.col(target) = (variance.array() - noise).max(kLeastVariance);
}

bool LogGaussian::predicts(int target) const {
  return rows() == 0 || !log_mean.col(target).array().isNaN().all();
}

LogGaussian LogGaussian::at(std::span<const std::size_t> rows) const {
  const std::vector<Eigen::Index> picked(rows.begin(), rows.end());
  const auto pick = [&](const Matrix& of) { return of.size() > 0 ? Matrix(of(picked, Eigen::all)) : of; };
  return {pick(log_mean), pick(log_variance), pick(latent_log_variance)};
}

Matrix LogGaussian::mean() const {
  return (log_mean.array() + log_variance.array() / 2).exp();
}

Matrix LogGaussian::quantile(double probability) const {
  return (log_mean.array() + normal_quantile(probability) * log_variance.array().sqrt()).exp();
}

double LogGaussian::mean(Eigen::Index row, int target) const {
  return std::exp(log_mean(row, target) + log_variance(row, target) / 2);
}

double LogGaussian::quantile(double probability, Eigen::Index row, int target) const {
  return std::exp(log_mean(row, target) + normal_quantile(probability) * log_stddev(row, target));
}

double LogGaussian::probability_below(double y, Eigen::Index row, int target) const {
  return learners::probability_below(std::log(y), log_mean(row, target), log_variance(row, target));
}

}  // namespace fewwatt::learners
