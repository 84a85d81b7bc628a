#include "meta/maml.hpp"

#include <algorithm>
#include <cmath>

namespace fewwatt::meta {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;

constexpr const char* kStateName = "maml-state";

// [rows, layers] -> [rows, parameters]: each layer's value at all its parameters.
Matrix spread(const learners::MlpShape& shape, const Matrix& per_layer) {
  Matrix all(per_layer.rows(), static_cast<Eigen::Index>(shape.num_parameters()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const auto from = static_cast<Eigen::Index>(shape.offset(l));
    const auto to = l + 1 < shape.num_layers() ? static_cast<Eigen::Index>(shape.offset(l + 1)) : all.cols();
    for (Eigen::Index row = 0; row < all.rows(); ++row)
      all.row(row).segment(from, to - from).setConstant(per_layer(row, static_cast<Eigen::Index>(l)));
  }
  return all;
}

// Its transpose: sums over each layer's parameters.
Matrix gather(const learners::MlpShape& shape, const Matrix& all) {
  Matrix per_layer(all.rows(), static_cast<Eigen::Index>(shape.num_layers()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const auto from = static_cast<Eigen::Index>(shape.offset(l));
    const auto to = l + 1 < shape.num_layers() ? static_cast<Eigen::Index>(shape.offset(l + 1)) : all.cols();
    per_layer.col(static_cast<Eigen::Index>(l)) = all.middleCols(from, to - from).rowwise().sum();
  }
  return per_layer;
}

// The inverse of spread().
Matrix first_of_layers(const learners::MlpShape& shape, const Matrix& all) {
  Matrix per_layer(all.rows(), static_cast<Eigen::Index>(shape.num_layers()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l)
    per_layer.col(static_cast<Eigen::Index>(l)) = all.col(static_cast<Eigen::Index>(shape.offset(l)));
  return per_layer;
}

}  // namespace

std::string MamlOptions::error() const {
  if (auto bad = net.error(); !bad.empty()) return bad;
  if (auto bad = inner.error(); !bad.empty()) return bad;
  if (!(rate_clamp >= 1)) return "MamlOptions: rate_clamp must be >= 1, got " + std::to_string(rate_clamp);
  if (multi_step_until < 0)
    return "MamlOptions: multi_step_until must be >= 0, got " + std::to_string(multi_step_until);
  if (!(outer_rate > 0) || !std::isfinite(outer_rate))
    return "MamlOptions: outer_rate must be > 0, got " + std::to_string(outer_rate);
  if (max_steps < 0) return "MamlOptions: max_steps must be >= 0, got " + std::to_string(max_steps);
  if (!(clip_norm > 0)) return "MamlOptions: clip_norm must be > 0, got " + std::to_string(clip_norm);
  return "";
}

Maml::Maml(std::string name, std::span<const datasets::Profile> training, MamlOptions options,
           std::uint64_t seed, const learners::Checkpoint* init)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<learners::FineTuneModel> start;
  if (init != nullptr) start = learners::FineTuneModel::from_checkpoint(*init);
  model_ = new_model(name, training, options_.net, seed, start ? &*start : nullptr);
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const auto parameters = model_.targets[t]->weights.size();
    Matrix rates;
    if (options_.learned_rates == LearnedRates::per_parameter) {
      rates = Matrix::Constant(1, parameters, options_.inner.rate);
    } else if (options_.learned_rates == LearnedRates::per_layer_and_step) {
      rates = Matrix::Constant(options_.inner.steps, static_cast<Eigen::Index>(model_.shape.num_layers()),
                               options_.inner.rate);
    }
    if (const auto& had = model_.targets[t]->rates; had.size() > 0 && rates.size() > 0) {
      const auto layers = options_.learned_rates == LearnedRates::per_layer_and_step
                              ? first_of_layers(model_.shape, had)
                              : had;
      if (layers.rows() != rates.rows() || layers.cols() != rates.cols())
        throw std::invalid_argument("--init: has learned rates of " + std::to_string(layers.rows()) +
                                    " inner steps, asked for are " + std::to_string(rates.rows()));
      rates = layers;
    }
    trained_[t] = {learners::Adam<double>(parameters + rates.size(), options_.outer_rate), rates};
  }
}

InnerLoop Maml::inner_loop(const Trained& trained) const {
  InnerLoop inner = options_.inner;
  if (options_.learned_rates == LearnedRates::per_parameter) inner.rates = trained.rates;
  if (options_.learned_rates == LearnedRates::per_layer_and_step)
    inner.rates = spread(model_.shape, trained.rates);
  if (step_ < options_.multi_step_until && inner.steps > 0) {
    const double left = 1.0 - static_cast<double>(step_) / options_.multi_step_until;
    const auto steps = static_cast<std::size_t>(inner.steps);
    inner.step_weights.assign(steps, std::max(left, 0.03) / inner.steps);
    inner.step_weights.back() = 1.0 - inner.step_weights.back() * (inner.steps - 1);
  }
  return inner;
}

StepReport Maml::step(std::span<const tasks::Task> batch) {
  struct Update {
    int target;
    Vector gradient;  // of weights, then rates
  };
  std::vector<Update> updates;
  StepReport report;
  const auto where = [&](int target) {
    return model_.trained_by + ": the loss of " + kTargetNames[target] + " is not finite in step " +
           std::to_string(step_ + 1) + ", task ";
  };
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const auto [episodes, tasks] = make_episodes(model_, t, batch);
    if (episodes.empty()) continue;
    const auto outer = maml_gradient(model_.shape, model_.targets[t]->weights, episodes,
                                     inner_loop(*trained_[t]), Precision::float32);
    for (std::size_t i = 0; i < episodes.size(); ++i)
      if (!std::isfinite(outer.task_losses[i])) throw Diverged(where(t) + tasks[i]->name);
    Matrix of_rates = outer.rate_gradient;
    if (options_.learned_rates == LearnedRates::per_layer_and_step) of_rates = gather(model_.shape, of_rates);
    Vector gradient(outer.gradient.size() + of_rates.size());
    gradient << outer.gradient, of_rates.reshaped<Eigen::RowMajor>();
    const double norm = gradient.norm();
    if (!std::isfinite(norm)) throw Diverged(where(t) + tasks[0]->name + " and others (its gradient)");
    if (norm > options_.clip_norm) gradient *= options_.clip_norm / norm;
    updates.push_back({t, std::move(gradient)});
    report.loss += outer.loss;
  }
  if (!updates.empty()) report.loss /= static_cast<double>(updates.size());

  const double rate = cosine_rate(options_.outer_rate, step_, options_.max_steps);
  for (const auto& [t, gradient] : updates) {
    auto& weights = model_.targets[t]->weights;
    auto& [adam, rates] = *trained_[t];
    Vector parameters(gradient.size());
    parameters << weights, rates.reshaped<Eigen::RowMajor>();
    adam.set_rate(rate);
    adam.step(parameters, gradient);
    weights = parameters.head(weights.size());
    rates.reshaped<Eigen::RowMajor>() = parameters.tail(rates.size())
                                            .cwiseMax(options_.inner.rate / options_.rate_clamp)
                                            .cwiseMin(options_.inner.rate * options_.rate_clamp);
  }
  ++step_;
  return report;
}

learners::Checkpoint Maml::snapshot() const {
  auto model = model_;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model.targets[t]) continue;
    const auto& rates = trained_[t]->rates;
    model.targets[t]->rates =
        options_.learned_rates == LearnedRates::per_layer_and_step ? spread(model.shape, rates) : rates;
  }
  return model.to_checkpoint();
}

learners::Checkpoint Maml::state() const {
  learners::Checkpoint state;
  state.learner = kStateName;
  state.numbers["step"] = {static_cast<double>(step_)};
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    state.tensors[prefix + "weights"] = model_.targets[t]->weights.transpose();
    if (trained_[t]->rates.size() > 0)
      state.tensors[prefix + "rates"] = trained_[t]->rates.reshaped<Eigen::RowMajor>().transpose();
    write_adam(state, prefix, trained_[t]->adam);
  }
  return state;
}

void Maml::set_state(const learners::Checkpoint& state) {
  check_state(state, kStateName);
  auto model = model_;
  auto trained = trained_;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model.targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    auto& weights = model.targets[t]->weights;
    weights = sized_vector(state, prefix + "weights", weights.size());
    auto& [adam, rates] = *trained[t];
    if (rates.size() > 0)
      rates.reshaped<Eigen::RowMajor>() = sized_vector(state, prefix + "rates", rates.size());
    read_adam(state, prefix, adam);
  }
  step_ = state.integer("step", 0, kMostSteps);
  model_ = std::move(model);
  trained_ = std::move(trained);
}

}  // namespace fewwatt::meta
