#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/paths.hpp"

#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace dispatcher_test {

ProgramResult dispatch(const std::string& arguments) {
  const TempDir dir;
  std::string bin = tests::bin_dir();
  const std::string emulator = tests::emulator();
  if (!emulator.empty()) {  // the dispatcher can exec a script, not a program for another machine
    bin = dir / "bin";
    write_text(bin + "/fewwatt-device", "#!/bin/sh\nexec " + program_command("device") + " \"$@\"\n");
    std::filesystem::permissions(bin + "/fewwatt-device", std::filesystem::perms::owner_all);
  }
  const std::string command = "FEWWATT_BIN=" + bin + " " + tests::source_dir() + "/scripts/fewwatt " +
                              arguments + " >" + (dir / "out") + " 2>" + (dir / "err") + " </dev/null";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), read_text(dir / "out"), read_text(dir / "err")};
}

TEST(Dispatcher, RunsTheProgramOfTheVerbWithItsArguments) {
  const auto direct = run_program("device", "show tx2 --json"), through = dispatch("device show tx2 --json");
  EXPECT_EQ(through.code, 0);
  EXPECT_EQ(through.out, direct.out);
  EXPECT_EQ(dispatch("device show \"no board\"").code, 2);
  EXPECT_NE(dispatch("device show \"no board\"").err.find("\"no board\""), std::string::npos);
}

TEST(Dispatcher, ListsTheVerbs) {
  for (const char* arguments : {"", "--help", "-h"}) {
    const auto result = dispatch(arguments);
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.out.find("\n  device      lists known boards"), std::string::npos) << result.out;
  }
}

// The verbs that CMake is told of.
TEST(Dispatcher, SaysOfEachVerbWhatItDoes) {
  const TempDir dir;
  std::vector<std::string> verbs;
  for (const char* layer : {"hw", "datasets", "learners", "meta", "benchmarks"}) {
    std::istringstream lines(read_text(source_dir() + "/" + layer + "/CMakeLists.txt"));
    const std::string begin = "fewwatt_program(";
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(begin)) verbs.push_back(line.substr(begin.size(), line.find(' ') - begin.size()));
  }
  ASSERT_GE(verbs.size(), 10U);
  verbs.emplace_back("mine");
  for (const auto& verb : verbs) {
    write_text(dir / ("fewwatt-" + verb), "#!/bin/sh\n");
    std::filesystem::permissions(dir / ("fewwatt-" + verb), std::filesystem::perms::owner_all);
  }
  const std::string command =
      "FEWWATT_BIN=" + dir.path().string() + " " + source_dir() + "/scripts/fewwatt >" + (dir / "out");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto listed = read_text(dir / "out");
  for (const auto& verb : verbs) {
    const auto at = listed.find("\n  " + verb + (verb == "mine" ? "\n" : " "));
    EXPECT_NE(at, std::string::npos) << verb << " in:\n" << listed;
    EXPECT_EQ(at, listed.rfind("\n  " + verb + (verb == "mine" ? "\n" : " "))) << verb;
  }
}

TEST(Dispatcher, AMisspeltVerbIsAskedBack) {
  const auto result = dispatch("devcie list");
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.find("fewwatt: no program for 'devcie'; did you mean device? There are\n  device "),
            0u)
      << result.err;
}

// Its programs may be of an older version, which knows no --meant.
TEST(Dispatcher, AMisspeltVerbIsRefusedWithoutHelpToo) {
  const TempDir dir;
  write_text(dir / "fewwatt-device", "#!/bin/sh\necho nonsense >&2\nexit 2\n");
  std::filesystem::permissions(dir / "fewwatt-device", std::filesystem::perms::owner_all);
  const std::string command = "FEWWATT_BIN=" + dir.path().string() + " " + source_dir() +
                              "/scripts/fewwatt devcie 2>" + (dir / "err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_EQ(read_text(dir / "err").find("fewwatt: no program for 'devcie'; there are\n  device "), 0u)
      << read_text(dir / "err");
}

TEST(Dispatcher, UnknownVerbIsWrongUsageAndListsTheVerbs) {
  const auto result = dispatch("frobnicate");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("'frobnicate'"), std::string::npos);
  EXPECT_NE(result.err.find("\n  device "), std::string::npos);
}

}  // namespace dispatcher_test
}  // namespace fewwatt::tests
