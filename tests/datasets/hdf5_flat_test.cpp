#include "datasets/hdf5_flat.hpp"

#include <cstring>

#include "tests/datasets/expect_data_error.hpp"

namespace fewwatt::tests {
namespace hdf5_flat_test {

using datasets::FlatDigest;
using datasets::FlatTag;

// Records as fewwatt-reader writes them, or would if a file had taken it over.
class Records final : public datasets::FlatSource {
 public:
  Records& put(FlatTag tag) { return number(static_cast<std::uint8_t>(tag)); }
  Records& text(const std::string& text) { return number(static_cast<std::uint32_t>(text.size())).raw(text); }
  Records& raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  template <class T>
  Records& number(T value) {
    return raw({reinterpret_cast<const char*>(&value), sizeof value});
  }
  Records& root() { return put(FlatTag::group).text("/"); }

  void take(void* to, std::size_t size) override {
    if (size > bytes_.size()) throw datasets::DataError("x.h5: no more comes");
    std::memcpy(to, bytes_.data(), size);
    bytes_.erase(0, size);
  }

 private:
  std::string bytes_;
};

constexpr std::uint64_t kMost = 1 << 20;

void expect_refused(Records records, const std::string& why) {
  expect_data_error([&] { datasets::read_flat(records, "x.h5", kMost); }, {"x.h5", why});
}

TEST(Hdf5Flat, Crc64IsThatOfXz) {
  EXPECT_EQ(datasets::crc64("123456789"), 0x995dc9bbdf1939faU);
  EXPECT_EQ(datasets::crc64(""), 0U);
  const std::string bytes = "the quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
    EXPECT_EQ(datasets::crc64(bytes.substr(cut), datasets::crc64(bytes.substr(0, cut))),
              datasets::crc64(bytes));
}

TEST(Hdf5Flat, WhatIsSentIsRead) {
  Records records;
  records.root()
      .put(FlatTag::text)
      .text("format")
      .text("größer")
      .put(FlatTag::integer)
      .text("n")
      .number(std::int64_t{-3});
  records.put(FlatTag::ints).text("/x").number(std::uint8_t{1}).number(std::uint64_t{2}).number(7).number(8);
  records.put(FlatTag::number).text("unit").number(0.5).put(FlatTag::end);
  const auto file = datasets::read_flat(records, "x.h5", kMost);
  EXPECT_EQ(file.tree.at("/").children, std::vector<std::string>{"x"});
  EXPECT_EQ(file.tree.at("/").attributes.at("format").text, "größer");
  EXPECT_EQ(file.tree.at("/").attributes.at("n").integer, -3);
  EXPECT_EQ(file.tree.at("/x").ints, (std::vector<int>{7, 8}));
  EXPECT_EQ(file.tree.at("/x").attributes.at("unit").number, 0.5);
}

TEST(Hdf5Flat, AnErrorIsPutBehindTheNameOfTheFileAndEscaped) {
  Records records;
  records.put(FlatTag::error).text(": /a\x1b[2J\n: is damaged");
  expect_refused(records, "x.h5: /a\\x1b[2J\\n: is damaged");
}

TEST(Hdf5Flat, WhatMakesNoSenseIsRefused) {
  const std::string nonsense = "makes no sense", short_of = "no more comes";
  expect_refused(Records().put(FlatTag::end), nonsense);
  expect_refused(Records().raw("?"), nonsense);
  expect_refused(Records().root().root(), nonsense);
  expect_refused(Records().put(FlatTag::group).text("/a"), nonsense);          // in no group
  expect_refused(Records().root().put(FlatTag::group).text("a"), nonsense);    // no path
  expect_refused(Records().root().put(FlatTag::group).text("/"), nonsense);    // twice
  expect_refused(Records().root().put(FlatTag::group).text("/a/"), nonsense);  // no name
  expect_refused(Records().root().put(FlatTag::group).text("/a/b"),
                 nonsense);                                                    // in a group that is not there
  expect_refused(Records().put(FlatTag::text).text("a").text("b"), nonsense);  // of no object
  expect_refused(Records().root().put(FlatTag::group).text("/\xff"), "UTF-8");
  expect_refused(Records().root().put(FlatTag::text).text("a").text("\xff"), "UTF-8");
  expect_refused(
      Records().root().put(FlatTag::integer).text("a").number(std::int64_t{1}).put(FlatTag::number).text("a"),
      nonsense);
  const auto table = [](std::uint8_t rank) {
    Records records;
    records.root().put(FlatTag::doubles).text("/x").number(rank);
    return records;
  };
  expect_refused(table(0), nonsense);
  expect_refused(table(3), nonsense);
  expect_refused(table(1).number(std::uint64_t{2}).number(0.5), short_of);
  // Sizes that are only claimed.
  expect_refused(table(1).number(~std::uint64_t{0}), nonsense);
  expect_refused(table(1).number(std::uint64_t{kMost / 8}), nonsense);
  expect_refused(table(2).number(std::uint64_t{1} << 32).number(std::uint64_t{1} << 32), nonsense);
  expect_refused(Records().root().put(FlatTag::text).text("a").number(~std::uint32_t{0}), nonsense);
  // What is below another kind of object.
  expect_refused(table(1).number(std::uint64_t{0}).put(FlatTag::group).text("/x/y"), nonsense);
}

TEST(Hdf5Flat, ManyObjectsCount) {
  Records records;
  records.root();
  for (int i = 0; i < 5000; ++i) records.put(FlatTag::group).text("/" + std::to_string(i));
  expect_refused(records.put(FlatTag::end), "makes no sense");
}

TEST(Hdf5Flat, GroupsAreNotTooDeep) {
  Records records;
  records.root();
  std::string path;
  for (int i = 0; i < 100; ++i) records.put(FlatTag::group).text(path += "/a");
  expect_refused(records.put(FlatTag::end), "makes no sense");
}

TEST(Hdf5Flat, TheChecksumIsOfAllContentButItself) {
  const auto digest = [](const std::string& name, double value, std::uint64_t rows) {
    FlatDigest made;
    made.object("/x", FlatTag::doubles, rows, 1, 1, 17);
    made.object("/", FlatTag::group, 0, 1, 0, 0);
    made.attribute("/x", name, FlatTag::number, datasets::flat_bytes(value));
    return made;
  };
  const auto sum = digest("a", 1, 3).checksum();
  EXPECT_EQ(sum, digest("a", 1, 3).checksum());
  EXPECT_NE(sum, digest("b", 1, 3).checksum());
  EXPECT_NE(sum, digest("a", 2, 3).checksum());
  EXPECT_NE(sum, digest("a", 1, 4).checksum());
  auto with_sum = digest("a", 1, 3);
  with_sum.attribute("/", datasets::kChecksumAttribute, FlatTag::text, sum);
  EXPECT_EQ(with_sum.checksum(), sum);
  with_sum.attribute("/x", datasets::kChecksumAttribute, FlatTag::text, sum);
  EXPECT_NE(with_sum.checksum(), sum);
}

}  // namespace hdf5_flat_test
}  // namespace fewwatt::tests
