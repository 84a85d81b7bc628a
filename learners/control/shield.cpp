#include "learners/control/shield.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "learners/control/controller.hpp"

namespace fewwatt::learners {

using tasks::kPowerW;
using tasks::kTimeMs;

Shield::Shield(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
               double confidence, std::optional<ChangeOptions> changes)
    : learner_(std::move(learner)),
      confidence_(confidence),
      measured_{std::move(space), {}, Matrix(0, tasks::kNumTargets), {}, Matrix(0, tasks::kNumTargets)} {
  if (learner_ == nullptr) throw std::invalid_argument("Shield: expected a learner, found none");
  if (!(confidence > 0 && confidence < 1))
    throw std::invalid_argument("Shield: confidence must be in (0, 1), got " + std::to_string(confidence));
  if (changes) detector_.emplace(*changes);
}

void Shield::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  const auto known = known_part(measurement);
  if (std::isnan(known.power_w)) return;
  Vector logs(tasks::kNumTargets);
  logs[kTimeMs] = std::log(known.time_ms);
  logs[kPowerW] = std::log(known.power_w);
  if (detector_) {
    const bool changed = has_changed(mode, logs);
    told_.emplace_back(mode, logs);
    if (changed) forget();
  }
  keep(mode, logs);
}

void Shield::forget() {
  const auto since = std::min(told_.size(), detector_->since());
  told_.erase(told_.begin(), told_.end() - static_cast<std::ptrdiff_t>(since));
  detector_->reset();
  measured_.modes.clear();
  measured_.targets.resize(0, Eigen::NoChange);
  measured_.noise_factors.resize(0, Eigen::NoChange);
  for (std::size_t i = 0; i + 1 < told_.size(); ++i) keep(told_[i].first, told_[i].second);
}

// Whether this measurement is too far from what is predicted of its mode.
bool Shield::has_changed(const hw::PowerMode& mode, const Vector& logs) {
  std::array<double, tasks::kNumTargets> residuals;
  residuals.fill(std::nan(""));
  if (!measured_.modes.empty()) {
    if (predictor_ == nullptr) predictor_ = learner_->adapt(measured_);
    const auto expected = predictor_->predict({&mode, 1});
    if (!expected.uncertain()) throw std::invalid_argument("Shield: the learner must give its uncertainty");
    for (int t = 0; t < tasks::kNumTargets; ++t)
      residuals[static_cast<std::size_t>(t)] =
          (logs[t] - expected.log_mean(0, t)) / expected.log_stddev(0, t);
  }
  return detector_->add(residuals);
}

void Shield::keep(const hw::PowerMode& mode, const Vector& logs) {
  auto& modes = measured_.modes;
  const auto found = std::find(modes.begin(), modes.end(), mode);
  const auto row = static_cast<Eigen::Index>(found - modes.begin());
  if (found == modes.end()) {
    modes.push_back(mode);
    measured_.targets.conservativeResize(row + 1, Eigen::NoChange);
    measured_.noise_factors.conservativeResize(row + 1, Eigen::NoChange);
    measured_.targets.row(row).setConstant(std::nan(""));
    measured_.noise_factors.row(row).setOnes();
  }
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    if (std::isnan(logs[t])) continue;
    auto& value = measured_.targets(row, t);
    auto& factor = measured_.noise_factors(row, t);  // 1 / number of measurements
    if (std::isnan(value)) {
      value = std::exp(logs[t]);
      continue;
    }
    factor = factor / (1 + factor);
    value = std::exp((1 - factor) * std::log(value) + factor * logs[t]);
  }
  predictor_.reset();
}

std::vector<char> Shield::allowed(std::span<const hw::PowerMode> modes, double budget_w) {
  std::vector<char> all(modes.size(), 1);
  if (measured_.modes.empty() || std::isinf(budget_w) || modes.empty()) return all;
  if (predictor_ == nullptr) predictor_ = learner_->adapt(measured_);
  const auto prediction = predictor_->predict_targets(modes, {false, true});
  if (!prediction.uncertain()) throw std::invalid_argument("Shield: the learner must give its uncertainty");
  double most = -1;
  std::size_t likeliest = 0, count = 0;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    const double keeps = probability_below(std::log(budget_w), prediction.log_mean(row, kPowerW),
                                           prediction.latent_log_variance(row, kPowerW));
    all[i] = keeps >= confidence_ ? 1 : 0;
    count += all[i] != 0 ? 1 : 0;
    if (keeps > most) {
      most = keeps;
      likeliest = i;
    }
  }
  if (count == 0) all[likeliest] = 1;
  return all;
}

}  // namespace fewwatt::learners
