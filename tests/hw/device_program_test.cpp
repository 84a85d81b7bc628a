#include <gtest/gtest.h>

#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

void expect_one_object(const std::string& text) {
  ASSERT_GT(text.size(), 3u);
  EXPECT_EQ(text.front(), '{');
  EXPECT_EQ(text.substr(text.size() - 2), "}\n");
}

TEST(DeviceProgram, ListsBoardsAndTheirGrids) {
  const auto result = run_program("device", "list");
  EXPECT_EQ(result.code, 0);
  for (const char* part : {"orin-agx-64", "18096", "powertrain 4368", "coarse 441", "tx2", "nano"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(result.err, "");
}

TEST(DeviceProgram, ShowsKnobsAndPresets) {
  const auto result = run_program("device", "show orin-agx-64");
  EXPECT_EQ(result.code, 0);
  for (const char* part :
       {"gpu_khz (13): 114750", "preset MODE_30W: cpu_cores=8 cpu_khz=1728000", "grid powertrain"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << '\n' << result.out;
  }
}

TEST(DeviceProgram, JsonIsOneObject) {
  for (const char* arguments : {"list --json", "show tx2 --json"}) {
    const auto result = run_program("device", arguments);
    EXPECT_EQ(result.code, 0);
    expect_one_object(result.out);
  }
}

TEST(DeviceProgram, UnknownBoardListsTheKnownOnes) {
  const auto result = run_program("device", "show orin");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("fewwatt device: "), std::string::npos);
  EXPECT_NE(result.err.find("\"orin\""), std::string::npos);
  EXPECT_NE(result.err.find("xavier-nx"), std::string::npos);
  EXPECT_EQ(result.out, "");
}

TEST(DeviceProgram, WrongUsageExitsWithTwo) {
  for (const char* arguments : {"", "show", "list tx2", "frobnicate", "list --frobnicate", "show tx2 nano",
                                "list --config /nonexistent.ini", "list --seed -1", "list --seed 1e3"}) {
    const auto result = run_program("device", arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_NE(result.err.find("fewwatt device: "), std::string::npos) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
  }
  EXPECT_NE(run_program("device", "frobnicate").err.find("list, show"), std::string::npos);
  EXPECT_NE(run_program("device", "list --frobnicate").err.find("frobnicate"), std::string::npos);
}

TEST(DeviceProgram, HelpAndVersionExitWithZero) {
  EXPECT_EQ(run_program("device", "--help").code, 0);
  EXPECT_NE(run_program("device", "--help").out.find("list | show BOARD"), std::string::npos);
  EXPECT_NE(run_program("device", "--version").out.find("fewwatt "), std::string::npos);
}

TEST(DeviceProgram, OptionsComeFromAFileAndTheCommandLineWins) {
  const TempDir dir;
  write_text(dir / "options.ini", "action = list\njson = true\n");
  expect_one_object(run_program("device", "--config " + (dir / "options.ini")).out);
  EXPECT_EQ(run_program("device", "show tx2 --config " + (dir / "options.ini")).code, 0);
}

TEST(DeviceProgram, FullDiskFails) {
  const std::string command = std::string(FEWWATT_BIN_DIR) + "/fewwatt-device list >/dev/full 2>/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace fewwatt::tests
