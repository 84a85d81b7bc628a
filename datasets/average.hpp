#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace fewwatt::datasets {

// How several measurements of one mode become one.
enum class Average {
  mean,    // arithmetic mean
  median,  // median
  trimmed  // mean without the lowest and the highest fifth, at least one of each from three measurements on
};
std::optional<Average> parse_average(std::string_view name);  // of "mean", "median" and "trimmed"

// One measurement of a time or a power, or what was made of several; all in the unit of the value.
struct Measured {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();  // not measured, or not known

  double value = kUnknown;     // NaN = not measured
  double std = kUnknown;       // spread of one of the repeats; NaN = not known
  double repeats = 1;          // > 0
  double duration = kUnknown;  // how long it lasted, in a unit that is the same for all; NaN = not known
};

// Several measurements as one. Those that are not measured do not count; where none is, the value is NaN and repeats is 0.
//   mean     m = sum w_i m_i / sum w_i, where w_i are the durations if each is known, else the repeats n_i. With N = sum n_i and
//            w_i scaled to the sum N,  s^2 = (sum (n_i - 1) s_i^2 + sum w_i (m_i - m)^2) / (N - 1):
//            the mean and spread of all repeats as one sample. s is unknown when one with n_i > 1 does not know its s_i.
//   median, trimmed   count each measurement once; N = their number. s so that s / sqrt(N) is the standard error: for the median
//            from the median of |m_i - m| (1.4826, 1.2533 for the normal distribution), for the trimmed mean from the
//            winsorised spread (Tukey & McLaughlin 1963).
// Power over time is energy: the duration of a power is that of its measurement, while times are given without one.
Measured average(std::span<const Measured> measured, Average how = Average::mean);

}  // namespace fewwatt::datasets
