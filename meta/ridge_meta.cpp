#include "meta/ridge_meta.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::RidgeModel;
using learners::RidgeTarget;
using tasks::kNumTargets;

constexpr const char* kStateName = "ridge-state";
// Where training starts from, in units of the target; 64 features of that spread are about 1 together.
constexpr double kStartLogSpread = -2, kStartLogNoise = -3;

void check_sizes(const learners::MlpShape& shape, const RidgeTarget& target,
                 std::span<const Episode> episodes) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument("ridge_gradient: " + std::string(what));
  };
  require(!episodes.empty(), "needs at least one episode");
  const auto f = static_cast<Eigen::Index>(shape.sizes.front()), p = f + shape.sizes.back();
  require(target.weights.size() == static_cast<Eigen::Index>(shape.num_parameters()),
          "weights do not fit the shape");
  require(target.prior_mean.size() == p && target.log_spreads.size() == p,
          "the prior does not fit the shape");
  for (const auto& e : episodes) {
    require(e.support_x.rows() > 0 && e.query_x.rows() > 0, "an episode needs support and query rows");
    require(
        e.support_x.rows() == episodes[0].support_x.rows() && e.query_x.rows() == episodes[0].query_x.rows(),
        "episodes differ in size");
    require(e.support_x.cols() == f && e.query_x.cols() == f, "features do not fit the shape");
    require(e.support_y.rows() == e.support_x.rows() && e.query_y.rows() == e.query_x.rows(),
            "rows and targets differ in number");
  }
}

// (1, phi(x), x): [b,n,1 + e + f]
at::Tensor features_of(const learners::MlpShape& shape, const at::Tensor& weights, const at::Tensor& x) {
  const auto near = x.clamp(-learners::kRidgeFarthest, learners::kRidgeFarthest);
  return at::cat({at::ones({x.size(0), x.size(1), 1}, at::kDouble), forward(shape, weights, near), near}, -1);
}

// Where the prior's parameters start from, in the order of ridge_parameters.
Vector start_of_prior(Eigen::Index p) {
  Vector start(2 * p + 1);
  start << Vector::Zero(p), Vector::Constant(p, kStartLogSpread), kStartLogNoise;
  return start;
}

}  // namespace

Vector ridge_parameters(const RidgeTarget& target) {
  Vector all(target.weights.size() + 2 * target.prior_mean.size() + 1);
  all << target.weights, target.prior_mean, target.log_spreads, target.log_noise;
  return all;
}

void set_ridge_parameters(RidgeTarget& target, const Vector& parameters) {
  const auto n = target.weights.size(), p = target.prior_mean.size();
  target.weights = parameters.head(n);
  target.prior_mean = parameters.segment(n, p);
  target.log_spreads = parameters.segment(n + p, p);
  target.log_noise = parameters[n + 2 * p];
}

RidgeGradient ridge_gradient(const learners::MlpShape& shape, const RidgeTarget& target,
                             std::span<const Episode> episodes, RidgeLoss kind, double pull) {
  check_sizes(shape, target, episodes);
  use_one_thread();
  const auto n = target.weights.size(), p = target.prior_mean.size();
  const auto k = episodes[0].support_x.rows();
  const auto parameters = to_tensor(ridge_parameters(target)).set_requires_grad(true);
  const auto weights = parameters.narrow(0, 0, n);
  const auto prior = parameters.narrow(0, n, 2 * p + 1);
  auto mean = prior.narrow(0, 0, p), log_spreads = prior.narrow(0, p, p), log_noise = prior[2 * p];
  if (kind == RidgeLoss::squared) {
    mean = at::zeros({p}, at::kDouble);
    log_spreads = log_spreads.mean().expand({p});
    log_noise = log_noise.detach();
  }
  const auto one = at::ones({1}, at::kDouble);
  const auto w_0 = at::cat({0 * one, mean});
  const auto variance_0 = at::cat({learners::kRidgeLevelVariance * one, (2 * log_spreads).exp()});
  const auto noise = (2 * log_noise).exp();

  const auto support =
      features_of(shape, weights, stack(episodes, [](const auto& e) { return e.support_x; }));
  const auto query = features_of(shape, weights, stack(episodes, [](const auto& e) { return e.query_x; }));
  const auto support_y = stack(episodes, [](const auto& e) { return e.support_y; }).squeeze(-1);
  const auto query_y = stack(episodes, [](const auto& e) { return e.query_y; }).squeeze(-1);
  at::Tensor predicted, variance;
  try {
    const auto spread = support * variance_0;  // [b,k,p]
    const auto lower =
        at::linalg_cholesky(at::matmul(spread, support.transpose(1, 2)) + noise * at::eye(k, at::kDouble));
    const auto alpha = at::cholesky_solve((support_y - at::matmul(support, w_0)).unsqueeze(-1), lower);
    const auto cross = at::matmul(query, spread.transpose(1, 2));  // [b,q,k]
    predicted = at::matmul(query, w_0) + at::matmul(cross, alpha).squeeze(-1);
    const auto half = at::linalg_solve_triangular(lower, cross.transpose(1, 2), /*upper=*/false);
    variance = ((query * variance_0 * query).sum(-1) - half.square().sum(1)).clamp_min(0.0) + noise;
  } catch (const c10::Error&) {
    throw Diverged("a covariance is not positive definite");
  }
  const auto squared = (query_y - predicted).square();
  const auto task_losses =
      (kind == RidgeLoss::squared ? squared : variance.log() / 2 + squared / (2 * variance)).mean(1);
  const auto pulled =
      (prior - to_tensor(start_of_prior(p))).narrow(0, 0, kind == RidgeLoss::squared ? 2 * p : 2 * p + 1);
  const auto whole = task_losses.mean() + pull * pulled.square().sum();

  RidgeGradient result;
  const auto gradient = torch::autograd::grad({whole}, {parameters})[0].contiguous();
  result.gradient = Eigen::Map<const Vector>(gradient.data_ptr<double>(), gradient.numel());
  result.loss = whole.item<double>();
  const auto losses = task_losses.detach().contiguous();
  result.task_losses.assign(losses.data_ptr<double>(), losses.data_ptr<double>() + losses.numel());
  result.means = to_matrix(predicted);
  result.variances = to_matrix(variance);
  return result;
}

std::string RidgeMetaOptions::error() const {
  for (const int size : hidden)
    if (size < 1) return "RidgeMetaOptions: hidden must be >= 1, got " + std::to_string(size);
  if (features < 1) return "RidgeMetaOptions: features must be >= 1, got " + std::to_string(features);
  if (!(outer_rate > 0) || !std::isfinite(outer_rate))
    return "RidgeMetaOptions: outer_rate must be > 0, got " + std::to_string(outer_rate);
  if (!(pull >= 0) || !std::isfinite(pull))
    return "RidgeMetaOptions: pull must be >= 0, got " + std::to_string(pull);
  if (max_steps < 0) return "RidgeMetaOptions: max_steps must be >= 0, got " + std::to_string(max_steps);
  if (!(clip_norm > 0)) return "RidgeMetaOptions: clip_norm must be > 0, got " + std::to_string(clip_norm);
  return "";
}

RidgeMeta::RidgeMeta(std::string name, std::span<const datasets::Profile> training, RidgeMetaOptions options,
                     std::uint64_t seed, const learners::Checkpoint* init)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<RidgeModel> from;
  if (init != nullptr) from = RidgeModel::from_checkpoint(*init);
  NetOptions net;
  net.hidden = options_.hidden;
  net.activation = options_.activation;
  inputs_ = new_model(name, training, net, seed);
  model_.trained_by = name;
  model_.knobs = inputs_.knobs;
  model_.shape = inputs_.shape;
  model_.shape.sizes.back() = options_.features;
  if (from) {
    check_start(from->knobs, model_.knobs);
    check_start(name, from->shape, model_.shape);
    inputs_.scaler = from->scaler;
  }
  model_.scaler = inputs_.scaler;
  const auto p = static_cast<Eigen::Index>(options_.features) + model_.scaler.mean.size();
  std::array<std::vector<Part>, kNumTargets> parts;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!inputs_.targets[t]) continue;
    RidgeTarget target;
    target.weights = initial_weights(model_.shape, seed, t);
    target.target_scale = inputs_.targets[t]->target_scale;
    target.prior_mean = Vector::Zero(p);
    target.log_spreads = Vector::Constant(p, kStartLogSpread);
    target.log_noise = kStartLogNoise;
    if (from && from->targets[t]) {
      target = *from->targets[t];
      inputs_.targets[t]->target_scale = target.target_scale;
    }
    parts[t] = {{ridge_parameters(target).size(), options_.outer_rate}};
    model_.targets[t] = std::move(target);
  }
  start({name, kStateName, options_.max_steps, options_.clip_norm}, parts);
}

std::vector<Episode> RidgeMeta::episodes(tasks::Target target, std::span<const tasks::Task> batch) const {
  return even_episodes(inputs_, target, batch);
}

Vector RidgeMeta::parameters(tasks::Target target) const {
  return ridge_parameters(*model_.targets[target]);
}

void RidgeMeta::set_parameters(tasks::Target target, const Vector& parameters) {
  set_ridge_parameters(*model_.targets[target], parameters);
}

std::optional<TargetGradient> RidgeMeta::gradient(tasks::Target target,
                                                  std::span<const tasks::Task> batch) const {
  const auto all = episodes(target, batch);
  if (all.empty()) return std::nullopt;
  auto outer = ridge_gradient(model_.shape, *model_.targets[target], all, options_.loss, options_.pull);
  return TargetGradient{outer.loss, std::move(outer.gradient)};
}

learners::Checkpoint RidgeMeta::snapshot() const {
  return model_.to_checkpoint();
}

double try_ridge(const learners::Checkpoint& ridge, double prior_scale, tasks::Target target,
                 const tasks::Task& task) {
  auto model = RidgeModel::from_checkpoint(ridge);
  model.targets[1 - target].reset();
  if (!model.targets[target]) return std::numeric_limits<double>::infinity();
  model.targets[target]->prior_scale = prior_scale;
  return query_error(learners::Ridge(std::move(model)), target, task);
}

}  // namespace fewwatt::meta
