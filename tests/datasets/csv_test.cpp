#include "datasets/csv.hpp"

#include <cmath>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

using datasets::CsvTable;

CsvTable read(const std::string& text) {
  const TempDir dir;
  write_text(dir / "t.csv", text);
  return datasets::read_csv(dir / "t.csv");
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

TEST(Csv, NumbersAreWholeCells) {
  const auto table = read("a,b\n 1.5e3 ,\n-2,nan\n12ms,inf\n");
  EXPECT_EQ(table.number(0, 0), 1500);
  EXPECT_TRUE(std::isnan(table.number(0, 1)));
  EXPECT_EQ(table.number(1, 0), -2);
  expect_data_error([&] { (void)table.number(2, 0); }, {"t.csv:4", "'a'", "'12ms'"});
  expect_data_error([&] { (void)table.number(1, 1); }, {"t.csv:3", "'b'", "'nan'"});
  expect_data_error([&] { (void)table.number(2, 1); }, {"t.csv:4", "'b'", "'inf'"});
}

}  // namespace
}  // namespace fewwatt::tests
