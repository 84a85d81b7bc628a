#include "hw/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fewwatt::hw {
namespace text_test {

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

TEST(Text, EditsAreCounted) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("adpat", "adapt"), 1u);  // two neighbours swapped
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("abc", "cba"), 2u);
  for (const auto& [a, b] : {std::pair("optimize", "optimise"), {"gp", "rp"}, {"profile", "profiles"}}) {
    EXPECT_EQ(edit_distance(a, b), 1u) << a;
    EXPECT_EQ(edit_distance(b, a), 1u) << b;
  }
}

TEST(Text, TheNearestNamesComeFirst) {
  const std::vector<std::string> names = {"kitten", "sitting", "mitten"};
  EXPECT_EQ(nearest_names("mittens", names, 2), (std::vector<std::string>{"mitten", "kitten"}));
  EXPECT_EQ(nearest_names("", names).size(), 3u);
  EXPECT_TRUE(nearest_names("a", {}).empty());
}

TEST(Text, AMisspeltNameIsMeantByWhoeverTypedIt) {
  const std::vector<std::string> verbs = {"device",  "meta-train", "adapt", "optimize",
                                          "profile", "gp",         "maml"};
  for (const auto& [typed, meant] : {std::pair("adpat", "adapt"),
                                     {"optimise", "optimize"},
                                     {"Meta_Train", "meta-train"},
                                     {"profiel", "profile"},
                                     {"gpp", "gp"},
                                     {"mamal", "maml"},
                                     {"opt", "optimize"},  // its beginning, of no other
                                     {"meta", "meta-train"},
                                     {"GP", "gp"}})
    EXPECT_EQ(meant_name(typed, verbs), meant) << typed;
}

TEST(Text, AnythingElseIsMeantToBeNothing) {
  const std::vector<std::string> known = {"max-power-w", "max-time-ms", "gp", "adapt"};
  for (const char* typed : {"", "x", "xy", "frobnicate", "max"})  // max: the beginning of two
    EXPECT_EQ(meant_name(typed, known), "") << typed;
  EXPECT_EQ(meant_name(std::string(1 << 20, 'a'), known), "");
  EXPECT_EQ(meant_name("adapt", {}), "");
}

TEST(Text, AMessageSaysWhatWasMeant) {
  EXPECT_EQ(did_you_mean("adpat", std::array{"adapt", "predict"}), "; did you mean adapt?");
  EXPECT_EQ(did_you_mean("frobnicate", std::array{"adapt", "predict"}), "");
  const std::vector<std::pair<int, std::string>> numbered = {{1, "ridge"}, {2, "proto"}};
  EXPECT_EQ(did_you_mean("rigde", numbered, &std::pair<int, std::string>::second), "; did you mean ridge?");
}

}  // namespace text_test
}  // namespace fewwatt::hw
