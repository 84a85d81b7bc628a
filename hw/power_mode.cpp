#include "hw/power_mode.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::hw {
namespace {

constexpr std::array<std::string_view, kKnobRoles.size()> kRoleNames = {
    "cpu_cores", "cpu_khz", "gpu_khz", "mem_khz", "power_limit_mw", "batch_size"};

void check_knobs(const std::vector<Knob>& knobs) {
  if (knobs.empty()) throw std::invalid_argument("PowerModeSpace: needs at least one knob");
  if (knobs.size() > PowerMode::kMaxKnobs) {
    throw std::invalid_argument("PowerModeSpace: at most " + std::to_string(PowerMode::kMaxKnobs) +
                                " knobs, got " + std::to_string(knobs.size()));
  }
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    const std::string name(to_string(knobs[k].role));
    const auto& levels = knobs[k].levels;
    if (levels.empty()) throw std::invalid_argument("PowerModeSpace: knob " + name + " has no levels");
    if (levels.front() <= 0) {
      throw std::invalid_argument("PowerModeSpace: levels of " + name + " must be > 0, got " +
                                  std::to_string(levels.front()));
    }
    const auto bad = std::adjacent_find(levels.begin(), levels.end(), [](int a, int b) { return a >= b; });
    if (bad != levels.end()) {
      throw std::invalid_argument("PowerModeSpace: levels of " + name + " must be strictly increasing, got " +
                                  std::to_string(bad[0]) + " before " + std::to_string(bad[1]));
    }
    for (std::size_t other = 0; other < k; ++other) {
      if (knobs[other].role == knobs[k].role) {
        throw std::invalid_argument("PowerModeSpace: two knobs have the role " + name);
      }
    }
  }
}

std::optional<std::size_t> level_index(const Knob& knob, int setting) {
  const auto it = std::lower_bound(knob.levels.begin(), knob.levels.end(), setting);
  if (it == knob.levels.end() || *it != setting) return std::nullopt;
  return static_cast<std::size_t>(it - knob.levels.begin());
}

}  // namespace

std::string_view to_string(KnobRole role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

std::optional<KnobRole> parse_knob_role(std::string_view name) {
  const auto it = std::find(kRoleNames.begin(), kRoleNames.end(), name);
  if (it == kRoleNames.end()) return std::nullopt;
  return kKnobRoles[static_cast<std::size_t>(it - kRoleNames.begin())];
}

PowerMode::PowerMode(std::initializer_list<int> settings)
    : PowerMode(std::span<const int>(settings.begin(), settings.size())) {}

PowerMode::PowerMode(std::span<const int> settings) : size_(settings.size()) {
  if (settings.size() > kMaxKnobs) {
    throw std::invalid_argument("PowerMode: at most " + std::to_string(kMaxKnobs) + " settings, got " +
                                std::to_string(settings.size()));
  }
  std::copy(settings.begin(), settings.end(), settings_.begin());
}

PowerModeSpace::PowerModeSpace(std::vector<Knob> knobs, std::vector<PowerMode> modes)
    : knobs_(std::move(knobs)), modes_(std::move(modes)) {}

std::optional<std::size_t> combinations(const std::vector<Knob>& knobs, std::size_t most) {
  std::size_t count = 1;
  for (const auto& knob : knobs) {
    if (knob.levels.empty()) return 0;
    if (count > most / knob.levels.size()) return std::nullopt;
    count *= knob.levels.size();
  }
  return count;
}

PowerModeSpace PowerModeSpace::grid(std::vector<Knob> knobs, std::size_t most) {
  check_knobs(knobs);
  const auto size = combinations(knobs, most);
  if (!size) {
    const auto& largest = *std::max_element(knobs.begin(), knobs.end(), [](const Knob& a, const Knob& b) {
      return a.levels.size() < b.levels.size();
    });
    throw std::invalid_argument("PowerModeSpace: expected at most " + std::to_string(most) +
                                " combinations of levels, found more; " +
                                std::string(to_string(largest.role)) + " has the most levels, " +
                                std::to_string(largest.levels.size()));
  }
  PowerModeSpace space(std::move(knobs), {});
  space.size_ = *size;
  return space;
}

PowerModeSpace PowerModeSpace::list(std::vector<Knob> knobs, std::vector<PowerMode> modes) {
  check_knobs(knobs);
  if (modes.empty()) throw std::invalid_argument("PowerModeSpace: the list of modes is empty");
  for (const auto& mode : modes) {
    if (mode.size() != knobs.size()) {
      throw std::invalid_argument("PowerModeSpace: a mode has " + std::to_string(mode.size()) +
                                  " settings for " + std::to_string(knobs.size()) + " knobs");
    }
    for (std::size_t k = 0; k < knobs.size(); ++k) {
      if (!level_index(knobs[k], mode[k])) {
        throw std::invalid_argument("PowerModeSpace: " + std::to_string(mode[k]) + " is no level of " +
                                    std::string(to_string(knobs[k].role)));
      }
    }
  }
  std::sort(modes.begin(), modes.end());
  PowerModeSpace space(std::move(knobs), std::move(modes));
  const auto twice = std::adjacent_find(space.modes_.begin(), space.modes_.end());
  if (twice != space.modes_.end()) {
    throw std::invalid_argument("PowerModeSpace: mode given twice: " + describe(space, *twice));
  }
  space.size_ = space.modes_.size();
  return space;
}

PowerMode PowerModeSpace::at(std::size_t index) const {
  if (index >= size_) {
    throw std::out_of_range("PowerModeSpace: mode " + std::to_string(index) + " of " + std::to_string(size_));
  }
  if (!is_grid()) return modes_[index];
  std::array<int, PowerMode::kMaxKnobs> settings{};
  for (std::size_t k = knobs_.size(); k-- > 0;) {
    const auto& levels = knobs_[k].levels;
    settings[k] = levels[index % levels.size()];
    index /= levels.size();
  }
  return PowerMode(std::span<const int>(settings.data(), knobs_.size()));
}

std::optional<std::size_t> PowerModeSpace::index_of(const PowerMode& mode) const {
  if (mode.size() != knobs_.size()) return std::nullopt;
  if (!is_grid()) {
    const auto it = std::lower_bound(modes_.begin(), modes_.end(), mode);
    if (it == modes_.end() || *it != mode) return std::nullopt;
    return static_cast<std::size_t>(it - modes_.begin());
  }
  std::size_t index = 0;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    const auto level = level_index(knobs_[k], mode[k]);
    if (!level) return std::nullopt;
    index = index * knobs_[k].levels.size() + *level;
  }
  return index;
}

PowerMode PowerModeSpace::lowest() const {
  const auto height = [](const PowerMode& mode) {
    double sum = 0;
    for (std::size_t k = 0; k < mode.size(); ++k) sum += std::log(mode[k]);
    return sum;
  };
  auto lowest = at(0);
  for (std::size_t i = 1; i < size_; ++i)
    if (const auto mode = at(i); height(mode) < height(lowest)) lowest = mode;
  return lowest;
}

std::vector<PowerMode> PowerModeSpace::modes() const {
  std::vector<PowerMode> all;
  all.reserve(size_);
  for (std::size_t i = 0; i < size_; ++i) all.push_back(at(i));
  return all;
}

std::optional<std::size_t> PowerModeSpace::knob_with(KnobRole role) const {
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    if (knobs_[k].role == role) return k;
  }
  return std::nullopt;
}

std::string describe(const PowerModeSpace& space, const PowerMode& mode) {
  std::string text;
  for (std::size_t k = 0; k < mode.size(); ++k) {
    if (k > 0) text += ' ';
    text += k < space.knobs().size() ? to_string(space.knobs()[k].role) : std::string_view("?");
    text += '=' + std::to_string(mode[k]);
  }
  return text;
}

std::string describe_roles(const PowerModeSpace& space) {
  std::string text;
  for (const auto& knob : space.knobs()) {
    if (!text.empty()) text += ", ";
    text += to_string(knob.role);
  }
  return text;
}

}  // namespace fewwatt::hw
