#include "hw/numbers.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace fewwatt::hw {
namespace numbers_test {

TEST(Numbers, AWholeNumberIsAllOfItsText) {
  EXPECT_EQ(whole_number("0"), 0);
  EXPECT_EQ(whole_number("-12"), -12);
  EXPECT_EQ(whole_number("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "1e3", "0x10", "9223372036854775808", "nan", "-"})
    EXPECT_FALSE(whole_number(text)) << text;
}

TEST(Numbers, AWholeNumberOutOfBoundsIsNone) {
  EXPECT_EQ(whole_number("4", 4, 8), 4);
  EXPECT_EQ(whole_number("8", 4, 8), 8);
  EXPECT_FALSE(whole_number("3", 4, 8));
  EXPECT_FALSE(whole_number("9", 4, 8));
  EXPECT_FALSE(whole_number("4294967300", 1, 2147483647));  // 4 in 32 bits
}

TEST(Numbers, AnIntIsNeverCutOff) {
  EXPECT_EQ(whole_int("-2147483648"), std::numeric_limits<int>::min());
  EXPECT_EQ(whole_int("2147483647"), std::numeric_limits<int>::max());
  EXPECT_EQ(whole_int("7", 7, 7), 7);
  for (const char* text :
       {"2147483648", "-2147483649", "4294967296", "99999999999999999999", "", "7.0", " 7"})
    EXPECT_FALSE(whole_int(text)) << text;
  EXPECT_FALSE(whole_int("-1", 0));
}

TEST(Numbers, ANaturalNumberHasNoSign) {
  EXPECT_EQ(natural_number("0"), 0U);
  EXPECT_EQ(natural_number("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  for (const char* text : {"18446744073709551616", "-1", "+1", "-0", "", "1e3"})
    EXPECT_FALSE(natural_number(text)) << text;
  EXPECT_FALSE(natural_number("9", 8));
}

TEST(Numbers, ARealNumberIsFinite) {
  EXPECT_EQ(real_number("-2.5e3"), -2500);
  EXPECT_EQ(real_number("7"), 7);
  for (const char* text : {"", "nan", "inf", "-inf", "1e999", "1,5", "1.5W", " 1"})
    EXPECT_FALSE(real_number(text)) << text;
  EXPECT_FALSE(real_number("-1", 0));
  EXPECT_FALSE(real_number("2", 0, 1));
}

TEST(Numbers, OnlyWholeDoublesInBoundsAreInts) {
  EXPECT_EQ(as_int(3.0), 3);
  EXPECT_EQ(as_int(-2147483648.0), std::numeric_limits<int>::min());
  EXPECT_EQ(as_int(2147483647.0), std::numeric_limits<int>::max());
  for (const double value : {2147483648.0, -2147483649.0, 0.5, 1e300, std::nan(""), HUGE_VAL, -HUGE_VAL})
    EXPECT_FALSE(as_int(value)) << value;
  EXPECT_FALSE(as_int(0.0, 1));
  EXPECT_FALSE(as_int(9.0, 1, 8));
  EXPECT_FALSE(as_int(std::int64_t{4294967300}));
  EXPECT_EQ(as_int(std::int64_t{7}, 0, 7), 7);
}

TEST(Numbers, TheTextOfANumberIsShortAndReadsBack) {
  for (const auto& [value, text] : {std::pair(2.2, "2.2"),
                                    {0.1 + 0.2, "0.30000000000000004"},
                                    {1e-6, "1e-06"},
                                    {-5.0, "-5"},
                                    {0.0, "0"}}) {
    EXPECT_EQ(number_text(value), text);
    EXPECT_EQ(real_number(number_text(value)), value);
  }
}

}  // namespace numbers_test
}  // namespace fewwatt::hw
