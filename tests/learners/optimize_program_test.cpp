#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace optimize_program_test {

using tests::run_program;
using Json = nlohmann::json;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The program on the example model, see example_model.hpp.
class OptimizeProgram : public testing::Test {
 protected:
  OptimizeProgram() { learners::write_model(model_, tests::example_model()); }
  // Where predictions themselves decide, unless a confidence is asked for.
  tests::ProgramResult optimize(const std::string& arguments) const {
    return by_default(arguments + (holds(arguments, "--confidence") ? "" : " --confidence 0.5"));
  }
  tests::ProgramResult by_default(const std::string& arguments) const {
    return run_program("optimize", "--model " + model_ + " " + arguments);
  }

  tests::TempDir dir_;
  std::string model_ = dir_ / "model.h5";
};

TEST_F(OptimizeProgram, FastestModeWithinTheBudgetIsPrinted) {
  const auto result = optimize("--max-power-w 5.9");  // 1 GHz CPU, 0.5 GHz GPU: 8 ms, 5.5 W
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"  CPU 1000 MHz, GPU 500 MHz: 8 ms ± 0.16 a step, 5.5 W ± 0.82, 44 mJ a step, ",
                           "% sure to stay within 5.9 W\n", "  an epoch: 8 s\n",
                           "  not measured yet: `fewwatt profile --device jetson --workload net --mode "
                           "cpu_khz=1000000,gpu_khz=500000 --out P.h5 -- CMD` measures it\n",
                           "  runner-up: "})
    EXPECT_TRUE(holds(result.out, part)) << part << " in:\n" << result.out;
}

TEST_F(OptimizeProgram, MeasuredChoiceSaysWhatWasMeasured) {
  const auto result = optimize("--max-power-w 9");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out,
                    "  measured: 6 ms, 8 W; `fewwatt device apply --mode "
                    "cpu_khz=1000000,gpu_khz=1000000` sets it\n"))
      << result.out;
}

TEST_F(OptimizeProgram, ANameThatAShellWouldRunIsInNoCommand) {
  auto model = tests::example_model();
  model.workload = "net`touch made`";
  learners::write_model(model_, model);
  const auto result = optimize("--max-power-w 5.9");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(holds(result.out, "--workload NAME --mode ")) << result.out;
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
       {"--max-power-w 7.5", "--max-power-w 7.7 --confidence 0.99", "--pareto --max-power-w 7.5"}) {
    const auto inside = optimize(std::string("--json ") + arguments);
    EXPECT_TRUE(holds(inside.out, "\"time_ms\":6.0,\"power_w\":7.0")) << inside.out << inside.err;
  }
  measure(1.2);
  EXPECT_TRUE(holds(optimize("--max-power-w 1.1").err, " 1.2 W")) << optimize("--max-power-w 1.1").err;
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

TEST_F(OptimizeProgram, WithoutAConfidenceALimitHoldsWithNineTenths) {
  for (const char* limit :
       {"--max-power-w 5.9", "--max-power-w 6.5 --objective energy", "--max-energy-j 0.05"}) {
    const auto result = by_default(std::string("--json ") + limit);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, by_default(std::string("--json --confidence 0.9 ") + limit).out);
    const auto json = Json::parse(result.out);
    EXPECT_EQ(json["confidence"], 0.9);
    for (const char* name : {"power_probability", "energy_probability"})
      if (json.contains(name)) {
        EXPECT_GE(json[name], 0.9) << limit;
      }
  }
  // A multiple of another predicted time errs with it.
  EXPECT_EQ(Json::parse(by_default("--max-slowdown 1 --json").out)["time_ms"], 6);
}

TEST_F(OptimizeProgram, WithoutAConfidenceAModelThatDoesNotKnowItsUncertaintyDecidesByWhatItPredicts) {
  auto model = tests::example_model();
  tests::forget_uncertainty(model.prediction);
  learners::write_model(model_, model);
  const auto result = by_default("--max-power-w 5.9 --json");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(Json::parse(result.out)["confidence"], 0.5);
  EXPECT_EQ(Json::parse(result.out)["power_w"], 5.5);
  EXPECT_TRUE(holds(result.err, "no uncertainty")) << result.err;
  EXPECT_EQ(by_default("--max-power-w 5.9 --json --quiet").err, "");
  EXPECT_EQ(by_default("").err, "");
}

TEST_F(OptimizeProgram, AMeasuredModeIsAsUncertainAsItsMeasurements) {
  auto model = tests::example_model();
  const auto of_fastest = [&](double factor) {  // predicted at 6 ms, 8 W, with a noise of 0.3 W
    model.support.noise_factors = tasks::Matrix::Constant(2, 2, factor);
    learners::write_model(model_, model);
    return Json::parse(by_default("--json --max-power-w 8.6").out);
  };
  const auto once = of_fastest(1), often = of_fastest(0.25);
  for (const auto& json : {once, often}) {
    EXPECT_EQ(json["measured"]["power_w"], 8);
    EXPECT_LT(json["power_p95_w"], 8 + 1.645 * 0.5);  // of a prediction
    EXPECT_GT(json["power_probability"], 0.9);
    EXPECT_LT(json["power_probability"], 1);
  }
  EXPECT_NEAR(once["power_p95_w"], 8 * std::exp(1.645 * 0.3 / 8), 0.002);
  EXPECT_NEAR(often["power_p95_w"], 8 * std::exp(1.645 * 0.15 / 8), 0.002);
  // One that spread so much that it says less than the prediction does not count.
  model.prediction.log_mean(11, tasks::kPowerW) = std::log(7);
  const auto wild = of_fastest(10);
  EXPECT_EQ(wild["power_w"], 7);
  EXPECT_NEAR(wild["power_p95_w"], 7 * std::exp(1.645 * 0.5 / 8), 0.01);  // half a watt of 8 was predicted
}

TEST_F(OptimizeProgram, AMeasurementThatIsLeftOutIsNotBelieved) {
  auto model = tests::example_model();
  model.support.targets(0, tasks::kTimeMs) = 0.024;
  model.doubted = {{model.support.modes[0], tasks::kTimeMs}};
  learners::write_model(model_, model);
  EXPECT_EQ(Json::parse(by_default("--json").out)["time_ms"], 6);
  const auto slowest = Json::parse(optimize("--json --objective power --max-time-ms 30").out);
  EXPECT_EQ(slowest["time_ms"], 24);
  EXPECT_EQ(slowest["measured"]["left_out"], Json::array({"time_ms"}));
  EXPECT_TRUE(holds(optimize("--objective power --max-time-ms 30").out,
                    "measured: 0.024 ms, 2 W; the learner left out the time; "));
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

TEST_F(OptimizeProgram, ChoiceComesWithItsProbabilityExpectedTimeAndRunnerUp) {
  const auto text = optimize("--max-power-w 5.9 --confidence 0.75");
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part : {" % sure to stay within 5.9 W\n", "runner-up: CPU 750 MHz, GPU 500 MHz: "})
    EXPECT_TRUE(holds(text.out, part)) << part << " in:\n" << text.out;
  const auto json = Json::parse(optimize("--max-power-w 5.9 --confidence 0.75 --json").out);
  const double sd = std::sqrt(std::log1p(std::pow(0.5 / 5.5, 2)));
  EXPECT_NEAR(json["power_probability"], 0.5 * std::erfc(-std::log(5.9 / 5.5) / sd / std::sqrt(2.0)), 1e-12);
  EXPECT_NEAR(json["expected_time_ms"], 8 * std::exp(std::log1p(std::pow(0.1 / 8, 2)) / 2), 1e-9);
  EXPECT_EQ(json["runner_up"]["mode"]["cpu_khz"], 750'000);
  EXPECT_TRUE(json["runner_up"].contains("power_probability"));
  // Of one that fits alone there is no runner-up.
  const auto alone = Json::parse(optimize("--max-power-w 2 --json").out);
  EXPECT_EQ(alone["power_probability"], 0.5);
  EXPECT_TRUE(alone["runner_up"].is_null());
  EXPECT_TRUE(holds(optimize("--max-power-w 2").out, "no other mode fits"));
}

TEST_F(OptimizeProgram, DeadlineAndSlowdownAreLimitsOnTime) {
  // The fastest mode takes 6 ms and 8 W; an epoch has 1000 minibatches.
  const auto slower = Json::parse(optimize("--objective energy --max-slowdown 1.4 --json").out);
  EXPECT_NEAR(slower["max_time_ms"], 8.4, 1e-12);
  EXPECT_NEAR(slower["energy_j"], 0.044, 1e-12);
  EXPECT_EQ(Json::parse(optimize("--objective energy --max-slowdown 1 --json").out)["time_ms"], 6);
  const auto deadline = Json::parse(optimize("--objective power --max-epoch-s 9.5 --json").out);
  EXPECT_NEAR(deadline["max_time_ms"], 9.5, 1e-12);
  EXPECT_NEAR(deadline["power_w"], 4.75, 1e-12);  // as in EachObjectiveHasItsMode
  EXPECT_EQ(optimize("--max-epoch-s 5.9").code, 3);

  auto model = tests::example_model();
  model.attributes.minibatches_per_epoch.reset();
  learners::write_model(model_, model);
  const auto unknown = optimize("--max-epoch-s 5");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_TRUE(holds(unknown.err, "minibatches_per_epoch")) << unknown.err;
}

TEST_F(OptimizeProgram, ZeusGoesFromTheFastestModeToTheLeastEnergy) {
  const auto zeus = [&](const char* eta) {
    return Json::parse(optimize(std::string("--objective zeus --json --eta ") + eta).out);
  };
  EXPECT_EQ(zeus("0")["time_ms"], 6);
  EXPECT_NEAR(zeus("1")["energy_j"], 0.044, 1e-12);
  EXPECT_EQ(zeus("0.5")["zeus_max_power_w"], 8);
  // With P = 8 W: eta (22 + 20 g/c + 6 c/g) + (1 - eta) 8 (4/c + 2/g), c and g in GHz; by hand over the twelve modes.
  double least = INFINITY;
  for (const double c : {0.25, 0.5, 0.75, 1.0})
    for (const double g : {0.25, 0.5, 1.0})
      least = std::min(least, 0.5 * (22 + 20 * g / c + 6 * c / g) + 0.5 * 8 * (4 / c + 2 / g));
  const auto half = zeus("0.5");
  EXPECT_NEAR(0.5 * 1000 * half["energy_j"].get<double>() + 0.5 * 8 * half["time_ms"].get<double>(), least,
              1e-9);
}

TEST_F(OptimizeProgram, ConstantTimeOrPowerIsNoTrouble) {
  for (const int target : {tasks::kTimeMs, tasks::kPowerW}) {
    auto model = tests::example_model();
    model.prediction.log_mean.col(target).setConstant(std::log(5));
    model.support.targets.col(target).setConstant(5);
    learners::write_model(model_, model);
    for (const char* arguments : {"--max-power-w 5", "--objective energy", "--objective edp --max-time-ms 7",
                                  "--objective power --max-slowdown 1.2", "--objective zeus", "--pareto"}) {
      EXPECT_EQ(optimize(arguments).code, 0) << arguments << optimize(arguments).err;
    }
  }
}

TEST_F(OptimizeProgram, ParetoKeepsToTheLimits) {
  const auto all = optimize("--pareto"), some = optimize("--pareto --max-power-w 5");
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_TRUE(holds(all.out, " power ") && holds(all.out, " W ± ") && holds(all.out, "  measured\n"));
  EXPECT_LT(std::count(some.out.begin(), some.out.end(), '\n'),
            std::count(all.out.begin(), all.out.end(), '\n'));
}

TEST_F(OptimizeProgram, BudgetBelowTheCheapestModeExits3AndNamesTheLeastViolation) {
  const auto result = optimize("--max-power-w 1.5");
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(holds(result.err, "the nearest one is 33.3 % over: CPU 250 MHz, GPU 250 MHz: 24 ms") &&
              holds(result.err, ", 2 W"))
      << result.err;
  EXPECT_EQ(optimize("--max-time-ms 1").code, 3);
  EXPECT_TRUE(holds(optimize("--max-time-ms 1").err, ": 6 ms")) << optimize("--max-time-ms 1").err;
  EXPECT_EQ(optimize("--pareto --max-power-w 1.5").code, 3);
  const auto json = optimize("--max-power-w 1.5 --json");
  EXPECT_EQ(json.code, 3);
  EXPECT_TRUE(holds(json.out, "\"least_violation\":") && holds(json.out, "\"over_percent\":33.3"))
      << json.out;
}

// Two workloads on the example's board: the model of example_model.hpp, and one that takes twice the time at half the
// power, but whose time does not depend on the CPU: 2 (2 / g) ms.
class OptimizeTurns : public OptimizeProgram {
 protected:
  OptimizeTurns() {
    auto model = tests::example_model();
    model.workload = "other";
    const auto modes = model.space->modes();
    for (std::size_t i = 0; i < modes.size(); ++i)
      model.prediction.log_mean.row(static_cast<Eigen::Index>(i)) << std::log(4e6 / modes[i][1]),
          std::log(tests::example_power_w(modes[i]) / 2);
    model.support.modes.clear();
    model.support.targets.resize(0, 2);
    learners::write_model(other_, model);
  }
  tests::ProgramResult turns(const std::string& arguments) const {
    return optimize("--model " + other_ + " " + arguments);
  }
  std::string other_ = dir_ / "other.h5";
};

TEST_F(OptimizeTurns, OneModeServesBothAndAScheduleEachItsOwn) {
  const auto shared = Json::parse(turns("--max-power-w 6 --json").out);
  EXPECT_EQ(shared["workloads"][0]["mode"], shared["workloads"][1]["mode"]);
  // 4/c + 2/g and 4/g, half each: least where 3c + 5g <= 6, at c = 1, g = 0.5: 8 and 8 ms.
  EXPECT_NEAR(shared["time_ms"], 8, 1e-9);
  const auto each = Json::parse(turns("--max-power-w 6 --schedule --json").out);
  EXPECT_EQ(each["workloads"][0]["mode"]["gpu_khz"], 500'000);
  EXPECT_EQ(each["workloads"][1]["mode"]["gpu_khz"], 1'000'000);  // 4 W at most
  EXPECT_NEAR(each["time_ms"], 0.5 * 8 + 0.5 * 4, 1e-9);
  EXPECT_NEAR(each["one_for_all"]["time_ms"], 8, 1e-9);
  EXPECT_EQ(each["fast_switches"], 2);
  // Two changes of 10 ms in a round of 20 units cost 1 ms per unit; of 5 units 4 ms, more than what they gain.
  EXPECT_NEAR(
      Json::parse(turns("--max-power-w 6 --schedule --units 20 --switch-s 0.01 --json").out)["time_ms"], 7,
      1e-9);
  EXPECT_NEAR(
      Json::parse(turns("--max-power-w 6 --schedule --units 5 --switch-s 0.01 --json").out)["time_ms"], 8,
      1e-9);
  const auto text = turns("--max-power-w 6 --schedule");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(holds(text.out, "per unit of work: 6 ms, ") &&
              holds(text.out, " W on average, 2 fast changes of the mode a round\n") &&
              holds(text.out, "in one mode:      8 ms, "))
      << text.out;
}

TEST_F(OptimizeTurns, LimitsOnTimeAndEnergyAreOfTheAverageUnit) {
  const auto fast = Json::parse(turns("--schedule --objective energy --max-time-ms 5.5 --json").out);
  EXPECT_LE(fast["time_ms"], 5.5);
  const auto free = Json::parse(turns("--schedule --objective energy --json").out);
  EXPECT_GT(free["time_ms"], 5.5);
  EXPECT_LT(free["energy_j"], fast["energy_j"]);
  const double limit_j = (free["energy_j"].get<double>() + fast["energy_j"].get<double>()) / 2;
  const auto frugal =
      Json::parse(turns("--schedule --max-energy-j " + std::to_string(limit_j) + " --json").out);
  EXPECT_LE(frugal["energy_j"], limit_j);
  // The fastest modes take 6 and 4 ms.
  EXPECT_NEAR(Json::parse(turns("--max-slowdown 1.2 --objective zeus --json").out)["max_time_ms"], 6, 1e-9);
  EXPECT_EQ(turns("--max-time-ms 4.9").code, 3);
}

TEST_F(OptimizeTurns, OnlyLimitsThatHoldWithAConfidenceAreSaidTo) {
  const auto slower = turns("--max-slowdown 1.2 --confidence 0.9");
  EXPECT_TRUE(holds(slower.out, "least time, predicted time <= 6 ms:\n")) << slower.out << slower.err;
  const auto both = turns("--max-slowdown 1.2 --max-power-w 12 --confidence 0.9");
  EXPECT_TRUE(holds(both.out, "power <= 12 W at confidence 0.9 and predicted time <= 6 ms:\n"))
      << both.out << both.err;
  const auto alone = optimize("--max-slowdown 1.2 --confidence 0.9");
  EXPECT_TRUE(holds(alone.out, "predicted time <= 7.2 ms:\n")) << alone.out << alone.err;
}

TEST_F(OptimizeTurns, WaysOfRunningAWorkloadCompete) {
  const auto best = Json::parse(optimize("--json").out);
  const auto ways = Json::parse(run_program("optimize", "--json --model " + model_ + "," + other_).out);
  EXPECT_EQ(best["time_ms"], 6);
  EXPECT_EQ(ways["time_ms"], 4);
  EXPECT_EQ(ways["workloads"][0]["model"], other_);
}

// They may be meant to take turns.
TEST_F(OptimizeTurns, WaysOfOtherNamesAreTold) {
  const std::string ways = "--max-power-w 6 --confidence 0.5 --model " + model_ + "," + other_;
  const auto told = run_program("optimize", ways);
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_TRUE(
      holds(told.err, model_ + " (net) and " + other_ + " (other) are taken as ways to run one workload"))
      << told.err;
  EXPECT_EQ(run_program("optimize", ways + " --quiet").err, "");
  auto model = learners::read_model(other_);
  model.attributes.model = "another-net";
  learners::write_model(other_, model);
  const auto refused = run_program("optimize", ways);
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(holds(refused.err, "found the networks net and another-net")) << refused.err;
  EXPECT_EQ(turns("--max-power-w 6").code, 0);
}

TEST_F(OptimizeTurns, SharesAreNormalisedWithANotice) {
  const auto equal = turns("--share 0.5 --share 0.5 --max-power-w 6");
  EXPECT_EQ(equal.err, "");
  EXPECT_EQ(turns("--max-power-w 6").out, equal.out);
  const auto twice = turns("--share 1 --share 1 --max-power-w 6");
  EXPECT_EQ(twice.code, 0);
  EXPECT_TRUE(holds(twice.err, "the shares sum to 2, not 1; used instead: 0.5 0.5")) << twice.err;
  EXPECT_EQ(twice.out, equal.out);
  EXPECT_EQ(turns("--share 1 --share 1 --max-power-w 6 --quiet").err, "");
  for (const char* bad :
       {"--share=-0.5 --share 0", "--share 0 --share 0", "--share nan --share 1", "--share 1"}) {
    EXPECT_EQ(turns(bad).code, 2) << bad;
    EXPECT_TRUE(holds(turns(bad).err, "share")) << turns(bad).err;
  }
}

TEST_F(OptimizeTurns, ANegativeShareIsNoneWithANotice) {
  const auto alone = optimize("--max-power-w 6 --json");
  for (const char* shares : {"--share 1.5 --share=-0.5", "--share 1.5 --share -0.5"}) {
    const auto result = turns(std::string(shares) + " --max-power-w 6 --json");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_TRUE(holds(result.err, "a negative share counts as 0; used instead: 1 0")) << result.err;
    EXPECT_TRUE(holds(result.err, other_ + " has no share and is left out")) << result.err;
    EXPECT_EQ(result.out, alone.out);
  }
  EXPECT_EQ(turns("--share 2 --share=-1 --max-power-w 6 --quiet").err, "");
}

TEST_F(OptimizeTurns, ModelsOfDifferentBoardsAreRefused) {
  auto model = tests::example_model();
  model.device = "another-board";
  learners::write_model(other_, model);
  const auto result = turns("--max-power-w 6");
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, "different boards: board/net and another-board/net") &&
              holds(result.err, other_))
      << result.err;
}

TEST_F(OptimizeTurns, ModelsWithoutACommonModeCanOnlyBeScheduled) {
  auto model = tests::example_model();
  model.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::cpu_khz, {300'000}}, {hw::KnobRole::gpu_khz, {300'000, 600'000}}}));
  model.prediction = learners::LogGaussian::of_medians(tasks::Matrix::Constant(2, 2, 5));
  model.support = {model.space, {}, tasks::Matrix(0, 2)};
  learners::write_model(other_, model);
  const auto schedule = turns("--schedule --max-power-w 6 --json");
  EXPECT_EQ(schedule.code, 0) << schedule.err;
  EXPECT_TRUE(Json::parse(schedule.out)["one_for_all"].is_null());
  EXPECT_TRUE(holds(turns("--schedule --max-power-w 6").out, "in one mode:      no mode fits"));
  const auto shared = turns("--max-power-w 6");
  EXPECT_EQ(shared.code, 1);
  EXPECT_TRUE(holds(shared.err, "no mode in common")) << shared.err;
}

TEST_F(OptimizeTurns, WhatDoesNotFitExits3WithTheLeastViolation) {
  for (const char* arguments :
       {"--max-power-w 1.9", "--max-power-w 1.9 --schedule", "--max-energy-j 0.001"}) {
    const auto result = turns(arguments), json = turns(std::string(arguments) + " --json");
    EXPECT_EQ(result.code, 3) << arguments;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, "% over")) << result.err;
    EXPECT_EQ(json.code, 3);
    EXPECT_GT(Json::parse(json.out)["over_percent"], 0);
  }
  // net needs 2 W at least.
  EXPECT_NEAR(Json::parse(turns("--max-power-w 1.9 --json").out)["over_percent"], 100 * (2 / 1.9 - 1), 1e-9);
  EXPECT_EQ(turns("--schedule --max-power-w 2").code, 0);
  EXPECT_EQ(turns("--max-power-w 2 --confidence 0.9").code, 3);
}

TEST_F(OptimizeTurns, ConfidenceMakesTheScheduleCautious) {
  const auto bold = Json::parse(turns("--schedule --max-power-w 5.9 --json").out);
  const auto cautious = Json::parse(turns("--schedule --max-power-w 5.9 --confidence 0.9 --json").out);
  EXPECT_GT(cautious["time_ms"], bold["time_ms"]);
  for (const auto& turn : cautious["workloads"]) EXPECT_GE(turn["power_probability"], 0.9);
  const auto deadline = Json::parse(turns("--objective energy --max-time-ms 7 --confidence 0.9 --json").out);
  EXPECT_GT(deadline["time_bound_ms"], deadline["time_ms"]);
  EXPECT_LE(deadline["time_bound_ms"], 7);
}

TEST_F(OptimizeTurns, WorkloadsThatRunTogetherGetOneMode) {
  const auto predicted = Json::parse(turns("--together predicted --max-power-w 9 --json").out);
  EXPECT_EQ(predicted["workload"], "net+other");
  ASSERT_EQ(predicted["each_time_ms"].size(), 2U);
  EXPECT_NEAR(predicted["time_ms"],
              std::max(predicted["each_time_ms"][0], predicted["each_time_ms"][1]).get<double>() / 2, 1e-9);
  // The mode with both clocks at 1 GHz takes 6 ms and 4 ms alone.
  const auto fastest = Json::parse(turns("--together predicted --json").out);
  EXPECT_EQ(fastest["mode"]["gpu_khz"], 1'000'000);
  EXPECT_GT(fastest["each_time_ms"][0], 6);
  EXPECT_GT(fastest["each_time_ms"][1], 4);
  const auto measured = Json::parse(turns("--together measured --share 0.9 --share 0.1 --json").out);
  EXPECT_NEAR(measured["time_ms"], 0.9 * 6, 1e-9);
  const auto text = turns("--together predicted --max-power-w 9 --confidence 0.6");
  EXPECT_TRUE(holds(text.out, " a unit of work, ") && holds(text.out, "  time of each: ") &&
              holds(text.out, "  not measured yet\n"))
      << text.out << text.err;
  EXPECT_EQ(turns("--together predicted --pareto").code, 0);
  EXPECT_EQ(turns("--together predicted --max-power-w 1").code, 3);
  for (const char* bad : {"--together maybe", "--together predicted --schedule"})
    EXPECT_EQ(turns(bad).code, 2) << bad;
  EXPECT_EQ(optimize("--together predicted").code, 2);
}

TEST_F(OptimizeTurns, MoreThanFourWorkloadsNeedEvolution) {
  std::string five;
  for (int i = 0; i < 4; ++i) five += "--model " + other_ + " ";
  const auto exact = turns(five + "--max-power-w 6 --schedule");
  EXPECT_EQ(exact.code, 2);
  EXPECT_TRUE(holds(exact.err, "--evolve can")) << exact.err;
  const auto evolved = optimize(five + "--max-power-w 6 --schedule --evolve --json");
#ifdef FEWWATT_PAGMO
  EXPECT_EQ(evolved.code, 0) << evolved.err;
  const auto result = Json::parse(evolved.out);
  EXPECT_EQ(result["search"], "evolution");
  EXPECT_NEAR(result["time_ms"], 0.2 * 8 + 0.8 * 4, 1e-9);  // as in OneModeServesBothAndAScheduleEachItsOwn
  const auto shared = Json::parse(optimize(five + "--max-power-w 6 --evolve --json").out);
  EXPECT_NEAR(shared["time_ms"], 0.2 * 18 + 0.8 * 4, 1e-9);  // 0.25 and 1 GHz, where four of five are fast
#else
  EXPECT_EQ(evolved.code, 2);
  EXPECT_TRUE(holds(evolved.err, "pagmo2")) << evolved.err;
#endif
}

TEST_F(OptimizeTurns, WrongUsageExits2) {
  for (const char* arguments :
       {"--objective power --max-time-ms 9", "--pareto", "--max-epoch-s 4", "--switch-s 1",
        "--switch-s -1 --units 9", "--units 0", "--switch-s 1 --slow-switch-s 0.5 --units 9"}) {
    EXPECT_EQ(turns(arguments).code, 2) << arguments;
    EXPECT_EQ(turns(arguments).out, "");
  }
  EXPECT_TRUE(holds(turns("--switch-s -1 --units 9").err, "--switch-s must be >= 0"));
  EXPECT_TRUE(holds(turns("--switch-s 1 --slow-switch-s 0.5 --units 9").err,
                    "--slow-switch-s must be at least --switch-s"));
  EXPECT_TRUE(holds(turns("--units 0").err, "--units must be > 0"));
  for (const char* arguments : {"--schedule", "--units 9", "--switch-s 0.1 --units 9"})
    EXPECT_EQ(optimize(arguments).code, 2) << arguments;
}

TEST_F(OptimizeProgram, WrongUsageExits2) {
  for (const char* arguments :
       {"--max-watts 3", "--objective speed", "--max-power-w -1", "--max-power-w x", "--confidence 1.5",
        "--objective power", "--pareto --objective energy", "--pareto --objective time", "--max-slowdown 0.9",
        "--max-slowdown nan", "--max-epoch-s 0", "--max-energy-j 0", "--eta 0.5",
        "--objective zeus --eta 1.5", "--objective zeus --eta nan", "stray"}) {
    const auto result = optimize(arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, "fewwatt optimize: ")) << result.err;
  }
  EXPECT_EQ(run_program("optimize", "--max-power-w 3").code, 2);
  EXPECT_EQ(run_program("optimize", "--help").code, 0);
}

TEST_F(OptimizeProgram, WhatIsWrongIsNamedAsItWasTyped) {
  for (const auto& [arguments, what] :
       {std::pair("--confidence 1.5", "--confidence must be in [0.5, 1), found 1.5"),
        {"--max-power-w -1", "--max-power-w must be > 0, found -1"},
        {"--max-time-ms 0", "--max-time-ms must be > 0, found 0"},
        {"--max-energy-j nan", "--max-energy-j must be > 0, found nan"}}) {
    const auto result = optimize(arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_TRUE(holds(result.err, std::string("fewwatt optimize: ") + what)) << result.err;
  }
}

TEST_F(OptimizeProgram, ModelThatCannotAnswerExits1) {
  auto model = tests::example_model();
  tests::forget_uncertainty(model.prediction);
  learners::write_model(model_, model);
  const auto result = optimize("--max-power-w 6 --confidence 0.9");
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, model_) && holds(result.err, "confidence")) << result.err;

  model.prediction.log_mean.col(tasks::kPowerW).setConstant(std::nan(""));
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

}  // namespace optimize_program_test
}  // namespace fewwatt
