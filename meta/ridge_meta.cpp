#include "meta/ridge_meta.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "meta/net_state.hpp"
#include "meta/options_error.hpp"
#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::RidgeModel;
using learners::RidgeTarget;

constexpr std::array<std::pair<std::string_view, RidgePrior>, 2> kPriors = {
    {{"diagonal", RidgePrior::diagonal}, {"full", RidgePrior::full}}};
// Where training starts from, in units of the target; 64 features of that spread are about 1 together.
constexpr double kStartLogSpread = -2, kStartLogNoise = -3;

// Of the last layer's weights whose prior is learned.
Eigen::Index weights_of(const learners::MlpShape& shape, RidgePrior prior) {
  return shape.sizes.back() + (prior == RidgePrior::full ? 0 : shape.sizes.front());
}
RidgePrior prior_of(const RidgeTarget& target) {
  return target.dependent() ? RidgePrior::full : RidgePrior::diagonal;
}
// Number of values below the diagonal of RidgeTarget::lower.
Eigen::Index below_diagonal(const RidgeTarget& target) {
  return target.lower.rows() * (target.lower.rows() - 1) / 2;
}

void check_sizes(const learners::MlpShape& shape, const RidgeTarget& target,
                 std::span<const Episode> episodes, RidgeLoss kind) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument("ridge_gradient: " + std::string(what));
  };
  check_even("ridge_gradient", episodes, shape.sizes.front());
  require(kind == RidgeLoss::likelihood || !target.dependent(), "the squared loss has a diagonal prior");
  const auto p = weights_of(shape, prior_of(target));
  require(target.weights.size() == static_cast<Eigen::Index>(shape.num_parameters()),
          "weights do not fit the shape");
  require(target.prior_mean.size() == p && target.log_spreads.size() == p &&
              (!target.dependent() || (target.lower.rows() == p && target.lower.cols() == p)),
          "the prior does not fit the shape");
}

// learners::ridge_features() of [b,n,f].
at::Tensor features_of(const learners::MlpShape& shape, bool dependent, const at::Tensor& weights,
                       const at::Tensor& x) {
  const auto near = x.clamp(-learners::kRidgeFarthest, learners::kRidgeFarthest);
  const auto outputs = forward(shape, weights, near);
  if (dependent) return activate(shape.activation, outputs);
  return at::cat({at::ones({x.size(0), x.size(1), 1}, at::kDouble), outputs, near}, -1);
}

// The prior of all weights of the last layer, from what is learned of it: ridge_parameters() without the net's.
class TorchPrior {
 public:
  TorchPrior(const at::Tensor& flat, const RidgeTarget& target, RidgeLoss kind) {
    const auto p = target.prior_mean.size();
    mean = flat.narrow(0, 0, p);
    auto log_spreads = flat.narrow(0, p, p), log_noise = flat[flat.size(0) - 1];
    if (target.dependent()) {
      const auto below = at::tril_indices(p, p, -1);
      const auto lower =
          at::zeros({p * p}, at::kDouble)
              .scatter(0, below[0] * p + below[1], flat.narrow(0, 2 * p, below_diagonal(target)))
              .view({p, p});
      root_ = log_spreads.exp().unsqueeze(1) * (at::eye(p, at::kDouble) + lower);
    } else {
      if (kind == RidgeLoss::squared) {
        mean = at::zeros({p}, at::kDouble);
        log_spreads = log_spreads.mean().expand({p});
        log_noise = log_noise.detach();
      }
      const auto one = at::ones({1}, at::kDouble);
      mean = at::cat({0 * one, mean});
      variance_ = at::cat({learners::kRidgeLevelVariance * one, (2 * log_spreads).exp()});
    }
    noise = (2 * log_noise).exp();
  }
  // features [b,n,w] times the covariance of the weights.
  at::Tensor spread(const at::Tensor& features) const {
    return root_.defined() ? at::matmul(at::matmul(features, root_), root_.t()) : features * variance_;
  }

  at::Tensor mean;   // [w]
  at::Tensor noise;  // variance

 private:
  at::Tensor variance_;  // [w] of independent weights
  at::Tensor root_;      // [w,w] of the covariance of others
};

// Where what is learned of the prior starts from, in the order of ridge_parameters.
Vector start_of_prior(const RidgeTarget& target) {
  const auto p = target.prior_mean.size();
  Vector start(2 * p + below_diagonal(target) + 1);
  start << Vector::Zero(p), Vector::Constant(p, kStartLogSpread), Vector::Zero(below_diagonal(target)),
      kStartLogNoise;
  return start;
}

}  // namespace

Vector ridge_parameters(const RidgeTarget& target) {
  const auto n = target.weights.size(), p = target.prior_mean.size();
  Vector all(n + 2 * p + below_diagonal(target) + 1);
  all.head(n + 2 * p) << target.weights, target.prior_mean, target.log_spreads;
  auto at = n + 2 * p;
  for (Eigen::Index row = 1; row < target.lower.rows(); ++row) {
    all.segment(at, row) = target.lower.row(row).head(row).transpose();
    at += row;
  }
  all[all.size() - 1] = target.log_noise;
  return all;
}

void set_ridge_parameters(RidgeTarget& target, const Vector& parameters) {
  const auto n = target.weights.size(), p = target.prior_mean.size();
  target.weights = parameters.head(n);
  target.prior_mean = parameters.segment(n, p);
  target.log_spreads = parameters.segment(n + p, p);
  auto at = n + 2 * p;
  for (Eigen::Index row = 1; row < target.lower.rows(); ++row) {
    target.lower.row(row).head(row) = parameters.segment(at, row).transpose();
    at += row;
  }
  target.log_noise = parameters[parameters.size() - 1];
}

RidgeGradient ridge_gradient(const learners::MlpShape& shape, const RidgeTarget& target,
                             std::span<const Episode> episodes, RidgeLoss kind, double pull) {
  check_sizes(shape, target, episodes, kind);
  use_one_thread();
  const auto n = target.weights.size();
  const auto k = episodes[0].support_x.rows();
  const auto parameters = to_tensor(ridge_parameters(target)).set_requires_grad(true);
  const auto weights = parameters.narrow(0, 0, n);
  const auto learned = parameters.narrow(0, n, parameters.size(0) - n);
  const TorchPrior prior(learned, target, kind);

  const auto features = [&](Matrix Episode::*x) {
    return features_of(shape, target.dependent(), weights,
                       stack(episodes, [&](const auto& e) -> const Matrix& { return e.*x; }));
  };
  const auto support = features(&Episode::support_x), query = features(&Episode::query_x);
  const auto support_y = stack(episodes, [](const auto& e) { return e.support_y; }).squeeze(-1);
  const auto query_y = stack(episodes, [](const auto& e) { return e.query_y; }).squeeze(-1);
  at::Tensor predicted, variance;
  try {
    const auto spread = prior.spread(support);  // [b,k,w]
    const auto lower = at::linalg_cholesky(at::matmul(spread, support.transpose(1, 2)) +
                                           prior.noise * at::eye(k, at::kDouble));
    const auto alpha = at::cholesky_solve((support_y - at::matmul(support, prior.mean)).unsqueeze(-1), lower);
    const auto cross = at::matmul(query, spread.transpose(1, 2));  // [b,q,k]
    predicted = at::matmul(query, prior.mean) + at::matmul(cross, alpha).squeeze(-1);
    const auto half = at::linalg_solve_triangular(lower, cross.transpose(1, 2), /*upper=*/false);
    variance = ((prior.spread(query) * query).sum(-1) - half.square().sum(1)).clamp_min(0.0) + prior.noise;
  } catch (const c10::Error&) {
    throw Diverged("a covariance is not positive definite");
  }
  const auto squared = (query_y - predicted).square();
  const auto task_losses =
      (kind == RidgeLoss::squared ? squared : variance.log() / 2 + squared / (2 * variance)).mean(1);
  const auto from_start = learned - to_tensor(start_of_prior(target));
  const auto pulled = from_start.narrow(0, 0, from_start.size(0) - (kind == RidgeLoss::squared ? 1 : 0));
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
  each_of_updates(on, max_steps, outer_rate);
  on.whole("features", features, 1, learners::kMostRidgeFeatures,
           "number of outputs of the net, on which the last layer is fitted");
  if (loss == RidgeLoss::likelihood)
    on.choice<RidgePrior>(
        "prior", prior, kPriors,
        "prior of the last layer's weights: diagonal, independent, and inputs skip the net too; "
        "full, with a covariance that is learned, as in ALPaCA");
  on.real("pull", pull, 0, 1e6,
          "weight of the penalty that pulls the prior and the noise to their initial values");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, hidden, activation);
}

std::string RidgeMetaOptions::error() const {
  OptionsError wrong("RidgeMetaOptions");
  wrong.sizes("hidden", hidden)
      .at_least("features", features, 1)
      .finite_above_0("outer_rate", outer_rate)
      .at_least("pull", pull, 0)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm);
  if (loss == RidgeLoss::squared && prior == RidgePrior::full)
    wrong.part("RidgeMetaOptions: prior must be diagonal with the squared loss, got full");
  return wrong.text();
}

RidgeMeta::RidgeMeta(std::string name, learners::MlpShape shape, RidgeTarget from, RidgeMetaOptions options)
    : options_(std::move(options)), target_(std::move(from)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (prior_of(target_) != options_.prior)
    throw std::invalid_argument(name + ": expected a start whose prior is " +
                                std::string(kPriors[static_cast<std::size_t>(options_.prior)].first) +
                                ", found one whose prior is " +
                                std::string(kPriors[static_cast<std::size_t>(prior_of(target_))].first));
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

RidgeTarget RidgeMeta::untrained(const learners::MlpShape& shape, std::uint64_t seed, int target,
                                 RidgePrior prior) {
  const auto p = weights_of(shape, prior);
  RidgeTarget start;
  start.weights = initial_weights(shape, seed, target);
  start.prior_mean = Vector::Zero(p);
  start.log_spreads = Vector::Constant(p, kStartLogSpread);
  if (prior == RidgePrior::full) start.lower = Matrix::Zero(p, p);
  start.log_noise = kStartLogNoise;
  return start;
}

BatchGradient RidgeMeta::gradient(std::span<const Episode> batch) const {
  auto outer = ridge_gradient(shape(), target_, batch, options_.loss, options_.pull);
  return {outer.loss, std::move(outer.task_losses), std::move(outer.gradient)};
}

GaussianPrediction RidgeMeta::predict(const Episode& episode) const {
  check_fits(episode);
  const auto posterior = learners::ridge_posterior(
      target_, learners::ridge_features(shape(), target_, episode.support_x), episode.support_y.col(0));
  const Matrix query = learners::ridge_features(shape(), target_, episode.query_x);
  return {query * posterior.mean, (query * posterior.covariance).cwiseProduct(query).rowwise().sum().array() +
                                      std::exp(2 * target_.log_noise)};
}

OnModes ridge_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const RidgeMetaOptions& options, std::uint64_t seed,
                       const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return model_on_modes<RidgeMeta, RidgeModel>(
      name, training, init,
      [&](Eigen::Index inputs) {
        return net_shape(inputs, options.hidden, options.features, options.activation);
      },
      [&](const learners::MlpShape& shape, int t, double scale) {
        auto start = RidgeMeta::untrained(shape, seed, t, options.prior);
        start.target_scale = scale;
        return start;
      },
      [&](const std::string& learner, const learners::MlpShape& shape, const RidgeTarget& start) {
        return std::make_unique<RidgeMeta>(learner, shape, start, options);
      },
      [](const RidgeMeta& learner, RidgeTarget& target) { target = learner.target(); });
}

double try_ridge(const learners::Checkpoint& ridge, double prior_scale, tasks::Target target,
                 const tasks::Task& task) {
  return error_with<learners::Ridge>(RidgeModel::from_checkpoint(ridge), &RidgeTarget::prior_scale,
                                     prior_scale, target, task);
}

}  // namespace fewwatt::meta
