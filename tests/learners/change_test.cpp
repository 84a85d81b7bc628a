#include "learners/change.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/random.hpp"

namespace fewwatt::learners {
namespace change_test {

constexpr std::size_t kStreams = 2000, kLength = 200;

// In which measurement, from 1, the first alarm comes; 0: none. Residuals are standard normal, and from `from` on `shift` more in
// one target.
std::size_t first_alarm(hw::Rng& rng, std::size_t from, double shift, std::size_t target) {
  ChangeDetector detector;
  for (std::size_t i = 1; i <= kLength; ++i) {
    std::array<double, 2> z = {rng.normal(), rng.normal()};
    if (i >= from) z[target] += shift;
    if (detector.add(z)) return i;
  }
  return 0;
}

TEST(ChangeDetector, DefaultThresholdIsThatOfItsDesign) {
  const ChangeOptions options;
  EXPECT_NEAR(options.threshold, change_threshold(options.allowance, kLength, 0.02), 0.1);
}

TEST(ChangeDetector, FewStreamsWithoutAChangeRaiseAnAlarm) {
  auto rng = hw::Rng::stream(1, "change test");
  std::size_t alarms = 0;
  for (std::size_t i = 0; i < kStreams; ++i) alarms += first_alarm(rng, kLength + 1, 0, 0) > 0 ? 1 : 0;
  EXPECT_LE(static_cast<double>(alarms) / kStreams, 0.03);
  EXPECT_GE(static_cast<double>(alarms) / kStreams, 0.01);  // it does listen
}

TEST(ChangeDetector, AShiftOfEitherTargetEitherWayIsNoticedSoon) {
  auto rng = hw::Rng::stream(2, "change test");
  for (const std::size_t target : {0U, 1U})
    for (const double shift : {-4.0, 4.0}) {
      std::size_t in_time = 0, changed = 0;
      for (std::size_t i = 0; i < kStreams / 4; ++i) {
        const auto at = first_alarm(rng, 100, shift, target);
        if (at > 0 && at < 100) continue;  // a false one
        ++changed;
        in_time += at > 0 && at < 105 ? 1 : 0;
      }
      EXPECT_GE(static_cast<double>(in_time), 0.9 * static_cast<double>(changed)) << target << ' ' << shift;
    }
}

TEST(ChangeDetector, KnowsWhenTheChangeBegan) {
  ChangeDetector detector;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(detector.add({-0.5, 0.5}));
  EXPECT_EQ(detector.since(), 0U);
  EXPECT_FALSE(detector.add({3, 0}));
  EXPECT_FALSE(detector.add({3, 0}));
  EXPECT_TRUE(detector.add({3, 0}));
  EXPECT_EQ(detector.since(), 3U);
  detector.reset();
  EXPECT_EQ(detector.greatest(), 0);
}

TEST(ChangeDetector, AGapLeavesTheSumsAsTheyAre) {
  ChangeDetector with, without;
  for (int i = 0; i < 2; ++i) {
    with.add({3, 0});
    without.add({3, 0});
    EXPECT_FALSE(with.add({std::nan(""), std::nan("")}));
  }
  EXPECT_EQ(with.greatest(), without.greatest());
}

TEST(ChangeDetector, RefusesBadOptions) {
  EXPECT_THROW(ChangeDetector({.allowance = 0}), std::invalid_argument);
  EXPECT_THROW(ChangeDetector({.threshold = std::nan("")}), std::invalid_argument);
  EXPECT_THROW(change_threshold(1, 0, 0.02), std::invalid_argument);
  EXPECT_THROW(change_threshold(1, 200, 1), std::invalid_argument);
}

TEST(Level, BecomesTheMeanOfWhatIsMeasured) {
  Level level{5, 1e6};  // as good as unknown
  for (const double value : {1.0, 2.0, 6.0}) level.observe(value, 0.04);
  EXPECT_NEAR(level.mean, 3, 1e-6);
  EXPECT_NEAR(level.variance, 0.04 / 3, 1e-6);
}

TEST(Level, ResidualsOfItsOwnModelAreStandardNormal) {
  auto rng = hw::Rng::stream(3, "change test");
  double sum = 0, square = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const double truth = 0.3 * rng.normal();
    Level level{0, 0.09};
    level.observe(truth + 0.1 * rng.normal(), 0.01);
    const double z = level.observe(truth + 0.1 * rng.normal(), 0.01);
    sum += z;
    square += z * z;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.03);
  EXPECT_NEAR(square / kDraws, 1, 0.05);
}

}  // namespace change_test
}  // namespace fewwatt::learners
