#include "learners/gp.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/cholesky.hpp"
#include "learners/encode.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::learners {
namespace {

using Llt = Eigen::LLT<Eigen::MatrixXd>;

Matrix log_settings(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  return encode(FeatureSet::raw, space, modes).array().log().matrix();
}

// Matern with nu = 5/2 at r = || (a_i - b_j) / length ||: (1 + s + s^2/3) exp(-s), s = sqrt(5) r.
Matrix distances(const Matrix& a, const Matrix& b, const Vector& log_lengths) {
  const Vector inverse = (-log_lengths.array()).exp();
  const Matrix x = a * inverse.asDiagonal(), y = b * inverse.asDiagonal();
  Matrix squared = -2 * x * y.transpose();
  squared.colwise() += x.rowwise().squaredNorm();
  squared.rowwise() += y.rowwise().squaredNorm().transpose();
  return squared.cwiseMax(0.0).cwiseSqrt();
}

Matrix matern(const Matrix& r) {
  const Eigen::ArrayXXd s = std::sqrt(5.0) * r.array();
  return ((1 + s + s.square() / 3) * (-s).exp()).matrix();
}

Matrix covariance(const GpOptions& options, const GpParameters& p, const Matrix& a, const Matrix& b) {
  return (std::exp(2 * p.log_signal) * matern(distances(a, b, p.log_lengths)).array() +
          options.constant * options.constant)
      .matrix();
}

// Cholesky of k + noise^2 I.
Llt factorise(const Matrix& k, double log_noise) {
  Eigen::MatrixXd sum = k;
  sum.diagonal().array() += std::exp(2 * log_noise);
  return cholesky(sum, "gp: the covariance of " + std::to_string(k.rows()) + " support rows");
}

// Adds -log N(value; log median, spread) and its derivative.
double prior(double value, double median, double spread, double* slope) {
  const double z = (value - std::log(median)) / spread;
  if (slope != nullptr) *slope += z / spread;
  return 0.5 * z * z;
}

struct Fit {
  GpParameters parameters;
  Matrix inputs;
  Llt llt;
  Vector alpha;  // K^-1 (log y - mean)
  double mean;   // of the support's log y
};

class GpPredictor final : public Predictor {
 public:
  GpPredictor(std::shared_ptr<const hw::PowerModeSpace> space, GpOptions options, Scaler scaler)
      : space_(std::move(space)), options_(std::move(options)), scaler_(std::move(scaler)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const Matrix z = scaler_(log_settings(*space_, modes));
    Prediction out;
    out.mean = Matrix::Constant(z.rows(), tasks::kNumTargets, std::nan(""));
    out.stddev = out.mean;
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      if (!fits[t]) continue;
      const auto& fit = *fits[t];
      const auto& p = fit.parameters;
      const Matrix cross = covariance(options_, p, z, fit.inputs);  // [m,n]
      const Vector mean = (cross * fit.alpha).array() + fit.mean;
      const Eigen::MatrixXd half = fit.llt.matrixL().solve(cross.transpose());
      const double prior_variance = std::exp(2 * p.log_signal) + options_.constant * options_.constant;
      const Eigen::ArrayXd variance =
          (prior_variance - half.colwise().squaredNorm().transpose().array()).max(0.0) +
          std::exp(2 * p.log_noise);
      out.mean.col(t) = mean.array().exp();
      out.stddev.col(t) = mean.array().exp() * (variance.exp() - 1).sqrt();  // of a log-normal
    }
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    if (!fits[target]) return {};
    const auto n = fits[target]->alpha.size();
    const Vector precision = fits[target]->llt.solve(Eigen::MatrixXd::Identity(n, n)).diagonal();
    return {fits[target]->alpha.cwiseQuotient(precision), precision.cwiseInverse()};
  }

  std::array<std::optional<Fit>, tasks::kNumTargets> fits;

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  GpOptions options_;
  Scaler scaler_;
};

GpParameters unpack(const Vector& flat) {
  const auto k = flat.size() - 2;
  return {flat[0], flat.segment(1, k), flat[k + 1]};
}

GpParameters maximise_posterior(const GpOptions& options, const Matrix& inputs, const Vector& values) {
  const auto k = inputs.cols();
  Vector flat(k + 2);
  flat << std::log(options.signal_median), Vector::Constant(k, std::log(options.length_median)),
      std::log(options.noise_median);
  Adam<double> adam(flat.size(), options.rate);
  Vector best = flat, gradient;
  double lowest = std::numeric_limits<double>::infinity();
  for (int step = 0; step < options.steps; ++step) {
    const double objective = gp_objective(options, unpack(flat), inputs, values, &gradient);
    if (objective < lowest) {
      lowest = objective;
      best = flat;
    }
    adam.step(flat, gradient);
  }
  return unpack(best);
}

}  // namespace

std::string GpOptions::error() const {
  for (const double value : {length_median, length_spread, signal_median, signal_spread, noise_median,
                             noise_spread, constant, rate}) {
    if (!(value > 0) || !std::isfinite(value))
      return "GpOptions: medians, spreads, constant and rate must be > 0";
  }
  if (steps < 0) return "GpOptions: steps must be >= 0, got " + std::to_string(steps);
  if (max_fit_rows == 0) return "GpOptions: max_fit_rows must be > 0";
  return "";
}

double gp_objective(const GpOptions& options, const GpParameters& p, const Matrix& inputs,
                    const Vector& values, Vector* gradient) {
  const auto n = inputs.rows(), k = inputs.cols();
  const Matrix r = distances(inputs, inputs, p.log_lengths);
  const double signal = std::exp(2 * p.log_signal);
  const Matrix shape = signal * matern(r);
  const auto llt = factorise((shape.array() + options.constant * options.constant).matrix(), p.log_noise);
  const Vector alpha = llt.solve(values);
  const Eigen::MatrixXd lower = llt.matrixL();
  double objective = 0.5 * values.dot(alpha) + lower.diagonal().array().log().sum();

  Vector slopes = Vector::Zero(k + 2);
  objective += prior(p.log_signal, options.signal_median, options.signal_spread, &slopes[0]);
  for (Eigen::Index j = 0; j < k; ++j) {
    objective += prior(p.log_lengths[j], options.length_median, options.length_spread, &slopes[1 + j]);
  }
  objective += prior(p.log_noise, options.noise_median, options.noise_spread, &slopes[k + 1]);
  if (gradient == nullptr) return objective;

  // d objective / d theta = -1/2 tr((alpha alpha' - K^-1) dK/dtheta)
  const Eigen::MatrixXd weight =
      0.5 * (llt.solve(Eigen::MatrixXd::Identity(n, n)) - alpha * alpha.transpose());
  slopes[0] += 2 * (weight.array() * shape.array()).sum();
  slopes[k + 1] += 2 * std::exp(2 * p.log_noise) * weight.trace();
  // d Matern / d log length_j = 5/3 (1 + s) exp(-s) (difference_j / length_j)^2
  const Eigen::ArrayXXd s = std::sqrt(5.0) * r.array();
  const Eigen::ArrayXXd common = weight.array() * signal * (5.0 / 3.0) * (1 + s) * (-s).exp();
  for (Eigen::Index j = 0; j < k; ++j) {
    const Vector column = inputs.col(j) * std::exp(-p.log_lengths[j]);
    const Eigen::ArrayXXd difference = column.replicate(1, n) - column.transpose().replicate(n, 1);
    slopes[1 + j] += (common * difference.square()).sum();
  }
  *gradient = slopes;
  return objective;
}

Gp::Gp(GpOptions options) : options_(std::move(options)) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

std::unique_ptr<const Predictor> Gp::adapt(const Samples& support) const {
  check_support("gp", support, 1);
  const auto scaler = Scaler::fit(log_settings(*support.space, support.space->modes()));
  auto predictor = std::make_unique<GpPredictor>(support.space, options_, scaler);
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (rows.modes.empty()) continue;
    const Vector logs = rows.values.array().log();
    const Vector centred = logs.array() - logs.mean();
    Fit fit;
    fit.mean = logs.mean();
    fit.inputs = scaler(log_settings(*support.space, rows.modes));
    if (rows.modes.size() <= options_.max_fit_rows) {
      fit.parameters = maximise_posterior(options_, fit.inputs, centred);
    } else {
      auto rng = hw::Rng::stream(0, "gp rows", static_cast<std::uint64_t>(t));
      const auto some = rng.sample(rows.modes.size(), options_.max_fit_rows);
      fit.parameters = maximise_posterior(options_, fit.inputs(some, Eigen::all), centred(some));
    }
    fit.llt =
        factorise(covariance(options_, fit.parameters, fit.inputs, fit.inputs), fit.parameters.log_noise);
    fit.alpha = fit.llt.solve(centred);
    predictor->fits[t] = std::move(fit);
  }
  return predictor;
}

}  // namespace fewwatt::learners
