#include "meta/deep_kernel.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::GpModel;
using learners::GpTarget;
using learners::TermKernel;
using tasks::kNumTargets;

constexpr const char* kStateName = "deep-kernel-state";
// Log units of the target per standardised feature.
constexpr double kMeanSpread = 0.1, kStartSpread = 0.1;

void check_sizes(const learners::MlpShape& shape, const GpTarget& target, std::span<const Episode> episodes) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument("deep_kernel_gradient: " + std::string(what));
  };
  require(!episodes.empty(), "needs at least one episode");
  const auto f = static_cast<Eigen::Index>(shape.sizes.front());
  require(target.weights.size() == static_cast<Eigen::Index>(shape.num_parameters()),
          "weights do not fit the shape");
  const auto columns = f / 3 + (shape.num_layers() > 0 ? shape.sizes.back() : 0);
  require(target.mean.size() == f && target.kernel.log_spreads.size() == f &&
              target.kernel.log_lengths.size() == columns,
          "mean and kernel do not fit the shape");
  for (const auto& e : episodes) {
    require(e.support_x.rows() + e.query_x.rows() > 0, "an episode needs rows");
    require(
        e.support_x.rows() == episodes[0].support_x.rows() && e.query_x.rows() == episodes[0].query_x.rows(),
        "episodes differ in size");
    require(e.support_x.cols() == f && e.query_x.cols() == f, "features do not fit the shape");
    require(e.support_y.rows() == e.support_x.rows() && e.query_y.rows() == e.query_x.rows(),
            "rows and targets differ in number");
  }
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

DeepKernelGradient deep_kernel_gradient(const learners::MlpShape& shape, const GpTarget& target,
                                        std::span<const Episode> episodes, double pull) {
  check_sizes(shape, target, episodes);
  use_one_thread();
  const auto w = target.weights.size(), f = target.mean.size(), d = f / 3;
  const auto columns = target.kernel.log_lengths.size();
  const auto parameters = to_tensor(deep_kernel_parameters(target)).set_requires_grad(true);
  const auto mean = parameters.narrow(0, w, f);
  const auto flat_kernel = parameters.narrow(0, w + f, parameters.size(0) - w - f);
  const TorchKernel kernel(flat_kernel, columns);

  const auto x = at::cat({stack(episodes, [](const auto& e) { return e.support_x; }),
                          stack(episodes, [](const auto& e) { return e.query_x; })},
                         1);  // [b,n,f]
  const auto y = at::cat({stack(episodes, [](const auto& e) { return e.support_y; }),
                          stack(episodes, [](const auto& e) { return e.query_y; })},
                         1);  // [b,n,1]
  const auto n = x.size(1);
  const auto terms = x.clamp(-learners::kGpFarthest, learners::kGpFarthest);
  auto z = x.narrow(2, 2 * d, d);
  if (shape.num_layers() > 0) z = at::cat({z, forward(shape, parameters.narrow(0, 0, w), terms)}, -1);
  const auto left = y - y.mean(1, /*keepdim=*/true) - at::matmul(terms, mean.unsqueeze(-1));
  at::Tensor task_losses;
  try {
    const auto covariance = kernel.knob_covariance(z, z) +
                            at::matmul(terms * (2 * kernel.log_spreads).exp(), terms.transpose(1, 2)) +
                            learners::kGpLevel * learners::kGpLevel +
                            kernel.noise_variance() * at::eye(n, at::kDouble);
    const auto lower = at::linalg_cholesky(covariance);
    const auto half = at::linalg_solve_triangular(lower, left, /*upper=*/false);
    const auto log_determinant = lower.diagonal(0, 1, 2).log().sum(1);
    task_losses = (half.square().sum({1, 2}) / 2 + log_determinant) / static_cast<double>(n);
  } catch (const c10::Error&) {
    throw Diverged("a covariance is not positive definite");
  }
  const auto start = to_tensor(start_of_kernel(columns, f).flat());
  const auto spreads = to_tensor(TermKernel::prior_spreads(columns, f).flat());
  const auto prior = ((flat_kernel - start) / spreads).square().sum() + (mean / kMeanSpread).square().sum();
  const auto whole = task_losses.mean() + pull * prior;

  DeepKernelGradient result;
  const auto gradient = torch::autograd::grad({whole}, {parameters})[0].contiguous();
  result.gradient = Eigen::Map<const Vector>(gradient.data_ptr<double>(), gradient.numel());
  result.loss = whole.item<double>();
  const auto losses = task_losses.detach().contiguous();
  result.task_losses.assign(losses.data_ptr<double>(), losses.data_ptr<double>() + losses.numel());
  return result;
}

std::string DeepKernelOptions::error() const {
  for (const int size : hidden)
    if (size < 1) return "DeepKernelOptions: hidden must be >= 1, got " + std::to_string(size);
  if (embedding < 0) return "DeepKernelOptions: embedding must be >= 0, got " + std::to_string(embedding);
  for (const double rate : {outer_rate, net_rate})
    if (!(rate > 0) || !std::isfinite(rate))
      return "DeepKernelOptions: outer_rate and net_rate must be > 0, got " + std::to_string(rate);
  if (!(pull >= 0) || !std::isfinite(pull))
    return "DeepKernelOptions: pull must be >= 0, got " + std::to_string(pull);
  if (max_steps < 0) return "DeepKernelOptions: max_steps must be >= 0, got " + std::to_string(max_steps);
  if (!(clip_norm > 0)) return "DeepKernelOptions: clip_norm must be > 0, got " + std::to_string(clip_norm);
  return "";
}

DeepKernel::DeepKernel(std::string name, std::span<const datasets::Profile> training,
                       DeepKernelOptions options, std::uint64_t seed, const learners::Checkpoint* init)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<GpModel> from;
  if (init != nullptr) from = GpModel::from_checkpoint(*init);
  NetOptions net;
  net.hidden = options_.hidden;
  net.activation = options_.activation;
  inputs_ = new_model(name, training, net, seed);
  model_.trained_by = name;
  model_.knobs = inputs_.knobs;
  model_.shape = inputs_.shape;
  model_.shape.sizes.back() = options_.embedding;
  if (options_.embedding == 0) model_.shape.sizes.resize(1);
  if (from) {
    check_start(from->knobs, model_.knobs);
    check_start(name, from->shape, model_.shape);
    inputs_.scaler = from->scaler;
  }
  model_.scaler = inputs_.scaler;
  const auto f = model_.scaler.mean.size();
  std::array<std::vector<Part>, kNumTargets> parts;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!inputs_.targets[t]) continue;
    inputs_.targets[t]->target_scale = 1;
    GpTarget target;
    target.weights = initial_weights(model_.shape, seed, t);
    target.mean = Vector::Zero(f);
    target.kernel = start_of_kernel(model_.columns(), f);
    target.kernel_spreads = TermKernel::prior_spreads(model_.columns(), f).flat();
    if (from && from->targets[t]) target = *from->targets[t];
    if (target.weights.size() > 0) parts[t].push_back({target.weights.size(), options_.net_rate});
    parts[t].push_back({f + target.kernel_spreads.size(), options_.outer_rate});
    model_.targets[t] = std::move(target);
  }
  start({name, kStateName, options_.max_steps, options_.clip_norm}, parts);
}

std::vector<Episode> DeepKernel::episodes(tasks::Target target, std::span<const tasks::Task> batch) const {
  return even_episodes(inputs_, target, batch);
}

Vector DeepKernel::parameters(tasks::Target target) const {
  return deep_kernel_parameters(*model_.targets[target]);
}

void DeepKernel::set_parameters(tasks::Target target, const Vector& parameters) {
  set_deep_kernel_parameters(*model_.targets[target], parameters);
}

std::optional<TargetGradient> DeepKernel::gradient(tasks::Target target,
                                                   std::span<const tasks::Task> batch) const {
  const auto all = episodes(target, batch);
  if (all.empty()) return std::nullopt;
  auto outer = deep_kernel_gradient(model_.shape, *model_.targets[target], all, options_.pull);
  return TargetGradient{outer.loss, std::move(outer.gradient)};
}

learners::Checkpoint DeepKernel::snapshot() const {
  return model_.to_checkpoint();
}

double try_gp(const learners::Checkpoint& gp, const learners::GpFineTune& fine_tune, tasks::Target target,
              const tasks::Task& task) {
  auto model = GpModel::from_checkpoint(gp);
  model.targets[1 - target].reset();
  if (!model.targets[target]) return std::numeric_limits<double>::infinity();
  model.targets[target]->fine_tune = fine_tune;
  return query_error(learners::Gp(std::move(model)), target, task);
}

}  // namespace fewwatt::meta
