#include "meta/rl/advantages.hpp"

#include <cmath>

namespace fewwatt::meta {

Matrix generalised_advantages(const StepValues& steps, double discount, double trace) {
  Matrix advantages(steps.rewards.rows(), steps.rewards.cols());
  Eigen::RowVectorXd next = Eigen::RowVectorXd::Zero(advantages.cols());
  for (Eigen::Index t = advantages.rows() - 1; t >= 0; --t) {
    const auto goes_on = 1 - steps.terminated.row(t).array(), same_episode = 1 - steps.ended.row(t).array();
    next = steps.rewards.row(t).array() + discount * steps.next_values.row(t).array() * goes_on -
           steps.values.row(t).array() + discount * trace * next.array() * same_episode;
    advantages.row(t) = next;
  }
  return advantages;
}

Vector normalised(const Vector& x, const Vector& weights) {
  const double n = weights.sum();
  const Vector centred = (x.array() - x.dot(weights) / n) * weights.array();
  return centred / (std::sqrt(centred.squaredNorm() / n) + 1e-8);
}

}  // namespace fewwatt::meta
