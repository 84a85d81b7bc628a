#pragma once

#include <optional>

#include "hw/jetson/board.hpp"
#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

// The memory's clock of a board whose name is known; none where it cannot be read. What is missing, and what was assumed because the
// kernel says nothing of it, is added to the board.
std::optional<MemoryClock> find_memory(const Sysfs& files, Board& board);

}  // namespace fewwatt::hw
