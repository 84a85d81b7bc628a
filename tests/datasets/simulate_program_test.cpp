#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "datasets/profile_io.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace simulate_program_test {

class SimulateProgram : public testing::Test {
 protected:
  ProgramResult simulate(const std::string& arguments, const std::string& out = "p.h5") {
    return run_program("simulate", arguments + " --out " + (dir_ / out));
  }
  void expect_fails(const std::string& arguments, int code, const std::string& part) {
    const auto result = simulate(arguments, "bad.h5");
    EXPECT_EQ(result.code, code) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_NE(result.err.find(part), std::string::npos) << arguments << '\n' << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << "one line: " << result.err;
    EXPECT_FALSE(std::filesystem::exists(dir_ / "bad.h5")) << arguments;
  }

  TempDir dir_;
};

TEST_F(SimulateProgram, WritesProfilesOfAKnownBoard) {
  const auto result = simulate("--device orin-agx-64 --workloads resnet18,lstm --grid coarse");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("orin-agx-64/lstm: 441 modes"), std::string::npos) << result.out;
  EXPECT_EQ(datasets::read_profiles(dir_ / "p.h5").profiles.size(), 2u);
}

TEST_F(SimulateProgram, OnlyAFileOfProfilesIsReplaced) {
  const std::string arguments = "--device tx2 --workloads lstm --grid 40";
  ASSERT_EQ(simulate(arguments).code, 0);
  ASSERT_EQ(simulate(arguments + " --seed 1").code, 0);
  write_text(dir_ / "notes", "of years");
  std::filesystem::create_symlink("p.h5", dir_ / "link.h5");
  for (const char* name : {"notes", "link.h5"}) {
    const auto before = read_text(dir_ / name);
    const auto result = simulate(arguments, name);
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_NE(result.err.find(dir_ / name), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(read_text(dir_ / name), before) << name;
  }
}

TEST_F(SimulateProgram, OutputsThatAreNoFiles) {
  EXPECT_EQ(run_program("simulate", "--device tx2 --workloads lstm --grid 40 --quiet --out /dev/null").code,
            0);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  const auto result = simulate("--device tx2 --workloads lstm --grid 40", "pipe");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("nobody reads"), std::string::npos) << result.err;
}

TEST_F(SimulateProgram, WorkloadsArePowertrainsUnlessNamed) {
  ASSERT_EQ(simulate("--device orin-nano-8 --grid 30").code, 0);
  const auto store = datasets::read_profiles(dir_ / "p.h5");
  ASSERT_EQ(store.profiles.size(), 5u);
  for (const auto& profile : store.profiles) EXPECT_EQ(profile.modes.size(), 30u);
}

TEST_F(SimulateProgram, WritesPopulations) {
  ASSERT_EQ(simulate("--random-devices 3 --random-workloads 2 --seed 7").code, 0);
  EXPECT_EQ(datasets::read_profiles(dir_ / "p.h5").profiles.size(), 6u);
}

TEST_F(SimulateProgram, SameSeedSameBytes) {
  const std::string arguments = "--device tx2 --workloads lstm --grid 40 --seed ";
  for (const auto& [out, seed] : {std::pair{"a.h5", "1"}, {"b.h5", "1"}, {"c.h5", "2"}})
    ASSERT_EQ(simulate(arguments + seed, out).code, 0);
  EXPECT_EQ(read_text(dir_ / "a.h5"), read_text(dir_ / "b.h5"));
  EXPECT_NE(read_text(dir_ / "a.h5"), read_text(dir_ / "c.h5"));
}

TEST_F(SimulateProgram, NoiseCanBeSwitchedOff) {
  ASSERT_EQ(simulate("--device tx2 --workloads lstm --grid 40 --noise off").code, 0);
  const auto profile = datasets::read_profiles(dir_ / "p.h5").profiles.front();
  for (std::size_t i = 0; i < profile.modes.size(); ++i)
    EXPECT_EQ(profile.measurements[i].time_ms, profile.time_true_ms[i]);
}

TEST_F(SimulateProgram, JsonIsOneObjectAndQuietSaysNothing) {
  const auto json = simulate("--device tx2 --workloads lstm --grid 40 --json");
  EXPECT_EQ(json.code, 0);
  EXPECT_TRUE(json.out.starts_with("{") && json.out.ends_with("}\n")) << json.out;
  EXPECT_NE(json.out.find("\"workload\":\"lstm\""), std::string::npos) << json.out;
  const auto quiet = simulate("--device tx2 --workloads lstm --grid 40 --quiet");
  EXPECT_EQ(quiet.out + quiet.err, "");
}

TEST_F(SimulateProgram, BadInputsAreNamed) {
  expect_fails("--random-devices 0 --random-workloads 3", 2, "--random-devices");
  expect_fails("--random-devices 3 --random-workloads 0", 2, "--random-workloads");
  expect_fails("--random-devices -3", 2, "random-devices");
  expect_fails("--workloads lstm", 2, "--device");
  expect_fails("--device tx2 --random-devices 3", 2, "both");
  expect_fails("--device tx2 --like P.h5 --random-workloads 2", 2, "both");
  expect_fails("--like P.h5", 2, "--random-workloads");
  expect_fails("--like P.h5 --random-workloads 0", 2, "--random-workloads");
  expect_fails("--like P.h5 --random-workloads 2 --grid 30", 2, "--grid");
  expect_fails("--like missing.h5 --random-workloads 2", 1, "missing.h5");
  expect_fails("--device tx2 --workloads lstm --random-workloads 3", 2, "both");
  expect_fails("--random-devices 2 --grid 30", 2, "--grid");
  expect_fails("--device tx2 --workloads lstm,,resnet18", 2, "--workloads");
  expect_fails("--device tx2 --workloads lstm,lstm", 2, "twice");
  expect_fails("--device tx2 --noise loud", 2, "loud");
  expect_fails("--device tx2 --grid 0", 2, "grid");
  expect_fails("--device tx2 --grid powertrain", 2, "powertrain");
  expect_fails("--device tx2 --grid 99999999", 2, "99999999");
  expect_fails("--device orin-agx-46", 2, "nearest are orin-agx-64");
  expect_fails("--device tx2 --workloads resnet81", 2, "nearest are resnet18");
  expect_fails("--device tx2 --frobnicate", 2, "frobnicate");
  EXPECT_EQ(run_program("simulate", "--device tx2").code, 2);  // no --out
}

TEST_F(SimulateProgram, HelpNamesBoardsAndWorkloads) {
  const auto help = run_program("simulate", "--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("xavier-agx"), std::string::npos);
  EXPECT_NE(help.out.find("mobilenetv3-imagenet"), std::string::npos);
}

}  // namespace simulate_program_test
}  // namespace fewwatt::tests
