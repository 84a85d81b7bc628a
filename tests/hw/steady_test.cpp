#include "hw/jetson/steady.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "hw/random.hpp"

namespace fewwatt::hw {
namespace steady_test {

constexpr int kDraws = 100;

// How many values series(i, rng) gives until it is called steady; at most `most`.
template <class Series>
std::size_t count_until_steady(SteadyOptions options, std::uint64_t draw, std::size_t most, Series series) {
  auto rng = Rng::stream(3, "steady_test", draw);
  SteadyTest test(options);
  while (!test.steady() && test.count() < most) test.add(series(test.count(), rng));
  return test.steady() ? test.count() : most + 1;
}

template <class Series>
int steady_draws_within(std::size_t most, Series series) {
  int steady = 0;
  for (int draw = 0; draw < kDraws; ++draw)
    steady += count_until_steady({}, static_cast<std::uint64_t>(draw), most, series) <= most;
  return steady;
}

TEST(SteadyTest, NothingIsSteadyBeforeAWindowIsFull) {
  SteadyTest test;
  for (std::size_t i = 0; i + 1 < SteadyOptions{}.window; ++i) {
    test.add(20);
    EXPECT_FALSE(test.steady());
    EXPECT_TRUE(std::isnan(test.drift()));
  }
  test.add(20);
  EXPECT_TRUE(test.steady());
  EXPECT_EQ(test.drift(), 0);
}

TEST(SteadyTest, ASteadySeriesIsCalledSteadySoon) {
  const struct {
    double noise;
    std::size_t most;
  } cases[] = {{0, 32}, {0.01, 48}, {0.02, 64}, {0.05, 96}, {0.1, 192}};
  for (const auto& [noise, most] : cases) {
    EXPECT_GE(steady_draws_within(
                  most, [&](std::size_t, Rng& rng) { return 0.02 * std::exp(noise * rng.normal()); }),
              kDraws * 95 / 100)
        << noise;
  }
}

TEST(SteadyTest, AWarmUpIsNotCalledSteadyBeforeItHasSettled) {
  const struct {
    double noise, tau;
    int most_early;  // of kDraws
  } cases[] = {{0, 2, 0},     {0, 10, 0},    {0, 40, 0},     {0, 120, 0},   {0.01, 2, 0},
               {0.01, 10, 0}, {0.01, 40, 0}, {0.01, 128, 5}, {0.02, 20, 5}, {0.02, 64, 5}};
  for (const auto& [noise, tau, most_early] : cases) {
    for (const double start : {0.2, -0.2}) {
      const auto settled = static_cast<std::size_t>(std::ceil(tau * std::log(0.2 / 0.015)));
      const auto most = 4 * settled + 100;
      int early = 0, late = 0;
      for (int draw = 0; draw < kDraws; ++draw) {
        const auto count =
            count_until_steady({}, static_cast<std::uint64_t>(draw), most, [&](std::size_t i, Rng& rng) {
              return 50 * (1 + start * std::exp(-static_cast<double>(i) / tau)) *
                     std::exp(noise * rng.normal());
            });
        early += count < settled;
        late += count > most;
      }
      EXPECT_LE(early, most_early) << "noise " << noise << ", tau " << tau << ", start " << start;
      EXPECT_LE(late, kDraws / 20) << "noise " << noise << ", tau " << tau << ", start " << start;
    }
  }
}

TEST(SteadyTest, AnOutlierDoesNotPreventIt) {
  for (const double outlier : {0.0, 2.0, 1000.0}) {
    for (std::size_t where = 0; where < SteadyOptions{}.window; where += 5) {
      EXPECT_GE(
          steady_draws_within(
              48, [&](std::size_t i, Rng& rng) { return i == where ? outlier : 1 + 0.01 * rng.normal(); }),
          kDraws * 95 / 100)
          << outlier << " at " << where;
    }
  }
}

TEST(SteadyTest, ACheckpointEveryTenStepsDoesNotPreventIt) {
  EXPECT_GE(
      steady_draws_within(
          64, [](std::size_t i, Rng& rng) { return (i % 10 == 9 ? 5 : 1) * (1 + 0.01 * rng.normal()); }),
      kDraws * 95 / 100);
}

TEST(SteadyTest, AConstantDriftIsNeverSteady) {
  for (int draw = 0; draw < kDraws; ++draw) {
    EXPECT_GT(count_until_steady({}, static_cast<std::uint64_t>(draw), 1000,
                                 [](std::size_t i, Rng& rng) {
                                   return (1 + 0.002 * static_cast<double>(i)) * (1 + 0.005 * rng.normal());
                                 }),
              1000u);
  }
}

TEST(SteadyTest, ATurnFromOneLevelToAnotherIsSeen) {
  SteadyTest test;
  for (int i = 0; i < 64; ++i) test.add(10);
  EXPECT_TRUE(test.steady());
  for (int i = 0; i < 20; ++i) test.add(11);
  EXPECT_FALSE(test.steady());
  for (int i = 0; i < 100; ++i) test.add(11);
  EXPECT_TRUE(test.steady());
}

TEST(SteadyTest, TheUnitDoesNotMatter) {
  for (std::uint64_t draw = 0; draw < 20; ++draw) {
    const auto in_unit = [&](double unit) {
      return count_until_steady({}, draw, 1000, [&](std::size_t i, Rng& rng) {
        return unit * (1 + 0.2 * std::exp(-static_cast<double>(i) / 30) + 0.01 * rng.normal());
      });
    };
    EXPECT_EQ(in_unit(1), in_unit(1024));
  }
}

TEST(SteadyTest, ResetForgets) {
  SteadyTest test;
  for (int i = 0; i < 40; ++i) test.add(1);
  ASSERT_TRUE(test.steady());
  test.reset();
  EXPECT_FALSE(test.steady());
  EXPECT_EQ(test.count(), 0u);
  for (int i = 0; i < 32; ++i) test.add(7);
  EXPECT_TRUE(test.steady());
}

TEST(SteadyTest, ZerosAreNotSteady) {
  SteadyTest test;
  for (int i = 0; i < 100; ++i) test.add(0);
  EXPECT_FALSE(test.steady());
}

TEST(SteadyTest, RefusesWhatIsNoDuration) {
  SteadyTest test;
  EXPECT_THROW(test.add(-1), std::invalid_argument);
  EXPECT_THROW(test.add(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
  EXPECT_THROW(test.add(std::numeric_limits<double>::infinity()), std::invalid_argument);
  EXPECT_EQ(test.count(), 0u);
}

TEST(SteadyOptions, ErrorNamesTheField) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(SteadyOptions{}.error(), "");
  EXPECT_NE(SteadyOptions{.window = 7}.error().find("window"), std::string::npos);
  for (const double bad : {0.0, -1.0, nan})
    EXPECT_NE(SteadyOptions{.most_change = bad}.error().find("most_change"), std::string::npos);
  EXPECT_NE(SteadyOptions{.most_significance = -1}.error().find("most_significance"), std::string::npos);
  EXPECT_NE(SteadyOptions{.most_noisy_change = 0.001}.error().find("most_noisy_change"), std::string::npos);
  EXPECT_THROW(SteadyTest(SteadyOptions{.window = 1}), std::invalid_argument);
}

}  // namespace steady_test
}  // namespace fewwatt::hw
