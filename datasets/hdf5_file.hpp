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
  std::size_t rows = 0, cols = 0;  // its shape
  std::vector<T> values;           // rows * cols
};

// The content of a file. It is read and checked as a whole by the constructor (see ReadOptions). All functions throw DataError for an
// object or attribute that is missing or of another type.
class Hdf5Reader {
 public:
  // Throws DataError: no such file, not HDF5, cut short, damaged, or not what its checksum says. Files without a checksum, which older
  // versions and other programs wrote, are read too.
  explicit Hdf5Reader(const std::string& path, const ReadOptions& options = {});

  const std::string& path() const { return path_; }  // as it was given

  // The file's version. Throws DataError for another format, and for a version above `newest`.
  int require_format(std::string_view format, int newest) const;

  bool exists(const std::string& object) const;                       // whether there is a group or dataset
  bool is_group(const std::string& object) const;                     // false for a dataset
  std::vector<std::string> children(const std::string& group) const;  // names, ascending

  bool has_attribute(const std::string& object, const std::string& name) const;      // whether there is one
  bool is_text_attribute(const std::string& object, const std::string& name) const;  // false for a number
  std::vector<std::string> attributes(const std::string& object) const;              // names, ascending
  std::string text(const std::string& object, const std::string& name) const;        // a text attribute
  double number(const std::string& object, const std::string& name) const;  // a real or integer attribute
  std::int64_t integer(const std::string& object, const std::string& name) const;  // an integer attribute

  std::vector<double> doubles(const std::string& dataset) const;  // float64 [n]
  std::vector<double> numbers(
      const std::string& dataset) const;                    // float64 [n], or integers from other programs
  std::vector<int> ints(const std::string& dataset) const;  // int32 [n]
  Hdf5Table<double> double_table(const std::string& dataset) const;  // float64 [rows,cols]
  Hdf5Table<int> int_table(const std::string& dataset) const;        // int32 [rows,cols]

  // Throws DataError at the first object that is neither a group nor a table of numbers, and at the first attribute that is neither text
  // nor a number: no file of fewwatt has such.
  void verify() const;

 private:
  const FlatObject* find(const std::string& object) const;
  const FlatObject& group(const std::string& object) const;
  const FlatAttribute& attribute(const std::string& object, const std::string& name) const;
  const FlatObject& dataset(const std::string& object, int rank, FlatTag tag) const;

  std::string path_;
  FlatTree tree_;
};

// The text attribute `format` of the root, without reading the rest; "" for a file without it, one that is damaged or no HDF5 file.
std::string format_of(const std::string& path);

// The kind of files that Hdf5Writer::commit() may replace: those of the same format.
Replaceable hdf5_file_of(const std::string& format);

// Builds a file in memory; commit() writes it as write_file() does, so a failure leaves nothing behind, and the same calls give the same
// bytes. An existing file is replaced where it has the same format; otherwise commit() throws. Groups above an object are made as
// needed. Datasets are chunked and compressed, text is of fixed length, and the root's attribute `checksum` is the checksum of the
// content (FlatDigest).
class Hdf5Writer {
 public:
  Hdf5Writer(const std::string& path, const std::string& format, int version);  // writes nothing yet
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  void group(const std::string& group);  // makes a group, where it is not there already

  // Each adds an attribute to an object that exists.
  void text(const std::string& object, const std::string& name,
            const std::string& value);                                                   // fixed-length text
  void number(const std::string& object, const std::string& name, double value);         // float64
  void integer(const std::string& object, const std::string& name, std::int64_t value);  // int64

  void write(const std::string& dataset, std::span<const double> values);        // [n] float64
  void write(const std::string& dataset, std::span<const int> values);           // [n] int32
  void write(const std::string& dataset, std::span<const std::uint8_t> values);  // [n] uint8
  // Adds a dataset [rows,cols], float64 or int32; values row by row.
  void write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                   std::span<const double> values);
  void write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                   std::span<const int> values);  // the same of int32

  void commit();  // writes the file; throws DataError

 private:
  std::string path_, format_;
  std::int64_t file_;
  FlatDigest digest_;
};

}  // namespace fewwatt::datasets
