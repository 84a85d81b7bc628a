#include "learners/learner.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fewwatt::learners {

TargetRows rows_of(const Samples& support, tasks::Target target) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < support.size(); ++i) {
    if (!std::isnan(support.targets(static_cast<Eigen::Index>(i), target))) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return support.modes[a] < support.modes[b]; });
  TargetRows rows{support.space,
                  {},
                  Vector(static_cast<Eigen::Index>(order.size())),
                  Vector::Ones(static_cast<Eigen::Index>(order.size()))};
  for (std::size_t i = 0; i < order.size(); ++i) {
    rows.modes.push_back(support.modes[order[i]]);
    const auto row = static_cast<Eigen::Index>(i), from = static_cast<Eigen::Index>(order[i]);
    rows.values[row] = support.targets(from, target);
    if (support.noise_factors.size() > 0) rows.noise_factors[row] = support.noise_factors(from, target);
  }
  return rows;
}

void check_support(const std::string& learner, const Samples& support, std::size_t min_shots) {
  support.check();
  if (support.size() < min_shots) {
    throw std::invalid_argument(learner + " needs at least " + std::to_string(min_shots) +
                                " measured modes, got " + std::to_string(support.size()));
  }
}

}  // namespace fewwatt::learners
