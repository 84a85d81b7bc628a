#include "hw/jetson/steady.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

namespace fewwatt::hw {
namespace {

constexpr std::size_t kSmallestWindow = 8;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double median(std::span<const double> values) {
  return median(std::vector<double>(values.begin(), values.end()));
}

std::vector<double> block_medians(std::span<const double> values, std::size_t length) {
  std::vector<double> medians;
  for (std::size_t i = values.size() % length; i < values.size(); i += length)
    medians.push_back(median(values.subspan(i, length)));
  return medians;
}

struct Change {
  double relative, standard_errors;
};

// d and z of the header.
Change drift_of(std::span<const double> y, double level) {
  const auto size = static_cast<double>(y.size());
  std::vector<double> slopes;
  double signs = 0;
  for (std::size_t j = 1; j < y.size(); ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      slopes.push_back((y[j] - y[i]) / static_cast<double>(j - i));
      signs += static_cast<double>((y[j] > y[i]) - (y[j] < y[i]));
    }
  }
  return {median(std::move(slopes)) * (size - 1) / level,
          signs / std::sqrt(size * (size - 1) * (2 * size + 5) / 18)};
}

// h and u of the header.
Change step_of(std::span<const double> y, double level) {
  const auto half = y.size() / 2;
  const double first = median(y.first(half)), second = median(y.subspan(half));
  std::vector<double> deviations;
  for (std::size_t i = 0; i < y.size(); ++i)
    deviations.push_back(std::abs(y[i] - (i < half ? first : second)));
  const double error =
      1.2533 * 1.4826 * median(std::move(deviations)) * std::sqrt(4 / static_cast<double>(y.size()));
  const double difference = second - first;
  return {difference / level, difference == 0 ? 0 : difference / error};
}

bool is_small(const Change& change, const SteadyOptions& options) {
  const double relative = std::abs(change.relative);
  return relative <= options.most_change || (relative <= options.most_noisy_change &&
                                             std::abs(change.standard_errors) <= options.most_significance);
}

}  // namespace

std::string SteadyOptions::error() const {
  if (window < kSmallestWindow)
    return "SteadyOptions: window must be >= " + std::to_string(kSmallestWindow) + ", got " +
           std::to_string(window);
  if (!(most_change > 0)) return "SteadyOptions: most_change must be > 0, got " + std::to_string(most_change);
  if (!(most_significance >= 0))
    return "SteadyOptions: most_significance must be >= 0, got " + std::to_string(most_significance);
  if (!(most_noisy_change >= most_change))
    return "SteadyOptions: most_noisy_change must be >= most_change, got " +
           std::to_string(most_noisy_change);
  return "";
}

SteadyTest::SteadyTest(SteadyOptions options) : options_(options), next_look_(options.window) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

void SteadyTest::add(double value) {
  if (!(value >= 0) || std::isinf(value))
    throw std::invalid_argument("SteadyTest: a value must be finite and >= 0, got " + std::to_string(value));
  values_.push_back(value);
  if (values_.size() < next_look_) return;
  look();
  next_look_ = values_.size() + std::max<std::size_t>(values_.size() / 10, 1);
}

void SteadyTest::reset() {
  *this = SteadyTest(options_);
}

void SteadyTest::look() {
  const auto length = std::max(options_.window, values_.size() / 2);
  const auto blocks = block_medians(std::span<const double>(values_).last(length), length / options_.window);
  const double level = median(std::span<const double>(blocks));
  steady_ = false;
  drift_ = std::numeric_limits<double>::quiet_NaN();
  if (level <= 0) return;
  const auto drift = drift_of(blocks, level), step = step_of(blocks, level);
  drift_ = drift.relative;
  steady_ = is_small(drift, options_) && is_small(step, options_);
}

}  // namespace fewwatt::hw
