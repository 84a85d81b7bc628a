#include "tasks/task.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace task_test {

using tests::kUnknown;
using tests::made_up_profile;

void expect_error(const Samples& samples, const std::string& part) {
  try {
    samples.check();
    FAIL() << "no error; expected " << part;
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

Samples three_rows() {
  const std::vector<std::size_t> rows = {4, 0, 7};
  return samples_of(made_up_profile("board-a", "bert"), rows);
}

TEST(Samples, OfAProfileHoldEveryRow) {
  const auto profile = made_up_profile("board-a", "bert");
  const auto samples = samples_of(profile);
  ASSERT_EQ(samples.size(), profile.modes.size());
  EXPECT_EQ(samples.modes, profile.modes);
  EXPECT_EQ(samples.space, profile.space);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(samples.targets(static_cast<Eigen::Index>(i), kTimeMs), profile.measurements[i].time_ms);
    EXPECT_EQ(samples.targets(static_cast<Eigen::Index>(i), kPowerW), profile.measurements[i].power_w);
  }
  EXPECT_NO_THROW(samples.check());
}

TEST(Samples, SubsetKeepsTheOrderAskedFor) {
  const auto profile = made_up_profile("board-a", "bert");
  const std::vector<std::size_t> rows = {4, 0, 7};
  const auto subset = samples_of(profile).subset(rows), direct = samples_of(profile, rows);
  EXPECT_EQ(subset.modes, (std::vector<hw::PowerMode>{profile.modes[4], profile.modes[0], profile.modes[7]}));
  EXPECT_EQ(subset.modes, direct.modes);
  EXPECT_EQ(subset.targets, direct.targets);
  EXPECT_EQ(subset.space, profile.space);
  EXPECT_EQ(samples_of(profile).subset({}).size(), 0u);
}

TEST(Samples, HaveATargetWithAtLeastOneKnownValue) {
  auto samples = three_rows();
  EXPECT_TRUE(samples.has(kTimeMs));
  EXPECT_TRUE(samples.has(kPowerW));
  samples.targets.col(kPowerW) << kUnknown, kUnknown, 5.0;
  EXPECT_TRUE(samples.has(kPowerW));
  samples.targets.col(kPowerW).setConstant(kUnknown);
  EXPECT_FALSE(samples.has(kPowerW));
  EXPECT_FALSE(Samples{}.has(kTimeMs));
}

TEST(Samples, UnknownValuesPassTheCheck) {
  auto samples = three_rows();
  samples.targets.col(kPowerW).setConstant(kUnknown);
  EXPECT_NO_THROW(samples.check());
}

TEST(Samples, MayHaveNoRowsButASpace) {
  EXPECT_NO_THROW((Samples{tests::made_up_profile("a", "b").space, {}, Matrix(0, 2)}.check()));
  expect_error({}, "space");
}

TEST(Samples, SayWhatIsStatedOfTheWorkload) {
  auto profile = tests::made_up_profile("a", "b");
  profile.attributes.flops = 2e9;
  auto samples = samples_of(profile);
  EXPECT_EQ(samples.characteristics.flops, 2e9);
  EXPECT_EQ(samples.characteristics.layers, std::nullopt);
  const std::size_t first = 0;
  EXPECT_EQ(samples.subset({&first, 1}).characteristics, samples.characteristics);
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    samples.characteristics.flops = bad;
    expect_error(samples, "flops must be positive");
  }
}

TEST(Samples, BadTargetShapeIsRefused) {
  auto samples = three_rows();
  samples.targets.resize(2, 2);
  expect_error(samples, "[2,2]");
}

TEST(Samples, ModeOffTheGridIsRefusedNamingTheRow) {
  auto samples = three_rows();
  samples.modes[1][0] = 400001;
  expect_error(samples, "row 1: no mode of the device: cpu_khz=400001");
}

TEST(Samples, SameModeTwiceIsRefusedNamingBothRows) {
  auto samples = three_rows();
  samples.modes[2] = samples.modes[0];
  expect_error(samples, "row 2: same mode as row 0");
}

TEST(Samples, BadValuesAreRefusedNamingRowAndTarget) {
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    auto samples = three_rows();
    samples.targets(1, kTimeMs) = bad;
    expect_error(samples, "row 1: time");
    samples = three_rows();
    samples.targets(2, kPowerW) = bad;
    expect_error(samples, "row 2: power");
  }
}

}  // namespace task_test
}  // namespace fewwatt::tasks
