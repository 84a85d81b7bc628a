#include "learners/factor.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/checkpoint_fields.hpp"
#include "learners/cholesky.hpp"
#include "learners/encode.hpp"
#include "learners/matern.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;
using Index = Eigen::Index;

// How much the sizes of two workloads' own parts differ: the difference of the logs of their standard deviations is about this large.
constexpr double kOwnSpread = 1;
// A workload may differ at a level of one knob from what the neighbouring levels suggest: by this standard deviation, over this part of
// the knob's standard deviation.
constexpr double kRough = 0.05, kRoughLength = 0.5;
constexpr double kSmallestWeight = 1e-3;  // combinations of factors with less weight are dropped
constexpr Index kChunk = 4096;            // modes predicted at once

// Kinds of a workload's own part, which no training workload explains: as smooth as those of the training workloads; rough in each knob
// besides; or, from kFlat on, smooth and independent of one of the knobs.
constexpr std::size_t kSmooth = 0, kRoughToo = 1, kFlat = 2;
Matrix own_covariance(const FactorTarget& target, std::size_t kind, const Matrix& a, const Matrix& b) {
  Vector log_lengths = target.log_lengths;
  if (kind >= kFlat) log_lengths[static_cast<Index>(kind - kFlat)] = kMostLog;
  Matrix sum = std::exp(2 * target.log_signal) * matern(a, b, log_lengths);
  if (kind != kRoughToo) return sum;
  const auto d = a.cols();
  const Vector length = Vector::Constant(1, std::log(kRoughLength));
  for (Index k = 0; k < d; ++k)
    sum += kRough * kRough / static_cast<double>(d) * matern(a.col(k), b.col(k), length);
  return sum;
}
double own_variance(const FactorTarget& target, std::size_t kind) {
  return std::exp(2 * target.log_signal) + (kind == kRoughToo ? kRough * kRough : 0);
}

Vector centred(const Vector& values) {
  return values.array() - values.mean();
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

FactorParameters FactorParameters::spreads(Index d) {
  return {1, 0.5, 1, Vector::Constant(d, 0.7), 0.7};
}

double factor_objective(const FactorParameters& p, const FactorRows& rows, Vector* gradient) {
  const auto n = rows.logs.size(), d = rows.knobs.cols();
  const double share = 1 / (1 + std::exp(-p.log_mean)), noise = std::exp(2 * p.log_noise);
  const Vector mean = centred(rows.mean), left = centred(rows.logs) - share * mean;
  const Matrix factors =
      std::exp(p.log_scale) * (rows.factors.colwise() - rows.factors.rowwise().mean().eval());
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
  Matrix off = logs.colwise() - logs.rowwise().mean().eval();
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

void FactorModel::visit(CheckpointFields& fields) {
  std::string trained_by = "factor";
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  fields.modes("modes", modes);
  fields.targets(targets, "log_lengths", [](CheckpointFields& of, FactorTarget& target) {
    of.row("mean", target.mean);
    of.matrix("factors", target.factors);
    of.row("log_lengths", target.log_lengths);
    of.integer("workloads", target.workloads, 1, kMostWorkloads);
    of.real("log_signal", target.log_signal, -kMostLog, kMostLog);
    of.real("log_noise", target.log_noise, -kMostLog, kMostLog);
  });
}

Checkpoint FactorModel::to_checkpoint() const {
  return write_fields("factor", *this);
}

FactorModel FactorModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<FactorModel>(c);
}

namespace {

// One kind of a workload's own part, averaged over all other hypotheses. K is the covariance of the own part. With the functions
// u(x) = [1, F(x)'F(support), K(x, support), m(x)] of a mode, less their levels on the support, the mean of log y is
// level + u . mean_of, and its second moment about the level
//   a F(x)'F(x) + b K(x,x) + constant + u' moment u.
struct Part {
  double a = 0, b = 0, constant = 0;
  Vector mean_of;          // [2 + 2 k]; [0]: without weight
  Eigen::MatrixXd moment;  // [2 + 2 k, 2 + 2 k]
};

// One target of one support: the sum over kinds.
struct Fit {
  double level = 0;
  Matrix knobs;          // [k,d] of the support
  Matrix factors;        // [r,k]
  Vector factor_levels;  // [r]
  double mean_level = 0;
  double noise_variance = 0;
  std::vector<Part> parts;
  LeftOut left_out;
};

class FactorPredictor final : public Predictor {
 public:
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::shared_ptr<const FactorModel> model;
  bool same_modes = false;  // every mode of the space is one of the model's
  Scaler scaler;            // of log settings over the space
  std::array<std::optional<Fit>, kNumTargets> fits;

  // The values of the training workloads' mean and factors in a mode.
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
    auto out = Prediction::unknown(n);
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fits[t] || !wanted[t]) continue;
      const auto& fit = *fits[t];
      Vector means(n), variances(n);
      for (Index from = 0; from < n; from += kChunk) {
        const auto count = std::min(kChunk, n - from);
        auto at =
            functions(t, modes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count)));
        const Vector shared = at.factors.colwise().squaredNorm().transpose();
        Vector mean = Vector::Zero(count), second = Vector::Zero(count);
        for (std::size_t kind = 0; kind < fit.parts.size(); ++kind) {
          const auto& part = fit.parts[kind];
          if (part.mean_of.size() == 0) continue;
          set_own(t, kind, at);
          mean += at.u * part.mean_of;
          // u' moment u, from one half of the symmetric matrix.
          Eigen::MatrixXd half = 2 * part.moment;
          half.diagonal() = part.moment.diagonal();
          const Matrix product = at.u * half.triangularView<Eigen::Upper>();
          second.array() += part.a * shared.array() + part.b * own_variance(*model->targets[t], kind) +
                            part.constant + product.cwiseProduct(at.u).rowwise().sum().array();
        }
        means.segment(from, count) = mean.array() + fit.level;
        variances.segment(from, count) =
            (second.array() - mean.array().square()).max(fit.noise_variance + 1e-10);
      }
      out.set(t, means, variances, fit.noise_variance);
    }
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    return fits[target] ? fits[target]->left_out : LeftOut{};
  }

  LogCovariance covariance(tasks::Target t, std::span<const hw::PowerMode> modes) const override {
    if (!fits[t]) return {};
    const auto& fit = *fits[t];
    auto at = functions(t, modes);
    const auto n = static_cast<Index>(modes.size());
    Vector mean = Vector::Zero(n);
    Matrix second = Matrix::Constant(n, n, -fit.noise_variance);
    for (std::size_t kind = 0; kind < fit.parts.size(); ++kind) {
      const auto& part = fit.parts[kind];
      if (part.mean_of.size() == 0) continue;
      set_own(t, kind, at);
      mean += at.u * part.mean_of;
      second += part.a * at.factors.transpose() * at.factors +
                part.b * own_covariance(*model->targets[t], kind, at.knobs, at.knobs) +
                at.u * part.moment * at.u.transpose();
      second.array() += part.constant;
    }
    second -= mean * mean.transpose();
    return {0.5 * (second + second.transpose()), fit.noise_variance};
  }

 private:
  struct At {
    Matrix u;        // [n, 2 + 2 k], without the columns of the own part, which set_own() fills
    Matrix factors;  // [r,n]
    Matrix knobs;    // [n,d]
  };
  At functions(int t, std::span<const hw::PowerMode> modes) const {
    const auto& fit = *fits[t];
    const auto k = fit.knobs.rows();
    const auto here = curves(t, modes);
    At at{Matrix(static_cast<Index>(modes.size()), 2 + 2 * k), here.factors.colwise() - fit.factor_levels,
          scaler(log_settings(*space, modes))};
    at.u.col(0).setOnes();
    at.u.middleCols(1, k) = at.factors.transpose() * fit.factors;
    at.u.col(1 + 2 * k) = here.mean.array() - fit.mean_level;
    return at;
  }
  void set_own(int t, std::size_t kind, At& at) const {
    const auto k = fits[t]->knobs.rows();
    at.u.middleCols(1 + k, k) = own_covariance(*model->targets[t], kind, at.knobs, fits[t]->knobs);
  }
};

// A combination of factors, with or without the mean of the training workloads.
struct Member {
  double a, b, noise_variance;
  std::size_t kind;  // of the own part
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
  fit.factor_levels = curves.factors.rowwise().mean();
  fit.factors = curves.factors.colwise() - fit.factor_levels;
  fit.mean_level = curves.mean.mean();
  const Vector mean = curves.mean.array() - fit.mean_level;
  const Matrix shared = fit.factors.transpose() * fit.factors;
  std::vector<Matrix> own;
  for (std::size_t kind = 0; kind < kFlat + static_cast<std::size_t>(knobs.cols()); ++kind)
    own.push_back(own_covariance(target, kind, knobs, knobs));
  fit.parts.resize(own.size());

  // The prior probability that this workload is like no training workload is that of one in w + 1.
  const double log_unlike = -std::log1p(static_cast<double>(target.workloads));
  std::vector<std::pair<double, double>> shares = {{0, log_unlike}};  // of the covariance, and log priors
  if (shared.cwiseAbs().maxCoeff() > 0)
    for (const double step : {-1, 0, 1})
      shares.emplace_back(std::exp(2 * kOwnSpread * step), -0.5 * step * step);
  const double noise = std::exp(2 * target.log_noise);
  const auto factorise = [&](const Member& m) {
    Eigen::MatrixXd sum = m.a * shared + m.b * own[m.kind];
    sum.array() += kSimLevelVariance;
    sum.diagonal() += m.noise_variance * rows.noise_factors;
    return Eigen::LLT<Eigen::MatrixXd>(sum);
  };
  Eigen::MatrixXd left(k, 2);
  left << off, off - mean;
  std::vector<Member> members;
  double best = -std::numeric_limits<double>::infinity();
  const auto weigh = [&](Member m, double log_prior) {
    const auto llt = factorise(m);
    if (llt.info() != Eigen::Success) return;
    const double log_root = llt.matrixLLT().diagonal().array().log().sum();
    const Vector squares = llt.matrixL().solve(left).colwise().squaredNorm().transpose();
    for (const bool with_mean : {false, true}) {
      m.with_mean = with_mean;
      m.log_evidence =
          log_prior + (with_mean || m.a == 0 ? 0 : log_unlike) - 0.5 * squares[with_mean ? 1 : 0] - log_root;
      best = std::max(best, m.log_evidence);
      members.push_back(m);
    }
  };
  const auto weigh_all = [&](double share, double log_prior, std::size_t kind,
                             std::initializer_list<double> own_steps,
                             std::initializer_list<double> noise_steps) {
    for (const double own_step : own_steps)
      for (const double noise_step : noise_steps)
        weigh({share, std::exp(2 * kOwnSpread * own_step), noise * std::exp(2 * kNoiseApart * noise_step),
               kind, false, 0},
              log_prior - 0.5 * own_step * own_step - 0.5 * noise_step * noise_step);
  };
  for (const auto& [share, log_prior] : shares) {
    weigh_all(share, log_prior, kSmooth, {-2, -1, 0, 1, 2}, {-1, 0, 1, 2});
    weigh_all(share, log_prior + (share > 0 ? log_unlike : 0), kRoughToo, {-1, 0, 1}, {0, 1});
  }
  for (std::size_t kind = kFlat; kind < own.size(); ++kind)  // it is like none of the others
    weigh_all(0, log_unlike - std::log(static_cast<double>(knobs.cols())), kind, {-2, -1, 0, 1, 2},
              {-1, 0, 1});
  if (members.empty())
    throw std::runtime_error("factor: no covariance of " + std::to_string(k) +
                             " support rows is positive definite");
  double sum = 0;
  std::erase_if(members, [&](const Member& m) { return m.log_evidence < best + std::log(kSmallestWeight); });
  for (const auto& m : members) sum += std::exp(m.log_evidence - best);

  Vector error = Vector::Zero(k), second = Vector::Zero(k);
  for (const auto& m : members) {
    const double w = std::exp(m.log_evidence - best) / sum;
    auto& part = fit.parts[m.kind];
    if (part.mean_of.size() == 0) {
      part.mean_of = Vector::Zero(2 + 2 * k);
      part.moment = Eigen::MatrixXd::Zero(2 + 2 * k, 2 + 2 * k);
    }
    const auto llt = factorise(m);
    const Vector alpha = llt.solve(m.with_mean ? left.col(1) : left.col(0));
    Vector coefficients(2 + 2 * k);
    coefficients << kSimLevelVariance * alpha.sum(), m.a * alpha, m.b * alpha, m.with_mean ? 1.0 : 0.0;
    // K^-1 multiplied from both sides by [level 1, a I, b I], which turns [1, F'F, K] into the covariance with the support.
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
    part.a += w * m.a;
    part.b += w * m.b;
    part.constant += w * (kSimLevelVariance + m.noise_variance);
    part.mean_of += w * coefficients;
    part.moment += w * moment;
    fit.noise_variance += w * m.noise_variance;
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
    predictor->fits[t] =
        fit_rows(*model_->targets[t], rows, predictor->scaler(log_settings(*rows.space, rows.modes)),
                 predictor->curves(t, rows.modes));
  }
  return predictor;
}

}  // namespace fewwatt::learners
