#include "hw/jetson/power_meter.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace power_meter_test {

constexpr double kLong_s = 120;  // for what must not fail on a machine that is busy with other things

class FakeClock final : public Monotonic {
 public:
  double now_s() override { return time_s += step_s; }
  void wait_s(double seconds) override { time_s += seconds; }
  double time_s = 1000;
  double step_s = 0;  // each look takes as long
};

class Scripted final : public PowerSource {
 public:
  explicit Scripted(std::function<double()> power, double averaging = 0)
      : power_(std::move(power)), averaging_s_(averaging) {}
  double power_w() override { return power_(); }
  double averaging_s() const override { return averaging_s_; }
  std::string describe() const override { return "scripted"; }

 private:
  std::function<double()> power_;
  double averaging_s_;
};

// Samples every `interval_s` until `to_s`.
void sample_until(PowerMeter& meter, FakeClock& clock, double to_s, double interval_s = 0.1) {
  while (clock.time_s < to_s) {
    meter.sample();
    clock.wait_s(interval_s);
  }
  meter.sample();
}

template <class Body>
void expect_device_error(const Body& body, std::initializer_list<std::string> fragments) {
  try {
    body();
    ADD_FAILURE() << "expected a DeviceError";
  } catch (const DeviceError& e) {
    const std::string message = e.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& fragment : fragments)
      EXPECT_NE(message.find(fragment), std::string::npos) << "'" << fragment << "' is not in: " << message;
  }
}

TEST(PowerMeter, ConstantPowerIsExact) {
  FakeClock clock;
  Scripted source([] { return 12.5; }, 0.43);
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1010);
  const auto reading = meter.over(1001.05, 1009.05);
  EXPECT_NEAR(reading.mean_w, 12.5, 1e-12);
  EXPECT_NEAR(reading.energy_j, 100, 1e-9);
  EXPECT_NEAR(reading.stddev_w, 0, 1e-9);
  EXPECT_NEAR(reading.seconds, 8, 1e-9);
  EXPECT_NEAR(reading.longest_gap_s, 0.1, 1e-9);
  EXPECT_EQ(reading.samples, 80u);
  EXPECT_EQ(reading.effective_samples, 1u) << "readings that are all equal tell one thing";
}

TEST(PowerMeter, TrapezoidsFollowARampWhateverTheTimes) {
  FakeClock clock;
  Scripted source([&] { return 3 * (clock.time_s - 1000); });
  PowerMeter meter(source, clock);
  for (const double wait_s : {0.3, 0.1, 0.7, 0.05, 1.3, 0.2, 0.4}) {
    meter.sample();
    clock.wait_s(wait_s);
  }
  meter.sample();
  const auto reading = meter.over(1000.25, 1002.95);
  EXPECT_NEAR(reading.energy_j, 1.5 * (2.95 * 2.95 - 0.25 * 0.25), 1e-9);
  EXPECT_NEAR(reading.mean_w, 3 * (0.25 + 2.95) / 2, 1e-9);
  EXPECT_NEAR(reading.longest_gap_s, 1.3, 1e-9);
  const auto within_a_gap = meter.over(1001.2, 1001.4);
  EXPECT_NEAR(within_a_gap.mean_w, 3 * 1.3, 1e-9);
  EXPECT_EQ(within_a_gap.samples, 0u);
  EXPECT_EQ(within_a_gap.effective_samples, 0u);
  EXPECT_THROW(meter.over(1001, 1001), std::invalid_argument);
  EXPECT_THROW(meter.over(1002, 1001), std::invalid_argument);
  EXPECT_THROW(meter.over(std::numeric_limits<double>::quiet_NaN(), 1001), std::invalid_argument);
}

TEST(PowerMeter, StampIsMidwayThroughTheReading) {
  FakeClock clock;
  Scripted source([&] {
    clock.time_s += 0.02;
    return 1.0;
  });
  PowerMeter meter(source, clock);
  meter.sample();
  ASSERT_EQ(meter.samples().size(), 1u);
  EXPECT_NEAR(meter.samples()[0].at_s, 1000.01, 1e-9);
}

TEST(PowerMeter, StddevIsOfTheSamplesInTheWindow) {
  FakeClock clock;
  int n = 0;
  Scripted source([&] { return n++ % 2 == 0 ? 9.0 : 11.0; });
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1001.95);
  const auto reading = meter.over(1000.05, 1001.05);
  EXPECT_EQ(reading.samples, 10u);
  EXPECT_NEAR(reading.stddev_w, std::sqrt(10.0 / 9), 1e-9);
}

TEST(PowerMeter, RepeatedAveragesAreNotNewInformation) {
  FakeClock clock;
  // A new average every 0.43 s.
  const auto average = [&] { return 10 + std::fmod(std::floor((clock.time_s - 1000) / 0.43 + 1e-6), 7); };
  Scripted source(average, 0.43);
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1009);
  const auto reading = meter.over(1000.2, 1008.8);
  EXPECT_EQ(reading.samples, 86u);
  EXPECT_EQ(reading.effective_samples, 20u);

  FakeClock other;
  int n = 0;
  Scripted noisy([&] { return 10.0 + (n++ % 5); }, 0.43);
  PowerMeter fast(noisy, other);
  sample_until(fast, other, 1009);
  EXPECT_EQ(fast.over(1000.2, 1004.5).effective_samples, 10u) << "never more than there is room for";
  EXPECT_EQ(fast.over(1000.2, 1000.5).effective_samples, 0u) << "shorter than one average";
}

TEST(PowerMeter, WindowMustBeCovered) {
  FakeClock clock;
  Scripted source([] { return 5.0; });
  PowerMeter meter(source, clock);
  expect_device_error([&] { meter.over(1000, 1001); }, {"not covered", "there are none"});
  sample_until(meter, clock, 1005);
  expect_device_error([&] { meter.over(999.9, 1001); }, {"not covered", "from 1000.000 s to 1005."});
  expect_device_error([&] { meter.over(1004, 1006); }, {"not covered"});
  EXPECT_NEAR(meter.over(1000, 1005).mean_w, 5, 1e-12) << "samples at both ends";
}

TEST(PowerMeter, ClockThatJumpsIsNoticed) {
  FakeClock clock;
  Scripted source([] { return 5.0; });
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1005);
  clock.time_s += 2.6;
  sample_until(meter, clock, 1010);
  expect_device_error([&] { meter.over(1004, 1009); }, {"no samples for 2.6", "the clock jumped"});
  EXPECT_NEAR(meter.over(1000, 1004.9).mean_w, 5, 1e-12);
  EXPECT_NEAR(meter.over(1008, 1009).mean_w, 5, 1e-12);

  clock.time_s = 1003;
  sample_until(meter, clock, 1006);
  expect_device_error([&] { meter.over(1004, 1005); }, {"in a row failed", "did not go forward"});
}

TEST(PowerMeter, ReadingThatTakesTooLongIsNone) {
  FakeClock clock;
  double takes_s = 0;
  Scripted source([&] {
    clock.time_s += takes_s;
    return 5.0;
  });
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1001);
  takes_s = 4;
  meter.sample();
  takes_s = 0;
  sample_until(meter, clock, 1006);
  EXPECT_EQ(meter.failures(), 1u);
  expect_device_error([&] { meter.over(1000.5, 1005.9); }, {"no samples for 4", "a reading took 4 s"});
}

TEST(PowerMeter, FailedReadingsAreCounted) {
  FakeClock clock;
  int failing = 0;
  Scripted source([&] {
    if (failing-- > 0) throw SysfsError("/sys/class/hwmon/hwmon3/in1_input", "cannot read", EIO);
    return 5.0;
  });
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1001);
  failing = 4;
  sample_until(meter, clock, 1002);
  EXPECT_EQ(meter.failures(), 4u);
  const auto reading = meter.over(1000.5, 1001.95);
  EXPECT_NEAR(reading.mean_w, 5, 1e-12);
  EXPECT_GT(reading.longest_gap_s, 0.35);

  failing = 5;
  sample_until(meter, clock, 1004);
  EXPECT_EQ(meter.failures(), 9u);
  expect_device_error(
      [&] { meter.over(1001, 1003.5); },
      {"5 readings in a row failed", "/sys/class/hwmon/hwmon3/in1_input", "Input/output error"});
  EXPECT_NEAR(meter.over(1000.5, 1001.5).mean_w, 5, 1e-12) << "before they failed";

  failing = std::numeric_limits<int>::max();
  meter.sample();
  expect_device_error([&] { meter.over(1003, clock.time_s + 1); }, {"not covered", "Input/output error"});
}

TEST(PowerMeter, ReadingsThatAreNoNumbersFail) {
  FakeClock clock;
  Scripted source([] { return std::numeric_limits<double>::quiet_NaN(); });
  PowerMeter meter(source, clock);
  meter.sample();
  EXPECT_EQ(meter.failures(), 1u);
  EXPECT_TRUE(meter.samples().empty());
}

TEST(PowerMeter, MemoryHasABound) {
  FakeClock clock;
  int n = 0;
  Scripted source([&]() -> double {
    if (n++ % 3 == 0) throw DeviceError("now and then");
    return 5.0;
  });
  PowerMeter meter(source, clock, {.keep_s = 10});
  sample_until(meter, clock, 1100);
  EXPECT_LE(meter.samples().size(), 102u);
  EXPECT_NEAR(meter.over(1091, 1099).mean_w, 5, 1e-12);
  meter.forget_before(1095);
  EXPECT_LE(meter.samples().size(), 52u);
  EXPECT_NEAR(meter.over(1095, 1099).mean_w, 5, 1e-12);
  EXPECT_THROW(meter.over(1092, 1099), DeviceError);
}

TEST(PowerMeter, OptionsAreChecked) {
  FakeClock clock;
  Scripted source([] { return 1.0; });
  EXPECT_EQ(PowerMeterOptions{}.error(), "");
  for (const PowerMeterOptions& options :
       {PowerMeterOptions{.interval_s = 0}, PowerMeterOptions{.interval_s = 3},
        PowerMeterOptions{.max_gap_s = -1}, PowerMeterOptions{.keep_s = 0},
        PowerMeterOptions{.max_failures = 0}})
    EXPECT_THROW(PowerMeter(source, clock, options), std::invalid_argument) << options.error();
}

TEST(PowerMeter, WaitingForSamplesEnds) {
  FakeClock clock;
  Scripted source([]() -> double { throw DeviceError("/sys/gone: cannot read"); });
  PowerMeter meter(source, clock);
  sample_until(meter, clock, 1001);
  expect_device_error([&] { meter.wait_past(1000.5); }, {"no reading of power", "/sys/gone"});
  EXPECT_THROW(meter.wait_past(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
}

TEST(PowerMeter, ThreadCoversAllBetweenStartAndStop) {
  SystemMonotonic clock;
  std::atomic<int> n{0};
  Scripted source([&] { return 7.0 + (n++ % 2); }, 0.001);
  PowerMeter meter(source, clock, {.interval_s = 0.002, .max_gap_s = kLong_s});
  meter.start();
  meter.start();
  const double from_s = clock.now_s();
  while (n < 20) clock.wait_s(0.002);
  const double middle_s = clock.now_s();
  meter.wait_past(middle_s);
  const auto while_it_runs = meter.over(from_s, middle_s);
  EXPECT_GT(while_it_runs.samples, 0u);
  EXPECT_GE(while_it_runs.mean_w, 7);
  EXPECT_LE(while_it_runs.mean_w, 8);
  const double to_s = clock.now_s();
  meter.stop();
  meter.stop();
  EXPECT_GE(meter.over(from_s, to_s).energy_j, while_it_runs.energy_j);
  const auto taken = meter.samples();
  for (std::size_t i = 1; i < taken.size(); ++i) EXPECT_LT(taken[i - 1].at_s, taken[i].at_s);
  EXPECT_EQ(meter.failures(), 0u);
}

TEST(PowerMeter, ThreadSurvivesASourceThatFails) {
  SystemMonotonic clock;
  Scripted source([]() -> double { throw std::runtime_error("sensor fell off"); });
  PowerMeter meter(source, clock, {.interval_s = 0.001, .max_gap_s = kLong_s});
  meter.start();
  while (meter.failures() < 6) clock.wait_s(0.001);
  const double now_s = clock.now_s();
  expect_device_error([&] { meter.over(now_s - 1, now_s); }, {"in a row failed", "sensor fell off"});
}

TEST(RailPower, AddsRailsUp) {
  const tests::TempDir dir;
  tests::write_text(dir / "sys/a/in1_input", "19456\n");
  tests::write_text(dir / "sys/a/curr1_input", "160\n");
  tests::write_text(dir / "sys/b/power1_input", "2500000\n");
  const FileSysfs files(dir.path().string());
  TotalPower total;
  total.rails.resize(2);
  total.rails[0].voltage_path = "/sys/a/in1_input";
  total.rails[0].current_path = "/sys/a/curr1_input";
  total.rails[1].power_path = "/sys/b/power1_input";
  total.rails[1].power_unit_w = 1e-6;
  total.rails[1].averaging_s = 0.8;
  total.note = "A + B";
  RailPower source(files, total);
  EXPECT_NEAR(source.power_w(), 19.456 * 0.160 + 2.5, 1e-12);
  EXPECT_EQ(source.averaging_s(), 0.8);
  EXPECT_EQ(source.describe(), "rails A + B");
  std::filesystem::remove(dir / "sys/a/curr1_input");
  expect_device_error([&] { source.power_w(); }, {"/sys/a/curr1_input", "No such file"});
}

// ---- tegrastats: a line of each JetPack ----

const std::string kOrinNanoLine =
    "11-30-2025 13:26:01 RAM 2461/7620MB (lfb 3x2MB) SWAP 1/3810MB (cached 0MB) CPU [5%@729,3%@729,off,off] "
    "EMC_FREQ 4%@2133 GR3D_FREQ 0%@[305] NVDEC off NVJPG off VIC off OFA off APE 200 cpu@46.531C "
    "tj@48.843C VDD_IN 5704mW/5000mW VDD_CPU_GPU_CV 831mW/800mW VDD_SOC 1624mW/1600mW";

TEST(TegrastatsRails, LinesOfEveryJetPack) {
  using Rails = std::multimap<std::string, double>;
  EXPECT_EQ(
      tegrastats_rails_w("RAM 331/3964MB (lfb 758x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
                         "CPU [31%@102,5%@102,0%@102,off] EMC_FREQ 3%@204 GR3D_FREQ 10%@76 APE 25 PLL@20.5C "
                         "CPU@23.5C PMIC@100C GPU@22.5C AO@27.5C thermal@23C POM_5V_IN 933/900 "
                         "POM_5V_GPU 0/0 POM_5V_CPU 84/105"),
      (Rails{{"POM_5V_IN", 0.933}, {"POM_5V_GPU", 0}, {"POM_5V_CPU", 0.084}}));
  EXPECT_EQ(tegrastats_rails_w("RAM 1183/7860MB (lfb 1487x4MB) CPU [2%@345,off,off,1%@345] EMC_FREQ 1%@665 "
                               "GR3D_FREQ 5%@140 APE 150 MTS fg 0% bg 0% BCPU@30C Tdiode@27C PMIC@100C "
                               "VDD_IN 1383/1500 VDD_CPU 153/191"),
            (Rails{{"VDD_IN", 1.383}, {"VDD_CPU", 0.153}}));
  EXPECT_EQ(
      tegrastats_rails_w("RAM 861/15822MB (lfb 3493x4MB) CPU [3%@1190,off] EMC_FREQ 0%@2133 AO@26.5C "
                         "GPU@28C GPU 1155/1155 CPU 385/385 SOC 2502/2502 CV 0/0 VDDRQ 192/192 SYS5V 2692/1"),
      (Rails{{"GPU", 1.155}, {"CPU", 0.385}, {"SOC", 2.502}, {"CV", 0}, {"VDDRQ", 0.192}, {"SYS5V", 2.692}}));
  EXPECT_EQ(tegrastats_rails_w(
                "01-03-2023 16:07:54 RAM 2257/30536MB (lfb 5392x4MB) CPU [0%@729,off] EMC_FREQ 0%@204 "
                "GR3D_FREQ 0%@0 NVJPG1 729 CV0@-256C CPU@41.437C VDD_GPU_SOC 2390mW/2395mW "
                "VDD_CPU_CV 796mW/796mW VIN_SYS_5V0 3522mW/3522mW NC 0mW/0mW "
                "VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW\r"),
            (Rails{{"VDD_GPU_SOC", 2.390},
                   {"VDD_CPU_CV", 0.796},
                   {"VIN_SYS_5V0", 3.522},
                   {"VDDQ_VDD2_1V8AO", 0.301}}));
  EXPECT_EQ(tegrastats_rails_w(kOrinNanoLine),
            (Rails{{"VDD_IN", 5.704}, {"VDD_CPU_GPU_CV", 0.831}, {"VDD_SOC", 1.624}}));
  EXPECT_EQ(tegrastats_rails_w("06-02-2026 10:00:00 RAM 4000/62000MB CPU [5%@729] GR3D_FREQ 12%@[1300,1300] "
                               "cpu@52.968C/52.968C VDD_GPU_SOC 5139mW/5130mW/5120mW"),
            (Rails{{"VDD_GPU_SOC", 5.139}}));
  EXPECT_EQ(
      tegrastats_rails_w("RAM 4000/122000MB CPU [5%@729] GR3D_FREQ @[1000,1000,1000] VIN 20000mW/19000mW"),
      (Rails{{"VIN", 20}}));
}

TEST(TegrastatsRails, WhatIsNoRailIsNotTaken) {
  for (const std::string line :
       {"", " ", "VDD_IN", "VDD_IN 5704mW", "VDD_IN 5704mW/", "VDD_IN /5704mW", "VDD_IN 5704mW/5704",
        "VDD_IN 1/2/3/4", "VDD_IN 1.5/2.5", "VDD_IN off", "2025 1/2", "RAM 1/2MB", "NC 0mW/0mW"})
    EXPECT_TRUE(tegrastats_rails_w(line).empty()) << line;
}

// A script in place of tegrastats.
class Script {
 public:
  explicit Script(const std::string& text) { tests::write_text(dir_ / "tegrastats", text + '\n'); }
  TegrastatsOptions options() const {
    return {.command = {"/bin/sh", dir_ / "tegrastats"}, .interval_ms = 100, .patience_s = kLong_s};
  }
  std::string file(const std::string& name) const { return dir_ / name; }

 private:
  tests::TempDir dir_;
};
std::string echo(const std::string& line) {
  return "echo '" + line + "'\n";
}

TEST(TegrastatsPower, NewestLineIsRead) {
  const Script script("echo \"$@\" > \"${0%/*}/arguments\"\n" + echo("not a line of rails") +
                      echo("RAM 1/2MB VDD_IN 1000mW/1mW VDD_SOC 5mW/5mW") +
                      "while [ ! -e \"${0%/*}/go\" ]; do sleep 0.01; done\n" +
                      echo("RAM 1/2MB VDD_IN 2000mW/1mW VDD_SOC 5mW/5mW") +
                      echo("RAM 1/2MB VDD_IN 3000mW/1mW VDD_SOC 5mW/5mW") + "exec sleep 1000");
  SystemMonotonic clock;
  TegrastatsPower source(clock, {}, script.options());
  EXPECT_EQ(tests::read_text(script.file("arguments")), "--interval 100\n");
  EXPECT_NEAR(source.power_w(), 1, 1e-12);
  EXPECT_EQ(source.averaging_s(), kSensorAveraging_s);
  EXPECT_NE(source.describe().find("VDD_IN; not added: VDD_SOC"), std::string::npos) << source.describe();
  tests::write_text(script.file("go"), "");
  const double start_s = clock.now_s();
  while (source.power_w() < 2.5 && clock.now_s() < start_s + kLong_s) clock.wait_s(0.01);
  EXPECT_NEAR(source.power_w(), 3, 1e-12);
}

TEST(TegrastatsPower, SilenceIsAnError) {
  const Script script(echo(kOrinNanoLine) + "exec sleep 1000");
  FakeClock clock;
  auto options = script.options();
  options.patience_s = 2.5;
  TegrastatsPower source(clock, {}, options);
  EXPECT_NEAR(source.power_w(), 5.704, 1e-12);
  clock.time_s += 2.4;
  EXPECT_NEAR(source.power_w(), 5.704, 1e-12);
  clock.time_s += 0.2;
  expect_device_error([&] { source.power_w(); }, {"no line for 2.6 s"});

  const Script quiet(echo("RAM 1/2MB CPU [2%@345]") + "exec sleep 1000");
  FakeClock impatient;
  impatient.step_s = 1;
  options.command = quiet.options().command;
  expect_device_error([&] { TegrastatsPower(impatient, {}, options); }, {"no line with power rails", "root"});
}

TEST(TegrastatsPower, EndOfTheChildIsAnError) {
  SystemMonotonic clock;
  const Script script(echo(kOrinNanoLine));
  TegrastatsPower source(clock, {}, script.options());
  expect_device_error(
      [&] {
        for (;;) source.power_w();
      },
      {"/bin/sh has ended"});
  const Script nothing("exit 3");
  expect_device_error([&] { TegrastatsPower(clock, {}, nothing.options()); }, {"has ended"});
  // qemu-user forks where vfork is asked for, so posix_spawn does not hear there that exec failed.
  const std::string emulator = tests::emulator();
  expect_device_error([&] { TegrastatsPower(clock, {}, {.command = {"/no/such/tegrastats"}}); },
                      {emulator.empty() ? "/no/such/tegrastats: cannot start: No such file or directory"
                                        : "/no/such/tegrastats has ended"});
  EXPECT_THROW(TegrastatsPower(clock, {}, {.command = {}}), std::invalid_argument);
  EXPECT_THROW(TegrastatsPower(clock, {}, {.interval_ms = 0}), std::invalid_argument);
  EXPECT_THROW(TegrastatsPower(clock, {}, {.patience_s = 0}), std::invalid_argument);
}

TEST(TegrastatsPower, RailsWithoutATotalAreRefused) {
  SystemMonotonic clock;
  const Script script(echo("RAM 1/2MB VDD_GPU_SOC 5139mW/5130mW VDD_CPU_CV 1mW/1mW") + "exec sleep 1000");
  expect_device_error([&] { TegrastatsPower(clock, {}, script.options()); }, {"missing VIN_SYS_5V0"});
  const Script twice(echo("RAM 1/2MB VDD_IN 1/1 VDD_IN 2/2") + "exec sleep 1000");
  expect_device_error([&] { TegrastatsPower(clock, {}, twice.options()); },
                      {"VDD_IN is there more than once"});
}

TEST(TegrastatsPower, ChildDoesNotOutliveIt) {
  SystemMonotonic clock;
  const Script script("echo $$ > \"${0%/*}/pid\"\n" + echo(kOrinNanoLine) + "exec sleep 1000");
  pid_t child = 0;
  {
    const TegrastatsPower source(clock, {}, script.options());
    child = static_cast<pid_t>(std::stol(tests::read_text(script.file("pid"))));
    EXPECT_EQ(::kill(child, 0), 0);
  }
  EXPECT_EQ(::kill(child, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(FindPowerSource, RailsFirstThenTegrastats) {
  const tests::TempDir dir;
  const std::string sensor = dir / "sys/class/hwmon/hwmon1";
  tests::write_text(sensor + "/name", "ina3221\n");
  tests::write_text(sensor + "/in1_label", "VDD_IN\n");
  tests::write_text(sensor + "/in1_input", "5000\n");
  tests::write_text(sensor + "/curr1_input", "1000\n");
  const FileSysfs files(dir.path().string());
  SystemMonotonic clock;
  const Script script(echo(kOrinNanoLine) + "exec sleep 1000");
  const auto rails = find_power_source(files, clock, {}, script.options());
  EXPECT_NEAR(rails->power_w(), 5, 1e-12);

  std::filesystem::remove(sensor + "/curr1_input");
  const auto fall_back = find_power_source(files, clock, {}, script.options());
  EXPECT_NEAR(fall_back->power_w(), 5.704, 1e-12);
  EXPECT_NE(fall_back->describe().find("curr1_input"), std::string::npos) << fall_back->describe();

  expect_device_error([&] { find_power_source(files, clock, {}, {.command = {"/no/such/tegrastats"}}); },
                      {"curr1_input", "/no/such/tegrastats"});
}

}  // namespace power_meter_test
}  // namespace fewwatt::hw
