#include "meta/maml.hpp"

#include <algorithm>

#include "meta/options_error.hpp"

namespace fewwatt::meta {
namespace {

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

void MamlOptions::each(learners::OptionVisitor& on) {
  each_of_updates(on, max_steps, outer_rate);
  on.whole("inner_steps", inner.steps, 0, 1000, "steps of the inner loop in training");
  on.real("inner_rate", inner.rate, 1e-9, 1e300, "their rate, or where learned rates start");
  on.whole("adapted_layers", adapted_layers, 0, learners::kMostLayers,
           "layers that take inner steps, the last ones of the net; 0: all");
  on.flag("first_order", inner.first_order, "inner gradients are constants to the outer one");
  on.real("rate_clamp", rate_clamp, 1, 1e6,
          "learned rates stay between inner_rate / rate_clamp and inner_rate * rate_clamp");
  on.choice<EpisodeLoss>(
      "loss", inner.loss, kEpisodeLosses,
      "what inner and outer loop make small; cross-entropy is for episodes whose targets are "
      "classes, and power modes have none");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, net.hidden, net.activation);
}

std::string MamlOptions::error() const {
  return OptionsError("MamlOptions")
      .part(net.error())
      .part(inner.error())
      .at_least("rate_clamp", rate_clamp, 1)
      .at_least("adapted_layers", adapted_layers, 0)
      .at_least("multi_step_until", multi_step_until, 0)
      .finite_above_0("outer_rate", outer_rate)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm)
      .text();
}

Maml::Maml(std::string name, learners::MlpShape shape, Vector weights, MamlOptions options,
           const Matrix& rates)
    : options_(std::move(options)), weights_(std::move(weights)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (weights_.size() != static_cast<Eigen::Index>(shape.num_parameters()))
    throw std::invalid_argument(name + ": expected " + std::to_string(shape.num_parameters()) +
                                " weights, got " + std::to_string(weights_.size()));
  if (options_.adapted_layers > static_cast<int>(shape.num_layers()))
    throw std::invalid_argument(name + ": adapted_layers must be at most " +
                                std::to_string(shape.num_layers()) + ", the net's, got " +
                                std::to_string(options_.adapted_layers));
  if (options_.inner.loss == EpisodeLoss::cross_entropy && shape.sizes.back() < 2)
    throw std::invalid_argument(name +
                                ": loss=cross-entropy needs an output for each class, at least 2, got " +
                                std::to_string(shape.sizes.back()));
  adapted_ = Vector::Ones(weights_.size());
  if (options_.adapted_layers > 0)
    adapted_
        .head(static_cast<Eigen::Index>(
            shape.offset(shape.num_layers() - static_cast<std::size_t>(options_.adapted_layers))))
        .setZero();
  if (options_.learned_rates == LearnedRates::per_parameter) {
    rates_ = Matrix::Constant(1, weights_.size(), options_.inner.rate);
  } else if (options_.learned_rates == LearnedRates::per_layer_and_step) {
    rates_ = Matrix::Constant(options_.inner.steps, static_cast<Eigen::Index>(shape.num_layers()),
                              options_.inner.rate);
  }
  if (rates.size() > 0 && rates_.size() > 0) {
    const auto had =
        options_.learned_rates == LearnedRates::per_layer_and_step ? first_of_layers(shape, rates) : rates;
    if (had.rows() != rates_.rows() || had.cols() != rates_.cols())
      throw std::invalid_argument("--init: has learned rates of " + std::to_string(had.rows()) +
                                  " inner steps, asked for are " + std::to_string(rates_.rows()));
    rates_ = had;
  }
  const Eigen::Index inputs = shape.sizes.front(), outputs = shape.sizes.back(),
                     size = weights_.size() + rates_.size();
  start({.name = std::move(name),
         .kind = "maml",
         .shape = std::move(shape),
         .inputs = inputs,
         .targets = outputs,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        {{size, options_.outer_rate}});
}

Matrix Maml::rates() const {
  if (rates_.size() == 0)
    return options_.adapted_layers == 0 ? Matrix() : Matrix(options_.inner.rate * adapted_.transpose());
  return (options_.learned_rates == LearnedRates::per_layer_and_step ? spread(shape(), rates_) : rates_) *
         adapted_.asDiagonal();
}

Vector Maml::adapted(const Episode& episode, int steps) const {
  check_fits(episode);
  InnerLoop inner = options_.inner;
  inner.steps = steps;
  inner.rates = rates();
  return meta::adapted(shape(), weights_, episode, inner);
}

InnerLoop Maml::inner_loop() const {
  InnerLoop inner = options_.inner;
  inner.rates = rates();
  if (steps_done() < options_.multi_step_until && inner.steps > 0) {
    const double left = 1.0 - static_cast<double>(steps_done()) / options_.multi_step_until;
    const auto steps = static_cast<std::size_t>(inner.steps);
    inner.step_weights.assign(steps, std::max(left, 0.03) / inner.steps);
    inner.step_weights.back() = 1.0 - inner.step_weights.back() * (inner.steps - 1);
  }
  return inner;
}

BatchGradient Maml::gradient(std::span<const Episode> batch) const {
  auto outer = maml_gradient(shape(), weights_, batch, inner_loop(), Precision::float32);
  Vector all(weights_.size() + rates_.size());
  if (rates_.size() == 0) {
    all = outer.gradient;
  } else {
    Matrix of_rates = outer.rate_gradient * adapted_.asDiagonal();
    if (options_.learned_rates == LearnedRates::per_layer_and_step) of_rates = gather(shape(), of_rates);
    all << outer.gradient, of_rates.reshaped<Eigen::RowMajor>();
  }
  return {outer.loss, std::move(outer.task_losses), std::move(all)};
}

Vector Maml::parameters() const {
  Vector all(weights_.size() + rates_.size());
  all << weights_, rates_.reshaped<Eigen::RowMajor>();
  return all;
}

void Maml::set_parameters(const Vector& parameters) {
  weights_ = parameters.head(weights_.size());
  rates_.reshaped<Eigen::RowMajor>() = parameters.tail(rates_.size())
                                           .cwiseMax(options_.inner.rate / options_.rate_clamp)
                                           .cwiseMin(options_.inner.rate * options_.rate_clamp);
}

OnModes maml_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                      const MamlOptions& options, std::uint64_t seed, const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (options.inner.loss != EpisodeLoss::squared)
    throw std::invalid_argument(name +
                                ": on power modes loss must be squared: time and power are no classes");
  return nets_on_modes(
      name, training, options.net, seed, init,
      [&](const std::string& net, const learners::MlpShape& shape, const learners::Initializer& start) {
        return std::make_unique<Maml>(net, shape, start.weights, options, start.rates);
      });
}

}  // namespace fewwatt::meta
