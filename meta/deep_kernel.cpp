#include "meta/deep_kernel.hpp"

#include <cmath>
#include <stdexcept>

#include "meta/net_state.hpp"
#include "meta/options_error.hpp"
#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::GpModel;
using learners::GpTarget;
using learners::TermKernel;

// Log units of the target per standardised feature.
constexpr double kMeanSpread = 0.1, kStartSpread = 0.1;

Eigen::Index outputs_of(const learners::MlpShape& shape) {
  return shape.num_layers() > 0 ? shape.sizes.back() : 0;
}

void check_sizes(const learners::MlpShape& shape, const GpTarget& target, Eigen::Index first_knob,
                 std::span<const Episode> episodes) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument("deep_kernel_gradient: " + std::string(what));
  };
  const auto f = static_cast<Eigen::Index>(shape.sizes.front());
  check_even("deep_kernel_gradient", episodes, f);
  require(target.weights.size() == static_cast<Eigen::Index>(shape.num_parameters()),
          "weights do not fit the shape");
  const auto knobs = target.kernel.log_lengths.size() - outputs_of(shape);
  require(target.mean.size() == f && target.kernel.log_spreads.size() == f && knobs >= 0 && first_knob >= 0 &&
              first_knob + knobs <= f,
          "mean and kernel do not fit the shape");
}

TermKernel start_of_kernel(Eigen::Index columns, Eigen::Index terms) {
  auto kernel = TermKernel::medians(columns, terms);
  kernel.log_spreads.setConstant(std::log(kStartSpread));
  return kernel;
}

}  // namespace

Vector deep_kernel_parameters(const GpTarget& target) {
  const Vector kernel = target.kernel.flat();
  Vector all(target.weights.size() + target.mean.size() + kernel.size());
  all << target.weights, target.mean, kernel;
  return all;
}

void set_deep_kernel_parameters(GpTarget& target, const Vector& parameters) {
  const auto n = target.weights.size(), f = target.mean.size();
  target.weights = parameters.head(n);
  target.mean = parameters.segment(n, f);
  target.kernel =
      TermKernel::from_flat(parameters.tail(parameters.size() - n - f), target.kernel.log_lengths.size());
}

BatchGradient deep_kernel_gradient(const learners::MlpShape& shape, const GpTarget& target,
                                   Eigen::Index first_knob, std::span<const Episode> episodes, double pull) {
  check_sizes(shape, target, first_knob, episodes);
  use_one_thread();
  const auto w = target.weights.size(), f = target.mean.size();
  const auto columns = target.kernel.log_lengths.size(), d = columns - outputs_of(shape);
  const auto parameters = to_tensor(deep_kernel_parameters(target)).set_requires_grad(true);
  const auto mean = parameters.narrow(0, w, f);
  const auto flat_kernel = parameters.narrow(0, w + f, parameters.size(0) - w - f);
  const TorchKernel kernel(flat_kernel, columns);

  const auto x = all_rows(episodes, &Episode::support_x, &Episode::query_x);  // [b,n,f]
  const auto y = all_rows(episodes, &Episode::support_y, &Episode::query_y);  // [b,n,1]
  const auto n = x.size(1);
  const auto terms = x.clamp(-learners::kGpFarthest, learners::kGpFarthest);
  auto z = x.narrow(2, first_knob, d);
  if (shape.num_layers() > 0) z = at::cat({z, forward(shape, parameters.narrow(0, 0, w), terms)}, -1);
  const auto left = y - y.mean(1, /*keepdim=*/true) - at::matmul(terms, mean.unsqueeze(-1));
  const auto covariance = kernel.knob_covariance(z, z) +
                          at::matmul(terms * (2 * kernel.log_spreads).exp(), terms.transpose(1, 2)) +
                          learners::kGpLevel * learners::kGpLevel +
                          kernel.noise_variance() * at::eye(n, at::kDouble);
  const auto task_losses = mean_nll(covariance, left);
  const auto start = to_tensor(start_of_kernel(columns, f).flat());
  const auto spreads = to_tensor(TermKernel::prior_spreads(columns, f).flat());
  const auto prior = ((flat_kernel - start) / spreads).square().sum() + (mean / kMeanSpread).square().sum();
  const auto whole = task_losses.mean() + pull * prior;

  return gradient_of(whole, task_losses, parameters);
}

void DeepKernelOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", max_steps, 1, kMostSteps, "greatest number of outer updates");
  on.real("outer_rate", outer_rate, 1e-9, 1e3,
          "initial learning rate of Adam for mean and kernel; it falls to 0 as a cosine");
  on.real("net_rate", net_rate, 1e-9, 1e3,
          "initial learning rate of Adam for the net; it falls to 0 as a cosine");
  on.whole("embedding", embedding, 0, learners::kMostWidth,
           "number of outputs of the net, on which the kernel acts; 0: no net");
  on.real("pull", pull, 0, 1e6, "weight of the penalty that pulls mean and kernel to their initial values");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, hidden, activation);
}

std::string DeepKernelOptions::error() const {
  return OptionsError("DeepKernelOptions")
      .sizes("hidden", hidden)
      .at_least("embedding", embedding, 0)
      .finite_above_0("outer_rate", outer_rate)
      .finite_above_0("net_rate", net_rate)
      .at_least("pull", pull, 0)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm)
      .text();
}

DeepKernel::DeepKernel(std::string name, learners::MlpShape shape, GpTarget from, Eigen::Index first_knob,
                       DeepKernelOptions options)
    : options_(std::move(options)), target_(std::move(from)), first_knob_(first_knob) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::vector<Part> parts;
  const Eigen::Index inputs = shape.sizes.front();
  if (target_.weights.size() > 0) parts.push_back({target_.weights.size(), options_.net_rate});
  parts.push_back({target_.mean.size() + target_.kernel.flat().size(), options_.outer_rate});
  start({.name = std::move(name),
         .kind = "deep-kernel",
         .shape = std::move(shape),
         .inputs = inputs,
         .even = true,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        parts);
}

GpTarget DeepKernel::untrained(const learners::MlpShape& shape, Eigen::Index knobs, std::uint64_t seed,
                               int target) {
  const Eigen::Index f = shape.sizes.front(), columns = knobs + outputs_of(shape);
  GpTarget start;
  start.weights = initial_weights(shape, seed, target);
  start.mean = Vector::Zero(f);
  start.kernel = start_of_kernel(columns, f);
  start.kernel_spreads = TermKernel::prior_spreads(columns, f).flat();
  return start;
}

BatchGradient DeepKernel::gradient(std::span<const Episode> batch) const {
  return deep_kernel_gradient(shape(), target_, first_knob_, batch, options_.pull);
}

Eigen::Index first_log_setting(Eigen::Index features) {
  return 2 * (features / 3);
}

OnModes deep_kernel_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                             const DeepKernelOptions& options, std::uint64_t seed,
                             const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return model_on_modes<DeepKernel, GpModel>(
      name, training, init,
      [&](Eigen::Index features) {
        return kernel_net_shape(features, options.hidden, options.embedding, options.activation);
      },
      [&](const learners::MlpShape& shape, int t, double) {
        return DeepKernel::untrained(shape, shape.sizes.front() / 3, seed, t);
      },
      [&](const std::string& learner, const learners::MlpShape& shape, const GpTarget& start) {
        return std::make_unique<DeepKernel>(learner, shape, start, first_log_setting(shape.sizes.front()),
                                            options);
      },
      [](const DeepKernel& learner, GpTarget& target) { target = learner.target(); });
}

double try_gp(const learners::Checkpoint& gp, const learners::GpFineTune& fine_tune, tasks::Target target,
              const tasks::Task& task) {
  return error_with<learners::Gp>(GpModel::from_checkpoint(gp), &GpTarget::fine_tune, fine_tune, target,
                                  task);
}

}  // namespace fewwatt::meta
