#include "meta/rl/surrogate.hpp"

#include <algorithm>
#include <numeric>

#include "hw/jobs.hpp"
#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

constexpr std::size_t kRowsOfPart = 128;  // at least: an operation costs microseconds however few rows it has

}  // namespace

PolicyBatch PolicyBatch::part(std::span<const std::size_t> which) const {
  const auto b = static_cast<Eigen::Index>(which.size()), t = size() / side_by_side, n = t * b;
  PolicyBatch some;
  some.side_by_side = b;
  some.inputs.resize(n, inputs.cols());
  for (auto* column : {&some.log_probabilities, &some.advantages, &some.returns, &some.weights})
    column->resize(n);
  some.sets.resize(static_cast<std::size_t>(n));
  some.spent.resize(spent.empty() ? 0 : static_cast<std::size_t>(n));
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
      if (!spent.empty()) some.spent[static_cast<std::size_t>(to)] = spent[static_cast<std::size_t>(from)];
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
    const auto memory = memories(shape, weights, features.view({t, b, shape.memory_inputs()}));
    features = features_of(shape, memory.view({t * b, shape.memory}), features);
  }
  const auto all = at::log_softmax(
      scores(shape, weights, features, TorchChoices(shape, Choices(batch.sets, batch.spent))), 1);
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
                                const Surrogate& surrogate, std::size_t workers) {
  const auto of = [&](const PolicyBatch& some) -> LossGradient {
    use_one_thread();
    const auto weights = weights_on(shape, parameters, /*differentiable=*/true);
    const auto loss = surrogate_loss(shape, weights, some, surrogate);
    return {loss.item<double>(), flatten(gradients(loss, weights))};
  };
  const auto columns = static_cast<std::size_t>(batch.side_by_side);
  const auto rows = static_cast<std::size_t>(batch.size());
  const auto parts = std::clamp<std::size_t>(rows / kRowsOfPart, 1, columns);
  if (parts == 1) return of(batch);

  std::vector<std::size_t> all(columns);
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::vector<LossGradient> found(parts);
  std::vector<double> shares(parts);  // of the rows that are there
  hw::run_jobs(parts, workers, [&](std::size_t i) {
    const auto from = columns * i / parts, to = columns * (i + 1) / parts;
    const auto some = batch.part(std::span(all).subspan(from, to - from));
    shares[i] = some.weights.sum() / batch.weights.sum();
    if (shares[i] > 0) found[i] = of(some);
  });
  LossGradient sum{0, Vector::Zero(parameters.size())};
  for (std::size_t i = 0; i < parts; ++i) {
    if (!(shares[i] > 0)) continue;
    sum.loss += shares[i] * found[i].loss;
    sum.gradient += shares[i] * found[i].gradient;
  }
  return sum;
}

}  // namespace fewwatt::meta
