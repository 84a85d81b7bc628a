#include "datasets/average.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace fewwatt::datasets {
namespace {

constexpr double kUnknown = Measured::kUnknown;

Measured mean_of(std::span<const Measured> all) {
  const bool lasted = std::none_of(all.begin(), all.end(), [](auto& m) { return !(m.duration > 0); });
  const auto weight = [&](const Measured& m) { return lasted ? m.duration : m.repeats; };
  Measured mean{.value = 0, .std = kUnknown, .repeats = 0, .duration = lasted ? 0 : kUnknown};
  double weights = 0;
  for (const auto& m : all) {
    mean.repeats += m.repeats;
    weights += weight(m);
  }
  for (const auto& m : all) mean.value += weight(m) / weights * m.value;
  if (lasted) mean.duration = weights;
  double squares = 0;
  for (const auto& m : all) {
    squares += weight(m) / weights * mean.repeats * (m.value - mean.value) * (m.value - mean.value);
    if (m.repeats > 1) squares += (m.repeats - 1) * m.std * m.std;
  }
  if (mean.repeats > 1) mean.std = std::sqrt(squares / (mean.repeats - 1));
  return mean;
}

double middle_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Measured median_of(std::vector<double> values) {
  constexpr double kToDeviation = 1.4826, kOfMedian = 1.2533;
  Measured median{.value = middle_of(values), .repeats = static_cast<double>(values.size())};
  for (auto& value : values) value = std::abs(value - median.value);
  median.std = kToDeviation * kOfMedian * middle_of(values);
  return median;
}

Measured trimmed_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  const auto cut = n < 3 ? 0 : std::max<std::size_t>(1, n / 5);
  const auto kept = static_cast<double>(n - 2 * cut), all = static_cast<double>(n);
  Measured trimmed{.value = 0, .repeats = all};
  for (std::size_t i = cut; i < n - cut; ++i) trimmed.value += values[i] / kept;
  for (std::size_t i = 0; i < cut; ++i) {  // to the nearest that is kept
    values[i] = values[cut];
    values[n - 1 - i] = values[n - 1 - cut];
  }
  double centre = 0, squares = 0;
  for (const double value : values) centre += value / all;
  for (const double value : values) squares += (value - centre) * (value - centre);
  trimmed.std = std::sqrt(squares / (all - 1)) * all / kept;
  return trimmed;
}

}  // namespace

std::optional<Average> parse_average(std::string_view name) {
  if (name == "mean") return Average::mean;
  if (name == "median") return Average::median;
  if (name == "trimmed") return Average::trimmed;
  return std::nullopt;
}

Measured average(std::span<const Measured> measured, Average how) {
  std::vector<Measured> all;
  std::vector<double> values;
  for (const auto& m : measured) {
    if (std::isnan(m.value)) continue;
    all.push_back(m);
    values.push_back(m.value);
  }
  if (all.empty()) return {.repeats = 0};
  if (all.size() == 1) return all.front();
  if (how == Average::median) return median_of(std::move(values));
  if (how == Average::trimmed) return trimmed_of(std::move(values));
  return mean_of(all);
}

}  // namespace fewwatt::datasets
