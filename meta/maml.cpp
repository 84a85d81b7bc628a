#include "meta/maml.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/checkpoint_io.hpp"

namespace fewwatt::meta {
namespace {

using learners::FineTuneModel;
using tasks::kNumTargets;
using tasks::kTargetNames;

constexpr const char* kStateName = "maml-state";

Matrix all_features(std::span<const datasets::Profile> training, learners::FeatureSet set) {
  std::vector<Matrix> parts;
  Eigen::Index rows = 0;
  for (const auto& profile : training) {
    parts.push_back(learners::encode(set, *profile.space, profile.modes));
    rows += parts.back().rows();
  }
  Matrix all(rows, parts[0].cols());
  Eigen::Index at = 0;
  for (const auto& part : parts) {
    all.middleRows(at, part.rows()) = part;
    at += part.rows();
  }
  return all;
}

// Root mean square of log targets around their profile's mean; nullopt when no profile has the target.
std::optional<double> target_scale(std::span<const datasets::Profile> training, int target) {
  double sum = 0;
  Eigen::Index count = 0;
  for (const auto& profile : training) {
    const auto rows = learners::rows_of(tasks::samples_of(profile), static_cast<tasks::Target>(target));
    if (rows.modes.empty()) continue;
    const Vector logs = rows.values.array().log();
    sum += (logs.array() - logs.mean()).square().sum();
    count += logs.size();
  }
  if (count == 0) return std::nullopt;
  const double rms = std::sqrt(sum / static_cast<double>(count));
  return rms > 0 ? rms : 1.0;
}

// The first `count` rows, features and normalised targets.
struct Rows {
  Matrix x, y;
};
Rows first_rows(const FineTuneModel& model, const learners::TargetRows& rows, Eigen::Index count, double mean,
                double scale) {
  const std::span<const hw::PowerMode> modes(rows.modes.data(), static_cast<std::size_t>(count));
  return {model.scaler(learners::encode(model.features, *rows.space, modes)),
          (rows.values.head(count).array().log() - mean) / scale};
}

// The rows with a known value, in the order they were drawn, so that the first few of them are a fair draw.
learners::TargetRows known_rows(const tasks::Samples& samples, int target) {
  learners::TargetRows rows{samples.space, {}, {}};
  std::vector<double> values;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double value = samples.targets(static_cast<Eigen::Index>(i), target);
    if (std::isnan(value)) continue;
    rows.modes.push_back(samples.modes[i]);
    values.push_back(value);
  }
  rows.values = Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(values.size()));
  return rows;
}

struct Batch {
  std::vector<Episode> episodes;
  std::vector<const tasks::Task*> tasks;  // of each episode
};

Batch make_batch(const FineTuneModel& model, int target, std::span<const tasks::Task> tasks) {
  Batch batch;
  std::vector<std::pair<learners::TargetRows, learners::TargetRows>> known;
  Eigen::Index k = 0, q = 0;
  for (const auto& task : tasks) {
    auto support = known_rows(task.support, target), query = known_rows(task.query, target);
    if (support.modes.empty() || query.modes.empty()) continue;
    k = known.empty() ? support.values.size() : std::min(k, support.values.size());
    q = known.empty() ? query.values.size() : std::min(q, query.values.size());
    batch.tasks.push_back(&task);
    known.emplace_back(std::move(support), std::move(query));
  }
  const double scale = model.targets[target]->target_scale;
  for (const auto& [support, query] : known) {
    const double mean = support.values.head(k).array().log().mean();
    auto s = first_rows(model, support, k, mean, scale), t = first_rows(model, query, q, mean, scale);
    batch.episodes.push_back({std::move(s.x), std::move(s.y), std::move(t.x), std::move(t.y)});
  }
  return batch;
}

}  // namespace

std::string MamlOptions::error() const {
  if (auto bad = inner.error(); !bad.empty()) return bad;
  for (const int size : hidden) {
    if (size < 1) return "MamlOptions: hidden must be >= 1, got " + std::to_string(size);
  }
  if (!(outer_rate > 0)) return "MamlOptions: outer_rate must be > 0, got " + std::to_string(outer_rate);
  if (max_steps < 0) return "MamlOptions: max_steps must be >= 0, got " + std::to_string(max_steps);
  if (!(clip_norm > 0)) return "MamlOptions: clip_norm must be > 0, got " + std::to_string(clip_norm);
  for (const auto& options : fine_tune) {
    if (auto bad = options.error(); !bad.empty()) return bad;
  }
  return "";
}

Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target) {
  auto rng = hw::Rng::stream(seed, "initial weights", static_cast<std::uint64_t>(target));
  return learners::random_parameters(shape, rng);
}

Maml::Maml(std::span<const datasets::Profile> training, MamlOptions options, std::uint64_t seed)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (training.empty()) throw std::invalid_argument("Maml: no profile to train on");
  model_.trained_by = options_.inner.first_order ? "fomaml" : "maml";
  model_.knobs = learners::roles_text(*training[0].space);
  for (const auto& profile : training) learners::check_roles("Maml", model_.knobs, *profile.space);
  const Matrix features = all_features(training, model_.features);
  model_.scaler = learners::Scaler::fit(features);
  model_.shape.sizes = {static_cast<int>(features.cols())};
  model_.shape.sizes.insert(model_.shape.sizes.end(), options_.hidden.begin(), options_.hidden.end());
  model_.shape.sizes.push_back(1);
  model_.shape.activation = options_.activation;
  for (int t = 0; t < kNumTargets; ++t) {
    const auto scale = target_scale(training, t);
    if (!scale) continue;
    model_.targets[t] = {initial_weights(model_.shape, seed, t), *scale, options_.fine_tune[t]};
    adam_[t].emplace(model_.targets[t]->weights.size(), options_.outer_rate);
  }
}

StepReport Maml::step(std::span<const tasks::Task> batch) {
  const double progress = std::min(1.0, static_cast<double>(step_) / std::max(1, options_.max_steps));
  const double rate = options_.outer_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  StepReport report;
  int trained = 0;
  ++step_;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const auto [episodes, tasks] = make_batch(model_, t, batch);
    if (episodes.empty()) continue;
    auto outer =
        maml_gradient(model_.shape, model_.targets[t]->weights, episodes, options_.inner, Precision::float32);
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      if (!std::isfinite(outer.task_losses[i])) {
        throw std::runtime_error("maml: the loss of " + std::string(kTargetNames[t]) +
                                 " is not finite in step " + std::to_string(step_) + ", task " +
                                 tasks[i]->name);
      }
    }
    const double norm = outer.gradient.norm();
    if (!std::isfinite(norm)) {
      throw std::runtime_error("maml: the gradient of " + std::string(kTargetNames[t]) +
                               " is not finite in step " + std::to_string(step_) + ", task " +
                               tasks[0]->name + " and others");
    }
    if (norm > options_.clip_norm) outer.gradient *= options_.clip_norm / norm;
    adam_[t]->set_rate(rate);
    adam_[t]->step(model_.targets[t]->weights, outer.gradient);
    report.loss += outer.loss;
    ++trained;
  }
  if (trained > 0) report.loss /= trained;
  return report;
}

learners::Checkpoint Maml::snapshot() const {
  return model_.to_checkpoint();
}

void Maml::save_state(const std::string& path) const {
  learners::Checkpoint state;
  state.learner = kStateName;
  state.numbers["step"] = {static_cast<double>(step_)};
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model_.targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    state.tensors[prefix + "weights"] = model_.targets[t]->weights.transpose();
    const auto& adam = adam_[t]->state();
    state.tensors[prefix + "first_moment"] = adam.first.transpose();
    state.tensors[prefix + "second_moment"] = adam.second.transpose();
    state.numbers[prefix + "adam_steps"] = {static_cast<double>(adam.steps)};
  }
  learners::write_checkpoint(path, state);
}

void Maml::load_state(const std::string& path) {
  const auto state = learners::read_checkpoint(path);
  if (state.learner != kStateName) {
    throw std::invalid_argument(path + ": must be a " + kStateName + ", is a checkpoint of " + state.learner);
  }
  auto model = model_;
  auto optimizers = adam_;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!model.targets[t]) continue;
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto read = [&](const std::string& name, Vector& into) {
      const Vector values = state.vector(prefix + name);
      if (values.size() != into.size()) {
        throw std::invalid_argument(path + ": " + prefix + name + " must have " +
                                    std::to_string(into.size()) + " values, has " +
                                    std::to_string(values.size()));
      }
      into = values;
    };
    read("weights", model.targets[t]->weights);
    auto adam = optimizers[t]->state();
    read("first_moment", adam.first);
    read("second_moment", adam.second);
    adam.steps = static_cast<int>(state.number(prefix + "adam_steps"));
    optimizers[t]->set_state(std::move(adam));
  }
  step_ = static_cast<int>(state.number("step"));
  model_ = std::move(model);
  adam_ = std::move(optimizers);
}

}  // namespace fewwatt::meta
