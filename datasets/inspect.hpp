#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"

namespace fewwatt::datasets {

// The range of some values.
struct Range {
  double min = 0, median = 0, max = 0;  // of the known values
};

// A value that does not fit those of its neighbours.
struct Suspect {
  std::size_t row;         // of the profile
  std::string column;      // "time_ms" or "power_w"
  double value, expected;  // what the profile has, and what its neighbours suggest
};

// What is in a profile.
struct ProfileSummary {
  std::optional<Range> time_ms, power_w;  // nullopt = the profile has none
  std::size_t missing_power = 0;          // number of modes without a power, in a profile that has powers
  std::size_t throttled = 0;              // number of modes in which the device slowed itself down
  std::vector<Suspect> suspects;          // by row, then by column
};

// Sums up a profile. Suspects: a mode's neighbours along a knob are the recorded modes with the next lower and the next higher
// level of that knob, all else equal. With r = log y - (log y interpolated between the neighbours, linear in
// the log of the level), the median over the knobs that have both neighbours, a value is suspect when
//   |r - median r| > max(8 * 1.4826 * median |r - median r|, log 1.25)      over all modes of the profile.
ProfileSummary summarize(const Profile& profile);

}  // namespace fewwatt::datasets
