#include "meta/net_state.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "hw/random.hpp"

namespace fewwatt::meta {
namespace {

using learners::FineTuneModel;
using tasks::kNumTargets;
using tasks::kTargetNames;

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

// Features and normalised targets.
struct Rows {
  Matrix x, y;
};
Rows rows_for(const FineTuneModel& model, const learners::TargetRows& rows, double mean, double scale) {
  return {model.scaler(learners::encode(model.features, *rows.space, rows.modes)),
          (rows.values.array().log() - mean) / scale};
}

}  // namespace

std::string NetOptions::error() const {
  for (const int size : hidden) {
    if (size < 1) return "NetOptions: hidden must be >= 1, got " + std::to_string(size);
  }
  for (const auto& options : fine_tune) {
    if (auto bad = options.error(); !bad.empty()) return bad;
  }
  return "";
}

Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target) {
  auto rng = hw::Rng::stream(seed, "initial weights", static_cast<std::uint64_t>(target));
  return learners::random_parameters(shape, rng);
}

void check_start(const std::string& knobs, const std::string& training_knobs) {
  if (knobs != training_knobs)
    throw std::invalid_argument("--init: was trained for the knobs " + knobs + ", the profiles have " +
                                training_knobs);
}

void check_start(const std::string& learner, const learners::MlpShape& shape,
                 const learners::MlpShape& wanted) {
  if (shape.sizes != wanted.sizes || shape.activation != wanted.activation)
    throw std::invalid_argument("--init: its net is not of the shape that " + learner + " trains now");
}

FineTuneModel new_model(const std::string& learner, std::span<const datasets::Profile> training,
                        const NetOptions& options, std::uint64_t seed, const FineTuneModel* start) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (training.empty()) throw std::invalid_argument(learner + ": no profile to train on");
  FineTuneModel model;
  model.trained_by = learner;
  model.knobs = learners::roles_text(*training[0].space);
  for (const auto& profile : training) learners::check_roles(learner, model.knobs, *profile.space);
  const Matrix features = all_features(training, model.features);
  model.scaler = learners::Scaler::fit(features);
  model.shape.sizes = {static_cast<int>(features.cols())};
  model.shape.sizes.insert(model.shape.sizes.end(), options.hidden.begin(), options.hidden.end());
  model.shape.sizes.push_back(1);
  model.shape.activation = options.activation;
  if (start != nullptr) {
    check_start(start->knobs, model.knobs);
    check_start(learner, start->shape, model.shape);
    model.scaler = start->scaler;
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const auto scale = target_scale(training, t);
    if (!scale) continue;
    if (start != nullptr && start->targets[t])
      model.targets[t] = start->targets[t];
    else
      model.targets[t] = {initial_weights(model.shape, seed, t), *scale, options.fine_tune[t]};
  }
  return model;
}

EpisodeBatch make_episodes(const FineTuneModel& model, int target, std::span<const tasks::Task> tasks) {
  EpisodeBatch batch;
  const auto which = static_cast<tasks::Target>(target);
  const double scale = model.targets[target]->target_scale;
  for (const auto& task : tasks) {
    const auto support = learners::rows_of(task.support, which), query = learners::rows_of(task.query, which);
    if (support.modes.empty() || query.modes.empty()) continue;
    const double mean = support.values.array().log().mean();
    auto s = rows_for(model, support, mean, scale), t = rows_for(model, query, mean, scale);
    batch.episodes.push_back({std::move(s.x), std::move(s.y), std::move(t.x), std::move(t.y)});
    batch.tasks.push_back(&task);
  }
  return batch;
}

std::vector<Episode> even_episodes(const FineTuneModel& model, int target,
                                   std::span<const tasks::Task> tasks) {
  auto all = make_episodes(model, target, tasks).episodes;
  Eigen::Index k = std::numeric_limits<Eigen::Index>::max(), q = k;
  for (const auto& e : all) {
    k = std::min(k, e.support_x.rows());
    q = std::min(q, e.query_x.rows());
  }
  for (auto& e : all) {
    for (auto* part : {&e.support_x, &e.support_y}) part->conservativeResize(k, Eigen::NoChange);
    for (auto* part : {&e.query_x, &e.query_y}) part->conservativeResize(q, Eigen::NoChange);
  }
  return all;
}

StepReport gradient_step(const std::string& learner, int step, double clip_norm,
                         std::span<const tasks::Task> batch,
                         const std::function<std::optional<TargetGradient>(tasks::Target)>& gradient,
                         const std::function<void(tasks::Target, const Vector&)>& take) {
  std::array<std::optional<TargetGradient>, kNumTargets> all;
  StepReport report;
  int trained = 0;
  for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto diverged = [&](const std::string& what) {
      return Diverged(learner + ": " + tasks::kTargetNames[t] + ", step " + std::to_string(step + 1) +
                      ", task " + batch[0].name + " and others: " + what);
    };
    try {
      all[t] = gradient(t);
    } catch (const Diverged& e) {
      throw diverged(e.what());
    }
    if (!all[t]) continue;
    const double norm = all[t]->gradient.norm();
    if (!std::isfinite(all[t]->loss) || !std::isfinite(norm)) throw diverged("the loss is not finite");
    if (norm > clip_norm) all[t]->gradient *= clip_norm / norm;
    report.loss += all[t]->loss;
    ++trained;
  }
  for (const auto t : {tasks::kTimeMs, tasks::kPowerW})
    if (all[t]) take(t, all[t]->gradient);
  if (trained > 0) report.loss /= trained;
  return report;
}

double cosine_rate(double rate, int step, int max_steps) {
  const double progress = std::min(1.0, static_cast<double>(step) / std::max(1, max_steps));
  return rate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

Vector sized_vector(const learners::Checkpoint& state, const std::string& name, Eigen::Index size) {
  Vector values = state.vector(name);
  if (values.size() != size) {
    throw std::invalid_argument(state.learner + ": " + name + " must have " + std::to_string(size) +
                                " values, has " + std::to_string(values.size()));
  }
  return values;
}

void write_adam(learners::Checkpoint& state, const std::string& prefix, const learners::Adam<double>& adam) {
  state.tensors[prefix + "first_moment"] = adam.state().first.transpose();
  state.tensors[prefix + "second_moment"] = adam.state().second.transpose();
  state.numbers[prefix + "adam_steps"] = {static_cast<double>(adam.state().steps)};
}

void read_adam(const learners::Checkpoint& state, const std::string& prefix, learners::Adam<double>& adam) {
  const auto size = adam.state().first.size();
  adam.set_state({sized_vector(state, prefix + "first_moment", size),
                  sized_vector(state, prefix + "second_moment", size),
                  state.integer(prefix + "adam_steps", 0, kMostSteps)});
}

void check_state(const learners::Checkpoint& state, const std::string& kind) {
  if (state.learner == kind) return;
  throw std::invalid_argument("training state must be a " + kind + ", is a " + state.learner);
}

}  // namespace fewwatt::meta
