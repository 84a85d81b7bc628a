#include "meta/reptile.hpp"

#include <algorithm>
#include <limits>

#include "learners/optimizer.hpp"
#include "meta/options_error.hpp"

namespace fewwatt::meta {

void ReptileOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", max_steps, 1, kMostSteps, "greatest number of outer updates");
  on.real("outer_rate", outer_rate, 1e-9, 1e3,
          "how far an outer update goes to what the inner loops reach, as a share; it falls to 0");
  on.whole("inner_steps", inner_steps, 1, 1000, "number of steps of the inner loop in training");
  on.real("inner_rate", inner_rate, 1e-9, 1e300, "learning rate of the inner loop");
  on.whole("inner_batch", inner_batch, 1, 1'000'000, "number of rows in each inner step");
  on.real("inner_clip", inner_clip, 1e-9, 1e9, "inner gradients with a larger norm are scaled to this one");
  each_of_net(on, net.hidden, net.activation);
}

std::string ReptileOptions::error() const {
  return OptionsError("ReptileOptions")
      .part(net.error())
      .at_least("inner_steps", inner_steps, 1)
      .finite_above_0("inner_rate", inner_rate)
      .at_least("inner_batch", inner_batch, 1)
      .above_0("inner_clip", inner_clip)
      .finite_above_0("outer_rate", outer_rate)
      .at_least("max_steps", max_steps, 0)
      .text();
}

Displacement reptile_displacement(const learners::MlpShape& shape, const Vector& start, const Matrix& x,
                                  const Matrix& y, const ReptileOptions& options, hw::Rng rng) {
  learners::Mlp<double> net(shape, start);
  learners::Adam<double> adam(start.size(), options.inner_rate);
  Vector gradient;
  Displacement found;
  const auto rows = static_cast<std::size_t>(x.rows());
  const auto batch = std::min(rows, static_cast<std::size_t>(options.inner_batch));
  for (int step = 0; step < options.inner_steps; ++step) {
    if (batch == rows) {
      found.loss += net.loss(x, y, gradient);
    } else {
      auto drawn = rng.sample(rows, batch);
      std::sort(drawn.begin(), drawn.end());
      found.loss += net.loss(x(drawn, Eigen::all), y(drawn, Eigen::all), gradient);
    }
    if (const double norm = gradient.norm(); norm > options.inner_clip) gradient *= options.inner_clip / norm;
    if (options.inner_optimizer == learners::Optimizer::adam) {
      adam.step(net.parameters(), gradient);
    } else {
      net.parameters() -= options.inner_rate * gradient;
    }
  }
  found.loss /= options.inner_steps;
  found.value = net.parameters() - start;
  return found;
}

Reptile::Reptile(std::string name, learners::MlpShape shape, Vector weights, ReptileOptions options,
                 std::uint64_t seed)
    : name_(std::move(name)), options_(std::move(options)), weights_(std::move(weights)), seed_(seed) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  learners::Mlp<double>(shape, weights_);  // throws when the sizes do not fit
  const Eigen::Index inputs = shape.sizes.front(), outputs = shape.sizes.back();
  start({.name = name_,
         .kind = "reptile",
         .shape = std::move(shape),
         .inputs = inputs,
         .targets = outputs,
         .max_steps = options_.max_steps,
         .optimizer = learners::Optimizer::sgd},
        {{weights_.size(), options_.outer_rate}});
}

BatchGradient Reptile::gradient(std::span<const Episode> batch) const {
  BatchGradient outer{0, {}, Vector::Zero(weights_.size())};
  const auto n = static_cast<double>(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto& e = batch[i];
    const auto draws = static_cast<std::uint64_t>(steps_done()) * batch.size() + i;
    const auto [value, loss] = reptile_displacement(shape(), weights_, stacked({e.support_x, e.query_x}),
                                                    stacked({e.support_y, e.query_y}), options_,
                                                    hw::Rng::stream(seed_, name_ + ": rows", draws));
    outer.task_losses.push_back(value.allFinite() ? loss : std::numeric_limits<double>::infinity());
    outer.gradient -= value / n;
    outer.loss += loss / n;
  }
  return outer;
}

OnModes reptile_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                         const ReptileOptions& options, std::uint64_t seed,
                         const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return nets_on_modes(
      name, training, options.net, seed, init,
      [&](const std::string& net, const learners::MlpShape& shape, const learners::Initializer& start) {
        return std::make_unique<Reptile>(net, shape, start.weights, options, seed);
      });
}

}  // namespace fewwatt::meta
