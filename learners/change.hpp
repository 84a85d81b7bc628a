#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tasks/task.hpp"

namespace fewwatt::learners {

// When is a workload no longer what it was? Residuals z, standardised, of time and of power are added up as long as they go one
// way; Page 1954, Biometrika 41, for either sign of each:
//   S+ <- max(0, S+ + z - allowance),   S- <- max(0, S- - z - allowance),   an alarm where one of them is above threshold
struct ChangeOptions {
  double allowance = 1;  // half of the least shift that is to be noticed, standard deviations
  // The default: change_threshold(1, 200, 0.02), so that 1 stream of 50 that does not change raises an alarm within 200
  // measurements; fewer than the 1 of 20 that is allowed, for residuals that are not quite normal.
  double threshold = 4.46;
  std::string error() const;  // "" when valid: both > 0
};

// The threshold that the sums of time and power of a share `false_alarms` of all streams of `measurements` pass, where residuals
// are independent and standard normal: a quantile of their greatest sums, from `streams` that are drawn.
double change_threshold(double allowance, std::size_t measurements, double false_alarms,
                        std::size_t streams = 20000, std::uint64_t seed = 0);

class ChangeDetector {
 public:
  explicit ChangeDetector(ChangeOptions options = {});  // throws std::invalid_argument for options.error()

  // Residuals of one measurement; NaN = not measured, which leaves the sums of that target as they are. True: an alarm.
  bool add(const std::array<double, tasks::kNumTargets>& residuals);
  // How many of the last measurements have come since the change, as the sum that is greatest has it: since it was last 0.
  std::size_t since() const;
  double greatest() const;  // sum
  void reset();

 private:
  struct Sum {
    double value = 0;
    std::size_t length = 0;  // since it was 0
  };
  const Sum& greatest_sum() const;

  ChangeOptions options_;
  std::array<Sum, 2 * tasks::kNumTargets> sums_;
};

// What is known of the log of a target in one mode: its level ~ N(mean, variance), which measurements with independent noise
// make better known.
struct Level {
  double mean = 0, variance = 0;
  // The residual of a measurement of the log, standardised by what was expected of it; and learns from it.
  double observe(double log_value, double noise_variance);
};

}  // namespace fewwatt::learners
