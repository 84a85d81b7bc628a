#include "learners/factor.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/cholesky.hpp"
#include "learners/encode.hpp"
#include "learners/matern.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;
using Index = Eigen::Index;

// How far the logs of standard deviations of workloads are apart, one to the other: of what they have of their own.
constexpr double kOwnSpread = 1;  // as kNoiseApart
constexpr double kSmallestWeight = 1e-3;  // of a combination of factors that is kept
constexpr Index kChunk = 4096;            // modes predicted at once

Matrix log_settings(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  return encode(FeatureSet::raw, space, modes).array().log().matrix();
}

Vector centred(const Vector& values) { return values.array() - values.mean(); }

// Standard deviations from the trained ones by so many spreads.
std::vector<double> around(double spread, std::initializer_list<double> steps) {
  std::vector<double> factors;
  for (const double step : steps) factors.push_back(std::exp(spread * step));
  return factors;
}

}  // namespace

Vector FactorParameters::flat() const {
  Vector all(4 + log_lengths.size());
  all << log_mean, log_scale, log_signal, log_lengths, log_noise;
  return all;
}

FactorParameters FactorParameters::from_flat(const Vector& flat) {
  const auto d = flat.size() - 4;
  return {flat[0], flat[1], flat[2], flat.segment(3, d), flat[3 + d]};
}

FactorParameters FactorParameters::medians(Index d, std::size_t workloads) {
  return {std::log(static_cast<double>(workloads)), 0, std::log(0.1), Vector::Constant(d, std::log(2.0)),
          std::log(tasks::kUsualNoise)};
}

FactorParameters FactorParameters::spreads(Index d) { return {1, 0.5, 1, Vector::Constant(d, 0.7), 0.7}; }

double factor_objective(const FactorParameters& p, const FactorRows& rows, Vector* gradient) {
  const auto n = rows.logs.size(), d = rows.knobs.cols();
  const double share = 1 / (1 + std::exp(-p.log_mean)), noise = std::exp(2 * p.log_noise);
  const Vector mean = centred(rows.mean), left = centred(rows.logs) - share * mean;
  const Matrix factors = std::exp(p.log_scale) * (rows.factors.colwise() - rows.factors.rowwise().mean());
  const Eigen::MatrixXd shared = factors.transpose() * factors;
  const MaternOf function(rows.knobs, p.log_lengths);
  const Eigen::MatrixXd own = std::exp(2 * p.log_signal) * function.value();
  Eigen::MatrixXd sum = shared + own;
  sum.array() += kSimLevelVariance;
  sum.diagonal().array() += noise;
  const auto llt = cholesky(sum, "factor: a covariance of " + std::to_string(n) + " rows");
  const Vector alpha = llt.solve(left);
  const double value = 0.5 * left.dot(alpha) + llt.matrixLLT().diagonal().array().log().sum();
  if (gradient == nullptr) return value;

  // d / d theta = tr((A^-1 - alpha alpha') dA / d theta) / 2
  const Eigen::MatrixXd weight = 0.5 * (inverse_of_squared(llt.matrixLLT()) - alpha * alpha.transpose());
  *gradient = Vector(4 + d);
  (*gradient)[0] = -share * (1 - share) * mean.dot(alpha);
  (*gradient)[1] = 2 * weight.cwiseProduct(shared).sum();
  (*gradient)[2] = 2 * weight.cwiseProduct(own).sum();
  gradient->segment(3, d) = std::exp(2 * p.log_signal) * function.slopes(weight);
  (*gradient)[3 + d] = 2 * noise * weight.trace();
  return value;
}

Factors factors_of(const Matrix& logs) {
  const auto w = logs.rows();
  Matrix off = logs.colwise() - logs.rowwise().mean();
  Factors found{off.colwise().mean().transpose(), Matrix(0, logs.cols())};
  if (w < 2) return found;
  off.rowwise() -= found.mean.transpose();
  // Of the w x w matrix: with off off' = U L U', the rows of U' off are the directions, by rising variance.
  const Eigen::MatrixXd squares = off * off.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(squares);
  const auto kept = std::min(w - 1, kMostFactors);
  const double of_mean = 1 + 1 / static_cast<double>(w);
  found.roots = std::sqrt(of_mean / static_cast<double>(w - 1)) *
                (solver.eigenvectors().rightCols(kept).transpose() * off);
  return found;
}

std::string FactorModel::error() const {
  const auto d = static_cast<Index>(std::count(knobs.begin(), knobs.end(), ' ')) + 1;
  const auto g = static_cast<Index>(modes.size());
  for (const auto& mode : modes)
    if (static_cast<Index>(mode.size()) != d) return "modes do not fit knobs";
  if (!std::is_sorted(modes.begin(), modes.end())) return "modes must be ascending";
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto bounded = [](const auto& values, double most) {
      return values.allFinite() && (values.size() == 0 || values.cwiseAbs().maxCoeff() <= most);
    };
    if (target.mean.size() != g || target.factors.cols() != g)
      return prefix + "mean and factors must have a value for each of modes";
    if (target.factors.rows() > kMostFactors)
      return prefix + "factors must be at most " + std::to_string(kMostFactors);
    if (!bounded(target.mean, kMostLog) || !bounded(target.factors, kMostLog))
      return prefix + "mean and factors must be at most " + std::to_string(kMostLog);
    if (target.log_lengths.size() != d) return prefix + "log_lengths does not fit knobs";
    if (!bounded(target.log_lengths, kMostLog) || !(std::abs(target.log_signal) <= kMostLog) ||
        !(std::abs(target.log_noise) <= kMostLog))
      return prefix + "log_lengths, log_signal and log_noise must be at most " + std::to_string(kMostLog);
    if (target.workloads < 1) return prefix + "workloads must be >= 1";
  }
  return "";
}

Checkpoint FactorModel::to_checkpoint() const {
  Checkpoint c;
  c.learner = "factor";
  c.texts["trained_by"] = "factor";
  c.texts["knobs"] = knobs;
  c.tensors["modes"] = settings_of(modes);
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    c.tensors[prefix + "mean"] = targets[t]->mean.transpose();
    c.tensors[prefix + "factors"] = targets[t]->factors;
    c.tensors[prefix + "log_lengths"] = targets[t]->log_lengths.transpose();
    c.numbers[prefix + "workloads"] = {static_cast<double>(targets[t]->workloads)};
    c.numbers[prefix + "log_signal"] = {targets[t]->log_signal};
    c.numbers[prefix + "log_noise"] = {targets[t]->log_noise};
  }
  return c;
}

FactorModel FactorModel::from_checkpoint(const Checkpoint& c) {
  FactorModel model;
  model.knobs = c.text("knobs");
  model.modes = modes_of(c, "modes");
  for (int t = 0; t < kNumTargets; ++t) {
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    if (!c.tensors.contains(prefix + "log_lengths")) continue;
    FactorTarget target;
    target.mean = c.vector(prefix + "mean");
    target.factors = c.tensor(prefix + "factors");
    target.log_lengths = c.vector(prefix + "log_lengths");
    target.workloads = c.integer(prefix + "workloads", 1, kMostWorkloads);
    target.log_signal = c.real(prefix + "log_signal", -kMostLog, kMostLog);
    target.log_noise = c.real(prefix + "log_noise", -kMostLog, kMostLog);
    model.targets[t] = std::move(target);
  }
  return model;
}

namespace {

// One target of one support. With the functions u(x) = [1, F(x)'F(support), K(x, support), m(x)] of a mode, less their levels on
// the support, the mean of log y is level + u . mean_of, and its second moment about the level
//   a F(x)'F(x) + b K(x,x) + constant + u' moment u.
struct Fit {
  double level = 0;
  Matrix knobs;            // [k,d] of the support
  Matrix factors;          // [r,k]
  Vector factor_levels;    // [r]
  double mean_level = 0;
  Vector log_lengths;
  double a = 0, b = 0, constant = 0, noise_variance = 0;
  Vector mean_of;          // [2 + 2 k]
  Eigen::MatrixXd moment;  // [2 + 2 k, 2 + 2 k]
  LeftOut left_out;
};

class FactorPredictor final : public Predictor {
 public:
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::shared_ptr<const FactorModel> model;
  bool same_modes = false;  // every mode of the space is one of the model's
  Scaler scaler;            // of log settings over the space
  std::array<std::optional<Fit>, kNumTargets> fits;

  // What the training workloads have in a mode.
  struct Curves {
    Vector mean;     // [n]
    Matrix factors;  // [r,n]
  };
  Curves curves(int t, std::span<const hw::PowerMode> modes) const {
    const auto& target = *model->targets[t];
    const auto n = static_cast<Index>(modes.size());
    if (!same_modes) return {Vector::Zero(n), Matrix(0, n)};
    std::vector<Index> at;
    for (const auto& mode : modes)
      at.push_back(std::lower_bound(model->modes.begin(), model->modes.end(), mode) - model->modes.begin());
    return {target.mean(at), target.factors(Eigen::all, at)};
  }

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return predict_targets(modes, {true, true});
  }
  Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted& wanted) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = nothing_predicted(n);
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fits[t] || !wanted[t]) continue;
      const auto& fit = *fits[t];
      Vector means(n), variances(n);
      for (Index from = 0; from < n; from += kChunk) {
        const auto count = std::min(kChunk, n - from);
        const auto at = functions(t, modes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count)));
        const Vector mean = at.u * fit.mean_of;
        const Matrix product = at.u * fit.moment;
        const Vector second = fit.a * at.factors.colwise().squaredNorm().transpose().array() + fit.b + fit.constant +
                              product.cwiseProduct(at.u).rowwise().sum().array();
        means.segment(from, count) = mean.array() + fit.level;
        variances.segment(from, count) =
            (second.array() - mean.array().square()).max(fit.noise_variance + 1e-10);
      }
      set_log_normal(out, t, means, variances, fit.noise_variance);
    }
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    return fits[target] ? fits[target]->left_out : LeftOut{};
  }

  LogCovariance covariance(tasks::Target t, std::span<const hw::PowerMode> modes) const override {
    if (!fits[t]) return {};
    const auto& fit = *fits[t];
    const auto at = functions(t, modes);
    const Vector mean = at.u * fit.mean_of;
    const Matrix knobs = scaler(log_settings(*space, modes));
    Matrix second = fit.a * at.factors.transpose() * at.factors + fit.b * matern(knobs, knobs, fit.log_lengths) +
                    at.u * fit.moment * at.u.transpose() - mean * mean.transpose();
    second.array() += fit.constant - fit.noise_variance;
    return {0.5 * (second + second.transpose()), fit.noise_variance};
  }

 private:
  struct At {
    Matrix u;        // [n, 2 + 2 k]
    Matrix factors;  // [r,n]
  };
  At functions(int t, std::span<const hw::PowerMode> modes) const {
    const auto& fit = *fits[t];
    const auto k = fit.knobs.rows();
    const auto here = curves(t, modes);
    At at{Matrix(static_cast<Index>(modes.size()), 2 + 2 * k), here.factors.colwise() - fit.factor_levels};
    at.u.col(0).setOnes();
    at.u.middleCols(1, k) = at.factors.transpose() * fit.factors;
    at.u.middleCols(1 + k, k) = matern(scaler(log_settings(*space, modes)), fit.knobs, fit.log_lengths);
    at.u.col(1 + 2 * k) = here.mean.array() - fit.mean_level;
    return at;
  }
};

// A combination of factors, with or without the mean of the training workloads.
struct Member {
  double a, b, noise_variance;  // b: times signal^2
  bool with_mean;
  double log_evidence;
};

Fit fit_rows(const FactorTarget& target, const TargetRows& rows, const Matrix& knobs,
             const FactorPredictor::Curves& curves) {
  const auto k = rows.values.size();
  Fit fit;
  const Vector logs = rows.values.array().log();
  fit.level = logs.mean();
  const Vector off = logs.array() - fit.level;
  fit.knobs = knobs;
  fit.log_lengths = target.log_lengths;
  fit.factor_levels = curves.factors.rowwise().mean();
  fit.factors = curves.factors.colwise() - fit.factor_levels;
  fit.mean_level = curves.mean.mean();
  const Vector mean = curves.mean.array() - fit.mean_level;
  const Matrix shared = fit.factors.transpose() * fit.factors, own = matern(knobs, knobs, target.log_lengths);

  // One of w + 1 workloads is like none of the others.
  const double log_unlike = -std::log1p(static_cast<double>(target.workloads));
  std::vector<std::pair<double, double>> shares = {{0, log_unlike}};  // of the covariance, and log priors
  if (shared.cwiseAbs().maxCoeff() > 0)
    for (const double factor : around(kOwnSpread, {-1, 0, 1}))
      shares.emplace_back(factor * factor, -0.5 * std::pow(std::log(factor) / kOwnSpread, 2));
  const double signal = std::exp(2 * target.log_signal), noise = std::exp(2 * target.log_noise);
  const auto factorise = [&](const Member& m) {
    Eigen::MatrixXd sum = m.a * shared + m.b * own;
    sum.array() += kSimLevelVariance;
    sum.diagonal() += m.noise_variance * rows.noise_factors;
    return Eigen::LLT<Eigen::MatrixXd>(sum);
  };
  Eigen::MatrixXd left(k, 2);
  left << off, off - mean;
  std::vector<Member> members;
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& [share, log_prior] : shares)
    for (const double of_own : around(kOwnSpread, {-2, -1, 0, 1, 2}))
      for (const double of_noise : around(kNoiseApart, {-1, 0, 1, 2})) {
        Member m{share, signal * of_own * of_own, noise * of_noise * of_noise, false, 0};
        const auto llt = factorise(m);
        if (llt.info() != Eigen::Success) continue;
        const double log_root = llt.matrixLLT().diagonal().array().log().sum();
        const Vector squares = llt.matrixL().solve(left).colwise().squaredNorm().transpose();
        for (const bool with_mean : {false, true}) {
          m.with_mean = with_mean;
          m.log_evidence = log_prior + (with_mean || share == 0 ? 0 : log_unlike) - 0.5 * squares[with_mean ? 1 : 0] - log_root -
                           0.5 * std::pow(std::log(of_own) / kOwnSpread, 2) -
                           0.5 * std::pow(std::log(of_noise) / kNoiseApart, 2);
          best = std::max(best, m.log_evidence);
          members.push_back(m);
        }
      }
  if (members.empty())
    throw std::runtime_error("factor: no covariance of " + std::to_string(k) + " support rows is positive definite");
  double sum = 0;
  std::erase_if(members, [&](const Member& m) { return m.log_evidence < best + std::log(kSmallestWeight); });
  for (const auto& m : members) sum += std::exp(m.log_evidence - best);

  fit.mean_of = Vector::Zero(2 + 2 * k);
  fit.moment = Eigen::MatrixXd::Zero(2 + 2 * k, 2 + 2 * k);
  Vector error = Vector::Zero(k), second = Vector::Zero(k);
  for (const auto& m : members) {
    const double w = std::exp(m.log_evidence - best) / sum;
    const auto llt = factorise(m);
    const Vector alpha = llt.solve(m.with_mean ? left.col(1) : left.col(0));
    Vector coefficients(2 + 2 * k);
    coefficients << kSimLevelVariance * alpha.sum(), m.a * alpha, m.b * alpha, m.with_mean ? 1.0 : 0.0;
    // K^-1 between what [1, F'F, K] is to the covariance with the support: [level 1, a I, b I].
    const Eigen::MatrixXd inverse = inverse_of_squared(llt.matrixLLT());
    const Vector sums = kSimLevelVariance * inverse.rowwise().sum();
    Eigen::MatrixXd moment = coefficients * coefficients.transpose();
    moment(0, 0) -= kSimLevelVariance * sums.sum();
    for (const auto& [at, factor] : {std::pair{Index{1}, m.a}, {1 + k, m.b}}) {
      moment.block(at, 0, k, 1) -= factor * sums;
      moment.block(0, at, 1, k) -= factor * sums.transpose();
      moment.block(at, 1, k, k) -= factor * m.a * inverse;
      moment.block(at, 1 + k, k, k) -= factor * m.b * inverse;
    }
    fit.a += w * m.a;
    fit.b += w * m.b;
    fit.constant += w * (kSimLevelVariance + m.noise_variance);
    fit.noise_variance += w * m.noise_variance;
    fit.mean_of += w * coefficients;
    fit.moment += w * moment;
    const Vector precision = inverse.diagonal();
    const Vector without = alpha.cwiseQuotient(precision);
    error += w * without;
    second += w * (precision.cwiseInverse() + without.cwiseAbs2());
  }
  fit.left_out = {error, second - error.cwiseAbs2()};
  return fit;
}

}  // namespace

Factor::Factor(FactorModel model) : model_(std::make_shared<const FactorModel>(std::move(model))) {
  if (const auto error = model_->error(); !error.empty()) throw std::invalid_argument("factor: " + error);
}

std::unique_ptr<const Predictor> Factor::adapt(const Samples& given) const {
  check_support("factor", given, 1);
  check_roles("factor", model_->knobs, *given.space);
  const auto support = spread_support(given);
  auto predictor = std::make_unique<FactorPredictor>();
  predictor->space = support.space;
  predictor->model = model_;
  predictor->same_modes = !model_->modes.empty() && covers(model_->modes, *support.space);
  predictor->scaler = Scaler::fit(log_settings(*support.space, support.space->modes()));
  for (int t = 0; t < kNumTargets; ++t) {
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (rows.modes.empty() || !model_->targets[t]) continue;
    predictor->fits[t] = fit_rows(*model_->targets[t], rows, predictor->scaler(log_settings(*rows.space, rows.modes)),
                                  predictor->curves(t, rows.modes));
  }
  return predictor;
}

}  // namespace fewwatt::learners
