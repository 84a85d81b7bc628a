#include "datasets/units.hpp"

#include <gtest/gtest.h>

namespace fewwatt::tests {
namespace units_test {

using datasets::find_unit;

double between(const char* from, const char* to) {
  return datasets::scale_between(*find_unit(from), *find_unit(to)).value_or(0);
}

TEST(Units, FactorsBetweenOftenUsedOnesAreExact) {
  EXPECT_EQ(between("s", "ms"), 1000);
  EXPECT_EQ(between("h", "min"), 60);
  EXPECT_EQ(between("GHz", "kHz"), 1e6);
  EXPECT_EQ(between("Hz", "kHz"), 1e-3);
  EXPECT_EQ(between("W", "mW"), 1000);
  EXPECT_EQ(between("Wh", "J"), 3600);
  EXPECT_EQ(between("fps", "Hz"), 1);
  EXPECT_EQ(between("s", "W"), 0) << "they measure different things";
}

TEST(Units, ProductsAndQuotientsFollowPhysics) {
  const auto& [joule, second, volt, ampere, watt] =
      std::tuple(*find_unit("J"), *find_unit("s"), *find_unit("mV"), *find_unit("mA"), *find_unit("W"));
  EXPECT_EQ(joule.dimension - second.dimension, watt.dimension);
  EXPECT_DOUBLE_EQ(joule.scale / second.scale, watt.scale);
  EXPECT_EQ(volt.dimension + ampere.dimension, watt.dimension);
  EXPECT_DOUBLE_EQ(volt.scale * ampere.scale * 1e6, watt.scale);
  EXPECT_EQ(find_unit("count")->dimension - find_unit("fps")->dimension, second.dimension);
}

TEST(Units, AreKnownAsPeopleWriteThem) {
  for (const auto& [written, name] : {std::pair{"mhz", "MHz"},
                                      {"KHz", "kHz"},
                                      {"sec", "s"},
                                      {"Seconds", "s"},
                                      {"msec", "ms"},
                                      {"Watt", "W"},
                                      {"mw", "mW"},
                                      {"\u00b5s", "us"},
                                      {"\u03bcW", "uW"},
                                      {"w", "W"}})
    EXPECT_EQ(find_unit(written), find_unit(name)) << written;
  for (const char* name : {"MW", "MJ", "mph", "", "hertz per second"})
    EXPECT_EQ(find_unit(name), nullptr) << name;
}

TEST(Units, BracketsEndAName) {
  EXPECT_EQ(datasets::unit_in_brackets("power (mW)"), find_unit("mW"));
  EXPECT_EQ(datasets::unit_in_brackets("gpu[MHz]"), find_unit("MHz"));
  for (const char* name : {"power", "power mW", "f(x)", "(mW) power", "power (mW", ""})
    EXPECT_EQ(datasets::unit_in_brackets(name), nullptr) << name;
  EXPECT_EQ(datasets::without_unit("power (mW)"), "power");
  EXPECT_EQ(datasets::without_unit("f(x)"), "f(x)");
}

}  // namespace units_test
}  // namespace fewwatt::tests
