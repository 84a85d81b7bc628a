#include "datasets/hdf5_file.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "datasets/hdf5_handle.hpp"
#include "datasets/isolated_reader.hpp"
#include "datasets/profile.hpp"
#include "hw/printable.hpp"

namespace fewwatt::datasets {
namespace {

std::string at(const std::string& file, const std::string& object) {
  return file + ": " + hw::printable(object);
}

std::string at(const std::string& file, const std::string& object, const std::string& attribute) {
  return at(file, object) + ": attribute '" + hw::printable(attribute) + "'";
}

// Throws DataError with `message` unless `ok`.
void check(bool ok, const std::string& message) {
  if (!ok) throw DataError(message);
}

std::string kind_of(const FlatObject& object) {
  if (object.tag == FlatTag::group) return "a group";
  if (object.tag == FlatTag::ints) return class_name(H5T_INTEGER);
  if (object.tag == FlatTag::doubles) return class_name(H5T_FLOAT);
  return object.other;
}

std::string kind_of(const FlatAttribute& attribute) {
  if (attribute.tag == FlatTag::text) return class_name(H5T_STRING);
  if (attribute.tag == FlatTag::integer) return class_name(H5T_INTEGER);
  if (attribute.tag == FlatTag::number) return class_name(H5T_FLOAT);
  return attribute.text;
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

void make_group(hid_t file, const std::string& path, const std::string& group, FlatDigest& digest) {
  if (group.empty() || is_known(file, group)) return;
  make_group(file, path, group.substr(0, group.rfind('/')), digest);
  const Handle made(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, timeless(H5P_GROUP_CREATE), H5P_DEFAULT),
                    H5Gclose);
  check(made.ok(), at(path, group) + ": cannot be created");
  digest.object(group, FlatTag::group, 0, 1, 0, 0);
}

void write_dataset(hid_t file, const std::string& path, const std::string& object,
                   std::span<const hsize_t> shape, hid_t file_type, hid_t memory_type, const void* values,
                   FlatDigest& digest) {
  const Quiet quiet;
  make_group(file, path, object.substr(0, object.rfind('/')), digest);
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

// Of fixed length, since HDF5 keeps other text in a heap that readers of damaged files trip over. A header of an object, where
// attributes stand, has no room for more than 64 KB.
constexpr std::size_t kMostFixedText = 60000;

Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size <= kMostFixedText ? std::max<std::size_t>(size, 1) : H5T_VARIABLE);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

}  // namespace

Hdf5Reader::Hdf5Reader(const std::string& path, const ReadOptions& options) : path_(path) {
  auto file = load_flat(path, options);
  tree_ = std::move(file.tree);
  if (!has_attribute("/", kChecksumAttribute)) return;
  check(
      text("/", kChecksumAttribute) == file.checksum,
      path +
          " is damaged or was changed by something else than fewwatt: its content does not fit its checksum");
}

const FlatObject* Hdf5Reader::find(const std::string& object) const {
  const auto found = tree_.find(object);
  return found == tree_.end() ? nullptr : &found->second;
}

const FlatObject& Hdf5Reader::group(const std::string& object) const {
  const auto* found = find(object);
  check(found != nullptr && found->tag == FlatTag::group, at(path_, object) + ": no such group");
  return *found;
}

const FlatAttribute& Hdf5Reader::attribute(const std::string& object, const std::string& name) const {
  check(has_attribute(object, name), at(path_, object) + ": no attribute '" + hw::printable(name) + "'");
  return find(object)->attributes.at(name);
}

const FlatObject& Hdf5Reader::dataset(const std::string& object, int rank, FlatTag tag) const {
  const auto* found = find(object);
  check(found != nullptr && found->tag != FlatTag::group, at(path_, object) + ": no such dataset");
  const std::string expected = class_name(tag == FlatTag::ints ? H5T_INTEGER : H5T_FLOAT),
                    kind = kind_of(*found);
  check(kind == expected, at(path_, object) + ": expected " + expected + ", found " + kind);
  check(found->rank == rank && found->tag == tag, at(path_, object) + ": expected " + std::to_string(rank) +
                                                      " dimension(s), found " + std::to_string(found->rank));
  return *found;
}

int Hdf5Reader::require_format(std::string_view format, int newest) const {
  check(has_attribute("/", "format") && has_attribute("/", "version"),
        path_ + " is not a " + std::string(format) +
            " file: the root has no attributes 'format' and 'version'");
  const std::string found = text("/", "format");
  check(found == format,
        path_ + ": expected format " + std::string(format) + ", found " + hw::printable(found));
  const auto version = integer("/", "version");
  check(version >= 1, path_ + ": version " + std::to_string(version) + " does not exist");
  check(version <= newest, path_ + " has version " + std::to_string(version) + " of " + found +
                               ", this program reads versions up to " + std::to_string(newest) +
                               ": it was written by a newer fewwatt");
  return static_cast<int>(version);
}

bool Hdf5Reader::exists(const std::string& object) const {
  return find(object) != nullptr;
}

bool Hdf5Reader::is_group(const std::string& object) const {
  const auto* found = find(object);
  return found != nullptr && found->tag == FlatTag::group;
}

std::vector<std::string> Hdf5Reader::children(const std::string& object) const {
  return group(object).children;
}

bool Hdf5Reader::has_attribute(const std::string& object, const std::string& name) const {
  const auto* found = find(object);
  return found != nullptr && found->attributes.contains(name);
}

bool Hdf5Reader::is_text_attribute(const std::string& object, const std::string& name) const {
  return attribute(object, name).tag == FlatTag::text;
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& object) const {
  const auto* found = find(object);
  check(found != nullptr, at(path_, object) + ": no such object");
  std::vector<std::string> names;
  for (const auto& [name, value] : found->attributes) names.push_back(name);
  return names;
}

namespace {

void check_attribute(const FlatAttribute& attribute, std::initializer_list<FlatTag> allowed,
                     const char* expected, const std::string& where) {
  check(attribute.tag != FlatTag::unreadable || attribute.single, where + " must be a single value");
  check(std::find(allowed.begin(), allowed.end(), attribute.tag) != allowed.end(),
        where + " must be " + expected + ", found " + kind_of(attribute));
}

}  // namespace

std::string Hdf5Reader::text(const std::string& object, const std::string& name) const {
  const auto& found = attribute(object, name);
  check_attribute(found, {FlatTag::text}, class_name(H5T_STRING), at(path_, object, name));
  return found.text;
}

double Hdf5Reader::number(const std::string& object, const std::string& name) const {
  const auto& found = attribute(object, name);
  check_attribute(found, {FlatTag::number, FlatTag::integer}, class_name(H5T_FLOAT), at(path_, object, name));
  return found.tag == FlatTag::number ? found.number : static_cast<double>(found.integer);
}

std::int64_t Hdf5Reader::integer(const std::string& object, const std::string& name) const {
  const auto& found = attribute(object, name);
  check_attribute(found, {FlatTag::integer}, class_name(H5T_INTEGER), at(path_, object, name));
  return found.integer;
}

std::vector<double> Hdf5Reader::doubles(const std::string& name) const {
  return dataset(name, 1, FlatTag::doubles).doubles;
}

std::vector<double> Hdf5Reader::numbers(const std::string& name) const {
  const auto* found = find(name);
  if (found == nullptr || found->tag != FlatTag::ints) return doubles(name);
  const auto values = ints(name);
  return {values.begin(), values.end()};
}

std::vector<int> Hdf5Reader::ints(const std::string& name) const {
  return dataset(name, 1, FlatTag::ints).ints;
}

Hdf5Table<double> Hdf5Reader::double_table(const std::string& name) const {
  const auto& found = dataset(name, 2, FlatTag::doubles);
  return {static_cast<std::size_t>(found.shape[0]), static_cast<std::size_t>(found.shape[1]), found.doubles};
}

Hdf5Table<int> Hdf5Reader::int_table(const std::string& name) const {
  const auto& found = dataset(name, 2, FlatTag::ints);
  return {static_cast<std::size_t>(found.shape[0]), static_cast<std::size_t>(found.shape[1]), found.ints};
}

void Hdf5Reader::verify() const {
  for (const auto& [path, object] : tree_) {
    check(object.tag != FlatTag::other,
          at(path_, path) + ": expected a group or a table of numbers, found " + object.other);
    for (const auto& [name, attribute] : object.attributes) {
      check(attribute.tag != FlatTag::unreadable || attribute.single,
            at(path_, path, name) + " must be a single value");
      check(attribute.tag != FlatTag::unreadable,
            at(path_, path, name) + " must be text or a number, found " + attribute.text);
    }
  }
}

std::string format_of(const std::string& path) {
  try {
    const auto file = load_flat(path, {}, /*root_only=*/true);
    const auto& attributes = file.tree.at("/").attributes;
    const auto format = attributes.find("format");
    return format == attributes.end() || format->second.tag != FlatTag::text ? "" : format->second.text;
  } catch (const DataError&) {
    return "";
  }
}

Replaceable hdf5_file_of(const std::string& format) {
  return {"a " + format + " file", [format](const std::string& path) { return format_of(path) == format; }};
}

Hdf5Writer::Hdf5Writer(const std::string& path, const std::string& format, int version)
    : path_(path), format_(format), file_(-1) {
  const Quiet quiet;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access, std::size_t{1} << 20, /*backing_store=*/false);
  const Handle creation = timeless(H5P_FILE_CREATE);
  H5Pset_istore_k(creation,
                  2);  // datasets have few chunks: the default's index nodes are larger than most datasets
  file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
  check(file_ >= 0, "cannot build " + path + " in memory");
  try {
    digest_.object("/", FlatTag::group, 0, 1, 0, 0);
    text("/", "format", format);
    const int value = version;
    write_attribute(file_, path_, "/", "version", H5T_STD_I32LE, H5T_NATIVE_INT, &value);
    digest_.attribute("/", "version", FlatTag::integer, flat_bytes(std::int64_t{version}));
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
  make_group(file_, path_, group, digest_);
}

void Hdf5Writer::text(const std::string& object, const std::string& name, const std::string& text) {
  const std::string value = text.substr(0, text.find('\0'));  // HDF5 ends text there
  check(hw::is_utf8(value) && hw::is_utf8(name), at(path_, object, name) + " must be text in UTF-8, found '" +
                                                     hw::printable(value.substr(0, 100)) + "'");
  const Handle type = text_type(value.size());
  const char* start = value.c_str();
  const void* memory = H5Tis_variable_str(type) > 0 ? static_cast<const void*>(&start) : start;
  write_attribute(file_, path_, object, name, type, type, memory);
  digest_.attribute(object, name, FlatTag::text, value);
}

void Hdf5Writer::number(const std::string& object, const std::string& name, double value) {
  write_attribute(file_, path_, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
  digest_.attribute(object, name, FlatTag::number, flat_bytes(value));
}

void Hdf5Writer::integer(const std::string& object, const std::string& name, std::int64_t value) {
  write_attribute(file_, path_, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
  digest_.attribute(object, name, FlatTag::integer, flat_bytes(value));
}

namespace {

template <class T>
std::uint64_t crc_of(std::span<const T> values) {
  return crc64({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

}  // namespace

void Hdf5Writer::write(const std::string& dataset, std::span<const double> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.data(), digest_);
  digest_.object(dataset, FlatTag::doubles, shape[0], 1, 1, crc_of(values));
}

void Hdf5Writer::write(const std::string& dataset, std::span<const int> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_STD_I32LE, H5T_NATIVE_INT, values.data(), digest_);
  digest_.object(dataset, FlatTag::ints, shape[0], 1, 1, crc_of(values));
}

void Hdf5Writer::write(const std::string& dataset, std::span<const std::uint8_t> values) {
  const std::array<hsize_t, 1> shape{values.size()};
  write_dataset(file_, path_, dataset, shape, H5T_STD_U8LE, H5T_NATIVE_UINT8, values.data(), digest_);
  const std::vector<int> as_read(values.begin(), values.end());
  digest_.object(dataset, FlatTag::ints, shape[0], 1, 1, crc_of(std::span<const int>(as_read)));
}

void Hdf5Writer::write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                             std::span<const double> values) {
  check(values.size() == rows * cols, at(path_, dataset) + ": the shape does not fit the values");
  const std::array<hsize_t, 2> shape{rows, cols};
  write_dataset(file_, path_, dataset, shape, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.data(), digest_);
  digest_.object(dataset, FlatTag::doubles, rows, cols, 2, crc_of(values));
}

void Hdf5Writer::write_table(const std::string& dataset, std::size_t rows, std::size_t cols,
                             std::span<const int> values) {
  check(values.size() == rows * cols, at(path_, dataset) + ": the shape does not fit the values");
  const std::array<hsize_t, 2> shape{rows, cols};
  write_dataset(file_, path_, dataset, shape, H5T_STD_I32LE, H5T_NATIVE_INT, values.data(), digest_);
  digest_.object(dataset, FlatTag::ints, rows, cols, 2, crc_of(values));
}

void Hdf5Writer::commit() {
  const Quiet quiet;
  const std::string failed = "cannot build " + path_ + " in memory";
  text("/", kChecksumAttribute, digest_.checksum());
  check(H5Fflush(file_, H5F_SCOPE_LOCAL) >= 0, failed);
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  check(size > 0, failed);
  std::string image(static_cast<std::size_t>(size), '\0');
  check(H5Fget_file_image(file_, image.data(), image.size()) == size, failed);
  write_file(path_, image, hdf5_file_of(format_));
}

}  // namespace fewwatt::datasets
