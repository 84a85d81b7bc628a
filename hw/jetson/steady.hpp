#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace fewwatt::hw {

// When is warm-up over? The test looks at the later half of a series, at least `window` values. A fixed number of values would call every
// decay steady that is slow enough; in a window that grows with the series, a decay looks the same at any pace. The values are cut into
// B blocks of equal length, window <= B < 2 window, with medians y_1 .. y_B, whose median is m, and
//   drift  d = b (B - 1) / m            b = median over i < j of (y_j - y_i) / (j - i)          Theil 1950, Sen 1968
//          z = S / sqrt(B (B - 1) (2 B + 5) / 18)      S = sum over i < j of sign(y_j - y_i)    Mann 1945, Kendall
//   step   h = (m2 - m1) / m            m1, m2 the medians of y's halves
//          u = (m2 - m1) / (1.2533 s sqrt(4 / B))      s = 1.4826 median |y - its half's median|
// Steady:  |d| <= most_change, or |z| <= most_significance and |d| <= most_noisy_change,
//     and  |h| <= most_change, or |u| <= most_significance and |h| <= most_noisy_change.
// z stands for the t of a least-squares slope, u for the t of two means. Medians tolerate one wild value in four, while a single
// checkpoint that the program writes in between would decide a least-squares slope.
struct SteadyOptions {
  std::size_t window = 32;    // >= 8
  double most_change = 0.01;  // > 0; a share of the level: a change this small is steady, whatever the noise
  double most_significance = 1;     // >= 0; in standard errors: a change this small may be noise
  double most_noisy_change = 0.03;  // >= most_change: a larger change is never steady

  std::string error() const;  // "" when valid
};

// The test, for step durations, or for powers averaged over spells of equal length. What drifts for minutes should be averaged over
// seconds first. A decay exp(-i / tau) that begins 20 % off is called steady before it is within 1.5 % of the end in less than 1 of 20
// draws, for tau up to 4 windows with 1 % of noise, and up to 2 windows with 2 %. More noise, or a slower decay, needs a longer window.
class SteadyTest {
 public:
  explicit SteadyTest(SteadyOptions options = {});  // throws std::invalid_argument for options.error()

  // Adds a value to the series. Throws std::invalid_argument unless it is finite and >= 0.
  void add(double value);
  void reset();  // begins a new series, for another mode

  std::size_t count() const { return values_.size(); }  // number of values in the series
  // Whether the series was steady when it was last tested. That is at `window` values, and then whenever there are a tenth more: a test
  // made after every value would sooner or later pass by chance, and this way n values cost O(n).
  bool steady() const { return steady_; }
  double drift() const { return drift_; }  // d of the last test; NaN before the first

 private:
  void look();

  SteadyOptions options_;
  std::vector<double> values_;
  std::size_t next_look_;
  bool steady_ = false;
  double drift_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace fewwatt::hw
