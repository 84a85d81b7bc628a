#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "tests/paths.hpp"

namespace fewwatt::tests {

// Where the measured profiles lie: FEWWATT_DATA, or ../shared/data beside the project; "" = nowhere. A
// FEWWATT_DATA that is no folder is a mistake, not a reason to skip.
inline std::string data_root() {
  const char* set = std::getenv("FEWWATT_DATA");
  const std::string root = set != nullptr ? set : source_dir() + "/../shared/data";
  if (std::filesystem::is_directory(root)) return root;
  if (set != nullptr) throw std::runtime_error("FEWWATT_DATA=" + root + " is no folder");
  return "";
}

}  // namespace fewwatt::tests

// First line of a test that needs measured profiles; declares `root`.
#define FEWWATT_SKIP_WITHOUT_DATA(root)                 \
  const std::string root = fewwatt::tests::data_root(); \
  if (root.empty()) GTEST_SKIP() << "needs measured profiles: set FEWWATT_DATA to their folder"

// The same of a test that needs a set which scripts/fetch-data can take from a mirror only.
#define FEWWATT_SKIP_WITHOUT_SET(root, set)             \
  FEWWATT_SKIP_WITHOUT_DATA(root);                      \
  if (!std::filesystem::is_directory(root + "/" + set)) \
  GTEST_SKIP() << "needs measured profiles: " << set << " in " << root
