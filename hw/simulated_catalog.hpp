#pragma once

#include "hw/simulated_device.hpp"

namespace fewwatt::hw {

// The board with the cores and top clocks of the module that has its name. Throws std::invalid_argument where none has.
SimulatedBoard with_tops_of(SimulatedBoard board);

}  // namespace fewwatt::hw
