#include "learners/change.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "hw/random.hpp"

namespace fewwatt::learners {

std::string ChangeOptions::error() const {
  for (const double value : {allowance, threshold})
    if (!(value > 0) || !std::isfinite(value)) return "ChangeOptions: allowance and threshold must be > 0";
  return "";
}

double change_threshold(double allowance, std::size_t measurements, double false_alarms, std::size_t streams,
                        std::uint64_t seed) {
  if (measurements == 0 || streams == 0 || !(false_alarms > 0 && false_alarms < 1))
    throw std::invalid_argument(
        "change_threshold: measurements and streams must be > 0, false_alarms above 0 and below 1");
  auto rng = hw::Rng::stream(seed, "change threshold");
  std::vector<double> greatest;
  for (std::size_t i = 0; i < streams; ++i) {
    ChangeDetector detector({.allowance = allowance});
    double most = 0;
    for (std::size_t j = 0; j < measurements; ++j) {
      detector.add({rng.normal(), rng.normal()});
      most = std::max(most, detector.greatest());
    }
    greatest.push_back(most);
  }
  const auto rank = static_cast<std::ptrdiff_t>((1 - false_alarms) * static_cast<double>(streams));
  std::nth_element(greatest.begin(), greatest.begin() + rank, greatest.end());
  return greatest[static_cast<std::size_t>(rank)];
}

ChangeDetector::ChangeDetector(ChangeOptions options) : options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

bool ChangeDetector::add(const std::array<double, tasks::kNumTargets>& residuals) {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const double z = residuals[i / 2];
    auto& sum = sums_[i];
    if (!std::isnan(z)) sum.value = std::max(0.0, sum.value + (i % 2 == 0 ? z : -z) - options_.allowance);
    sum.length = sum.value > 0 ? sum.length + 1 : 0;
  }
  return greatest() > options_.threshold;
}

const ChangeDetector::Sum& ChangeDetector::greatest_sum() const {
  return *std::max_element(sums_.begin(), sums_.end(),
                           [](const Sum& a, const Sum& b) { return a.value < b.value; });
}

std::size_t ChangeDetector::since() const {
  return greatest_sum().length;
}

double ChangeDetector::greatest() const {
  return greatest_sum().value;
}

void ChangeDetector::reset() {
  sums_ = {};
}

double Level::observe(double log_value, double noise_variance) {
  const double expected = variance + noise_variance;
  const double error = log_value - mean, gain = variance / expected;
  mean += gain * error;
  variance *= 1 - gain;
  return error / std::sqrt(expected);
}

}  // namespace fewwatt::learners
