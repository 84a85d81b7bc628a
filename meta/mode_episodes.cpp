#include "meta/mode_episodes.hpp"

#include <cmath>
#include <stdexcept>

#include "hw/random.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {
namespace {

using tasks::kNumTargets;

Matrix all_features(std::span<const datasets::Profile> training, learners::FeatureSet set) {
  std::vector<Matrix> parts;
  for (const auto& profile : training) parts.push_back(learners::encode(set, *profile.space, profile.modes));
  return stacked(parts);
}

// Root mean square of log targets around their profile's mean, 1 where these are all the same; nullopt when no profile has the target.
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
  return rms > learners::kLeastFactor ? rms : 1.0;
}

// Of the values that are known; 0 where none is.
double known_mean(const Vector& logs) {
  double sum = 0;
  int count = 0;
  for (const double value : logs) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

Matrix ModeEncoder::inputs(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) const {
  const Matrix own = scaler(learners::encode(features, space, modes));
  if (!more) return own;
  const Matrix others = more(space, modes);
  Matrix all(own.rows(), own.cols() + others.cols());
  all << own, others;
  return all;
}

tasks::Episode ModeEncoder::operator()(const tasks::Task& task) const {
  tasks::Episode episode{inputs(*task.support.space, task.support.modes), task.support.targets.array().log(),
                         inputs(*task.query.space, task.query.modes), task.query.targets.array().log(),
                         task.name};
  for (int t = 0; t < kNumTargets; ++t) {
    const double mean = centred ? known_mean(episode.support_y.col(t)) : 0;
    for (auto* y : {&episode.support_y, &episode.query_y}) {
      if (scales[t])
        y->col(t) = (y->col(t).array() - mean) / *scales[t];
      else
        y->col(t).setConstant(std::nan(""));
    }
  }
  return episode;
}

std::vector<tasks::Episode> ModeEncoder::of_target(tasks::Target target,
                                                   std::span<const tasks::Task> tasks) const {
  std::vector<tasks::Episode> episodes;
  for (const auto& task : tasks)
    if (auto known = tasks::known_rows(tasks::with_target((*this)(task), target)))
      episodes.push_back(std::move(*known));
  return episodes;
}

ModeEncoder ModeEncoder::of(const std::string& learner, std::span<const datasets::Profile> training) {
  if (training.empty()) throw std::invalid_argument(learner + ": no profile to train on");
  ModeEncoder encoder;
  encoder.knobs = learners::roles_text(*training[0].space);
  for (const auto& profile : training) learners::check_roles(learner, encoder.knobs, *profile.space);
  encoder.scaler = learners::Scaler::fit(all_features(training, encoder.features));
  for (int t = 0; t < kNumTargets; ++t) encoder.scales[t] = target_scale(training, t);
  return encoder;
}

ModeEpisodes::ModeEpisodes(tasks::TaskSource tasks, ModeEncoder encoder, std::uint64_t seed)
    : tasks_(std::move(tasks)), encoder_(std::move(encoder)), seed_(seed) {}

std::vector<tasks::Task> ModeEpisodes::tasks_of(std::uint64_t step, std::size_t count) const {
  auto rng = hw::Rng::stream(seed_, "training tasks", step);
  return tasks_.next(count, rng);
}

tasks::Episode ModeEpisodes::draw(std::uint64_t step, std::uint64_t number) const {
  return encoder_(tasks_of(step, static_cast<std::size_t>(number) + 1).back());
}

std::vector<tasks::Episode> ModeEpisodes::batch(std::uint64_t step, std::size_t count) const {
  std::vector<tasks::Episode> episodes;
  for (const auto& task : tasks_of(step, count)) episodes.push_back(encoder_(task));
  return episodes;
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

}  // namespace fewwatt::meta
