#include "hw/printable.hpp"

#include <gtest/gtest.h>

#include "hw/counted.hpp"

namespace fewwatt::tests {
namespace printable_test {

using hw::is_utf8;
using hw::printable;
using hw::printable_lines;

TEST(Printable, PlainTextStays) {
  EXPECT_EQ(printable("/profiles/größer: 30 µs ≤ 1 日本 🙂 \\ \"'"),
            "/profiles/größer: 30 µs ≤ 1 日本 🙂 \\ \"'");
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, WhatActsOnATerminalIsEscaped) {
  EXPECT_EQ(printable("\x1b]0;title\x07 \x1b[2J"), "\\x1b]0;title\\x07 \\x1b[2J");
  EXPECT_EQ(printable("a\nb\tc\r\x7f"), "a\\nb\\tc\\x0d\\x7f");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\u009b2J");  // the control sequence introducer as one character
  EXPECT_EQ(printable("user\u202etxt.exe"), "user\\u202etxt.exe");
  EXPECT_EQ(printable("\u2066\u2028"), "\\u2066\\u2028");
}

TEST(Printable, LinesMayStay) {
  EXPECT_EQ(printable_lines("one\n\x1btwo\n"), "one\n\\x1btwo\n");
}

TEST(Printable, WhatIsNoUtf8IsEscapedByteByByte) {
  EXPECT_EQ(printable("gr\xf6\xdf"), "gr\\xf6\\xdf");
  EXPECT_EQ(printable("\xc3"), "\\xc3");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
}

TEST(Counted, OneIsNotMany) {
  EXPECT_EQ(hw::counted(1, "setting"), "1 setting");
  EXPECT_EQ(hw::counted(0, "mode"), "0 modes");
  EXPECT_EQ(hw::counted(12, "cut or torn line"), "12 cut or torn lines");
}

TEST(Printable, Utf8IsAsTheStandardSays) {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << printable(good);
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3"})
    EXPECT_FALSE(is_utf8(bad)) << printable(bad);
}

}  // namespace printable_test
}  // namespace fewwatt::tests
