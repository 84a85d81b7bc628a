#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace {

using tests::run_program;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The program on the example model, see example_model.hpp.
class OptimizeProgram : public testing::Test {
 protected:
  OptimizeProgram() { learners::write_model(model_, tests::example_model()); }
  tests::ProgramResult optimize(const std::string& arguments) const {
    return run_program("optimize", "--model " + model_ + " " + arguments);
  }

  tests::TempDir dir_;
  std::string model_ = dir_ / "model.h5";
};

TEST_F(OptimizeProgram, FastestModeWithinTheBudgetIsPrinted) {
  const auto result = optimize("--max-power-w 5.9");  // 1 GHz CPU, 0.5 GHz GPU: 8 ms, 5.5 W
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"500000", "1000000", "8 per minibatch", "5.5", "0.044", "measured      no"}) {
    EXPECT_TRUE(holds(result.out, part)) << part << " in:\n" << result.out;
  }
  EXPECT_TRUE(holds(result.out, "epoch_s       8\n")) << result.out;
}

TEST_F(OptimizeProgram, MeasuredChoiceSaysWhatWasMeasured) {
  const auto result = optimize("--max-power-w 9");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, "measured      time_ms 6, power_w 8")) << result.out;
}

TEST_F(OptimizeProgram, MeasuredModeIsJudgedByItsMeasurement) {
  auto model = tests::example_model();
  const auto measure = [&](double power_w) {  // the fastest mode, predicted at 6 ms, 8 W
    model.support.targets(1, tasks::kPowerW) = power_w;
    learners::write_model(model_, model);
  };
  measure(10);
  for (const char* arguments : {"--max-power-w 9", "--max-power-w 9 --confidence 0.9"}) {
    const auto over = optimize(std::string("--json ") + arguments);
    EXPECT_EQ(over.code, 0) << over.err;
    EXPECT_FALSE(holds(over.out, "\"time_ms\":6.0")) << over.out;
  }
  EXPECT_FALSE(holds(optimize("--json --pareto --max-power-w 9").out, "\"time_ms\":6.0"));
  measure(7);
  for (const char* arguments :
       {"--max-power-w 7.5", "--max-power-w 7.5 --confidence 0.99", "--pareto --max-power-w 7.5"}) {
    const auto inside = optimize(std::string("--json ") + arguments);
    EXPECT_TRUE(holds(inside.out, "\"time_ms\":6.0,\"power_w\":7.0")) << inside.out << inside.err;
  }
  measure(1.2);
  EXPECT_TRUE(holds(optimize("--max-power-w 1.1").err, "cheapest mode is at 1.2 W"))
      << optimize("--max-power-w 1.1").err;
}

TEST_F(OptimizeProgram, QuietStillPrintsTheResult) {
  EXPECT_EQ(optimize("--max-power-w 9 --quiet").out, optimize("--max-power-w 9").out);
  EXPECT_EQ(run_program("device", "list --quiet").out, run_program("device", "list").out);
  EXPECT_EQ(run_program("inspect", model_ + " --quiet").out, run_program("inspect", model_).out);
  EXPECT_NE(run_program("inspect", model_ + " --quiet").out, "");
}

TEST_F(OptimizeProgram, ConfidenceMakesTheChoiceCautious) {
  // The stddev is 0.5 W: 5.5 W <= 5.9 W holds with probability 0.79.
  EXPECT_TRUE(holds(optimize("--max-power-w 5.9 --json --confidence 0.75").out, "\"power_w\":5.5"));
  const auto cautious = optimize("--max-power-w 5.9 --json --confidence 0.8").out;
  EXPECT_FALSE(holds(cautious, "\"power_w\":5.5")) << cautious;
}

TEST_F(OptimizeProgram, JsonIsOneObject) {
  for (const char* arguments : {"--max-power-w 5.9 --json", "--json --pareto", "--json --objective edp"}) {
    const auto result = optimize(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out.front(), '{');
    EXPECT_EQ(result.out.substr(result.out.size() - 2), "}\n");
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
    EXPECT_TRUE(holds(result.out, "\"cpu_khz\":")) << result.out;
  }
}

TEST_F(OptimizeProgram, EachObjectiveHasItsMode) {
  EXPECT_TRUE(holds(optimize("--json").out, "\"time_ms\":6.0"));
  // (4/c + 2/g)(3c + 5g) mJ with c, g in GHz is 22 + 20 g/c + 6 c/g: least where c = 2g.
  const auto energy = optimize("--json --objective energy").out;
  EXPECT_TRUE(holds(energy, "\"energy_j\":0.044")) << energy;
  const auto power = optimize("--json --objective power --max-time-ms 11").out;
  EXPECT_TRUE(holds(power, "\"power_w\":4.75")) << power;  // 0.75 GHz, 0.5 GHz: 9.3 ms
}

TEST_F(OptimizeProgram, ParetoKeepsToTheLimits) {
  const auto all = optimize("--pareto"), some = optimize("--pareto --max-power-w 5");
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_TRUE(holds(all.out, "8") && holds(all.out, "power_w"));
  EXPECT_LT(std::count(some.out.begin(), some.out.end(), '\n'),
            std::count(all.out.begin(), all.out.end(), '\n'));
}

TEST_F(OptimizeProgram, BudgetBelowTheCheapestModeExits3AndNamesItsPower) {
  const auto result = optimize("--max-power-w 1.5");
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(holds(result.err, "2 W") && holds(result.err, "cpu_khz=250000 gpu_khz=250000")) << result.err;
  EXPECT_EQ(optimize("--max-time-ms 1").code, 3);
  EXPECT_TRUE(holds(optimize("--max-time-ms 1").err, "6 ms")) << optimize("--max-time-ms 1").err;
  EXPECT_EQ(optimize("--pareto --max-power-w 1.5").code, 3);
  const auto json = optimize("--max-power-w 1.5 --json");
  EXPECT_EQ(json.code, 3);
  EXPECT_TRUE(holds(json.out, "\"cheapest\":")) << json.out;
}

TEST_F(OptimizeProgram, WrongUsageExits2) {
  for (const char* arguments :
       {"--max-watts 3", "--objective speed", "--max-power-w -1", "--max-power-w x", "--confidence 1.5",
        "--objective power", "--pareto --objective energy", "--pareto --objective time", "stray"}) {
    const auto result = optimize(arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, "fewwatt optimize: ")) << result.err;
  }
  EXPECT_EQ(run_program("optimize", "--max-power-w 3").code, 2);
  EXPECT_EQ(run_program("optimize", "--help").code, 0);
}

TEST_F(OptimizeProgram, ModelThatCannotAnswerExits1) {
  auto model = tests::example_model();
  model.prediction.stddev.resize(0, 0);
  learners::write_model(model_, model);
  const auto result = optimize("--max-power-w 6 --confidence 0.9");
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, model_) && holds(result.err, "confidence")) << result.err;

  model.prediction.mean.col(tasks::kPowerW).setConstant(std::nan(""));
  model.support.targets.col(tasks::kPowerW).setConstant(std::nan(""));
  learners::write_model(model_, model);
  EXPECT_EQ(optimize("").code, 0);
  EXPECT_EQ(optimize("--max-power-w 6").code, 1);
  EXPECT_TRUE(holds(optimize("--max-power-w 6").err, "power"));
  EXPECT_EQ(optimize("--max-time-ms 1").code, 3);

  tests::write_text(model_, "no model");
  EXPECT_EQ(optimize("").code, 1);
  EXPECT_TRUE(holds(optimize("").err, model_));
}

}  // namespace
}  // namespace fewwatt
