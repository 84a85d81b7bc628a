#include "learners/spread.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "hw/random.hpp"
#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace spread_test {

std::shared_ptr<const hw::PowerModeSpace> wide_space() {
  std::vector<int> cpu, gpu;
  for (int i = 1; i <= 30; ++i) {
    cpu.push_back(50'000 * i);
    gpu.push_back(40'000 * i);
  }
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, cpu}, {hw::KnobRole::gpu_khz, gpu}}));
}

Samples all_of(const std::shared_ptr<const hw::PowerModeSpace>& space) {
  const auto n = static_cast<Eigen::Index>(space->size());
  return {space, space->modes(), Matrix::Ones(n, tasks::kNumTargets)};
}

TEST(Spread, TakesTheCornersFirst) {
  const auto modes = wide_space()->modes();
  std::set<hw::PowerMode> taken;
  for (const auto row : spread_rows(modes, 4)) taken.insert(modes[row]);
  EXPECT_EQ(taken, (std::set<hw::PowerMode>{
                       {50'000, 40'000}, {50'000, 1'200'000}, {1'500'000, 40'000}, {1'500'000, 1'200'000}}));
}

TEST(Spread, TakesAllWhereThereAreNoMore) {
  const auto modes = wide_space()->modes();
  EXPECT_EQ(spread_rows(modes, 900).size(), 900u);
  EXPECT_TRUE(spread_rows({}, 5).empty());
  EXPECT_TRUE(spread_rows(modes, 0).empty());
}

TEST(Spread, TakesTheSameModesInAnyOrder) {
  const auto modes = wide_space()->modes();
  auto shuffled = modes;
  hw::Rng rng(3);
  rng.shuffle(shuffled);
  const auto taken_of = [](const std::vector<hw::PowerMode>& from) {
    std::set<hw::PowerMode> taken;
    for (const auto row : spread_rows(from, 50)) taken.insert(from[row]);
    return taken;
  };
  EXPECT_EQ(taken_of(modes), taken_of(shuffled));
  EXPECT_EQ(taken_of(modes).size(), 50u);
}

TEST(Spread, ASmallSupportStaysAsItIs) {
  const auto support = all_of(wide_space()).subset(std::vector<std::size_t>{5, 3, 800});
  const auto same = spread_support(support, 3);
  EXPECT_EQ(same.modes, support.modes);
  EXPECT_EQ(same.targets, support.targets);
}

TEST(Spread, EachTargetKeepsAsManyValuesAsItMay) {
  auto support = all_of(wide_space());
  support.noise_factors = Vector::LinSpaced(900, 1, 900).replicate(1, tasks::kNumTargets);
  for (Eigen::Index i = 0; i < 900; ++i)
    if (i % 90 != 0) support.targets(i, tasks::kPowerW) = std::nan("");  // ten are known
  const auto some = spread_support(support, 40);
  EXPECT_EQ((!some.targets.col(tasks::kTimeMs).array().isNaN()).count(), 40);
  EXPECT_EQ((!some.targets.col(tasks::kPowerW).array().isNaN()).count(), 10);
  EXPECT_LE(some.size(), 50u);
  for (std::size_t i = 0; i < some.size(); ++i)  // a row's noise stays with it
    EXPECT_EQ(some.noise_factors(static_cast<Eigen::Index>(i), tasks::kPowerW),
              1.0 + static_cast<double>(*support.space->index_of(some.modes[i])));
}

TEST(Spread, GpAdaptsToTheRowsThatSpreadWidest) {
  auto support = all_of(wide_space());
  for (std::size_t i = 0; i < support.size(); ++i)
    support.targets.row(static_cast<Eigen::Index>(i)) << 1e6 / support.modes[i][0],
        1e-5 * support.modes[i][1];
  const auto gp = make_learner(std::string_view("gp"));
  ASSERT_EQ(find_learner("gp").most_rows, kMostRows);
  const auto modes = std::span(support.modes).first(40);
  EXPECT_EQ(gp->adapt(support)->predict(modes).median(),
            gp->adapt(spread_support(support))->predict(modes).median());
  EXPECT_EQ(gp->adapt(support)->left_out(tasks::kTimeMs).error.size(), static_cast<Eigen::Index>(kMostRows));
}

}  // namespace spread_test
}  // namespace fewwatt::learners
