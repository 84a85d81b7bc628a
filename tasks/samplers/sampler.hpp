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
  // The next mode to measure: one of the space that was not asked for before; nullopt when there are no more.
  virtual std::optional<hw::PowerMode> ask() = 0;
  // Says what a mode cost. Calls may come in any order, also for modes that were not asked for.
  virtual void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) = 0;
};

// The names of samplers that need no learner:
// random           uniform without replacement
// latin-hypercube  each knob's levels are cut into `planned` equal strata, each used once (McKay et al. 1979)
// maximin          greedily the mode farthest from all chosen ones, in log knobs scaled to [0,1]
//                  (Johnson et al. 1990)
struct ModelFree {
  std::string_view name;   // "maximin"
  std::string_view about;  // one line
  // The sampler; `planned` as for make_sampler().
  std::unique_ptr<ModeSampler> (*make)(const hw::PowerModeSpace& space, std::size_t planned,
                                       std::uint64_t seed);
};
std::span<const ModelFree> model_free_samplers();  // all of them, in the order above

// The sampler of that name, with a copy of the space. `planned`: how many modes will be asked for; latin-hypercube needs it, and goes on
// at random beyond. Throws std::invalid_argument listing the known names.
std::unique_ptr<ModeSampler> make_sampler(std::string_view name, const hw::PowerModeSpace& space,
                                          std::size_t planned, std::uint64_t seed);

}  // namespace fewwatt::tasks
