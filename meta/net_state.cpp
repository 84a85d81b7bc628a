#include "meta/net_state.hpp"

#include <stdexcept>

#include "hw/random.hpp"
#include "meta/options_error.hpp"

namespace fewwatt::meta {

std::string NetOptions::error() const {
  OptionsError wrong("NetOptions");
  wrong.sizes("hidden", hidden);
  for (const auto& options : fine_tune) wrong.part(options.error());
  return wrong.text();
}

void each_of_updates(learners::OptionVisitor& on, int& max_steps, double& outer_rate) {
  on.whole("steps", max_steps, 1, kMostSteps, "greatest number of outer updates");
  on.real("outer_rate", outer_rate, 1e-9, 1e3,
          "initial learning rate of Adam for the outer updates; it falls to 0 as a cosine");
}

void each_of_net(learners::OptionVisitor& on, std::vector<int>& hidden, learners::Activation& activation) {
  on.list("hidden", hidden, 1, learners::kMostWidth, "sizes of the net's hidden layers");
  on.choice<learners::Activation>("activation", activation, learners::kActivations,
                                  "activation function of the hidden layers");
}

learners::MlpShape net_shape(Eigen::Index inputs, const std::vector<int>& hidden, int outputs,
                             learners::Activation activation) {
  learners::MlpShape shape{{static_cast<int>(inputs)}, activation, {}};
  shape.sizes.insert(shape.sizes.end(), hidden.begin(), hidden.end());
  shape.sizes.push_back(outputs);
  return shape;
}

learners::MlpShape kernel_net_shape(Eigen::Index inputs, const std::vector<int>& hidden, int outputs,
                                    learners::Activation activation) {
  auto shape = net_shape(inputs, hidden, outputs, activation);
  if (outputs == 0) shape.sizes.resize(1);
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
  return model_on_modes<NetLearner, learners::FineTuneModel>(
      name, training, init,
      [&](Eigen::Index features) { return net_shape(features, options.hidden, 1, options.activation); },
      [&](const learners::MlpShape& shape, int t, double scale) {
        return learners::Initializer{initial_weights(shape, seed, t), scale,
                                     options.fine_tune[static_cast<std::size_t>(t)]};
      },
      make,
      [](const NetLearner& net, learners::Initializer& target) {
        target.weights = net.weights();
        target.rates = net.rates();
      });
}

}  // namespace fewwatt::meta
