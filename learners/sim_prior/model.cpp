#include "learners/sim_prior/model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace fewwatt::learners {

using tasks::kNumTargets;
using tasks::kTargetNames;
using Index = Eigen::Index;

// Of the training workloads' log y: more is no time, and overflows in floats.
constexpr double kMostLogTarget = 60;

std::string SimPriorModel::error() const {
  const auto d = static_cast<Index>(std::count(knobs.begin(), knobs.end(), ' ')) + 1;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto check = [&](const SimPriorFitted& fitted) {
      for (const auto* part :
           {&fitted.residual.log_lengths, &fitted.residual.log_amplitudes, &fitted.residual.log_widths})
        if (part->size() != d) return prefix + "residual does not fit knobs";
      if (!fitted.residual.flat().allFinite() || !std::isfinite(fitted.log_noise) ||
          !std::isfinite(fitted.log_scale))
        return prefix + "residual, log_noise and log_scale must be finite";
      if (fitted.residual.flat().cwiseAbs().maxCoeff() > kMostLog)
        return prefix + "residual must be at most " + std::to_string(kMostLog);
      return std::string();
    };
    if (auto bad = check(target); !bad.empty()) return bad;
    if (target.mixed) {
      if (auto bad = check(*target.mixed); !bad.empty()) return bad;
      if (target.mixed->residual.log_slopes.size() != target.residual.log_slopes.size())
        return prefix + "mixed/residual must be as long as residual";
    }
    if (!(target.mixed_share > 0 && target.mixed_share < 1))
      return prefix + "mixed/share must be above 0 and below 1";
    if (!target.training.allFinite() ||
        (target.training.size() > 0 && target.training.cwiseAbs().maxCoeff() > kMostLogTarget))
      return prefix + "training must be finite, and at most " + std::to_string(kMostLogTarget);
    if (target.training.size() != 0 && target.training.cols() != static_cast<Index>(modes.size()))
      return prefix + "training must have a value for each of modes";
  }
  for (const auto& mode : modes)
    if (static_cast<Index>(mode.size()) != d) return "modes do not fit knobs";
  if (!std::is_sorted(modes.begin(), modes.end())) return "modes must be ascending";
  if (stated) {
    if (static_cast<Index>(stated->highest.size()) != d) return "stated/highest does not fit knobs";
    if (const auto bad = stated->error(); !bad.empty()) return "stated/" + bad;
  }
  return "";
}

Checkpoint SimPriorModel::to_checkpoint() const {
  Checkpoint c;
  c.learner = "sim_prior";
  c.texts["trained_by"] = "sim_prior";
  c.texts["knobs"] = knobs;
  c.numbers["workloads"] = {static_cast<double>(workloads)};
  c.tensors["modes"] = settings_of(modes);
  if (stated) {
    c.tensors["stated/characteristics"] = stated->characteristics;
    c.numbers["stated/time_of"] = {stated->time_of.begin(), stated->time_of.end()};
    c.numbers["stated/highest"] = {stated->highest.begin(), stated->highest.end()};
    c.tensors["stated/lowest"] = stated->lowest.transpose();
  }
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto write = [&](const SimPriorFitted& fitted, const std::string& to) {
      c.tensors[to + "residual"] = fitted.residual.flat().transpose();
      c.numbers[to + "log_noise"] = {fitted.log_noise};
      c.numbers[to + "log_scale"] = {fitted.log_scale};
    };
    write(*targets[t], prefix);
    c.tensors[prefix + "training"] = targets[t]->training;
    if (stated && stated->curves[t].size() > 0) {
      c.tensors[prefix + "stated/curves"] = stated->curves[t];
      c.numbers[prefix + "stated/error"] = {stated->curve_errors[t]};
    }
    if (!targets[t]->mixed) continue;
    write(*targets[t]->mixed, prefix + "mixed/");
    c.numbers[prefix + "mixed/share"] = {targets[t]->mixed_share};
  }
  return c;
}

SimPriorModel SimPriorModel::from_checkpoint(const Checkpoint& c) {
  SimPriorModel model;
  model.knobs = c.text("knobs");
  const auto d = static_cast<Index>(std::count(model.knobs.begin(), model.knobs.end(), ' ')) + 1;
  model.modes = modes_of(c, "modes");
  if (c.numbers.contains("workloads"))
    model.workloads = c.integer("workloads", 1, std::numeric_limits<int>::max());
  if (c.tensors.contains("stated/characteristics")) {
    model.stated.emplace().characteristics = c.tensor("stated/characteristics");
    model.stated->time_of = c.integers("stated/time_of", 0, static_cast<int>(datasets::TimeOf::run));
    model.stated->highest = c.integers("stated/highest", 1, std::numeric_limits<int>::max());
    model.stated->lowest = c.vector("stated/lowest");
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    if (!c.tensors.contains(prefix + "residual")) continue;
    if (model.stated && c.tensors.contains(prefix + "stated/curves")) {
      model.stated->curves[t] = c.tensor(prefix + "stated/curves");
      model.stated->curve_errors[t] = c.real(prefix + "stated/error", 0, kMostTargetScale);
    }
    const auto read = [&](const std::string& from, SimPriorFitted& fitted) {
      const Vector flat = c.vector(from + "residual");
      if (flat.size() < 1 + 3 * d)
        throw std::invalid_argument("checkpoint of sim_prior: " + from + "residual must have at least " +
                                    std::to_string(1 + 3 * d) + " values, found " +
                                    std::to_string(flat.size()));
      fitted.residual = SimResidual::from_flat(flat, d);
      fitted.log_noise = c.real(from + "log_noise", -kMostLog, kMostLog);
      fitted.log_scale = c.real(from + "log_scale", -kMostLog, kMostLog);
    };
    SimPriorTarget target;
    read(prefix, target);
    if (c.tensors.contains(prefix + "mixed/residual")) {
      read(prefix + "mixed/", target.mixed.emplace());
      target.mixed_share = c.real(prefix + "mixed/share", 0, 1);
    }
    target.training = c.tensor(prefix + "training");
    model.targets[t] = std::move(target);
  }
  return model;
}

}  // namespace fewwatt::learners
