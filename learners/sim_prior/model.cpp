#include "learners/sim_prior/model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learners/checkpoint_fields.hpp"

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

void SimPriorModel::visit(CheckpointFields& fields) {
  constexpr int kMost = std::numeric_limits<int>::max();
  std::string trained_by = "sim_prior";
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  fields.modes("modes", modes);
  if (!fields.reads() || fields.source().has_number("workloads"))
    fields.integer("workloads", workloads, 1, kMost);
  const auto fitted = [d = static_cast<Index>(std::count(knobs.begin(), knobs.end(), ' ')) + 1](
                          CheckpointFields& of, SimPriorFitted& one) {
    Vector residual = of.reads() ? Vector() : one.residual.flat();
    of.row("residual", residual);
    if (of.reads() && residual.size() < 1 + 3 * d)
      of.refuse("residual", "must have at least " + std::to_string(1 + 3 * d) + " values, found " +
                                std::to_string(residual.size()));
    if (of.reads()) one.residual = SimResidual::from_flat(residual, d);
    of.real("log_noise", one.log_noise, -kMostLog, kMostLog);
    of.real("log_scale", one.log_scale, -kMostLog, kMostLog);
  };
  fields.targets(targets, "residual", [&](CheckpointFields& of, SimPriorTarget& target) {
    fitted(of, target);
    of.matrix("training", target.training);
    of.part("mixed", "residual", target.mixed, [&](CheckpointFields& part, SimPriorFitted& mixed) {
      fitted(part, mixed);
      part.real("share", target.mixed_share, 0, 1);
    });
  });
  fields.part("stated", "characteristics", stated, [](CheckpointFields& of, StatedWorkloads& known) {
    of.matrix("characteristics", known.characteristics);
    of.integers("time_of", known.time_of, 0, static_cast<int>(datasets::TimeOf::run));
    of.integers("highest", known.highest, 1, kMost);
    of.row("lowest", known.lowest);
  });
  if (!stated) return;
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const auto prefix = std::string(kTargetNames[t]) + "/stated/";
    fields.optional_matrix(prefix + "curves", stated->curves[t]);
    if (stated->curves[t].size() > 0)
      fields.real(prefix + "error", stated->curve_errors[t], 0, kMostTargetScale);
  }
}

Checkpoint SimPriorModel::to_checkpoint() const {
  return write_fields("sim_prior", *this);
}

SimPriorModel SimPriorModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<SimPriorModel>(c);
}

}  // namespace fewwatt::learners
