#include "learners/ridge.hpp"

#include <cmath>
#include <stdexcept>

#include "learners/activation.hpp"
#include "learners/checkpoint_fields.hpp"
#include "learners/cholesky.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;

// Variances are multiplied by (kCalm + sum_i z_i^2) / (kCalm + rows), z_i = error / predicted stddev of row i left out.
constexpr double kCalm = 5;
// Leverages are cut off here, because at 1 a row would be explained by itself alone.
constexpr double kMostLeverage = 0.999;

// Whether a matrix is [e,e], 0 on and above the diagonal, and below it within the bounds of a factor.
bool is_below_diagonal(const Matrix& m, Eigen::Index e) {
  return m.rows() == e && m.cols() == e && (m.array().abs() <= kMostFactor).all() &&
         Matrix(m.triangularView<Eigen::Upper>()).isZero(0);
}

class RidgePredictor final : public Predictor {
 public:
  RidgePredictor(std::shared_ptr<const RidgeModel> model, std::shared_ptr<const hw::PowerModeSpace> space)
      : model_(std::move(model)), space_(std::move(space)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    auto out = Prediction::unknown(static_cast<Eigen::Index>(modes.size()));
    const Matrix x = model_->scaler(encode(FeatureSet::physical, *space_, modes));
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fits[t]) continue;
      const auto& fit = *fits[t];
      const Matrix features = ridge_features(model_->shape, *model_->targets[t], x);
      const Vector logs = fit.level + fit.scale * (features * fit.posterior.mean).array();
      const Vector variance =
          fit.variance_scale *
          (fit.noise_variance +
           (features * fit.posterior.covariance).cwiseProduct(features).rowwise().sum().array());
      out.set(t, logs, variance, fit.variance_scale * fit.noise_variance);
    }
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    return fits[target] ? fits[target]->left_out : LeftOut{};
  }

  LogCovariance covariance(tasks::Target target, std::span<const hw::PowerMode> modes) const override {
    if (!fits[target]) return {};
    const auto& fit = *fits[target];
    const Matrix features = ridge_features(model_->shape, *model_->targets[target],
                                           model_->scaler(encode(FeatureSet::physical, *space_, modes)));
    return {fit.variance_scale * (features * fit.posterior.covariance * features.transpose()),
            fit.variance_scale * fit.noise_variance};
  }

  struct Fit {
    double level = 0, scale = 1;
    RidgePosterior posterior;  // covariance in log units squared, mean in units of the target
    double noise_variance = 0, variance_scale = 1;
    LeftOut left_out;
  };
  std::array<std::optional<Fit>, kNumTargets> fits;

 private:
  std::shared_ptr<const RidgeModel> model_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
};

}  // namespace

std::string RidgeModel::error() const {
  const auto f = scaler.mean.size();
  if (scaler.stddev.size() != f) return "feature_mean and feature_stddev differ in size";
  if (shape.sizes.size() < 2 || shape.sizes.front() != f) return "hidden does not fit feature_mean";
  if (shape.sizes.back() > kMostRidgeFeatures)
    return "hidden: expected at most " + std::to_string(kMostRidgeFeatures) + " outputs, found " +
           std::to_string(shape.sizes.back());
  const Eigen::Index e = shape.sizes.back();
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto p = target.dependent() ? e : e + f;
    if (target.weights.size() != static_cast<Eigen::Index>(shape.num_parameters()))
      return prefix + "weights does not fit hidden and feature_mean";
    if (target.prior_mean.size() != p || target.log_spreads.size() != p)
      return prefix + "prior_mean and log_spreads must have " + std::to_string(p) + " values";
    if (target.dependent() && !is_below_diagonal(target.lower, e))
      return prefix + "lower must be [" + std::to_string(e) + "," + std::to_string(e) +
             "], 0 on and above the diagonal, below it at most " + std::to_string(kMostFactor);
    if (!target.weights.allFinite() || !target.prior_mean.allFinite() || !target.log_spreads.allFinite() ||
        !std::isfinite(target.log_noise))
      return prefix + "weights, prior_mean, log_spreads and log_noise must be finite";
    if (target.log_spreads.cwiseAbs().maxCoeff() > kMostLog)
      return prefix + "log_spreads must be at most " + std::to_string(kMostLog);
    for (const double value : {target.target_scale, target.prior_scale})
      if (!(value > 0) || !std::isfinite(value))
        return prefix + "target_scale and prior_scale must be > 0 and finite";
  }
  return "";
}

void RidgeModel::visit(CheckpointFields& fields) {
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  fields.net(scaler, shape, std::nullopt);
  fields.targets(targets, "weights", [](CheckpointFields& of, RidgeTarget& target) {
    of.row("weights", target.weights);
    of.real("target_scale", target.target_scale, kLeastFactor, kMostTargetScale);
    of.row("prior_mean", target.prior_mean);
    of.row("log_spreads", target.log_spreads);
    of.optional_matrix("lower", target.lower);
    of.real("log_noise", target.log_noise, -kMostLog, kMostLog);
    of.real("prior_scale", target.prior_scale, kLeastFactor, kMostFactor);
  });
}

Checkpoint RidgeModel::to_checkpoint() const {
  return write_fields("ridge", *this);
}

RidgeModel RidgeModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<RidgeModel>(c);
}

Matrix ridge_features(const MlpShape& shape, const RidgeTarget& target, const Matrix& x) {
  const Matrix near = x.cwiseMax(-kRidgeFarthest).cwiseMin(kRidgeFarthest);
  const Matrix outputs = Mlp<double>(shape, target.weights).forward(near);
  if (target.dependent()) return activated(shape.activation, outputs);
  Matrix features(x.rows(), 1 + outputs.cols() + x.cols());
  features << Vector::Ones(x.rows()), outputs, near;
  return features;
}

RidgePosterior ridge_posterior(const Matrix& features, const Vector& targets, const Vector& prior_mean,
                               const Vector& prior_variance, double noise_variance) {
  const auto n = features.rows(), p = features.cols();
  const Vector left = targets - features * prior_mean;
  RidgePosterior posterior;
  if (n < p) {
    const Eigen::MatrixXd spread = prior_variance.asDiagonal() * features.transpose();  // [p,n]
    Eigen::MatrixXd among = features * spread;
    among.diagonal().array() += noise_variance;
    const auto llt = cholesky(among, "ridge: the covariance of " + std::to_string(n) + " rows");
    posterior.mean = prior_mean + spread * llt.solve(left);
    const Eigen::MatrixXd half = llt.matrixL().solve(spread.transpose());
    posterior.covariance = Eigen::MatrixXd(prior_variance.asDiagonal()) - half.transpose() * half;
  } else {
    Eigen::MatrixXd precision = features.transpose() * features / noise_variance;
    precision.diagonal() += prior_variance.cwiseInverse();
    const auto llt = cholesky(precision, "ridge: the precision of " + std::to_string(p) + " weights");
    posterior.mean = prior_mean + llt.solve(features.transpose() * left / noise_variance);
    posterior.covariance = inverse_of_squared(llt.matrixLLT());
  }
  return posterior;
}

RidgePosterior ridge_posterior(const RidgeTarget& target, const Matrix& features, const Vector& targets) {
  const auto p = features.cols();
  const double noise = std::exp(2 * target.log_noise);
  const Vector spreads = target.prior_scale * target.log_spreads.array().exp();
  if (target.dependent()) {  // w = prior_mean + root u, u ~ N(0, I)
    const Matrix root = spreads.asDiagonal() * (Matrix::Identity(p, p) + target.lower);
    const auto u = ridge_posterior(features * root, targets - features * target.prior_mean, Vector::Zero(p),
                                   Vector::Ones(p), noise);
    return {target.prior_mean + root * u.mean, root * u.covariance * root.transpose()};
  }
  Vector mean(p), variance(p);
  mean << 0, target.prior_mean;
  variance << kRidgeLevelVariance, spreads.array().square().matrix();
  return ridge_posterior(features, targets, mean, variance, noise);
}

Ridge::Ridge(RidgeModel model) : model_(std::move(model)) {
  if (const auto error = model_.error(); !error.empty()) throw std::invalid_argument("ridge: " + error);
}

std::unique_ptr<const Predictor> Ridge::adapt(const Samples& support) const {
  check_support("ridge", support, 1);
  check_roles("ridge", model_.knobs, *support.space);
  auto predictor =
      std::make_unique<RidgePredictor>(std::make_shared<const RidgeModel>(model_), support.space);
  for (int t = 0; t < kNumTargets; ++t) {
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (!model_.targets[t] || rows.modes.empty()) continue;
    const auto& target = *model_.targets[t];
    const Vector logs = rows.values.array().log();
    RidgePredictor::Fit fit{
        .level = logs.mean(), .scale = target.target_scale, .posterior = {}, .left_out = {}};
    const Vector y = (logs.array() - fit.level) / fit.scale;
    const Matrix features = ridge_features(
        model_.shape, target, model_.scaler(encode(FeatureSet::physical, *support.space, rows.modes)));
    const double noise = std::exp(2 * target.log_noise), unit = fit.scale * fit.scale;
    const Vector steady = rows.noise_factors.cwiseSqrt().cwiseInverse();  // rows of equal noise
    fit.posterior = ridge_posterior(target, steady.asDiagonal() * features, y.cwiseProduct(steady));

    // Of a linear model: the error of a row left out is its residual over 1 - leverage.
    const Vector leverage =
        ((features * fit.posterior.covariance).cwiseProduct(features).rowwise().sum().array() /
         (noise * rows.noise_factors.array()))
            .matrix()
            .cwiseMin(kMostLeverage);
    const Vector room = 1 - leverage.array();
    fit.left_out = {fit.scale * (y - features * fit.posterior.mean).cwiseQuotient(room),
                    unit * noise * rows.noise_factors.cwiseQuotient(room)};
    const double z_squared = (fit.left_out.error.array().square() / fit.left_out.variance.array()).sum();
    fit.variance_scale = (kCalm + z_squared) / (kCalm + static_cast<double>(y.size()));
    fit.left_out.variance *= fit.variance_scale;
    fit.noise_variance = unit * noise;
    fit.posterior.covariance *= unit;
    predictor->fits[t] = std::move(fit);
  }
  return predictor;
}

}  // namespace fewwatt::learners
