#include "hw/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace fewwatt::hw {
namespace random_test {

TEST(Rng, EngineIsTheStandardOne) {
  Rng rng(5489);
  for (int i = 1; i < 10000; ++i) rng.bits();
  EXPECT_EQ(rng.bits(), 9981545732273789042ULL);  // [rand.predef]: the 10000th draw of a default mt19937_64
}

// Golden draws: whatever changes them changes every published figure.
TEST(Rng, DrawsStayTheSame) {
  auto rng = Rng::stream(7, "support");
  EXPECT_EQ(rng.bits(), 10796216665598723178ULL);
  EXPECT_EQ(rng.uniform(), 0x1.71275ef85386cp-3);
  EXPECT_EQ(rng.below(1000), 743u);
  EXPECT_NEAR(rng.normal(), 1.0083170194075703,
              1e-14);  // log and cos differ in the last place between C libraries
  EXPECT_EQ(rng.sample(10, 4), (std::vector<std::size_t>{6, 1, 0, 4}));
}

TEST(Rng, SameSeedSameDrawsAndZeroIsASeedLikeAnyOther) {
  for (const std::uint64_t seed : {0, 1, 2}) EXPECT_EQ(Rng(seed).bits(), Rng(seed).bits());
  EXPECT_NE(Rng(0).bits(), Rng(1).bits());
}

TEST(Rng, StreamsDifferByPurposeIndexAndSeed) {
  std::set<std::uint64_t> first;
  for (const std::uint64_t seed : {0, 1, 2}) {
    for (const char* purpose : {"a", "b", "ab", "ba", "support"}) {
      for (const std::uint64_t index : {0, 1, 2}) first.insert(Rng::stream(seed, purpose, index).bits());
    }
  }
  EXPECT_EQ(first.size(), 3u * 5 * 3);
}

TEST(Rng, StreamsAreUncorrelated) {
  auto a = Rng::stream(1, "a"), b = Rng::stream(1, "b");
  double sum = 0;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
  EXPECT_LT(std::abs(sum / n), 5 * (1.0 / 12) / std::sqrt(n));  // five standard errors
}

TEST(Rng, UniformIsInTheUnitInterval) {
  Rng rng(1);
  double sum = 0;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
  }
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
}

TEST(Rng, UniformOfARangeStaysInIt) {
  Rng rng(1);
  double low = 10, high = -10;
  for (int i = 0; i < 5000; ++i) {
    const double u = rng.uniform(-2, 3);
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_GE(low, -2);
  EXPECT_LT(high, 3);
  EXPECT_LT(low, -1.9);
  EXPECT_GT(high, 2.9);
}

TEST(Rng, BelowReachesEveryNumberEquallyOften) {
  Rng rng(3);
  std::vector<int> count(7);
  constexpr int n = 70000;
  for (int i = 0; i < n; ++i) ++count.at(rng.below(7));
  for (const int c : count) EXPECT_NEAR(c, n / 7.0, 5 * std::sqrt(n / 7.0));
  EXPECT_EQ(rng.below(1), 0u);
  EXPECT_THROW(rng.below(0), std::invalid_argument);
}

TEST(Rng, NormalHasMeanZeroAndVarianceOne) {
  Rng rng(4);
  double sum = 0, squares = 0;
  constexpr int n = 50000;
  for (int i = 0; i < n; ++i) {
    const double z = rng.normal();
    ASSERT_TRUE(std::isfinite(z));
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
}

TEST(Rng, SampleGivesDifferentNumbersInRange) {
  Rng rng(5);
  for (const std::size_t k : {0, 1, 10, 50}) {
    const auto drawn = rng.sample(50, k);
    EXPECT_EQ(drawn.size(), k);
    EXPECT_EQ(std::set<std::size_t>(drawn.begin(), drawn.end()).size(), k);
    for (const auto i : drawn) EXPECT_LT(i, 50u);
  }
  EXPECT_THROW(rng.sample(3, 4), std::invalid_argument);
}

TEST(Rng, ShuffleKeepsTheValues) {
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 0);
  auto shuffled = values;
  Rng rng(6);
  rng.shuffle(shuffled);
  EXPECT_NE(shuffled, values);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, values);
}

}  // namespace random_test
}  // namespace fewwatt::hw
