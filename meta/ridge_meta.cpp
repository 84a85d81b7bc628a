#include "meta/ridge_meta.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "meta/net_state.hpp"
#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::RidgeModel;
using learners::RidgeTarget;
using tasks::kNumTargets;

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

  auto found = gradient_of(whole, task_losses, parameters);
  RidgeGradient result;
  result.loss = found.loss;
  result.task_losses = std::move(found.task_losses);
  result.gradient = std::move(found.gradient);
  result.means = to_matrix(predicted);
  result.variances = to_matrix(variance);
  return result;
}

void RidgeMetaOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", max_steps, 1, kMostSteps, "greatest number of outer updates");
  on.real("outer_rate", outer_rate, 1e-9, 1e3,
          "initial learning rate of Adam for the outer updates; it falls to 0 as a cosine");
  on.whole("features", features, 1, learners::kMostWidth,
           "number of outputs of the net, on which the last layer is fitted");
  on.real("pull", pull, 0, 1e6,
          "weight of the penalty that pulls the prior and the noise to their initial values");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  on.list("hidden", hidden, 1, learners::kMostWidth, "sizes of the net's hidden layers");
  on.choice<learners::Activation>("activation", activation, learners::kActivations,
                                  "activation function of the hidden layers");
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

RidgeMeta::RidgeMeta(std::string name, learners::MlpShape shape, RidgeTarget from, RidgeMetaOptions options)
    : options_(std::move(options)), target_(std::move(from)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  const auto size = ridge_parameters(target_).size();
  const Eigen::Index inputs = shape.sizes.front();
  start({.name = std::move(name),
         .kind = "ridge",
         .shape = std::move(shape),
         .inputs = inputs,
         .even = true,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        {{size, options_.outer_rate}});
}

RidgeTarget RidgeMeta::untrained(const learners::MlpShape& shape, std::uint64_t seed, int target) {
  const Eigen::Index p = shape.sizes.back() + shape.sizes.front();
  RidgeTarget start;
  start.weights = initial_weights(shape, seed, target);
  start.prior_mean = Vector::Zero(p);
  start.log_spreads = Vector::Constant(p, kStartLogSpread);
  start.log_noise = kStartLogNoise;
  return start;
}

BatchGradient RidgeMeta::gradient(std::span<const Episode> batch) const {
  auto outer = ridge_gradient(shape(), target_, batch, options_.loss, options_.pull);
  return {outer.loss, std::move(outer.task_losses), std::move(outer.gradient)};
}

GaussianPrediction RidgeMeta::predict(const Episode& episode) const {
  episode.check();
  if (episode.support_x.cols() != shape().sizes.front() || episode.support_y.cols() != 1)
    throw std::invalid_argument("episode " + episode.name + ": expected " +
                                std::to_string(shape().sizes.front()) + " inputs and 1 target, found " +
                                std::to_string(episode.support_x.cols()) + " and " +
                                std::to_string(episode.support_y.cols()));
  const auto p = target_.prior_mean.size();
  Vector mean(1 + p), variance(1 + p);
  mean << 0, target_.prior_mean;
  variance << learners::kRidgeLevelVariance, (2 * target_.log_spreads.array()).exp().matrix();
  const double noise = std::exp(2 * target_.log_noise);
  const auto posterior =
      learners::ridge_posterior(learners::ridge_features(shape(), target_.weights, episode.support_x),
                                episode.support_y.col(0), mean, variance, noise);
  const Matrix query = learners::ridge_features(shape(), target_.weights, episode.query_x);
  return {query * posterior.mean,
          (query * posterior.covariance).cwiseProduct(query).rowwise().sum().array() + noise};
}

OnModes ridge_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const RidgeMetaOptions& options, std::uint64_t seed,
                       const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<RidgeModel> from;
  if (init != nullptr) from = RidgeModel::from_checkpoint(*init);
  auto encoder = ModeEncoder::of(name, training);
  RidgeModel model;
  model.trained_by = name;
  model.knobs = encoder.knobs;
  model.shape = net_shape(encoder.scaler.mean.size(), options.hidden, options.features, options.activation);
  if (from) {
    check_start(from->knobs, model.knobs);
    check_start(name, from->shape, model.shape);
    encoder.scaler = from->scaler;
  }
  model.scaler = encoder.scaler;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!encoder.scales[t]) continue;
    model.targets[t] = RidgeMeta::untrained(model.shape, seed, t);
    model.targets[t]->target_scale = *encoder.scales[t];
    if (from && from->targets[t]) model.targets[t] = *from->targets[t];
    encoder.scales[t] = model.targets[t]->target_scale;
  }
  return on_modes<RidgeMeta>(
      name, std::move(encoder),
      [&](const std::string& learner, int t) {
        return std::make_unique<RidgeMeta>(learner, model.shape, *model.targets[t], options);
      },
      [model](const auto& learners) {
        auto now = model;
        for (int t = 0; t < kNumTargets; ++t)
          if (learners[t] != nullptr) now.targets[t] = learners[t]->target();
        return now.to_checkpoint();
      });
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
