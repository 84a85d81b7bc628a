#include "meta/rl/torch_policy.hpp"

#include <algorithm>
#include <cmath>

#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

constexpr std::size_t kGruParts = 4;  // weights of inputs, of the memory, and two biases

std::size_t first_of_scores(const PolicyShape& shape) {
  return shape.memory > 0 ? kGruParts : 0;
}
std::size_t first_of_rows(const PolicyShape& shape) {
  return first_of_scores(shape) + 2 * shape.scores().num_layers();
}
std::size_t first_of_values(const PolicyShape& shape) {
  return first_of_rows(shape) + (shape.actions == 0 ? 2 * shape.rows().num_layers() : 0);
}

// What a net makes of rows [n,in]; its weights begin at `first`.
at::Tensor through(const learners::MlpShape& net, const Weights& weights, std::size_t first, at::Tensor z) {
  for (std::size_t l = 0; l < net.num_layers(); ++l) {
    if (l > 0) z = activate(net.activation, z);
    z = at::addmm(weights[first + 2 * l + 1], z, weights[first + 2 * l]);
  }
  return z;
}

// [n,a] true = spent
at::Tensor spent_of(const Choices& choices, std::int64_t a) {
  const auto n = static_cast<std::int64_t>(choices.spent.size());
  auto spent = at::zeros({n, a}, at::kBool);
  auto* at = spent.data_ptr<bool>();
  for (const auto& row : choices.spent) {
    for (const auto action : row) at[action] = true;
    at += a;
  }
  return spent;
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
  if (shape.actions == 0) add_net(shape.rows());
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
  if (shape.actions > 0) {
    if (!choices.spent.empty()) absent = spent_of(choices, shape.actions);
    return;
  }
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
  if (fewest < most) absent = padding.index_select(0, view_of(choices.set_of));
  if (!choices.spent.empty()) {
    const auto spent = spent_of(choices, most);
    absent = absent.defined() ? absent.logical_or(spent) : spent;
  }
  // Each set's situations, then 0 where it has fewer than another.
  std::vector<std::vector<std::int64_t>> of_set(choices.sets.size());
  for (std::size_t n = 0; n < choices.set_of.size(); ++n)
    of_set[static_cast<std::size_t>(choices.set_of[n])].push_back(static_cast<std::int64_t>(n));
  std::size_t widest = 0;
  for (const auto& one : of_set) widest = std::max(widest, one.size());
  std::vector<std::int64_t> listed, places(choices.set_of.size());
  for (auto& one : of_set) {
    for (std::size_t k = 0; k < one.size(); ++k)
      places[static_cast<std::size_t>(one[k])] = static_cast<std::int64_t>(listed.size() + k);
    one.resize(widest, 0);
    listed.insert(listed.end(), one.begin(), one.end());
  }
  situations = view_of(listed).view({s, -1}).clone();
  place = view_of(places).clone();
}

at::Tensor of_state(const PolicyShape& shape, const Weights& weights, const at::Tensor& features) {
  return through(shape.scores(), weights, first_of_scores(shape), features);
}

at::Tensor embedded(const PolicyShape& shape, const Weights& weights, const at::Tensor& rows) {
  return through(shape.rows(), weights, first_of_rows(shape), rows) /
         std::sqrt(static_cast<double>(shape.embedding));
}

at::Tensor scores(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                  const TorchChoices& choices) {
  const auto of_states = of_state(shape, weights, features);
  at::Tensor all;  // [n,a]
  if (shape.actions > 0) {
    all = of_states;
  } else {  // one product for all situations of a set
    const auto s = choices.sets.size(0), a = choices.sets.size(1), d = std::int64_t{shape.embedding};
    const auto of_rows = embedded(shape, weights, choices.sets.view({s * a, -1})).view({s, a, d});
    const auto r = choices.situations.size(1);
    const auto by_set = of_states.index_select(0, choices.situations.view({s * r})).view({s, r, d});
    all = at::bmm(by_set, of_rows.transpose(1, 2)).view({s * r, a}).index_select(0, choices.place);
  }
  return choices.absent.defined() ? all.masked_fill(choices.absent, kNoAction) : all;
}

at::Tensor values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features) {
  return through(shape.values(), weights, first_of_values(shape), features).squeeze(-1);
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

at::Tensor features_of(const PolicyShape& shape, const at::Tensor& memory, const at::Tensor& inputs) {
  if (shape.memory == 0) return inputs;
  return at::cat({memory, inputs.narrow(1, 0, shape.observation)}, 1);
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
