#include "meta/pretrain.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::meta {
namespace {

using tasks::Matrix;
using tasks::Vector;
using Net = learners::Mlp<float>;
using Rows = std::vector<Eigen::Index>;

// max - min of a target; 0 when the profile lacks it.
double range_of(const datasets::Profile& profile, tasks::Target target) {
  const auto rows = learners::rows_of(tasks::samples_of(profile), target);
  return rows.modes.empty() ? 0 : rows.values.maxCoeff() - rows.values.minCoeff();
}

Vector z_scores(const Vector& values) {
  const double mean = values.mean(), stddev = std::sqrt((values.array() - mean).square().mean());
  return (values.array() - mean) / (stddev > 0 ? stddev : 1.0);
}

// The weights after the epoch with the lowest loss on held-out rows.
Vector train_net(const Net::Matrix& x, const Net::Matrix& y, const learners::PublishedRecipe& recipe,
                 hw::Rng& rng, float& best_loss) {
  const auto shape = learners::published_shape(static_cast<int>(x.cols()));
  Net net(shape, learners::random_parameters(shape, rng).cast<float>());
  Rows order(static_cast<std::size_t>(x.rows()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  rng.shuffle(order);
  const auto split = order.begin() + std::max<std::ptrdiff_t>(1, x.rows() / 10);
  const Rows held(order.begin(), split);
  Rows kept(split, order.end());
  const Net::Matrix held_x = x(held, Eigen::all), held_y = y(held, Eigen::all);

  Net::Flat best = net.parameters(), gradient;
  best_loss = std::numeric_limits<float>::infinity();
  learners::Adam<float> adam(best.size(), static_cast<float>(recipe.rate));
  for (int epoch = 0; epoch < recipe.epochs; ++epoch) {
    rng.shuffle(kept);
    for (std::size_t at = 0; at < kept.size(); at += static_cast<std::size_t>(recipe.batch)) {
      const auto count = std::min(kept.size() - at, static_cast<std::size_t>(recipe.batch));
      const auto begin = kept.begin() + static_cast<std::ptrdiff_t>(at);
      const Rows rows(begin, begin + static_cast<std::ptrdiff_t>(count));
      net.loss(x(rows, Eigen::all), y(rows, Eigen::all), gradient, &rng);
      adam.step(net.parameters(), gradient);
    }
    const float loss = (net.forward(held_x) - held_y).squaredNorm() / static_cast<float>(held_y.size());
    if (loss < best_loss) {
      best_loss = loss;
      best = net.parameters();
    }
  }
  return best.cast<double>();
}

}  // namespace

const datasets::Profile& choose_reference(std::span<const datasets::Profile> training) {
  if (training.empty()) throw std::invalid_argument("choose_reference: no profile to choose from");
  for (const auto target : {tasks::kPowerW, tasks::kTimeMs}) {
    const datasets::Profile* widest = nullptr;
    double range = 0;
    for (const auto& profile : training) {
      if (const double r = range_of(profile, target); r > range) {
        range = r;
        widest = &profile;
      }
    }
    if (widest != nullptr) return *widest;
  }
  throw std::invalid_argument("choose_reference: no profile has a time or a power");
}

learners::TransferModel pretrain(const datasets::Profile& reference, const PretrainOptions& options,
                                 const std::function<void(const std::string&)>& log) {
  learners::TransferModel model;
  model.log_targets = options.log_targets;
  model.knobs = learners::roles_text(*reference.space);
  model.reference = reference.device + "/" + reference.workload;
  const auto samples = tasks::samples_of(reference);
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    const auto rows = learners::rows_of(samples, static_cast<tasks::Target>(t));
    if (rows.modes.empty()) continue;
    if (rows.modes.size() < 2) {
      throw std::invalid_argument("pretrain: " + model.reference + " has one " + tasks::kTargetNames[t] +
                                  ", needs at least 2");
    }
    const Matrix raw = learners::encode(learners::FeatureSet::raw, *rows.space, rows.modes);
    const auto inputs = learners::Scaler::fit(raw);
    const Vector y = z_scores(options.log_targets ? Vector(rows.values.array().log()) : rows.values);
    auto rng = hw::Rng::stream(options.seed, "pretrain", static_cast<std::uint64_t>(t));
    float loss = 0;
    model.targets[t] = {train_net(inputs(raw).cast<float>(), y.cast<float>(), options.recipe, rng, loss),
                        inputs};
    if (log) {
      log("reference " + model.reference + ", " + tasks::kTargetNames[t] + ": held-out loss " +
          std::to_string(loss) + " of the z-scored target");
    }
  }
  return model;
}

}  // namespace fewwatt::meta
