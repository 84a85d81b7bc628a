#include "hw/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace fewwatt::hw {
namespace {

TEST(Text, JoinsStringsAndNumbers) {
  EXPECT_EQ(join(std::vector<std::string>{}), "");
  EXPECT_EQ(join(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(join(std::set<std::string>{"b", "a"}), "a, b");
  EXPECT_EQ(join(std::array<std::string_view, 2>{"a", "b"}, " "), "a b");
  EXPECT_EQ(join(std::vector{1, -2, 3}, ","), "1,-2,3");
  EXPECT_EQ(
      join(std::vector{1, 2}, " and ", [](int n) { return std::string(static_cast<std::size_t>(n), 'x'); }),
      "x and xx");
}

TEST(Text, EmptyPiecesKeepTheirSeparators) {
  EXPECT_EQ(join(std::vector<std::string>{"", ""}), ", ");
  EXPECT_EQ(join(std::vector<std::string>{"", "b"}, ";"), ";b");
}

TEST(Text, SplitIsTheReverse) {
  for (const std::string text : {"", ",", "a", "a,", ",a", "a,b,,c"})
    EXPECT_EQ(join(split(text, ','), ","), text);
  EXPECT_EQ(split("", ',').size(), 1u);
  EXPECT_EQ(split("a b", ' '), (std::vector<std::string_view>{"a", "b"}));
}

TEST(Text, AnyLineEndBecomesOne) {
  EXPECT_EQ(with_plain_line_ends("a\nb\r\nc\rd\r\r\n"), "a\nb\nc\nd\n\n");
  EXPECT_EQ(with_plain_line_ends(""), "");
}

}  // namespace
}  // namespace fewwatt::hw
