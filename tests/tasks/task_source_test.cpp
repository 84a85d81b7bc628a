#include "tasks/task_source.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace task_source_test {

using tests::kUnknown;
using tests::made_up_profile;
using tests::made_up_profiles;

std::set<hw::PowerMode> mode_set(const Samples& samples) {
  return {samples.modes.begin(), samples.modes.end()};
}

void expect_same(const Task& a, const Task& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.support.modes, b.support.modes);
  EXPECT_EQ(a.query.modes, b.query.modes);
  EXPECT_EQ(a.support.targets, b.support.targets);
  EXPECT_EQ(a.query.targets, b.query.targets);
}

void expect_error(const std::function<void()>& action, const std::vector<std::string>& parts) {
  try {
    action();
    FAIL() << "no error";
  } catch (const std::invalid_argument& e) {
    for (const auto& part : parts) EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(SampleTask, SupportAndQueryShareNoMode) {
  hw::Rng rng(1);
  const auto profile = made_up_profile("board-a", "bert");
  for (const std::size_t shots : {1, 5, 59}) {
    const auto task = sample_task(profile, shots, rng);
    auto all = mode_set(task.support);
    all.merge(mode_set(task.query));
    EXPECT_EQ(all.size(), task.support.size() + task.query.size());
  }
}

TEST(SampleTask, SizesAreAsAsked) {
  hw::Rng rng(1);
  const auto profile = made_up_profile("board-a", "bert");
  const auto rest = sample_task(profile, 10, rng);
  EXPECT_EQ(rest.support.size(), 10u);
  EXPECT_EQ(rest.query.size(), 50u);
  const auto some = sample_task(profile, 10, rng, 7);
  EXPECT_EQ(some.support.size(), 10u);
  EXPECT_EQ(some.query.size(), 7u);
  EXPECT_EQ(some.query.targets.rows(), 7);
  EXPECT_EQ(some.name, "board-a/bert");
  EXPECT_EQ(some.support.space, profile.space);
}

TEST(SampleTask, SameSeedSameTask) {
  const auto profile = made_up_profile("board-a", "bert");
  hw::Rng one(9), two(9), other(10);
  const auto task = sample_task(profile, 10, one);
  expect_same(task, sample_task(profile, 10, two));
  EXPECT_NE(mode_set(task.support), mode_set(sample_task(profile, 10, other).support));
}

TEST(SampleTask, EveryModeIsEquallyLikelyToBeSupport) {
  const auto profile = made_up_profile("board-a", "bert");
  std::map<hw::PowerMode, int> count;
  hw::Rng rng(2);
  constexpr int n = 6000;
  for (int i = 0; i < n; ++i) {
    for (const auto& mode : sample_task(profile, 6, rng, 1).support.modes) ++count[mode];
  }
  EXPECT_EQ(count.size(), profile.modes.size());
  const double expected = n * 6.0 / 60;
  for (const auto& [mode, c] : count) EXPECT_NEAR(c, expected, 5 * std::sqrt(expected));
}

TEST(SampleTask, RowsKeepTheirMeasurements) {
  hw::Rng rng(3);
  const auto task = sample_task(made_up_profile("board-a", "bert", 3e6), 20, rng);
  for (const auto* samples : {&task.support, &task.query}) {
    for (std::size_t i = 0; i < samples->size(); ++i) {
      EXPECT_DOUBLE_EQ(samples->targets(static_cast<Eigen::Index>(i), kTimeMs), 3e6 / samples->modes[i][1]);
    }
  }
}

TEST(SampleTask, FewerModesThanShotsIsAnErrorWithTheNumbers) {
  hw::Rng rng(1);
  const auto profile = made_up_profile("board-a", "bert");
  expect_error([&] { sample_task(profile, 60, rng); }, {"board-a/bert", "60 modes", "60 shots", "61"});
  expect_error([&] { sample_task(profile, 100, rng); }, {"60 modes", "100 shots"});
}

TEST(TaskSource, BatchesAreAsAsked) {
  const TaskSource source(made_up_profiles(),
                          {.min_shots = 3, .max_shots = 8, .query = 20, .augmentation = {}});
  hw::Rng rng(1);
  std::set<std::size_t> shots;
  std::set<std::string> names;
  for (int i = 0; i < 200; ++i) {
    const auto batch = source.next(4, rng);
    ASSERT_EQ(batch.size(), 4u);
    for (const auto& task : batch) {
      EXPECT_EQ(task.support.size(), batch[0].support.size());
      EXPECT_EQ(task.query.size(), 20u);
      auto all = mode_set(task.support);
      all.merge(mode_set(task.query));
      EXPECT_EQ(all.size(), task.support.size() + 20);
      names.insert(task.name);
    }
    shots.insert(batch[0].support.size());
  }
  EXPECT_EQ(shots, (std::set<std::size_t>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(names.size(), 6u);
}

TEST(TaskSource, QueryIsWhatIsLeftOfASmallProfile) {
  const TaskSource source({made_up_profile("board-a", "bert")},
                          {.min_shots = 50, .max_shots = 50, .query = 64, .augmentation = {}});
  hw::Rng rng(1);
  EXPECT_EQ(source.next(1, rng)[0].query.size(), 10u);
}

TEST(TaskSource, SameSeedSameStream) {
  const TaskSource source(made_up_profiles(),
                          {.min_shots = 3,
                           .max_shots = 8,
                           .query = 20,
                           .augmentation = {.log_offset = 0.5, .log_scale = 0.2, .sub_grid = 0.5}});
  hw::Rng one(4), two(4);
  for (int i = 0; i < 20; ++i) {
    const auto a = source.next(3, one), b = source.next(3, two);
    for (std::size_t t = 0; t < 3; ++t) expect_same(a[t], b[t]);
  }
}

// Time tells which workload a row came from; the names are not taken on trust.
TEST(TaskSource, HeldOutWorkloadsNeverAppear) {
  const auto split = split_profiles(made_up_profiles(), {.workloads = {"bert"}, .devices = {}});
  std::set<long> held_out;
  for (const auto& profile : split.test) {
    held_out.insert(std::lround(profile.measurements[0].time_ms * profile.modes[0][1]));
  }
  ASSERT_EQ(held_out.size(), 2u);
  const TaskSource source(split.train,
                          {.min_shots = 1, .max_shots = 5, .query = 10, .augmentation = {.sub_grid = 0.5}});
  hw::Rng rng(1);
  std::set<long> seen;
  for (int i = 0; i < 1000; ++i) {
    for (const auto& task : source.next(5, rng)) {
      EXPECT_EQ(task.name.find("bert"), std::string::npos);
      for (const auto* samples : {&task.support, &task.query}) {
        for (std::size_t row = 0; row < samples->size(); ++row) {
          seen.insert(std::lround(samples->targets(static_cast<Eigen::Index>(row), kTimeMs) *
                                  samples->modes[row][1]));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 4u);
  for (const long work : held_out) EXPECT_FALSE(seen.contains(work));
}

TEST(TaskSource, BadOptionsAndProfilesAreRefused) {
  const auto make = [](TaskSourceOptions options) {
    return [options] { TaskSource(made_up_profiles(), options); };
  };
  expect_error(make({.min_shots = 0, .augmentation = {}}), {"min_shots"});
  expect_error(make({.min_shots = 6, .max_shots = 5, .augmentation = {}}), {"max_shots", "6", "5"});
  expect_error(make({.query = 0, .augmentation = {}}), {"query"});
  expect_error(make({.augmentation = {.log_offset = -1}}), {"log_offset"});
  expect_error(make({.augmentation = {.log_scale = kUnknown}}), {"log_scale"});
  expect_error(make({.augmentation = {.sub_grid = 1.5}}), {"sub_grid"});
  expect_error(make({.max_shots = 60, .augmentation = {}}), {"more than 60 modes", "max_shots = 60", "61"});
  expect_error([] { TaskSource({}, {}); }, {"no profile"});
  auto with_a_short_one = made_up_profiles();
  with_a_short_one[0].modes.resize(3);
  with_a_short_one[0].measurements.resize(3);
  expect_error([&] { TaskSource(with_a_short_one, {}); },
               {with_a_short_one[0].workload, "3 modes", "min_shots = 5", "6"});
}

TEST(TaskSource, ProfileOfFewModesServesTasksOfFewShots) {
  auto profiles = made_up_profiles();
  profiles[0].modes.resize(10);
  profiles[0].measurements.resize(10);
  const TaskSource source(profiles, {.min_shots = 5, .max_shots = 20, .query = 5, .augmentation = {}});
  std::size_t drawn = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    hw::Rng rng(seed);
    for (const auto& task : source.next(8, rng)) {
      const bool is_short = task.name.find(profiles[0].workload) != std::string::npos &&
                            task.name.find(profiles[0].device) != std::string::npos;
      drawn += is_short ? 1 : 0;
      EXPECT_TRUE(!is_short || task.support.size() < 10);
    }
  }
  EXPECT_GT(drawn, 0u);
}

// The two ways of drawing the same task: without and with augmentation.
struct Pair {
  Task plain, augmented;
};

Pair draw(datasets::Profile profile, const Augmentation& augmentation, std::uint64_t seed) {
  TaskSourceOptions options{.min_shots = 10, .max_shots = 20, .query = 30, .augmentation = {}};
  hw::Rng one(seed), two(seed);
  auto plain = TaskSource({profile}, options).next(1, one)[0];
  options.augmentation = augmentation;
  return {plain, TaskSource({profile}, options).next(1, two)[0]};
}

std::vector<std::array<double, 2>> logs(const Task& plain, const Task& augmented, Target target) {
  std::vector<std::array<double, 2>> pairs;
  for (const auto samples : {&Task::support, &Task::query}) {
    const Matrix &a = (plain.*samples).targets, &b = (augmented.*samples).targets;
    for (Eigen::Index i = 0; i < a.rows(); ++i) {
      if (!std::isnan(a(i, target))) pairs.push_back({std::log(a(i, target)), std::log(b(i, target))});
    }
  }
  return pairs;
}

struct Line {
  double offset, scale;  // log y' = c + offset + scale (log y - c)
};

// From two rows; then every row of support and query must lie on it.
Line fit_and_check(const Task& plain, const Task& augmented, Target target) {
  const auto rows = logs(plain, augmented, target);
  double centre = 0;
  for (const auto& row : rows) centre += row[0] / static_cast<double>(rows.size());
  const auto [low, high] = std::minmax_element(rows.begin(), rows.end());
  const double scale = ((*high)[1] - (*low)[1]) / ((*high)[0] - (*low)[0]);
  const double offset = (*low)[1] - centre - scale * ((*low)[0] - centre);
  for (const auto& row : rows) EXPECT_NEAR(row[1], centre + offset + scale * (row[0] - centre), 1e-12);
  return {offset, scale};
}

TEST(Augmentation, ChangesSupportAndQueryByOneScaleAndOffset) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto [plain, augmented] =
        draw(made_up_profile("board-a", "bert"), {.log_offset = 0.7, .log_scale = 0.3, .sub_grid = 0}, seed);
    EXPECT_EQ(plain.support.modes, augmented.support.modes);
    EXPECT_EQ(plain.query.modes, augmented.query.modes);
    for (const auto target : {kTimeMs, kPowerW}) {
      const auto line = fit_and_check(plain, augmented, target);
      EXPECT_GT(line.scale, 0);
    }
  }
}

TEST(Augmentation, OffsetAloneKeepsTheScaleAndScaleAloneKeepsTheMean) {
  const auto profile = made_up_profile("board-a", "bert");
  const auto moved = draw(profile, {.log_offset = 0.7, .log_scale = 0, .sub_grid = 0}, 1);
  EXPECT_NEAR(fit_and_check(moved.plain, moved.augmented, kTimeMs).scale, 1, 1e-12);
  EXPECT_GT(std::abs(fit_and_check(moved.plain, moved.augmented, kTimeMs).offset), 1e-3);
  const auto stretched = draw(profile, {.log_offset = 0, .log_scale = 0.3, .sub_grid = 0}, 1);
  EXPECT_NEAR(fit_and_check(stretched.plain, stretched.augmented, kPowerW).offset, 0, 1e-12);
  EXPECT_GT(std::abs(fit_and_check(stretched.plain, stretched.augmented, kPowerW).scale - 1), 1e-3);
}

TEST(Augmentation, DrawsTimeAndPowerIndependentlyWithTheGivenDeviations) {
  double time_squares = 0, power_squares = 0, product = 0, log_scales = 0;
  constexpr int n = 400;
  for (std::uint64_t seed = 0; seed < n; ++seed) {
    const auto [plain, augmented] =
        draw(made_up_profile("board-a", "bert"), {.log_offset = 0.7, .log_scale = 0.3, .sub_grid = 0}, seed);
    const auto time = fit_and_check(plain, augmented, kTimeMs),
               power = fit_and_check(plain, augmented, kPowerW);
    time_squares += time.offset * time.offset / n;
    power_squares += power.offset * power.offset / n;
    product += time.offset * power.offset / n;
    log_scales += std::pow(std::log(time.scale), 2) / n;
  }
  const double error = 5 / std::sqrt(n);  // five standard errors of a correlation; of a variance times sqrt 2
  EXPECT_NEAR(time_squares, 0.49, 0.49 * std::sqrt(2.0) * error);
  EXPECT_NEAR(power_squares, 0.49, 0.49 * std::sqrt(2.0) * error);
  EXPECT_NEAR(product, 0, 0.49 * error);
  EXPECT_NEAR(log_scales, 0.09, 0.09 * std::sqrt(2.0) * error);
}

TEST(Augmentation, UnknownStaysUnknown) {
  auto profile = made_up_profile("board-a", "bert");
  for (std::size_t i = 0; i < profile.modes.size(); i += 2) profile.measurements[i].power_w = kUnknown;
  const auto [plain, augmented] = draw(profile, {.log_offset = 0.7, .log_scale = 0.3, .sub_grid = 0}, 1);
  for (const auto samples : {&Task::support, &Task::query}) {
    const Matrix &a = (plain.*samples).targets, &b = (augmented.*samples).targets;
    EXPECT_TRUE((a.array().isNaN() == b.array().isNaN()).all());
    EXPECT_TRUE(a.col(kPowerW).array().isNaN().any());
  }
  fit_and_check(plain, augmented, kPowerW);  // the mean is that of the known values

  for (auto& measurement : profile.measurements) measurement.power_w = kUnknown;
  const auto none = draw(profile, {.log_offset = 0.7, .log_scale = 0.3, .sub_grid = 0}, 1).augmented;
  EXPECT_FALSE(none.support.has(kPowerW));
  EXPECT_TRUE(none.support.has(kTimeMs));
}

TEST(TaskSource, HalfOfTheTasksComeFromTheOtherProfiles) {
  const TaskSourceOptions options{.min_shots = 5, .max_shots = 5, .query = 5, .augmentation = {}};
  const auto also = made_up_profile("board-b", "other");
  const auto others = [&](double share) {
    auto with_share = options;
    with_share.also = share;
    const TaskSource source(made_up_profiles(), with_share, {also});
    hw::Rng rng(3);
    int count = 0;
    for (const auto& task : source.next(400, rng)) count += task.name == "board-b/other";
    return count;
  };
  EXPECT_NEAR(others(0.5), 200, 45);
  EXPECT_EQ(others(0), 0);
  EXPECT_EQ(others(1), 400);
  expect_error([&] { others(1.5); }, {"also", "[0,1]"});
}

TEST(Augmentation, NoneLeavesEveryBit) {
  const auto [plain, same] = draw(made_up_profile("board-a", "bert"), {}, 1);
  expect_same(plain, same);
  hw::Rng rng(1);
  const auto profile = made_up_profile("board-a", "bert");
  const auto task = TaskSource({profile}, {.min_shots = 10, .max_shots = 10, .query = 5, .augmentation = {}})
                        .next(1, rng)[0];
  for (std::size_t i = 0; i < task.support.size(); ++i) {
    EXPECT_EQ(task.support.targets(static_cast<Eigen::Index>(i), kTimeMs), 1e6 / task.support.modes[i][1]);
  }
}

TEST(Augmentation, SubGridsLeaveLevelsOutAndKeepTheSizes) {
  const TaskSource source({made_up_profile("board-a", "bert")},
                          {.min_shots = 4, .max_shots = 4, .query = 8, .augmentation = {.sub_grid = 1}});
  hw::Rng rng(5);
  std::map<std::size_t, int> levels_seen;
  for (int i = 0; i < 300; ++i) {
    const auto task = source.next(1, rng)[0];
    ASSERT_EQ(task.support.size(), 4u);
    ASSERT_EQ(task.query.size(), 8u);
    std::set<int> cpu;
    for (const auto* samples : {&task.support, &task.query}) {
      for (const auto& mode : samples->modes) {
        EXPECT_TRUE(task.support.space->index_of(mode));
        cpu.insert(mode[0]);
      }
    }
    ++levels_seen[cpu.size()];
  }
  // 3, 4 or 5 of the five levels, equally often; without sub-grids 12 of the 60 modes lie on three levels
  // once in 100.
  EXPECT_GT(levels_seen[3], 50);
  EXPECT_GT(levels_seen[5], 50);
}

TEST(Augmentation, SubGridWithTooFewModesIsNotUsed) {
  const TaskSource source({made_up_profile("board-a", "bert")},
                          {.min_shots = 30, .max_shots = 30, .query = 30, .augmentation = {.sub_grid = 1}});
  hw::Rng rng(5);
  for (int i = 0; i < 50; ++i) {
    const auto task = source.next(1, rng)[0];
    EXPECT_EQ(task.support.size(), 30u);
    EXPECT_EQ(task.query.size(), 30u);
  }
}

}  // namespace task_source_test
}  // namespace fewwatt::tasks
