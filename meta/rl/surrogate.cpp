#include "meta/rl/surrogate.hpp"

#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {

PolicyBatch PolicyBatch::part(std::span<const std::size_t> which) const {
  const auto b = static_cast<Eigen::Index>(which.size()), t = size() / side_by_side, n = t * b;
  PolicyBatch some;
  some.side_by_side = b;
  some.inputs.resize(n, inputs.cols());
  for (auto* column : {&some.log_probabilities, &some.advantages, &some.returns, &some.weights})
    column->resize(n);
  some.sets.resize(static_cast<std::size_t>(n));
  some.actions.resize(static_cast<std::size_t>(n));
  Eigen::Index to = 0;
  for (Eigen::Index step = 0; step < t; ++step) {
    for (const auto one : which) {
      const auto from = step * side_by_side + static_cast<Eigen::Index>(one);
      some.inputs.row(to) = inputs.row(from);
      some.log_probabilities[to] = log_probabilities[from];
      some.advantages[to] = advantages[from];
      some.returns[to] = returns[from];
      some.weights[to] = weights[from];
      some.sets[static_cast<std::size_t>(to)] = sets[static_cast<std::size_t>(from)];
      some.actions[static_cast<std::size_t>(to)] = actions[static_cast<std::size_t>(from)];
      ++to;
    }
  }
  return some;
}

at::Tensor surrogate_loss(const PolicyShape& shape, const Weights& weights, const PolicyBatch& batch,
                          const Surrogate& surrogate) {
  auto features = view_of(batch.inputs);
  if (shape.memory > 0) {
    const auto b = batch.side_by_side, t = batch.size() / b;
    features =
        memories(shape, weights, features.view({t, b, shape.memory_inputs()})).view({t * b, shape.memory});
  }
  const auto all =
      at::log_softmax(scores(shape, weights, features, TorchChoices(shape, Choices(batch.sets))), 1);
  const auto chosen = all.gather(1, view_of(batch.actions).unsqueeze(1)).squeeze(1);
  const auto advantages = view_of(batch.advantages);
  at::Tensor gain;
  if (surrogate.clip > 0) {
    const auto ratio = at::exp(chosen - view_of(batch.log_probabilities));
    gain = at::minimum(ratio * advantages, ratio.clamp(1 - surrogate.clip, 1 + surrogate.clip) * advantages);
  } else {
    gain = chosen * advantages;
  }
  const auto entropy = -(all.exp() * all).sum(1);
  const auto errors = (values(shape, weights, features) - view_of(batch.returns)).square();
  return -at::dot(view_of(batch.weights) / batch.weights.sum(),
                  gain + surrogate.entropy_weight * entropy - surrogate.value_weight * errors);
}

LossGradient surrogate_gradient(const PolicyShape& shape, const Vector& parameters, const PolicyBatch& batch,
                                const Surrogate& surrogate) {
  use_one_thread();
  const auto weights = weights_on(shape, parameters, /*differentiable=*/true);
  const auto loss = surrogate_loss(shape, weights, batch, surrogate);
  return {loss.item<double>(), flatten(gradients(loss, weights))};
}

}  // namespace fewwatt::meta
