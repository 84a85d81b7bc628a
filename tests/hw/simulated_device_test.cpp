#include "hw/simulated_device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace fewwatt::hw {
namespace simulated_device_test {

PowerModeSpace coarse_space() {
  return module_space("orin-agx-64", "coarse");
}

SimulatedDevice orin(const std::string& workload, SimulatedNoise noise = {}) {
  return {find_simulated_board("orin-agx-64"), find_simulated_workload(workload), coarse_space(), noise};
}

SimulatedSettings top_of(const SimulatedBoard& board) {
  return {board.cores, board.cpu_top_ghz, board.gpu_top_ghz, board.mem_top_ghz};
}

TEST(SimulatedDevice, MeasuresEveryModeOfItsSpace) {
  for (const auto& workload : simulated_workloads()) {
    auto device = orin(workload.name);
    for (const auto& mode : device.space().modes()) {
      const auto measured = device.measure(mode);
      ASSERT_TRUE(std::isfinite(measured.time_ms) && measured.time_ms > 0) << workload.name;
      ASSERT_TRUE(std::isfinite(measured.power_w) && measured.power_w > 0) << workload.name;
    }
  }
}

TEST(SimulatedDevice, ModeOffItsSpaceIsRefused) {
  auto device = orin("resnet18");
  EXPECT_THROW(device.measure({8, 1036800, 930750, 204000}), DeviceError);
  EXPECT_THROW(device.measure_without_noise({8, 1036800, 930750}), DeviceError);
  try {
    device.measure({5, 1036800, 930750, 2133000});
    FAIL();
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("cpu_cores=5"), std::string::npos) << e.what();
  }
}

TEST(SimulatedDevice, SameSeedSameNumbersWhateverTheOrder) {
  auto one = orin("lstm", {.seed = 3}), two = orin("lstm", {.seed = 3}), other = orin("lstm", {.seed = 4});
  auto modes = one.space().modes();
  std::vector<Measurement> first;
  for (const auto& mode : modes) first.push_back(one.measure(mode));
  bool all_same = true;
  for (std::size_t i = modes.size(); i-- > 0;) {
    const auto again = two.measure(modes[i]);
    EXPECT_EQ(again.time_ms, first[i].time_ms);
    EXPECT_EQ(again.power_w, first[i].power_w);
    all_same = all_same && other.measure(modes[i]).time_ms == first[i].time_ms;
  }
  EXPECT_FALSE(all_same);
}

TEST(SimulatedDevice, NoiseOfAModeDoesNotDependOnTheRestOfTheSpace) {
  auto coarse = orin("lstm");
  SimulatedDevice full(find_simulated_board("orin-agx-64"), find_simulated_workload("lstm"),
                       module_space("orin-agx-64"));
  const auto mode = coarse.space().at(100);
  EXPECT_EQ(coarse.measure(mode).time_ms, full.measure(mode).time_ms);
}

TEST(SimulatedDevice, NoiseHasTheSizeAskedFor) {
  auto device = orin("resnet18", {.time = 0.01, .power = 0.015, .seed = 1});
  double time = 0, power = 0, time_mean = 0;
  const auto modes = device.space().modes();
  for (const auto& mode : modes) {
    const auto noisy = device.measure(mode), exact = device.measure_without_noise(mode);
    const double t = std::log(noisy.time_ms / exact.time_ms);
    time_mean += t;
    time += t * t;
    power += std::pow(std::log(noisy.power_w / exact.power_w), 2);
  }
  const auto n = static_cast<double>(modes.size());  // 441: a standard deviation is known to 3.4 %
  EXPECT_NEAR(std::sqrt(time / n), 0.01, 0.0012);
  EXPECT_NEAR(std::sqrt(power / n), 0.015, 0.0018);
  EXPECT_NEAR(time_mean / n, 0, 0.0015);
}

TEST(SimulatedDevice, WithoutNoiseMoreOfAKnobIsNeverSlowerAndNeverSavesPower) {
  for (const char* board : {"orin-agx-64", "xavier-agx", "orin-nano-8", "tx2"}) {
    for (const auto& workload : simulated_workloads()) {
      SimulatedDevice device(find_simulated_board(board), workload, module_space(board));
      const auto& knobs = device.space().knobs();
      const auto start = device.space().at(device.space().size() / 2);
      for (std::size_t k = 0; k < knobs.size(); ++k) {
        auto mode = start;
        double time_ms = INFINITY, power_w = 0;
        for (const int level : knobs[k].levels) {
          mode[k] = level;
          const auto cost = device.measure_without_noise(mode);
          EXPECT_LE(cost.time_ms, time_ms * (1 + 1e-12)) << board << ' ' << workload.name << ' ' << k;
          EXPECT_GE(cost.power_w, power_w * (1 - 1e-12)) << board << ' ' << workload.name << ' ' << k;
          time_ms = cost.time_ms;
          power_w = cost.power_w;
        }
      }
    }
  }
}

TEST(SimulationTogether, OneWorkloadIsWhatItIsAlone) {
  for (const auto& board : simulated_boards()) {
    for (const auto& workload : simulated_workloads()) {
      const auto alone = simulate(board, workload, top_of(board));
      const auto costs = simulate_together(board, {&workload, 1}, top_of(board));
      EXPECT_EQ(costs[0].time_ms, alone.time_ms);
      EXPECT_EQ(costs[0].power_w, alone.power_w);
    }
  }
  EXPECT_THROW(simulate_together(simulated_boards()[0], {}, {}), std::invalid_argument);
}

TEST(SimulationTogether, EachIsSlowerThanAloneAndTheGpuIsNeverHeldTwice) {
  const auto& board = find_simulated_board("orin-agx-64");
  const auto space = coarse_space();
  for (const auto& a : simulated_workloads()) {
    for (const auto& b : simulated_workloads()) {
      for (const std::size_t m : {0, 100, 220, 333, 440}) {
        const auto settings = settings_of(board, space, space.at(m));
        const std::vector<SimulatedWorkload> both = {a, b}, swapped = {b, a};
        const auto costs = simulate_together(board, both, settings);
        const auto other_way = simulate_together(board, swapped, settings);
        double kernels = 0;
        for (std::size_t i = 0; i < 2; ++i) {
          const auto alone = simulate(board, both[i], settings);
          EXPECT_GT(costs[i].time_ms, alone.time_ms);
          EXPECT_NEAR(costs[i].time_ms / other_way[1 - i].time_ms, 1, 1e-9);
          kernels += alone.kernels_ms / costs[i].time_ms;
        }
        EXPECT_LE(kernels, 1) << a.name << ' ' << b.name << ' ' << m;
        EXPECT_EQ(costs[0].power_w, costs[1].power_w);
      }
    }
  }
}

TEST(SimulationTogether, TwoThatFillTheGpuHaveHalfOfItEach) {
  const auto& board = find_simulated_board("orin-agx-64");
  auto workload = find_simulated_workload("bert-base");
  workload.network.launch = 0;
  workload.pipeline.fetch = workload.pipeline.handoff = 0;
  const std::vector<SimulatedWorkload> both = {workload, workload};
  const auto alone = simulate(board, workload, top_of(board));
  const auto costs = simulate_together(board, both, top_of(board));
  EXPECT_NEAR(costs[0].time_ms / alone.time_ms, 2 + kSliceLoss, 1e-9);
  // And the board draws what one draws, less what is lost between slices, and a launching thread more.
  EXPECT_NEAR(costs[0].power_w / alone.power_w, 1, 0.05);
}

TEST(SimulationTogether, WorkloadsThatLeaveTheGpuFreeHardlyMeet) {
  const auto& board = find_simulated_board("orin-agx-64");
  auto busy = find_simulated_workload("bert-base"), idle = busy;
  idle.network.compute = idle.network.traffic = 1e-3;
  idle.network.launch = 1e-3;
  idle.pipeline.workers = 0;
  const std::vector<SimulatedWorkload> both = {busy, idle};
  const auto alone = simulate(board, busy, top_of(board));
  EXPECT_NEAR(simulate_together(board, both, top_of(board))[0].time_ms / alone.time_ms, 1, 0.01);
}

TEST(SimulationTogether, PowerLimitHoldsForBoth) {
  const auto& board = find_simulated_board("orin-agx-64");
  const std::vector<SimulatedWorkload> both = {find_simulated_workload("resnet18"),
                                               find_simulated_workload("lstm")};
  auto settings = top_of(board);
  const auto free = simulate_together(board, both, settings);
  settings.power_limit_w = free[0].power_w - 8;
  const auto limited = simulate_together(board, both, settings);
  EXPECT_NEAR(limited[0].power_w, settings.power_limit_w, 0.01);
  EXPECT_LT(limited[0].gpu_ghz, free[0].gpu_ghz);
}

TEST(SimulationTogether, DeviceMeasuresTheFirstBesideTheOthers) {
  const auto& board = find_simulated_board("orin-agx-64");
  const auto &a = find_simulated_workload("resnet18"), &b = find_simulated_workload("lstm");
  SimulatedDevice device(board, a, coarse_space(), {}, {b});
  const auto mode = device.space().at(300);
  const std::vector<SimulatedWorkload> both = {a, b};
  const auto costs = simulate_together(board, both, settings_of(board, device.space(), mode));
  EXPECT_EQ(device.measure_without_noise(mode).time_ms, costs[0].time_ms);
  EXPECT_EQ(device.measure_without_noise(mode).power_w, costs[0].power_w);
  auto bad = b;
  bad.batch_size = 0;
  EXPECT_THROW(SimulatedDevice(board, a, coarse_space(), {}, {bad}), std::invalid_argument);
}

TEST(Simulation, PowerRisesWithLoad) {
  const auto& board = find_simulated_board("xavier-agx");
  const auto watts = [&](const char* workload) {
    return simulate(board, find_simulated_workload(workload), top_of(board)).power_w;
  };
  EXPECT_LT(watts("lenet-mnist") * 1.5, watts("resnet18-cifar10"));
}

TEST(Simulation, LaunchesShowWhereTheGpuIsFast) {
  const auto& board = find_simulated_board("orin-agx-64");
  const auto& workload = find_simulated_workload("lenet-mnist");
  auto fast_gpu = top_of(board), slow_gpu = fast_gpu;
  slow_gpu.gpu_ghz = 0.11475;
  const auto gain = [&](SimulatedSettings settings) {  // of CPU clock
    const double at_top = simulate(board, workload, settings).gpu_ms;
    settings.cpu_ghz /= 2;
    return simulate(board, workload, settings).gpu_ms / at_top;
  };
  EXPECT_GT(gain(fast_gpu), gain(slow_gpu));
  const auto cost = simulate(board, workload, fast_gpu);
  EXPECT_GT(cost.launches_ms, cost.kernels_ms);
}

TEST(Simulation, WorkersHideWhatTheyFetchInTimeAndNoWorkersHideNothing) {
  const auto& board = find_simulated_board("xavier-agx");
  auto workload = find_simulated_workload("mobilenetv3");
  workload.pipeline.handoff = 0;
  workload.pipeline.fetch = 50;
  const auto hidden = simulate(board, workload, top_of(board));
  EXPECT_LT(hidden.fetch_ms, hidden.gpu_ms / 2);
  EXPECT_LT(hidden.stall_ms, 0.01 * hidden.gpu_ms);

  workload.pipeline.fetch = 5000;
  const auto starved = simulate(board, workload, top_of(board));
  EXPECT_GT(starved.fetch_ms, 2 * starved.gpu_ms);
  EXPECT_NEAR(starved.stall_ms, starved.fetch_ms - starved.gpu_ms, 0.01 * starved.fetch_ms);

  workload.pipeline.workers = 0;
  workload.pipeline.fetch = 50;
  const auto waiting = simulate(board, workload, top_of(board));
  EXPECT_DOUBLE_EQ(waiting.stall_ms, waiting.fetch_ms);
  EXPECT_DOUBLE_EQ(waiting.time_ms, waiting.gpu_ms + waiting.fetch_ms);
}

TEST(Simulation, FewerCoresThanSixAreFeltWithFourWorkers) {
  const auto& board = find_simulated_board("xavier-agx");
  auto settings = top_of(board);
  const auto stall = [&](double cores) {
    settings.cores = cores;
    return simulate(board, find_simulated_workload("lenet-mnist"), settings).stall_ms;
  };
  EXPECT_DOUBLE_EQ(stall(8), stall(6));
  EXPECT_LT(stall(6), stall(4));
  EXPECT_GT(stall(2), 1.5 * stall(6));
}

TEST(Simulation, ALargerBatchCostsLessPerSample) {
  const auto& board = find_simulated_board("xavier-agx");
  const auto& workload = find_simulated_workload("resnet18");
  auto settings = top_of(board);
  double before = INFINITY;
  for (const double batch : {1.0, 8.0, 16.0, 64.0}) {
    settings.batch_size = batch;
    const auto cost = simulate(board, workload, settings);  // of as many samples as the workload's minibatch
    EXPECT_LT(cost.time_ms, before) << batch;
    before = cost.time_ms;
    if (batch == workload.batch_size) {
      EXPECT_DOUBLE_EQ(cost.time_ms, simulate(board, workload, top_of(board)).time_ms);
    }
  }
}

TEST(Simulation, BatchVariantsAreTheSameNetworkWithAnotherMinibatch) {
  const auto& board = find_simulated_board("orin-agx-64");
  auto settings = top_of(board);
  const double half = simulate(board, find_simulated_workload("resnet18-b8"), settings).time_ms;
  const double one = simulate(board, find_simulated_workload("resnet18"), settings).time_ms;
  const double two = simulate(board, find_simulated_workload("resnet18-b32"), settings).time_ms;
  EXPECT_GT(half, one / 2);
  EXPECT_LT(half, one);
  EXPECT_LT(two, 2 * one);
  settings.batch_size = 8;
  EXPECT_NEAR(simulate(board, find_simulated_workload("resnet18"), settings).time_ms, 2 * half, 1e-9 * half);
}

TEST(Simulation, APowerLimitTakesTheHighestClockThatKeepsIt) {
  SimulatedBoard board;
  const SimulatedWorkload workload{.name = "w", .network = {}, .pipeline = {}};
  auto settings = top_of(board);
  const auto free = simulate(board, workload, settings);
  EXPECT_EQ(free.gpu_ghz, settings.gpu_ghz);
  settings.power_limit_w = 0.8 * free.power_w;
  const auto limited = simulate(board, workload, settings);
  EXPECT_LE(limited.power_w, settings.power_limit_w);
  EXPECT_NEAR(limited.power_w, settings.power_limit_w, 1e-6);
  EXPECT_LT(limited.gpu_ghz, free.gpu_ghz);
  EXPECT_GT(limited.time_ms, free.time_ms);
  settings.power_limit_w = 0.1;  // cannot be kept
  EXPECT_NEAR(simulate(board, workload, settings).gpu_ghz, 0.1 * board.gpu_top_ghz, 1e-12);
}

TEST(Simulation, KnobsThatASpaceLacksStandAtTheirTop) {
  const auto& board = find_simulated_board("tx2");
  const auto space = PowerModeSpace::grid({{KnobRole::gpu_khz, {500000, 1000000}}});
  const auto settings = settings_of(board, space, space.at(0));
  EXPECT_EQ(settings.cores, board.cores);
  EXPECT_EQ(settings.mem_ghz, board.mem_top_ghz);
  EXPECT_DOUBLE_EQ(settings.gpu_ghz, 0.5);
}

TEST(SimulatedBoards, AreBoardsWithTheirTops) {
  std::set<std::string> names;
  for (const auto& board : simulated_boards()) {
    names.insert(board.name);
    EXPECT_EQ(board.error(), "") << board.name;
    const auto& knobs = find_module(board.name).knobs;
    EXPECT_DOUBLE_EQ(board.gpu_top_ghz, knobs[2].levels.back() * 1e-6) << board.name;
  }
  EXPECT_EQ(names, (std::set<std::string>{"orin-agx-64", "orin-nano-8", "tx2", "xavier-agx"}));
}

TEST(SimulatedWorkloads, CrossedOnesShareTheirHalves) {
  const auto &resnet = find_simulated_workload("resnet18"),
             &mobilenet = find_simulated_workload("mobilenetv3");
  const auto& crossed = find_simulated_workload("resnet18-gld23k");
  EXPECT_EQ(crossed.network.compute, resnet.network.compute);
  EXPECT_EQ(crossed.network.compute_activity, resnet.network.compute_activity);
  EXPECT_EQ(crossed.pipeline.fetch, mobilenet.pipeline.fetch);
  EXPECT_EQ(crossed.pipeline.dataset, mobilenet.pipeline.dataset);
  const auto& other = find_simulated_workload("mobilenetv3-imagenet");
  EXPECT_EQ(other.network.traffic, mobilenet.network.traffic);
  EXPECT_EQ(other.pipeline.fetch, resnet.pipeline.fetch);
}

TEST(SimulatedWorkloads, AreValidAndNamedOnce) {
  std::set<std::string> names;
  for (const auto& workload : simulated_workloads()) {
    EXPECT_EQ(workload.error(), "") << workload.name;
    EXPECT_TRUE(names.insert(workload.name).second) << workload.name;
    EXPECT_GT(workload.minibatches_per_epoch(), 0) << workload.name;
  }
  EXPECT_EQ(find_simulated_workload("mobilenetv3").minibatches_per_epoch(), 1443);
}

TEST(SimulatedNames, TheNearestAreOffered) {
  const auto message = [](auto find, const char* name) {
    try {
      find(name);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("found");
  };
  const auto board = message([](auto name) { find_simulated_board(name); }, "orin-agx");
  EXPECT_NE(board.find("\"orin-agx\"; the nearest are orin-agx-64"), std::string::npos) << board;
  const auto workload = message([](auto name) { find_simulated_workload(name); }, "yolov8s");
  EXPECT_NE(workload.find("nearest are yolov8n"), std::string::npos) << workload;
}

TEST(SimulatedConstants, BadOnesAreNamed) {
  SimulatedBoard board;
  board.mem_speed = 0;
  EXPECT_NE(board.error().find("mem_speed"), std::string::npos) << board.error();
  board.mem_speed = 1;
  board.gpu_voltage_knee = 1;
  EXPECT_NE(board.error().find("gpu_voltage_knee"), std::string::npos) << board.error();
  SimulatedWorkload workload;
  workload.network.fixed_share = 1.5;
  EXPECT_NE(workload.error().find("fixed_share"), std::string::npos) << workload.error();
  workload.network.fixed_share = NAN;
  EXPECT_NE(workload.error().find("fixed_share"), std::string::npos) << workload.error();
  EXPECT_THROW(SimulatedDevice(SimulatedBoard{}, workload, coarse_space()), std::invalid_argument);
  EXPECT_THROW(SimulatedDevice(SimulatedBoard{}, SimulatedWorkload{}, coarse_space(), {.time = -1}),
               std::invalid_argument);
}

TEST(Populations, AreValidVariedAndTheSameForTheSameSeed) {
  std::set<std::set<KnobRole>> roles;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto one = random_board(7, i), again = random_board(7, i);
    EXPECT_EQ(one.board.error(), "") << i;
    EXPECT_EQ(one.space, again.space);
    EXPECT_EQ(one.board.gpu_busy_w, again.board.gpu_busy_w);
    EXPECT_NE(one.board.gpu_busy_w, random_board(8, i).board.gpu_busy_w);
    EXPECT_LE(one.space.size(), 1000u);
    EXPECT_GE(one.space.size(), 4u);
    std::set<KnobRole> these;
    for (const auto& knob : one.space.knobs()) these.insert(knob.role);
    roles.insert(these);
    EXPECT_EQ(random_workload(7, i).error(), "") << i;
    EXPECT_EQ(random_workload(7, i).network.compute, random_workload(7, i).network.compute);
  }
  using R = KnobRole;
  for (const std::set<KnobRole>& wanted : {std::set{R::cpu_cores, R::cpu_khz, R::gpu_khz, R::mem_khz},
                                           {R::power_limit_mw, R::batch_size},
                                           {R::power_limit_mw, R::gpu_khz, R::mem_khz},
                                           {R::cpu_cores, R::cpu_khz}})
    EXPECT_TRUE(roles.contains(wanted));
}

TEST(Populations, BoardsAreMadeForAnyKnobs) {
  const Knob cores{KnobRole::cpu_cores, {2, 4}}, cpu{KnobRole::cpu_khz, {500000, 2000000}},
      gpu{KnobRole::gpu_khz, {300000, 1000000}}, mem{KnobRole::mem_khz, {800000, 1600000}},
      limit{KnobRole::power_limit_mw, {100000, 250000}}, batch{KnobRole::batch_size, {8, 64}};
  for (const auto& knobs : std::vector<std::vector<Knob>>{{cores, cpu, gpu, mem},
                                                          {cpu, gpu, mem},
                                                          {limit, batch},
                                                          {limit, gpu, mem},
                                                          {cores, cpu},
                                                          {gpu, mem}}) {
    const auto space = PowerModeSpace::grid(knobs);
    for (std::uint64_t i = 0; i < 30; ++i) {
      const auto board = random_board_with(space, 4, i);
      ASSERT_EQ(board.error(), "");
      EXPECT_EQ(board.gpu_speed, random_board_with(space, 4, i).gpu_speed);
      SimulatedDevice device(board, random_workload(4, i), space);
      for (const auto& mode : space.modes()) {
        const auto measured = device.measure_without_noise(mode);
        ASSERT_TRUE(measured.time_ms > 0 && std::isfinite(measured.time_ms)) << i;
        ASSERT_TRUE(measured.power_w > 0 && std::isfinite(measured.power_w)) << i;
      }
      for (const auto& knob : knobs) {
        if (knob.role == KnobRole::cpu_cores) {
          EXPECT_EQ(board.cores, 4);
        }
        if (knob.role == KnobRole::gpu_khz) {
          EXPECT_EQ(board.gpu_top_ghz, 1.0);
        }
      }
    }
  }
  const auto host = PowerModeSpace::grid({cores, cpu});
  EXPECT_EQ(random_board_with(host, 1, 0).gpu_top_ghz, 0);
  EXPECT_NE(random_board_with(host, 1, 0).cpu_speed, random_board_with(host, 1, 1).cpu_speed);
  EXPECT_NE(random_board_with(host, 1, 0).cpu_speed, random_board_with(host, 2, 0).cpu_speed);
}

TEST(Populations, PowerLimitsMatterOnBoardsMadeForThem) {
  const auto space =
      PowerModeSpace::grid({{KnobRole::power_limit_mw, {100000, 250000}}, {KnobRole::batch_size, {8, 64}}});
  int slower = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    SimulatedDevice device(random_board_with(space, 4, i), random_workload(4, i), space);
    slower += device.measure_without_noise({100000, 64}).time_ms >
              1.02 * device.measure_without_noise({250000, 64}).time_ms;
  }
  EXPECT_GT(slower, 15);
}

TEST(Populations, EveryMemberCanBeMeasuredInEveryMode) {
  for (std::uint64_t b = 0; b < 20; ++b) {
    const auto random = random_board(1, b);
    for (std::uint64_t w = 0; w < 5; ++w) {
      SimulatedDevice device(random.board, random_workload(1, w), random.space);
      for (const auto& mode : device.space().modes()) {
        const auto measured = device.measure_without_noise(mode);
        ASSERT_TRUE(measured.time_ms > 0 && std::isfinite(measured.time_ms)) << b << ' ' << w;
        ASSERT_TRUE(measured.power_w > 0 && std::isfinite(measured.power_w)) << b << ' ' << w;
      }
    }
  }
}

}  // namespace simulated_device_test
}  // namespace fewwatt::hw
