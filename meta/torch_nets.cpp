#include "meta/torch_nets.hpp"

#include <dlfcn.h>

#include <algorithm>

namespace fewwatt::meta {
namespace {

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

}  // namespace

void use_one_thread() {
  static const bool done = [] {
    at::set_num_threads(1);
    if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); set != nullptr) {
      reinterpret_cast<void (*)(int)>(set)(1);
    }
    return true;
  }();
  (void)done;
}

at::Tensor to_tensor(const tasks::Matrix& m) {
  auto t = at::empty({m.rows(), m.cols()}, at::kDouble);
  std::copy(m.data(), m.data() + m.size(), t.data_ptr<double>());
  return t;
}

at::Tensor to_tensor(const tasks::Vector& v) {
  auto t = at::empty({v.size()}, at::kDouble);
  std::copy(v.data(), v.data() + v.size(), t.data_ptr<double>());
  return t;
}

tasks::Matrix to_matrix(const at::Tensor& t) {
  const auto flat = t.detach().contiguous();
  return Eigen::Map<const tasks::Matrix>(flat.data_ptr<double>(), t.size(0), t.size(1));
}

at::Tensor forward(const learners::MlpShape& shape, const at::Tensor& parameters, at::Tensor rows) {
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const std::int64_t in = shape.sizes[l], out = shape.sizes[l + 1];
    const auto at = static_cast<std::int64_t>(shape.offset(l));
    rows = at::matmul(rows, parameters.narrow(0, at, in * out).view({in, out})) +
           parameters.narrow(0, at + in * out, out);
    if (l + 1 < shape.num_layers()) rows = activate(shape.activation, rows);
  }
  return rows;
}

BatchGradient gradient_of(const at::Tensor& loss, const at::Tensor& task_losses,
                          const at::Tensor& parameters) {
  BatchGradient found;
  const auto slope = torch::autograd::grad({loss}, {parameters})[0].contiguous();
  found.gradient = Eigen::Map<const Vector>(slope.data_ptr<double>(), slope.numel());
  found.loss = loss.item<double>();
  const auto losses = task_losses.detach().contiguous();
  found.task_losses.assign(losses.data_ptr<double>(), losses.data_ptr<double>() + losses.numel());
  return found;
}

at::Tensor times(const at::Tensor& matrix, const at::Tensor& vector) {
  return at::matmul(matrix, vector.unsqueeze(-1)).squeeze(-1);
}

TorchKernel::TorchKernel(const at::Tensor& flat, std::int64_t d)
    : log_signal(flat[0]),
      log_lengths(flat.narrow(0, 1, d)),
      log_amplitudes(flat.narrow(0, 1 + d, d)),
      log_widths(flat.narrow(0, 1 + 2 * d, d)),
      log_noise(flat[1 + 3 * d]),
      log_spreads(flat.narrow(0, 2 + 3 * d, flat.size(0) - 2 - 3 * d)) {}

at::Tensor TorchKernel::noise_variance() const {
  return (2 * log_noise).exp();
}

at::Tensor TorchKernel::knob_variance() const {
  return (2 * log_signal).exp() + (2 * log_amplitudes).exp().sum();
}

at::Tensor TorchKernel::knob_covariance(const at::Tensor& a, const at::Tensor& c) const {
  const auto squared = (a.unsqueeze(2) - c.unsqueeze(1)).square();
  const auto joint = (2 * log_signal - (squared * (-2 * log_lengths).exp()).sum(-1) / 2).exp();
  const auto alone = (2 * log_amplitudes - squared * (-2 * log_widths).exp() / 2).exp().sum(-1);
  return joint + alone;
}

}  // namespace fewwatt::meta
