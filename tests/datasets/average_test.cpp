#include "datasets/average.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace fewwatt::tests {
namespace average_test {

using datasets::Average;
using datasets::average;
using datasets::Measured;

std::vector<Measured> of(std::initializer_list<double> values) {
  std::vector<Measured> all;
  for (const double value : values) all.push_back({.value = value});
  return all;
}

TEST(Average, TheMeanIsArithmetic) {
  EXPECT_DOUBLE_EQ(average(of({5, 25})).value, 15);
  EXPECT_DOUBLE_EQ(average(of({20, 500})).value, 260);
  const auto three = average(of({1, 2, 6}));
  EXPECT_DOUBLE_EQ(three.value, 3);
  EXPECT_DOUBLE_EQ(three.std, std::sqrt(7));
  EXPECT_EQ(three.repeats, 3);
}

TEST(Average, DurationsWeighWhereAllAreKnown) {
  const std::array lasted{Measured{.value = 5, .duration = 20}, Measured{.value = 25, .duration = 500}};
  EXPECT_DOUBLE_EQ(average(lasted).value, (5 * 20 + 25 * 500) / 520.0);
  EXPECT_DOUBLE_EQ(average(lasted).duration, 520);
  const std::array one_unknown{Measured{.value = 5, .duration = 20}, Measured{.value = 25}};
  EXPECT_DOUBLE_EQ(average(one_unknown).value, 15);
  EXPECT_TRUE(std::isnan(average(one_unknown).duration));
}

TEST(Average, RepeatsArePooledAsOneSample) {
  const auto all = average(of({1, 3, 5, 7, 9}));
  const std::array parts{average(of({1, 3})), average(of({5, 7, 9}))};
  const auto pooled = average(parts);
  EXPECT_DOUBLE_EQ(pooled.value, all.value);
  EXPECT_DOUBLE_EQ(pooled.std, all.std);
  EXPECT_EQ(pooled.repeats, 5);
  const std::array unknown{Measured{.value = 1, .repeats = 4}, Measured{.value = 2}};
  EXPECT_DOUBLE_EQ(average(unknown).value, 1.2);
  EXPECT_TRUE(std::isnan(average(unknown).std));
}

TEST(Average, AnOutlierMovesNeitherMedianNorTrimmedMean) {
  for (const auto how : {Average::median, Average::trimmed}) {
    const auto clean = average(of({10, 11, 12, 13, 14}), how),
               spoilt = average(of({10, 11, 12, 13, 900}), how);
    EXPECT_DOUBLE_EQ(clean.value, 12);
    EXPECT_DOUBLE_EQ(spoilt.value, 12);
    EXPECT_GT(spoilt.std, 0.5);
    EXPECT_LT(spoilt.std, 3);
    EXPECT_EQ(spoilt.repeats, 5);
    EXPECT_DOUBLE_EQ(average(of({1, 3}), how).value, 2);
  }
  EXPECT_DOUBLE_EQ(average(of({1, 2, 3, 10}), Average::median).value, 2.5);
  EXPECT_DOUBLE_EQ(average(of({0, 1, 2, 3, 4, 5, 6, 7, 8, 900}), Average::trimmed).value, 4.5);
}

TEST(Average, WhatIsNotMeasuredDoesNotCount) {
  const auto one = average(of({Measured::kUnknown, 7}));
  EXPECT_EQ(one.value, 7);
  EXPECT_EQ(one.repeats, 1);
  EXPECT_TRUE(std::isnan(one.std));
  EXPECT_TRUE(std::isnan(average(of({Measured::kUnknown})).value));
  EXPECT_EQ(average({}).repeats, 0);
}

}  // namespace average_test
}  // namespace fewwatt::tests
