#include "tests/meta/maml_by_autograd.hpp"

#include <algorithm>

#include "meta/torch.hpp"

namespace fewwatt::tests {
namespace {

using meta::Episode;
using meta::InnerLoop;
using meta::Matrix;
using meta::OuterGradient;
using meta::Vector;

// Weights [b,in,out] and bias [b,1,out] of each layer; b = tasks, each with its own copy.
using Layers = std::vector<at::Tensor>;

at::Tensor stack(std::span<const Episode> episodes, Matrix Episode::*part) {
  const auto rows = (episodes[0].*part).rows(), cols = (episodes[0].*part).cols();
  const auto all = at::empty({static_cast<std::int64_t>(episodes.size()), rows, cols}, at::kDouble);
  double* at = all.data_ptr<double>();
  for (const auto& episode : episodes) {
    Eigen::Map<Matrix>(at, rows, cols) = episode.*part;
    at += rows * cols;
  }
  return all;
}

// One task's worth: b = 1. `parameters`: shape.num_parameters() values.
Layers unflatten(const learners::MlpShape& shape, const double* parameters) {
  Layers layers;
  const double* at = parameters;
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const std::int64_t in = shape.sizes[l], out = shape.sizes[l + 1];
    for (const auto rows : {in, std::int64_t{1}}) {
      auto part = at::empty({1, rows, out}, at::kDouble);
      std::copy(at, at + rows * out, part.data_ptr<double>());
      layers.push_back(part.set_requires_grad(true));
      at += rows * out;
    }
  }
  return layers;
}

Vector flatten(std::span<const at::Tensor> parts) {
  std::vector<at::Tensor> flat;
  for (const auto& part : parts) flat.push_back(part.reshape(-1));
  const auto all = at::cat(flat).contiguous();
  return Eigen::Map<const Vector>(all.data_ptr<double>(), all.numel());
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

// Loss of each task, [b]. x [b,n,f], y [b,n,t].
at::Tensor losses(const learners::MlpShape& shape, const Layers& layers, const at::Tensor& x,
                  const at::Tensor& y, meta::EpisodeLoss kind) {
  at::Tensor a = x;
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    a = at::bmm(a, layers[2 * l]) + layers[2 * l + 1];
    if (l + 1 < shape.num_layers()) a = activate(shape.activation, a);
  }
  if (kind == meta::EpisodeLoss::cross_entropy) return -(at::log_softmax(a, -1) * y).sum(-1).mean(1);
  return (a - y).square().mean({1, 2});
}

}  // namespace

OuterGradient maml_by_autograd(const learners::MlpShape& shape, const Vector& parameters,
                               std::span<const Episode> episodes, const InnerLoop& inner) {
  const auto support_x = stack(episodes, &Episode::support_x);
  const auto support_y = stack(episodes, &Episode::support_y);
  const auto query_x = stack(episodes, &Episode::query_x);
  const auto query_y = stack(episodes, &Episode::query_y);

  const Layers start = unflatten(shape, parameters.data());
  std::vector<Layers> rates;  // by row
  for (Eigen::Index row = 0; row < inner.rates.rows(); ++row)
    rates.push_back(unflatten(shape, inner.rates.row(row).data()));
  Layers adapted;
  for (const auto& part : start)
    adapted.push_back(part.expand({static_cast<std::int64_t>(episodes.size()), -1, -1}));

  // Algorithm 2, line 6, for all tasks at once: of the sum over tasks, each task's own copy gets its own
  // gradient.
  at::Tensor query;  // weighted loss of each task
  for (int step = 0; step < inner.steps; ++step) {
    const auto loss = losses(shape, adapted, support_x, support_y, inner.loss).sum();
    const auto gradient = torch::autograd::grad({loss}, adapted, {}, /*retain_graph=*/c10::nullopt,
                                                /*create_graph=*/!inner.first_order);
    const auto row = std::min(static_cast<std::size_t>(step) + 1, rates.size());  // 0: none
    for (std::size_t i = 0; i < adapted.size(); ++i) {
      adapted[i] = adapted[i] - (row == 0 ? inner.rate * gradient[i] : rates[row - 1][i] * gradient[i]);
    }
    const double weight = inner.step_weights.empty() ? 0 : inner.step_weights[static_cast<std::size_t>(step)];
    if (weight == 0) continue;
    const auto now = weight * losses(shape, adapted, query_x, query_y, inner.loss);
    query = query.defined() ? query + now : now;
  }

  // Eq. 1, with the mean over tasks; line 8 needs its gradient at the start.
  if (!query.defined()) query = losses(shape, adapted, query_x, query_y, inner.loss);
  const auto mean = query.mean();
  auto wanted = start;
  for (const auto& row : rates) wanted.insert(wanted.end(), row.begin(), row.end());
  const auto gradients = torch::autograd::grad({mean}, wanted, {}, /*retain_graph=*/c10::nullopt,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  const auto part = [&](std::size_t row) {  // 0: start; then the rates
    std::vector<at::Tensor> parts;
    for (std::size_t i = row * start.size(); i < (row + 1) * start.size(); ++i)
      parts.push_back(gradients[i].defined() ? gradients[i] : at::zeros_like(wanted[i]));
    return flatten(parts);
  };
  OuterGradient result;
  result.gradient = part(0);
  result.rate_gradient.resize(inner.rates.rows(), inner.rates.cols());
  for (std::size_t row = 0; row < rates.size(); ++row)
    result.rate_gradient.row(static_cast<Eigen::Index>(row)) = part(row + 1);
  result.loss = mean.item<double>();
  const auto per_task = query.detach().contiguous();
  result.task_losses.assign(per_task.data_ptr<double>(), per_task.data_ptr<double>() + per_task.numel());
  return result;
}

}  // namespace fewwatt::tests
