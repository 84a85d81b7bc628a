#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fewwatt::fuzz {

// One reader of what comes from outside. read() takes any bytes and returns, whatever they are; what the reader throws for bad
// input is caught there, and nothing else is. A reader that throws something else, crashes, hangs or takes too much is broken.
struct Target {
  std::string_view name;  // of its folder in tests/fuzz/corpus
  void (*read)(std::string_view input);
};

std::span<const Target> targets();
const Target& find_target(std::string_view name);  // throws std::invalid_argument

}  // namespace fewwatt::fuzz
