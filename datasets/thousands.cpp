#include "datasets/thousands.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace fewwatt::datasets {

// With factors of 1000 the logs to the base 1000 lie on a circle, from 0 to 1: the spread is least where the circle is cut in
// its widest gap.
std::vector<int> thousands_off(std::span<const double> values, bool first_is_right) {
  constexpr double kFarBetter = 20;
  const double base = std::log(1000.0);
  const auto n = values.size();
  std::vector<int> off(n, 0);
  if (n < 2) return off;
  std::vector<double> logs(n), angles(n);
  for (std::size_t i = 0; i < n; ++i) {
    logs[i] = std::log(values[i]) / base;
    angles[i] = logs[i] - std::floor(logs[i]);
  }
  auto sorted = angles;
  std::sort(sorted.begin(), sorted.end());
  double start = sorted.front(), gap = 1 - sorted.back() + start;
  for (std::size_t i = 1; i < n; ++i)
    if (sorted[i] - sorted[i - 1] > gap) {
      gap = sorted[i] - sorted[i - 1];
      start = sorted[i];
    }
  const auto [least, most] = std::minmax_element(logs.begin(), logs.end());
  const double widest = *most - *least, narrowest = 1 - gap;
  if (widest < 1 && widest - narrowest < std::log(kFarBetter) / base) return off;
  std::map<long, std::size_t> counts;
  std::vector<long> thousands(n);
  for (std::size_t i = 0; i < n; ++i) {
    thousands[i] = std::lround(logs[i] - angles[i]) - (angles[i] < start ? 1 : 0);
    ++counts[thousands[i]];
  }
  long right = thousands.front();
  if (!first_is_right)
    right = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
              return std::pair(a.second, a.first) < std::pair(b.second, b.first);
            })->first;
  std::transform(thousands.begin(), thousands.end(), off.begin(),
                 [&](long of) { return static_cast<int>(of - right); });
  return off;
}

}  // namespace fewwatt::datasets
