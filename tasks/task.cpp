#include "tasks/task.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>

namespace fewwatt::tasks {

Characteristics characteristics_of(const datasets::WorkloadAttributes& attributes) {
  return {attributes.batch_size, attributes.layers, attributes.parameters, attributes.flops,
          attributes.time_of};
}

double noise_factor(double repeats, double spread) {
  const double usual = kUsualNoise * kUsualNoise;
  const double known = std::isnan(spread) ? 0 : (repeats - 1) * spread * spread;
  return std::max(1.0, (known / usual + 1) / repeats) / repeats;
}

Samples Samples::subset(std::span<const std::size_t> rows) const {
  Samples part{space, {}, Matrix(static_cast<Eigen::Index>(rows.size()), targets.cols()), characteristics};
  if (noise_factors.size() > 0)
    part.noise_factors.resize(static_cast<Eigen::Index>(rows.size()), kNumTargets);
  part.modes.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    part.modes.push_back(modes.at(rows[i]));
    part.targets.row(static_cast<Eigen::Index>(i)) = targets.row(static_cast<Eigen::Index>(rows[i]));
    if (noise_factors.size() > 0)
      part.noise_factors.row(static_cast<Eigen::Index>(i)) =
          noise_factors.row(static_cast<Eigen::Index>(rows[i]));
  }
  return part;
}

bool Samples::has(Target target) const {
  return targets.cols() > target && !targets.col(target).array().isNaN().all();
}

void Samples::check() const {
  if (!space) throw std::invalid_argument("Samples: space is not set");
  if (targets.rows() != static_cast<Eigen::Index>(modes.size()) || targets.cols() != kNumTargets) {
    throw std::invalid_argument("Samples: " + std::to_string(modes.size()) + " modes need targets [" +
                                std::to_string(modes.size()) + ",2], got [" + std::to_string(targets.rows()) +
                                "," + std::to_string(targets.cols()) + "]");
  }
  for (const auto& [name, member] : kCharacteristics) {
    const auto& value = characteristics.*member;
    if (value && !(*value > 0 && std::isfinite(*value)))
      throw std::invalid_argument("Samples: " + std::string(name) + " must be positive and finite, got " +
                                  std::to_string(*value));
  }
  if (noise_factors.size() > 0 &&
      (noise_factors.rows() != targets.rows() || noise_factors.cols() != kNumTargets))
    throw std::invalid_argument("Samples: " + std::to_string(modes.size()) + " modes need noise_factors [" +
                                std::to_string(modes.size()) + ",2], got [" +
                                std::to_string(noise_factors.rows()) + "," +
                                std::to_string(noise_factors.cols()) + "]");
  std::map<hw::PowerMode, std::size_t> seen;
  for (std::size_t row = 0; row < modes.size(); ++row) {
    const std::string where = "Samples: row " + std::to_string(row);
    if (!space->index_of(modes[row])) {
      throw std::invalid_argument(where + ": no mode of the device: " + hw::describe(*space, modes[row]));
    }
    const auto [first, is_new] = seen.emplace(modes[row], row);
    if (!is_new) {
      throw std::invalid_argument(where + ": same mode as row " + std::to_string(first->second) + ": " +
                                  hw::describe(*space, modes[row]));
    }
    for (int target = 0; target < kNumTargets && noise_factors.size() > 0; ++target) {
      const double factor = noise_factors(static_cast<Eigen::Index>(row), target);
      if (!(factor > 0 && std::isfinite(factor)))
        throw std::invalid_argument(where + ": noise_factors must be positive and finite, got " +
                                    std::to_string(factor));
    }
    for (int target = 0; target < kNumTargets; ++target) {
      const double value = targets(static_cast<Eigen::Index>(row), target);
      if (!std::isnan(value) && !(value > 0 && std::isfinite(value))) {
        throw std::invalid_argument(where + ": " + kTargetNames[target] +
                                    " must be positive and finite, got " + std::to_string(value));
      }
    }
  }
}

Samples samples_of(const datasets::Profile& profile) {
  std::vector<std::size_t> rows(profile.modes.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return samples_of(profile, rows);
}

Samples samples_of(const datasets::Profile& profile, std::span<const std::size_t> rows) {
  Samples samples{profile.space,
                  {},
                  Matrix(static_cast<Eigen::Index>(rows.size()), kNumTargets),
                  characteristics_of(profile.attributes)};
  samples.modes.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& measured = profile.measurements.at(rows[i]);
    samples.modes.push_back(profile.modes.at(rows[i]));
    samples.targets.row(static_cast<Eigen::Index>(i)) << measured.time_ms, measured.power_w;
  }
  Matrix factors = Matrix::Ones(samples.targets.rows(), kNumTargets);
  for (const auto& [target, stddevs] :
       {std::pair(kTimeMs, &profile.time_std_ms), {kPowerW, &profile.power_std_w}})
    for (std::size_t i = 0; i < rows.size() && !stddevs->empty(); ++i) {
      const auto row = static_cast<Eigen::Index>(i);
      const double spread = stddevs->at(rows[i]) / samples.targets(row, target);
      factors(row, target) = std::max(1.0, noise_factor(profile.measurements[rows[i]].repeats, spread));
    }
  if ((factors.array() > 1).any()) samples.noise_factors = std::move(factors);
  return samples;
}

}  // namespace fewwatt::tasks
