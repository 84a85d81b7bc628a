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
  group = 'G',       // a group
  ints = 'I',        // a dataset of int32
  doubles = 'D',     // a dataset of float64
  other = 'O',       // another object
  text = 't',        // a text attribute
  number = 'n',      // a float64 attribute
  integer = 'i',     // an int64 attribute
  unreadable = 'u',  // another attribute
  error = 'E',       // an error, the last record
  end = 'Z'          // the end of a whole file
};

// The root's attribute that holds the checksum.
inline constexpr const char* kChecksumAttribute = "checksum";

// What every object and every attribute adds to the size of a file, besides its values, in bytes.
inline constexpr std::uint64_t kBytesPerEntry = 512;
inline constexpr int kMostDepth = 32;  // greatest depth of groups in groups

// Where records are read from.
class FlatSource {
 public:
  virtual ~FlatSource() = default;
  // Reads exactly `size` bytes. Throws DataError when there are fewer.
  virtual void take(void* to, std::size_t size) = 0;
};

// An attribute of an object.
struct FlatAttribute {
  FlatTag tag = FlatTag::unreadable;  // text, number, integer or unreadable
  std::string text;                   // its text; of an unreadable one, what it holds
  double number = 0;                  // of a number
  std::int64_t integer = 0;           // of an integer
  bool single = true;                 // of an unreadable one: whether it is a single value
};

// A group, a dataset, or another object.
struct FlatObject {
  FlatTag tag = FlatTag::group;                     // group, ints, doubles or other
  std::string other;                                // of another object: what it holds
  int rank = 0;                                     // of a dataset: number of dimensions, 1 or 2
  std::array<std::uint64_t, 2> shape{0, 1};         // of a dataset: rows and columns
  std::vector<int> ints;                            // values of a dataset of int32, row by row
  std::vector<double> doubles;                      // values of a dataset of float64, row by row
  std::vector<std::string> children;                // of a group: names of what is in it, ascending
  std::map<std::string, FlatAttribute> attributes;  // by name
};

// All objects of a file by their path: "/profiles/tx2".
using FlatTree = std::map<std::string, FlatObject>;

// A checksum over objects and attributes. It does not depend on the order of calls.
class FlatDigest {
 public:
  // Adds an object, with the crc64() of its values.
  void object(const std::string& path, FlatTag tag, std::uint64_t rows, std::uint64_t cols, int rank,
              std::uint64_t crc_of_values);
  // Adds an attribute, with its value as text or as flat_bytes().
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

// CRC-64/XZ of bytes that follow others, whose CRC is `before` (0 for none).
std::uint64_t crc64(std::string_view bytes, std::uint64_t before = 0);

// The content of a file.
struct FlatFile {
  FlatTree tree;         // all objects
  std::string checksum;  // of what was read
};

// Reads records up to the last. Trusts nothing: counts are compared with `most_bytes`, the greatest sum of all sizes, and memory is
// allocated as values arrive. Throws DataError, with `path` first, for an error record, and for records that make no sense.
FlatFile read_flat(FlatSource& source, const std::string& path, std::uint64_t most_bytes);

}  // namespace fewwatt::datasets
