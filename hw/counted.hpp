#pragma once

#include <cstddef>
#include <string>

namespace fewwatt::hw {

// A number with its noun: "1 mode", "3 modes". The plural is the noun with an s.
inline std::string counted(std::size_t number, const std::string& noun) {
  return std::to_string(number) + ' ' + noun + (number == 1 ? "" : "s");
}

}  // namespace fewwatt::hw
