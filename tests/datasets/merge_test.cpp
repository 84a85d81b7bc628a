#include "datasets/merge.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <vector>

#include "datasets/profile_io.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/example_run.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace merge_test {

using datasets::check_fold;
using datasets::fold;
using datasets::merge_profiles;
using datasets::Profile;
using datasets::ProfileStore;
using datasets::read_profiles;
using datasets::read_run_log;
using datasets::RunHeader;
using datasets::RunRecord;
using datasets::RunRecords;
using datasets::to_profile;
using datasets::write_profiles;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Profile profile_of(const RunHeader& header, std::vector<RunRecord> records) {
  return to_profile(RunRecords{"a.log", header, std::move(records), 0});
}

std::size_t row_of(const Profile& profile, const hw::PowerMode& mode) {
  return static_cast<std::size_t>(std::find(profile.modes.begin(), profile.modes.end(), mode) -
                                  profile.modes.begin());
}

TEST(RunProfile, HoldsTheRowsThatAreOk) {
  const auto records = example_records();
  const auto profile = profile_of(example_header(), {records[3], records[2], records[1], records[0]});
  const auto all = example_header().space->modes();
  EXPECT_EQ(profile.modes, (std::vector<hw::PowerMode>{all[0], all[1], all[3]}));
  EXPECT_EQ(profile.attributes, example_header().attributes);
  EXPECT_EQ(profile.measurements[0].time_ms, 12.25);
  EXPECT_TRUE(std::isnan(profile.measurements[1].power_w));
  EXPECT_TRUE(profile.measurements[2].throttled);
  EXPECT_EQ(profile.measurements[2].repeats, 10);
  EXPECT_EQ(profile.time_std_ms, (std::vector<double>{0.1, 0.1, 0.1}));
  EXPECT_TRUE(std::isnan(profile.power_std_w[1]));
  expect_data_error([&] { profile_of(example_header(), {records[2]}); }, {"a.log", "no mode"});
}

TEST(RunProfile, RepeatedModesAreOneSample) {
  auto a = example_record(0), b = example_record(0);  // 1 2 3 and 5 9
  a.measured = {2, 20, 3, false};
  a.time_std_ms = 1;
  a.power_std_w = kNan;
  b.measured = {7, kNan, 2, true};
  b.time_std_ms = std::sqrt(8.0);
  b.power_std_w = kNan;
  const auto profile = profile_of(example_header(), {a, rejected_record(0), b});
  ASSERT_EQ(profile.modes.size(), 1u);
  EXPECT_DOUBLE_EQ(profile.measurements[0].time_ms, 4);
  EXPECT_DOUBLE_EQ(profile.time_std_ms[0], std::sqrt(40.0 / 4));
  EXPECT_EQ(profile.measurements[0].power_w, 20);
  EXPECT_TRUE(profile.power_std_w.empty());
  EXPECT_EQ(profile.measurements[0].repeats, 5);
  EXPECT_TRUE(profile.measurements[0].throttled);

  a.measured = {1, 1, 1, false};
  b.measured = {3, 3, 1, false};
  a.time_std_ms = b.time_std_ms = kNan;
  const auto singles = profile_of(example_header(), {a, b});
  EXPECT_DOUBLE_EQ(singles.time_std_ms[0], std::sqrt(2.0));
  b.measured.repeats = 2;
  EXPECT_TRUE(profile_of(example_header(), {a, b}).time_std_ms.empty());
}

TEST(RunProfile, PowerIsEnergyByTimeWhereRepeatsTookDifferentlyLong) {
  auto a = example_record(0), b = example_record(0);
  a.measured = {20, 5, 10, false};
  b.measured = {500, 25, 10, false};
  a.time_std_ms = b.time_std_ms = a.power_std_w = b.power_std_w = 0;
  const auto profile = profile_of(example_header(), {a, b});
  EXPECT_DOUBLE_EQ(profile.measurements[0].time_ms, 260);
  const double watt = (0.2 * 5 + 5 * 25) / 5.2;
  EXPECT_DOUBLE_EQ(profile.measurements[0].power_w, watt);
  EXPECT_NEAR(profile.time_std_ms[0], std::sqrt(20 * 240. * 240 / 19), 1e-9);
  EXPECT_NEAR(profile.power_std_w[0],
              std::sqrt(20 * (0.2 * (5 - watt) * (5 - watt) + 5 * (25 - watt) * (25 - watt)) / 5.2 / 19),
              1e-9);
}

TEST(RunFold, MakesAFileAndRepeatsItself) {
  const TempDir dir;
  example_log(dir);
  fold(dir / "example.log", dir / "p.h5");
  const auto store = read_profiles(dir / "p.h5");
  ASSERT_EQ(store.profiles.size(), 1u);
  const auto expected = to_profile(read_run_log(dir / "example.log"));
  EXPECT_EQ(store.profiles[0].modes, expected.modes);
  EXPECT_EQ(store.profiles[0].attributes, expected.attributes);
  EXPECT_EQ(store.devices.at("board-1.5"), example_header().device_attributes);
  const auto bytes = read_text(dir / "p.h5");
  fold(dir / "example.log", dir / "p.h5");
  EXPECT_EQ(read_text(dir / "p.h5"), bytes);
}

TEST(RunFold, KeepsOtherWorkloadsAndRowsThatTheLogLacks) {
  const TempDir dir;
  auto old = example_profile();
  old.attributes.dataset = "CIFAR-10";
  auto other_device = example_profile();
  other_device.device = "another";
  ProfileStore store;
  store.devices["board-1.5"] = {{"cooling", "fan"}};
  store.profiles = {other_device, old, example_profile("vgg")};
  write_profiles(dir / "p.h5", store);
  example_log(dir);
  fold(dir / "example.log", dir / "p.h5");

  const auto read = read_profiles(dir / "p.h5");
  ASSERT_EQ(read.profiles.size(), 3u);
  expect_equal(*read.find("another", "resnet18"), other_device);
  expect_equal(*read.find("board-1.5", "vgg"), example_profile("vgg"));
  EXPECT_EQ(read.devices.at("board-1.5").at("cooling"), "fan");
  EXPECT_EQ(read.devices.at("board-1.5").at("board"), "A board");
  const auto& profile = *read.find("board-1.5", "resnet18");
  EXPECT_EQ(profile.attributes.dataset, "CIFAR-10");
  EXPECT_EQ(profile.attributes.flops, example_header().attributes.flops);
  ASSERT_EQ(profile.modes, old.modes);
  EXPECT_EQ(profile.measurements[0].time_ms, 12.25);
  EXPECT_EQ(profile.measurements[0].repeats, 10);
  EXPECT_TRUE(std::isnan(profile.measurements[1].power_w));
  for (const std::size_t kept : {2, 4, 5}) {
    EXPECT_EQ(profile.measurements[kept].time_ms, old.measurements[kept].time_ms);
    EXPECT_TRUE(std::isnan(profile.time_std_ms[kept]));
  }
}

TEST(RunFold, WhatDoesNotFitIsRefusedAndKnownBefore) {
  const TempDir dir;
  ProfileStore store;
  store.devices["board-1.5"] = {{"board", "A board"}};
  store.profiles = {example_profile()};
  write_profiles(dir / "p.h5", store);
  const auto bytes = read_text(dir / "p.h5");
  check_fold(example_header(), dir / "p.h5");
  check_fold(example_header(), dir / "none.h5");
  EXPECT_FALSE(std::filesystem::exists(dir / "none.h5"));
  const auto expect_refused = [&](std::initializer_list<std::string> what, auto change) {
    auto header = example_header();
    change(header);
    expect_data_error([&] { check_fold(header, dir / "p.h5"); }, what);
    expect_data_error([&] { fold(RunRecords{"a.log", header, example_records(), 0}, dir / "p.h5"); }, what);
    EXPECT_EQ(read_text(dir / "p.h5"), bytes);
  };
  expect_refused({dir / "p.h5", "board-1.5/resnet18", "time_of", "'minibatch' and 'epoch'"},
                 [](auto& h) { h.attributes.time_of = datasets::TimeOf::epoch; });
  expect_refused({"batch_size", "'16' and '32'"}, [](auto& h) { h.attributes.batch_size = 32; });
  expect_refused({"device board-1.5", "board differs: 'A board' and 'B'"},
                 [](auto& h) { h.device_attributes["board"] = "B"; });
  write_text(dir / "p.h5", "no HDF5");
  expect_data_error([&] { check_fold(example_header(), dir / "p.h5"); }, {dir / "p.h5"});
}

Profile with_modes(std::vector<hw::Knob> knobs, const std::vector<hw::PowerMode>& modes, bool is_list) {
  auto profile = example_profile();
  profile.space =
      std::make_shared<const hw::PowerModeSpace>(is_list ? hw::PowerModeSpace::list(std::move(knobs), modes)
                                                         : hw::PowerModeSpace::grid(std::move(knobs)));
  profile.modes = modes;
  profile.measurements.assign(modes.size(), {2, 5, 1, false});
  return profile;
}

ProfileStore store_of(const Profile& profile) {
  ProfileStore store;
  store.profiles = {profile};
  return store;
}

TEST(RunMerge, TwoRunsBecomeOneProfile) {
  auto a = example_profile(), b = example_profile();
  a.modes.pop_back();
  a.measurements.pop_back();
  b.modes.erase(b.modes.begin());
  b.measurements.erase(b.measurements.begin());
  a.attributes.layers = 18;
  b.attributes.model = "ResNet-18";
  const auto both = a.modes[2];
  a.measurements[2] = {1, kNan, 1, false};
  b.measurements[1] = {4, 6, 2, true};
  ASSERT_EQ(b.modes[1], both);
  const auto merged = merge_profiles(store_of(a), store_of(b), "a + b");
  ASSERT_EQ(merged.profiles.size(), 1u);
  const auto& profile = merged.profiles[0];
  EXPECT_EQ(profile.modes, example_profile().modes);
  EXPECT_EQ(*profile.space, *a.space);
  EXPECT_EQ(profile.attributes.layers, 18);
  EXPECT_EQ(profile.attributes.model, "ResNet-18");
  const auto& measured = profile.measurements[row_of(profile, both)];
  EXPECT_DOUBLE_EQ(measured.time_ms, 3);
  EXPECT_EQ(measured.power_w, 6);
  EXPECT_EQ(measured.repeats, 3);
  EXPECT_TRUE(measured.throttled);
  EXPECT_EQ(profile.measurements.front().time_ms, example_profile().measurements.front().time_ms);
  EXPECT_EQ(profile.measurements.back().time_ms, example_profile().measurements.back().time_ms);
}

TEST(RunMerge, ProfilesOfOneSideAreKept) {
  ProfileStore a = store_of(example_profile("vgg")), b = store_of(example_profile("bert"));
  a.devices["board-1.5"] = {{"board", "A board"}};
  b.devices["board-1.5"] = {{"jetpack", "6"}};
  b.devices["other"] = {};
  const auto merged = merge_profiles(a, b, "a + b");
  ASSERT_EQ(merged.profiles.size(), 2u);
  expect_equal(merged.profiles[0], example_profile("bert"));
  expect_equal(merged.profiles[1], example_profile("vgg"));
  EXPECT_EQ(merged.devices.size(), 2u);
  EXPECT_EQ(merged.devices.at("board-1.5"),
            (datasets::DeviceAttributes{{"board", "A board"}, {"jetpack", "6"}}));
}

TEST(RunMerge, LevelsAreUnited) {
  const auto gpu = [](std::vector<int> levels) {
    return std::vector<hw::Knob>{{hw::KnobRole::mem_khz, {7}}, {hw::KnobRole::gpu_khz, std::move(levels)}};
  };
  const auto grid = with_modes(gpu({1, 3}), {{7, 1}}, false);
  const auto other_grid = with_modes(gpu({2, 3}), {{7, 2}}, false);
  const auto list = with_modes(gpu({2, 3, 4}), {{7, 2}, {7, 4}}, true);
  const auto grids = merge_profiles(store_of(grid), store_of(other_grid), "x").profiles.at(0);
  EXPECT_EQ(*grids.space, hw::PowerModeSpace::grid(gpu({1, 2, 3})));
  EXPECT_EQ(grids.modes, (std::vector<hw::PowerMode>{{7, 1}, {7, 2}}));
  for (const auto& mixed : {merge_profiles(store_of(grid), store_of(list), "x").profiles.at(0),
                            merge_profiles(store_of(list), store_of(grid), "x").profiles.at(0)}) {
    EXPECT_EQ(*mixed.space, hw::PowerModeSpace::list(gpu({1, 2, 3, 4}), {{7, 1}, {7, 2}, {7, 3}, {7, 4}}));
    EXPECT_EQ(mixed.modes, (std::vector<hw::PowerMode>{{7, 1}, {7, 2}, {7, 4}}));
  }
}

TEST(RunMerge, WhatDiffersIsNamed) {
  const auto expect_refused = [](std::initializer_list<std::string> what, auto change) {
    auto a = store_of(example_profile()), b = a;
    a.devices["board-1.5"]["rails"] = "VDD_IN";
    change(b);
    expect_data_error([&] { merge_profiles(a, b, "a + b"); }, what);
  };
  expect_refused({"a + b: profile board-1.5/resnet18: time_of differs: 'minibatch' and 'epoch'"},
                 [](auto& b) { b.profiles[0].attributes.time_of = datasets::TimeOf::epoch; });
  expect_refused({"kind differs"},
                 [](auto& b) { b.profiles[0].attributes.kind = datasets::WorkloadKind::non_dnn; });
  expect_refused({"source differs: 'somebody' and 'me'"},
                 [](auto& b) { b.profiles[0].attributes.source = "me"; });
  expect_refused({"batch_size differs: '16' and '32'"},
                 [](auto& b) { b.profiles[0].attributes.batch_size = 32; });
  expect_refused({"device board-1.5: rails differs: 'VDD_IN' and 'VDD_CPU'"},
                 [](auto& b) { b.devices["board-1.5"]["rails"] = "VDD_CPU"; });
  expect_refused(
      {"board-1.5/resnet18: knobs differs: 'mem_khz, gpu_khz' and 'gpu_khz, mem_khz'"}, [](auto& b) {
        b.profiles[0] = with_modes({{hw::KnobRole::gpu_khz, {306000}}, {hw::KnobRole::mem_khz, {1}}},
                                   {{306000, 1}}, false);
      });
  auto a = example_profile(), b = example_profile();
  a.time_true_ms = b.time_true_ms = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(merge_profiles(store_of(a), store_of(b), "x").profiles[0].time_true_ms, a.time_true_ms);
  b.time_true_ms[1] = 9;
  expect_data_error([&] { merge_profiles(store_of(a), store_of(b), "x"); },
                    {"mem_khz=204000 gpu_khz=612000", "true value differs: '2' and '9'"});
  auto untimed = example_profile();
  untimed.modes = {untimed.modes[1]};
  untimed.measurements = {{kNan, 5, 1, false}};
  auto timed = untimed;
  timed.modes = {example_profile().modes[2]};
  timed.measurements = {{3, 5, 1, false}};
  expect_data_error([&] { merge_profiles(store_of(untimed), store_of(timed), "x"); },
                    {"x: profile board-1.5/resnet18", "time_ms is NaN for some modes"});
}

}  // namespace merge_test
}  // namespace fewwatt::tests
