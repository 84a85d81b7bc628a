#include "hw/modules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fewwatt::hw {
namespace modules_test {

TEST(Modules, NamesAreDifferent) {
  std::set<std::string> names;
  for (const auto& module : modules()) EXPECT_TRUE(names.insert(module.name).second) << module.name;
  EXPECT_EQ(names.size(), 9u);
}

TEST(Modules, AgxOrinHasThePublishedNumberOfModes) {
  EXPECT_EQ(module_space("orin-agx-64").size(), 18096u);
  EXPECT_EQ(module_space("orin-agx-64", "full"), module_space("orin-agx-64"));
  EXPECT_EQ(module_space("orin-agx-64", "powertrain").size(), 4368u);
  EXPECT_EQ(module_space("orin-agx-64", "coarse").size(), 441u);
}

TEST(Modules, OtherBoardsHaveThePublishedNumberOfModes) {
  EXPECT_EQ(module_space("orin-nano-8").size(), 1800u);
  EXPECT_EQ(module_space("orin-nano-8", "powertrain").size(), 180u);
  EXPECT_EQ(module_space("xavier-agx").size(), 29232u);
}

TEST(Modules, KnobTablesHaveTheKnownLengths) {
  struct Row {
    const char* name;
    std::size_t cores, cpu, gpu, mem;
  };
  for (const auto& row :
       {Row{"orin-agx-64", 12, 29, 13, 4}, Row{"orin-agx-64-jp6", 12, 29, 11, 4},
        Row{"orin-nx-16", 8, 26, 7, 4}, Row{"orin-nano-8", 6, 20, 5, 3},
        Row{"orin-nano-8-super", 6, 22, 8, 4}, Row{"xavier-agx", 8, 29, 14, 9},
        Row{"xavier-nx", 6, 25, 15, 8}, Row{"tx2", 6, 12, 13, 11}, Row{"nano", 4, 15, 12, 7}}) {
    const auto& knobs = find_module(row.name).knobs;
    ASSERT_EQ(knobs.size(), 4u);
    EXPECT_EQ(knobs[0].role, KnobRole::cpu_cores);
    EXPECT_EQ(knobs[1].role, KnobRole::cpu_khz);
    EXPECT_EQ(knobs[2].role, KnobRole::gpu_khz);
    EXPECT_EQ(knobs[3].role, KnobRole::mem_khz);
    EXPECT_EQ(knobs[0].levels.size(), row.cores) << row.name;
    EXPECT_EQ(knobs[1].levels.size(), row.cpu) << row.name;
    EXPECT_EQ(knobs[2].levels.size(), row.gpu) << row.name;
    EXPECT_EQ(knobs[3].levels.size(), row.mem) << row.name;
  }
}

TEST(Modules, RegularClockTablesEqualTheListsOfTheKernel) {
  EXPECT_EQ(find_module("orin-agx-64").knobs[2].levels,
            (std::vector<int>{114750, 216750, 318750, 420750, 522750, 624750, 726750, 828750, 930750, 1032750,
                              1134750, 1236750, 1300500}));
  EXPECT_EQ(find_module("orin-agx-64-jp6").knobs[2].levels,
            (std::vector<int>{306000, 408000, 510000, 612000, 714000, 816000, 918000, 1020000, 1122000,
                              1224000, 1300500}));
  EXPECT_EQ(find_module("orin-nano-8").knobs[1].levels,
            (std::vector<int>{115200,  192000,  268800,  345600,  422400,  499200,  576000,
                              652800,  729600,  806400,  883200,  960000,  1036800, 1113600,
                              1190400, 1267200, 1344000, 1420800, 1497600, 1510400}));
  EXPECT_EQ(find_module("tx2").knobs[1].levels,
            (std::vector<int>{345600, 499200, 652800, 806400, 960000, 1113600, 1267200, 1420800, 1574400,
                              1728000, 1881600, 2035200}));
}

TEST(Modules, EveryBoardMakesASpace) {
  for (const auto& module : modules()) EXPECT_GT(module_space(module.name).size(), 1000u) << module.name;
}

TEST(Modules, ProfiledGridsLieOnTheirBoardsLevels) {
  for (const auto& grid : profiled_grids()) {
    const auto& board = find_module(grid.module).knobs;
    ASSERT_EQ(grid.knobs.size(), board.size());
    for (std::size_t k = 0; k < board.size(); ++k) {
      EXPECT_EQ(grid.knobs[k].role, board[k].role);
      EXPECT_TRUE(std::includes(board[k].levels.begin(), board[k].levels.end(), grid.knobs[k].levels.begin(),
                                grid.knobs[k].levels.end()))
          << grid.module << ' ' << grid.name << ' ' << to_string(board[k].role);
    }
  }
}

TEST(Modules, CoarseGridLiesOnThePowerTrainGrid) {
  const auto powertrain = module_space("orin-agx-64", "powertrain");
  for (const auto& mode : module_space("orin-agx-64", "coarse").modes())
    EXPECT_TRUE(powertrain.index_of(mode));
}

TEST(Modules, UnknownNamesListTheKnownOnes) {
  try {
    find_module("orin");
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("\"orin\""), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("xavier-nx"), std::string::npos);
  }
  try {
    module_space("orin-nano-8", "coarse");
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("full, powertrain"), std::string::npos) << e.what();
  }
}

TEST(Presets, GiveAModeOfTheirBoardWithinTheLimits) {
  for (const auto& module : modules()) {
    ASSERT_FALSE(module.presets.empty()) << module.name;
    const auto space = module_space(module.name);
    for (const auto& preset : module.presets) {
      ASSERT_EQ(preset.limits.size(), module.knobs.size()) << module.name << ' ' << preset.name;
      const auto mode = apply_limits(space, module.knobs, preset.limits);
      EXPECT_TRUE(space.index_of(mode)) << module.name << ' ' << preset.name;
      for (std::size_t k = 0; k < mode.size(); ++k) EXPECT_LE(mode[k], preset.limits[k]) << preset.name;
    }
  }
}

TEST(Presets, OfOrinAreThoseOfNvpmodelConf) {
  struct Row {
    const char *board, *preset;
    PowerMode limits;
  };
  for (const auto& [board, name, limits] :
       {Row{"orin-agx-64-jp6", "MODE_15W", {4, 1113600, 408000, 2133000}},
        Row{"orin-agx-64-jp6", "MODE_30W", {8, 1728000, 612000, 3199000}},
        Row{"orin-agx-64-jp6", "MODE_50W", {12, 1497600, 816000, 3199000}},
        Row{"orin-nx-16", "10W", {4, 1190400, 612000, 2133000}},
        Row{"orin-nx-16", "15W", {4, 1651200, 612000, 3199000}},
        Row{"orin-nx-16", "25W", {8, 1497600, 408000, 3199000}},
        Row{"orin-nano-8", "7W", {4, 960000, 408000, 2133000}},
        Row{"orin-nano-8-super", "25W", {6, 1344000, 918000, 3199000}}}) {
    const auto& module = find_module(board);
    const auto& presets = module.presets;
    const auto found = std::find_if(presets.begin(), presets.end(),
                                    [&](const Preset& preset) { return preset.name == name; });
    ASSERT_NE(found, presets.end()) << board << ' ' << name;
    EXPECT_EQ(found->limits, limits) << board << ' ' << name;
    // Each is a level of the board.
    EXPECT_EQ(apply_limits(module_space(board), module.knobs, limits), limits) << board << ' ' << name;
  }
}

TEST(Presets, MaxnIsTheHighestMode) {
  for (const auto& module : modules()) {
    const auto space = module_space(module.name);
    for (const auto& preset : module.presets) {
      if (preset.name != "MAXN" && preset.name != "MAXN_SUPER") continue;
      EXPECT_EQ(apply_limits(space, module.knobs, preset.limits), space.at(space.size() - 1)) << module.name;
    }
  }
}

const std::vector<Knob> kTwoKnobs = {{KnobRole::cpu_khz, {100, 200, 400}}, {KnobRole::gpu_khz, {10, 20, 40}}};

TEST(ApplyLimits, TakesTheNextLowerLevel) {
  const auto space = PowerModeSpace::grid(kTwoKnobs);
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {399, 20}), (PowerMode{200, 20}));
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {1000, 39}), (PowerMode{400, 20}));
}

TEST(ApplyLimits, TakesTheLowestLevelWhenAllAreAboveTheLimit) {
  EXPECT_EQ(apply_limits(PowerModeSpace::grid(kTwoKnobs), kTwoKnobs, {50, 5}), (PowerMode{100, 10}));
}

TEST(ApplyLimits, MatchesKnobsByRole) {
  const auto space = PowerModeSpace::grid({{KnobRole::gpu_khz, {10, 20, 40}}, {KnobRole::mem_khz, {1, 2}}});
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {100, 25}), (PowerMode{20, 2}));
}

TEST(ApplyLimits, StaysInAListAndWithinTheLimits) {
  const auto space = PowerModeSpace::list(kTwoKnobs, {{100, 10}, {200, 10}, {200, 40}, {400, 20}});
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {200, 20}), (PowerMode{200, 10}));
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {400, 20}), (PowerMode{400, 20}));
}

TEST(ApplyLimits, TakesTheNearestModeWhenTheListHasNoneWithinTheLimits) {
  const auto space = PowerModeSpace::list(kTwoKnobs, {{200, 40}, {400, 10}, {400, 40}});
  EXPECT_EQ(apply_limits(space, kTwoKnobs, {100, 40}), (PowerMode{200, 40}));
}

TEST(ApplyLimits, RefusesAPresetOfAnotherLength) {
  EXPECT_THROW(apply_limits(PowerModeSpace::grid(kTwoKnobs), kTwoKnobs, {1, 2, 3}), std::invalid_argument);
}

}  // namespace modules_test
}  // namespace fewwatt::hw
