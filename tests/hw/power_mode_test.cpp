#include "hw/power_mode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace fewwatt::hw {
namespace power_mode_test {

std::vector<Knob> three_knobs() {
  return {{KnobRole::cpu_cores, {1, 2, 4}},
          {KnobRole::cpu_khz, {345600, 1113600}},
          {KnobRole::gpu_khz, {114750, 522750, 930750, 1300500}}};
}

PowerModeSpace small_list() {
  return PowerModeSpace::list(three_knobs(),
                              {{4, 345600, 114750}, {1, 1113600, 522750}, {1, 345600, 1300500}});
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "no std::invalid_argument";
}

void expect_message(const std::function<void()>& action, const std::string& part) {
  EXPECT_NE(message_of(action).find(part), std::string::npos) << message_of(action);
}

TEST(KnobRole, NamesParseBack) {
  for (const auto role : kKnobRoles) EXPECT_EQ(parse_knob_role(to_string(role)), role);
  EXPECT_EQ(parse_knob_role("gpu_mhz"), std::nullopt);
  EXPECT_EQ(parse_knob_role(""), std::nullopt);
}

TEST(PowerMode, ComparesSettingBySetting) {
  EXPECT_EQ((PowerMode{1, 2}), (PowerMode{1, 2}));
  EXPECT_LT((PowerMode{1, 9}), (PowerMode{2, 1}));
  EXPECT_LT((PowerMode{1, 1}), (PowerMode{1, 2}));
  EXPECT_NE((PowerMode{1}), (PowerMode{1, 0}));
}

TEST(PowerMode, HoldsWhatItWasMadeOf) {
  PowerMode mode{7, 8, 9};
  EXPECT_EQ(mode.size(), 3u);
  mode[1] = 5;
  EXPECT_EQ(std::vector<int>(mode.begin(), mode.end()), (std::vector<int>{7, 5, 9}));
}

TEST(PowerMode, RefusesMoreThanEightSettings) {
  expect_message([] { PowerMode{1, 2, 3, 4, 5, 6, 7, 8, 9}; }, "got 9");
}

TEST(PowerModeSpace, GridHasEveryCombination) {
  EXPECT_EQ(PowerModeSpace::grid(three_knobs()).size(), 3u * 2 * 4);
}

TEST(PowerModeSpace, IndexInvertsAt) {
  for (const auto& space : {PowerModeSpace::grid(three_knobs()), small_list()}) {
    for (std::size_t i = 0; i < space.size(); ++i) EXPECT_EQ(space.index_of(space.at(i)), i);
  }
}

TEST(PowerModeSpace, ModesAscend) {
  for (const auto& space : {PowerModeSpace::grid(three_knobs()), small_list()}) {
    const auto modes = space.modes();
    ASSERT_EQ(modes.size(), space.size());
    EXPECT_TRUE(std::is_sorted(modes.begin(), modes.end()));
    EXPECT_EQ(modes.front(), space.at(0));
  }
}

TEST(PowerModeSpace, OffGridModeHasNoIndex) {
  const auto grid = PowerModeSpace::grid(three_knobs());
  EXPECT_TRUE(grid.index_of({1, 345600, 114750}));
  EXPECT_FALSE(grid.index_of({3, 345600, 114750}));
  EXPECT_FALSE(grid.index_of({1, 345600, 1300501}));
  EXPECT_FALSE(grid.index_of({1, 345600}));
  EXPECT_FALSE(grid.index_of({1, 345600, 114750, 204000}));
  EXPECT_FALSE(grid.index_of({}));
}

TEST(PowerModeSpace, ModeOnTheLevelsButNotListedHasNoIndex) {
  EXPECT_TRUE(small_list().index_of({1, 1113600, 522750}));
  EXPECT_FALSE(small_list().index_of({1, 1113600, 114750}));
}

TEST(PowerModeSpace, ListDoesNotDependOnTheOrderGiven) {
  auto modes = small_list().modes();
  std::reverse(modes.begin(), modes.end());
  EXPECT_EQ(PowerModeSpace::list(three_knobs(), modes), small_list());
}

TEST(PowerModeSpace, ListOfAllModesIsNotTheGrid) {
  const auto grid = PowerModeSpace::grid(three_knobs());
  const auto list = PowerModeSpace::list(three_knobs(), grid.modes());
  EXPECT_TRUE(grid.is_grid());
  EXPECT_FALSE(list.is_grid());
  EXPECT_EQ(list.size(), grid.size());
}

TEST(PowerModeSpace, AtBeyondTheEndThrows) {
  EXPECT_THROW(PowerModeSpace::grid(three_knobs()).at(24), std::out_of_range);
  EXPECT_THROW(small_list().at(3), std::out_of_range);
}

TEST(PowerModeSpace, UnsortedAxisThrowsNamingTheKnob) {
  expect_message([] { PowerModeSpace::grid({{KnobRole::gpu_khz, {200, 100}}}); }, "gpu_khz");
  expect_message([] { PowerModeSpace::grid({{KnobRole::mem_khz, {100, 100}}}); }, "mem_khz");
}

TEST(PowerModeSpace, BadKnobsThrowNamingWhatIsWrong) {
  expect_message([] { PowerModeSpace::grid({}); }, "at least one knob");
  expect_message([] { PowerModeSpace::grid({{KnobRole::cpu_khz, {}}}); }, "cpu_khz");
  expect_message([] { PowerModeSpace::grid({{KnobRole::batch_size, {0, 1}}}); }, "batch_size");
  expect_message(
      [] {
        PowerModeSpace::grid({{KnobRole::cpu_khz, {1}}, {KnobRole::cpu_khz, {2}}});
      },
      "cpu_khz");
}

TEST(PowerModeSpace, BadListThrows) {
  expect_message([] { PowerModeSpace::list(three_knobs(), {}); }, "empty");
  expect_message([] { PowerModeSpace::list(three_knobs(), {{1, 345600}}); }, "2 settings");
  expect_message([] { PowerModeSpace::list(three_knobs(), {{1, 345601, 114750}}); }, "345601");
  expect_message(
      [] {
        PowerModeSpace::list(three_knobs(), {{1, 345600, 114750}, {1, 345600, 114750}});
      },
      "twice");
}

TEST(PowerModeSpace, FindsKnobsByRole) {
  const auto space = PowerModeSpace::grid(three_knobs());
  EXPECT_EQ(space.knob_with(KnobRole::gpu_khz), 2u);
  EXPECT_EQ(space.knob_with(KnobRole::mem_khz), std::nullopt);
  EXPECT_EQ(space.max_level(2), 1300500);
}

TEST(PowerModeSpace, DescribesModesAndRoles) {
  const auto space = PowerModeSpace::grid(three_knobs());
  EXPECT_EQ(describe(space, {1, 345600, 114750}), "cpu_cores=1 cpu_khz=345600 gpu_khz=114750");
  EXPECT_EQ(describe_roles(space), "cpu_cores, cpu_khz, gpu_khz");
}

TEST(PowerModeSpace, TooManyModesAreRefusedNamingTheKnobWithMostLevels) {
  std::vector<int> few(1000), many(5000);
  std::iota(few.begin(), few.end(), 1);
  std::iota(many.begin(), many.end(), 1);
  const std::vector<Knob> knobs = {{KnobRole::gpu_khz, few}, {KnobRole::mem_khz, many}};
  try {
    PowerModeSpace::grid(knobs);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("at most 4000000"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("mem_khz has the most levels, 5000"), std::string::npos) << e.what();
  }
  EXPECT_EQ(PowerModeSpace::grid(knobs, 5'000'000).size(), 5'000'000u);
  EXPECT_THROW(PowerModeSpace::grid(knobs, 4'999'999), std::invalid_argument);
}

TEST(PowerModeSpace, CombinationsAreCountedIn64Bits) {
  std::vector<int> levels(65536);
  std::iota(levels.begin(), levels.end(), 1);
  std::vector<Knob> knobs;
  for (const auto role : {KnobRole::cpu_khz, KnobRole::gpu_khz, KnobRole::mem_khz})
    knobs.push_back({role, levels});
  constexpr auto kAny = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(combinations(knobs, kAny), std::size_t{1} << 48);
  knobs.push_back({KnobRole::power_limit_mw, levels});  // 2^64
  EXPECT_FALSE(combinations(knobs, kAny));
  EXPECT_THROW(PowerModeSpace::grid(knobs, kAny), std::invalid_argument);
  EXPECT_EQ(combinations({{KnobRole::gpu_khz, {}}}), 0u);
}

}  // namespace power_mode_test
}  // namespace fewwatt::hw
