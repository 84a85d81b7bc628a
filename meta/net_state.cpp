#include "meta/net_state.hpp"

#include <optional>
#include <stdexcept>

#include "hw/random.hpp"

namespace fewwatt::meta {

using learners::FineTuneModel;
using tasks::kNumTargets;

std::string NetOptions::error() const {
  for (const int size : hidden) {
    if (size < 1) return "NetOptions: hidden must be >= 1, got " + std::to_string(size);
  }
  for (const auto& options : fine_tune) {
    if (auto bad = options.error(); !bad.empty()) return bad;
  }
  return "";
}

learners::MlpShape net_shape(Eigen::Index inputs, const std::vector<int>& hidden, int outputs,
                             learners::Activation activation) {
  learners::MlpShape shape{{static_cast<int>(inputs)}, activation, {}};
  shape.sizes.insert(shape.sizes.end(), hidden.begin(), hidden.end());
  shape.sizes.push_back(outputs);
  return shape;
}

Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target) {
  auto rng = hw::Rng::stream(seed, "initial weights", static_cast<std::uint64_t>(target));
  return learners::random_parameters(shape, rng);
}

OnModes nets_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                      const NetOptions& options, std::uint64_t seed, const learners::Checkpoint* init,
                      const MakeNet& make) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<FineTuneModel> from;
  if (init != nullptr) from = FineTuneModel::from_checkpoint(*init);
  auto encoder = ModeEncoder::of(name, training);
  FineTuneModel model;
  model.trained_by = name;
  model.knobs = encoder.knobs;
  model.features = encoder.features;
  model.shape = net_shape(encoder.scaler.mean.size(), options.hidden, 1, options.activation);
  if (from) {
    check_start(from->knobs, model.knobs);
    check_start(name, from->shape, model.shape);
    encoder.scaler = from->scaler;
  }
  model.scaler = encoder.scaler;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!encoder.scales[t]) continue;
    model.targets[t] = {initial_weights(model.shape, seed, t), *encoder.scales[t], options.fine_tune[t]};
    if (from && from->targets[t]) model.targets[t] = *from->targets[t];
    encoder.scales[t] = model.targets[t]->target_scale;
  }
  return on_modes<NetLearner>(
      name, std::move(encoder),
      [&](const std::string& net, int t) { return make(net, model.shape, *model.targets[t]); },
      [model](const auto& nets) {
        auto now = model;
        for (int t = 0; t < kNumTargets; ++t) {
          if (nets[t] == nullptr) continue;
          now.targets[t]->weights = nets[t]->weights();
          now.targets[t]->rates = nets[t]->rates();
        }
        return now.to_checkpoint();
      });
}

}  // namespace fewwatt::meta
