#pragma once

#include <cstddef>
#include <string>

namespace fewwatt::hw {

// "1 mode", "3 modes": a number of what has a plural with an s.
inline std::string counted(std::size_t number, const std::string& noun) {
  return std::to_string(number) + ' ' + noun + (number == 1 ? "" : "s");
}

}  // namespace fewwatt::hw
