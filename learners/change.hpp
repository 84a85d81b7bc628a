#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tasks/task.hpp"

namespace fewwatt::learners {

// Notices when a workload changes. Standardised residuals z of time and of power are added up, for each sign on its own (cumulative
// sums, Page 1954, Biometrika 41):
//   S+ <- max(0, S+ + z - allowance),   S- <- max(0, S- - z - allowance),   an alarm where one of them is above threshold
struct ChangeOptions {
  double allowance = 1;  // half of the smallest shift that is to be noticed, in standard deviations
  // The default is change_threshold(1, 200, 0.02): 1 of 50 streams without a change raises an alarm within 200 measurements. We accept 1
  // of 20; the rest is a margin for residuals that are not quite normal.
  double threshold = 4.46;
  std::string error() const;  // "" when valid: both > 0
};

// The threshold that a share `false_alarms` of all streams of `measurements` measurements pass although nothing changes. Residuals are
// independent and standard normal. It is a quantile of the greatest sums of `streams` streams that are drawn at random.
double change_threshold(double allowance, std::size_t measurements, double false_alarms,
                        std::size_t streams = 20000, std::uint64_t seed = 0);

// The cumulative sums of one stream of measurements.
class ChangeDetector {
 public:
  explicit ChangeDetector(ChangeOptions options = {});  // throws std::invalid_argument for options.error()

  // Adds the residuals of one measurement; NaN = not measured, which leaves the sums of that target as they are. Returns whether there
  // is an alarm.
  bool add(const std::array<double, tasks::kNumTargets>& residuals);
  // The number of measurements since the change, as the greatest sum dates it: since that sum was last 0.
  std::size_t since() const;
  double greatest() const;  // sum
  void reset();             // sets all sums to 0

 private:
  struct Sum {
    double value = 0;
    std::size_t length = 0;  // since it was 0
  };
  const Sum& greatest_sum() const;

  ChangeOptions options_;
  std::array<Sum, 2 * tasks::kNumTargets> sums_;
};

// What is known of the log of a target in one mode: its level ~ N(mean, variance). Measurements with independent noise make the
// variance smaller.
struct Level {
  double mean = 0;      // of the log
  double variance = 0;  // of the log; 0 = known exactly
  // Takes a measurement of the log into account; returns its residual in standard deviations of what was expected before.
  double observe(double log_value, double noise_variance);
};

}  // namespace fewwatt::learners
