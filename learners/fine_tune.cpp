#include "learners/fine_tune.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/checkpoint_fields.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;

constexpr const char* kOptimizerNames[] = {"adam", "sgd"};
constexpr Eigen::Index kChunk =
    256;  // modes predicted at once, so that intermediate results stay in the cache

class FineTuned final : public Predictor {
 public:
  struct Net {
    Mlp<float> mlp;
    double mean, scale;  // log y = mean + scale * net
  };

  FineTuned(std::shared_ptr<const hw::PowerModeSpace> space, FeatureSet features, Scaler scaler)
      : space_(std::move(space)), features_(features), scaler_(std::move(scaler)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Eigen::Index>(modes.size());
    Matrix logs = Matrix::Constant(n, kNumTargets, std::nan(""));
    for (Eigen::Index from = 0; from < n; from += kChunk) {
      const auto count = std::min(kChunk, n - from);
      const auto some = modes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count));
      const Mlp<float>::Matrix x = scaler_(encode(features_, *space_, some)).cast<float>();
      for (int t = 0; t < kNumTargets; ++t) {
        if (!nets[t]) continue;
        logs.col(t).segment(from, count) =
            nets[t]->mean + nets[t]->scale * nets[t]->mlp.forward(x).cast<double>().array();
      }
    }
    return {logs, {}, {}};
  }

  std::array<std::optional<Net>, kNumTargets> nets;

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  FeatureSet features_;
  Scaler scaler_;
};

}  // namespace

std::string_view to_string(Optimizer optimizer) {
  return kOptimizerNames[static_cast<int>(optimizer)];
}

Optimizer parse_optimizer(std::string_view name) {
  if (name == "adam") return Optimizer::adam;
  if (name == "sgd") return Optimizer::sgd;
  throw std::invalid_argument("optimizer must be adam or sgd, got " + std::string(name));
}

std::string FineTuneOptions::error() const {
  if (steps < 0) return "FineTuneOptions: steps must be >= 0, got " + std::to_string(steps);
  if (steps > kMostFineTuneSteps)
    return "FineTuneOptions: steps must be <= " + std::to_string(kMostFineTuneSteps) + ", got " +
           std::to_string(steps);
  if (!(rate > 0) || !std::isfinite(rate))
    return "FineTuneOptions: rate must be > 0, got " + std::to_string(rate);
  if (!(stop_rms >= 0) || !std::isfinite(stop_rms))
    return "FineTuneOptions: stop_rms must be >= 0, got " + std::to_string(stop_rms);
  return "";
}

template <class T>
Mlp<T> fine_tune(const MlpShape& shape, const Vector& start, const FineTuneOptions& options,
                 double target_scale, const Matrix& features, const Matrix& targets, const Matrix& rates) {
  Mlp<T> net(shape, start.cast<T>());
  const typename Mlp<T>::Matrix x = features.cast<T>();
  const typename Mlp<T>::Matrix y = targets.cast<T>();
  typename Mlp<T>::Flat gradient;
  Adam<T> adam(start.size(), static_cast<T>(options.rate));
  for (int step = 0; step < options.steps; ++step) {
    const T loss = net.loss(x, y, gradient);
    if (std::sqrt(static_cast<double>(loss)) * target_scale < options.stop_rms) break;
    if (options.optimizer == Optimizer::adam) {
      adam.step(net.parameters(), gradient);
    } else if (rates.size() == 0) {
      net.parameters() -= static_cast<T>(options.rate) * gradient;
    } else {
      const auto row = rates.row(std::min<Eigen::Index>(step, rates.rows() - 1));
      net.parameters().array() -=
          static_cast<T>(options.rate) * row.transpose().cast<T>().array() * gradient.array();
    }
  }
  return net;
}

template Mlp<float> fine_tune(const MlpShape&, const Vector&, const FineTuneOptions&, double, const Matrix&,
                              const Matrix&, const Matrix&);
template Mlp<double> fine_tune(const MlpShape&, const Vector&, const FineTuneOptions&, double, const Matrix&,
                               const Matrix&, const Matrix&);

void FineTuneModel::visit(CheckpointFields& fields) {
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  fields.choice("features", features, parse_feature_set);
  fields.net(scaler, shape, 1);
  fields.targets(targets, "weights", [](CheckpointFields& of, Initializer& target) {
    of.row("weights", target.weights);
    of.optional_matrix("rates", target.rates);
    of.real("target_scale", target.target_scale, kLeastFactor, kMostTargetScale);
    of.choice("fine_tune/optimizer", target.fine_tune.optimizer, parse_optimizer);
    of.integer("fine_tune/steps", target.fine_tune.steps, 0, kMostFineTuneSteps);
    of.real("fine_tune/rate", target.fine_tune.rate, kLeastFactor, kMostRate);
    of.real("fine_tune/stop_rms", target.fine_tune.stop_rms, 0, kMostFactor);
  });
}

Checkpoint FineTuneModel::to_checkpoint() const {
  return write_fields("fine_tune", *this);
}

FineTuneModel FineTuneModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<FineTuneModel>(c);
}

FineTune::FineTune(FineTuneModel model) : model_(std::move(model)) {
  if (model_.scaler.stddev.size() != model_.scaler.mean.size()) {
    throw std::invalid_argument("fine_tune: feature_mean and feature_stddev differ in size");
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const auto& target = model_.targets[t];
    if (!target) continue;
    const std::string prefix = std::string("fine_tune: ") + kTargetNames[t];
    Mlp<double>(model_.shape, target->weights);  // throws when the sizes do not fit
    if (!target->weights.allFinite()) throw std::invalid_argument(prefix + "/weights must be finite");
    if (target->rates.size() > 0 && target->rates.cols() != target->weights.size()) {
      throw std::invalid_argument(prefix + "/rates must have " + std::to_string(target->weights.size()) +
                                  " columns, has " + std::to_string(target->rates.cols()));
    }
    if (!target->rates.allFinite()) throw std::invalid_argument(prefix + "/rates must be finite");
    if (const auto error = target->fine_tune.error(); !error.empty()) throw std::invalid_argument(error);
    if (target->fine_tune.steps * static_cast<double>(target->weights.size()) > kMostFineTuneWork)
      throw std::invalid_argument(prefix + "/fine_tune/steps times the net's parameters must be at most " +
                                  std::to_string(static_cast<long long>(kMostFineTuneWork)) + ", found " +
                                  std::to_string(target->fine_tune.steps) + " times " +
                                  std::to_string(target->weights.size()));
    if (!(target->target_scale > 0) || !std::isfinite(target->target_scale))
      throw std::invalid_argument(prefix + "/target_scale must be > 0 and finite");
  }
}

std::unique_ptr<const Predictor> FineTune::adapt(const Samples& support) const {
  check_support("fine_tune", support, 1);
  check_roles("fine_tune", model_.knobs, *support.space);
  auto predictor = std::make_unique<FineTuned>(support.space, model_.features, model_.scaler);
  for (int t = 0; t < kNumTargets; ++t) {
    const auto& start = model_.targets[t];
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (!start || rows.modes.empty()) continue;
    const Vector logs = rows.values.array().log();
    const Matrix y = (logs.array() - logs.mean()) / start->target_scale;
    const Matrix x = model_.scaler(encode(model_.features, *support.space, rows.modes));
    predictor->nets[t] = FineTuned::Net{fine_tune<float>(model_.shape, start->weights, start->fine_tune,
                                                         start->target_scale, x, y, start->rates),
                                        logs.mean(), start->target_scale};
  }
  return predictor;
}

}  // namespace fewwatt::learners
