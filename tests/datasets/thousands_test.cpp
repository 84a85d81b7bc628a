#include "datasets/thousands.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace fewwatt::tests {
namespace thousands_test {

using datasets::thousands_off;
using Off = std::vector<int>;

Off off(const std::vector<double>& values) {
  return thousands_off(values);
}

TEST(ThousandsOff, WhatMostSayIsRight) {
  EXPECT_EQ(off({400, 0.12, 90}), (Off{0, -1, 0}));
  EXPECT_EQ(off({400, 0.12, 90, 0.2, 70}), (Off{0, -1, 0, -1, 0}));
  EXPECT_EQ(off({400, 120000, 90, 0.2, 70}), (Off{0, 1, 0, -1, 0}));
  EXPECT_EQ(off({400, 120000, 90, 2e8, 70}), (Off{0, 1, 0, 2, 0}));
  EXPECT_EQ(off({0.01, 0.02, 15, 0.03}), (Off{0, 0, 1, 0}));
}

TEST(ThousandsOff, OfTwoHalvesTheGreaterOnesAreRight) {
  EXPECT_EQ(off({0.05, 60}), (Off{-1, 0}));
  EXPECT_EQ(off({60, 0.05, 70, 0.08}), (Off{0, -1, 0, -1}));
}

TEST(ThousandsOff, ValuesMaySpreadAsWorkloadsDo) {
  EXPECT_EQ(off({}), Off{});
  EXPECT_EQ(off({5}), Off{0});
  EXPECT_EQ(off({5, 90}), (Off{0, 0}));
  std::vector<double> values;
  for (int i = 0; i < 9; ++i) values.push_back(2 * std::pow(1.8, i));
  EXPECT_EQ(off(values), Off(9, 0));
}

TEST(ThousandsOff, TheFirstMayBeKnown) {
  EXPECT_EQ(thousands_off(std::vector{1.0, 0.0012}, true), (Off{0, -1}));
  EXPECT_EQ(thousands_off(std::vector{1.0, 900.0, 1100.0, 1050.0}, true), (Off{0, 1, 1, 1}));
  EXPECT_EQ(thousands_off(std::vector{1.0, 30.0, 0.2}, true), Off(3, 0));
}

}  // namespace thousands_test
}  // namespace fewwatt::tests
