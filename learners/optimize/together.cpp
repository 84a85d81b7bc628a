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
    throw std::invalid_argument(
        "how workloads share a board is predicted from the knob gpu_khz, and there are only " +
        describe_roles(space) + "; measure each beside the other");
  const std::array<const Model*, 2> models = {&a, &b};
  std::array<Costs, 2> costs;
  for (int i = 0; i < 2; ++i) {
    costs[i] = costs_of(models[i]->prediction);
    for (const auto* column : {&costs[i].time_ms, &costs[i].power_w})
      if (column->isNaN().any())
        throw std::invalid_argument(models[i]->workload +
                                    " needs times and powers of all modes to run together");
  }

  const Index n = costs[0].time_ms.size();
  Pair pair;
  pair.each_ms.resize(n, 2);
  ArrayXd power_w;
  if (predicted) {
    const auto modes = space.modes();
    std::array<ArrayXd, 2> halved, use;
    for (int i = 0; i < 2; ++i) {
      const Table time(space, costs[i].time_ms);
      halved[i].resize(n);
      for (Index row = 0; row < n; ++row)
        halved[i](row) = time.with_half_the_cores(modes[static_cast<std::size_t>(row)]);
      use[i] = (kernels_of(space, time) / halved[i]).min(1.0);
    }
    const double idle_w = std::min(costs[0].power_w.minCoeff(), costs[1].power_w.minCoeff());
    power_w = ArrayXd::Constant(n, idle_w);
    for (int i = 0; i < 2; ++i) {
      const ArrayXd time_ms = halved[i] * (1 + use[0] * use[1]);
      pair.each_ms.col(i) = time_ms;
      power_w += (costs[i].power_w - idle_w) * costs[i].time_ms / time_ms;
    }
  } else {
    pair.each_ms << costs[0].time_ms, costs[1].time_ms;
    power_w = (costs[0].power_w + costs[1].power_w) / 2;
  }

  auto& model = pair.model;
  model.device = a.device;
  model.workload = a.workload + "+" + b.workload;
  model.learner = a.learner == b.learner ? a.learner : a.learner + "+" + b.learner;
  model.space = a.space;
  model.support = {a.space, {}, Matrix(0, tasks::kNumTargets)};
  model.prediction.mean.resize(n, tasks::kNumTargets);
  const bool uncertain = costs[0].time_log_sd.size() > 0 && costs[1].time_log_sd.size() > 0;
  if (uncertain) model.prediction.stddev.resize(n, tasks::kNumTargets);
  for (Index row = 0; row < n; ++row) {
    const int last = shares[0] * pair.each_ms(row, 0) < shares[1] * pair.each_ms(row, 1) ? 1 : 0;
    const double time_ms = shares[last] * pair.each_ms(row, last);
    model.prediction.mean.row(row) << time_ms, power_w(row);
    if (!uncertain) continue;
    // A standard deviation s of the log as one of the value: median sqrt(exp(s^2) - 1), as the learners state it.
    const auto stated = [&](double median, double log_sd, double error) {
      return median * std::sqrt(std::expm1(log_sd * log_sd + (predicted ? error * error : 0)));
    };
    model.prediction.stddev.row(row) << stated(time_ms, costs[last].time_log_sd(row), kPairTimeError),
        stated(power_w(row), std::max(costs[0].power_log_sd(row), costs[1].power_log_sd(row)),
               kPairPowerError);
  }
  return pair;
}

}  // namespace fewwatt::learners
