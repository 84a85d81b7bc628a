#include "datasets/hdf5_file.hpp"

#include <sys/stat.h>

#include <cmath>
#include <filesystem>

#include "datasets/isolated_reader.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace hdf5_file_test {

using datasets::Hdf5Reader;
using datasets::Hdf5Writer;

std::string small_file(const TempDir& dir, int version = 1) {
  const std::string path = dir / "small.h5";
  Hdf5Writer file(path, "fewwatt-test", version);
  file.group("/a/b");
  file.text("/a/b", "name", "größer");
  file.text("/a/b", "nothing", "");
  file.number("/a", "x", 0.1);
  file.integer("/a", "n", -3);
  file.write("/a/b/doubles", std::vector<double>{1.5, -2});
  file.write("/a/b/ints", std::vector<int>{7, 8, 9});
  file.write("/a/b/bytes", std::vector<std::uint8_t>{0, 255});
  file.write("/a/empty", std::vector<double>{});
  file.write_table("/deep/er/table", 2, 3, std::vector<int>{1, 2, 3, 4, 5, 6});
  file.write_table("/deep/er/no_rows", 0, 3, std::vector<double>{});
  file.commit();
  return path;
}

TEST(Hdf5File, WriteThenReadIsIdentity) {
  const TempDir dir;
  const Hdf5Reader file(small_file(dir));
  EXPECT_EQ(file.require_format("fewwatt-test", 1), 1);
  EXPECT_EQ(file.text("/a/b", "name"), "größer");
  EXPECT_EQ(file.text("/a/b", "nothing"), "");
  EXPECT_EQ(file.number("/a", "x"), 0.1);
  EXPECT_EQ(file.number("/a", "n"), -3);
  EXPECT_EQ(file.integer("/a", "n"), -3);
  EXPECT_EQ(file.doubles("/a/b/doubles"), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(file.ints("/a/b/ints"), (std::vector<int>{7, 8, 9}));
  EXPECT_EQ(file.ints("/a/b/bytes"), (std::vector<int>{0, 255}));
  EXPECT_TRUE(file.doubles("/a/empty").empty());
  const auto table = file.int_table("/deep/er/table");
  EXPECT_EQ(table.rows, 2u);
  EXPECT_EQ(table.cols, 3u);
  EXPECT_EQ(table.values, (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.double_table("/deep/er/no_rows").cols, 3u);
  EXPECT_EQ(file.children("/a"), (std::vector<std::string>{"b", "empty"}));
  EXPECT_EQ(file.attributes("/a"), (std::vector<std::string>{"n", "x"}));
  EXPECT_TRUE(file.is_group("/deep/er"));
  EXPECT_FALSE(file.is_group("/a/empty"));
  EXPECT_FALSE(file.exists("/no/such/thing"));
  file.verify();
}

TEST(Hdf5File, BothWaysOfReadingGiveTheSame) {
  const TempDir dir;
  const std::string path = small_file(dir);
  const auto isolated = datasets::load_flat(path, {}), here = datasets::load_flat(path, {.isolated = false});
  EXPECT_EQ(isolated.checksum, here.checksum);
  ASSERT_EQ(isolated.tree.size(), here.tree.size());
  for (const auto& [name, object] : isolated.tree) {
    const auto& other = here.tree.at(name);
    EXPECT_EQ(object.ints, other.ints) << name;
    EXPECT_EQ(object.doubles, other.doubles) << name;
    EXPECT_EQ(object.children, other.children) << name;
    EXPECT_EQ(object.attributes.size(), other.attributes.size()) << name;
  }
}

TEST(Hdf5File, LongTextComesBack) {
  const TempDir dir;
  const std::string long_text(100'000, 'x'), fixed(60'000, 'y');
  Hdf5Writer writer(dir / "x.h5", "fewwatt-test", 1);
  writer.text("/", "long", long_text);
  writer.text("/", "fixed", fixed);
  writer.commit();
  const Hdf5Reader reader(dir / "x.h5");
  EXPECT_EQ(reader.text("/", "long"), long_text);
  EXPECT_EQ(reader.text("/", "fixed"), fixed);
}

TEST(Hdf5File, TextThatIsNoUtf8IsNotWritten) {
  const TempDir dir;
  Hdf5Writer writer(dir / "x.h5", "fewwatt-test", 1);
  expect_data_error([&] { writer.text("/", "name", "gr\xf6\xdf"); }, {"'name'", "UTF-8", "gr\\xf6"});
}

TEST(Hdf5File, AFileOfTheSameFormatIsReplacedAndNoOther) {
  const TempDir dir;
  const std::string path = small_file(dir);
  EXPECT_EQ(datasets::format_of(path), "fewwatt-test");
  Hdf5Writer(path, "fewwatt-test", 3).commit();
  EXPECT_EQ(Hdf5Reader(path).require_format("fewwatt-test", 3), 3);
  const auto bytes = read_text(path);
  expect_data_error([&] { Hdf5Writer(path, "fewwatt-other", 1).commit(); },
                    {"cannot write " + path, "is not a fewwatt-other file"});
  EXPECT_EQ(read_text(path), bytes);
  write_text(dir / "notes", "of years");
  expect_data_error([&] { Hdf5Writer(dir / "notes", "fewwatt-test", 1).commit(); },
                    {dir / "notes", "not replaced"});
  EXPECT_EQ(read_text(dir / "notes"), "of years");
}

TEST(Hdf5File, ManyValuesComeBack) {
  const TempDir dir;
  std::vector<double> values(1'000'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * 0.5;
  Hdf5Writer writer(dir / "large.h5", "fewwatt-test", 1);
  writer.write_table("/x", 250'000, 4, values);
  writer.write("/y", values);
  writer.commit();
  const Hdf5Reader reader(dir / "large.h5");
  EXPECT_EQ(reader.double_table("/x").values, values);
  EXPECT_EQ(reader.doubles("/y"), values);
}

TEST(Hdf5File, SameContentGivesSameBytes) {
  const TempDir a, b;
  EXPECT_EQ(read_text(small_file(a)), read_text(small_file(b)));
}

TEST(Hdf5File, NothingIsWrittenWithoutCommit) {
  const TempDir dir;
  { Hdf5Writer file(dir / "x.h5", "fewwatt-test", 1); }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Hdf5File, AnOlderVersionIsReadAndANewerRefused) {
  const TempDir dir;
  const std::string path = small_file(dir, 2);
  EXPECT_EQ(Hdf5Reader(path).require_format("fewwatt-test", 3), 2);
  expect_data_error([&] { Hdf5Reader(path).require_format("fewwatt-test", 1); },
                    {path, "version 2", "newer"});
}

TEST(Hdf5File, AnotherFormatIsRefused) {
  const TempDir dir;
  const std::string path = small_file(dir);
  expect_data_error([&] { Hdf5Reader(path).require_format("fewwatt-profiles", 1); },
                    {path, "fewwatt-profiles", "fewwatt-test"});
}

TEST(Hdf5File, WhatCannotBeOpenedIsSaid) {
  const TempDir dir;
  expect_data_error([&] { Hdf5Reader file(dir / "none.h5"); }, {dir / "none.h5", "No such file"});
  write_text(dir / "text.h5", "time_ms,power_w\n1,2\n");
  expect_data_error([&] { Hdf5Reader file(dir / "text.h5"); }, {dir / "text.h5", "not an HDF5 file"});
  write_text(dir / "empty.h5", "");
  expect_data_error([&] { Hdf5Reader file(dir / "empty.h5"); }, {dir / "empty.h5", "not an HDF5 file"});
  expect_data_error([&] { Hdf5Reader file(dir.path().string()); }, {dir.path().string(), "it is a folder"});
  expect_data_error([&] { Hdf5Reader file("/dev/zero"); }, {"/dev/zero", "expected a file, found a device"});
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  expect_data_error([&] { Hdf5Reader file(dir / "pipe"); }, {dir / "pipe", "expected a file, found a pipe"});
}

TEST(Hdf5File, ATruncatedFileIsSaidToBe) {
  const TempDir dir;
  const std::string bytes = read_text(small_file(dir));
  for (const std::size_t size : {std::size_t{8}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write_text(dir / "cut.h5", bytes.substr(0, size));
    expect_data_error([&] { Hdf5Reader file(dir / "cut.h5"); }, {dir / "cut.h5", "truncated"});
  }
}

TEST(Hdf5File, MissingObjectsNameFileAndPath) {
  const TempDir dir;
  const std::string path = small_file(dir);
  const Hdf5Reader file(path);
  expect_data_error([&] { file.doubles("/a/b/gone"); }, {path, "/a/b/gone"});
  expect_data_error([&] { file.children("/gone"); }, {path, "/gone"});
  expect_data_error([&] { file.text("/a", "gone"); }, {path, "/a", "'gone'"});
  expect_data_error([&] { file.text("/gone", "name"); }, {path, "/gone", "'name'"});
}

TEST(Hdf5File, WrongTypesAndShapesAreNamed) {
  const TempDir dir;
  const std::string path = small_file(dir);
  const Hdf5Reader file(path);
  expect_data_error([&] { file.ints("/a/b/doubles"); }, {path, "/a/b/doubles", "integers", "floating-point"});
  expect_data_error([&] { file.doubles("/a/b/ints"); }, {path, "/a/b/ints", "floating-point", "integers"});
  expect_data_error([&] { file.int_table("/a/b/ints"); }, {path, "/a/b/ints", "expected 2 dimension"});
  expect_data_error([&] { file.ints("/deep/er/table"); }, {path, "/deep/er/table", "found 2"});
  expect_data_error([&] { file.text("/a", "x"); }, {path, "'x'", "text"});
  expect_data_error([&] { file.number("/a/b", "name"); }, {path, "'name'", "text"});
}

TEST(Hdf5File, DamagedValuesAreFound) {
  const TempDir dir;
  std::vector<double> values;
  for (int i = 1; i <= 10'000; ++i) values.push_back(std::sqrt(i));
  Hdf5Writer writer(dir / "x.h5", "fewwatt-test", 1);
  writer.write("/x", values);
  writer.commit();
  std::string bytes = read_text(dir / "x.h5");
  ASSERT_GT(bytes.size(), 20'000u) << "most of the file is values";
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0xff);
  write_text(dir / "x.h5", bytes);
  for (const bool isolated : {true, false})
    expect_data_error([&] { Hdf5Reader(dir / "x.h5", {.isolated = isolated}); },
                      {dir / "x.h5", "/x", "damaged"});
}

}  // namespace hdf5_file_test
}  // namespace fewwatt::tests
