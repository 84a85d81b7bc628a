// What libFuzzer calls. FEWWATT_FUZZ_TARGET: the target's name.

#include <cstdint>

#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& target = fewwatt::fuzz::find_target(FEWWATT_FUZZ_TARGET);
  target.read({reinterpret_cast<const char*>(data), size});
  return 0;
}
