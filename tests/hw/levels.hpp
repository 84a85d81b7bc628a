#pragma once

#include <vector>

#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// The levels of a knob of the space.
inline std::vector<long long> levels_of(const PowerModeSpace& space, KnobRole role) {
  const auto& levels = space.knobs()[*space.knob_with(role)].levels;
  return {levels.begin(), levels.end()};
}

// Hz as kHz.
inline std::vector<long long> thousandth(std::vector<long long> values) {
  for (auto& value : values) value /= 1000;
  return values;
}

}  // namespace fewwatt::hw
