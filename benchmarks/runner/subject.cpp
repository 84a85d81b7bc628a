#include "benchmarks/runner/subject.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "hw/modules.hpp"
#include "learners/optimize/choose.hpp"

namespace fewwatt::benchmarks {
namespace {

Matrix rows_of(const Matrix& values, std::span<const std::size_t> rows) {
  Matrix part(static_cast<Eigen::Index>(rows.size()), values.cols());
  for (std::size_t i = 0; i < rows.size(); ++i)
    part.row(static_cast<Eigen::Index>(i)) = values.row(static_cast<Eigen::Index>(rows[i]));
  return part;
}

// Of modes of the subject's space, the positions among the deciding rows of those that are there.
std::vector<std::size_t> deciding_modes(const Subject& subject, const std::vector<hw::PowerMode>& modes) {
  const auto& known = subject.profile->modes;
  std::vector<std::size_t> rows;
  for (const auto& mode : modes) {
    const auto at = std::lower_bound(known.begin(), known.end(), mode);
    if (at != known.end() && *at == mode) rows.push_back(static_cast<std::size_t>(at - known.begin()));
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return deciding_among(subject, rows);
}

}  // namespace

Subject make_subject(const TableSuite& suite, const SplitRun& split, const datasets::Profile& profile) {
  Subject subject{&split, &profile, tasks::samples_of(profile), suite.budgets.has_value(), {}, {}, {}};
  if (!subject.decides) return subject;
  for (std::size_t i = 0; i < subject.all.size(); ++i)
    if (subject.all.targets.row(static_cast<Eigen::Index>(i)).allFinite()) subject.deciding_rows.push_back(i);
  subject.decides = !subject.deciding_rows.empty();
  if (!subject.decides) return subject;
  subject.deciding = rows_of(subject.all.targets, subject.deciding_rows);
  const Eigen::VectorXd power_w = subject.deciding.col(tasks::kPowerW);
  subject.budgets_w = budgets_of(*suite.budgets, {power_w.data(), static_cast<std::size_t>(power_w.size())});
  return subject;
}

std::vector<Decision> decide(const Subject& subject, const Prediction& believed, double confidence) {
  std::vector<Decision> decisions;
  for (const double budget_w : subject.budgets_w)
    decisions.push_back(
        {budget_w, learners::choose_fastest(believed, {.max_power_w = budget_w, .confidence = confidence})});
  return decisions;
}

std::vector<Decision> decide_among(const Subject& subject, std::span<const std::size_t> deciding_rows) {
  if (deciding_rows.empty()) {
    std::vector<Decision> none;
    for (const double budget_w : subject.budgets_w) none.push_back({budget_w, std::nullopt});
    return none;
  }
  auto decisions = decide(subject, Prediction::of_medians(rows_of(subject.deciding, deciding_rows)));
  for (auto& decision : decisions)
    if (decision.choice) decision.choice = deciding_rows[*decision.choice];
  return decisions;
}

std::vector<std::size_t> deciding_among(const Subject& subject, std::span<const std::size_t> rows) {
  std::vector<std::size_t> found;
  for (const auto row : rows) {
    const auto at = std::lower_bound(subject.deciding_rows.begin(), subject.deciding_rows.end(), row);
    if (at != subject.deciding_rows.end() && *at == row)
      found.push_back(static_cast<std::size_t>(at - subject.deciding_rows.begin()));
  }
  return found;
}

std::vector<std::size_t> fastest_row(const Subject& subject) {
  auto fastest = subject.profile->modes.front();
  for (std::size_t k = 0; k < fastest.size(); ++k) fastest[k] = subject.profile->space->max_level(k);
  return deciding_modes(subject, {fastest});
}

std::vector<std::size_t> preset_rows(const TableSuite& suite, const Subject& subject) {
  const auto& module = hw::find_module(suite.module);
  std::vector<hw::PowerMode> modes;
  for (const auto& preset : module.presets)
    modes.push_back(hw::apply_limits(*subject.profile->space, module.knobs, preset.limits));
  return deciding_modes(subject, modes);
}

Row row_of(const TableSuite& suite, const Subject& subject, const std::string& learner,
           const std::string& sampler, std::size_t shots, std::uint64_t draw, double seconds) {
  return {.suite = suite.name,
          .device = subject.profile->device,
          .workload = subject.profile->workload,
          .learner = learner,
          .sampler = sampler,
          .shots = shots,
          .seed = draw,
          .metric = "",
          .value = 0,
          .seconds = seconds,
          .split = subject.split->rule->name};
}

void RowWriter::add(std::string metric, double value) {
  rows_.push_back(common_);
  rows_.back().metric = std::move(metric);
  rows_.back().value = value;
}

void RowWriter::add(const DecisionScores& scores) {
  if (scores.strict_regret) {
    add("strict_regret", *scores.strict_regret);
    add("strict_regret_p90", *scores.strict_regret_p90);
    add("violations", *scores.violations);
  }
  add("time_penalty", scores.time_penalty);
  add("over_budget", scores.over_budget);
  add("over_budget_1w", scores.over_budget_1w);
  add("excess_w", scores.excess_w);
}

}  // namespace fewwatt::benchmarks
