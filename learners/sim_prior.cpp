#include "learners/sim_prior.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "hw/random.hpp"
#include "learners/cholesky.hpp"
#include "learners/physics.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;
using Rows = SimPopulation::Rows;
using Index = Eigen::Index;

constexpr double kSmallestShare = 0.01;   // of the weight, that a hypothesis must have to be kept
constexpr double kSmallestMember = 1e-3;  // of the weight, that one of its scales must have
constexpr double kMostLogTarget =
    60;  // of the training workloads' log y: more is no time, and overflows in floats
constexpr std::size_t kUnweighted = 100;  // workloads that stand for all of them
// Support sets that are smaller cannot tell apart what the fixed family of residuals differs in.
constexpr std::size_t kRowsForFamily = 8;
constexpr Index kRowsForFit = 20;  // from so many on a residual is fitted to the support besides
constexpr Index kChunk = 1024;     // modes predicted at once

Vector residual_variance(const SimResidual& r, const SimInputs& a) {
  return (a.psi.array().square().matrix() * (2 * r.log_slopes.array()).exp().matrix()).array() +
         knob_variance(r);
}

// Standard deviations 0 are fine: exp(-inf).
double log_of(double value) {
  return value > 0 ? std::log(value) : -std::numeric_limits<double>::infinity();
}

// The residuals that are averaged over where nothing is known of the knobs; variances, of about 1 in all.
std::vector<SimResidual> residual_family(Index d, Index p) {
  const auto make = [&](double joint, double length, double alone, double width, double slopes) {
    const double per_knob = std::sqrt(alone / static_cast<double>(d));
    const double per_feature = std::sqrt(slopes / static_cast<double>(std::max<Index>(1, p)));
    return SimResidual{{log_of(std::sqrt(joint)), Vector::Constant(d, std::log(length)),
                        Vector::Constant(d, log_of(per_knob)), Vector::Constant(d, std::log(width))},
                       Vector::Constant(p, log_of(per_feature))};
  };
  std::vector<SimResidual> family = {make(0.5, 2, 0.5, 1.5, 0), make(0.5, 1, 0.5, 0.7, 0),
                                     make(0.3, 1.2, 0.3, 1, 0.4)};
  for (Index k = 0; k < d; ++k) {  // most of it on one knob
    auto one = make(0.3, 2, 0, 0.9, 0);
    one.log_amplitudes[k] = log_of(std::sqrt(0.7));
    family.push_back(std::move(one));
  }
  return family;
}

struct Scale {
  double a, b, noise;  // factors of the simulated covariance and of the residual; variance
  double log_prior;
};

double half_square(double value, double spread) {
  return 0.5 * value * value / (spread * spread);
}

// About the hyper-parameters that were fitted.
std::vector<Scale> scales_about(double log_noise, std::initializer_list<double> simulated,
                                std::initializer_list<double> residual) {
  std::vector<Scale> all;
  for (const double a : simulated)
    for (const double b : residual)
      for (const double q : {0.5, 1.0, 2.0})
        all.push_back(
            {a, b, std::pow(q * std::exp(log_noise), 2),
             -half_square(std::log(a), 1) - half_square(std::log(b), 1) - half_square(std::log(q), 0.6)});
  return all;
}

// How much of its own a workload has in power, and how steady it is, differs more than in time.
std::vector<Scale> trained_scales(int t, double log_noise) {
  if (t == tasks::kTimeMs) return scales_about(log_noise, {0.3, 1}, {0.1, 0.3, 1, 3});
  std::vector<Scale> all;
  for (const double a : {0.3, 1.0, 3.0})
    for (const double b : {1e-3, 0.03, 1.0})
      for (const double q : {0.25, 0.5, 1.0, 2.0})
        all.push_back({a, b, std::pow(q * std::exp(log_noise), 2), -half_square(std::log(a), 1)});
  return all;
}

std::vector<Scale> untrained_scales() {
  std::vector<Scale> all;
  for (const double b : {2e-4, 1e-3, 5e-3, 2e-2, 8e-2})
    for (const double noise : {0.007, 0.014, 0.028, 0.05})
      all.push_back({1, b, noise * noise, -half_square(std::log(noise / 0.015), 0.7)});
  return all;
}

// Positions of modes, with those beside each other that differ in the number of cores alone.
std::vector<Index> alike_together(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  std::vector<Index> order(modes.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto cores = space.knob_with(hw::KnobRole::cpu_cores);
  if (!cores) return order;
  std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) {
    const auto &a = modes[static_cast<std::size_t>(i)], &b = modes[static_cast<std::size_t>(j)];
    for (std::size_t k = 0; k < a.size(); ++k)
      if (k != *cores && a[k] != b[k]) return a[k] < b[k];
    return false;
  });
  return order;
}

// Of modes that are all among others, ascending.
std::vector<Index> positions(std::span<const hw::PowerMode> modes, const std::vector<hw::PowerMode>& among) {
  std::vector<Index> at;
  for (const auto& mode : modes)
    at.push_back(std::lower_bound(among.begin(), among.end(), mode) - among.begin());
  return at;
}

std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// kStated: training workloads, by what is stated of them; one for each target.
enum CloudName : std::size_t {
  kRetrieved,
  kAll,
  kRetrievedMixtures,
  kAllMixtures,
  kRetrievedBlends,
  kStated,
  kNumClouds
};

// Logs of the cloud at modes, each less its level on the support; mean and deviations.
struct CloudLogs {
  Vector mean;  // [n]
  Rows root;    // [which or r, n], sqrt(weight) (log - mean): covariance = root' root
};

CloudLogs at_modes(const Cloud& cloud, const Rows& logs, const Eigen::VectorXf& levels) {
  Rows root = logs.colwise() - levels;
  const Eigen::RowVectorXf mean = cloud.weights.transpose() * root;
  if (cloud.spread.size() > 0) return {mean.transpose().cast<double>(), cloud.spread * root};
  root.rowwise() -= mean;
  root.array().colwise() *= cloud.weights.array().sqrt();
  return {mean.transpose().cast<double>(), std::move(root)};
}

enum class Mean { cloud, training, physics, flat };

struct MeanFunction {
  Mean kind;
  double offset;  // on the support
};

// Priors of one cloud and one residual, each with a mean function of its own, averaged over scales. With the functions
// u(x) = [1, C(x, support), R(x, support), m_1(x) .. m_q(x)] of a mode, the mean of log y is u . mean_of, and its second
// moment
//   a C(x,x) + b R(x,x) + constant + u' moment u.
// C(x, support) is root(x)' root(support): where the roots are shorter than the support, root(x) stands in its place in u.
struct Hypothesis {
  std::size_t cloud, residual;
  std::vector<MeanFunction> means = {};
  double a = 0, b = 0, constant = 0;
  Vector mean_of;          // [1 + c + k + q], c of the cloud, min(k, r)
  Eigen::MatrixXd moment;  // [1 + c + k + q, 1 + c + k + q]
};

// From functions with C(x, support) to those with root(x). root: of the support, [r, k].
void use_roots(Hypothesis& h, const Matrix& root) {
  const Index k = root.cols(), rest = h.mean_of.size() - 1 - k;
  const auto rows_of = [&](const Eigen::MatrixXd& old) {
    Eigen::MatrixXd rows(1 + root.rows() + rest, old.cols());
    rows << old.topRows(1), root * old.middleRows(1, k), old.bottomRows(rest);
    return rows;
  };
  h.mean_of = rows_of(h.mean_of);
  h.moment = rows_of(rows_of(h.moment).transpose());  // it is symmetric
}

struct Fit {
  double level = 0;  // of log y on the support
  double noise_variance = 0;
  std::vector<hw::PowerMode> modes;
  SimInputs inputs;
  std::array<Eigen::VectorXf, kNumClouds> levels;  // of each workload's log on the support
  std::array<Rows, kNumClouds> roots;              // on the support
  std::vector<SimResidual> residuals;
  std::vector<Hypothesis> hypotheses;
  Cloud stated;
  LeftOut left_out;
};

bool has_short_roots(const Fit& fit, std::size_t cloud) {
  return fit.roots[cloud].rows() < fit.roots[cloud].cols();
}

bool uses(const Fit& fit, std::size_t cloud) {
  return std::any_of(fit.hypotheses.begin(), fit.hypotheses.end(),
                     [&](const Hypothesis& h) { return h.cloud == cloud; });
}

class SimPriorPredictor final : public Predictor {
 public:
  explicit SimPriorPredictor(std::shared_ptr<const hw::PowerModeSpace> of)
      : space(std::move(of)), encoder(*space) {}

  std::shared_ptr<const hw::PowerModeSpace> space;
  SimEncoder encoder;
  std::shared_ptr<const SimPopulation> population;
  std::shared_ptr<const Mixtures> mixtures, blends;           // nullptr where modes are not those of training
  std::array<Eigen::VectorXf, kNumTargets> levels_in_blends;  // of the cloud kAll
  std::shared_ptr<const SimPriorModel> model;                 // nullptr without training
  std::array<Cloud, kNumClouds> clouds;                       // but kStated
  std::array<std::optional<Fit>, kNumTargets> fits;
  std::unique_ptr<const Predictor> physics;
  std::vector<hw::PowerMode> curve_modes;  // of curves, ascending
  std::array<Vector, kNumTargets> curves;  // mean of the training workloads; [0]: none

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return predict_targets(modes, {true, true});
  }
  Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted& wanted) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = nothing_predicted(n);
    std::array<Vector, kNumTargets> means, variances;  // of logs
    for (int t = 0; t < kNumTargets; ++t) means[t] = variances[t] = Vector::Zero(n);
    const auto order = alike_together(*space, modes);
    for (Index from = 0; from < n; from += kChunk) {
      const auto count = std::min(kChunk, n - from);
      const std::span which(order.data() + from, static_cast<std::size_t>(count));
      std::vector<hw::PowerMode> some;
      for (const auto i : which) some.push_back(modes[static_cast<std::size_t>(i)]);
      const auto logs = simulated(some, wanted);
      const auto inputs = encoder(some);
      for (int t = 0; t < kNumTargets; ++t) {
        if (!fits[t] || !wanted[t]) continue;
        const auto [mean, variance] = predict_logs(t, some, inputs, logs);
        means[t](which) = mean;
        variances[t](which) = variance;
      }
    }
    for (int t = 0; t < kNumTargets; ++t)
      if (fits[t] && wanted[t]) set_log_normal(out, t, means[t], variances[t], fits[t]->noise_variance);
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    return fits[target] ? fits[target]->left_out : LeftOut{};
  }

  LogCovariance covariance(tasks::Target t, std::span<const hw::PowerMode> modes) const override {
    if (!fits[t]) return {};
    const auto& fit = *fits[t];
    const auto n = static_cast<Index>(modes.size());
    const auto inputs = encoder(modes);
    Wanted wanted{};
    wanted[t] = true;
    const auto at = fit_at(t, modes, inputs, simulated(modes, wanted));
    // What hypotheses have in common is added up first.
    std::array<double, kNumClouds> of_cloud{};
    std::vector<double> of_residual(fit.residuals.size());
    Matrix second = Matrix::Zero(n, n);
    Vector mean = Vector::Zero(n);
    Matrix u;
    for (const auto& h : fit.hypotheses) {
      set_functions(t, h, modes, at, u);
      mean += u * h.mean_of;
      second.noalias() += u * h.moment * u.transpose();
      second.array() += h.constant;
      of_cloud[h.cloud] += h.a;
      of_residual[h.residual] += h.b;
    }
    for (std::size_t c = 0; c < kNumClouds; ++c)
      if (of_cloud[c] > 0)
        second += of_cloud[c] * (at.clouds[c].root.transpose() * at.clouds[c].root).cast<double>();
    for (std::size_t r = 0; r < fit.residuals.size(); ++r)
      if (of_residual[r] > 0) second += of_residual[r] * sim_covariance(fit.residuals[r], inputs, inputs);
    second -= mean * mean.transpose();
    second.array() -= fit.noise_variance;  // which is part of the constants
    // Sums of large numbers that cancel leave it symmetric but for the last digits.
    return {0.5 * (second + second.transpose()), fit.noise_variance};
  }

  std::vector<Index> among_curve_modes(std::span<const hw::PowerMode> modes) const {
    return positions(modes, curve_modes);
  }

  // Logs of blends at modes; all: of the cloud kAll at these.
  SimPopulation::Logs blend(std::span<const hw::PowerMode> modes, std::span<const std::size_t> which,
                            SimPopulation::Logs all) const {
    all.time.colwise() -= levels_in_blends[tasks::kTimeMs];
    all.power.colwise() -= levels_in_blends[tasks::kPowerW];
    return blends->simulate(among_curve_modes(modes), which, all);
  }

  // The mean function of a hypothesis at modes, before its offset; that of the cloud where the training workloads have
  // none. Flat is 0: the offset is all there is.
  Vector mean_function(int t, Mean kind, std::span<const hw::PowerMode> modes, const Vector& cloud) const {
    if (kind == Mean::cloud) return cloud;
    if (kind == Mean::flat) return Vector::Zero(cloud.size());
    if (kind == Mean::physics) return physics->predict(modes).mean.col(t).array().log();
    Vector mean = cloud;
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const auto at = std::lower_bound(curve_modes.begin(), curve_modes.end(), modes[i]);
      if (at != curve_modes.end() && *at == modes[i])
        mean[static_cast<Index>(i)] = curves[t][at - curve_modes.begin()];
    }
    return mean;
  }

 private:
  // The clouds that fits of targets use, at modes.
  std::array<SimPopulation::Logs, kNumClouds> simulated(std::span<const hw::PowerMode> modes,
                                                        const Wanted& targets) const {
    const auto used = [&](CloudName c) {
      for (int t = 0; t < kNumTargets; ++t)
        if (targets[t] && fits[t] && uses(*fits[t], c)) return true;
      return false;
    };
    std::array<SimPopulation::Logs, kNumClouds> logs;
    if (used(kRetrieved)) logs[kRetrieved] = population->simulate(*space, modes, clouds[kRetrieved].which);
    if (used(kAll) || used(kRetrievedBlends))
      logs[kAll] = population->simulate(*space, modes, clouds[kAll].which);
    for (const auto c : {kRetrievedMixtures, kAllMixtures})
      if (used(c)) logs[c] = mixtures->simulate(among_curve_modes(modes), clouds[c].which);
    if (used(kRetrievedBlends))
      logs[kRetrievedBlends] = blend(modes, clouds[kRetrievedBlends].which, logs[kAll]);
    return logs;
  }

  // A target's fit at modes: what its hypotheses share.
  struct At {
    std::array<CloudLogs, kNumClouds> clouds;
    std::array<Matrix, kNumClouds> cross;  // [n,c], see Hypothesis
    std::vector<Matrix> residual_cross;
  };
  At fit_at(int t, std::span<const hw::PowerMode> modes, const SimInputs& inputs,
            const std::array<SimPopulation::Logs, kNumClouds>& logs) const {
    const auto& fit = *fits[t];
    At at;
    for (std::size_t c = 0; c < kNumClouds; ++c) {
      if (!uses(fit, c)) continue;
      if (c == kStated)
        at.clouds[c] =
            at_modes(fit.stated, model->stated->logs(t, *space, modes, fit.stated.which), fit.levels[c]);
      else
        at.clouds[c] = at_modes(clouds[c], t == tasks::kTimeMs ? logs[c].time : logs[c].power, fit.levels[c]);
      const auto& root = at.clouds[c].root;
      if (has_short_roots(fit, c))
        at.cross[c] = root.transpose().cast<double>();
      else
        at.cross[c] = (root.transpose() * fit.roots[c]).cast<double>();
    }
    at.residual_cross.resize(fit.residuals.size());
    for (const auto& h : fit.hypotheses)
      if (auto& cross = at.residual_cross[h.residual]; cross.size() == 0)
        cross = sim_covariance(fit.residuals[h.residual], inputs, fit.inputs);
    return at;
  }
  // Hypothesis's u(x) of each mode: [n, 1 + c + k + q].
  void set_functions(int t, const Hypothesis& h, std::span<const hw::PowerMode> modes, const At& at,
                     Matrix& u) const {
    u.resize(static_cast<Index>(modes.size()), h.mean_of.size());
    const auto k = static_cast<Index>(fits[t]->modes.size());
    const auto c = at.cross[h.cloud].cols();
    u.col(0).setOnes();
    u.middleCols(1, c) = at.cross[h.cloud];
    u.middleCols(1 + c, k) = at.residual_cross[h.residual];
    for (std::size_t q = 0; q < h.means.size(); ++q)
      u.col(1 + c + k + static_cast<Index>(q)) =
          mean_function(t, h.means[q].kind, modes, at.clouds[h.cloud].mean).array() - h.means[q].offset;
  }

  struct LogPrediction {
    Vector mean, variance;
  };
  LogPrediction predict_logs(int t, std::span<const hw::PowerMode> modes, const SimInputs& inputs,
                             const std::array<SimPopulation::Logs, kNumClouds>& logs) const {
    const auto& fit = *fits[t];
    const auto n = static_cast<Index>(modes.size());
    const auto at = fit_at(t, modes, inputs, logs);
    std::array<Vector, kNumClouds> own;
    for (std::size_t c = 0; c < kNumClouds; ++c)
      own[c] = at.clouds[c].root.colwise().squaredNorm().transpose().cast<double>();
    std::vector<Vector> residual_own;
    for (const auto& residual : fit.residuals) residual_own.push_back(residual_variance(residual, inputs));
    Vector mean = Vector::Zero(n), second = Vector::Zero(n);
    Matrix u, product;
    for (const auto& h : fit.hypotheses) {
      set_functions(t, h, modes, at, u);
      mean += u * h.mean_of;
      // u' moment u, by half of what is symmetric.
      Eigen::MatrixXd half = 2 * h.moment;
      half.diagonal() = h.moment.diagonal();
      product.noalias() = u * half.triangularView<Eigen::Upper>();
      second.array() += h.a * own[h.cloud].array() + h.b * residual_own[h.residual].array() + h.constant +
                        product.cwiseProduct(u).rowwise().sum().array();
    }
    const Vector variance = (second.array() - mean.array().square()).max(1e-10);
    return {mean.array() + fit.level, variance};
  }
};

// What is stated of a workload, where nothing was measured.
class StatedPredictor final : public Predictor {
 public:
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::shared_ptr<const SimPriorModel> model;
  std::array<std::optional<Cloud>, kNumTargets> clouds;

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = nothing_predicted(n);
    std::array<Vector, kNumTargets> means, variances;  // of logs
    for (int t = 0; t < kNumTargets; ++t) means[t] = variances[t] = Vector::Zero(n);
    for (Index from = 0; from < n; from += kChunk) {
      const auto count = std::min(kChunk, n - from);
      const auto some = modes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count));
      for (int t = 0; t < kNumTargets; ++t) {
        if (!clouds[t]) continue;
        const auto [mean, root] = at_modes(*clouds[t], model->stated->logs(t, *space, some, clouds[t]->which),
                                           Eigen::VectorXf::Zero(clouds[t]->weights.size()));
        means[t].segment(from, count) = mean;
        variances[t].segment(from, count) = root.colwise().squaredNorm().transpose().cast<double>().array() +
                                            std::pow(model->stated->curve_errors[t], 2) +
                                            std::exp(2 * model->targets[t]->log_noise);
      }
    }
    for (int t = 0; t < kNumTargets; ++t)
      if (clouds[t])
        set_log_normal(out, t, means[t], variances[t], std::exp(2 * model->targets[t]->log_noise));
    return out;
  }
};

std::unique_ptr<const Predictor> by_what_is_stated(const std::shared_ptr<const SimPriorModel>& model,
                                                   const Samples& support) {
  const std::string without = "sim_prior: to predict without measured modes: ";
  if (!model->stated)
    throw std::invalid_argument(without + "expected a checkpoint trained on at least " +
                                std::to_string(kFewestStated) +
                                " workloads of one board that state batch_size, layers, parameters or flops");
  if (const auto missing = model->stated->missing(*support.space, support.characteristics); !missing.empty())
    throw std::invalid_argument(without + missing);
  auto predictor = std::make_unique<StatedPredictor>();
  predictor->space = support.space;
  predictor->model = model;
  for (int t = 0; t < kNumTargets; ++t)
    if (model->targets[t])
      predictor->clouds[t] = model->stated->prior(t, *support.space, support.characteristics, true);
  return predictor;
}

}  // namespace

std::string SimPriorOptions::error() const {
  if (population < 1) return "SimPriorOptions: population must be >= 1, got 0";
  if (kept < 1 || kept_mixed < 1 || mixtures < 1)
    return "SimPriorOptions: kept, kept_mixed and mixtures must be >= 1, got 0";
  for (const double value : {effective, time_error, power_error, temper}) {
    if (!(value > 0) || !std::isfinite(value))
      return "SimPriorOptions: effective, time_error, power_error and temper must be > 0";
  }
  return "";
}

// ---- the model ----

std::string SimPriorModel::error() const {
  const auto d = static_cast<Index>(std::count(knobs.begin(), knobs.end(), ' ')) + 1;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto check = [&](const SimPriorFitted& fitted) {
      for (const auto* part :
           {&fitted.residual.log_lengths, &fitted.residual.log_amplitudes, &fitted.residual.log_widths})
        if (part->size() != d) return prefix + "residual does not fit knobs";
      if (!fitted.residual.flat().allFinite() || !std::isfinite(fitted.log_noise) ||
          !std::isfinite(fitted.log_scale))
        return prefix + "residual, log_noise and log_scale must be finite";
      if (fitted.residual.flat().cwiseAbs().maxCoeff() > kMostLog)
        return prefix + "residual must be at most " + std::to_string(kMostLog);
      return std::string();
    };
    if (auto bad = check(target); !bad.empty()) return bad;
    if (target.mixed) {
      if (auto bad = check(*target.mixed); !bad.empty()) return bad;
      if (target.mixed->residual.log_slopes.size() != target.residual.log_slopes.size())
        return prefix + "mixed/residual must be as long as residual";
    }
    if (!(target.mixed_share > 0 && target.mixed_share < 1))
      return prefix + "mixed/share must be above 0 and below 1";
    if (!target.training.allFinite() ||
        (target.training.size() > 0 && target.training.cwiseAbs().maxCoeff() > kMostLogTarget))
      return prefix + "training must be finite, and at most " + std::to_string(kMostLogTarget);
    if (target.training.size() != 0 && target.training.cols() != static_cast<Index>(modes.size()))
      return prefix + "training must have a value for each of modes";
  }
  for (const auto& mode : modes)
    if (static_cast<Index>(mode.size()) != d) return "modes do not fit knobs";
  if (!std::is_sorted(modes.begin(), modes.end())) return "modes must be ascending";
  if (stated) {
    if (static_cast<Index>(stated->highest.size()) != d) return "stated/highest does not fit knobs";
    if (const auto bad = stated->error(); !bad.empty()) return "stated/" + bad;
  }
  return "";
}

Checkpoint SimPriorModel::to_checkpoint() const {
  Checkpoint c;
  c.learner = "sim_prior";
  c.texts["trained_by"] = "sim_prior";
  c.texts["knobs"] = knobs;
  c.tensors["modes"] = settings_of(modes);
  if (stated) {
    c.tensors["stated/characteristics"] = stated->characteristics;
    c.numbers["stated/time_of"] = {stated->time_of.begin(), stated->time_of.end()};
    c.numbers["stated/highest"] = {stated->highest.begin(), stated->highest.end()};
    c.tensors["stated/lowest"] = stated->lowest.transpose();
  }
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto write = [&](const SimPriorFitted& fitted, const std::string& to) {
      c.tensors[to + "residual"] = fitted.residual.flat().transpose();
      c.numbers[to + "log_noise"] = {fitted.log_noise};
      c.numbers[to + "log_scale"] = {fitted.log_scale};
    };
    write(*targets[t], prefix);
    c.tensors[prefix + "training"] = targets[t]->training;
    if (stated && stated->curves[t].size() > 0) {
      c.tensors[prefix + "stated/curves"] = stated->curves[t];
      c.numbers[prefix + "stated/error"] = {stated->curve_errors[t]};
    }
    if (!targets[t]->mixed) continue;
    write(*targets[t]->mixed, prefix + "mixed/");
    c.numbers[prefix + "mixed/share"] = {targets[t]->mixed_share};
  }
  return c;
}

SimPriorModel SimPriorModel::from_checkpoint(const Checkpoint& c) {
  SimPriorModel model;
  model.knobs = c.text("knobs");
  const auto d = static_cast<Index>(std::count(model.knobs.begin(), model.knobs.end(), ' ')) + 1;
  model.modes = modes_of(c, "modes");
  if (c.tensors.contains("stated/characteristics")) {
    model.stated.emplace().characteristics = c.tensor("stated/characteristics");
    model.stated->time_of = c.integers("stated/time_of", 0, static_cast<int>(datasets::TimeOf::run));
    model.stated->highest = c.integers("stated/highest", 1, std::numeric_limits<int>::max());
    model.stated->lowest = c.vector("stated/lowest");
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    if (!c.tensors.contains(prefix + "residual")) continue;
    if (model.stated && c.tensors.contains(prefix + "stated/curves")) {
      model.stated->curves[t] = c.tensor(prefix + "stated/curves");
      model.stated->curve_errors[t] = c.real(prefix + "stated/error", 0, kMostTargetScale);
    }
    const auto read = [&](const std::string& from, SimPriorFitted& fitted) {
      const Vector flat = c.vector(from + "residual");
      if (flat.size() < 1 + 3 * d)
        throw std::invalid_argument("checkpoint of sim_prior: " + from + "residual must have at least " +
                                    std::to_string(1 + 3 * d) + " values, found " +
                                    std::to_string(flat.size()));
      fitted.residual = SimResidual::from_flat(flat, d);
      fitted.log_noise = c.real(from + "log_noise", -kMostLog, kMostLog);
      fitted.log_scale = c.real(from + "log_scale", -kMostLog, kMostLog);
    };
    SimPriorTarget target;
    read(prefix, target);
    if (c.tensors.contains(prefix + "mixed/residual")) {
      read(prefix + "mixed/", target.mixed.emplace());
      target.mixed_share = c.real(prefix + "mixed/share", 0, 1);
    }
    target.training = c.tensor(prefix + "training");
    model.targets[t] = std::move(target);
  }
  return model;
}

// ---- the learner ----

SimPrior::SimPrior(std::optional<SimPriorModel> model, SimPriorOptions options)
    : model_(model ? std::make_shared<const SimPriorModel>(std::move(*model)) : nullptr), options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (model_)
    if (const auto error = model_->error(); !error.empty())
      throw std::invalid_argument("sim_prior: " + error);
  population_ = std::make_shared<const SimPopulation>(options_.population, options_.population_seed);
  if (!model_) return;
  std::array<Matrix, kNumTargets> training;
  for (int t = 0; t < kNumTargets; ++t)
    if (model_->targets[t]) training[t] = model_->targets[t]->training;
  mixtures_ = std::make_shared<const Mixtures>(training, options_.mixtures, options_.population_seed);
  blends_ = std::make_shared<const Mixtures>(training, options_.blends, options_.population_seed,
                                             std::min(kUnweighted, population_->size()));
}

namespace {

struct TargetSupport {
  TargetRows rows;
  std::vector<Index> among;  // the modes of all that was simulated
  Vector logs;               // centred
  double level = 0;
};

// sum over support rows of (log y - log of the simulated)^2, both less their means, per workload. How alike workloads are
// says more than noise does; a row of more than usual noise counts for less.
Eigen::VectorXd misfits(const Rows& logs, const Vector& centred, const Vector& noise_factors) {
  const Vector weights = noise_factors.cwiseMax(1).cwiseInverse();
  const Eigen::VectorXf share = (weights / weights.sum()).cast<float>(),
                        root = weights.cwiseSqrt().cast<float>();
  const auto centre = static_cast<float>(centred.dot(weights) / weights.sum());
  const Rows deviations = ((logs.colwise() - logs * share).rowwise() -
                           (centred.cast<float>().array() - centre).matrix().transpose()) *
                          root.asDiagonal();
  return deviations.rowwise().squaredNorm().cast<double>();
}

constexpr float kLeastLogWeight =
    -30;  // beside 0: nothing, but the squares of what is less are denormal, and slow

// exp(-q / (2 tau)), with the tau that makes 1 / sum w^2 of the normalised weights `effective`, or as near as it gets.
Eigen::VectorXf retrieval_weights(const Vector& q, double effective) {
  const Eigen::VectorXf above = (q.array() - q.minCoeff()).cast<float>();
  const auto weights = [&](float tau) {
    const Eigen::VectorXf w = (above.array() / (-2 * tau)).max(kLeastLogWeight).exp();
    return Eigen::VectorXf(w / w.sum());
  };
  float low = 1e-6F, high = 1e6F;
  for (int i = 0; i < 30; ++i) {
    const float middle = std::sqrt(low * high);
    (1 / weights(middle).squaredNorm() < effective ? low : high) = middle;
  }
  return weights(std::sqrt(low * high));
}

}  // namespace

void SimPrior::check(const Samples& support) const {
  check_support("sim_prior", support, model_ ? 0 : 1);
  if (model_) check_roles("sim_prior", model_->knobs, *support.space);
}

bool SimPrior::trained_in(const hw::PowerModeSpace& space) const {
  return model_ && !model_->modes.empty() && covers(model_->modes, space);
}

SimulatedSupport SimPrior::simulate(const Samples& support) const {
  SimulatedSupport simulated{support.modes, {}};
  std::sort(simulated.modes.begin(), simulated.modes.end());
  if (!simulated.modes.empty())
    simulated.logs = population_->simulate(*support.space, simulated.modes, first(population_->size()));
  return simulated;
}

std::unique_ptr<const Predictor> SimPrior::adapt(const Samples& given) const {
  check(given);
  const auto support = spread_support(given);
  return adapt(support, simulate(support));
}

std::unique_ptr<const Predictor> SimPrior::adapt(const Samples& given,
                                                 const SimulatedSupport& simulated) const {
  check(given);
  if (given.modes.empty()) return by_what_is_stated(model_, given);
  const auto support = spread_support(given);
  const auto& space = *support.space;
  auto predictor = std::make_unique<SimPriorPredictor>(support.space);
  predictor->model = model_;
  predictor->population = population_;
  predictor->physics = Physics().adapt(support);
  const bool same_grid = trained_in(space);
  if (same_grid) {
    predictor->curve_modes = model_->modes;
    predictor->mixtures = mixtures_;
    predictor->blends = blends_;
  }

  std::array<std::optional<TargetSupport>, kNumTargets> targets;
  for (int t = 0; t < kNumTargets; ++t) {
    TargetSupport known{rows_of(support, static_cast<tasks::Target>(t)), {}, {}, 0};
    if (known.rows.modes.empty()) continue;
    known.among = positions(known.rows.modes, simulated.modes);
    known.logs = known.rows.values.array().log();
    known.level = known.logs.mean();
    known.logs.array() -= known.level;
    targets[t] = std::move(known);
  }

  // Retrieval, with time and power together; logs on the support of all there are, and of those in the clouds.
  std::array<std::array<Rows, kNumClouds>, kNumTargets> cloud_logs;
  const auto retrieve = [&](const SimPopulation::Logs& logs, std::size_t count, std::size_t kept,
                            std::size_t retrieved, std::optional<std::size_t> all) {
    std::array<Rows, kNumTargets> of_target;
    Vector q = Vector::Zero(static_cast<Index>(count));
    for (int t = 0; t < kNumTargets; ++t) {
      const auto& of_all = t == tasks::kTimeMs ? logs.time : logs.power;
      if (!targets[t] || of_all.size() == 0) continue;
      of_target[t] = of_all(Eigen::seqN(0, static_cast<Index>(count)), targets[t]->among);
      const double error = t == tasks::kTimeMs ? options_.time_error : options_.power_error;
      q += misfits(of_target[t], targets[t]->logs, targets[t]->rows.noise_factors) / (error * error);
    }
    const auto weights = retrieval_weights(q, options_.effective);
    auto ranked = first(count);
    std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
      return q[static_cast<Index>(a)] < q[static_cast<Index>(b)];
    });
    ranked.resize(std::min(count, kept));
    const auto add_cloud = [&](std::size_t name, std::vector<std::size_t> members, Eigen::VectorXf shares) {
      for (int t = 0; t < kNumTargets; ++t)
        if (of_target[t].size() > 0) cloud_logs[t][name] = of_target[t](members, Eigen::all);
      predictor->clouds[name] = {std::move(members), shares / shares.sum()};
    };
    Eigen::VectorXf shares = weights(ranked);
    add_cloud(retrieved, std::move(ranked), std::move(shares));
    if (!all) return;
    auto some = first(std::min(count, kUnweighted));
    shares.setOnes(static_cast<Index>(some.size()));
    add_cloud(*all, std::move(some), std::move(shares));
  };
  retrieve(simulated.logs, population_->size(), options_.kept, kRetrieved, kAll);
  if (predictor->mixtures && predictor->mixtures->size() > 0) {
    const auto count = predictor->mixtures->size();
    retrieve(predictor->mixtures->simulate(predictor->among_curve_modes(simulated.modes), first(count)),
             count, options_.kept_mixed, kRetrievedMixtures, kAllMixtures);
  }
  if (predictor->blends && predictor->blends->size() > 0) {
    const auto all = static_cast<Index>(predictor->clouds[kAll].which.size());
    // What was simulated is in units of its own: its level on the support is taken off, and power is given that of
    // the training workloads there.
    for (int t = 0; t < kNumTargets; ++t) {
      auto& levels = predictor->levels_in_blends[t];
      levels =
          targets[t] ? Eigen::VectorXf(cloud_logs[t][kAll].rowwise().mean()) : Eigen::VectorXf::Zero(all);
      const auto& trained = model_->targets[t];
      if (t == tasks::kPowerW && targets[t] && trained && trained->training.size() > 0)
        levels.array() -= static_cast<float>(
            trained->training(Eigen::all, predictor->among_curve_modes(targets[t]->rows.modes)).mean());
    }
    const auto count = predictor->blends->size();
    retrieve(predictor->blend(simulated.modes, first(count),
                              {simulated.logs.time.topRows(all), simulated.logs.power.topRows(all)}),
             count, options_.kept_mixed, kRetrievedBlends, std::nullopt);
  }

  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& known = *targets[t];
    const auto k = known.logs.size();
    const auto* trained = model_ && model_->targets[t] ? &*model_->targets[t] : nullptr;
    Fit fit;
    fit.level = known.level;
    fit.modes = known.rows.modes;
    fit.inputs = predictor->encoder(fit.modes);

    struct Prior {
      std::size_t cloud;
      Mean mean;
      double scale, log_prior;
      std::size_t group = 0;
    };
    std::vector<Prior> priors = {{kRetrieved, Mean::cloud, 1, 0}};
    // Residuals, by position, and scales that some priors are averaged over.
    struct Group {
      std::size_t from, to;
      std::vector<Scale> scales;
    };
    std::vector<Group> groups;
    const auto add_group = [&](std::vector<SimResidual> of, std::vector<Scale> scales) {
      const auto from = fit.residuals.size();
      fit.residuals.insert(fit.residuals.end(), of.begin(), of.end());
      groups.push_back({from, fit.residuals.size(), std::move(scales)});
      return groups.size() - 1;
    };
    auto family = residual_family(fit.inputs.knobs.cols(), fit.inputs.psi.cols());
    if (trained != nullptr || !options_.family || known.rows.modes.size() < kRowsForFamily) family.resize(1);
    const double scale = trained != nullptr ? std::exp(trained->log_scale) : 1;
    if (trained != nullptr) {
      if (trained->residual.log_slopes.size() != fit.inputs.psi.cols())
        throw std::invalid_argument("sim_prior: residual of " + std::string(kTargetNames[t]) + " must have " +
                                    std::to_string(fit.inputs.psi.cols()) + " slopes, found " +
                                    std::to_string(trained->residual.log_slopes.size()));
      add_group({trained->residual}, trained_scales(t, trained->log_noise));
      priors.push_back({kAll, Mean::cloud, scale, 0});
      if (same_grid && trained->training.size() > 0) {
        const auto& logs = trained->training;
        predictor->curves[t] = (logs.colwise() - logs.rowwise().mean().eval()).colwise().mean().transpose();
        priors.push_back({kAll, Mean::training, scale, 0});
      }
      if (t == tasks::kTimeMs)
        priors.push_back({kAll, Mean::physics, 0.1 * scale, -1});
      else  // a workload that waits for something else takes about the same power in every mode
        priors.push_back({kAll, Mean::flat, 0.01 * scale, 0});
      if (trained->mixed && cloud_logs[t][kAllMixtures].size() > 0) {
        const auto mixed =
            add_group({trained->mixed->residual}, trained_scales(t, trained->mixed->log_noise));
        // The odds are not tempered.
        const double odds = std::log(trained->mixed_share / (1 - trained->mixed_share)) / options_.temper;
        priors.push_back({kRetrievedMixtures, Mean::cloud, 1, odds, mixed});
        priors.push_back({kAllMixtures, Mean::cloud, std::exp(trained->mixed->log_scale), odds, mixed});
        if (cloud_logs[t][kRetrievedBlends].size() > 0)
          priors.push_back({kRetrievedBlends, Mean::cloud, 1, 0, mixed});
      }
      if (model_->stated)
        if (auto stated = model_->stated->prior(t, space, support.characteristics, false)) {
          cloud_logs[t][kStated] = model_->stated->logs(t, space, fit.modes, stated->which);
          fit.stated = std::move(*stated);
          priors.push_back({kStated, Mean::cloud, 1, 0});
        }
      if (t == tasks::kTimeMs)  // simulated power is less like measured power
        priors.push_back({kRetrieved, Mean::cloud, 1, 0, add_group(std::move(family), untrained_scales())});
    } else {
      add_group(family, untrained_scales());
      if (options_.fitted && k >= kRowsForFit) {
        const auto& logs = cloud_logs[t][kRetrieved];
        const auto cloud = at_modes(predictor->clouds[kRetrieved], logs, logs.rowwise().mean());
        SimPriorRows rows{fit.inputs, (cloud.root.transpose() * cloud.root).cast<double>(),
                          known.logs - cloud.mean, known.rows.noise_factors};
        rows.left.array() -= rows.left.mean();
        const auto fitted = fit_to_support(rows);
        priors.push_back({kRetrieved, Mean::cloud, 1, fitted.log_prior,
                          add_group({fitted.residual}, scales_about(fitted.log_noise, {1}, {0.3, 1, 3}))});
      }
      family.resize(1);
      const auto smooth = add_group(std::move(family), untrained_scales());
      if (t == tasks::kTimeMs)
        priors.push_back({kAll, Mean::physics, 0.1, -1, smooth});
      else  // as with training
        priors.push_back({kAll, Mean::flat, 0.01, 0, smooth});
    }

    std::array<CloudLogs, kNumClouds> clouds;
    std::array<Matrix, kNumClouds> cloud_covariance;
    for (std::size_t c = 0; c < kNumClouds; ++c) {
      if (cloud_logs[t][c].size() == 0) continue;
      fit.levels[c] = cloud_logs[t][c].rowwise().mean();
      clouds[c] = at_modes(c == kStated ? fit.stated : predictor->clouds[c], cloud_logs[t][c], fit.levels[c]);
      fit.roots[c] = clouds[c].root;
      const auto& root = fit.roots[c];
      if (has_short_roots(fit, c))
        cloud_covariance[c] = root.transpose().cast<double>() * root.cast<double>();
      else
        cloud_covariance[c] = (root.transpose() * root).cast<double>();
    }
    std::vector<Matrix> residuals;
    for (const auto& residual : fit.residuals)
      residuals.push_back(sim_covariance(residual, fit.inputs, fit.inputs));

    struct Member {
      std::size_t prior, residual;
      Scale scale;
      double log_evidence;
    };
    std::vector<Member> members;
    std::vector<Vector> means;
    std::vector<double> offsets;
    for (const auto& prior : priors) {
      Vector mean = predictor->mean_function(t, prior.mean, fit.modes, clouds[prior.cloud].mean);
      offsets.push_back(mean.mean());
      mean.array() -= offsets.back();
      means.push_back(std::move(mean));
    }
    const auto factorise = [&](const Prior& prior, const Member& m) {
      Eigen::MatrixXd sum =
          prior.scale * m.scale.a * cloud_covariance[prior.cloud] + m.scale.b * residuals[m.residual];
      sum.array() += kSimLevelVariance;
      sum.diagonal() += m.scale.noise * known.rows.noise_factors;
      return Eigen::LLT<Eigen::MatrixXd>(sum);
    };
    // Priors with the same covariance one after the other, which is factorised once for all of them.
    const auto covariance_of = [&](std::size_t p) {
      return std::tuple(priors[p].cloud, priors[p].scale, priors[p].group);
    };
    for (std::size_t first = 0, last = 0; first < priors.size(); first = last) {
      while (last < priors.size() && covariance_of(last) == covariance_of(first)) ++last;
      Eigen::MatrixXd left(k, static_cast<Index>(last - first));
      for (std::size_t p = first; p < last; ++p)
        left.col(static_cast<Index>(p - first)) = known.logs - means[p];
      const auto& group = groups[priors[first].group];
      for (std::size_t r = group.from; r < group.to; ++r) {
        for (const auto& s : group.scales) {
          Member m{first, r, s, 0};
          const auto llt = factorise(priors[first], m);
          if (llt.info() != Eigen::Success) continue;
          const double log_root = llt.matrixLLT().diagonal().array().log().sum();
          const Vector squares = llt.matrixL().solve(left).colwise().squaredNorm().transpose();
          for (; m.prior < last; ++m.prior) {
            m.log_evidence = -0.5 * squares[static_cast<Index>(m.prior - first)] - log_root + s.log_prior +
                             priors[m.prior].log_prior;
            members.push_back(m);
          }
        }
      }
    }
    if (members.empty())
      throw std::runtime_error("sim_prior: no covariance of " + std::to_string(k) +
                               " support rows is positive definite");

    // Tempered weights; hypotheses without weight are dropped.
    double best = -std::numeric_limits<double>::infinity();
    for (const auto& m : members) best = std::max(best, m.log_evidence);
    const auto hypothesis_of = [&](const Member& m) { return m.prior * residuals.size() + m.residual; };
    std::vector<double> member_weights, shares(priors.size() * residuals.size(), 0.0);
    double sum = 0;
    for (const auto& m : members) {
      member_weights.push_back(std::exp(options_.temper * (m.log_evidence - best)));
      sum += member_weights.back();
      shares[hypothesis_of(m)] += member_weights.back();
    }
    double kept = 0;
    const double smallest = kSmallestMember * sum;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const bool dropped =
          shares[hypothesis_of(members[i])] < kSmallestShare * sum || member_weights[i] < smallest;
      if (dropped) member_weights[i] = 0;
      kept += member_weights[i];
    }
    std::vector<std::optional<Hypothesis>> found(std::size_t{kNumClouds} * residuals.size());
    Vector error = Vector::Zero(k), second = Vector::Zero(k);  // of rows left out
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto& m = members[i];
      if (member_weights[i] == 0) continue;
      const auto& prior = priors[m.prior];
      const double w = member_weights[i] / kept;
      auto& h = found[prior.cloud * residuals.size() + m.residual];
      if (!h) {
        h = Hypothesis{.cloud = prior.cloud,
                       .residual = m.residual,
                       .mean_of = Vector::Zero(1 + 2 * k),
                       .moment = Eigen::MatrixXd::Zero(1 + 2 * k, 1 + 2 * k)};
      }
      const auto mean =
          static_cast<Index>(std::find_if(h->means.begin(), h->means.end(),
                                          [&](const auto& m_q) { return m_q.kind == prior.mean; }) -
                             h->means.begin());
      if (mean == static_cast<Index>(h->means.size())) {
        h->means.push_back({prior.mean, offsets[m.prior]});
        const auto size = h->mean_of.size() + 1;
        h->mean_of.conservativeResizeLike(Vector::Zero(size));
        h->moment.conservativeResizeLike(Eigen::MatrixXd::Zero(size, size));
      }
      const auto llt = factorise(prior, m);
      const double a = prior.scale * m.scale.a, b = m.scale.b;
      const Vector alpha = llt.solve(known.logs - means[m.prior]);
      Vector coefficients = Vector::Zero(h->mean_of.size());
      coefficients.head(1 + 2 * k) << kSimLevelVariance * alpha.sum(), a * alpha, b * alpha;
      coefficients[1 + 2 * k + mean] = 1;
      // K^-1 between what [1, C, R] is to the covariance with the support: [level 1, a I, b I].
      const Eigen::MatrixXd inverse = inverse_of_squared(llt.matrixLLT());
      const Vector sums = kSimLevelVariance * inverse.rowwise().sum();
      Eigen::MatrixXd moment = coefficients * coefficients.transpose();
      moment(0, 0) -= kSimLevelVariance * sums.sum();
      for (const auto& [at, factor] : {std::pair{Index{1}, a}, std::pair{1 + k, b}}) {
        moment.block(at, 0, k, 1) -= factor * sums;
        moment.block(0, at, 1, k) -= factor * sums.transpose();
        moment.block(at, 1, k, k) -= factor * a * inverse;
        moment.block(at, 1 + k, k, k) -= factor * b * inverse;
      }
      h->a += w * a;
      h->b += w * b;
      h->constant += w * (kSimLevelVariance + m.scale.noise);
      fit.noise_variance += w * m.scale.noise;
      h->mean_of += w * coefficients;
      h->moment += w * moment;
      const Vector precision = inverse.diagonal();
      const Vector off = alpha.cwiseQuotient(precision);
      error += w * off;
      second += w * (precision.cwiseInverse() + off.cwiseAbs2());
    }
    for (auto& h : found) {
      if (!h) continue;
      if (has_short_roots(fit, h->cloud)) use_roots(*h, fit.roots[h->cloud].cast<double>());
      fit.hypotheses.push_back(std::move(*h));
    }
    fit.left_out = {error, second - error.cwiseAbs2()};
    predictor->fits[t] = std::move(fit);
  }
  return predictor;
}

}  // namespace fewwatt::learners
