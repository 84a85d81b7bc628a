#include "meta/torch_nets.hpp"

#include <algorithm>
#include <stdexcept>

#include "meta/maml_gradient.hpp"

namespace fewwatt::meta {

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

void use_one_thread() {
  thread_local const bool done = [] {  // LibTorch counts threads for each thread that calls it
    at::set_num_threads(1);
    use_one_blas_thread();
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

at::Tensor all_rows(std::span<const Episode> episodes, Matrix Episode::*support, Matrix Episode::*query) {
  return at::cat({stack(episodes, [&](const Episode& e) { return e.*support; }),
                  stack(episodes, [&](const Episode& e) { return e.*query; })},
                 1);
}

void check_even(const std::string& function, std::span<const Episode> episodes, Eigen::Index inputs) {
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(function + ": " + what);
  };
  require(!episodes.empty(), "needs at least one episode");
  for (const auto& e : episodes) {
    require(e.support_x.rows() > 0 && e.query_x.rows() > 0, "an episode needs support and query rows");
    require(
        e.support_x.rows() == episodes[0].support_x.rows() && e.query_x.rows() == episodes[0].query_x.rows(),
        "episodes differ in size");
    require(e.support_x.cols() == inputs && e.query_x.cols() == inputs, "features do not fit the shape");
    require(e.support_y.rows() == e.support_x.rows() && e.query_y.rows() == e.query_x.rows(),
            "rows and targets differ in number");
  }
}

at::Tensor mean_nll(const at::Tensor& covariance, const at::Tensor& values) {
  try {
    const auto lower = at::linalg_cholesky(covariance);
    const auto half = at::linalg_solve_triangular(lower, values, /*upper=*/false);
    const auto log_determinant = lower.diagonal(0, 1, 2).log().sum(1);
    return (half.square().sum({1, 2}) / 2 + log_determinant) / static_cast<double>(values.size(1));
  } catch (const c10::Error&) {
    throw Diverged("a covariance is not positive definite");
  }
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
