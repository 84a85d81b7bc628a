#include "learners/sim_prior/predictor.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using Index = Eigen::Index;

constexpr Index kChunk = 1024;  // modes predicted at once

Vector residual_variance(const SimResidual& r, const SimInputs& a) {
  return (a.psi.array().square().matrix() * (2 * r.log_slopes.array()).exp().matrix()).array() +
         knob_variance(r);
}

// Of clouds and of residuals, what all components together take of them.
struct Shares {
  std::array<double, kNumClouds> clouds{};
  std::vector<double> residuals;
};

Shares shares_of(const TargetFit& fit) {
  Shares shares;
  shares.residuals.resize(fit.residuals.size());
  for (const auto& one : fit.components) {
    shares.clouds[one.cloud] += one.a;
    shares.residuals[one.residual] += one.b;
  }
  return shares;
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

class SimPriorPredictor final : public Predictor {
 public:
  SimPriorPredictor(Retrieved retrieved, MeanFunctions means,
                    std::array<std::optional<TargetFit>, kNumTargets> fits)
      : retrieved_(std::move(retrieved)),
        encoder_(*retrieved_.space),
        means_(std::move(means)),
        fits_(std::move(fits)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return predict_targets(modes, {true, true});
  }
  Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted& wanted) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = Prediction::unknown(n);
    std::array<Vector, kNumTargets> means, variances;  // of logs
    for (int t = 0; t < kNumTargets; ++t) means[t] = variances[t] = Vector::Zero(n);
    const auto order = alike_together(*retrieved_.space, modes);
    for (Index from = 0; from < n; from += kChunk) {
      const auto count = std::min(kChunk, n - from);
      const std::span which(order.data() + from, static_cast<std::size_t>(count));
      std::vector<hw::PowerMode> some;
      for (const auto i : which) some.push_back(modes[static_cast<std::size_t>(i)]);
      const auto logs = clouds_at(some, wanted);
      const auto inputs = encoder_(some);
      for (int t = 0; t < kNumTargets; ++t) {
        if (!fits_[t] || !wanted[t]) continue;
        const auto [mean, variance] = predict_logs(t, some, inputs, logs);
        means[t](which) = mean;
        variances[t](which) = variance;
      }
    }
    for (int t = 0; t < kNumTargets; ++t)
      if (fits_[t] && wanted[t]) out.set(t, means[t], variances[t], fits_[t]->noise_variance);
    return out;
  }

  LeftOut left_out(tasks::Target target) const override {
    return fits_[target] ? fits_[target]->left_out : LeftOut{};
  }

  LogCovariance covariance(tasks::Target t, std::span<const hw::PowerMode> modes) const override {
    if (!fits_[t]) return {};
    const auto& fit = *fits_[t];
    const auto n = static_cast<Index>(modes.size());
    const auto inputs = encoder_(modes);
    Wanted wanted{};
    wanted[t] = true;
    const auto at = fit_at(t, modes, inputs, clouds_at(modes, wanted));
    const auto shares = shares_of(fit);
    Matrix second = Matrix::Zero(n, n);
    Vector mean = Vector::Zero(n);
    Matrix u;
    for (const auto& one : fit.components) {
      set_functions(t, one, modes, at, u);
      mean += u * one.mean_of;
      second.noalias() += u * one.moment * u.transpose();
      second.array() += one.constant;
    }
    for (std::size_t c = 0; c < kNumClouds; ++c)
      if (shares.clouds[c] > 0)
        second += shares.clouds[c] * (at.clouds[c].root.transpose() * at.clouds[c].root).cast<double>();
    for (std::size_t r = 0; r < fit.residuals.size(); ++r)
      if (shares.residuals[r] > 0)
        second += shares.residuals[r] * sim_covariance(fit.residuals[r], inputs, inputs);
    second -= mean * mean.transpose();
    second.array() -= fit.noise_variance;  // which is part of the constants
    // Sums of large numbers that cancel leave it symmetric but for the last digits.
    return {0.5 * (second + second.transpose()), fit.noise_variance};
  }

 private:
  using AllLogs = std::array<SimPopulation::Logs, kNumClouds>;

  // The clouds that fits of targets use, at modes.
  AllLogs clouds_at(std::span<const hw::PowerMode> modes, const Wanted& targets) const {
    std::array<bool, kNumClouds> used{};
    for (std::size_t c = 0; c < kNumClouds; ++c)
      for (int t = 0; t < kNumTargets; ++t)
        used[c] = used[c] || (targets[t] && fits_[t] && fits_[t]->uses(c));
    return retrieved_.at(modes, used);
  }

  // A target's fit at modes: what its components share.
  struct At {
    std::array<CloudLogs, kNumClouds> clouds;
    std::array<Matrix, kNumClouds> cross;  // [n,c], see Component
    std::vector<Matrix> residual_cross;    // [n,k]
  };
  At fit_at(int t, std::span<const hw::PowerMode> modes, const SimInputs& inputs, const AllLogs& logs) const {
    const auto& fit = *fits_[t];
    At at;
    for (std::size_t c = 0; c < kNumClouds; ++c) {
      if (!fit.uses(c)) continue;
      if (c == kStated)
        at.clouds[c] = at_modes(
            fit.stated, retrieved_.sources.model->stated->logs(t, *retrieved_.space, modes, fit.stated.which),
            fit.levels[c]);
      else
        at.clouds[c] =
            at_modes(retrieved_.clouds[c], t == tasks::kTimeMs ? logs[c].time : logs[c].power, fit.levels[c]);
      const auto& root = at.clouds[c].root;
      if (fit.has_short_roots(c))
        at.cross[c] = root.transpose().cast<double>();
      else
        at.cross[c] = (root.transpose() * fit.roots[c]).cast<double>();
    }
    at.residual_cross.resize(fit.residuals.size());
    for (const auto& one : fit.components)
      if (auto& cross = at.residual_cross[one.residual]; cross.size() == 0)
        cross = sim_covariance(fit.residuals[one.residual], inputs, fit.inputs);
    return at;
  }
  // A component's u(x) of each mode: [n, 2 + c + k].
  void set_functions(int t, const Component& one, std::span<const hw::PowerMode> modes, const At& at,
                     Matrix& u) const {
    u.resize(static_cast<Index>(modes.size()), one.mean_of.size());
    const Vector mean = means_(t, one.mean, modes, at.clouds[one.cloud].mean);
    u << Vector::Ones(u.rows()), at.cross[one.cloud], at.residual_cross[one.residual],
        (mean.array() - one.offset).matrix();
  }

  struct LogPrediction {
    Vector mean, variance;
  };
  LogPrediction predict_logs(int t, std::span<const hw::PowerMode> modes, const SimInputs& inputs,
                             const AllLogs& logs) const {
    const auto& fit = *fits_[t];
    const auto n = static_cast<Index>(modes.size());
    const auto at = fit_at(t, modes, inputs, logs);
    Vector mean = Vector::Zero(n), second = Vector::Zero(n);
    Matrix u, product;
    for (const auto& one : fit.components) {
      set_functions(t, one, modes, at, u);
      mean += u * one.mean_of;
      // u' moment u, by half of what is symmetric.
      Eigen::MatrixXd half = 2 * one.moment;
      half.diagonal() = one.moment.diagonal();
      product.noalias() = u * half.triangularView<Eigen::Upper>();
      second.array() += one.constant + product.cwiseProduct(u).rowwise().sum().array();
    }
    const auto shares = shares_of(fit);
    for (std::size_t c = 0; c < kNumClouds; ++c)
      if (shares.clouds[c] > 0)
        second += shares.clouds[c] * at.clouds[c].root.colwise().squaredNorm().transpose().cast<double>();
    for (std::size_t r = 0; r < fit.residuals.size(); ++r)
      if (shares.residuals[r] > 0)
        second += shares.residuals[r] * residual_variance(fit.residuals[r], inputs);
    const Vector variance = (second.array() - mean.array().square()).max(1e-10);
    return {mean.array() + fit.level, variance};
  }

  Retrieved retrieved_;
  SimEncoder encoder_;
  MeanFunctions means_;
  std::array<std::optional<TargetFit>, kNumTargets> fits_;
};

// What is stated of a workload, where nothing was measured.
class StatedPredictor final : public Predictor {
 public:
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::shared_ptr<const SimPriorModel> model;
  std::array<std::optional<Cloud>, kNumTargets> clouds;

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = Prediction::unknown(n);
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
      if (clouds[t]) out.set(t, means[t], variances[t], std::exp(2 * model->targets[t]->log_noise));
    return out;
  }
};

}  // namespace

std::unique_ptr<const Predictor> predictor_of(Retrieved retrieved, MeanFunctions means,
                                              std::array<std::optional<TargetFit>, kNumTargets> fits) {
  return std::make_unique<SimPriorPredictor>(std::move(retrieved), std::move(means), std::move(fits));
}

std::unique_ptr<const Predictor> predictor_by_statement(std::shared_ptr<const SimPriorModel> model,
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

}  // namespace fewwatt::learners
