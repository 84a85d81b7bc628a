#include "learners/spread.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fewwatt::learners {

using Index = Eigen::Index;

std::vector<std::size_t> spread_rows(std::span<const hw::PowerMode> modes, std::size_t most) {
  std::vector<std::size_t> order(modes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (modes.size() <= most) return order;
  if (most == 0) return {};
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return modes[a] < modes[b]; });
  Matrix points(static_cast<Index>(order.size()), static_cast<Index>(modes[0].size()));
  for (std::size_t i = 0; i < order.size(); ++i)
    for (std::size_t k = 0; k < modes[0].size(); ++k)
      points(static_cast<Index>(i), static_cast<Index>(k)) = std::log(modes[order[i]][k]);
  const Eigen::RowVectorXd low = points.colwise().minCoeff(), width = points.colwise().maxCoeff() - low;
  points.rowwise() -= low;
  for (Index k = 0; k < points.cols(); ++k)
    if (width[k] > 0) points.col(k) /= width[k];

  std::vector<std::size_t> taken;
  Vector distances = Vector::Constant(points.rows(), std::numeric_limits<double>::infinity());
  for (Index next = 0; taken.size() < most; distances.maxCoeff(&next)) {
    taken.push_back(order[static_cast<std::size_t>(next)]);
    const Eigen::RowVectorXd at = points.row(next);
    distances = distances.cwiseMin((points.rowwise() - at).rowwise().squaredNorm());
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

Samples spread_support(const Samples& support, std::size_t most) {
  Matrix targets = support.targets;
  bool fewer = false;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    std::vector<std::size_t> rows;
    std::vector<hw::PowerMode> modes;
    for (std::size_t i = 0; i < support.size(); ++i) {
      if (std::isnan(support.targets(static_cast<Index>(i), t))) continue;
      rows.push_back(i);
      modes.push_back(support.modes[i]);
    }
    if (rows.size() <= most) continue;
    fewer = true;
    targets.col(t).setConstant(std::nan(""));
    for (const auto i : spread_rows(modes, most)) {
      const auto row = static_cast<Index>(rows[i]);
      targets(row, t) = support.targets(row, t);
    }
  }
  if (!fewer) return support;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < support.size(); ++i)
    if (!targets.row(static_cast<Index>(i)).array().isNaN().all()) kept.push_back(i);
  Samples some = support;
  some.targets = std::move(targets);
  return some.subset(kept);
}

}  // namespace fewwatt::learners
