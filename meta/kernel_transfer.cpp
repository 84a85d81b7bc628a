#include "meta/kernel_transfer.hpp"

#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "hw/random.hpp"
#include "meta/net_state.hpp"
#include "meta/options_error.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

constexpr std::array<std::pair<std::string_view, BaseKernel>, 2> kKernels = {
    {{"rbf", BaseKernel::rbf}, {"spectral", BaseKernel::spectral}}};
// Where signals, lengths, frequencies, widths and noise start from, as in the authors' code: gpytorch's softplus(0).
const double kStart = std::log(std::numbers::ln2);
constexpr double kJitter = 1e-6;  // on the diagonal beside the noise's variance

std::int64_t kernel_size(const KernelTransferOptions& options, std::int64_t columns) {
  return options.kernel == BaseKernel::rbf ? 2 : options.mixtures * (1 + 2 * columns);
}

// The parameters, taken apart. Logs of variances for signals and noise.
class Process {
 public:
  Process(const KernelTransferOptions& options, const learners::MlpShape& shape, const at::Tensor& parameters)
      : options_(options), shape_(shape) {
    columns_ = shape.sizes.back();
    const auto weights = static_cast<std::int64_t>(shape.num_parameters());
    net_ = parameters.narrow(0, 0, weights);
    kernel_ = parameters.narrow(0, weights, kernel_size(options, columns_));
    noise_ = parameters[parameters.size(0) - 1].exp();
  }

  at::Tensor columns(const at::Tensor& x) const {
    return shape_.num_layers() > 0 ? forward(shape_, net_, x) : x;
  }
  const at::Tensor& noise() const { return noise_; }

  // a [b,n,e], c [b,m,e] -> [b,n,m]
  at::Tensor covariance(const at::Tensor& a, const at::Tensor& c) const {
    const auto apart = a.unsqueeze(2) - c.unsqueeze(1);  // [b,n,m,e]
    if (options_.kernel == BaseKernel::rbf)
      return (kernel_[0] - apart.square().sum(-1) * (-2 * kernel_[1]).exp() / 2).exp();
    at::Tensor sum;
    for (std::int64_t m = 0; m < options_.mixtures; ++m) {
      const auto frequencies = kernel_.narrow(0, options_.mixtures + m * columns_, columns_).exp();
      const auto widths =
          kernel_.narrow(0, options_.mixtures * (1 + columns_) + m * columns_, columns_).exp();
      constexpr double kTurn = 2 * std::numbers::pi;
      const auto fall = (apart * widths).square().sum(-1) * (kTurn * kTurn / 2);
      const auto term = (kernel_[m] - fall).exp() * (kTurn * apart * frequencies).cos().prod(-1);
      sum = m == 0 ? term : sum + term;
    }
    return sum;
  }
  // Covariance of measurements at z [b,n,e], noise included: [b,n,n].
  at::Tensor measured(const at::Tensor& z) const {
    return covariance(z, z) + (noise_ + kJitter) * at::eye(z.size(1), at::kDouble);
  }

 private:
  const KernelTransferOptions& options_;
  const learners::MlpShape& shape_;
  std::int64_t columns_;
  at::Tensor net_, kernel_, noise_;
};

}  // namespace

void KernelTransferOptions::each(learners::OptionVisitor& on) {
  on.choice<BaseKernel>("kernel", kernel, kKernels, "what it is stationary in is the net's outputs");
  each_of_updates(on, max_steps, outer_rate);
  on.whole("embedding", embedding, 0, learners::kMostWidth, "outputs of the net; 0: no net");
  on.whole("mixtures", mixtures, 1, 64, "terms of the spectral kernel");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, hidden, activation);
}

std::string KernelTransferOptions::error() const {
  return OptionsError("KernelTransferOptions")
      .sizes("hidden", hidden)
      .at_least("embedding", embedding, 0)
      .at_least("mixtures", mixtures, 1)
      .finite_above_0("outer_rate", outer_rate)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm)
      .text();
}

KernelTransfer::KernelTransfer(std::string name, Eigen::Index inputs, KernelTransferOptions options,
                               std::uint64_t seed)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  const auto net = kernel_net_shape(inputs, options_.hidden, options_.embedding, options_.activation);
  const Vector weights = initial_weights(net, seed, 0);
  const auto size = kernel_size(options_, net.sizes.back());
  parameters_.resize(weights.size() + size + 1);
  parameters_ << weights, Vector::Constant(size + 1, kStart);
  // Terms that start alike would stay alike.
  if (options_.kernel == BaseKernel::spectral) {
    auto rng = hw::Rng::stream(seed, "spectral kernel");
    for (auto& value : parameters_.segment(weights.size() + options_.mixtures, size - options_.mixtures))
      value += rng.normal() / 2;
  }
  start({.name = std::move(name),
         .kind = "kernel-transfer",
         .shape = net,
         .inputs = inputs,
         .even = true,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        {{parameters_.size(), options_.outer_rate}});
}

BatchGradient KernelTransfer::gradient(std::span<const Episode> batch) const {
  use_one_thread();
  const auto parameters = to_tensor(parameters_).set_requires_grad(true);
  const auto x = all_rows(batch, &Episode::support_x, &Episode::query_x);
  const auto y = all_rows(batch, &Episode::support_y, &Episode::query_y);
  const Process process(options_, shape(), parameters);
  const auto task_losses = mean_nll(process.measured(process.columns(x)), y);
  return gradient_of(task_losses.mean(), task_losses, parameters);
}

GaussianPrediction KernelTransfer::predict(const Episode& episode) const {
  check_fits(episode);
  use_one_thread();
  const auto parameters = to_tensor(parameters_);
  const Process process(options_, shape(), parameters);
  const auto support = process.columns(to_tensor(episode.support_x).unsqueeze(0));
  const auto query = process.columns(to_tensor(episode.query_x).unsqueeze(0));
  try {
    const auto lower = at::linalg_cholesky(process.measured(support));
    const auto cross = process.covariance(query, support);
    const auto alpha = at::cholesky_solve(to_tensor(episode.support_y).unsqueeze(0), lower);
    const auto half = at::linalg_solve_triangular(lower, cross.transpose(1, 2), /*upper=*/false);
    const auto one = query.narrow(1, 0, 1);
    const auto alone = process.covariance(one, one)[0][0][0];  // the same for all rows
    const auto variance = (alone - half.square().sum(1)).clamp_min(0.0) + process.noise();
    return {to_matrix(at::matmul(cross, alpha)[0]), to_matrix(variance[0].unsqueeze(-1))};
  } catch (const c10::Error&) {
    throw Diverged("kernel transfer: the covariance of the support is not positive definite");
  }
}

}  // namespace fewwatt::meta
