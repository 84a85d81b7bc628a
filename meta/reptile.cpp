#include "meta/reptile.hpp"

#include <algorithm>
#include <cmath>

#include "learners/optimizer.hpp"

namespace fewwatt::meta {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;

constexpr const char* kStateName = "reptile-state";

Matrix stacked(const Matrix& top, const Matrix& bottom) {
  Matrix both(top.rows() + bottom.rows(), top.cols());
  both << top, bottom;
  return both;
}

}  // namespace

std::string ReptileOptions::error() const {
  if (auto bad = net.error(); !bad.empty()) return bad;
  if (inner_steps < 1) return "ReptileOptions: inner_steps must be >= 1, got " + std::to_string(inner_steps);
  if (!(inner_rate > 0) || !std::isfinite(inner_rate))
    return "ReptileOptions: inner_rate must be > 0, got " + std::to_string(inner_rate);
  if (inner_batch < 1) return "ReptileOptions: inner_batch must be >= 1, got " + std::to_string(inner_batch);
  if (!(inner_clip > 0)) return "ReptileOptions: inner_clip must be > 0, got " + std::to_string(inner_clip);
  if (!(outer_rate > 0) || !std::isfinite(outer_rate))
    return "ReptileOptions: outer_rate must be > 0, got " + std::to_string(outer_rate);
  if (max_steps < 0) return "ReptileOptions: max_steps must be >= 0, got " + std::to_string(max_steps);
  return "";
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

Reptile::Reptile(std::span<const datasets::Profile> training, ReptileOptions options, std::uint64_t seed,
                 const learners::Checkpoint* init)
    : options_(std::move(options)), seed_(seed) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<learners::FineTuneModel> start;
  if (init != nullptr) start = learners::FineTuneModel::from_checkpoint(*init);
  model_ = new_model("reptile", training, options_.net, seed, start ? &*start : nullptr);
}

StepReport Reptile::step(std::span<const tasks::Task> batch) {
  const double rate =
      options_.outer_rate * std::max(0.0, 1.0 - static_cast<double>(step_) / std::max(1, options_.max_steps));
  std::array<Vector, kNumTargets> mean;  // displacement
  StepReport report;
  int trained = 0;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const auto [episodes, tasks] = make_episodes(model_, t, batch);
    if (episodes.empty()) continue;
    const Vector& start = model_.targets[t]->weights;
    mean[t] = Vector::Zero(start.size());
    double loss = 0;
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      const auto& e = episodes[i];
      const auto draws = static_cast<std::uint64_t>(step_) * batch.size() + i;
      const auto [value, task_loss] = reptile_displacement(
          model_.shape, start, stacked(e.support_x, e.query_x), stacked(e.support_y, e.query_y), options_,
          hw::Rng::stream(seed_, std::string("reptile rows of ") + kTargetNames[t], draws));
      if (!std::isfinite(task_loss) || !value.allFinite()) {
        throw Diverged(std::string("reptile: the loss of ") + kTargetNames[t] + " is not finite in step " +
                       std::to_string(step_ + 1) + ", task " + tasks[i]->name);
      }
      mean[t] += value / static_cast<double>(episodes.size());
      loss += task_loss / static_cast<double>(episodes.size());
    }
    report.loss += loss;
    ++trained;
  }
  if (trained > 0) report.loss /= trained;
  for (int t = 0; t < kNumTargets; ++t)
    if (mean[t].size() > 0) model_.targets[t]->weights += rate * mean[t];
  ++step_;
  return report;
}

learners::Checkpoint Reptile::state() const {
  learners::Checkpoint state;
  state.learner = kStateName;
  state.numbers["step"] = {static_cast<double>(step_)};
  for (int t = 0; t < kNumTargets; ++t)
    if (model_.targets[t])
      state.tensors[std::string(kTargetNames[t]) + "/weights"] = model_.targets[t]->weights.transpose();
  return state;
}

void Reptile::set_state(const learners::Checkpoint& state) {
  check_state(state, kStateName);
  auto model = model_;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model.targets[t]) continue;
    auto& weights = model.targets[t]->weights;
    weights = sized_vector(state, std::string(kTargetNames[t]) + "/weights", weights.size());
  }
  step_ = state.integer("step", 0, kMostSteps);
  model_ = std::move(model);
}

}  // namespace fewwatt::meta
