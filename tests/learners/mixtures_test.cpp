#include "learners/mixtures.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "tests/dense.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace mixtures_test {

constexpr Eigen::Index kModes = 6;
constexpr std::size_t kCount = 400;

// Two workloads: how long and how much depends on the mode in other ways for either.
std::array<Matrix, tasks::kNumTargets> two() {
  Matrix times(2, kModes), powers(2, kModes);
  for (Eigen::Index m = 0; m < kModes; ++m) {
    const auto x = static_cast<double>(m);
    times.col(m) << 3 + std::sin(2 * x), 40 + 30 * std::cos(x);
    powers.col(m) << 5 + x, 4 + 0.5 * x * x;
  }
  return {times.array().log().matrix(), powers.array().log().matrix()};
}

template <typename T = std::size_t>
std::vector<T> first(std::size_t n) {
  std::vector<T> all(n);
  std::iota(all.begin(), all.end(), T{0});
  return all;
}

// Values, and the same of the two alone, with the level that mixtures give them.
struct Mixed {
  Eigen::ArrayXXd time, power, times, powers;

  explicit Mixed(const std::array<Matrix, tasks::kNumTargets>& logs) {
    const Mixtures mixtures(logs, kCount, 1);
    EXPECT_EQ(mixtures.size(), kCount);
    const auto found = mixtures.simulate(first<Eigen::Index>(kModes), first(kCount));
    time = found.time.cast<double>().array().exp();
    power = found.power.cast<double>().array().exp();
    times = time.topRows(2);
    powers = power.topRows(2);
  }
};

TEST(Mixtures, TheMeasuredOnesComeFirst) {
  const auto logs = two();
  const Mixed mixed(logs);
  const Matrix level = logs[0].colwise() - logs[0].rowwise().mean();
  EXPECT_LT((mixed.times.log().matrix() - level).cwiseAbs().maxCoeff(), tests::kFloat);
  EXPECT_LT((mixed.powers.log().matrix() - logs[1]).cwiseAbs().maxCoeff(), tests::kFloat);
}

TEST(Mixtures, HalfAreOneAfterTheOtherAndHalfOverlap) {
  const Mixed mixed(two());
  std::size_t in_turn = 0;
  for (Eigen::Index row = 2; row < mixed.time.rows(); ++row) {
    // Shares that explain all modes, if there are any.
    const Eigen::MatrixXd parts = mixed.times.matrix().transpose();
    const Eigen::VectorXd sum = mixed.time.row(row).matrix().transpose();
    const Eigen::VectorXd shares = tests::least_squares(parts, sum);
    in_turn += (parts * shares - sum).norm() < 1e-5 * sum.norm() && std::abs(shares.sum() - 1) < 1e-4;
    // Whatever they share, it takes no longer than the longer one, were there nothing else.
    EXPECT_TRUE((mixed.time.row(row) < mixed.times.colwise().maxCoeff() * (1 + 1e-5)).all()) << row;
    EXPECT_TRUE((mixed.time.row(row) > 0.5 * mixed.times.colwise().minCoeff() * (1 - 1e-5)).all()) << row;
  }
  // Of all, a half pairs a workload with itself: those that overlap are then the same workload, faster.
  EXPECT_GT(in_turn, 0.42 * kCount);
  EXPECT_LT(in_turn, 0.58 * kCount);
}

TEST(Mixtures, EnergyAboveWhatIsDrawnInAnyCaseAddsUp) {
  const Mixed mixed(two());
  const Eigen::ArrayXXd least = mixed.powers.colwise().minCoeff();
  const Eigen::ArrayXXd own = mixed.times * (mixed.powers - least.replicate(2, 1));
  for (Eigen::Index row = 0; row < mixed.time.rows(); ++row) {
    const Eigen::ArrayXXd energy = mixed.time.row(row) * (mixed.power.row(row) - least);
    const Eigen::MatrixXd parts = own.matrix().transpose();
    const Eigen::VectorXd sum = energy.matrix().transpose();
    const Eigen::VectorXd shares = tests::least_squares(parts, sum);
    EXPECT_LT((parts * shares - sum).norm(), 1e-4 * (sum.norm() + own.maxCoeff())) << row;
    EXPECT_NEAR(shares.sum(), 1, 1e-3) << row;
    EXPECT_GE(shares.minCoeff(), -1e-3) << row;
  }
}

TEST(Mixtures, BlendsAreOfOneThatWasMeasuredAndAnother) {
  const auto logs = two();
  constexpr Eigen::Index kOthers = 3;
  SimPopulation::Logs others{SimPopulation::Rows(kOthers, kModes), SimPopulation::Rows(kOthers, kModes)};
  for (Eigen::Index m = 0; m < kModes; ++m) {
    const auto x = static_cast<float>(m);
    others.time.col(m) << 0.3F * x - 0.7F, std::sin(x), std::cos(3 * x);
    others.power.col(m) << std::log(9 - x), std::log(0.1F), std::log(7.0F);  // the second less than any
  }
  const Mixtures blends(logs, kCount, 1, kOthers);
  ASSERT_EQ(blends.size(), kCount);
  const auto found = blends.simulate(first<Eigen::Index>(kModes), first(kCount), others);

  const Eigen::ArrayXXd measured_times = (logs[0].colwise() - logs[0].rowwise().mean()).array().exp(),
                        measured_powers = logs[1].array().exp(),
                        other_times = others.time.cast<double>().array().exp(),
                        other_powers = others.power.cast<double>().array().exp();
  const Eigen::ArrayXXd least = measured_powers.colwise().minCoeff();
  Eigen::ArrayXXi seen = Eigen::ArrayXXi::Zero(2, kOthers);
  std::size_t in_turn = 0;
  for (Eigen::Index row = 0; row < found.time.rows(); ++row) {
    const Eigen::ArrayXXd time = found.time.row(row).cast<double>().array().exp();
    const Eigen::ArrayXXd energy = time * (found.power.row(row).cast<double>().array().exp() - least);
    // The two it is of, by their energies.
    Eigen::Index i = 0, j = 0;
    double share = 0, nearest = std::numeric_limits<double>::infinity();
    for (Eigen::Index a = 0; a < 2; ++a) {
      const Eigen::ArrayXXd one = measured_times.row(a) * (measured_powers.row(a) - least);
      for (Eigen::Index b = 0; b < kOthers; ++b) {
        const Eigen::ArrayXXd two = other_times.row(b) * (other_powers.row(b) - least).max(0);
        const double s = ((energy - two) * (one - two)).sum() / (one - two).square().sum();
        const double left = (s * one + (1 - s) * two - energy).matrix().norm();
        if (left < nearest) std::tie(nearest, i, j, share) = std::tuple(left, a, b, s);
      }
    }
    EXPECT_LT(nearest, 1e-4 * (1 + energy.matrix().norm())) << row;
    EXPECT_GT(share, -1e-4);
    EXPECT_LT(share, 1 + 1e-4);
    ++seen(i, j);
    const Eigen::ArrayXXd sum = share * measured_times.row(i) + (1 - share) * other_times.row(j);
    EXPECT_TRUE((time < sum * (1 + 1e-3)).all()) << row;
    in_turn += (time / sum - 1).abs().maxCoeff() < 1e-3;
  }
  EXPECT_GT(seen.minCoeff(), kCount / 12);
  EXPECT_GT(in_turn, 0.42 * kCount);
  EXPECT_LT(in_turn, 0.62 * kCount);
}

TEST(Mixtures, AModeDoesNotDependOnTheOthers) {
  const Mixtures mixtures(two(), kCount, 1);
  const auto all = mixtures.simulate(first<Eigen::Index>(kModes), first(kCount));
  const std::vector<Eigen::Index> modes{4, 1};
  const std::vector<std::size_t> which{7, 311, 2};
  const auto some = mixtures.simulate(modes, which);
  for (Eigen::Index row = 0; row < 3; ++row)
    for (Eigen::Index m = 0; m < 2; ++m) {
      const auto w = static_cast<Eigen::Index>(which[static_cast<std::size_t>(row)]);
      const auto at = modes[static_cast<std::size_t>(m)];
      EXPECT_EQ(some.time(row, m), all.time(w, at));
      EXPECT_EQ(some.power(row, m), all.power(w, at));
    }
}

TEST(Mixtures, ATargetMayBeLackingAndOneWorkloadIsNotMixed) {
  auto logs = two();
  logs[tasks::kPowerW].resize(0, 0);
  const Mixtures times(logs, kCount, 1);
  const auto found = times.simulate(first<Eigen::Index>(kModes), first(kCount));
  EXPECT_EQ(found.time.rows(), static_cast<Eigen::Index>(kCount));
  EXPECT_EQ(found.power.size(), 0);

  logs = two();
  logs[tasks::kTimeMs].resize(0, 0);
  const auto powers = Mixtures(logs, kCount, 1).simulate(first<Eigen::Index>(kModes), first(kCount));
  EXPECT_EQ(powers.time.size(), 0);
  EXPECT_TRUE(powers.power.allFinite());

  for (auto& target : logs) target = two()[1].topRows(1);
  EXPECT_EQ(Mixtures(logs, kCount, 1).size(), 0);
  EXPECT_EQ(Mixtures({}, kCount, 1).size(), 0);
}

}  // namespace mixtures_test
}  // namespace fewwatt::learners
