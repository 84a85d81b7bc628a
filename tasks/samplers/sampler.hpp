#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hw/device.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::tasks {

// Chooses which modes to measure. Proposes the next one, learns what it cost.
class ModeSampler {
 public:
  virtual ~ModeSampler() = default;
  // A mode of the space that was not asked before; nullopt when there are no more.
  virtual std::optional<hw::PowerMode> ask() = 0;
  // What a mode cost, in any order, also of modes that were not asked for.
  virtual void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) = 0;
};

// random           uniform without replacement
// latin-hypercube  each knob's levels are cut into `planned` equal strata, each used once (McKay et al. 1979)
// maximin          greedily the mode farthest from all chosen ones, in log knobs scaled to [0,1]
//                  (Johnson et al. 1990)
std::span<const std::string_view> sampler_names();

// `planned`: how many modes will be asked for; latin-hypercube needs it, and goes on at random beyond. Keeps
// a copy of the space. Throws std::invalid_argument listing the known names.
std::unique_ptr<ModeSampler> make_sampler(std::string_view name, const hw::PowerModeSpace& space,
                                          std::size_t planned, std::uint64_t seed);

}  // namespace fewwatt::tasks
