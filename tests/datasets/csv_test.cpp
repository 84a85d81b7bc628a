#include "datasets/csv.hpp"

#include <algorithm>
#include <cmath>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace csv_test {

using datasets::CsvTable;
using datasets::DecimalSign;

CsvTable read(const std::string& text, DecimalSign decimal = DecimalSign::unsaid) {
  const TempDir dir;
  write_text(dir / "t.csv", text);
  return datasets::read_csv(dir / "t.csv", decimal);
}

void expect_refused(const std::string& text, std::initializer_list<std::string> fragments) {
  expect_data_error([&] { read(text); }, fragments);
}

TEST(Csv, RowsAndColumns) {
  const auto table = read("a,b\n1,x\n2,y\n");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1][table.column("b")], "y");
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{2, 3}));
}

TEST(Csv, QuotesFollowRfc4180) {
  const auto table = read("\"a, or b\",c\n\"x \"\"y\"\"\",\"two\nlines\"\n3,4\n");
  EXPECT_EQ(table.header[0], "a, or b");
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"x \"y\"", "two\nlines"}));
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{2, 4}));
}

TEST(Csv, SemicolonsAndTabsSeparateWhereTheHeaderHasThem) {
  const auto semicolons = read("\"a,b\";c\n\"1;2\";3\n");
  EXPECT_EQ(semicolons.header, (std::vector<std::string>{"a,b", "c"}));
  EXPECT_EQ(semicolons.rows[0], (std::vector<std::string>{"1;2", "3"}));
  EXPECT_EQ(read("a\tb\n1\t2\n").rows[0], (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(read("a|b\n1|2\n").rows[0], (std::vector<std::string>{"1", "2"}));
}

TEST(Csv, WindowsLineEndsAndByteOrderMarkAreAccepted) {
  const auto table = read(
      "\xEF\xBB\xBF"
      "a,b\r\n1,\"2\"\r\n\r\n3,4");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0][1], "2");
  EXPECT_EQ(table.rows[1][1], "4");
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{2, 4}));
}

TEST(Csv, ABadFileIsNamedWithItsLine) {
  expect_refused("", {"t.csv", "empty"});
  expect_refused("\n\n", {"t.csv", "empty"});
  expect_refused("a,b\n", {"t.csv", "no row"});
  expect_refused("a,b\n1,2\n3\n", {"t.csv:3", "expected 2 fields", "found 1"});
  expect_refused("a,b\n1,2,3\n", {"t.csv:2", "found 3"});
  expect_refused("a,b\n1,2\n\"3,4\n", {"t.csv:3", "quote"});
  expect_refused("a,b\n\"1\"x,2\n", {"t.csv:2", "quote"});
  expect_data_error([] { datasets::read_csv("/no/such.csv"); }, {"/no/such.csv", "No such file"});
}

TEST(Csv, AMissingColumnIsNamedWithThoseThereAre) {
  const auto table = read("a,b,b\n1,2,3\n");
  expect_data_error([&] { (void)table.column("c"); }, {"t.csv", "'c'", "a, b, b"});
  expect_data_error([&] { (void)table.column("b"); }, {"t.csv", "more than one", "'b'"});
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Each would take minutes where a cell's end is looked for beyond its line, or a line's beyond the cell.
TEST(Csv, LongLinesAndLongColumnsAreReadAtOnce) {
  EXPECT_EQ(read(repeated("a,", 300'000) + "\n" + repeated("1,", 300'000) + "\n").header.size(), 300'001U);
  EXPECT_EQ(read("a\n" + repeated("1\n", 500'000)).rows.size(), 500'000U);
  EXPECT_EQ(read("a\r" + repeated("1\r", 500'000)).rows.size(), 500'000U);
  EXPECT_EQ(read("a;b\n" + repeated("\"1\n\";2\n", 200'000)).rows.size(), 200'000U);
}

TEST(Csv, MoreCellsThanMemoryShouldHoldAreRefused) {
  expect_refused("a\n" + std::string(6'000'001, ','), {"t.csv:2", "6000000 cells"});
  expect_refused("a,b\n" + repeated(",\n", 3'000'001), {"t.csv:3000001", "6000000 cells"});
}

TEST(Csv, AMissingColumnIsNamedWithSomeOfVeryMany) {
  const auto table = read(repeated("a,", 200) + "z\n" + repeated("1,", 200) + "1\n");
  expect_data_error([&] { (void)table.column("b"); }, {"no column 'b'", "a, a", "and 151 more"});
}

TEST(Csv, NumbersAreWholeCells) {
  const auto table = read("a,b\n 1.5e3 ,\n-2,inf\n12ms,+4.\n1e400,12 apples\n");
  EXPECT_EQ(table.number(0, 0), 1500);
  EXPECT_TRUE(std::isnan(table.number(0, 1)));
  EXPECT_EQ(table.number(1, 0), -2);
  EXPECT_EQ(table.number(2, 1), 4);
  expect_data_error([&] { (void)table.number(2, 0); }, {"t.csv:4", "'a'", "'12ms'"});
  expect_data_error([&] { (void)table.number(1, 1); }, {"t.csv:3", "'b'", "'inf'"});
  expect_data_error([&] { (void)table.number(3, 0); }, {"t.csv:5", "'a'", "'1e400'"});
  expect_data_error([&] { (void)table.value(3, 1); }, {"t.csv:5", "'b'", "'12 apples'"});
}

TEST(Csv, WhatIsMissingMayBeWrittenInManyWays) {
  for (const char* text :
       {"nan", "NaN", "-nan", "NA", "N/A", "#N/A", "null", "NULL", "None", "-", "--", "\"\""})
    EXPECT_TRUE(std::isnan(read(std::string("a,b\n") + text + ",1\n").number(0, 0))) << text;
}

TEST(Csv, WhatASpreadsheetCannotComputeIsNoComment) {
  for (const char* text : {"#NA", "#DIV/0!", "#VALUE!", "#N/A"})
    EXPECT_EQ(read(std::string("a,b\n1,2\n") + text + ",3\n").rows.size(), 2U) << text;
  EXPECT_EQ(read("a,b\n1,2\n#NAMES of runs\n#note,3\n").rows.size(), 1U);
}

TEST(Csv, BlanksThatDoNotBreakALineAreBlanks) {
  const auto table = read(
      "a,b\n729.6\xC2\xA0MHz,\xC2\xA0"
      "4\n");
  EXPECT_EQ(table.value(0, 0).number, 729.6);
  EXPECT_EQ(table.value(0, 0).unit, datasets::find_unit("MHz"));
  EXPECT_EQ(table.number(0, 1), 4);
}

TEST(Csv, AUnitMayFollowTheNumber) {
  const auto table = read("a,b,c\n2.04GHz,1.2 W,-3mA\n1e3 ms,7,12.ms\n");
  EXPECT_EQ(table.value(0, 0).number, 2.04);
  EXPECT_EQ(table.value(0, 0).unit, datasets::find_unit("GHz"));
  EXPECT_EQ(table.value(0, 1).number, 1.2);
  EXPECT_EQ(table.value(0, 1).unit, datasets::find_unit("W"));
  EXPECT_EQ(table.value(0, 2).number, -3);
  EXPECT_EQ(table.value(1, 0).number, 1000);
  EXPECT_EQ(table.value(1, 1).unit, nullptr);
  EXPECT_EQ(table.value(1, 2).number, 12);
}

TEST(Csv, ADecimalCommaIsReadWhereItIsSaid) {
  const auto comma = read("a;b;c;d\n412,5;1.234,5;2.201.600;1,5e3\n", DecimalSign::comma);
  EXPECT_EQ(comma.number(0, 0), 412.5);
  EXPECT_EQ(comma.number(0, 1), 1234.5);
  EXPECT_EQ(comma.number(0, 2), 2201600);
  EXPECT_EQ(comma.number(0, 3), 1500);
  const auto point = read("a;b;c\n1,234.5;2,201,600;0.5\n", DecimalSign::point);
  EXPECT_EQ(point.number(0, 0), 1234.5);
  EXPECT_EQ(point.number(0, 1), 2201600);
  EXPECT_EQ(point.number(0, 2), 0.5);
  const auto unsaid = read("a;b;c;d\n1 234.5;2'201'600;1,234;412,5\n");
  EXPECT_EQ(unsaid.number(0, 0), 1234.5);
  EXPECT_EQ(unsaid.number(0, 1), 2201600);
  expect_data_error([&] { (void)unsaid.number(0, 2); },
                    {"t.csv:2", "'1,234'", "decimal = comma", "decimal = point"});
  expect_data_error([&] { (void)unsaid.number(0, 3); }, {"t.csv:2", "'412,5'", "decimal = comma"});
  const auto wrong = read("a;b;c\n1.5;12,34.5;1.23.456\n", DecimalSign::comma);
  expect_data_error([&] { (void)wrong.number(0, 0); }, {"'1.5'", "decimal = comma"});
  expect_data_error([&] { (void)wrong.number(0, 1); }, {"'12,34.5'"});
  expect_data_error([&] { (void)wrong.number(0, 2); }, {"'1.23.456'"});
}

TEST(Csv, CommentsAreSkippedAndCounted) {
  const auto table = read("# orin, resnet, 25 C\n  # more\na,b\n1,2\n# between\n\n3,4\n");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{4, 7}));
  EXPECT_EQ(table.comments, 3u);
  for (const char* mark : {"% orin", "// orin", "; orin", "! orin"}) {
    const auto other = read(std::string(mark) + "\na,b\n1,2\n");
    EXPECT_EQ(other.header, (std::vector<std::string>{"a", "b"})) << mark;
    EXPECT_EQ(other.comments, 1u) << mark;
  }
  EXPECT_EQ(read("%cpu,t\n1,2\n").header, (std::vector<std::string>{"%cpu", "t"}));
  EXPECT_EQ(read(";cpu;t\n0;1;2\n").header, (std::vector<std::string>{"", "cpu", "t"}));
  expect_refused("# all\n", {"t.csv", "comments only"});
  expect_refused("jetson agx orin\na,b\n1,2\n",
                 {"t.csv:2", "expected 1 fields", "found 2", "line 1 no header"});
}

TEST(Csv, AHeaderInACommentIsOne) {
  const auto table = read("# made by numpy\n# a,b\n1,2\n3,4\n");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.comments, 1u);
  EXPECT_EQ(read("# a,b\nc,d\n3,4\n").header, (std::vector<std::string>{"c", "d"}));
  expect_data_error([] { (void)read("7,8\n1,2\n").column("a"); }, {"'a'", "7, 8", "looks like a row"});
}

TEST(Csv, ASpreadsheetMaySayTheSeparator) {
  for (const char* first :
       {"sep=;\r\n", "SEP=;\n", "Sep=;\n", "sEp=;\r", "\"sep=;\"\n", "\"Sep=;\"\n", "sep=;;;\n"})
    EXPECT_EQ(read(std::string(first) + "a;b,c\n1;2\n").header, (std::vector<std::string>{"a", "b,c"}))
        << first;
  EXPECT_EQ(read("sep=|\na|b\n1|2\n").rows[0], (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(read("sep=;\na;b\n1;2\n").lines, (std::vector<std::size_t>{3}));
}

TEST(Csv, LinesMayEndAsOnOldMacs) {
  const auto table = read("a,b\r1,2\r\r3,4\r");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1][1], "4");
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{2, 4}));
}

TEST(Csv, BlanksMayStandAroundQuotes) {
  const auto table = read("\"a\", \"b\" ,c\n1 , \"2,5\" , 3\n");
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"1", "2,5", "3"}));
  EXPECT_EQ(read("a\t\"b\"\n1\t \"2\"\n").rows[0], (std::vector<std::string>{"1", "2"}));
  expect_refused("a,b\n\"1\" x,2\n", {"t.csv:2", "quote"});
}

std::string utf16(const std::string& text, bool little_endian) {
  std::string bytes;
  for (const char c : text) bytes += little_endian ? std::string{c, '\0'} : std::string{'\0', c};
  return bytes;
}

TEST(Csv, Utf16IsReadInEitherByteOrderWithAndWithoutMark) {
  const std::string text = "a\tb\r\n1\t2\r\n";
  for (const auto& bytes : {"\xFF\xFE" + utf16(text, true), "\xFE\xFF" + utf16(text, false),
                            utf16(text, true), utf16(text, false)}) {
    const auto table = read(bytes);
    EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(table.rows.at(0), (std::vector<std::string>{"1", "2"}));
  }
  // Letters without a zero byte, Greek here, are fewer than digits and separators; the last byte may be lost.
  const std::string greek("\xA9\x03\xA9\x03", 4), rest = utf16("\ta\tb\r\nx\t1\t2\r\n", true);
  for (const auto& bytes : {greek + rest, utf16("a\t", true) + greek + utf16("\n" + text, true),
                            greek + rest.substr(0, rest.size() - 1)}) {
    const auto table = read(bytes);
    EXPECT_NE(std::find(table.header.begin(), table.header.end(), "\xCE\xA9\xCE\xA9"), table.header.end());
    EXPECT_GE(table.rows.size(), 1u);
  }
  EXPECT_EQ(read(std::string("\xFF\xFE\xB5\x00\n\x00\x31\x00", 8)).header.at(0), "\xC2\xB5");
  EXPECT_EQ(read(std::string("\xFF\xFE\x3D\xD8\x00\xDE\n\x00\x31\x00", 10)).header.at(0), "\xF0\x9F\x98\x80");
  EXPECT_EQ(read(std::string("\xFF\xFE\x3D\xD8\n\x00\x31\x00", 8)).header.at(0), "\xEF\xBF\xBD");
  expect_refused(std::string("\xFF\xFE\0\0a\0\0\0", 8), {"t.csv", "UTF-32"});
  expect_refused(utf16(utf16(text, true), true), {"t.csv", "UTF-32"});
  expect_refused(utf16(utf16(text, false), false), {"t.csv", "UTF-32"});
}

}  // namespace csv_test
}  // namespace fewwatt::tests
