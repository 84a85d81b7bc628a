#include "tasks/value_iteration.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::tasks {

std::string FiniteMdp::error() const {
  const std::string of = "FiniteMdp: ";
  if (states == 0 || actions == 0) return of + "needs a state and an action at least";
  if (outcomes.size() != states * actions)
    return of + "expected outcomes for " + std::to_string(states * actions) +
           " pairs of state and action, found " + std::to_string(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto where =
        of + "state " + std::to_string(i / actions) + ", action " + std::to_string(i % actions);
    double sum = 0;
    for (const auto& outcome : outcomes[i]) {
      if (outcome.next >= states)
        return where + ": expected a next state below " + std::to_string(states) + ", found " +
               std::to_string(outcome.next);
      if (!(outcome.probability >= 0) || !std::isfinite(outcome.reward))
        return where + ": expected a probability >= 0 and a finite reward, found " +
               std::to_string(outcome.probability) + " and " + std::to_string(outcome.reward);
      sum += outcome.probability;
    }
    if (!(std::abs(sum - 1) <= 1e-9))
      return where + ": expected probabilities that sum to 1, found " + std::to_string(sum);
  }
  return "";
}

Matrix optimal_action_values(const FiniteMdp& mdp, double discount, double tolerance) {
  if (const auto error = mdp.error(); !error.empty()) throw std::invalid_argument(error);
  if (!(discount >= 0 && discount < 1))
    throw std::invalid_argument("optimal_action_values: discount must be in [0, 1), got " +
                                std::to_string(discount));
  if (!(tolerance > 0))
    throw std::invalid_argument("optimal_action_values: tolerance must be > 0, got " +
                                std::to_string(tolerance));
  const auto states = static_cast<Eigen::Index>(mdp.states), actions = static_cast<Eigen::Index>(mdp.actions);
  Matrix q = Matrix::Zero(states, actions);
  // The iteration contracts by `discount`: after a change of d, the error is at most d discount / (1 - discount). What rounding leaves of
  // large values changes no more.
  double change = 0, rounding = 0;
  do {
    const Vector best = q.rowwise().maxCoeff();
    change = 0;
    for (Eigen::Index s = 0; s < states; ++s)
      for (Eigen::Index a = 0; a < actions; ++a) {
        double value = 0;
        for (const auto& outcome : mdp.outcomes[static_cast<std::size_t>(s * actions + a)])
          value += outcome.probability *
                   (outcome.reward +
                    (outcome.terminated ? 0 : discount * best[static_cast<Eigen::Index>(outcome.next)]));
        change = std::max(change, std::abs(value - q(s, a)));
        q(s, a) = value;
      }
    rounding = 1e-15 * q.cwiseAbs().maxCoeff();
  } while (change * discount > (1 - discount) * tolerance + rounding);
  return q;
}

}  // namespace fewwatt::tasks
