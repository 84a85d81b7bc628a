#include "meta/maml_gradient.hpp"

#include <dlfcn.h>

#include <cmath>
#include <stdexcept>

#include "meta/torch.hpp"

namespace fewwatt::meta {
namespace {

// Weights [b,in,out] and bias [b,1,out] of each layer; b = tasks, each with its own copy.
using Layers = std::vector<at::Tensor>;

// Sums in a fixed order: results must not depend on the number of cores. Threads that start later inherit it.
void use_one_thread() {
  static const bool done = [] {
    at::set_num_threads(1);
    // OpenBLAS has threads of its own, of which LibTorch knows nothing.
    if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); set != nullptr) {
      reinterpret_cast<void (*)(int)>(set)(1);
    }
    return true;
  }();
  (void)done;
}

at::Tensor stack(std::span<const Episode> episodes, Matrix Episode::*part, at::ScalarType type) {
  const auto rows = (episodes[0].*part).rows(), cols = (episodes[0].*part).cols();
  const auto all = at::empty({static_cast<std::int64_t>(episodes.size()), rows, cols}, at::kDouble);
  double* at = all.data_ptr<double>();
  for (const auto& episode : episodes) {
    Eigen::Map<Matrix>(at, rows, cols) = episode.*part;
    at += rows * cols;
  }
  return all.to(type);
}

// One task's worth: b = 1. `parameters`: shape.num_parameters() values.
Layers unflatten(const learners::MlpShape& shape, const double* parameters, at::ScalarType type) {
  Layers layers;
  const double* at = parameters;
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const std::int64_t in = shape.sizes[l], out = shape.sizes[l + 1];
    for (const auto rows : {in, std::int64_t{1}}) {
      auto part = at::empty({1, rows, out}, at::kDouble);
      std::copy(at, at + rows * out, part.data_ptr<double>());
      layers.push_back(part.to(type).set_requires_grad(true));
      at += rows * out;
    }
  }
  return layers;
}

Vector flatten(std::span<const at::Tensor> parts) {
  std::vector<at::Tensor> flat;
  for (const auto& part : parts) flat.push_back(part.reshape(-1));
  const auto all = at::cat(flat).to(at::kDouble).contiguous();
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

// Mean squared error of each task, [b]. x [b,n,f], y [b,n,1].
at::Tensor losses(const learners::MlpShape& shape, const Layers& layers, const at::Tensor& x,
                  const at::Tensor& y) {
  at::Tensor a = x;
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    a = at::bmm(a, layers[2 * l]) + layers[2 * l + 1];
    if (l + 1 < shape.num_layers()) a = activate(shape.activation, a);
  }
  return (a - y).square().mean({1, 2});
}

void check_size(const char* what, Eigen::Index expected, Eigen::Index found) {
  if (expected == found) return;
  throw std::invalid_argument("maml_gradient: " + std::string(what) + " must be " + std::to_string(expected) +
                              ", got " + std::to_string(found));
}

void check(const learners::MlpShape& shape, const Vector& parameters, std::span<const Episode> episodes,
           const InnerLoop& inner) {
  if (const auto error = inner.error(); !error.empty()) throw std::invalid_argument(error);
  if (episodes.empty()) throw std::invalid_argument("maml_gradient: needs at least one episode");
  check_size("parameters", static_cast<Eigen::Index>(shape.num_parameters()), parameters.size());
  if (inner.rates.size() > 0)
    check_size("columns of rates", static_cast<Eigen::Index>(shape.num_parameters()), inner.rates.cols());
  const auto k = episodes[0].support_x.rows(), q = episodes[0].query_x.rows();
  if (k == 0 || q == 0) throw std::invalid_argument("maml_gradient: an episode needs support and query rows");
  for (const auto& episode : episodes) {
    check_size("support_x rows", k, episode.support_x.rows());
    check_size("support_y rows", k, episode.support_y.rows());
    check_size("query_x rows", q, episode.query_x.rows());
    check_size("query_y rows", q, episode.query_y.rows());
    check_size("support_x columns", shape.sizes.front(), episode.support_x.cols());
    check_size("query_x columns", shape.sizes.front(), episode.query_x.cols());
    check_size("support_y columns", shape.sizes.back(), episode.support_y.cols());
    check_size("query_y columns", shape.sizes.back(), episode.query_y.cols());
  }
}

}  // namespace

std::string InnerLoop::error() const {
  if (steps < 0) return "InnerLoop: steps must be >= 0, got " + std::to_string(steps);
  if (!(rate > 0) || !std::isfinite(rate)) return "InnerLoop: rate must be > 0, got " + std::to_string(rate);
  if (!rates.allFinite()) return "InnerLoop: rates must be finite";
  if (!step_weights.empty() && static_cast<int>(step_weights.size()) != steps) {
    return "InnerLoop: step_weights must be one per step, " + std::to_string(steps) + ", got " +
           std::to_string(step_weights.size());
  }
  return "";
}

OuterGradient maml_gradient(const learners::MlpShape& shape, const Vector& parameters,
                            std::span<const Episode> episodes, const InnerLoop& inner, Precision precision) {
  check(shape, parameters, episodes, inner);
  use_one_thread();
  const auto type = precision == Precision::float32 ? at::kFloat : at::kDouble;
  const auto support_x = stack(episodes, &Episode::support_x, type);
  const auto support_y = stack(episodes, &Episode::support_y, type);
  const auto query_x = stack(episodes, &Episode::query_x, type);
  const auto query_y = stack(episodes, &Episode::query_y, type);

  const Layers start = unflatten(shape, parameters.data(), type);
  std::vector<Layers> rates;  // by row
  for (Eigen::Index row = 0; row < inner.rates.rows(); ++row)
    rates.push_back(unflatten(shape, inner.rates.row(row).data(), type));
  Layers adapted;
  for (const auto& part : start)
    adapted.push_back(part.expand({static_cast<std::int64_t>(episodes.size()), -1, -1}));

  // Algorithm 2, line 6, for all tasks at once: of the sum over tasks, each task's own copy gets its own
  // gradient.
  at::Tensor query;  // weighted loss of each task
  for (int step = 0; step < inner.steps; ++step) {
    const auto loss = losses(shape, adapted, support_x, support_y).sum();
    const auto gradient = torch::autograd::grad({loss}, adapted, {}, /*retain_graph=*/c10::nullopt,
                                                /*create_graph=*/!inner.first_order);
    const auto row = std::min(static_cast<std::size_t>(step) + 1, rates.size());  // 0: none
    for (std::size_t i = 0; i < adapted.size(); ++i) {
      adapted[i] = adapted[i] - (row == 0 ? inner.rate * gradient[i] : rates[row - 1][i] * gradient[i]);
    }
    const double weight = inner.step_weights.empty() ? 0 : inner.step_weights[static_cast<std::size_t>(step)];
    if (weight == 0) continue;
    const auto now = weight * losses(shape, adapted, query_x, query_y);
    query = query.defined() ? query + now : now;
  }

  // Eq. 1, with the mean over tasks; line 8 needs its gradient at the start.
  if (!query.defined()) query = losses(shape, adapted, query_x, query_y);
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
  const auto per_task = query.detach().to(at::kDouble).contiguous();
  result.task_losses.assign(per_task.data_ptr<double>(), per_task.data_ptr<double>() + per_task.numel());
  return result;
}

std::string blas_warning() {
  if (at::hasMKL() || dlsym(RTLD_DEFAULT, "openblas_get_config") != nullptr) return "";
  return "LibTorch runs on a slow BLAS, training takes 3 to 5 times longer; install libopenblas0-pthread";
}

}  // namespace fewwatt::meta
