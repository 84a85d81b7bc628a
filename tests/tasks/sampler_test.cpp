#include "tasks/samplers/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace sampler_test {

using hw::PowerMode;
using hw::PowerModeSpace;

// Every third mode of the grid: no full row, column or corner is sure to be in it.
PowerModeSpace made_up_list() {
  const auto grid = tests::made_up_grid();
  std::vector<PowerMode> modes;
  for (std::size_t i = 1; i < grid.size(); i += 3) modes.push_back(grid.at(i));
  return PowerModeSpace::list(grid.knobs(), modes);
}

std::vector<PowerMode> ask_all(ModeSampler& sampler, std::size_t most = SIZE_MAX) {
  std::vector<PowerMode> asked;
  while (asked.size() < most) {
    const auto mode = sampler.ask();
    if (!mode) break;
    asked.push_back(*mode);
    sampler.tell(*mode, {.time_ms = 1, .power_w = 1});
  }
  return asked;
}

std::vector<PowerMode> first(std::string_view name, const PowerModeSpace& space, std::size_t n,
                             std::uint64_t seed) {
  return ask_all(*make_sampler(name, space, n, seed), n);
}

// What every sampler must keep; registering one is what tests it.
class SamplerContract : public ::testing::TestWithParam<std::string_view> {
 protected:
  static std::vector<PowerModeSpace> spaces() {
    return {tests::made_up_grid(), made_up_list(),
            PowerModeSpace::grid({{hw::KnobRole::power_limit_mw, {250000}}})};
  }
};

TEST_P(SamplerContract, AsksEveryModeOnceThenEnds) {
  for (const auto& space : spaces()) {
    for (const std::size_t planned : {std::size_t{0}, std::size_t{7}, space.size(), 10 * space.size()}) {
      const auto sampler = make_sampler(GetParam(), space, planned, 3);
      auto asked = ask_all(*sampler, space.size() + 10);
      std::sort(asked.begin(), asked.end());
      EXPECT_EQ(asked, space.modes()) << planned << " planned";
      EXPECT_EQ(sampler->ask(), std::nullopt);
    }
  }
}

TEST_P(SamplerContract, ReproducesFromItsSeed) {
  for (const auto& space : {tests::made_up_grid(), made_up_list()}) {
    EXPECT_EQ(first(GetParam(), space, 12, 5), first(GetParam(), space, 12, 5));
    EXPECT_NE(first(GetParam(), space, 12, 5), first(GetParam(), space, 12, 6));
    EXPECT_NE(first(GetParam(), space, 12, 0), first(GetParam(), space, 12, 1));
  }
}

TEST_P(SamplerContract, TakesResultsInAnyOrder) {
  const auto space = tests::made_up_grid();
  const auto sampler = make_sampler(GetParam(), space, 10, 1);
  sampler->tell(space.at(5), {.time_ms = 3, .power_w = 2});  // never asked for
  std::vector<PowerMode> asked;
  for (int i = 0; i < 10; ++i) asked.push_back(sampler->ask().value());
  std::reverse(asked.begin(), asked.end());
  for (const auto& mode : asked) sampler->tell(mode, {});  // not measured: NaN
  for (int i = 0; i < 10; ++i) asked.push_back(sampler->ask().value());
  EXPECT_EQ(std::set<PowerMode>(asked.begin(), asked.end()).size(), 20u);
  for (const auto& mode : asked) EXPECT_TRUE(space.index_of(mode));
}

TEST_P(SamplerContract, KeepsACopyOfTheSpace) {
  auto space = std::make_unique<PowerModeSpace>(tests::made_up_grid());
  const auto sampler = make_sampler(GetParam(), *space, 5, 1);
  space.reset();
  EXPECT_EQ(ask_all(*sampler).size(), 60u);
}

TEST_P(SamplerContract, AsksFiftyOfEighteenThousandModes) {
  const auto space = hw::module_space("orin-agx-64");
  const auto asked = first(GetParam(), space, 50, 1);
  EXPECT_EQ(std::set<PowerMode>(asked.begin(), asked.end()).size(), 50u);
}

std::vector<std::string_view> names() {
  std::vector<std::string_view> all;
  for (const auto& sampler : model_free_samplers()) all.push_back(sampler.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, SamplerContract, ::testing::ValuesIn(names()), [](const auto& tested) {
  std::string name(tested.param);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Sampler, UnknownNameListsTheKnownOnes) {
  try {
    make_sampler("sobol", tests::made_up_grid(), 5, 1);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "make_sampler: no sampler \"sobol\"; there are random, latin-hypercube, maximin");
  }
}

TEST(RandomSampler, AsksEveryModeFirstEquallyOften) {
  const auto space = tests::made_up_grid();
  std::vector<int> count(space.size());
  constexpr int n = 6000;
  for (int seed = 0; seed < n; ++seed) {
    ++count[*space.index_of(*make_sampler("random", space, 1, static_cast<std::uint64_t>(seed))->ask())];
  }
  for (const int c : count) EXPECT_NEAR(c, n / 60.0, 5 * std::sqrt(n / 60.0));
}

TEST(LatinHypercube, UsesEachStratumOfEachKnobOnce) {
  const std::vector<int> levels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const auto space = PowerModeSpace::grid({{hw::KnobRole::cpu_khz, levels},
                                           {hw::KnobRole::gpu_khz, levels},
                                           {hw::KnobRole::mem_khz, {1, 2, 3, 4, 5}}});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto asked = first("latin-hypercube", space, 10, seed);
    std::vector<std::multiset<int>> used(3);
    for (const auto& mode : asked) {
      for (std::size_t k = 0; k < 3; ++k) used[k].insert(mode[k]);
    }
    EXPECT_EQ(used[0], std::multiset<int>(levels.begin(), levels.end()));
    EXPECT_EQ(used[1], used[0]);
    EXPECT_EQ(used[2], (std::multiset<int>{1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  }
}

TEST(LatinHypercube, FewerStrataThanLevelsSpreadOverTheRange) {
  const auto space = hw::module_space("orin-agx-64");
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::set<int> thirds;  // 12 core counts, 3 strata of 4
    for (const auto& mode : first("latin-hypercube", space, 3, seed)) thirds.insert((mode[0] - 1) / 4);
    EXPECT_EQ(thirds, (std::set<int>{0, 1, 2}));
  }
}

double smallest_distance(const PowerModeSpace& space, const std::vector<PowerMode>& modes) {
  double smallest = INFINITY;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < space.knobs().size(); ++k) {
        const auto& levels = space.knobs()[k].levels;
        const double range = std::log(static_cast<double>(levels.back()) / levels.front());
        sum += std::pow(std::log(static_cast<double>(modes[i][k]) / modes[j][k]) / range, 2);
      }
      smallest = std::min(smallest, std::sqrt(sum));
    }
  }
  return smallest;
}

// Greedy by brute force: after any first mode, each next one has the largest distance to all before.
TEST(Maximin, EachModeIsTheFarthestFromAllBefore) {
  for (const auto& space : {tests::made_up_grid(), made_up_list()}) {
    const auto asked = first("maximin", space, 12, 4);
    const auto to_nearest = [&](const PowerMode& mode, std::size_t count) {
      double nearest = INFINITY;
      for (std::size_t i = 0; i < count; ++i)
        nearest = std::min(nearest, smallest_distance(space, {asked[i], mode}));
      return nearest;
    };
    for (std::size_t n = 1; n < asked.size(); ++n) {
      double farthest = 0;
      for (const auto& mode : space.modes()) farthest = std::max(farthest, to_nearest(mode, n));
      EXPECT_NEAR(to_nearest(asked[n], n), farthest, 1e-12);
    }
  }
}

TEST(Maximin, SpreadsWiderThanRandom) {
  const auto space = hw::module_space("orin-agx-64");
  EXPECT_GT(smallest_distance(space, first("maximin", space, 30, 1)),
            3 * smallest_distance(space, first("random", space, 30, 1)));
}

}  // namespace sampler_test
}  // namespace fewwatt::tasks
