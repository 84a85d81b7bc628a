#include "learners/encode.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace fewwatt::learners {
namespace encode_test {

using hw::KnobRole;

TEST(Encode, PhysicalFeaturesAreLinearInverseLogAndTheCoreClockProduct) {
  const auto space =
      hw::PowerModeSpace::grid({{KnobRole::cpu_cores, {1, 2, 4}}, {KnobRole::cpu_khz, {500, 1000}}});
  const std::vector<hw::PowerMode> modes = {{1, 1000}, {4, 500}};
  const Matrix f = encode(FeatureSet::physical, space, modes);
  ASSERT_EQ(f.cols(), 7);
  const double expected[2][7] = {{0.25, 1, 4, 1, std::log(0.25), 0, 4}, {1, 0.5, 1, 2, 0, std::log(0.5), 2}};
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 7; ++j) EXPECT_DOUBLE_EQ(f(i, j), expected[i][j]) << i << ',' << j;
  }
}

TEST(Encode, WithoutCoresThereIsNoProduct) {
  const auto space =
      hw::PowerModeSpace::grid({{KnobRole::power_limit_mw, {100, 200}}, {KnobRole::gpu_khz, {5, 10}}});
  EXPECT_EQ(encode(FeatureSet::physical, space, space.modes()).cols(), 6);
  EXPECT_EQ(encode(FeatureSet::raw, space, space.modes()).cols(), 2);
}

TEST(Encode, DependsOnSharesOfTheMaximumOnly) {
  const auto a = hw::PowerModeSpace::grid({{KnobRole::gpu_khz, {250, 500, 1000}}});
  const auto b = hw::PowerModeSpace::grid({{KnobRole::gpu_khz, {500, 1000, 2000}}});
  EXPECT_EQ(encode(FeatureSet::physical, a, a.modes()), encode(FeatureSet::physical, b, b.modes()));
}

TEST(Scaler, StandardisesAndMapsConstantColumnsToZero) {
  Matrix rows(4, 2);
  rows << 1, 7, 2, 7, 3, 7, 4, 7;
  const Matrix z = Scaler::fit(rows)(rows);
  EXPECT_NEAR(z.col(0).mean(), 0, 1e-12);
  EXPECT_NEAR(z.col(0).squaredNorm() / 4, 1, 1e-12);
  EXPECT_EQ(z.col(1).norm(), 0);
  EXPECT_THROW(Scaler::fit(rows)(rows.leftCols(1)), std::invalid_argument);
}

TEST(Roles, AMismatchNamesBothSides) {
  const auto space = hw::PowerModeSpace::grid({{KnobRole::gpu_khz, {1, 2}}, {KnobRole::mem_khz, {3}}});
  EXPECT_EQ(roles_text(space), "gpu_khz mem_khz");
  EXPECT_NO_THROW(check_roles("fine_tune", "gpu_khz mem_khz", space));
  try {
    check_roles("fine_tune", "power_limit_mw gpu_khz", space);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("power_limit_mw gpu_khz"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("gpu_khz mem_khz"), std::string::npos);
  }
}

}  // namespace encode_test
}  // namespace fewwatt::learners
