#include "datasets/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace fewwatt::datasets {
namespace {

// Of at least one value; the mean of the two middle ones where there are two.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::optional<Range> range_of(const std::vector<double>& column) {
  std::vector<double> known;
  std::copy_if(column.begin(), column.end(), std::back_inserter(known),
               [](double v) { return !std::isnan(v); });
  if (known.empty()) return std::nullopt;
  const auto [min, max] = std::minmax_element(known.begin(), known.end());
  return Range{*min, median(known), *max};
}

// Row of the mode that differs from `mode` in the level of one knob only; nullopt when it was not recorded.
std::optional<std::size_t> row_with(const Profile& profile, hw::PowerMode mode, std::size_t knob, int level) {
  mode[knob] = level;
  const auto found = std::lower_bound(profile.modes.begin(), profile.modes.end(), mode);
  if (found == profile.modes.end() || *found != mode) return std::nullopt;
  return static_cast<std::size_t>(found - profile.modes.begin());
}

// log y of the row as its neighbours along each knob have it, one value per knob with two neighbours.
std::vector<double> expected_logs(const Profile& profile, const std::vector<double>& column,
                                  std::size_t row) {
  std::vector<double> expected;
  const auto& mode = profile.modes[row];
  for (std::size_t k = 0; k < mode.size(); ++k) {
    const auto& levels = profile.space->knobs()[k].levels;
    const auto level = std::lower_bound(levels.begin(), levels.end(), mode[k]);
    if (level == levels.begin() || level + 1 == levels.end()) continue;
    const auto below = row_with(profile, mode, k, *(level - 1));
    const auto above = row_with(profile, mode, k, *(level + 1));
    if (!below || !above || std::isnan(column[*below]) || std::isnan(column[*above])) continue;
    const double weight =
        std::log(double(*level) / *(level - 1)) / std::log(double(*(level + 1)) / *(level - 1));
    expected.push_back((1 - weight) * std::log(column[*below]) + weight * std::log(column[*above]));
  }
  return expected;
}

void find_suspects(const Profile& profile, const std::vector<double>& column, const char* name,
                   std::vector<Suspect>& suspects) {
  std::vector<std::size_t> rows;
  std::vector<double> residuals;
  for (std::size_t i = 0; i < column.size(); ++i) {
    if (std::isnan(column[i])) continue;
    const auto expected = expected_logs(profile, column, i);
    if (expected.empty()) continue;
    rows.push_back(i);
    residuals.push_back(std::log(column[i]) - median(expected));
  }
  if (rows.empty()) return;
  const double center = median(residuals);
  std::vector<double> deviations;
  for (const double residual : residuals) deviations.push_back(std::abs(residual - center));
  const double limit = std::max(8 * 1.4826 * median(deviations), std::log(1.25));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (deviations[i] <= limit) continue;
    const double value = column[rows[i]];
    suspects.push_back({rows[i], name, value, value * std::exp(center - residuals[i])});
  }
}

}  // namespace

ProfileSummary summarize(const Profile& profile) {
  std::vector<double> time_ms, power_w;
  ProfileSummary summary;
  for (const auto& measured : profile.measurements) {
    time_ms.push_back(measured.time_ms);
    power_w.push_back(measured.power_w);
    summary.throttled += measured.throttled ? 1 : 0;
  }
  summary.time_ms = range_of(time_ms);
  summary.power_w = range_of(power_w);
  if (summary.power_w) {
    summary.missing_power = static_cast<std::size_t>(
        std::count_if(power_w.begin(), power_w.end(), [](double v) { return std::isnan(v); }));
  }
  find_suspects(profile, time_ms, "time_ms", summary.suspects);
  find_suspects(profile, power_w, "power_w", summary.suspects);
  return summary;
}

}  // namespace fewwatt::datasets
