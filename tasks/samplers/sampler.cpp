#include "tasks/samplers/sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "hw/random.hpp"
#include "hw/text.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {
namespace {

using hw::PowerMode;
using hw::PowerModeSpace;
using RowVector = Eigen::RowVectorXd;

// Log settings, each knob scaled to [0,1]; a knob with one level gives 0.
RowVector scaled_logs(const PowerModeSpace& space, const PowerMode& mode) {
  RowVector x(static_cast<Eigen::Index>(mode.size()));
  for (std::size_t k = 0; k < mode.size(); ++k) {
    const double low = std::log(space.knobs()[k].levels.front()), high = std::log(space.max_level(k));
    x[static_cast<Eigen::Index>(k)] = high > low ? (std::log(mode[k]) - low) / (high - low) : 0.0;
  }
  return x;
}

Matrix scaled_logs(const PowerModeSpace& space) {
  Matrix all(static_cast<Eigen::Index>(space.size()), static_cast<Eigen::Index>(space.knobs().size()));
  for (std::size_t i = 0; i < space.size(); ++i) {
    all.row(static_cast<Eigen::Index>(i)) = scaled_logs(space, space.at(i));
  }
  return all;
}

// None of these learns from what a mode cost.
class ModelFreeSampler : public ModeSampler {
 public:
  explicit ModelFreeSampler(const PowerModeSpace& space) : space_(space) {}
  void tell(const PowerMode&, const hw::Measurement&) override {}

 protected:
  PowerModeSpace space_;
};

class RandomSampler final : public ModelFreeSampler {
 public:
  RandomSampler(const PowerModeSpace& space, std::size_t, std::uint64_t seed)
      : ModelFreeSampler(space),
        order_(hw::Rng::stream(seed, "sampler/random").sample(space.size(), space.size())) {}

  std::optional<PowerMode> ask() override {
    if (next_ == order_.size()) return std::nullopt;
    return space_.at(order_[next_++]);
  }

 private:
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

// McKay, Beckman, Conover 1979. Knobs are discrete: strata cut the level numbers, and a planned mode that was
// asked already or is not in the space gives way to the nearest one not yet asked.
class LatinHypercubeSampler final : public ModelFreeSampler {
 public:
  LatinHypercubeSampler(const PowerModeSpace& space, std::size_t planned, std::uint64_t seed)
      : ModelFreeSampler(space), points_(scaled_logs(space)), asked_(space.size(), false) {
    auto rng = hw::Rng::stream(seed, "sampler/latin-hypercube");
    planned = std::min(planned, space.size());
    std::vector<std::vector<int>> columns;
    for (const auto& knob : space.knobs()) {
      auto& column = columns.emplace_back();
      for (const auto stratum : rng.sample(planned, planned)) {
        const double position = (static_cast<double>(stratum) + rng.uniform()) / static_cast<double>(planned);
        const auto level = static_cast<std::size_t>(position * static_cast<double>(knob.levels.size()));
        column.push_back(knob.levels[std::min(level, knob.levels.size() - 1)]);
      }
    }
    for (std::size_t i = 0; i < planned; ++i) {
      std::vector<int> settings;
      for (const auto& column : columns) settings.push_back(column[i]);
      plan_.emplace_back(settings);
    }
    beyond_ = rng.sample(space.size(), space.size());
  }

  std::optional<PowerMode> ask() override {
    if (num_asked_ == space_.size()) return std::nullopt;
    const std::size_t index = num_asked_ < plan_.size() ? planned(plan_[num_asked_]) : random();
    asked_[index] = true;
    ++num_asked_;
    return space_.at(index);
  }

 private:
  std::size_t planned(const PowerMode& mode) const {
    const auto index = space_.index_of(mode);
    if (index && !asked_[*index]) return *index;
    const RowVector wanted = scaled_logs(space_, mode);
    std::size_t nearest = 0;
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      if (asked_[i]) continue;
      const double distance = (points_.row(static_cast<Eigen::Index>(i)) - wanted).squaredNorm();
      if (distance < smallest) {
        smallest = distance;
        nearest = i;
      }
    }
    return nearest;
  }

  std::size_t random() {
    while (asked_[beyond_[next_beyond_]]) ++next_beyond_;
    return beyond_[next_beyond_];
  }

  Matrix points_;  // [modes, knobs]
  std::vector<PowerMode> plan_;
  std::vector<std::size_t> beyond_;  // all modes in random order
  std::vector<bool> asked_;
  std::size_t num_asked_ = 0, next_beyond_ = 0;
};

// Johnson, Moore, Ylvisaker 1990, greedily. The first mode is random, and so is the choice among equally far
// ones.
class MaximinSampler final : public ModelFreeSampler {
 public:
  MaximinSampler(const PowerModeSpace& space, std::size_t, std::uint64_t seed)
      : ModelFreeSampler(space),
        order_(hw::Rng::stream(seed, "sampler/maximin").sample(space.size(), space.size())),
        points_(scaled_logs(space)(order_, Eigen::all)),
        distances_(Vector::Constant(points_.rows(), std::numeric_limits<double>::infinity())) {}

  std::optional<PowerMode> ask() override {
    if (num_asked_ == order_.size()) return std::nullopt;
    Eigen::Index farthest = 0;  // asked modes have distance 0, all others more
    distances_.maxCoeff(&farthest);
    const RowVector chosen = points_.row(farthest);
    distances_ = distances_.cwiseMin((points_.rowwise() - chosen).rowwise().squaredNorm());
    ++num_asked_;
    return space_.at(order_[static_cast<std::size_t>(farthest)]);
  }

 private:
  std::vector<std::size_t> order_;  // row of points_ -> mode
  Matrix points_;                   // [modes, knobs]
  Vector distances_;                // squared, to the nearest mode asked
  std::size_t num_asked_ = 0;
};

template <class Sampler>
std::unique_ptr<ModeSampler> make(const PowerModeSpace& space, std::size_t planned, std::uint64_t seed) {
  return std::make_unique<Sampler>(space, planned, seed);
}

constexpr std::array<ModelFree, 3> kSamplers = {
    {{"random", "uniform without replacement", make<RandomSampler>},
     {"latin-hypercube", "each part of each knob's levels once", make<LatinHypercubeSampler>},
     {"maximin", "the mode farthest from all chosen ones, in log settings", make<MaximinSampler>}}};

}  // namespace

std::span<const ModelFree> model_free_samplers() {
  return kSamplers;
}

std::unique_ptr<ModeSampler> make_sampler(std::string_view name, const PowerModeSpace& space,
                                          std::size_t planned, std::uint64_t seed) {
  for (const auto& one : kSamplers)
    if (one.name == name) return one.make(space, planned, seed);
  throw std::invalid_argument("make_sampler: no sampler \"" + std::string(name) + "\"; there are " +
                              hw::join(kSamplers, ", ", [](const auto& one) { return one.name; }) +
                              hw::did_you_mean(name, kSamplers, [](const auto& one) { return one.name; }));
}

}  // namespace fewwatt::tasks
