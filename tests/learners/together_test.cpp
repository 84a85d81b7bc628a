#include "learners/optimize/together.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hw/modules.hpp"
#include "tests/learners/simulated_model.hpp"

namespace fewwatt::learners {
namespace together_test {

using tests::model_of;
using tests::simulated_model;

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

// All pairs of PowerTrain's workloads, and of each with itself, in the modes of three boards. The prediction knows nothing of
// the simulator's contention: the simulator adds up threads, kernels that wait for each other until a fixed point, loss
// between slices, and memory bandwidth. As if they did not meet, errors were three times as large.
TEST(RunTogether, PredictsTheSimulatorsContentionWithinTheStatedError) {
  struct Expected {
    const char* board;
    double time, time_p90, power, power_p90;  // the largest errors allowed, measured + 10 %
  };
  for (const auto& [name, time_limit, time_p90_limit, power_limit, power_p90_limit] :
       {Expected{"orin-agx-64", 0.104, 0.315, 0.052, 0.173},
        Expected{"orin-nano-8", 0.117, 0.315, 0.034, 0.092}, Expected{"tx2", 0.060, 0.240, 0.057, 0.150}}) {
    const auto& board = hw::find_simulated_board(name);
    const bool coarse = std::string(name) == "orin-agx-64";
    const auto space =
        std::make_shared<const hw::PowerModeSpace>(hw::module_space(name, coarse ? "coarse" : "full"));
    const auto modes = space->modes();
    std::vector<hw::SimulatedWorkload> workloads;
    std::vector<Model> models;
    for (const char* workload : {"resnet18", "mobilenetv3", "yolov8n", "bert-base", "lstm"}) {
      workloads.push_back(hw::find_simulated_workload(workload));
      models.push_back(simulated_model(board, workloads.back(), space));
    }
    std::vector<double> time, power, time_without, power_without;
    double time_square = 0, power_square = 0;
    for (std::size_t a = 0; a < models.size(); ++a) {
      for (std::size_t b = a; b < models.size(); ++b) {
        const auto pair = run_together(models[a], models[b], {0.5, 0.5}, PairKnowledge::predicted);
        const double idle_w = std::min(models[a].prediction.median().col(1).minCoeff(),
                                       models[b].prediction.median().col(1).minCoeff());
        const std::vector<hw::SimulatedWorkload> both = {workloads[a], workloads[b]};
        for (std::size_t i = 0; i < modes.size(); i += 1 + modes.size() / 500) {
          const auto row = static_cast<Eigen::Index>(i);
          const auto truth = hw::simulate_together(board, both, hw::settings_of(board, *space, modes[i]));
          for (int w = 0; w < 2; ++w) {
            const double ratio = pair.each_ms(row, w) / truth[w].time_ms;
            time.push_back(std::abs(ratio - 1));
            time_square += std::log(ratio) * std::log(ratio);
            time_without.push_back(
                std::abs(models[w == 0 ? a : b].prediction.median(row, 0) / truth[w].time_ms - 1));
          }
          const double ratio = pair.model.prediction.median(row, 1) / truth[0].power_w;
          power.push_back(std::abs(ratio - 1));
          power_square += std::log(ratio) * std::log(ratio);
          const double without =
              models[a].prediction.median(row, 1) + models[b].prediction.median(row, 1) - idle_w;
          power_without.push_back(std::abs(without / truth[0].power_w - 1));
        }
      }
    }
    const double time_rms = std::sqrt(time_square / static_cast<double>(time.size()));
    const double power_rms = std::sqrt(power_square / static_cast<double>(power.size()));
    EXPECT_LT(quantile(time, 0.5), time_limit) << name;
    EXPECT_LT(quantile(time, 0.9), time_p90_limit) << name;
    EXPECT_LT(quantile(power, 0.5), power_limit) << name;
    EXPECT_LT(quantile(power, 0.9), power_p90_limit) << name;
    EXPECT_LT(time_rms, kPairTimeError) << name;
    EXPECT_LT(power_rms, kPairPowerError) << name;
    EXPECT_GT(quantile(time_without, 0.5), 3 * quantile(time, 0.5)) << name;
    EXPECT_GT(quantile(power_without, 0.5), 3 * quantile(power, 0.5)) << name;
  }
}

std::shared_ptr<const hw::PowerModeSpace> gpu_space() {
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {100, 200}}, {hw::KnobRole::gpu_khz, {100, 200}}}));
}

TEST(RunTogether, WhatWaitsForTheGpuAloneTakesTwiceAsLong) {
  Matrix bound(4, 2), free(4, 2);
  bound << 20, 10, 10, 14, 20, 12, 10, 16;  // time follows the GPU's clock
  free << 20, 10, 20, 10, 10, 12, 10, 12;   // or the CPU's
  const Model gpu = model_of("gpu", gpu_space(), bound), cpu = model_of("cpu", gpu_space(), free);
  const auto both = run_together(gpu, gpu, {0.5, 0.5}, PairKnowledge::predicted);
  for (int row = 0; row < 4; ++row) {
    EXPECT_NEAR(both.each_ms(row, 0), 2 * bound(row, 0), 1e-9);
    EXPECT_NEAR(both.model.prediction.median(row, 0), bound(row, 0), 1e-9);  // half a unit of each
    EXPECT_NEAR(both.model.prediction.median(row, 1), bound(row, 1), 1e-9);  // the GPU is as busy as with one
  }
  const auto apart = run_together(gpu, cpu, {0.5, 0.5}, PairKnowledge::predicted);
  for (int row = 0; row < 4; ++row) {
    EXPECT_NEAR(apart.each_ms(row, 0), bound(row, 0), 1e-9);
    EXPECT_NEAR(apart.model.prediction.median(row, 1), bound(row, 1) + free(row, 1) - 10,
                1e-9);  // idle: 10 W
  }
  EXPECT_EQ(apart.model.error(), "");
  EXPECT_EQ(apart.model.workload, "gpu+cpu");
}

TEST(RunTogether, MeasuredPairIsAsMeasured) {
  Matrix one(4, 2), two(4, 2);
  one << 20, 10, 10, 14, 20, 12, 10, 16;
  two << 5, 11, 50, 15, 20, 13, 10, 17;
  const auto pair = run_together(model_of("a", gpu_space(), one), model_of("b", gpu_space(), two),
                                 {0.75, 0.25}, PairKnowledge::measured);
  EXPECT_DOUBLE_EQ(pair.model.prediction.median(0, 0), 15);    // max(0.75 x 20, 0.25 x 5)
  EXPECT_DOUBLE_EQ(pair.model.prediction.median(1, 0), 12.5);  // max(0.75 x 10, 0.25 x 50)
  EXPECT_DOUBLE_EQ(pair.model.prediction.median(1, 1), 14.5);
  EXPECT_DOUBLE_EQ(pair.each_ms(1, 1), 50);
}

TEST(RunTogether, PredictionAdmitsItsError) {
  Model model = model_of("a", gpu_space(), Matrix::Constant(4, 2, 10));
  model.prediction.log_variance = model.prediction.latent_log_variance = Matrix::Zero(4, 2);
  const auto predicted = run_together(model, model, {0.5, 0.5}, PairKnowledge::predicted);
  EXPECT_NEAR(predicted.model.prediction.log_stddev(0, 1), kPairPowerError, 1e-12);
  const auto measured = run_together(model, model, {0.5, 0.5}, PairKnowledge::measured);
  EXPECT_EQ(measured.model.prediction.log_variance(0, 0), 0);
}

TEST(RunTogether, NamesWhatIsWrong) {
  const Model a = model_of("a", gpu_space(), Matrix::Constant(4, 2, 10));
  const auto refusal = [&](const Model& b) -> std::string {
    try {
      run_together(a, b, {0.5, 0.5}, PairKnowledge::predicted);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(a), "");  // constant time and power
  Model b = a;
  b.device = "other";
  EXPECT_NE(refusal(b).find("different boards"), std::string::npos);
  b = a;
  b.prediction.log_mean(2, 1) = std::nan("");
  EXPECT_NE(refusal(b).find("times and powers"), std::string::npos);
  const auto cpu_only = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {100, 200}}, {hw::KnobRole::mem_khz, {100, 200}}}));
  b = model_of("b", cpu_only, Matrix::Constant(4, 2, 10));
  EXPECT_NE(refusal(b).find("same modes"), std::string::npos);
  EXPECT_THROW(run_together(b, b, {0.5, 0.5}, PairKnowledge::predicted), std::invalid_argument);
  EXPECT_NO_THROW(run_together(b, b, {0.5, 0.5}, PairKnowledge::measured));
}

}  // namespace together_test
}  // namespace fewwatt::learners
