#include "learners/control/shield.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "learners/control/controller.hpp"

namespace fewwatt::learners {

using tasks::kPowerW;
using tasks::kTimeMs;

Shield::Shield(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
               double confidence)
    : learner_(std::move(learner)),
      confidence_(confidence),
      measured_{std::move(space), {}, Matrix(0, tasks::kNumTargets)} {
  if (learner_ == nullptr) throw std::invalid_argument("Shield: expected a learner, found none");
  if (!(confidence > 0 && confidence < 1))
    throw std::invalid_argument("Shield: confidence must be in (0, 1), got " + std::to_string(confidence));
}

void Shield::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  const auto known = known_part(measurement);
  if (std::isnan(known.power_w)) return;
  auto& modes = measured_.modes;
  const auto found = std::find(modes.begin(), modes.end(), mode);
  const auto row = static_cast<Eigen::Index>(found - modes.begin());
  if (found == modes.end()) {
    modes.push_back(mode);
    measured_.targets.conservativeResize(row + 1, Eigen::NoChange);
  }
  measured_.targets(row, kTimeMs) = known.time_ms;
  measured_.targets(row, kPowerW) = known.power_w;
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
    const double keeps = prediction.probability_below(budget_w, static_cast<Eigen::Index>(i), kPowerW);
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
