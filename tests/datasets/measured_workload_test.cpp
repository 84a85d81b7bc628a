#include "datasets/measured_workload.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "datasets/profile_io.hpp"
#include "hw/simulated_device.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace measured_workload_test {

using datasets::open_measured_workload;

datasets::MeasuredWorkloadOptions simulated() {
  datasets::MeasuredWorkloadOptions options;
  options.measuring.device = "simulated:orin-agx-64";
  options.measuring.workload = "resnet18";
  options.measuring.grid = "coarse";
  return options;
}

bool never() {
  return false;
}

TEST(MeasuredWorkload, WithoutNoiseOfItsOwnAnswersAsTheDevice) {
  hw::SystemMonotonic time;
  const auto on = open_measured_workload(simulated(), time, never);
  hw::SimulatedDevice device(hw::find_simulated_board("orin-agx-64"), hw::find_simulated_workload("resnet18"),
                             on->space());
  for (const std::size_t i : {std::size_t{0}, on->space().size() - 1}) {
    const auto mode = on->space().at(i);
    for (int again = 0; again < 2; ++again) {
      const auto attempt = on->attempt(mode);
      EXPECT_EQ(attempt.status, hw::AttemptStatus::ok);
      EXPECT_EQ(attempt.measured.time_ms, device.measure(mode).time_ms);
      EXPECT_EQ(attempt.measured.power_w, device.measure(mode).power_w);
    }
  }
  EXPECT_EQ(on->device, "orin-agx-64");
  EXPECT_EQ(on->attributes.model, "resnet18");
  EXPECT_TRUE(on->attributes.flops);
}

TEST(MeasuredWorkload, NoiseIsDrawnForEachMeasurementAroundTheTruth) {
  auto options = simulated();
  options.noise = 0.02;
  hw::SystemMonotonic time;
  const auto on = open_measured_workload(options, time, never);
  const auto mode = on->space().at(7);
  const auto truth = hw::SimulatedDevice(hw::find_simulated_board("orin-agx-64"),
                                         hw::find_simulated_workload("resnet18"), on->space())
                         .measure_without_noise(mode);
  constexpr int kTimes = 400;
  double sum = 0, squares = 0;
  for (int i = 0; i < kTimes; ++i) {
    const double z = std::log(on->attempt(mode).measured.time_ms / truth.time_ms);
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / kTimes, 0, 4 * options.noise / std::sqrt(kTimes));
  EXPECT_NEAR(std::sqrt(squares / kTimes), options.noise, 0.15 * options.noise);
  EXPECT_DOUBLE_EQ(on->now_s(), kTimes * options.measuring.profiler.window_s);
}

TEST(MeasuredWorkload, StopsWhenTold) {
  hw::SystemMonotonic time;
  const auto on = open_measured_workload(simulated(), time, [] { return true; });
  EXPECT_EQ(on->attempt(on->space().at(0)).status, hw::AttemptStatus::interrupted);
  EXPECT_EQ(on->now_s(), 0);
}

TEST(MeasuredWorkload, AnswersFromAProfile) {
  const TempDir dir;
  auto options = simulated();
  ASSERT_EQ(
      run_program("simulate", "--device orin-agx-64 --workloads resnet18 --grid 20 --out " + (dir / "p.h5"))
          .code,
      0);
  options.measuring = {};
  options.measuring.device = "replay";
  options.measuring.workload = "resnet18";
  options.measuring.profiles = dir / "p.h5";
  options.measuring.profiled_device = "orin-agx-64";
  hw::SystemMonotonic time;
  const auto on = open_measured_workload(options, time, never);
  const auto store = datasets::read_profiles(dir / "p.h5");
  const auto& profile = *store.find("orin-agx-64", "resnet18");
  ASSERT_EQ(on->space().size(), profile.modes.size());
  for (std::size_t i = 0; i < profile.modes.size(); ++i)
    EXPECT_EQ(on->attempt(profile.modes[i]).measured.power_w, profile.measurements[i].power_w);
  EXPECT_EQ(on->attributes, profile.attributes);
  options.measuring.workload = "lstm";
  EXPECT_THROW(open_measured_workload(options, time, never), datasets::DataError);
}

TEST(MeasuredWorkload, OptionsThatMakeNoSenseAreRefused) {
  hw::SystemMonotonic time;
  const auto message = [&](const auto& change) {
    auto options = simulated();
    change(options);
    try {
      open_measured_workload(options, time, never);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  using O = datasets::MeasuredWorkloadOptions;
  EXPECT_EQ(message([](O& o) { o.measuring.device = "orin"; }),
            "--device must be jetson, simulated:BOARD or replay, found \"orin\"");
  EXPECT_EQ(message([](O& o) { o.measuring.workload = ""; }),
            "--device simulated:orin-agx-64 needs --workload");
  EXPECT_EQ(message([](O& o) { o.measuring.simulated_speed = 0; }), "--simulated-speed must be > 0");
  EXPECT_EQ(message([](O& o) { o.noise = -1; }), "MeasuredWorkloadOptions: noise must be >= 0");
  EXPECT_EQ(message([](O& o) { o.measuring.profiler.window_s = std::nan(""); }), "--window-s must be > 0");
  EXPECT_EQ(message([](O& o) { o.measuring.device = "jetson"; }),
            "--grid goes with --device simulated:BOARD");
  EXPECT_EQ(message([](O& o) {
              o.measuring.device = "replay";
              o.measuring.grid = "";
            }),
            "--device replay needs --profiles and --profiled-device");
}

}  // namespace measured_workload_test
}  // namespace fewwatt::tests
