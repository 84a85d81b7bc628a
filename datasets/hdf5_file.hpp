#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/atomic_file.hpp"
#include "datasets/hdf5_flat.hpp"
#include "datasets/read_options.hpp"

namespace fewwatt::datasets {

// Reads and writes one HDF5 file. Objects are named by their path from the root,
// "/profiles/tx2/hsto/time_ms"; the root itself is "/". Every failure is a DataError that names the file and
// the object in it. The HDF5 library is not thread-safe: one thread at a time in the whole process writes, or reads with
// ReadOptions::isolated = false.

// A two-dimensional dataset, row by row.
template <class T>
struct Hdf5Table {
  std::size_t rows = 0, cols = 0;
  std::vector<T> values;  // rows * cols
};

// The content of a file, which is read and checked as a whole when this is made (see ReadOptions).
class Hdf5Reader {
 public:
  // No such file, not HDF5, cut short, damaged, or not what its checksum says: DataError. Files without a checksum are read
  // too: those of older versions and of other programs.
  explicit Hdf5Reader(const std::string& path, const ReadOptions& options = {});

  const std::string& path() const { return path_; }

  // The file's version; refuses another format and versions above `newest`.
  int require_format(std::string_view format, int newest) const;

  bool exists(const std::string& object) const;
  bool is_group(const std::string& object) const;
  std::vector<std::string> children(const std::string& group) const;  // names, ascending

  bool has_attribute(const std::string& object, const std::string& name) const;
  bool is_text_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> attributes(const std::string& object) const;  // names, ascending
  std::string text(const std::string& object, const std::string& name) const;
  double number(const std::string& object, const std::string& name) const;  // of an integer attribute too
  std::int64_t integer(const std::string& object, const std::string& name) const;

  std::vector<double> doubles(const std::string& dataset) const;  // one-dimensional
  std::vector<double> numbers(
      const std::string& dataset) const;  // doubles, or integers that somebody else wrote for them
  std::vector<int> ints(const std::string& dataset) const;
  Hdf5Table<double> double_table(const std::string& dataset) const;  // two-dimensional
  Hdf5Table<int> int_table(const std::string& dataset) const;

  // Throws at the first object that is neither a group nor a table of numbers, and at the first attribute that is neither text nor
  // a number: no file of ours has such.
  void verify() const;

 private:
  const FlatObject* find(const std::string& object) const;
  const FlatObject& group(const std::string& object) const;
  const FlatAttribute& attribute(const std::string& object, const std::string& name) const;
  const FlatObject& dataset(const std::string& object, int rank, FlatTag tag) const;

  std::string path_;
  FlatTree tree_;
};

// The text attribute `format` of the root, without reading the rest; "" for a file that has none, or is no HDF5 file, or damaged.
std::string format_of(const std::string& path);

// What Hdf5Writer::commit() may replace: a file of the same format.
Replaceable hdf5_file_of(const std::string& format);

// Builds the file in memory; commit() writes it as write_file() does, so a failure leaves nothing behind and
// the same calls give the same bytes. A file that is there is replaced where it has the same format, else commit() throws.
// Groups above an object are made as needed. Datasets are chunked and compressed, text is of fixed length, and an attribute of
// the root, `checksum`, is the checksum of the content (FlatDigest).
class Hdf5Writer {
 public:
  Hdf5Writer(const std::string& path, const std::string& format, int version);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  void group(const std::string& group);  // nothing when it is there already

  // Attributes of an object that exists.
  void text(const std::string& object, const std::string& name, const std::string& value);
  void number(const std::string& object, const std::string& name, double value);
  void integer(const std::string& object, const std::string& name, std::int64_t value);

  void write(const std::string& dataset, std::span<const double> values);        // [n] float64
  void write(const std::string& dataset, std::span<const int> values);           // [n] int32
  void write(const std::string& dataset, std::span<const std::uint8_t> values);  // [n] uint8
  void write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                   std::span<const double> values);
  void write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                   std::span<const int> values);

  void commit();

 private:
  std::string path_, format_;
  std::int64_t file_;
  FlatDigest digest_;
};

}  // namespace fewwatt::datasets
