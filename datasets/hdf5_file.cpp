#include "datasets/hdf5_file.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "datasets/atomic_file.hpp"
#include "datasets/profile.hpp"

namespace fewwatt::datasets {
namespace {

// A damaged header can claim any size: refuse what no file of ours holds before allocating it.
constexpr hsize_t kMostValues = hsize_t{1} << 27;

// HDF5 prints its own error stack unless told not to.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }

 private:
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

std::string at(const std::string& file, const std::string& object) {
  return file + ": " + object;
}

std::string at(const std::string& file, const std::string& object, const std::string& attribute) {
  return at(file, object) + ": attribute '" + attribute + "'";
}

// Throws `message` unless an HDF5 call succeeded.
void check(bool ok, const std::string& message) {
  if (!ok) throw DataError(message);
}

const char* class_name(H5T_class_t type) {
  switch (type) {
    case H5T_INTEGER:
      return "integers";
    case H5T_FLOAT:
      return "floating-point numbers";
    case H5T_STRING:
      return "text";
    default:
      return "another type";
  }
}

Handle open_attribute(hid_t file, const std::string& path, const std::string& object,
                      const std::string& name) {
  Handle attribute(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  check(attribute.ok(), at(path, object) + ": no attribute '" + name + "'");
  return attribute;
}

// Of a single value; `allowed` are the type classes that do.
Handle open_scalar(hid_t file, const std::string& path, const std::string& object, const std::string& name,
                   std::initializer_list<H5T_class_t> allowed) {
  Handle attribute = open_attribute(file, path, object, name);
  const Handle space(H5Aget_space(attribute), H5Sclose);
  const Handle type(H5Aget_type(attribute), H5Tclose);
  check(H5Sget_simple_extent_npoints(space) == 1, at(path, object, name) + " must be a single value");
  const auto found = H5Tget_class(type);
  check(std::find(allowed.begin(), allowed.end(), found) != allowed.end(),
        at(path, object, name) + " must be " + class_name(*allowed.begin()) + ", found " + class_name(found));
  return attribute;
}

// Reads a dataset of `rank` dimensions into values; returns its shape.
template <class T>
std::array<hsize_t, 2> read(hid_t file, const std::string& path, const std::string& object, int rank,
                            H5T_class_t expected, hid_t memory_type, std::vector<T>& values) {
  const Handle dataset(H5Dopen2(file, object.c_str(), H5P_DEFAULT), H5Dclose);
  check(dataset.ok(), at(path, object) + ": no such dataset");
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const auto found = H5Tget_class(type);
  check(found == expected,
        at(path, object) + ": expected " + class_name(expected) + ", found " + class_name(found));
  const int found_rank = H5Sget_simple_extent_ndims(space);
  check(found_rank == rank, at(path, object) + ": expected " + std::to_string(rank) +
                                " dimension(s), found " + std::to_string(found_rank));
  std::array<hsize_t, 2> shape{0, 1};
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  check(shape[0] <= kMostValues && shape[1] <= kMostValues && shape[0] * shape[1] <= kMostValues,
        at(path, object) + ": impossible size");
  values.resize(shape[0] * shape[1]);
  check(values.empty() || H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
        at(path, object) + ": cannot be read, the file is damaged");
  return shape;
}

bool is_known(hid_t file, const std::string& object) {
  // H5Lexists needs every group on the way to exist.
  for (std::size_t end = object.find('/', 1); end != std::string::npos; end = object.find('/', end + 1)) {
    if (H5Lexists(file, object.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return object == "/" || H5Lexists(file, object.c_str(), H5P_DEFAULT) > 0;
}

// A property list without object times, so that the same content gives the same bytes.
Handle timeless(hid_t list_class) {
  Handle list(H5Pcreate(list_class), H5Pclose);
  H5Pset_obj_track_times(list, false);
  return list;
}

void make_group(hid_t file, const std::string& path, const std::string& group) {
  if (group.empty() || is_known(file, group)) return;
  make_group(file, path, group.substr(0, group.rfind('/')));
  const Handle made(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, timeless(H5P_GROUP_CREATE), H5P_DEFAULT),
                    H5Gclose);
  check(made.ok(), at(path, group) + ": cannot be created");
}

void write_dataset(hid_t file, const std::string& path, const std::string& object,
                   std::span<const hsize_t> shape, hid_t file_type, hid_t memory_type, const void* values) {
  const Quiet quiet;
  make_group(file, path, object.substr(0, object.rfind('/')));
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const Handle list = timeless(H5P_DATASET_CREATE);
  const bool empty = std::find(shape.begin(), shape.end(), hsize_t{0}) != shape.end();
  if (!empty) {
    constexpr hsize_t kChunkValues = 1 << 17;
    std::vector<hsize_t> chunk(shape.begin(), shape.end());
    for (std::size_t i = chunk.size(); i-- > 0;) {
      hsize_t inner = 1;
      for (std::size_t k = i + 1; k < chunk.size(); ++k) inner *= chunk[k];
      chunk[i] = std::min(chunk[i], std::max<hsize_t>(1, kChunkValues / inner));
    }
    H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
    H5Pset_shuffle(list);
    H5Pset_deflate(list, 6);
  }
  const Handle dataset(H5Dcreate2(file, object.c_str(), file_type, space, H5P_DEFAULT, list, H5P_DEFAULT),
                       H5Dclose);
  check(dataset.ok(), at(path, object) + ": cannot be created");
  check(empty || H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0,
        at(path, object) + ": cannot be written");
}

void write_attribute(hid_t file, const std::string& path, const std::string& object, const std::string& name,
                     hid_t file_type, hid_t memory_type, const void* value) {
  const Quiet quiet;
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate_by_name(file, object.c_str(), name.c_str(), file_type, space, H5P_DEFAULT,
                                           H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  check(attribute.ok() && H5Awrite(attribute, memory_type, value) >= 0,
        at(path, object, name) + " cannot be written");
}

// What h5py reads as str.
Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

void check_is_hdf5(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), "cannot read " + path + ": " + std::strerror(errno));
  constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
  std::array<char, 8> start{};
  file.read(start.data(), start.size());
  check(std::string_view(start.data(), static_cast<std::size_t>(file.gcount())) == kSignature,
        path + " is not an HDF5 file");
}

}  // namespace

Hdf5Reader::Hdf5Reader(const std::string& path) : path_(path), file_(-1) {
  const Quiet quiet;
  check_is_hdf5(path);
  // No file makes the reader load code: filters that HDF5 does not have built in are refused.
  H5PLset_loading_state(0);
  file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  check(file_ >= 0, path + " is a truncated or damaged HDF5 file");
}

Hdf5Reader::~Hdf5Reader() {
  const Quiet quiet;
  if (file_ >= 0) H5Fclose(file_);
}

int Hdf5Reader::require_format(std::string_view format, int newest) const {
  check(has_attribute("/", "format") && has_attribute("/", "version"),
        path_ + " is not a " + std::string(format) +
            " file: the root has no attributes 'format' and 'version'");
  const std::string found = text("/", "format");
  check(found == format, path_ + ": expected format " + std::string(format) + ", found " + found);
  const auto version = integer("/", "version");
  check(version >= 1, path_ + ": version " + std::to_string(version) + " does not exist");
  check(version <= newest, path_ + " has version " + std::to_string(version) + " of " + found +
                               ", this program reads versions up to " + std::to_string(newest) +
                               ": it was written by a newer fewwatt");
  return static_cast<int>(version);
}

bool Hdf5Reader::exists(const std::string& object) const {
  const Quiet quiet;
  return is_known(file_, object);
}

bool Hdf5Reader::is_group(const std::string& object) const {
  const Quiet quiet;
  const Handle opened(is_known(file_, object) ? H5Oopen(file_, object.c_str(), H5P_DEFAULT) : -1, H5Oclose);
  return opened.ok() && H5Iget_type(opened) == H5I_GROUP;
}

std::vector<std::string> Hdf5Reader::children(const std::string& group) const {
  const Quiet quiet;
  std::vector<std::string> names;
  const Handle opened(H5Gopen2(file_, group.c_str(), H5P_DEFAULT), H5Gclose);
  check(opened.ok(), at(path_, group) + ": no such group");
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  check(H5Literate(opened, H5_INDEX_NAME, H5_ITER_INC, nullptr, +collect, &names) >= 0,
        at(path_, group) + ": cannot be listed, the file is damaged");
  return names;
}

bool Hdf5Reader::has_attribute(const std::string& object, const std::string& name) const {
  const Quiet quiet;
  return is_known(file_, object) && H5Aexists_by_name(file_, object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

bool Hdf5Reader::is_text_attribute(const std::string& object, const std::string& name) const {
  const Quiet quiet;
  const Handle attribute = open_attribute(file_, path_, object, name);
  return H5Tget_class(Handle(H5Aget_type(attribute), H5Tclose)) == H5T_STRING;
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& object) const {
  const Quiet quiet;
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  check(H5Aiterate_by_name(file_, object.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, +collect, &names,
                           H5P_DEFAULT) >= 0,
        at(path_, object) + ": no such object");
  return names;
}

std::string Hdf5Reader::text(const std::string& object, const std::string& name) const {
  const Quiet quiet;
  const Handle attribute = open_scalar(file_, path_, object, name, {H5T_STRING});
  const Handle type(H5Aget_type(attribute), H5Tclose);
  const std::string unreadable = at(path_, object, name) + " cannot be read, the file is damaged";
  if (H5Tis_variable_str(type) > 0) {
    char* value = nullptr;
    check(H5Aread(attribute, type, &value) >= 0, unreadable);
    const std::string result = value == nullptr ? "" : value;
    H5free_memory(value);
    return result;
  }
  std::string value(H5Tget_size(type), '\0');
  check(H5Aread(attribute, type, value.data()) >= 0, unreadable);
  return value.substr(0, value.find('\0'));
}

double Hdf5Reader::number(const std::string& object, const std::string& name) const {
  const Quiet quiet;
  const Handle attribute = open_scalar(file_, path_, object, name, {H5T_FLOAT, H5T_INTEGER});
  double value = 0;
  check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) >= 0, at(path_, object, name) + " cannot be read");
  return value;
}

std::int64_t Hdf5Reader::integer(const std::string& object, const std::string& name) const {
  const Quiet quiet;
  const Handle attribute = open_scalar(file_, path_, object, name, {H5T_INTEGER});
  std::int64_t value = 0;
  check(H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0, at(path_, object, name) + " cannot be read");
  return value;
}

std::vector<double> Hdf5Reader::doubles(const std::string& dataset) const {
  const Quiet quiet;
  std::vector<double> values;
  read(file_, path_, dataset, 1, H5T_FLOAT, H5T_NATIVE_DOUBLE, values);
  return values;
}

std::vector<int> Hdf5Reader::ints(const std::string& dataset) const {
  const Quiet quiet;
  std::vector<int> values;
  read(file_, path_, dataset, 1, H5T_INTEGER, H5T_NATIVE_INT, values);
  return values;
}

Hdf5Table<double> Hdf5Reader::double_table(const std::string& dataset) const {
  const Quiet quiet;
  Hdf5Table<double> table;
  const auto shape = read(file_, path_, dataset, 2, H5T_FLOAT, H5T_NATIVE_DOUBLE, table.values);
  table.rows = shape[0], table.cols = shape[1];
  return table;
}

Hdf5Table<int> Hdf5Reader::int_table(const std::string& dataset) const {
  const Quiet quiet;
  Hdf5Table<int> table;
  const auto shape = read(file_, path_, dataset, 2, H5T_INTEGER, H5T_NATIVE_INT, table.values);
  table.rows = shape[0], table.cols = shape[1];
  return table;
}

void Hdf5Reader::verify(const std::string& group) const {
  const Quiet quiet;
  for (const auto& name : children(group)) {
    const std::string object = (group == "/" ? "" : group) + "/" + name;
    for (const auto& attribute : attributes(object)) {
      is_text_attribute(object, attribute) ? void(text(object, attribute)) : void(number(object, attribute));
    }
    if (is_group(object)) {
      verify(object);
      continue;
    }
    const Handle dataset(H5Dopen2(file_, object.c_str(), H5P_DEFAULT), H5Dclose);
    check(dataset.ok(), at(path_, object) + ": cannot be opened, the file is damaged");
    const Handle space(H5Dget_space(dataset), H5Sclose);
    const auto count = static_cast<hsize_t>(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space)));
    check(count <= kMostValues, at(path_, object) + ": impossible size");
    std::vector<double> values(count);
    check(values.empty() ||
              H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
          at(path_, object) + ": cannot be read, the file is damaged");
  }
}

Hdf5Writer::Hdf5Writer(const std::string& path, const std::string& format, int version)
    : path_(path), file_(-1) {
  const Quiet quiet;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access, std::size_t{1} << 20, /*backing_store=*/false);
  const Handle creation = timeless(H5P_FILE_CREATE);
  H5Pset_istore_k(creation,
                  2);  // datasets have few chunks: the default's index nodes are larger than most datasets
  file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
  check(file_ >= 0, "cannot build " + path + " in memory");
  try {
    text("/", "format", format);
    const int value = version;
    write_attribute(file_, path_, "/", "version", H5T_STD_I32LE, H5T_NATIVE_INT, &value);
  } catch (...) {
    H5Fclose(file_);
    throw;
  }
}

Hdf5Writer::~Hdf5Writer() {
  const Quiet quiet;
  if (file_ >= 0) H5Fclose(file_);
}

void Hdf5Writer::group(const std::string& group) {
  const Quiet quiet;
  make_group(file_, path_, group);
}

void Hdf5Writer::text(const std::string& object, const std::string& name, const std::string& value) {
  const Handle type = text_type();
  const char* start = value.c_str();
  write_attribute(file_, path_, object, name, type, type, &start);
}

void Hdf5Writer::number(const std::string& object, const std::string& name, double value) {
  write_attribute(file_, path_, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::integer(const std::string& object, const std::string& name, std::int64_t value) {
  write_attribute(file_, path_, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::write(const std::string& dataset, std::span<const double> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.data());
}

void Hdf5Writer::write(const std::string& dataset, std::span<const int> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_STD_I32LE, H5T_NATIVE_INT, values.data());
}

void Hdf5Writer::write(const std::string& dataset, std::span<const std::uint8_t> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_STD_U8LE, H5T_NATIVE_UINT8, values.data());
}

void Hdf5Writer::write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                             std::span<const double> values) {
  check(values.size() == rows * cols, at(path_, dataset) + ": the shape does not fit the values");
  const std::array<hsize_t, 2> shape{rows, cols};
  write_dataset(file_, path_, dataset, shape, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.data());
}

void Hdf5Writer::write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                             std::span<const int> values) {
  check(values.size() == rows * cols, at(path_, dataset) + ": the shape does not fit the values");
  const std::array<hsize_t, 2> shape{rows, cols};
  write_dataset(file_, path_, dataset, shape, H5T_STD_I32LE, H5T_NATIVE_INT, values.data());
}

void Hdf5Writer::commit() {
  const Quiet quiet;
  const std::string failed = "cannot build " + path_ + " in memory";
  check(H5Fflush(file_, H5F_SCOPE_LOCAL) >= 0, failed);
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  check(size > 0, failed);
  std::string image(static_cast<std::size_t>(size), '\0');
  check(H5Fget_file_image(file_, image.data(), image.size()) == size, failed);
  write_file(path_, image);
}

}  // namespace fewwatt::datasets
