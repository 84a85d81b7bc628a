#include "hw/attempt.hpp"

#include <gtest/gtest.h>

#include <set>

namespace fewwatt::hw {
namespace attempt_test {

TEST(AttemptStatus, EachHasANameOfItsOwnThatIsReadBack) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(AttemptStatus::program_ended); ++i) {
    const auto status = static_cast<AttemptStatus>(i);
    EXPECT_EQ(parse_attempt_status(to_string(status)), status);
    EXPECT_TRUE(names.insert(to_string(status)).second) << to_string(status);
  }
  EXPECT_FALSE(parse_attempt_status("fine"));
  EXPECT_FALSE(parse_attempt_status(""));
}

TEST(AttemptStatus, WhatEndedFromOutsideSaysNothingOfTheMode) {
  EXPECT_TRUE(is_of_the_mode(AttemptStatus::ok));
  EXPECT_TRUE(is_of_the_mode(AttemptStatus::device_error));
  EXPECT_FALSE(is_of_the_mode(AttemptStatus::interrupted));
  EXPECT_FALSE(is_of_the_mode(AttemptStatus::program_ended));
}

}  // namespace attempt_test
}  // namespace fewwatt::hw
