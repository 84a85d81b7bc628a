#include "datasets/ini.hpp"

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace ini_test {

datasets::IniFile read(const std::string& text) {
  const TempDir dir;
  write_text(dir / "t.ini", text);
  return datasets::read_ini(dir / "t.ini");
}

void expect_refused(const std::string& text, std::initializer_list<std::string> fragments) {
  expect_data_error([&] { read(text); }, fragments);
}

TEST(Ini, SectionsAndKeysKeepTheirOrder) {
  const auto file = read("; comment\n# another\n[z *.x]\nb = 1 = 2\na =\n\n[a]\nk = \"x y\" [kHz]\n");
  ASSERT_EQ(file.sections.size(), 2u);
  EXPECT_EQ(file.sections[0].name, "z *.x");
  ASSERT_EQ(file.sections[0].entries.size(), 2u);
  EXPECT_EQ(file.sections[0].entries[0], (std::pair<std::string, std::string>("b", "1 = 2")));
  EXPECT_EQ(file.sections[0].text("a"), "");
  EXPECT_EQ(file.section("a").text("k"), "\"x y\" [kHz]");
  EXPECT_EQ(file.find("b"), nullptr);
}

TEST(Ini, WindowsLineEndsAndByteOrderMarkAreAccepted) {
  EXPECT_EQ(read("\xEF\xBB\xBF[a]\r\nb = c\r\n").section("a").text("b"), "c");
}

TEST(Ini, LinesMayEndAsOnOldMacs) {
  EXPECT_EQ(read("[a]\rx = 1\r; said\r[b]\ry = 2\r").sections.size(), 2u);
}

TEST(Ini, AFileHasSomeSize) {
  expect_refused(std::string((4 << 20) + 1, '\n'), {"t.ini", "larger than 4 MB"});
}

TEST(Ini, NumbersAndDefaults) {
  const auto file = read("[a]\nx = 2.5\ny = two\n");
  const auto& section = file.section("a");
  EXPECT_EQ(section.number("x"), 2.5);
  EXPECT_EQ(section.number_or("z", 7), 7);
  EXPECT_EQ(section.text_or("z", "no"), "no");
  expect_data_error([&] { (void)section.number("y"); }, {"t.ini", "[a]", "y", "'two'"});
  expect_data_error([&] { (void)section.text("z"); }, {"t.ini", "[a]", "'z'"});
  expect_data_error([&] { (void)file.section("b"); }, {"t.ini", "[b]"});
}

TEST(Ini, UnknownKeysAreNamedWithTheKnownOnes) {
  const auto file = read("[a]\nx = 1\ntypo = 2\n");
  file.section("a").check_keys({"x", "typo"});
  expect_data_error(
      [&] {
        file.section("a").check_keys({"x", "type"});
      },
      {"t.ini", "[a]", "'typo'", "x, type"});
}

TEST(Ini, BadLinesAreNamed) {
  expect_refused("[a]\nx = 1\nx = 2\n", {"t.ini:3", "duplicate key"});
  expect_refused("[a]\nx = 1\n[a]\ny = 2\n", {"t.ini:3", "duplicate section"});
  expect_refused("[a]\nnonsense\n", {"t.ini:2"});
  expect_refused("[a\nx = 1\n", {"t.ini:1"});
  expect_refused("x = 1\n[a]\ny = 1\n", {"t.ini", "'x'", "before the first section"});
  expect_data_error([] { datasets::read_ini("/no/such.ini"); }, {"/no/such.ini", "No such file"});
}

}  // namespace ini_test
}  // namespace fewwatt::tests
