#include "tasks/mode_mdp.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "hw/modules.hpp"
#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace mode_mdp_test {

using hw::KnobRole;
using hw::PowerMode;
using hw::PowerModeSpace;
using tests::kUnknown;

constexpr double kNone = std::numeric_limits<double>::infinity();

std::shared_ptr<const PowerModeSpace> shared(PowerModeSpace space) {
  return std::make_shared<const PowerModeSpace>(std::move(space));
}

std::vector<std::shared_ptr<const PowerModeSpace>> spaces() {
  return {shared(tests::made_up_grid()), shared(hw::module_space("orin-agx-64", "powertrain")),
          shared(PowerModeSpace::grid(
              {{KnobRole::power_limit_mw, {100'000, 200'000}}, {KnobRole::batch_size, {8, 16, 32}}})),
          shared(PowerModeSpace::grid({{KnobRole::cpu_khz, {1'000'000}}}))};
}

TEST(ModeMdpOptions, BadValuesAreNamed) {
  const auto error = [](auto change) {
    ModeMdpOptions options;
    change(options);
    return options.error();
  };
  EXPECT_EQ(ModeMdpOptions().error(), "");
  EXPECT_NE(error([](auto& o) { o.lambda = -1; }).find("lambda"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.lambda = std::nan(""); }).find("lambda"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.measurements = 1; }).find("measurements"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.candidates = kMostActions + 1; }).find("candidates"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.switch_share = 1; }).find("switch_share"), std::string::npos);
  ModeMdpOptions negative;
  negative.lambda = -1;
  EXPECT_THROW(ModeActions(shared(tests::made_up_grid()), negative, 0), std::invalid_argument);
  EXPECT_THROW(ModeObserver(shared(tests::made_up_grid()), negative, {}), std::invalid_argument);
}

TEST(ModeWorth, IsTheFormula) {
  ModeMdpOptions options;
  options.lambda = 4;
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 9}, 10, 200, false), -0.25);
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 15}, 10, 200, false), -0.25 - 4 * 0.5);
  options.switch_share = 0.5;
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 9}, 10, 200, true), -0.5);
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 9}, 10, 200, false), -0.25);
  options.reward = RewardForm::log;
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 15}, 10, 200, true), -std::log(0.5) - 4 * 0.5);
  options.reward = RewardForm::posed;
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 15}, 10, 200, false), -50 - 4 * 5);
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, 15}, kNone, 200, true), -100);
}

TEST(ModeWorth, WhatIsNotKnownCountsAsTheReferenceAndAsInside) {
  ModeMdpOptions options;
  EXPECT_DOUBLE_EQ(mode_worth(options, {}, 10, 200, false), -1);
  EXPECT_DOUBLE_EQ(mode_worth(options, {}, 10, kUnknown, false), -1);
  EXPECT_DOUBLE_EQ(mode_worth(options, {kUnknown, 20}, 10, 200, false), -1 - options.lambda);
  EXPECT_DOUBLE_EQ(mode_worth(options, {50, kUnknown}, 10, 200, false), -0.25);
  EXPECT_DOUBLE_EQ(mode_worth(options, {-5, 0}, 10, 200, false), -1);
  options.reward = RewardForm::log;
  EXPECT_DOUBLE_EQ(mode_worth(options, {}, 10, 200, false), 0);
  options.reward = RewardForm::posed;
  EXPECT_DOUBLE_EQ(mode_worth(options, {}, 10, 200, false), -200);
  EXPECT_DOUBLE_EQ(mode_worth(options, {}, 10, kUnknown, false), 0);
}

TEST(ModeFeatures, HaveOneSizeForAnyKnobs) {
  for (const auto& space : spaces()) {
    const auto features = mode_features(*space, space->at(space->size() - 1));
    ASSERT_EQ(features.size(), static_cast<Eigen::Index>(kModeFeatures));
    for (std::size_t slot = 0; slot < kKnobSlots.size(); ++slot) {  // the top of all knobs, or no knob
      EXPECT_DOUBLE_EQ(features[static_cast<Eigen::Index>(2 * slot)], 1);
      EXPECT_DOUBLE_EQ(features[static_cast<Eigen::Index>(2 * slot + 1)], 0);
    }
  }
  const auto grid = tests::made_up_grid();
  const auto features = mode_features(grid, {800000, 700000, 200000});
  EXPECT_DOUBLE_EQ(features[2], 0.4);  // clock/cpu
  EXPECT_DOUBLE_EQ(features[3], std::log(0.4));
  EXPECT_DOUBLE_EQ(features[6], 0.125);  // clock/mem
  EXPECT_EQ(knob_slots(grid), (std::vector<std::string>{"clock/cpu", "clock/gpu", "clock/mem"}));
}

TEST(ModeFeatures, EveryRoleHasItsSlot) {
  std::set<std::size_t> slots;
  for (const auto role : hw::kKnobRoles) slots.insert(slot_of(role));
  EXPECT_EQ(slots.size(), kKnobSlots.size());
  EXPECT_EQ(*slots.rbegin(), kKnobSlots.size() - 1);
}

TEST(ModeActions, AJumpLeadsToItsModeFromAnywhere) {
  const auto space = shared(tests::made_up_grid());
  const ModeActions actions(space, {}, 1);
  ASSERT_EQ(actions.size(), space->size());
  EXPECT_EQ(actions.rows().cols(), static_cast<Eigen::Index>(kActionFeatures));
  for (std::size_t a = 0; a < actions.size(); ++a) {
    EXPECT_EQ(actions.target(a, space->at(7)), space->at(a));
    EXPECT_EQ(Vector(actions.rows().row(static_cast<Eigen::Index>(a)).head(kModeFeatures).transpose()),
              mode_features(*space, space->at(a)));
  }
  EXPECT_THROW(actions.target(actions.size(), space->at(0)), std::out_of_range);
}

TEST(ModeActions, CandidatesAreDrawnAnewForEachSeed) {
  const auto space = shared(tests::made_up_grid());
  ModeMdpOptions options;
  options.candidates = 10;
  const auto modes = [&](std::uint64_t seed) {
    const ModeActions actions(space, options, seed);
    std::set<PowerMode> all;
    for (std::size_t a = 0; a < actions.size(); ++a) all.insert(actions.target(a, space->at(0)));
    return all;
  };
  EXPECT_EQ(modes(1).size(), 10u);
  EXPECT_EQ(modes(1), modes(1));
  EXPECT_NE(modes(1), modes(2));
  options.candidates = 1000;
  EXPECT_EQ(modes(1).size(), space->size());
}

TEST(ModeActions, TooManyModesNeedCandidates) {
  std::vector<int> levels;
  for (int i = 1; i <= 400; ++i) levels.push_back(i);
  const auto space = shared(PowerModeSpace::grid({{KnobRole::cpu_khz, levels}, {KnobRole::gpu_khz, levels}}));
  EXPECT_THROW(ModeActions(space, {}, 0), std::invalid_argument);
  ModeMdpOptions options;
  options.candidates = 100;
  EXPECT_EQ(ModeActions(space, options, 0).size(), 100u);
}

ModeMdpOptions moving() {
  ModeMdpOptions options;
  options.actions = ModeActionKind::move;
  return options;
}

TEST(ModeActions, AMoveOnAGridChangesOneKnobByOneLevelOrStays) {
  const auto space = shared(tests::made_up_grid());
  const ModeActions actions(space, moving(), 1);
  ASSERT_EQ(actions.size(), 7u);
  const PowerMode from = {800000, 700000, 800000};
  EXPECT_EQ(actions.target(0, from), (PowerMode{400000, 700000, 800000}));
  EXPECT_EQ(actions.target(1, from), (PowerMode{1200000, 700000, 800000}));
  EXPECT_EQ(actions.target(2, from), (PowerMode{800000, 500000, 800000}));
  EXPECT_EQ(actions.target(3, from), from);  // at the top
  EXPECT_EQ(actions.target(4, from), (PowerMode{800000, 700000, 200000}));
  EXPECT_EQ(actions.target(5, from), (PowerMode{800000, 700000, 1600000}));
  EXPECT_EQ(actions.target(6, from), from);  // stays
  const auto rows = actions.rows().rightCols(static_cast<Eigen::Index>(kKnobSlots.size()));
  EXPECT_EQ(rows(0, 1), -1);
  EXPECT_EQ(rows(5, 3), 1);
  EXPECT_EQ(rows.row(6).norm(), 0);
  EXPECT_EQ(rows.cwiseAbs().sum(), 6);
}

TEST(ModeActions, AMoveInAListLeadsToTheNearestModeWithAHigherOrLowerSetting) {
  const auto grid = tests::made_up_grid();
  const auto space = shared(PowerModeSpace::list(grid.knobs(), {{400000, 100000, 200000},
                                                                {800000, 300000, 200000},
                                                                {1200000, 100000, 200000},
                                                                {2000000, 100000, 200000},
                                                                {800000, 700000, 1600000}}));
  const ModeActions actions(space, moving(), 1);
  const PowerMode from = {400000, 100000, 200000};
  // Both are two levels away; the first is taken.
  EXPECT_EQ(actions.target(1, from), (PowerMode{800000, 300000, 200000}));
  EXPECT_EQ(actions.target(0, from), from);
  EXPECT_EQ(actions.target(1, {1200000, 100000, 200000}), (PowerMode{2000000, 100000, 200000}));
  EXPECT_EQ(actions.target(5, from), (PowerMode{800000, 700000, 1600000}));
}

// ---- observations and rewards ----

TEST(ModeObserver, ObservesTheSameNumbersForAnyKnobsAllFinite) {
  for (const auto& space : spaces())
    for (const double budget : {5.0, kNone})
      for (const auto& measured :
           {hw::Measurement{20, 4}, hw::Measurement{20, kUnknown}, hw::Measurement{kUnknown, 4},
            hw::Measurement{}, hw::Measurement{0, -1}, hw::Measurement{HUGE_VAL, HUGE_VAL}}) {
        ModeObserver observer(space, {}, {});
        EXPECT_EQ(observer.observation(budget).size(), static_cast<Eigen::Index>(kObservation));
        for (int i = 0; i < 3; ++i) {
          observer.tell(space->at(0), measured, budget);
          const auto seen = observer.observation(budget);
          EXPECT_EQ(seen.size(), static_cast<Eigen::Index>(kObservation));
          EXPECT_TRUE(seen.allFinite());
        }
      }
}

// Places of an observation, after those of the knobs.
constexpr Eigen::Index kAfterKnobs = kKnobSlots.size() + kModeFeatures;

TEST(ModeObserver, StatesWhatWasMeasuredRelativeToTheReferenceAndTheBudget) {
  const auto space = shared(tests::made_up_grid());
  Characteristics stated;
  stated.batch_size = 99;
  ModeObserver observer(space, {}, stated);
  observer.tell(space->at(0), {100, 2}, 4);
  observer.tell(space->at(59), {25, 8}, 4);
  const auto seen = observer.observation(4);
  EXPECT_EQ(seen.head(6), (Vector(6) << 0, 1, 1, 1, 0, 0).finished());
  EXPECT_EQ(Vector(seen.segment(6, kModeFeatures)), mode_features(*space, space->at(59)));
  const Vector rest = seen.tail(seen.size() - kAfterKnobs);
  EXPECT_NEAR(rest[0], std::log(0.25), 1e-12);
  EXPECT_EQ(rest[1], 1);
  EXPECT_NEAR(rest[2], std::log(4), 1e-12);
  EXPECT_EQ(rest[3], 1);
  EXPECT_NEAR(rest[4], std::log(2), 1e-12);  // over the budget
  EXPECT_EQ(rest[5], 1);
  EXPECT_NEAR(rest[6], std::log(0.5), 1e-12);
  EXPECT_EQ(rest[7], 0);           // not rejected
  EXPECT_NEAR(rest[8], 0, 1e-12);  // the fastest mode inside is the reference
  EXPECT_EQ(rest[9], 1);
  EXPECT_EQ(Vector(rest.segment(10, kModeFeatures)), mode_features(*space, space->at(0)));
  const Vector last = rest.tail(rest.size() - 10 - kModeFeatures);
  EXPECT_NEAR(last[0], 0.2, 1e-12);  // log10(1 + 99) / 10
  EXPECT_EQ(last[1], 1);
  EXPECT_EQ(last[3], 0);  // not stated
  EXPECT_NEAR(rest[rest.size() - 1], 2.0 / 15, 1e-12);
  // Under a higher budget the other one is the fastest inside.
  const auto higher = observer.observation(9);
  EXPECT_NEAR(higher[kAfterKnobs + 8], std::log(0.25), 1e-12);
  EXPECT_EQ(Vector(higher.segment(kAfterKnobs + 10, kModeFeatures)), mode_features(*space, space->at(59)));
  // Under one below every mode there is none.
  const auto lower = observer.observation(1);
  EXPECT_EQ(lower[kAfterKnobs + 9], 0);
  EXPECT_EQ(lower.segment(kAfterKnobs + 10, kModeFeatures).norm(), 0);
}

TEST(ModeObserver, FindRewardsTheRiseOfTheBest) {
  const auto space = shared(tests::made_up_grid());
  ModeObserver observer(space, {}, {});
  EXPECT_EQ(observer.tell(space->at(0), {100, 2}, 4), 0);
  EXPECT_NEAR(observer.tell(space->at(1), {80, 3}, 4), 0.2, 1e-12);
  EXPECT_EQ(observer.tell(space->at(2), {90, 3}, 4), 0);
  EXPECT_EQ(observer.tell(space->at(3), {10, 40}, 4), 0);        // far over the budget
  EXPECT_EQ(observer.tell(space->at(3), {}, 4), 0);              // rejected
  EXPECT_EQ(observer.tell(space->at(3), {10, kUnknown}, 4), 0);  // nobody knows whether it keeps the budget
  EXPECT_NEAR(observer.tell(space->at(4), {50, 4}, 4), 0.3, 1e-12);
  EXPECT_EQ(observer.told(), 7u);
}

TEST(ModeObserver, RunRewardsEveryStep) {
  const auto space = shared(tests::made_up_grid());
  ModeMdpOptions options;
  options.task = ModeTask::run;
  options.switch_share = 0.5;
  ModeObserver observer(space, options, {});
  observer.tell(space->at(0), {100, 2}, 4);
  EXPECT_NEAR(observer.tell(space->at(1), {40, 2}, 4), -0.8, 1e-12);      // the mode was changed
  EXPECT_NEAR(observer.tell(space->at(1), {40, 2}, 4), -0.4, 1e-12);      // it stays
  EXPECT_NEAR(observer.tell(space->at(1), {40, 2}, 4, 80), -0.5, 1e-12);  // a better reference
  EXPECT_NEAR(observer.tell(space->at(1), {}, 4), -1, 1e-12);
}

TEST(ModeObserver, ARejectedFirstMeasurementLeavesTheReferenceToTheNext) {
  const auto space = shared(tests::made_up_grid());
  ModeObserver observer(space, {}, {});
  hw::Measurement throttled{100, 2};
  throttled.throttled = true;
  observer.tell(space->at(0), throttled, 4);
  EXPECT_EQ(observer.observation(4)[kAfterKnobs + 7], 1);
  EXPECT_EQ(observer.observation(4)[kAfterKnobs + 1], 0);
  observer.tell(space->at(5), {50, 3}, 4);
  EXPECT_EQ(observer.observation(4)[kAfterKnobs + 7], 0);
  EXPECT_EQ(observer.observation(4)[kAfterKnobs + 1], 1);
  EXPECT_NEAR(observer.tell(space->at(6), {25, 3}, 4), 0.5, 1e-12);
}

TEST(ModeObserver, AModeThatTheSpaceLacksIsRefused) {
  ModeObserver observer(shared(tests::made_up_grid()), {}, {});
  EXPECT_THROW(observer.tell({1, 2, 3}, {10, 1}, 4), std::invalid_argument);
}

}  // namespace mode_mdp_test
}  // namespace fewwatt::tasks
