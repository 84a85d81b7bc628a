#include "learners/gp.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "hw/random.hpp"
#include "learners/checkpoint_fields.hpp"
#include "learners/cholesky.hpp"
#include "learners/matern.hpp"
#include "learners/optimizer.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;
using Llt = Eigen::LLT<Eigen::MatrixXd>;

Matrix covariance(const GpOptions& options, const GpParameters& p, const Matrix& a, const Matrix& b) {
  return (std::exp(2 * p.log_signal) * matern(a, b, p.log_lengths).array() +
          options.constant * options.constant)
      .matrix();
}

Vector factors_or_ones(const Vector& noise_factors, Eigen::Index n) {
  return noise_factors.size() > 0 ? noise_factors : Vector::Ones(n);
}

// Cholesky of k + noise^2 diag(factors).
Llt factorise(const Matrix& k, double log_noise, const Vector& factors) {
  Eigen::MatrixXd sum = k;
  sum.diagonal() += std::exp(2 * log_noise) * factors;
  return cholesky(sum, "gp: the covariance of " + std::to_string(k.rows()) + " support rows");
}

// Adds -log N(value; log median, spread) and its derivative.
double prior(double value, double median, double spread, double* slope) {
  const double z = (value - std::log(median)) / spread;
  if (slope != nullptr) *slope += z / spread;
  return 0.5 * z * z;
}

// The process before it has seen a row: its mean and variance at some modes, and their covariance with the support rows.
struct Prior {
  Vector mean, variance;  // [m]
  Matrix cross;           // [m,n]
};

struct Fit {
  std::function<Prior(std::span<const hw::PowerMode>)> prior;
  std::function<Matrix(std::span<const hw::PowerMode>)> prior_covariance;  // [m,m]
  double noise_variance = 0;
  std::vector<double> fitted;  // hyper-parameters that were searched for; [0]: none were
  Llt llt;
  Vector alpha;  // K^-1 (log y - mean)
};

// How many modes are predicted at once: their covariance with the rows has about kChunkValues values, but there are at least kLeastChunk
// modes.
constexpr std::size_t kChunkValues = 4'000'000, kLeastChunk = 1024;

std::string fitted_name(int target) {
  return std::string(kTargetNames[target]) + "/gp";
}

class GpPredictor final : public Predictor {
 public:
  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return predict_targets(modes, {true, true});
  }
  Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted& wanted) const override {
    auto out = Prediction::unknown(static_cast<Eigen::Index>(modes.size()));
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fits[t] || !wanted[t]) continue;
      const auto& fit = *fits[t];
      Vector mean(static_cast<Eigen::Index>(modes.size())), variance(mean.size());
      const auto chunk =
          std::max<std::size_t>(kLeastChunk, kChunkValues / static_cast<std::size_t>(fit.alpha.size()));
      for (std::size_t from = 0; from < modes.size(); from += chunk) {
        const auto some = modes.subspan(from, std::min(chunk, modes.size() - from));
        const auto at = static_cast<Eigen::Index>(from), count = static_cast<Eigen::Index>(some.size());
        const auto prior = fit.prior(some);
        mean.segment(at, count) = prior.cross * fit.alpha + prior.mean;
        const Eigen::MatrixXd half = fit.llt.matrixL().solve(prior.cross.transpose());
        variance.segment(at, count) =
            (prior.variance - half.colwise().squaredNorm().transpose()).array().max(0.0) + fit.noise_variance;
      }
      out.set(t, mean, variance, fit.noise_variance);
    }
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    if (!fits[target]) return {};
    const Vector precision = inverse_of_squared(fits[target]->llt.matrixLLT()).diagonal();
    return {fits[target]->alpha.cwiseQuotient(precision), precision.cwiseInverse()};
  }

  LogCovariance covariance(tasks::Target target, std::span<const hw::PowerMode> modes) const override {
    if (!fits[target]) return {};
    const auto& fit = *fits[target];
    const Eigen::MatrixXd half = fit.llt.matrixL().solve(fit.prior(modes).cross.transpose());
    Matrix latent = fit.prior_covariance(modes);
    latent.noalias() -= half.transpose() * half;
    return {std::move(latent), fit.noise_variance};
  }

  Fitted fitted() const override {
    Fitted all;
    for (int t = 0; t < kNumTargets; ++t)
      if (fits[t] && !fits[t]->fitted.empty()) all[fitted_name(t)] = fits[t]->fitted;
    return all;
  }

  std::array<std::optional<Fit>, kNumTargets> fits;
};

// The rows that hyper-parameters are fitted to: `most` of n at most.
std::vector<std::size_t> fit_rows(std::size_t n, std::size_t most, int target) {
  std::vector<std::size_t> rows(n);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (n <= most) return rows;
  auto rng = hw::Rng::stream(0, "gp rows", static_cast<std::uint64_t>(target));
  return rng.sample(n, most);
}

// ---- on the support alone ----

GpParameters unpack(const Vector& flat) {
  const auto k = flat.size() - 2;
  return {flat[0], flat.segment(1, k), flat[k + 1]};
}

Vector maximise_posterior(const GpOptions& options, const Matrix& inputs, const Vector& values,
                          const Vector& factors) {
  const auto k = inputs.cols();
  Vector flat(k + 2);
  flat << std::log(options.signal_median), Vector::Constant(k, std::log(options.length_median)),
      std::log(options.noise_median);
  return minimise(flat, options.steps, options.rate, inputs.rows(), [&](const Vector& at, Vector* gradient) {
    return gp_objective(options, unpack(at), inputs, values, gradient, factors);
  });
}

// Hyper-parameters `known` from before, [size]; what search() finds where there are none.
template <class Search>
Vector known_or_found(const std::vector<double>* known, Eigen::Index size, const Search& search) {
  if (known == nullptr) return search();
  if (static_cast<Eigen::Index>(known->size()) != size)
    throw std::invalid_argument("gp: expected " + std::to_string(size) + " hyper-parameters, found " +
                                std::to_string(known->size()));
  for (const double value : *known)
    if (!(std::abs(value) <= kMostLog))
      throw std::invalid_argument("gp: expected hyper-parameters in [-" + std::to_string(kMostLog) + ", " +
                                  std::to_string(kMostLog) + "], found " + std::to_string(value));
  return Eigen::Map<const Vector>(known->data(), size);
}

Fit fit_alone(const GpOptions& options, const TargetRows& rows, int target,
              const std::vector<double>* known) {
  const auto scaler = Scaler::fit(log_settings(*rows.space, rows.space->modes()));
  const Vector logs = rows.values.array().log();
  const double level = logs.mean();
  const Vector centred = logs.array() - level;
  const Matrix inputs = scaler(log_settings(*rows.space, rows.modes));
  const auto some = fit_rows(rows.modes.size(), options.max_fit_rows, target);
  const Vector flat = known_or_found(known, inputs.cols() + 2, [&] {
    return maximise_posterior(options, inputs(some, Eigen::all), centred(some), rows.noise_factors(some));
  });
  const auto p = unpack(flat);
  Fit fit;
  fit.fitted = {flat.begin(), flat.end()};
  fit.noise_variance = std::exp(2 * p.log_noise);
  fit.llt = factorise(covariance(options, p, inputs, inputs), p.log_noise, rows.noise_factors);
  fit.alpha = fit.llt.solve(centred);
  fit.prior = [=, space = rows.space](std::span<const hw::PowerMode> modes) {
    const auto m = static_cast<Eigen::Index>(modes.size());
    return Prior{Vector::Constant(m, level),
                 Vector::Constant(m, std::exp(2 * p.log_signal) + options.constant * options.constant),
                 covariance(options, p, scaler(log_settings(*space, modes)), inputs)};
  };
  fit.prior_covariance = [=, space = rows.space](std::span<const hw::PowerMode> modes) {
    const Matrix at = scaler(log_settings(*space, modes));
    return covariance(options, p, at, at);
  };
  return fit;
}

// ---- with a model ----

constexpr double kKernelRate = 0.05;  // of Adam, log units
constexpr std::size_t kMaxKernelRows = 150;

Matrix covariance(const TermKernel& kernel, const GpInputs& a, const GpInputs& b) {
  Matrix sum = knob_covariance(kernel, a.columns, b.columns);
  sum += a.terms * (2 * kernel.log_spreads.array()).exp().matrix().asDiagonal() * b.terms.transpose();
  sum.array() += kGpLevel * kGpLevel;
  return sum;
}

Fit fit_with(const GpModel& model, const TargetRows& rows, int t, const std::vector<double>* known) {
  const auto& target = *model.targets[t];
  const auto inputs_of = [shape = model.shape, weights = target.weights, scaler = model.scaler,
                          space = rows.space](std::span<const hw::PowerMode> modes) {
    return gp_inputs(shape, weights, scaler(encode(FeatureSet::physical, *space, modes)));
  };
  const Vector logs = rows.values.array().log();
  const double level = logs.mean();
  const Vector centred = logs.array() - level;
  const GpInputs inputs = inputs_of(rows.modes);
  const auto some = fit_rows(rows.modes.size(), kMaxKernelRows, t);
  const Vector flat = known_or_found(known, target.kernel.flat().size(), [&] {
    return fit_gp_kernel(target, {inputs.columns(some, Eigen::all), inputs.terms(some, Eigen::all)},
                         centred(some), rows.noise_factors(some))
        .flat();
  });
  const auto kernel = TermKernel::from_flat(flat, inputs.columns.cols());
  Fit fit;
  if (target.fine_tune.steps > 0) fit.fitted = {flat.begin(), flat.end()};
  fit.noise_variance = std::exp(2 * kernel.log_noise);
  fit.llt = factorise(covariance(kernel, inputs, inputs), kernel.log_noise, rows.noise_factors);
  fit.alpha = fit.llt.solve(centred - inputs.terms * target.mean);
  fit.prior = [=, slopes = target.mean](std::span<const hw::PowerMode> modes) {
    const auto at = inputs_of(modes);
    Prior prior{at.terms * slopes, {}, covariance(kernel, at, inputs)};
    prior.mean.array() += level;
    prior.variance = at.terms.array().square().matrix() * (2 * kernel.log_spreads.array()).exp().matrix();
    prior.variance.array() += knob_variance(kernel) + kGpLevel * kGpLevel;
    return prior;
  };
  fit.prior_covariance = [=](std::span<const hw::PowerMode> modes) {
    const auto at = inputs_of(modes);
    return covariance(kernel, at, at);
  };
  return fit;
}

}  // namespace

void GpOptions::each(OptionVisitor& on) {
  on.real("length_median", length_median, 1e-3, 1e3,
          "median of the prior of the length scales, in standard deviations of a knob's log settings");
  on.real("length_spread", length_spread, 1e-3, 1e2, "standard deviation of the log of that prior");
  on.real("signal_median", signal_median, 1e-3, 1e2,
          "median of the prior of the standard deviation of log time or log power over modes");
  on.real("signal_spread", signal_spread, 1e-3, 1e2, "standard deviation of the log of that prior");
  on.real("noise_median", noise_median, 1e-6, 1,
          "median of the prior of the standard deviation of a measurement's log");
  on.real("noise_spread", noise_spread, 1e-3, 1e2, "standard deviation of the log of that prior");
  on.whole("steps", steps, 0, 100'000, "number of Adam's steps on the log posterior of the hyper-parameters");
  on.real("rate", rate, 1e-9, 1e2, "learning rate of Adam");
  on.whole("max_fit_rows", max_fit_rows, 1, 2000,
           "greatest number of rows that hyper-parameters are fitted to");
}

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
                    const Vector& values, Vector* gradient, const Vector& noise_factors) {
  const auto n = inputs.rows(), k = inputs.cols();
  const Vector factors = factors_or_ones(noise_factors, n);
  const MaternOf function(inputs, p.log_lengths);
  const double signal = std::exp(2 * p.log_signal);
  const Eigen::MatrixXd shape = signal * function.value();
  const auto llt =
      factorise((shape.array() + options.constant * options.constant).matrix(), p.log_noise, factors);
  const Vector alpha = llt.solve(values);
  double objective = 0.5 * values.dot(alpha) + llt.matrixLLT().diagonal().array().log().sum();

  Vector slopes = Vector::Zero(k + 2);
  objective += prior(p.log_signal, options.signal_median, options.signal_spread, &slopes[0]);
  for (Eigen::Index j = 0; j < k; ++j) {
    objective += prior(p.log_lengths[j], options.length_median, options.length_spread, &slopes[1 + j]);
  }
  objective += prior(p.log_noise, options.noise_median, options.noise_spread, &slopes[k + 1]);
  if (gradient == nullptr) return objective;

  // d objective / d theta = -1/2 tr((alpha alpha' - K^-1) dK/dtheta)
  const Eigen::MatrixXd weight = 0.5 * (inverse_of_squared(llt.matrixLLT()) - alpha * alpha.transpose());
  slopes[0] += 2 * weight.cwiseProduct(shape).sum();
  slopes[k + 1] += 2 * std::exp(2 * p.log_noise) * weight.diagonal().cwiseProduct(factors).sum();
  slopes.segment(1, k) += signal * function.slopes(weight);
  *gradient = slopes;
  return objective;
}

std::string GpFineTune::error() const {
  if (steps < 0 || steps > kMostKernelSteps)
    return "GpFineTune: steps must be in [0, " + std::to_string(kMostKernelSteps) + "], got " +
           std::to_string(steps);
  if (!(freedom > 0) || !std::isfinite(freedom))
    return "GpFineTune: freedom must be > 0, got " + std::to_string(freedom);
  return "";
}

GpInputs gp_inputs(const MlpShape& shape, const Vector& weights, const Matrix& features) {
  const auto d = features.cols() / 3;
  const Matrix near = features.cwiseMax(-kGpFarthest).cwiseMin(kGpFarthest);
  const Matrix logs = features.middleCols(2 * d, d);
  if (shape.num_layers() == 0) return {logs, near};
  GpInputs inputs{Matrix(features.rows(), d + shape.sizes.back()), near};
  inputs.columns << logs, Mlp<double>(shape, weights).forward(near);
  return inputs;
}

double gp_objective(const GpTarget& target, const TermKernel& kernel, const GpInputs& inputs,
                    const Vector& logs, Vector* gradient, const Vector& noise_factors) {
  const auto n = logs.size();
  const Vector factors = factors_or_ones(noise_factors, n);
  const Vector left = logs - inputs.terms * target.mean;
  const auto llt = factorise(covariance(kernel, inputs, inputs), kernel.log_noise, factors);
  const Vector alpha = llt.solve(left);
  const Vector spreads = target.fine_tune.freedom * target.kernel_spreads;
  const Vector z = (kernel.flat() - target.kernel.flat()).cwiseQuotient(spreads);
  const double value = 0.5 * left.dot(alpha) + Eigen::MatrixXd(llt.matrixL()).diagonal().array().log().sum() +
                       0.5 * z.squaredNorm();
  if (gradient == nullptr) return value;

  // d / d theta = 1/2 tr((K^-1 - alpha alpha') dK / d theta)
  const Eigen::MatrixXd weight = 0.5 * (inverse_of_squared(llt.matrixLLT()) - alpha * alpha.transpose());
  TermKernel slope{knob_slopes(kernel, inputs.columns, weight), 0, {}};
  slope.log_noise = 2 * std::exp(2 * kernel.log_noise) * weight.diagonal().cwiseProduct(factors).sum();
  slope.log_spreads = 2 * (2 * kernel.log_spreads.array()).exp() *
                      (weight * inputs.terms).cwiseProduct(inputs.terms).colwise().sum().transpose().array();
  *gradient = slope.flat() + z.cwiseQuotient(spreads);
  return value;
}

TermKernel fit_gp_kernel(const GpTarget& target, const GpInputs& inputs, const Vector& logs,
                         const Vector& noise_factors) {
  const auto kernel = [&](const Vector& flat) { return TermKernel::from_flat(flat, inputs.columns.cols()); };
  return kernel(minimise(target.kernel.flat(), target.fine_tune.steps, kKernelRate, logs.size(),
                         [&](const Vector& flat, Vector* gradient) {
                           return gp_objective(target, kernel(flat), inputs, logs, gradient, noise_factors);
                         }));
}

Eigen::Index GpModel::columns() const {
  return scaler.mean.size() / 3 + (shape.num_layers() > 0 ? shape.sizes.back() : 0);
}

std::string GpModel::error() const {
  const auto f = scaler.mean.size();
  if (scaler.stddev.size() != f) return "feature_mean and feature_stddev differ in size";
  if (shape.sizes.empty() || shape.sizes.front() != f ||
      *std::min_element(shape.sizes.begin(), shape.sizes.end()) < 1)
    return "hidden does not fit feature_mean";
  const auto size = 3 * columns() + 2 + f;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    if (target.weights.size() != static_cast<Eigen::Index>(shape.num_parameters()))
      return prefix + "weights does not fit hidden and feature_mean";
    if (target.mean.size() != f) return prefix + "mean must have " + std::to_string(f) + " values";
    const Vector kernel = target.kernel.flat();
    if (target.kernel.log_lengths.size() != columns() || kernel.size() != size ||
        target.kernel_spreads.size() != size)
      return prefix + "kernel and kernel_spreads must have " + std::to_string(size) + " values";
    if (!target.weights.allFinite() || !target.mean.allFinite() || !kernel.allFinite())
      return prefix + "weights, mean and kernel must be finite";
    if (kernel.cwiseAbs().maxCoeff() > kMostLog || target.mean.cwiseAbs().maxCoeff() > kMostFactor)
      return prefix + "kernel must be at most " + std::to_string(kMostLog) + ", mean " +
             std::to_string(kMostFactor);
    if (!(target.kernel_spreads.array() > 0).all() || !target.kernel_spreads.allFinite())
      return prefix + "kernel_spreads must be > 0 and finite";
    if (auto bad = target.fine_tune.error(); !bad.empty()) return bad;
  }
  return "";
}

void GpModel::visit(CheckpointFields& fields) {
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  fields.net(scaler, shape, std::nullopt);
  if (columns() > kMostGpColumns)
    throw std::invalid_argument("checkpoint of gp: hidden and feature_mean: expected at most " +
                                std::to_string(kMostGpColumns) + " columns of the kernel, found " +
                                std::to_string(columns()));
  fields.targets(targets, "kernel", [&](CheckpointFields& of, GpTarget& target) {
    if (shape.num_layers() > 0) of.row("weights", target.weights);
    of.row("mean", target.mean);
    Vector kernel = of.reads() ? Vector() : target.kernel.flat();
    of.row("kernel", kernel);
    const auto size = 3 * columns() + 2 + scaler.mean.size();
    if (of.reads() && kernel.size() != size)
      of.refuse("kernel",
                "must have " + std::to_string(size) + " values, found " + std::to_string(kernel.size()));
    if (of.reads()) target.kernel = TermKernel::from_flat(kernel, columns());
    of.row("kernel_spreads", target.kernel_spreads);
    of.integer("fine_tune/steps", target.fine_tune.steps, 0, kMostKernelSteps);
    of.real("fine_tune/freedom", target.fine_tune.freedom, kLeastFactor, kMostFreedom);
  });
}

Checkpoint GpModel::to_checkpoint() const {
  return write_fields("gp", *this);
}

GpModel GpModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<GpModel>(c);
}

Gp::Gp(GpOptions options) : options_(std::move(options)) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

Gp::Gp(GpModel model) : model_(std::make_shared<const GpModel>(std::move(model))) {
  if (const auto error = model_->error(); !error.empty()) throw std::invalid_argument("gp: " + error);
}

std::unique_ptr<const Predictor> Gp::update(const Samples& given, const Fitted& fitted) const {
  check_support("gp", given, 1);
  const auto support = spread_support(given);
  if (model_) check_roles("gp", model_->knobs, *support.space);
  auto predictor = std::make_unique<GpPredictor>();
  for (int t = 0; t < kNumTargets; ++t) {
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (rows.modes.empty()) continue;
    const auto found = fitted.find(fitted_name(t));
    const auto* known = found == fitted.end() ? nullptr : &found->second;
    if (!model_) {
      predictor->fits[t] = fit_alone(options_, rows, t, known);
    } else if (model_->targets[t]) {
      predictor->fits[t] = fit_with(*model_, rows, t, known);
    }
  }
  return predictor;
}

}  // namespace fewwatt::learners
