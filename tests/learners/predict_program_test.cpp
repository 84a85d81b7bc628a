#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "datasets/schema_io.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace predict_program_test {

using tests::run_program;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class PredictProgram : public testing::Test {
 protected:
  PredictProgram() { learners::write_model(model_, tests::example_model()); }
  tests::ProgramResult predict(const std::string& arguments) const {
    return run_program("predict", "--model " + model_ + " " + arguments);
  }
  std::size_t num_files() const {
    const auto files = std::filesystem::directory_iterator(dir_.path());
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }

  tests::TempDir dir_;
  std::string model_ = dir_ / "model.h5";
};

TEST_F(PredictProgram, TheModelIsNotOverwritten) {
  const auto before = tests::read_text(model_);
  EXPECT_EQ(predict("--out " + model_).code, 2);
  EXPECT_EQ(tests::read_text(model_), before);
}

TEST_F(PredictProgram, TableHasARowPerMode) {
  const auto result = predict("--out " + (dir_ / "modes.csv"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, ": 12 modes of board/net: 6 ms to 24 ms a step, 2 W to 8 W; 2 measured\n"))
      << result.out;
  const std::string csv = tests::read_text(dir_ / "modes.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 13);
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line,
            "cpu_khz,gpu_khz,time_median_ms,time_p05_ms,time_p95_ms,time_latent_log_std,power_median_w,"
            "power_p05_w,power_p95_w,power_latent_log_std,energy_median_j,epoch_median_s,measured");
  std::getline(lines, line);
  EXPECT_EQ(
      line,
      "250000,250000,24,23.8360777,24.1650496,0.00208333107,2,1.33395766,2.99859593,0.1980422,0.048,24,1");
  std::getline(lines, line);
  EXPECT_EQ(line,
            "250000,500000,20,19.8361902,20.1651626,0.00249999609,3.25,2.52711683,4.17966431,0.122614619,0."
            "065,20,0");
}

TEST_F(PredictProgram, StandardOutputAndFileAreTheSame) {
  predict("--out " + (dir_ / "modes.csv"));
  EXPECT_EQ(predict("--out -").out, tests::read_text(dir_ / "modes.csv"));
}

TEST_F(PredictProgram, UnknownColumnsAreLeftOut) {
  auto model = tests::example_model();
  model.attributes = {};
  tests::forget_uncertainty(model.prediction);
  model.prediction.log_mean.col(tasks::kPowerW).setConstant(std::nan(""));
  learners::write_model(model_, model);
  const auto out = predict("--out -").out;
  EXPECT_EQ(out.substr(0, out.find('\n')), "cpu_khz,gpu_khz,time_median_ms,measured");
}

TEST_F(PredictProgram, JsonIsOneObject) {
  const auto result = predict("--json --out " + (dir_ / "modes.csv"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.front(), '{');
  EXPECT_TRUE(holds(result.out, "\"modes\":12}\n")) << result.out;
  EXPECT_EQ(predict("--json --out -").code, 2);
  EXPECT_EQ(predict("--quiet --out " + (dir_ / "modes.csv")).out, "");
}

TEST_F(PredictProgram, WrongUsageExits2) {
  EXPECT_EQ(predict("").code, 2);
  EXPECT_EQ(predict("--out - --fast").code, 2);
  EXPECT_EQ(run_program("predict", "--out -").code, 2);
}

TEST_F(PredictProgram, PlaceThatCannotBeWrittenIsNamedAndLeavesNothing) {
  for (const auto& path :
       {dir_ / "no/such/modes.csv", std::string("/dev/full"), model_ + "/modes.csv", dir_.path().string()}) {
    const auto result = predict("--out " + path);
    EXPECT_EQ(result.code, 1) << path;
    EXPECT_TRUE(holds(result.err, path)) << result.err;
    EXPECT_EQ(num_files(), 1U) << path;
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(PredictProgram, AGridOfMoreModesThanAModelHasIsRefused) {
  auto huge = [&](std::size_t levels) {
    datasets::Hdf5Writer file(model_, "fewwatt-model", learners::kModelVersion);
    for (const char* name : {"device", "workload", "learner"}) file.text("/", name, "x");
    datasets::write_attributes(file, "/attributes", tests::example_model().attributes);
    file.group("/knobs");
    file.text("/knobs", "roles", "cpu_khz gpu_khz mem_khz power_limit_mw");
    file.integer("/knobs", "grid", 1);
    std::vector<int> all(levels);
    std::iota(all.begin(), all.end(), 1);
    for (const char* role : {"cpu_khz", "gpu_khz", "mem_khz", "power_limit_mw"})
      file.write(std::string("/knobs/") + role, std::span<const int>(all));
    file.write_table("/modes", 1, 4, std::vector<int>{1, 1, 1, 1});
    file.commit();
  };
  huge(100);  // 10^8 modes
  const auto refused = predict("--out -");
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(holds(refused.err, "at most 4000000")) << refused.err;
  EXPECT_TRUE(holds(refused.err, "cpu_khz has the most levels, 100")) << refused.err;
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  for (const std::size_t levels : {10, 100}) {  // counts are compared first
    huge(levels);
    const auto counted = predict("--out - --max-modes 1000000000");
    EXPECT_EQ(counted.code, 1);
    EXPECT_TRUE(holds(counted.err, "/modes: expected all modes")) << counted.err;
  }
  huge(60'000);  // more than 64 bits hold
  EXPECT_EQ(predict("--out - --max-modes 18446744073709551615").code, 1);
}

TEST_F(PredictProgram, FullDiskKeepsTheOldFile) {
  const std::string old = "cpu_khz,time_ms,measured\n1,2,0\n";
  tests::write_text(dir_ / "modes.csv", old);
  auto model = tests::example_model();  // large enough for its table to pass the limit below
  std::vector<int> levels;
  for (int khz = 1000; khz <= 1'000'000; khz += 1000) levels.push_back(khz);
  model.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::cpu_khz, levels}, {hw::KnobRole::gpu_khz, {250'000, 1'000'000}}}));
  model.support.space = model.space;
  model.prediction = learners::LogGaussian::of_medians(tasks::Matrix::Constant(2000, 2, 3));
  learners::write_model(model_, model);
  // A limit on the size of files fails as a full disk does once its signal is ignored. dash and bash count in
  // 512 or 1024 bytes.
  const std::string command = "trap '' XFSZ; ulimit -f 8; exec " + tests::program_command("predict") +
                              " --model " + model_ + " --out " + (dir_ / "modes.csv") + " 2>" +
                              (dir_ / "err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_TRUE(holds(tests::read_text(dir_ / "err"), "modes.csv")) << tests::read_text(dir_ / "err");
  EXPECT_EQ(tests::read_text(dir_ / "modes.csv"), old);
  EXPECT_EQ(num_files(), 3U);
}

TEST_F(PredictProgram, OnlyATableOfPredictionsIsReplaced) {
  EXPECT_EQ(predict("--out " + (dir_ / "modes.csv")).code, 0);
  EXPECT_EQ(predict("--out " + (dir_ / "modes.csv")).code, 0);
  tests::write_text(dir_ / "mine.csv", "cpu_khz,time_ms,power_w\n1,2,3\n");
  std::filesystem::copy_file(model_, dir_ / "other.h5");
  std::filesystem::create_symlink("modes.csv", dir_ / "link.csv");
  for (const char* name : {"mine.csv", "other.h5", "link.csv"}) {
    const auto before = tests::read_text(dir_ / name);
    const auto result = predict("--out " + (dir_ / name));
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_TRUE(holds(result.err, dir_ / name)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(tests::read_text(dir_ / name), before) << name;
  }
}

TEST_F(PredictProgram, ADamagedModelIsOneLine) {
  auto bytes = tests::read_text(model_);
  tests::write_text(model_, bytes.substr(0, bytes.size() / 2));
  const auto result = predict("--out -");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(holds(result.err, model_ + " is a truncated or damaged HDF5 file")) << result.err;
}

TEST(Programs, BoardProgramsNeedNeitherLibTorchNorBlas) {
  const tests::TempDir dir;
  for (const char* verb :
       {"adapt", "predict", "optimize", "view", "import", "inspect", "simulate", "device"}) {
    const std::string command =
        std::string("LC_ALL=C readelf -d ") + tests::bin_dir() + "/fewwatt-" + verb + " >" + (dir / "needed");
    ASSERT_EQ(std::system(command.c_str()), 0) << verb;
    const std::string libraries = tests::read_text(dir / "needed");
    EXPECT_TRUE(holds(libraries, "libc.so") || holds(libraries, "no dynamic section")) << libraries;
    for (const char* banned : {"torch", "libc10", "blas", "lapack", "mkl"})
      EXPECT_FALSE(holds(libraries, banned)) << verb << ":\n" << libraries;
  }
}

}  // namespace predict_program_test
}  // namespace fewwatt
