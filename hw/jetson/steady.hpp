#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace fewwatt::hw {

// When is warm-up over? Looked at is the later half of a series, window values at least: a fixed number of values would
// call every decay steady that is slow enough; against a window that grows with the series, a decay looks the same at any
// pace. The values become B blocks of equal length, window <= B < 2 window, of medians y_1 .. y_B with median m, and
//   drift  d = b (B - 1) / m            b = median over i < j of (y_j - y_i) / (j - i)          Theil 1950, Sen 1968
//          z = S / sqrt(B (B - 1) (2 B + 5) / 18)      S = sum over i < j of sign(y_j - y_i)    Mann 1945, Kendall
//   step   h = (m2 - m1) / m            m1, m2 the medians of y's halves
//          u = (m2 - m1) / (1.2533 s sqrt(4 / B))      s = 1.4826 median |y - its half's median|
// Steady:  |d| <= most_change, or |z| <= most_significance and |d| <= most_noisy_change,
//     and  |h| <= most_change, or |u| <= most_significance and |h| <= most_noisy_change.
// z plays the part of the t of a least-squares slope, u of the t of two means; but medians let a value in four be
// anything, where a single checkpoint written in between would decide least squares.
struct SteadyOptions {
  std::size_t window = 32;          // >= 8
  double most_change = 0.01;        // > 0; of the level, over the window: small enough, whatever the noise
  double most_significance = 1;     // >= 0; standard errors: what noise explains
  double most_noisy_change = 0.03;  // >= most_change: more is not steady, even where noise explains it

  std::string error() const;  // "" when valid
};

// Of step durations, or of powers averaged over equally long spells. What drifts for minutes is to be fed in seconds: a decay
// exp(-i / tau) that begins 20 % off is called steady before it is within 1.5 % of the end in less than 1 of 20 draws for
// tau up to 4 windows with 1 % of noise, and up to 2 windows with 2 %. More noise, or slower ones: a longer window.
class SteadyTest {
 public:
  explicit SteadyTest(SteadyOptions options = {});  // throws std::invalid_argument for options.error()

  // Throws std::invalid_argument unless the value is finite and >= 0.
  void add(double value);
  void reset();  // another mode: a new series

  std::size_t count() const { return values_.size(); }
  // Of the last look. A look is taken at `window` values, and then whenever there are a tenth more: a test that is made
  // often enough passes once by chance, and n values cost O(n) this way.
  bool steady() const { return steady_; }
  double drift() const { return drift_; }  // d; NaN before the first look

 private:
  void look();

  SteadyOptions options_;
  std::vector<double> values_;
  std::size_t next_look_;
  bool steady_ = false;
  double drift_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace fewwatt::hw
