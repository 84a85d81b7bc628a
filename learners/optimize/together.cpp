#include "learners/optimize/together.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/optimize/choose.hpp"

namespace fewwatt::learners {
namespace {

using Eigen::ArrayXd;
using Eigen::Index;
using tasks::kPowerW;
using tasks::kTimeMs;

// A column of all modes of a space, and its values in other modes.
class Table {
 public:
  Table(const hw::PowerModeSpace& space, ArrayXd values) : space_(space), values_(std::move(values)) {}

  std::optional<double> at(const hw::PowerMode& mode) const {
    const auto row = space_.index_of(mode);
    return row ? std::optional(values_(static_cast<Index>(*row))) : std::nullopt;
  }

  // -d log value / d log level of a knob around a mode, in [0, 1]; 0 where the knob is missing or has no other level there.
  double elasticity(const hw::PowerMode& mode, hw::KnobRole role) const {
    const auto knob = space_.knob_with(role);
    if (!knob) return 0;
    const auto& levels = space_.knobs()[*knob].levels;
    const auto level = static_cast<std::size_t>(std::lower_bound(levels.begin(), levels.end(), mode[*knob]) -
                                                levels.begin());
    auto low = mode, high = mode;
    low[*knob] = levels[level > 0 ? level - 1 : 0];
    high[*knob] = levels[std::min(level + 1, levels.size() - 1)];
    if (!at(low)) low = mode;
    if (!at(high)) high = mode;
    if (low == high) return 0;
    return std::clamp(
        -std::log(*at(high) / *at(low)) / std::log(static_cast<double>(high[*knob]) / low[*knob]), 0.0, 1.0);
  }

  // With half the cores; as it is where the space has no such modes.
  double with_half_the_cores(const hw::PowerMode& mode) const {
    const double here = *at(mode);
    const auto knob = space_.knob_with(hw::KnobRole::cpu_cores);
    if (!knob || space_.knobs()[*knob].levels.size() < 2) return here;
    const auto& levels = space_.knobs()[*knob].levels;
    const double wanted = mode[*knob] / 2.0;
    std::size_t upper = 1;
    while (upper + 1 < levels.size() && levels[upper] < wanted) ++upper;
    auto low = mode, high = mode;
    low[*knob] = levels[upper - 1];
    high[*knob] = levels[upper];
    if (!at(low) || !at(high)) return here;
    const double x = std::log(wanted / levels[upper - 1]) /
                     std::log(static_cast<double>(levels[upper]) / levels[upper - 1]);
    return std::max(here, *at(low) * std::pow(*at(high) / *at(low), x));
  }

 private:
  const hw::PowerModeSpace& space_;
  ArrayXd values_;
};

// Time of the GPU's kernels per unit of work, of each mode.
ArrayXd kernels_of(const hw::PowerModeSpace& space, const Table& time) {
  const auto modes = space.modes();
  ArrayXd kernels(static_cast<Index>(modes.size()));
  for (std::size_t i = 0; i < modes.size(); ++i) {
    auto fastest = modes[i];
    for (const auto role : {hw::KnobRole::cpu_cores, hw::KnobRole::cpu_khz})
      if (const auto knob = space.knob_with(role)) fastest[*knob] = space.max_level(*knob);
    if (!time.at(fastest)) fastest = modes[i];
    const double g = time.elasticity(fastest, hw::KnobRole::gpu_khz);
    const double m = time.elasticity(fastest, hw::KnobRole::mem_khz);
    const double c = time.elasticity(fastest, hw::KnobRole::cpu_khz);
    const double share = g + c > 0 ? std::min(1.0, g + m * g / (g + c)) : m;
    kernels(static_cast<Index>(i)) = *time.at(fastest) * share;
  }
  return kernels;
}

}  // namespace

Pair run_together(const Model& a, const Model& b, const std::array<double, 2>& shares, PairKnowledge how) {
  if (a.device != b.device)
    throw std::invalid_argument("models of different boards: " + a.device + "/" + a.workload + " and " +
                                b.device + "/" + b.workload);
  if (*a.space != *b.space)
    throw std::invalid_argument("workloads that run together need models of the same modes; " + a.workload +
                                " and " + b.workload + " have others");
  const auto& space = *a.space;
  const bool predicted = how == PairKnowledge::predicted;
  if (predicted && !space.knob_with(hw::KnobRole::gpu_khz))
    throw std::invalid_argument("predicting how workloads share a board needs the knob gpu_khz, found only " +
                                describe_roles(space) + "; measure each workload while the other runs");
  const std::array<const Model*, 2> models = {&a, &b};
  std::array<ArrayXd, 2> times_ms, powers_w;  // medians
  for (int i = 0; i < 2; ++i) {
    const Matrix medians = models[i]->prediction.median();
    if (medians.array().isNaN().any())
      throw std::invalid_argument(models[i]->workload +
                                  " needs times and powers of all modes to run together");
    times_ms[i] = medians.col(tasks::kTimeMs);
    powers_w[i] = medians.col(tasks::kPowerW);
  }

  const Index n = times_ms[0].size();
  Pair pair;
  pair.each_ms.resize(n, 2);
  ArrayXd power_w;
  if (predicted) {
    const auto modes = space.modes();
    std::array<ArrayXd, 2> halved, use;
    for (int i = 0; i < 2; ++i) {
      const Table time(space, times_ms[i]);
      halved[i].resize(n);
      for (Index row = 0; row < n; ++row)
        halved[i](row) = time.with_half_the_cores(modes[static_cast<std::size_t>(row)]);
      use[i] = (kernels_of(space, time) / halved[i]).min(1.0);
    }
    const double idle_w = std::min(powers_w[0].minCoeff(), powers_w[1].minCoeff());
    power_w = ArrayXd::Constant(n, idle_w);
    for (int i = 0; i < 2; ++i) {
      const ArrayXd time_ms = halved[i] * (1 + use[0] * use[1]);
      pair.each_ms.col(i) = time_ms;
      power_w += (powers_w[i] - idle_w) * times_ms[i] / time_ms;
    }
  } else {
    pair.each_ms << times_ms[0], times_ms[1];
    power_w = (powers_w[0] + powers_w[1]) / 2;
  }

  auto& model = pair.model;
  model.device = a.device;
  model.workload = a.workload + "+" + b.workload;
  model.learner = a.learner == b.learner ? a.learner : a.learner + "+" + b.learner;
  model.space = a.space;
  model.support = {a.space, {}, Matrix(0, tasks::kNumTargets)};
  const auto &first = a.prediction, &second = b.prediction;
  const bool uncertain = first.uncertain() && second.uncertain();
  Matrix medians(n, tasks::kNumTargets), variances(n, tasks::kNumTargets);
  for (Index row = 0; row < n; ++row) {
    const int last = shares[0] * pair.each_ms(row, 0) < shares[1] * pair.each_ms(row, 1) ? 1 : 0;
    medians.row(row) << shares[last] * pair.each_ms(row, last), power_w(row);
    if (!uncertain) continue;
    variances.row(row) << models[last]->prediction.log_variance(row, tasks::kTimeMs),
        std::max(first.log_variance(row, tasks::kPowerW), second.log_variance(row, tasks::kPowerW));
  }
  model.prediction = Prediction::of_medians(medians);
  if (!uncertain) return pair;
  if (predicted) {
    variances.col(tasks::kTimeMs).array() += kPairTimeError * kPairTimeError;
    variances.col(tasks::kPowerW).array() += kPairPowerError * kPairPowerError;
  }
  model.prediction.log_variance = model.prediction.latent_log_variance = variances;
  return pair;
}

}  // namespace fewwatt::learners
