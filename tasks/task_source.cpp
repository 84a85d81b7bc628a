#include "tasks/task_source.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace fewwatt::tasks {
namespace {

std::vector<std::size_t> all_rows(const datasets::Profile& profile) {
  std::vector<std::size_t> rows(profile.modes.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

Task sample_rows(const datasets::Profile& profile, const std::vector<std::size_t>& rows, std::size_t shots,
                 std::size_t query, hw::Rng& rng) {
  auto drawn = rng.sample(rows.size(), shots + query);
  for (auto& row : drawn) row = rows[row];
  const std::span<const std::size_t> all(drawn);
  return {profile.device + "/" + profile.workload, samples_of(profile, all.first(shots)),
          samples_of(profile, all.subspan(shots))};
}

// The rows on a random sub-grid of the profile's space: of each knob, a random half or more of the levels.
std::vector<std::size_t> sub_grid_rows(const datasets::Profile& profile, hw::Rng& rng) {
  const auto& knobs = profile.space->knobs();
  std::vector<std::set<int>> kept;
  for (const auto& knob : knobs) {
    const std::size_t n = knob.levels.size(), half = (n + 1) / 2;
    auto& levels = kept.emplace_back();
    for (const auto level : rng.sample(n, half + rng.below(n - half + 1))) levels.insert(knob.levels[level]);
  }
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < profile.modes.size(); ++row) {
    bool inside = true;
    for (std::size_t k = 0; k < knobs.size() && inside; ++k) inside = kept[k].contains(profile.modes[row][k]);
    if (inside) rows.push_back(row);
  }
  return rows;
}

// Both draws are made whatever the settings are, so that these do not shift the draws of later tasks.
void augment(Task& task, const Augmentation& augmentation, hw::Rng& rng) {
  for (int target = 0; target < kNumTargets; ++target) {
    const double offset = augmentation.log_offset * rng.normal();
    const double scale = std::exp(augmentation.log_scale * rng.normal());
    if (augmentation.log_offset == 0 && augmentation.log_scale == 0) continue;
    double sum = 0;
    int known = 0;
    for (const auto* samples : {&task.support, &task.query}) {
      for (const double value : samples->targets.col(target)) {
        if (std::isnan(value)) continue;
        sum += std::log(value);
        ++known;
      }
    }
    const double centre = sum / known;  // without known values there is nothing to change
    for (auto* samples : {&task.support, &task.query}) {
      for (double& value : samples->targets.col(target)) {
        value = std::exp(centre + offset + scale * (std::log(value) - centre));
      }
    }
  }
}

std::string check_deviation(const char* field, double value) {
  if (value >= 0 && std::isfinite(value)) return "";
  return std::string("Augmentation: ") + field + " must be >= 0 and finite, got " + std::to_string(value);
}

}  // namespace

Task sample_task(const datasets::Profile& profile, std::size_t shots, hw::Rng& rng, std::size_t query) {
  const std::size_t n = profile.modes.size();
  if (n <= shots) {
    throw std::invalid_argument("sample_task: " + profile.device + "/" + profile.workload + " has " +
                                std::to_string(n) + " modes, " + std::to_string(shots) +
                                " shots need at least " + std::to_string(shots + 1));
  }
  return sample_rows(profile, all_rows(profile), shots, std::min(query, n - shots), rng);
}

std::string Augmentation::error() const {
  if (auto bad = check_deviation("log_offset", log_offset); !bad.empty()) return bad;
  if (auto bad = check_deviation("log_scale", log_scale); !bad.empty()) return bad;
  if (!(sub_grid >= 0 && sub_grid <= 1)) {
    return "Augmentation: sub_grid must be in [0,1], got " + std::to_string(sub_grid);
  }
  return "";
}

std::string TaskSourceOptions::error() const {
  if (min_shots < 1) return "TaskSourceOptions: min_shots must be >= 1, got 0";
  if (max_shots < min_shots) {
    return "TaskSourceOptions: max_shots must be >= min_shots = " + std::to_string(min_shots) + ", got " +
           std::to_string(max_shots);
  }
  if (query < 1) return "TaskSourceOptions: query must be >= 1, got 0";
  if (!(also >= 0 && also <= 1))
    return "TaskSourceOptions: also must be in [0,1], got " + std::to_string(also);
  return augmentation.error();
}

TaskSource::TaskSource(std::vector<datasets::Profile> training, TaskSourceOptions options,
                       std::vector<datasets::Profile> also)
    : profiles_(std::move(training)), also_(std::move(also)), options_(options) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (profiles_.empty()) throw std::invalid_argument("TaskSource: no profile to train on");
  std::size_t most = 0;
  for (const auto* all : {&profiles_, &also_}) {
    for (const auto& profile : *all) {
      most = std::max(most, profile.modes.size());
      if (profile.modes.size() <= options_.min_shots) {
        throw std::invalid_argument("TaskSource: " + profile.device + "/" + profile.workload + " has " +
                                    std::to_string(profile.modes.size()) +
                                    " modes, min_shots = " + std::to_string(options_.min_shots) +
                                    " needs at least " + std::to_string(options_.min_shots + 1));
      }
    }
  }
  if (most <= options_.max_shots) {
    throw std::invalid_argument("TaskSource: no profile has more than " + std::to_string(most) +
                                " modes, max_shots = " + std::to_string(options_.max_shots) +
                                " needs at least " + std::to_string(options_.max_shots + 1));
  }
}

std::vector<Task> TaskSource::next(std::size_t batch, hw::Rng& rng) const {
  const std::size_t shots = options_.min_shots + rng.below(options_.max_shots - options_.min_shots + 1);
  const auto with_enough_modes = [&](const std::vector<datasets::Profile>& profiles) {
    std::vector<const datasets::Profile*> found;
    for (const auto& profile : profiles)
      if (profile.modes.size() > shots) found.push_back(&profile);
    return found;
  };
  const auto training = with_enough_modes(profiles_), also = with_enough_modes(also_);
  std::vector<Task> tasks;
  tasks.reserve(batch);
  while (tasks.size() < batch) {
    const bool other = !also.empty() && (training.empty() || rng.uniform() < options_.also);
    const auto& eligible = other ? also : training;
    const auto& profile = *eligible[rng.below(eligible.size())];
    const std::size_t query = std::min(options_.query, profile.modes.size() - shots);
    auto rows = all_rows(profile);
    if (rng.uniform() < options_.augmentation.sub_grid) {
      auto fewer = sub_grid_rows(profile, rng);
      if (fewer.size() >= shots + query) rows = std::move(fewer);
    }
    tasks.push_back(sample_rows(profile, rows, shots, query, rng));
    augment(tasks.back(), options_.augmentation, rng);
  }
  return tasks;
}

}  // namespace fewwatt::tasks
