#include "tests/paths.hpp"

namespace fewwatt::tests {

std::string source_dir() {
  return FEWWATT_SOURCE_DIR;
}

std::string bin_dir() {
  return FEWWATT_BIN_DIR;
}

std::string emulator() {
  return FEWWATT_EMULATOR;
}

}  // namespace fewwatt::tests
