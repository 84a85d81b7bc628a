#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::datasets {

// The flat form of an HDF5 file: what fewwatt-reader writes to its pipe, and what the checksum of a file is made of. Records
// one after the other, numbers in the machine's own byte order, text as 32 bits of length and the bytes. A record is a tag and
//   group       path
//   ints        path, 8 bits of rank (1 or 2), 64 bits for each dimension, values int32
//   doubles     the same, values float64
//   other       path, what it holds, 8 bits of rank: an object that no file of ours has
//   text        name, value                 an attribute of the object before, as the next three
//   number      name, float64
//   integer     name, int64
//   unreadable  name, what it holds, 8 bits: 1 for a single value
//   error       the message, to be put behind the file's name; the last record
//   end         the last record of a file that is whole
// A group stands before what is in it; the first is "/".
enum class FlatTag : std::uint8_t {
  group = 'G',
  ints = 'I',
  doubles = 'D',
  other = 'O',
  text = 't',
  number = 'n',
  integer = 'i',
  unreadable = 'u',
  error = 'E',
  end = 'Z'
};

// The attribute of the root that holds the checksum.
inline constexpr const char* kChecksumAttribute = "checksum";

// What every object and every attribute counts beside its values when sizes are summed up, in bytes.
inline constexpr std::uint64_t kBytesPerEntry = 512;
inline constexpr int kMostDepth = 32;  // of groups in groups

// Where the records come from.
class FlatSource {
 public:
  virtual ~FlatSource() = default;
  // Exactly `size` bytes. Throws DataError when they do not come.
  virtual void take(void* to, std::size_t size) = 0;
};

struct FlatAttribute {
  FlatTag tag = FlatTag::unreadable;
  std::string text;  // what an unreadable one holds
  double number = 0;
  std::int64_t integer = 0;
  bool single = true;
};

struct FlatObject {
  FlatTag tag = FlatTag::group;
  std::string other;  // what it holds
  int rank = 0;
  std::array<std::uint64_t, 2> shape{0, 1};
  std::vector<int> ints;
  std::vector<double> doubles;
  std::vector<std::string> children;  // names of a group's, ascending
  std::map<std::string, FlatAttribute> attributes;
};

// By path: "/profiles/tx2".
using FlatTree = std::map<std::string, FlatObject>;

// A checksum over objects and attributes in any order of calls.
class FlatDigest {
 public:
  void object(const std::string& path, FlatTag tag, std::uint64_t rows, std::uint64_t cols, int rank,
              std::uint64_t crc_of_values);
  void attribute(const std::string& path, const std::string& name, FlatTag tag, std::string_view value);
  // "crc64:" and 16 digits. The root's attribute `checksum` does not count.
  std::string checksum() const;

 private:
  struct Object {
    std::string head;
    std::map<std::string, std::string> attributes;
  };
  std::map<std::string, Object> objects_;
};

// A number as FlatDigest::attribute() takes it.
std::string flat_bytes(double value);
std::string flat_bytes(std::int64_t value);

// CRC-64/XZ of more bytes behind those of `before` (0 for none).
std::uint64_t crc64(std::string_view bytes, std::uint64_t before = 0);

struct FlatFile {
  FlatTree tree;
  std::string checksum;  // of what was read
};

// Reads records up to the last. Believes nothing: counts are compared with `most_bytes`, the sum of all sizes, and memory is
// taken as values arrive. Throws DataError, `path` first, for what an error record says and for records that make no sense.
FlatFile read_flat(FlatSource& source, const std::string& path, std::uint64_t most_bytes);

}  // namespace fewwatt::datasets
