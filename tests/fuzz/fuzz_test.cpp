#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/targets.hpp"
#include "tests/paths.hpp"

namespace fewwatt::fuzz {
namespace fuzz_test {

class Fuzz : public testing::TestWithParam<Target> {};

// Among them what once broke a reader.
TEST_P(Fuzz, ReadsItsCorpus) {
  const auto folder = tests::source_dir() + "/tests/fuzz/corpus/" + std::string(GetParam().name);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    EXPECT_NO_THROW(GetParam().read(content)) << entry.path();
    // Neighbours, as a damaged file would be.
    for (std::size_t at = 0; at < content.size(); at += 1 + content.size() / 50) {
      EXPECT_NO_THROW(GetParam().read(content.substr(0, at)))
          << entry.path() << ", its first " << at << " bytes";
      auto changed = content;
      changed[at] = static_cast<char>(changed[at] ^ 0x15);
      EXPECT_NO_THROW(GetParam().read(changed)) << entry.path() << ", byte " << at << " changed";
    }
    ++files;
  }
  EXPECT_GT(files, 0U) << folder;
}

INSTANTIATE_TEST_SUITE_P(All, Fuzz, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace fuzz_test
}  // namespace fewwatt::fuzz
