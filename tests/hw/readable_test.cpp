#include "hw/readable.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace fewwatt::hw {
namespace readable_test {

TEST(Readable, NumbersHaveThreeDigitsAndNoExponent) {
  EXPECT_EQ(readable_number(77.123), "77.1");
  EXPECT_EQ(readable_number(77.03), "77");
  EXPECT_EQ(readable_number(5.5), "5.5");
  EXPECT_EQ(readable_number(0.04401), "0.044");
  EXPECT_EQ(readable_number(99.96), "100");
  EXPECT_EQ(readable_number(18096.2), "18096");
  EXPECT_EQ(readable_number(1e7), "10000000");
  EXPECT_EQ(readable_number(0), "0");
  EXPECT_EQ(readable_number(-0.0), "0");
  EXPECT_EQ(readable_number(-2.346), "-2.35");
  EXPECT_EQ(readable_number(1.2345, 2), "1.2");
  EXPECT_EQ(readable_number(1e-30), "0");
  EXPECT_EQ(readable_number(std::numeric_limits<double>::infinity()), "inf");
}

TEST(Readable, TimesHaveTheUnitOfTheirSize) {
  EXPECT_EQ(readable_time(0.85), "0.85 ms");
  EXPECT_EQ(readable_time(77), "77 ms");
  EXPECT_EQ(readable_time(999), "999 ms");
  EXPECT_EQ(readable_time(1254), "1.25 s");
  EXPECT_EQ(readable_time(599e3), "599 s");
  EXPECT_EQ(readable_time(750e3), "12.5 min");
  EXPECT_EQ(readable_time(12 * 3.6e6), "12 h");
  EXPECT_EQ(readable_time(0), "0 ms");
}

TEST(Readable, ASpreadHasTheUnitOfItsValue) {
  EXPECT_EQ(readable_power(28.14, 1.314), "28.1 W ± 1.3");
  EXPECT_EQ(readable_time(77, 2.06), "77 ms ± 2.1");
  EXPECT_EQ(readable_time(1254, 20), "1.25 s ± 0.02");
  EXPECT_EQ(readable_power(28.14), "28.1 W");
  EXPECT_EQ(readable_power(28.14, std::numeric_limits<double>::quiet_NaN()), "28.1 W");
}

TEST(Readable, EnergiesHaveTheUnitOfTheirSize) {
  EXPECT_EQ(readable_energy(0.044), "44 mJ");
  EXPECT_EQ(readable_energy(2.164), "2.16 J");
  EXPECT_EQ(readable_energy(12.5e3), "12.5 kJ");
}

TEST(Readable, AChanceIsNotRoundedUp) {
  EXPECT_EQ(readable_chance(0.929), "92 %");
  EXPECT_EQ(readable_chance(0.29), "29 %");
  EXPECT_EQ(readable_chance(0.9), "90 %");
  EXPECT_EQ(readable_chance(0.99), "99 %");
  EXPECT_EQ(readable_chance(0.9901), "over 99 %");
  EXPECT_EQ(readable_chance(1), "over 99 %");
  EXPECT_EQ(readable_chance(0.001), "under 1 %");
}

TEST(Readable, WhatIsNotMeasuredIsSaid) {
  EXPECT_EQ(readable_measurement({.time_ms = 77, .power_w = 28.14}), "77 ms, 28.1 W");
  EXPECT_EQ(readable_measurement({.time_ms = 77}), "77 ms, no power");
  EXPECT_EQ(readable_measurement({.power_w = 5}), "no time, 5 W");
  EXPECT_EQ(readable_measurement({}), "nothing measured");
}

TEST(Readable, AModeIsSaidInMegahertz) {
  const auto space = PowerModeSpace::grid({{KnobRole::cpu_cores, {1, 12}},
                                           {KnobRole::cpu_khz, {1190400}},
                                           {KnobRole::gpu_khz, {114750, 828750}},
                                           {KnobRole::mem_khz, {3199000}}});
  EXPECT_EQ(readable_mode(space, {12, 1190400, 828750, 3199000}),
            "12 cores, CPU 1190.4 MHz, GPU 828.75 MHz, memory 3199 MHz");
  EXPECT_EQ(settings_text(space, {1, 1190400, 114750, 3199000}),
            "cpu_cores=1,cpu_khz=1190400,gpu_khz=114750,mem_khz=3199000");
  EXPECT_EQ(readable_setting(KnobRole::cpu_cores, 1), "1 core");
  EXPECT_EQ(readable_setting(KnobRole::power_limit_mw, 12500), "limit 12.5 W");
  EXPECT_EQ(readable_setting(KnobRole::batch_size, 16), "batch size 16");
}

}  // namespace readable_test
}  // namespace fewwatt::hw
