#include <sys/stat.h>

#include <filesystem>

#include "datasets/profile_io.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace programs_test {

const std::string kMapping =
    "[profile]\ndevice = d\nworkload = {file}\nkind = non-dnn\ntime_of = run\nspace = from-data\n"
    "[file *.csv]\ngpu_khz = gpu [MHz]\ntime_ms = secs [s]\n";

class Programs : public testing::Test {
 protected:
  Programs() {
    write_text(dir_ / "m.ini", kMapping);
    write_text(dir_ / "in/a.csv", "gpu,secs\n100,2\n200,1\n");
  }
  ProgramResult import(const std::string& mapping, const std::string& out, const std::string& rest = "") {
    return run_program(
        "import", "--mapping " + (dir_ / mapping) + " --out " + (dir_ / out) + " " + (dir_ / "in") + rest);
  }
  static void expect_fails(const ProgramResult& result, int code, const std::string& fragment) {
    EXPECT_EQ(result.code, code);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(fragment), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << "one line: " << result.err;
  }

  TempDir dir_;
};

TEST_F(Programs, ImportWritesProfilesThatInspectDescribes) {
  const auto imported = import("m.ini", "p.h5");
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_NE(imported.out.find("d/a: 2 modes"), std::string::npos) << imported.out;
  EXPECT_EQ(datasets::read_profiles(dir_ / "p.h5").profiles.size(), 1u);
  const auto inspected = run_program("inspect", (dir_ / "p.h5") + " --check");
  EXPECT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_NE(inspected.out.find("modes: 2 of 2"), std::string::npos) << inspected.out;
  EXPECT_NE(inspected.out.find("power: not measured"), std::string::npos) << inspected.out;
}

TEST_F(Programs, JsonIsOneObjectOnStdout) {
  for (const auto& result :
       {import("m.ini", "p.h5", " --json"), run_program("inspect", (dir_ / "p.h5") + " --json")}) {
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with("{") && result.out.ends_with("}\n")) << result.out;
    EXPECT_NE(result.out.find("\"workload\":\"a\""), std::string::npos) << result.out;
  }
}

TEST_F(Programs, QuietPrintsNothing) {
  const auto result = import("m.ini", "p.h5", " --quiet");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

TEST_F(Programs, WrongUsageIsExitCode2) {
  expect_fails(import("m.ini", "p.h5", " --frobnicate"), 2, "frobnicate");
  expect_fails(run_program("import", "--out x.h5 " + (dir_ / "in")), 2, "mapping");
  expect_fails(run_program("import", "--mapping " + (dir_ / "m.ini") + " --out x.h5"), 2, "input");
  expect_fails(run_program("inspect", ""), 2, "file");
  expect_fails(run_program("inspect", "--frobnicate x.h5"), 2, "frobnicate");
}

TEST_F(Programs, ABadInputIsExitCode1AndLeavesNoFile) {
  write_text(dir_ / "in/a.csv", "gpu,secs\n100,2\n200\n");
  expect_fails(import("m.ini", "p.h5"), 1, "a.csv:3");
  write_text(dir_ / "bad.ini", kMapping + "warp_khz = gpu [MHz]\n");
  expect_fails(import("bad.ini", "p.h5"), 1, "warp_khz");
  expect_fails(import("gone.ini", "p.h5"), 1, "gone.ini");
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_EQ(entry.path().filename().string().find("p.h5"), std::string::npos) << entry.path();
  }
}

TEST_F(Programs, AnInputThatIsMissingIsNamed) {
  expect_fails(run_program("import", "--mapping " + (dir_ / "m.ini") + " --out " + (dir_ / "p.h5") + " " +
                                         (dir_ / "gone")),
               1, "gone: No such file");
}

TEST_F(Programs, AnInputIsNotOverwritten) {
  const auto before = read_text(dir_ / "m.ini");
  expect_fails(import("m.ini", "m.ini"), 2, "overwritten");
  EXPECT_EQ(read_text(dir_ / "m.ini"), before);
}

TEST_F(Programs, AnOutputFolderThatCannotBeWrittenIsNamed) {
  expect_fails(import("m.ini", "no/p.h5"), 1, dir_ / "no/p.h5");
  expect_fails(import("m.ini", "m.ini/p.h5"), 1, "Not a directory");
}

TEST_F(Programs, InspectShowsNothingThatActsOnATerminal) {
  datasets::ProfileStore store;
  store.devices["d"] = {{"board", "\x1b]0;owned\x07 \x1b[2J"}};
  store.profiles = {example_profile()};
  store.profiles[0].attributes.source = "a\nb";
  datasets::write_profiles(dir_ / "p.h5", store);
  const auto result = run_program("inspect", dir_ / "p.h5");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("board = \\x1b]0;owned\\x07 \\x1b[2J\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("source = a\\nb\n"), std::string::npos) << result.out;
}

TEST_F(Programs, InputsThatAreNoFilesAreNamed) {
  ASSERT_EQ(mkfifo((dir_ / "pipe.csv").c_str(), 0600), 0);
  expect_fails(run_program("import", "--mapping " + (dir_ / "pipe.csv") + " --out " + (dir_ / "p.h5") + " " +
                                         (dir_ / "in")),
               1, "pipe.csv: expected a file, found a pipe");
  expect_fails(run_program("import", "--mapping /dev/zero --out " + (dir_ / "p.h5") + " " + (dir_ / "in")), 1,
               "/dev/zero: expected a file, found a device");
}

TEST_F(Programs, InspectRefusesBrokenFiles) {
  expect_fails(run_program("inspect", "--check " + (dir_ / "gone.h5")), 1, "gone.h5");
  expect_fails(run_program("inspect", "--check " + (dir_ / "m.ini")), 1, "not an HDF5 file");
  ASSERT_EQ(import("m.ini", "p.h5").code, 0);
  std::string bytes = read_text(dir_ / "p.h5");
  write_text(dir_ / "cut.h5", bytes.substr(0, bytes.size() - 100));
  expect_fails(run_program("inspect", "--check " + (dir_ / "cut.h5")), 1, "truncated");
}

}  // namespace programs_test
}  // namespace fewwatt::tests
