#include "learners/transfer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "learners/checkpoint_fields.hpp"

namespace fewwatt::learners {
namespace {

constexpr const char* kLogTransfer = "transfer-log";

using tasks::kNumTargets;
using tasks::kTargetNames;
using Net = Mlp<float>;

// z-scored target, of y or of log y.
struct TargetScale {
  bool log;
  double mean, stddev;

  static TargetScale fit(const Vector& values, bool log) {
    const Vector y = log ? Vector(values.array().log()) : values;
    const double stddev = std::sqrt((y.array() - y.mean()).square().mean());
    return {log, y.mean(), stddev > 0 ? stddev : 1.0};
  }
  Vector normalise(const Vector& values) const {
    const Vector y = log ? Vector(values.array().log()) : values;
    return (y.array() - mean) / stddev;
  }
  Vector restore(const Vector& z) const {
    const Vector y = z.array() * stddev + mean;
    return log ? Vector(y.array().exp()) : y;
  }
};

class NetPredictor final : public Predictor {
 public:
  struct Fitted {
    Net net;
    Scaler inputs;
    TargetScale target;
    double floor;  // a net trained on raw targets can go below zero
  };

  NetPredictor(std::shared_ptr<const hw::PowerModeSpace> space, FeatureSet features)
      : space_(std::move(space)), features_(features) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const Matrix x = encode(features_, *space_, modes);
    Matrix medians = Matrix::Constant(x.rows(), kNumTargets, std::nan(""));
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fitted[t]) continue;
      const auto& f = *fitted[t];
      const Net::Matrix z = f.net.forward(f.inputs(x).cast<float>());
      medians.col(t) = f.target.restore(z.col(0).cast<double>()).cwiseMax(f.floor);
    }
    return Prediction::of_medians(medians);
  }

  std::array<std::optional<Fitted>, kNumTargets> fitted;

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  FeatureSet features_;
};

// Predictions of a raw-target net stop at this share of the smallest measured value.
constexpr double kFloorShare = 0.1;

PublishedRecipe checked(const PublishedRecipe& recipe) {
  if (const auto error = recipe.error(); !error.empty()) throw std::invalid_argument(error);
  return recipe;
}

}  // namespace

void PublishedRecipe::each(OptionVisitor& on) {
  on.whole("epochs", epochs, 1, 1'000'000, "number of passes over the measured modes");
  on.whole("batch", batch, 1, 1'000'000, "number of rows in a minibatch");
  on.real("rate", rate, 1e-9, 1e3, "learning rate of Adam");
  on.whole("rows_per_mode", rows_per_mode, 1, 1000,
           "number of rows that each measured mode becomes; the published recipe has 40");
}

std::string PublishedRecipe::error() const {
  if (epochs < 1) return "PublishedRecipe: epochs must be >= 1, got " + std::to_string(epochs);
  if (batch < 1) return "PublishedRecipe: batch must be >= 1, got " + std::to_string(batch);
  if (!(rate > 0)) return "PublishedRecipe: rate must be > 0, got " + std::to_string(rate);
  if (rows_per_mode < 1)
    return "PublishedRecipe: rows_per_mode must be >= 1, got " + std::to_string(rows_per_mode);
  return "";
}

MlpShape published_shape(int inputs) {
  return {{inputs, 256, 128, 64, 1}, Activation::relu, {0.4, 0.3, 0.0}};
}

void train_epoch(Mlp<float>& net, Adam<float>& adam, std::size_t first, const Mlp<float>::Matrix& x,
                 const Mlp<float>::Matrix& y, int batch, hw::Rng& rng) {
  std::vector<Eigen::Index> order(static_cast<std::size_t>(x.rows()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  rng.shuffle(order);
  const auto start = static_cast<Eigen::Index>(first);
  const auto count = net.parameters().size() - start;
  Net::Flat gradient;
  for (std::size_t at = 0; at < order.size(); at += static_cast<std::size_t>(batch)) {
    const auto end = std::min(order.size(), at + static_cast<std::size_t>(batch));
    const std::vector<Eigen::Index> rows(order.begin() + static_cast<std::ptrdiff_t>(at),
                                         order.begin() + static_cast<std::ptrdiff_t>(end));
    net.loss(x(rows, Eigen::all), y(rows, Eigen::all), gradient, &rng, first);
    adam.step(net.parameters().segment(start, count), gradient.segment(start, count));
  }
}

void TransferModel::visit(CheckpointFields& fields) {
  fields.text("knobs", knobs);
  fields.text("reference", reference);
  fields.targets(targets, "weights", [](CheckpointFields& of, ReferenceNet& net) {
    of.row("weights", net.weights);
    of.scaler("input_mean", "input_stddev", net.inputs);
  });
}

Checkpoint TransferModel::to_checkpoint() const {
  return write_fields(log_targets ? kLogTransfer : "transfer", *this);
}

TransferModel TransferModel::from_checkpoint(const Checkpoint& c, bool log_targets) {
  auto model = read_fields<TransferModel>(c);
  model.log_targets = log_targets;
  return model;
}

Transfer::Transfer(TransferModel model, PublishedRecipe recipe)
    : model_(std::move(model)), recipe_(checked(recipe)) {
  for (int t = 0; t < kNumTargets; ++t) {
    const auto& target = model_.targets[t];
    if (!target) continue;
    if (!target->weights.allFinite()) {
      throw std::invalid_argument(std::string("transfer: ") + kTargetNames[t] + "/weights must be finite");
    }
    if (target->inputs.mean.size() != target->inputs.stddev.size()) {
      throw std::invalid_argument("transfer: input_mean and input_stddev differ in size");
    }
    Mlp<double>(published_shape(static_cast<int>(target->inputs.mean.size())), target->weights);
  }
}

std::unique_ptr<const Predictor> Transfer::adapt(const Samples& support) const {
  const std::string name = model_.log_targets ? "transfer-log" : "transfer";
  check_support(name, support, 1);
  check_roles(name, model_.knobs, *support.space);
  auto predictor = std::make_unique<NetPredictor>(support.space, FeatureSet::raw);
  for (int t = 0; t < kNumTargets; ++t) {
    const auto& reference = model_.targets[t];
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (!reference || rows.modes.empty()) continue;

    const auto shape = published_shape(static_cast<int>(reference->inputs.mean.size()));
    const auto head = shape.offset(shape.num_layers() - 1);
    auto rng = hw::Rng::stream(0, "transfer", static_cast<std::uint64_t>(t));
    Vector weights = reference->weights;
    randomize_layer(shape, shape.num_layers() - 1, rng, weights);

    const auto scale = TargetScale::fit(rows.values, model_.log_targets);
    Net net(shape, weights.cast<float>());
    const Net::Matrix x =
        reference->inputs(encode(FeatureSet::raw, *support.space, rows.modes)).cast<float>();
    const Net::Matrix y = scale.normalise(rows.values).cast<float>();
    for (const auto first : {head, std::size_t{0}}) {  // the last layer alone, then everything
      Adam<float> adam(net.parameters().size() - static_cast<Eigen::Index>(first),
                       static_cast<float>(recipe_.rate));
      for (int epoch = 0; epoch < recipe_.epochs * recipe_.rows_per_mode; ++epoch)
        train_epoch(net, adam, first, x, y, recipe_.batch, rng);
    }
    predictor->fitted[t] = {std::move(net), reference->inputs, scale, kFloorShare * rows.values.minCoeff()};
  }
  return predictor;
}

Scratch::Scratch(bool log_targets_and_physical_features, PublishedRecipe recipe)
    : log_(log_targets_and_physical_features), recipe_(checked(recipe)) {}

std::unique_ptr<const Predictor> Scratch::adapt(const Samples& support) const {
  check_support(log_ ? "scratch-log" : "scratch", support, 1);
  const auto features = log_ ? FeatureSet::physical : FeatureSet::raw;
  auto predictor = std::make_unique<NetPredictor>(support.space, features);
  for (int t = 0; t < kNumTargets; ++t) {
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (rows.modes.empty()) continue;

    const Matrix encoded = encode(features, *support.space, rows.modes);
    const auto inputs = Scaler::fit(encoded);
    const auto scale = TargetScale::fit(rows.values, log_);
    auto shape = published_shape(static_cast<int>(encoded.cols()));
    if (log_) shape.dropout.clear();
    auto rng = hw::Rng::stream(0, "scratch", static_cast<std::uint64_t>(t));
    Net net(shape, random_parameters(shape, rng).cast<float>());
    const Net::Matrix x = inputs(encoded).cast<float>();
    const Net::Matrix y = scale.normalise(rows.values).cast<float>();
    Adam<float> adam(net.parameters().size(), static_cast<float>(recipe_.rate));
    for (int epoch = 0; epoch < recipe_.epochs * recipe_.rows_per_mode; ++epoch)
      train_epoch(net, adam, 0, x, y, recipe_.batch, rng);
    predictor->fitted[t] = {std::move(net), inputs, scale, kFloorShare * rows.values.minCoeff()};
  }
  return predictor;
}

}  // namespace fewwatt::learners
