#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/paths.hpp"

namespace fewwatt::benchmarks {
namespace lists_test {

// The names of a list in benchmarks/lists. Each stands once.
std::set<std::string> list(const std::string& name) {
  std::ifstream in(tests::source_dir() + "/benchmarks/lists/" + name + ".txt");
  EXPECT_TRUE(in) << name;
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    EXPECT_TRUE(names.insert(line).second) << line << " stands twice in " << name;
  }
  return names;
}

TEST(Lists, EachSuiteIsInOneOfThem) {
  auto development = list("development"), test = list("test");
  EXPECT_FALSE(development.empty());
  EXPECT_FALSE(test.empty());
  for (const auto& file : std::filesystem::directory_iterator(tests::source_dir() + "/benchmarks/suites")) {
    const std::string suite = file.path().stem().string();
    EXPECT_EQ(development.erase(suite) + test.erase(suite), 1U)
        << suite << " must be in one of benchmarks/lists/development.txt and test.txt";
  }
  for (const auto* left : {&development, &test})
    for (const auto& name : *left) ADD_FAILURE() << name << " is in a list, and no suite";
}

}  // namespace lists_test
}  // namespace fewwatt::benchmarks
