#include "learners/sim_residual.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "learners/cholesky.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::learners {

using Index = Eigen::Index;

Vector SimResidual::flat() const {
  Vector all(1 + log_lengths.size() + log_amplitudes.size() + log_widths.size() + log_slopes.size());
  all << log_signal, log_lengths, log_amplitudes, log_widths, log_slopes;
  return all;
}

SimResidual SimResidual::from_flat(const Vector& flat, Index d) {
  return {{flat[0], flat.segment(1, d), flat.segment(1 + d, d), flat.segment(1 + 2 * d, d)},
          flat.tail(flat.size() - 1 - 3 * d)};
}

SimResidual usual_residual(Index d, Index p) {
  return {{-1.5, Vector::Constant(d, 0.7), Vector::Constant(d, -1.5), Vector::Constant(d, 0.3)},
          Vector::Constant(p, -1.5)};
}

double expected_log_noise(double fitted, std::size_t workloads) {
  constexpr double kUsualSpread = 0.7, kLeast = 0.001;
  const double of_usual = 1 / (kUsualSpread * kUsualSpread),
               of_workloads = static_cast<double>(workloads) / (kNoiseApart * kNoiseApart);
  const double log_noise = (of_workloads * fitted + of_usual * kUsualLogNoise) / (of_workloads + of_usual);
  return std::max(log_noise, std::log(kLeast));
}

namespace {

// x and 1 / x of each knob with more than one level, n c and 1 / (n c) where both are knobs.
Matrix raw_psi(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  const Matrix x = encode(FeatureSet::raw, space, modes);
  const auto cores = space.knob_with(hw::KnobRole::cpu_cores), cpu = space.knob_with(hw::KnobRole::cpu_khz);
  std::vector<Vector> columns;
  const auto add = [&](const Vector& column) {
    columns.push_back(column);
    columns.emplace_back(column.cwiseInverse());
  };
  for (std::size_t k = 0; k < space.knobs().size(); ++k)
    if (space.knobs()[k].levels.size() > 1) add(x.col(static_cast<Index>(k)));
  if (cores && cpu) add(x.col(static_cast<Index>(*cores)).cwiseProduct(x.col(static_cast<Index>(*cpu))));
  Matrix psi(x.rows(), static_cast<Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) psi.col(static_cast<Index>(j)) = columns[j];
  return psi;
}

}  // namespace

Index sim_features(const hw::PowerModeSpace& space) {
  return raw_psi(space, {}).cols();
}

SimEncoder::SimEncoder(const hw::PowerModeSpace& space) : space_(space) {
  const auto all = space.modes();
  knobs_ = Scaler::fit(log_settings(space, all));
  psi_ = Scaler::fit(raw_psi(space, all));
}

SimInputs SimEncoder::operator()(std::span<const hw::PowerMode> modes) const {
  return {knobs_(log_settings(space_, modes)), psi_(raw_psi(space_, modes))};
}

Matrix sim_covariance(const SimResidual& r, const SimInputs& a, const SimInputs& b) {
  Matrix sum = knob_covariance(r, a.knobs, b.knobs);
  if (!r.log_slopes.array().isInf().all())
    sum += a.psi * (2 * r.log_slopes.array()).exp().matrix().asDiagonal() * b.psi.transpose();
  return sum;
}

Vector sim_prior_parameters(const SimPriorFitted& target) {
  const Vector residual = target.residual.flat();
  Vector all(residual.size() + 2);
  all << residual, target.log_noise, target.log_scale;
  return all;
}

void set_sim_prior_parameters(SimPriorFitted& target, const Vector& parameters) {
  const auto n = parameters.size() - 2;
  target.residual = SimResidual::from_flat(parameters.head(n), target.residual.log_lengths.size());
  target.log_noise = parameters[n];
  target.log_scale = parameters[n + 1];
}

double sim_prior_objective(const SimPriorFitted& target, const SimPriorRows& rows, Vector* gradient) {
  const auto& r = target.residual;
  const auto n = rows.left.size();
  const Matrix simulated = std::exp(target.log_scale) * rows.simulated;
  Eigen::MatrixXd sum = simulated + sim_covariance(r, rows.inputs, rows.inputs);
  sum.array() += kSimLevelVariance;
  const Vector factors = rows.noise_factors.size() > 0 ? rows.noise_factors : Vector::Ones(n);
  sum.diagonal() += std::exp(2 * target.log_noise) * factors;
  const auto llt = cholesky(sum, "sim_prior: a covariance of " + std::to_string(n) + " rows");
  const Vector alpha = llt.solve(rows.left);
  const double count = static_cast<double>(n);
  const double value =
      (0.5 * rows.left.dot(alpha) + Eigen::MatrixXd(llt.matrixL()).diagonal().array().log().sum()) / count;
  if (gradient == nullptr) return value;

  // d / d theta = tr((A^-1 - alpha alpha') dA / d theta) / 2
  const Eigen::MatrixXd weight = 0.5 * (inverse_of_squared(llt.matrixLLT()) - alpha * alpha.transpose());
  SimPriorFitted slope = target;
  static_cast<KnobKernel&>(slope.residual) = knob_slopes(r, rows.inputs.knobs, weight);
  slope.residual.log_slopes =
      2 * (2 * r.log_slopes.array()).exp() *
      (weight * rows.inputs.psi).cwiseProduct(rows.inputs.psi).colwise().sum().transpose().array();
  slope.log_noise = 2 * std::exp(2 * target.log_noise) * weight.diagonal().dot(factors);
  slope.log_scale = (weight.array() * simulated.array()).sum();
  *gradient = sim_prior_parameters(slope) / count;
  return value;
}

void SupportFitOptions::each(OptionVisitor& on) {
  on.real("variance", variance, 1e-9, 1e3, "of logs, of what is left beside simulated workloads");
  on.real("joint_share", joint_share, 1e-6, 0.999, "share of it in the function of all knobs");
  on.real("alone_share", alone_share, 1e-6, 0.999,
          "share of it in the functions of single knobs; features have the rest");
  on.real("noise", noise, 1e-6, 10, "usual standard deviation of the log of a measurement");
  on.real("spread", spread, 1e-6, 100, "standard deviation of logs of amplitudes");
  on.real("length_spread", length_spread, 1e-6, 100, "standard deviation of logs of lengths");
  on.real("noise_spread", noise_spread, 1e-6, 100, "standard deviation of the log of the noise");
  on.whole("steps", steps, 0, 100'000, "steps of Adam");
  on.real("rate", rate, 1e-9, 10, "Adam's rate");
}

std::string SupportFitOptions::error() const {
  for (const double value :
       {variance, joint_share, alone_share, noise, spread, length_spread, noise_spread, rate})
    if (!(value > 0) || !std::isfinite(value))
      return "SupportFitOptions: variance, shares, noise, spreads and rate must be > 0";
  if (!(joint_share + alone_share < 1))
    return "SupportFitOptions: joint_share and alone_share must be less than 1 together, got " +
           std::to_string(joint_share + alone_share);
  return steps < 0 ? "SupportFitOptions: steps must be >= 0" : "";
}

SimFittedToSupport fit_to_support(const SimPriorRows& rows, const SupportFitOptions& o) {
  const auto d = rows.inputs.knobs.cols(), p = rows.inputs.psi.cols();
  const auto log_stddev = [&](double share, Index of) {
    return 0.5 * std::log(o.variance * share / static_cast<double>(std::max<Index>(1, of)));
  };
  SimFittedToSupport found;
  found.residual = {{log_stddev(o.joint_share, 1), Vector::Constant(d, std::log(1.5)),
                     Vector::Constant(d, log_stddev(o.alone_share, d)), Vector::Zero(d)},
                    Vector::Constant(p, log_stddev(1 - o.joint_share - o.alone_share, p))};
  found.log_noise = std::log(o.noise);
  const Vector middle = sim_prior_parameters(found);
  SimPriorFitted spreads{{{o.spread, Vector::Constant(d, o.length_spread), Vector::Constant(d, o.spread),
                           Vector::Constant(d, o.length_spread)},
                          Vector::Constant(p, o.spread)},
                         o.noise_spread};
  const Vector precision = sim_prior_parameters(spreads).head(middle.size() - 1).cwiseAbs2().cwiseInverse();
  const auto half_squares = [&](const Vector& at, Vector* gradient) {
    Vector slope = at - middle;
    slope.head(precision.size()).array() *= precision.array();
    if (gradient != nullptr) *gradient += slope;
    return 0.5 * slope.dot(at - middle);
  };
  const auto n = static_cast<double>(rows.left.size());
  const Vector best =
      minimise(middle, o.steps, o.rate, rows.left.size(), [&](const Vector& at, Vector* gradient) {
        set_sim_prior_parameters(found, at);
        const double value = n * sim_prior_objective(found, rows, gradient);
        *gradient *= n;
        gradient->tail(1).setZero();  // of log_scale
        return value + half_squares(at, gradient);
      });
  set_sim_prior_parameters(found, best);
  found.log_prior = -half_squares(best, nullptr);
  return found;
}

}  // namespace fewwatt::learners
