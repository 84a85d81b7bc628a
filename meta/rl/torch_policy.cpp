#include "meta/rl/torch_policy.hpp"

#include <algorithm>

namespace fewwatt::meta {
namespace {

constexpr std::size_t kGruParts = 4;  // weights of inputs, of the memory, and two biases

std::size_t first_of_scores(const PolicyShape& shape) {
  return shape.memory > 0 ? kGruParts : 0;
}
std::size_t first_of_values(const PolicyShape& shape) {
  return first_of_scores(shape) + 2 * shape.scores().num_layers();
}

at::Tensor activate(learners::Activation activation, const at::Tensor& z) {
  switch (activation) {
    case learners::Activation::relu:
      return at::relu(z);
    case learners::Activation::silu:
      return at::silu(z);
    case learners::Activation::tanh:
      return at::tanh(z);
  }
  return z;
}

// z, what the first layer gives [...,h], through the rest of a net whose weights begin at `first`.
at::Tensor after_first_layer(const learners::MlpShape& net, const Weights& weights, std::size_t first,
                             at::Tensor z) {
  for (std::size_t l = 1; l < net.num_layers(); ++l) {
    z = activate(net.activation, z);
    const auto& w = weights[first + 2 * l];
    const auto& b = weights[first + 2 * l + 1];
    z = z.dim() == 2 ? at::addmm(b, z, w) : at::matmul(z, w) + b;
  }
  return z;
}

// h' from what the inputs give [b,3m].
at::Tensor next_memory(const PolicyShape& shape, const Weights& weights, const at::Tensor& of_inputs,
                       const at::Tensor& memory) {
  const std::int64_t m = shape.memory;
  const auto of_memory = at::addmm(weights[3], memory, weights[1]);
  const auto gates = at::sigmoid(of_inputs.narrow(1, 0, 2 * m) + of_memory.narrow(1, 0, 2 * m));
  const auto candidate = at::tanh(
      at::addcmul(of_inputs.narrow(1, 2 * m, m), gates.narrow(1, 0, m), of_memory.narrow(1, 2 * m, m)));
  return at::lerp(candidate, memory, gates.narrow(1, m, m));
}

}  // namespace

at::Tensor view_of(const Matrix& m) {
  return at::from_blob(const_cast<double*>(m.data()), {m.rows(), m.cols()}, at::kDouble);
}
at::Tensor view_of(const Vector& v) {
  return at::from_blob(const_cast<double*>(v.data()), {v.size()}, at::kDouble);
}
at::Tensor view_of(const std::vector<std::int64_t>& values) {
  return at::from_blob(const_cast<std::int64_t*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       at::kLong);
}

Weights weights_on(const PolicyShape& shape, const Vector& parameters, bool differentiable) {
  Weights all;
  auto* at = const_cast<double*>(parameters.data());
  const auto add = [&](at::IntArrayRef sizes) {
    auto one = at::from_blob(at, sizes, at::kDouble);
    at += one.numel();
    all.push_back(differentiable ? one.set_requires_grad(true) : one);
  };
  if (const std::int64_t m = shape.memory; m > 0) {
    add({shape.memory_inputs(), 3 * m});
    add({m, 3 * m});
    add({3 * m});
    add({3 * m});
  }
  const auto add_net = [&](const learners::MlpShape& net) {
    for (std::size_t l = 0; l < net.num_layers(); ++l) {
      add({net.sizes[l], net.sizes[l + 1]});
      add({net.sizes[l + 1]});
    }
  };
  add_net(shape.scores());
  if (shape.with_values) add_net(shape.values());
  return all;
}

Weights gradients(const at::Tensor& loss, const Weights& weights, bool again) {
  auto found = torch::autograd::grad({loss}, weights, {}, /*retain_graph=*/c10::nullopt,
                                     /*create_graph=*/again, /*allow_unused=*/true);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!found[i].defined()) found[i] = at::zeros_like(weights[i]);
  return found;
}

Vector flatten(const Weights& weights) {
  std::int64_t size = 0;
  for (const auto& one : weights) size += one.numel();
  Vector all(size);
  double* to = all.data();
  for (const auto& one : weights) {
    const auto flat = one.detach().contiguous();
    to = std::copy_n(flat.data_ptr<double>(), flat.numel(), to);
  }
  return all;
}

TorchChoices::TorchChoices(const PolicyShape& shape, const Choices& choices) {
  if (shape.actions > 0) return;
  Eigen::Index most = 0, fewest = choices.sets.at(0)->rows();
  for (const auto& set : choices.sets) {
    most = std::max(most, set->rows());
    fewest = std::min(fewest, set->rows());
  }
  const auto s = static_cast<std::int64_t>(choices.sets.size());
  sets = at::zeros({s, most, shape.action_features}, at::kDouble);
  auto padding = at::zeros({s, most}, at::kBool);
  for (std::int64_t i = 0; i < s; ++i) {
    const Matrix& set = *choices.sets[static_cast<std::size_t>(i)];
    std::copy_n(set.data(), set.size(), sets.data_ptr<double>() + i * most * shape.action_features);
    std::fill_n(padding.data_ptr<bool>() + i * most + set.rows(), most - set.rows(), true);
  }
  set_of = view_of(choices.set_of).clone();
  if (fewest < most) absent = padding.index_select(0, set_of);
}

at::Tensor scores(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                  const TorchChoices& choices) {
  const auto net = shape.scores();
  const auto first = first_of_scores(shape);
  const auto &w = weights[first], &b = weights[first + 1];
  if (shape.actions > 0) return after_first_layer(net, weights, first, at::addmm(b, features, w));
  // The first layer of [features, action row] is a sum of two parts, each of which is the same for many pairs.
  const auto of_features = at::addmm(b, features, w.narrow(0, 0, shape.features()));  // [n,h]
  auto of_actions =
      at::matmul(choices.sets, w.narrow(0, shape.features(), shape.action_features));  // [s,a,h]
  if (choices.sets.size(0) > 1) of_actions = of_actions.index_select(0, choices.set_of);
  const auto all =
      after_first_layer(net, weights, first, of_features.unsqueeze(1) + of_actions).squeeze(-1);  // [n,a]
  return choices.absent.defined() ? all.masked_fill(choices.absent, kNoAction) : all;
}

at::Tensor values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features) {
  const auto first = first_of_values(shape);
  return after_first_layer(shape.values(), weights, first,
                           at::addmm(weights[first + 1], features, weights[first]))
      .squeeze(-1);
}

at::Tensor action_values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                         const TorchChoices& choices) {
  const auto advantages = scores(shape, weights, features, choices);
  if (!shape.with_values) return advantages;
  at::Tensor mean;
  if (choices.absent.defined()) {
    const auto present = choices.absent.logical_not().sum(1, /*keepdim=*/true);
    mean = advantages.masked_fill(choices.absent, 0.0).sum(1, /*keepdim=*/true) / present;
  } else {
    mean = advantages.mean(1, /*keepdim=*/true);
  }
  const auto all = values(shape, weights, features).unsqueeze(1) + advantages - mean;
  return choices.absent.defined() ? all.masked_fill(choices.absent, kNoAction) : all;
}

at::Tensor remember(const PolicyShape& shape, const Weights& weights, const at::Tensor& inputs,
                    const at::Tensor& memory) {
  return next_memory(shape, weights, at::addmm(weights[2], inputs, weights[0]), memory);
}

at::Tensor memories(const PolicyShape& shape, const Weights& weights, const at::Tensor& inputs) {
  const auto t = inputs.size(0), b = inputs.size(1);
  const auto of_inputs = at::addmm(weights[2], inputs.reshape({t * b, inputs.size(2)}), weights[0])
                             .view({t, b, 3 * shape.memory});
  auto memory = at::zeros({b, shape.memory}, at::kDouble);
  std::vector<at::Tensor> all;
  for (std::int64_t step = 0; step < t; ++step) {
    memory = next_memory(shape, weights, of_inputs[step], memory);
    all.push_back(memory);
  }
  return at::stack(all);
}

}  // namespace fewwatt::meta
