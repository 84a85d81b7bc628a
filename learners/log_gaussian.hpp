#pragma once

#include <cmath>

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Vector;

// The z with P(Z <= z) = probability for a standard normal Z. Throws std::invalid_argument unless 0 < probability < 1.
double normal_quantile(double probability);
double normal_cdf(double z);  // P(Z <= z) for a standard normal Z
// P(x <= limit) for a normal x; 0 or 1 where its variance is 0.
double probability_below(double limit, double mean, double variance);

// What is predicted of n modes: the log of each of t targets is normal. Learners and decisions work on the logs; medians and the
// like are for files and people. Values y are in the target's unit: time in ms, power in W.
struct LogGaussian {
  Matrix log_mean;             // [n,t] of log y; a column of NaN is a target that is not predicted
  Matrix log_variance;         // [n,t] of log y of a new measurement, >= 0; or [0,0] = unknown
  Matrix latent_log_variance;  // [n,t] the same without the measurement's own noise; [0,0] if log_variance is

  // Medians alone, [n,t] > 0 or NaN.
  static LogGaussian of_medians(const Matrix& medians);
  // NaN in [n,t], with uncertainty: to be filled by set().
  static LogGaussian unknown(Eigen::Index n, Eigen::Index t = tasks::kNumTargets);
  // A column: mean and variance [n] of a new measurement's log, of which `noise` is the measurement's own.
  void set(int target, const Vector& mean, const Vector& variance, double noise);

  Eigen::Index rows() const { return log_mean.rows(); }       // n
  bool uncertain() const { return log_variance.size() > 0; }  // whether variances are known
  bool predicts(int target) const;  // the column has a known value, or there are no rows
  // Standard deviation of the log of a new measurement.
  double log_stddev(Eigen::Index row, int target) const { return std::sqrt(log_variance(row, target)); }
  LogGaussian at(std::span<const std::size_t> rows) const;  // these rows, in this order

  Matrix median() const { return log_mean.array().exp(); }  // [n,t]
  // One entry of median().
  double median(Eigen::Index row, int target) const { return std::exp(log_mean(row, target)); }
  // The rest needs uncertain().
  Matrix mean() const;  // [n,t]: exp(log_mean + log_variance / 2)
  // [n,t]: the y with P(a new measurement <= y) = probability, in (0,1)
  Matrix quantile(double probability) const;
  double mean(Eigen::Index row, int target) const;  // one entry of mean()
  // One entry of quantile().
  double quantile(double probability, Eigen::Index row, int target) const;
  // P(a new measurement <= y)
  double probability_below(double y, Eigen::Index row, int target) const;
};

}  // namespace fewwatt::learners
