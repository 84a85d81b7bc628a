#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/profile_io.hpp"
#include "hw/modules.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/fine_tune.hpp"
#include "learners/model.hpp"
#include "learners/registry.hpp"
#include "tests/learners/adapt_program.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace adapt_program_test {

using tests::run_program;

// Rows of the example board as a user would write them.
std::string example_csv(std::size_t rows) {
  std::ostringstream text;
  text << "gpu_khz,cpu_khz,note,time_ms,power_w\n";
  const auto modes = tests::example_space()->modes();
  for (std::size_t i = 0; i < rows; ++i) {
    const auto& mode = modes[(5 * i) % modes.size()];
    text << mode[1] << ',' << mode[0] << ",x," << tests::example_time_ms(mode) << ','
         << tests::example_power_w(mode) << '\n';
  }
  return text.str();
}

TEST_F(AdaptProgram, ColumnsThatAreNotUsedAreNamed) {
  const auto result = adapt_csv(example_csv(6));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.err, "column note was not used")) << result.err;
  EXPECT_EQ(adapt_csv(example_csv(6), "--quiet").err, "");
}

TEST_F(AdaptProgram, AnInputIsNotOverwritten) {
  const std::string text = example_csv(6);
  tests::write_text(csv_, text);
  const auto result = run_program("adapt", "--learner physics --measurements " + csv_ + " --out " + csv_);
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_EQ(tests::read_text(csv_), text);
}

TEST_F(AdaptProgram, OnlyAModelIsReplaced) {
  ASSERT_EQ(adapt_profile("--learner physics --shots 8").code, 0);
  ASSERT_EQ(adapt_profile("--learner physics --shots 9").code, 0);
  EXPECT_EQ(learners::read_model(out_).support.size(), 9U);
  tests::write_text(dir_ / "notes", "of years");
  datasets::write_profiles(dir_ / "others.h5", example_profiles());
  std::filesystem::create_symlink("model.h5", dir_ / "link.h5");
  for (const char* name : {"notes", "others.h5", "link.h5"}) {
    const auto before = tests::read_text(dir_ / name);
    const auto result =
        run_program("adapt", "--learner physics --profiles " + profiles_ +
                                 " --device board --workload net --shots 8 --out " + (dir_ / name));
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, dir_ / name)) << result.err;
    EXPECT_EQ(tests::read_text(dir_ / name), before) << name;
  }
}

TEST_F(AdaptProgram, ProfileGivesAModelOfAllModes) {
  const auto result = adapt_profile("--learner physics --shots 8");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, "board/net") && holds(result.out, "physics") &&
              holds(result.out, "8 measured modes") && holds(result.out, "other measured modes"))
      << result.out;
  const auto model = learners::read_model(out_);
  EXPECT_EQ(*model.space, *tests::example_space());
  EXPECT_EQ(model.attributes, tests::example_model().attributes);
  EXPECT_EQ(model.support.size(), 8U);
  for (std::size_t i = 0; i < model.support.size(); ++i) {
    EXPECT_EQ(model.support.targets(static_cast<Eigen::Index>(i), 0),
              tests::example_time_ms(model.support.modes[i]));
  }
  for (std::size_t i = 0; i < 12; ++i) {  // the example is what physics can say exactly
    const double time_ms = tests::example_time_ms(model.space->at(i));
    EXPECT_NEAR(model.prediction.median(static_cast<Eigen::Index>(i), 0) / time_ms, 1, 0.05);
  }
}

TEST_F(AdaptProgram, SaysWhatTheWorkloadBehavesLike) {
  const auto init = dir_ / "proto.h5";
  auto model = tests::random_proto(*tests::example_space());
  for (auto& target : model.targets) {  // the last prototype is far from everything
    target->prototypes.topRows(2).setZero();
    target->prototypes.row(2).setConstant(100);
  }
  learners::write_checkpoint(init, model.to_checkpoint());
  const auto result = adapt_profile("--init " + init + " --shots 8");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, "behaves like: board/a 50 %, board/b 50 %\n")) << result.out;
  const auto json = adapt_profile("--init " + init + " --shots 8 --json");
  EXPECT_TRUE(holds(json.out, R"("behaves_like":[{"workload":"board/a","weight":0.5)")) << json.out;
  EXPECT_TRUE(holds(json.out, R"("workload":"other board/c","weight":0.0)")) << json.out;
  EXPECT_FALSE(holds(adapt_profile("--learner physics --shots 8").out, "behaves like"));
}

TEST_F(AdaptProgram, WithoutALearnerAutoIsUsedAndSaysWhatItWeighs) {
  const auto result = adapt_profile("--shots 8");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, ": auto adapted to 8 measured modes")) << result.out;
  EXPECT_TRUE(holds(result.out, "weights: sim_only time ")) << result.out;
  EXPECT_TRUE(holds(adapt_profile("--shots 8 --json").out, R"("weighs":[{"learner":"sim_only","time":)"));
  EXPECT_FALSE(holds(adapt_profile("--learner physics --shots 8").out, "weights"));
}

TEST_F(AdaptProgram, SameSeedGivesTheSameBytesAndAnotherSeedAnotherSupport) {
  adapt_profile("--learner physics --shots 5 --seed 1");
  const auto first = tests::read_text(out_);
  const auto modes = learners::read_model(out_).support.modes;
  adapt_profile("--learner physics --shots 5 --seed 1");
  EXPECT_EQ(tests::read_text(out_), first);
  adapt_profile("--learner physics --shots 5 --seed 2");
  EXPECT_NE(learners::read_model(out_).support.modes, modes);
}

TEST_F(AdaptProgram, EverySamplerServes) {
  for (const char* sampler : {"random", "latin-hypercube", "maximin", "diversity", "alc"}) {
    const auto result = adapt_profile("--learner physics --shots 6 --sampler " + std::string(sampler));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(learners::read_model(out_).support.size(), 6U);
  }
}

TEST_F(AdaptProgram, CheckpointIsAdaptedAndItsOriginKept) {
  learners::write_checkpoint(dir_ / "init.h5", example_checkpoint("cpu_khz gpu_khz"));
  const auto result = adapt_profile("--shots 8 --init " + (dir_ / "init.h5"));
  ASSERT_EQ(result.code, 0) << result.err;
  const auto model = learners::read_model(out_);
  EXPECT_EQ(model.learner, "fine_tune");
  EXPECT_EQ(model.origin, example_checkpoint("").origin);
}

TEST_F(AdaptProgram, JsonIsOneObject) {
  const auto result = adapt_profile("--learner physics --shots 8 --json");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.front(), '{');
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
  for (const char* key : {"\"shots\":8", "\"modes\":12", "\"adapt_ms\":", "\"mape\":"})
    EXPECT_TRUE(holds(result.out, key)) << key;
  EXPECT_EQ(adapt_profile("--learner physics --shots 8 --quiet").out, "");
}

TEST_F(AdaptProgram, TimeAloneIsEnough) {
  const auto result = adapt("--profiles " + profiles_ +
                            " --device board --workload other --learner physics --shots 8 --json");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_FALSE(holds(result.out, "\"power\":")) << result.out;
  EXPECT_EQ(run_program("optimize", "--model " + out_).code, 0);
}

TEST_F(AdaptProgram, BadChoiceFromProfilesFails) {
  expect_failure(adapt_profile("--learner physics --shots 13"), 1, "12 modes");
  expect_failure(adapt("--learner physics --profiles " + profiles_ + " --device board --workload gone"), 1,
                 "board/net, board/other");
  expect_failure(
      adapt("--learner physics --profiles " + (dir_ / "none.h5") + " --device board --workload net"), 1,
      "none.h5");
  tests::write_text(dir_ / "text.h5", "text");
  expect_failure(
      adapt("--learner physics --profiles " + (dir_ / "text.h5") + " --device board --workload net"), 1,
      "text.h5");
}

TEST_F(AdaptProgram, BadCheckpointFails) {
  expect_failure(adapt_profile("--shots 8 --init " + profiles_), 1, "fewwatt-checkpoint");
  learners::write_checkpoint(dir_ / "init.h5", example_checkpoint("cpu_khz mem_khz"));
  expect_failure(adapt_profile("--shots 8 --init " + (dir_ / "init.h5")), 1, "mem_khz");
  auto broken = example_checkpoint("cpu_khz gpu_khz");
  broken.tensors.erase("time/weights");
  broken.tensors.erase("feature_mean");
  learners::write_checkpoint(dir_ / "init.h5", broken);
  expect_failure(adapt_profile("--shots 8 --init " + (dir_ / "init.h5")), 1, "feature_mean");
}

TEST_F(AdaptProgram, CheckpointForTheOtherTargetIsRefused) {
  auto checkpoint = example_checkpoint("cpu_khz gpu_khz");
  checkpoint.tensors.erase("power/weights");
  learners::write_checkpoint(dir_ / "init.h5", checkpoint);
  const std::string init = " --init " + (dir_ / "init.h5");
  EXPECT_EQ(adapt_profile("--shots 8" + init).code, 0);  // time is predicted
  std::filesystem::remove(out_);

  auto store = example_profiles();
  for (auto& measured : store.profiles[0].measurements) measured.time_ms = std::nan("");
  datasets::write_profiles(profiles_, store);
  expect_failure(adapt_profile("--shots 8" + init), 1, "init.h5: was not trained to predict power");
}

TEST_F(AdaptProgram, CheckpointWithNumbersThatAreNotFiniteIsRefused) {
  const auto refuse = [&](const learners::Checkpoint& checkpoint, const std::string& part) {
    learners::write_checkpoint(dir_ / "init.h5", checkpoint);
    expect_failure(adapt_profile("--shots 8 --init " + (dir_ / "init.h5")), 1, part);
  };
  auto broken = example_checkpoint("cpu_khz gpu_khz");
  broken.tensors.at("power/weights")(0, 3) = std::nan("");
  refuse(broken, "power/weights");
  broken = example_checkpoint("cpu_khz gpu_khz");
  broken.numbers.at("time/target_scale") = {INFINITY};
  refuse(broken, "time/target_scale");
  broken = tests::random_transfer(*tests::example_space(), true);
  broken.tensors.at("time/weights")(0, 0) = INFINITY;
  refuse(broken, "time/weights");
}

TEST_F(AdaptProgram, CheckpointWithSettingsOutOfBoundsIsRefused) {
  const auto refuse = [&](const std::string& entry, const std::vector<double>& values,
                          const std::string& part) {
    auto broken = example_checkpoint("cpu_khz gpu_khz");
    broken.numbers.at(entry) = values;
    learners::write_checkpoint(dir_ / "init.h5", broken);
    const auto result = adapt_profile("--shots 8 --init " + (dir_ / "init.h5"));
    expect_failure(result, 1, part);
    expect_failure(result, 1, "init.h5: checkpoint of fine_tune: ");
  };
  refuse("hidden", {65536, 65536}, "hidden");  // 2^32 parameters, 0 in 32 bits
  refuse("time/fine_tune/steps", {2e9}, "time/fine_tune/steps");
  refuse("power/fine_tune/steps", {1e300}, "power/fine_tune/steps");
  refuse("time/fine_tune/rate", {-1}, "time/fine_tune/rate");
}

TEST_F(AdaptProgram, APredictionThatIsNoNumberIsRefused) {
  auto broken = example_checkpoint("cpu_khz gpu_khz");
  broken.tensors.at("time/weights").setConstant(1e30);
  broken.numbers.at("time/fine_tune/steps") = {0};
  learners::write_checkpoint(dir_ / "init.h5", broken);
  expect_failure(adapt_profile("--shots 8 --init " + (dir_ / "init.h5")), 1,
                 "init.h5: predicts a time that is no");
}

// Every `step`th mode of a space, with made-up targets.
std::string csv_of(const hw::PowerModeSpace& space, std::size_t step) {
  std::ostringstream text;
  for (const auto& knob : space.knobs()) text << hw::to_string(knob.role) << ',';
  text << "time_ms,power_w\n";
  for (std::size_t i = 0; i < space.size(); i += step) {
    for (const int setting : space.at(i)) text << setting << ',';
    text << 100.0 / static_cast<double>(i / step + 1) << ',' << 2 + 0.01 * static_cast<double>(i) << '\n';
  }
  return text.str();
}

TEST_F(AdaptProgram, CheckpointWithOwnMeasurementsNeedsTheSpace) {
  const auto space = hw::module_space("nano");
  learners::write_checkpoint(dir_ / "init.h5", tests::random_fine_tune(space));
  tests::write_text(csv_, csv_of(space, space.size() / 10));
  const std::string arguments = "--init " + (dir_ / "init.h5") + " --measurements " + csv_;
  expect_failure(adapt(arguments), 2, "--space BOARD[:GRID]");
  const auto result = adapt(arguments + " --space nano");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(learners::read_model(out_).space->size(), space.size());
  EXPECT_EQ(learners::read_model(out_).learner, "fine_tune");
}

TEST_F(AdaptProgram, ModeThatTheSpaceLacksIsNamed) {
  const auto space = hw::module_space("nano");
  auto mode = space.at(0);
  std::string header, row;
  mode[1] += mode[1] / 20;  // far from any level
  for (const auto& knob : space.knobs()) header += std::string(hw::to_string(knob.role)) + ",";
  for (const int setting : mode) row += std::to_string(setting) + ",";
  const auto result = adapt_csv(header + "time_ms\n" + row + "5\n", "--space nano");
  expect_failure(result, 1, csv_ + ":2: ");
  expect_failure(result, 1,
                 std::string(hw::to_string(space.knobs()[1].role)) + "=" + std::to_string(mode[1]));
  expect_failure(result, 1, "is no level of nano");
}

TEST_F(AdaptProgram, OwnMeasurementsGiveAModelOfTheirGrid) {
  const auto result = adapt_csv(example_csv(9), "--time-of minibatch --minibatches-per-epoch 500");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto model = learners::read_model(out_);
  EXPECT_EQ(model.support.size(), 9U);
  EXPECT_EQ(model.device, "from-data");
  EXPECT_EQ(model.workload, "m");
  EXPECT_EQ(*model.space, *tests::example_space());
  EXPECT_EQ(model.epoch_s(10), 5);
  const auto named = adapt_csv(example_csv(9), "--device mine --workload his");
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(learners::read_model(out_).device, "mine");
  EXPECT_EQ(learners::read_model(out_).workload, "his");
}

TEST_F(AdaptProgram, ClocksThatJitterMakeNoGrid) {
  std::ostringstream text;
  text << "cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n";
  for (int i = 0; i < 60; ++i)
    text << 1 + i << ',' << 1'000'000 + 7 * i << ',' << 500'000 + 11 * i << ',' << 200'000 + 13 * i << ','
         << 100 + i << ',' << 10 + 0.1 * i << '\n';
  const auto result = adapt_csv(text.str());
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.err, "(cpu_cores alone has 60): only the 60 measured modes are predicted"))
      << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  const auto space = learners::read_model(out_).space;
  EXPECT_FALSE(space->is_grid());
  EXPECT_EQ(space->size(), 60U);
}

TEST_F(AdaptProgram, HowManyModesMakeAGridIsAnOption) {
  ASSERT_EQ(adapt_csv(example_csv(9), "--max-modes 12").code, 0);
  EXPECT_EQ(learners::read_model(out_).space->size(), 12U);
  const auto fewer = adapt_csv(example_csv(9), "--max-modes 11");
  ASSERT_EQ(fewer.code, 0) << fewer.err;
  EXPECT_TRUE(holds(fewer.err, "only the 9 measured modes")) << fewer.err;
  EXPECT_EQ(learners::read_model(out_).space->size(), 9U);
}

TEST_F(AdaptProgram, WhereMemoryEndsItIsSaidWhatItWasFor) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory is beyond any limit";
#else
  if (!tests::emulator().empty()) GTEST_SKIP() << "an emulator's own memory is beyond the limit";
  std::ostringstream text;
  text << "cpu_khz,gpu_khz,time_ms\n";
  for (int i = 1; i <= 2000; ++i) text << i << ',' << i << ',' << i << '\n';
  tests::write_text(csv_, text.str());
  // A list of four million modes takes 160 MB.
  const std::string command = "ulimit -v 150000; exec " + tests::program_command("adapt") +
                              " --learner physics --trust-units --max-modes 4000000 --measurements " + csv_ +
                              " --out " + out_ + " 2>" + (dir_ / "err") + " >" + (dir_ / "out");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const auto said = tests::read_text(dir_ / "err");
  EXPECT_TRUE(holds(said, "not enough memory while ")) << said;
  EXPECT_TRUE(holds(said, "4000000 modes")) << said;
  EXPECT_FALSE(std::filesystem::exists(out_));
#endif
}

TEST_F(AdaptProgram, WhichOfManyRowsAreUsedIsSaid) {
  std::ostringstream text;
  text << "cpu_khz,gpu_khz,time_ms,power_w\n";
  for (int i = 1; i <= 30; ++i)
    for (int j = 1; j <= 17; ++j)
      text << 50'000 * i << ',' << 60'000 * j << ',' << 100.0 / i + 50.0 / j << ',' << 1 + 0.1 * i + 0.2 * j
           << '\n';
  tests::write_text(csv_, text.str());
  const auto result = adapt("--learner gp --json --measurements " + csv_);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.err, "gp takes at most 500 rows: it uses 500 of 510 measured modes"))
      << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report["shots"], 510);
  EXPECT_EQ(report["used"], 500);
  ASSERT_EQ(report["used_modes"].size(), 500U);
  EXPECT_EQ(report["used_modes"][0], (std::vector<int>{50'000, 60'000}));
  EXPECT_EQ(learners::read_model(out_).support.size(), 510U);  // what was measured is known all the same
  const auto all = adapt("--learner physics --json --measurements " + csv_);
  EXPECT_EQ(all.err, "");
  EXPECT_FALSE(nlohmann::json::parse(all.out).contains("used"));
}

TEST_F(AdaptProgram, RowsOfOneModeCountWithTheirMean) {
  ASSERT_EQ(adapt_csv("cpu_mhz,time_ms\n1000,5\n2000,2\n2000,8\n").code, 0);
  const auto support = learners::read_model(out_).support;
  ASSERT_EQ(support.size(), 2U);
  EXPECT_NEAR(support.targets(1, 0), 5, 1e-9);
  ASSERT_EQ(support.noise_factors.rows(), 2);
  EXPECT_EQ(support.noise_factors(0, 0), 1);
  // 2 and 8 are far apart: their mean is less sure than one usual measurement.
  EXPECT_NEAR(support.noise_factors(1, 0), tasks::noise_factor(2, std::sqrt(18) / 5), 1e-6);
  EXPECT_GT(support.noise_factors(1, 0), 1);
  ASSERT_EQ(adapt_csv("cpu_mhz,time_ms\n1000,5\n2000,4\n2000,4.02\n").code, 0);
  EXPECT_DOUBLE_EQ(learners::read_model(out_).support.noise_factors(1, 0), 0.5);
}

// As a slip of the decimal point, or another unit.
TEST_F(AdaptProgram, AValueThatTheOthersSpeakAgainstIsNamed) {
  const auto rows = [](const std::string& time_ms, const std::string& power_w) {
    return "cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n4,729600,318750,665600,400,11.5\n"
           "12,2201600,1300500,3199000,60,40.0\n8,1497600,624750,2133000," +
           time_ms + "," + power_w +
           "\n12,1190400,828750,3199000,90,27.0\n2,1958400,420750,2133000,200,15.2\n"
           "6,1344000,522750,3199000,155,19.3\n10,1804800,930750,2133000,82,31.0\n4,1190400,1122750,3199000,"
           "73,30.0\n";
  };
  struct Wrong {
    const char *time_ms, *power_w, *name;
    double measured, expected;
  };
  for (const auto& [time_ms, power_w, name, measured, expected] :
       {Wrong{"1.2", "22", "time_ms", 1.2, 120}, Wrong{"12000", "22", "time_ms", 12000, 120},
        Wrong{"120", "220", "power_w", 220, 22}, Wrong{"120", "1.1", "power_w", 1.1, 22}}) {
    tests::write_text(csv_, rows(time_ms, power_w));
    const auto text = adapt("--measurements " + csv_);
    EXPECT_EQ(text.code, 0) << text.err;
    const auto& said = text.err;
    const bool is_time = std::string(name) == "time_ms";
    EXPECT_NE(said.find(std::string("left out: the ") + (is_time ? "time of " : "power of ")),
              std::string::npos)
        << said;
    EXPECT_NE(said.find(" measured in 8 cores, CPU 1497.6 MHz, GPU 624.75 MHz, memory 2133 MHz; expected"),
              std::string::npos)
        << said;
    const auto report = nlohmann::json::parse(adapt("--json --measurements " + csv_).out);
    ASSERT_EQ(report["left_out"].size(), 1U) << report;
    EXPECT_EQ(report["left_out"][0]["mode"]["gpu_khz"], 624750);
    EXPECT_EQ(report["left_out"][0][name]["measured"], measured);
    EXPECT_NEAR(report["left_out"][0][name]["expected"].get<double>() / expected, 1, 0.5);
    EXPECT_EQ(learners::read_model(out_).doubted.size(), 1U);
  }
  tests::write_text(csv_, rows("120", "22"));
  EXPECT_EQ(adapt("--measurements " + csv_).err, "");
  EXPECT_TRUE(learners::read_model(out_).doubted.empty());
}

TEST_F(AdaptProgram, WhatAutoDoesNotLeaveOutIsRefused) {
  const std::string start =
      "cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n4,729600,318750,665600,400,11.5\n"
      "12,2201600,1300500,3199000,60,40.0\n8,1497600,624750,2133000,0.12,21.7\n";
  const std::string rest =
      "2,1958400,420750,2133000,200,15.2\n6,1344000,522750,3199000,155,19.3\n"
      "10,1804800,930750,2133000,82,31.0\n";
  for (const auto& [rows, what] :
       {std::pair(start, "m.csv:4: time_ms = 0.12 ms"),
        {start + "12,1190400,828750,3199000,90,27.0\n", "m.csv:4: time_ms = 0.12 ms"},
        {start + "12,1190400,828750,3199000,0.09,27.0\n" + rest, "time_ms = 0."},
        {start + "12,1190400,828750,3199000,90000,27.0\n" + rest, "time_ms = "}}) {
    tests::write_text(csv_, rows);
    expect_failure(adapt("--measurements " + csv_), 1, what);
    expect_failure(adapt("--measurements " + csv_), 1, "--trust-units");
    EXPECT_EQ(adapt("--trust-units --measurements " + csv_).code, 0);
    std::filesystem::remove(out_);
  }
}

TEST_F(AdaptProgram, WindowsFilesAreAccepted) {
  std::string text = "\xef\xbb\xbf";
  for (const char c : example_csv(9)) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto result = adapt_csv(text);
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(AdaptProgram, MappingReadsOtherColumns) {
  tests::write_text(dir_ / "m.ini",
                    "[profile]\ndevice = mine\nworkload = {app}\nkind = dnn-inference\ntime_of = "
                    "minibatch\nspace = from-data\n"
                    "[file *.csv]\ncpu_khz = CPU [MHz]\ngpu_khz = GPU [MHz]\ntime_ms = T [s]\n");
  std::string text = "app,CPU,GPU,T\n";
  for (const char* app : {"a", "b"}) {
    for (const char* row :
         {"500,250,0.02", "500,1000,0.01", "1000,250,0.015", "250,250,0.03", "1000,1000,0.006"}) {
      text += std::string(app) + "," + row + "\n";
    }
  }
  EXPECT_EQ(adapt_csv(text, "--workload b --mapping " + (dir_ / "m.ini")).code, 0);
  const auto model = learners::read_model(out_);
  EXPECT_EQ(model.device, "mine");
  EXPECT_EQ(model.space->size(), 6U);
  EXPECT_EQ(model.attributes.time_of, datasets::TimeOf::minibatch);
  std::filesystem::remove(out_);
  expect_failure(adapt_csv(text, "--mapping " + (dir_ / "m.ini")), 1, "--workload");
}

TEST_F(AdaptProgram, SpaceOfABoardIsPredictedInOneGo) {
  std::string text = "cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n";
  for (const char* row : {"2,345600,114750,204000,90,8", "4,883200,522750,2133000,40,14",
                          "8,1651200,930750,3199000,20,30", "12,2188800,1300500,3199000,15,50",
                          "4,2188800,318750,2133000,50,17", "6,345600,1300500,3199000,25,25"}) {
    text += std::string(row) + "\n";
  }
  const auto result = adapt_csv(text, "--space orin-agx-64");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(learners::read_model(out_).space->size(), 18096U);
  EXPECT_EQ(learners::read_model(out_).device, "orin-agx-64");
  EXPECT_EQ(adapt_csv(text, "--space orin-agx-64:powertrain").code, 1);  // its grid lacks some of these modes
}

TEST_F(AdaptProgram, NumbersMayBeWrittenAsElsewhere) {
  ASSERT_EQ(adapt_csv(example_csv(9)).code, 0);
  const auto plain = learners::read_model(out_).prediction.median();
  std::string comma = "gpu (MHz);cpu_hz;time_s;power [mW]\n";
  const auto modes = tests::example_space()->modes();
  const auto text = [](double value) {
    std::string digits = std::to_string(value);
    digits[digits.find('.')] = ',';
    return digits;
  };
  for (std::size_t i = 0; i < 9; ++i) {
    const auto& mode = modes[(5 * i) % modes.size()];
    comma += text(mode[1] / 1e3) + ';' + std::to_string(mode[0]) + "000;" +
             text(tests::example_time_ms(mode) / 1e3) + ';' + text(tests::example_power_w(mode) * 1e3) + '\n';
  }
  const auto result = adapt_csv(comma, "--decimal comma");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_LT((learners::read_model(out_).prediction.median().array() / plain.array() - 1).abs().maxCoeff(),
            1e-2);
  std::filesystem::remove(out_);
  expect_failure(adapt_csv(comma), 1, "decimal = comma");
  expect_failure(adapt_csv(comma, "--decimal dot"), 2, "point or comma");
  expect_failure(adapt_profile("--learner physics --trust-units"), 2, "--measurements");
}

TEST_F(AdaptProgram, WhatLooksLikeAnotherUnitIsRefusedUnlessItIsTrusted) {
  const std::string cut = "cpu_khz,time_ms,power_w\n1000,5,11\n2000,3,12\n";
  expect_failure(adapt_csv(cut), 1, "m.csv:2: column 'cpu_khz' gives cpu_khz = 1000 kHz");
  expect_failure(adapt_csv(cut), 1, "looks like MHz");
  EXPECT_EQ(adapt_csv(cut, "--trust-units").code, 0);
}

TEST_F(AdaptProgram, ClocksCutToMhzBecomeLevelsOfTheSpace) {
  const auto result = adapt_csv(
      "cpu_cores,cpu_mhz,gpu_mhz,mem_mhz,time_ms\n4,883,522,2133,40\n12,2188,1300,3199,15\n2,345,114,204,"
      "90\n",
      "--space orin-agx-64");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.err, "3 settings of gpu_khz are taken for levels of orin-agx-64")) << result.err;
  EXPECT_EQ(learners::read_model(out_).support.modes.at(1), (hw::PowerMode{4, 883200, 522750, 2133000}));
}

TEST_F(AdaptProgram, BadMeasurementsFailAndAreNamed) {
  const std::string good = "cpu_khz,time_ms\n1000000,5\n2000000,3\n";
  expect_failure(adapt_csv(""), 1, "m.csv");
  expect_failure(adapt_csv("cpu_khz,time_ms\n"), 1, "m.csv");
  expect_failure(adapt_csv("a,b\n1,2\n"), 1, "time_ms or power_w, found a, b");
  expect_failure(adapt_csv("cpu_khz\n1000000\n"), 1, "time_ms or power_w");
  expect_failure(adapt_csv(good + "3000000\n"), 1, "m.csv:4");
  expect_failure(adapt_csv(good + "3000000,fast\n"), 1, "m.csv:4");
  expect_failure(adapt_csv(good + "3000000,-1\n"), 1, "time_ms");
  expect_failure(adapt_csv(good, "--space tx2"), 1, "cpu_cores");
  expect_failure(adapt("--learner physics --measurements " + (dir_ / "none.csv")), 1, "none.csv");
}

TEST_F(AdaptProgram, WrongUsageExits2) {
  expect_failure(adapt_profile("--learner physics --init x.h5 --shots 8"), 2, "or neither for auto");
  expect_failure(adapt_profile("--learner nobody"), 2, "nobody");
  expect_failure(adapt_profile("--learner transfer"), 2, "transfer");
  expect_failure(adapt_profile("--learner physics --shots 0"), 2, "without measured modes");
  expect_failure(adapt("--space tx2"), 2, "without measured modes");
  expect_failure(adapt_profile("--flops 3e9"), 2, "--flops: the profile has them already");
  expect_failure(adapt_csv(example_csv(9), "--flops=-1"), 2, "--flops");
  expect_failure(adapt_profile("--learner physics --shots many"), 2, "many");
  expect_failure(adapt_profile("--learner physics --shots -1"), 2, "shots");
  expect_failure(adapt_profile("--learner physics --shots=-1"), 2, "-1");
  expect_failure(adapt_profile("--learner physics --sampler best"), 2, "latin-hypercube");
  expect_failure(adapt_profile("--learner physics --space vax"), 2, "vax");
  expect_failure(adapt_profile("--learner physics --mapping m.ini"), 2, "--mapping");
  expect_failure(adapt_profile("--learner physics --few-shots 8"), 2, "few-shots");
  expect_failure(adapt_profile("--learner physics --max-modes 100"), 2,
                 "--max-modes: it goes with --measurements");
  expect_failure(adapt_profile("--init x.h5 --shots 0 --sampler alc"), 2, "--sampler: with --shots 0");
  expect_failure(adapt("--learner physics --profiles " + profiles_ + " --device board"), 2, "--workload");
  expect_failure(adapt("--learner physics"), 2, "--measurements");
  expect_failure(adapt_csv(example_csv(9), "--shots 5"), 2, "--shots");
  expect_failure(adapt_csv(example_csv(9), "--time-of century"), 2, "century");
  expect_failure(adapt_csv(example_csv(9), "--minibatches-per-epoch=-3"), 2, "--minibatches-per-epoch");
  expect_failure(adapt_csv(example_csv(9), "--minibatches-per-epoch inf"), 2, "--minibatches-per-epoch");
  EXPECT_EQ(run_program("adapt", "--learner physics --profiles " + profiles_).code, 2);
  EXPECT_EQ(run_program("adapt", "--help").code, 0);
}

TEST_F(AdaptProgram, PredictsWithoutMeasuredModesWhereItIsStatedWhatTheWorkloadIs) {
  const std::string init = dir_ / "init.h5";
  learners::write_checkpoint(init, tests::usual_sim_prior(*tests::example_space()).to_checkpoint());
  auto store = example_profiles();
  for (auto& profile : store.profiles)
    for (const auto& [name, member] : datasets::kNumberAttributes) (profile.attributes.*member).reset();
  store.profiles[0].attributes.flops = 2e11;
  datasets::write_profiles(profiles_, store);
  const auto result = adapt_profile("--json --shots 0 --init " + init);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["shots"], 0);
  for (const char* target : {"time", "power"}) EXPECT_GT(json[target]["unsure"].get<double>(), 1) << target;
  const auto model = learners::read_model(out_);
  EXPECT_TRUE(model.support.modes.empty());
  EXPECT_TRUE(model.prediction.median().allFinite());
  EXPECT_EQ(run_program("optimize", "--model " + out_ + " --objective energy").code, 0);

  std::filesystem::remove(out_);
  expect_failure(
      adapt("--profiles " + profiles_ + " --device board --workload other --shots 0 --init " + init), 1,
      "expected at least one of batch_size, layers, parameters, flops");
}

TEST_F(AdaptProgram, StatedBatchSizeThatTheKnobExcludesIsNamed) {
  const std::string csv =
      "gpu_khz,batch_size,time_ms,power_w\n250000,8,40,5\n500000,16,24,7\n500000,8,21,6\n";
  expect_failure(adapt_csv(csv, "--batch-size 12"), 1,
                 "batch_size: expected one of the knob's levels 8, 16, found 12");
  EXPECT_EQ(adapt_csv(csv, "--batch-size 16").code, 0);
}

TEST_F(AdaptProgram, FolderThatIsNotThereIsNamed) {
  const auto result =
      run_program("adapt", "--learner physics --shots 8 --device board --workload net --profiles " +
                               profiles_ + " --out " + (dir_ / "no/such/model.h5"));
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, "no/such/model.h5")) << result.err;
}

TEST_F(AdaptProgram, FolderThatMayNotBeWrittenIsNamed) {
  const std::string folder = dir_ / "closed", out = folder + "/model.h5", program = dir_ / "adapt";
  std::filesystem::create_directory(folder);
  ASSERT_EQ(chmod(folder.c_str(), 0555), 0);
  // Permissions do not bind root: it runs a copy of the program, in a folder open to all, as nobody.
  std::filesystem::copy_file(tests::bin_dir() + "/fewwatt-adapt", program);
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755) + chmod(program.c_str(), 0755) + chmod(profiles_.c_str(), 0644),
            0);
  const std::string as_nobody = geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
  const std::string command = as_nobody + tests::emulator() + program +
                              " --learner physics --shots 8 --device board" + " --workload net --profiles " +
                              profiles_ + " --out " + out + " 2>" + (dir_ / "err");
  const int status = std::system(command.c_str());
  const auto error = tests::read_text(dir_ / "err");
  EXPECT_EQ(WEXITSTATUS(status), 1) << error;
  EXPECT_TRUE(holds(error, "fewwatt adapt: ") && holds(error, out)) << error;
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace adapt_program_test
}  // namespace fewwatt
