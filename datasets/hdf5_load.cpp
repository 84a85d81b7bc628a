#include "datasets/hdf5_load.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "datasets/hdf5_flat.hpp"
#include "datasets/hdf5_handle.hpp"

namespace fewwatt::datasets {
namespace {

// The file is damaged or refused; what() goes behind its name.
class LoadError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(bool ok, const std::string& message) {
  if (!ok) throw LoadError(message);
}

std::string of_attribute(const std::string& object, const std::string& name) {
  return ": " + object + ": attribute '" + name + "'";
}

// What H5Pset_file_image does not copy: the library keeps asking for buffers and gets this one.
struct Image {
  void* bytes;
  std::size_t size;
};

void* lend(std::size_t, H5FD_file_image_op_t, void* image) {
  return static_cast<Image*>(image)->bytes;
}
void* leave(void* to, const void*, std::size_t, H5FD_file_image_op_t, void*) {
  return to;
}
void* refuse_to_grow(void*, std::size_t, H5FD_file_image_op_t, void*) {
  return nullptr;
}
herr_t keep(void*, H5FD_file_image_op_t, void*) {
  return 0;
}
void* same(void* image) {
  return image;
}
herr_t keep_image(void*) {
  return 0;
}

Handle open_image(Image& image) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5FD_file_image_callbacks_t callbacks{lend, leave, refuse_to_grow, keep, same, keep_image, &image};
  H5Pset_fapl_core(access, std::size_t{1} << 16, /*backing_store=*/false);
  H5Pset_file_image_callbacks(access, &callbacks);
  H5Pset_file_image(access, image.bytes, image.size);
  // The library makes sure that there is no file of the image's name. There cannot be one of this.
  Handle file(H5Fopen("/dev/null/image", H5F_ACC_RDONLY, access), H5Fclose);
  check(file.ok(), " is a truncated or damaged HDF5 file");
  return file;
}

// Those that The HDF Group has registered and others use, by number.
std::string filter_name(H5Z_filter_t filter) {
  constexpr std::pair<int, const char*> kKnown[] = {{4, "szip"},      {5, "nbit"},     {6, "scaleoffset"},
                                                    {305, "lzo"},     {307, "bzip2"},  {32000, "lzf"},
                                                    {32001, "blosc"}, {32004, "lz4"},  {32008, "bitshuffle"},
                                                    {32013, "zfp"},   {32015, "zstd"}, {32026, "blosc2"}};
  for (const auto& [number, name] : kKnown)
    if (number == filter) return std::to_string(filter) + " (" + name + ')';
  return std::to_string(filter);
}

struct Link {
  std::string name;
  bool hard;
  haddr_t address;
};

struct Entry {
  std::string path;
  FlatTag tag;
  std::string other;
  int rank = 0;
  std::array<hsize_t, 2> shape{0, 1};
  bool fits_int = true;  // every value of the type is an int
};

class Loader {
 public:
  Loader(std::span<char> bytes, const LoadOptions& options, const FlatSink& sink)
      : image_{bytes.data(), bytes.size()},
        file_(open_image(image_)),
        options_(options),
        sink_(sink),
        left_(options.most_bytes) {}

  void load() {
    entries_.push_back({"/", FlatTag::group, ""});
    if (!options_.root_only) {
      const Handle root(H5Gopen2(file_, "/", H5P_DEFAULT), H5Gclose);
      H5O_info_t info;
      check(root.ok() && H5Oget_info(root, &info) >= 0, " is a truncated or damaged HDF5 file");
      seen_.insert(info.addr);
      survey(root, "", 1);
    }
    for (const auto& entry : entries_) write(entry);
    put(FlatTag::end);
  }

 private:
  void spend(std::uint64_t bytes, const std::string& object) {
    check(bytes <= left_, ": " + object + ": too large: all values of a file may take " +
                              std::to_string(options_.most_bytes >> 20) +
                              " MB, a quarter of what FEWWATT_READER_MB allows");
    left_ -= bytes;
  }

  // Notes what is in a group whose path is `path`, "" for the root.
  void survey(hid_t group, const std::string& path, int depth) {
    for (const auto& link : links_of(group, path)) {
      const std::string object = path + "/" + link.name;
      spend(kBytesPerEntry + object.size(), object);
      const bool named = !link.name.empty() && link.name != "." && link.name.find('/') == std::string::npos;
      check(named, ": " + object + ": a name that no object can have, the file is damaged");
      check(link.hard, ": " + object + ": is a link that leads elsewhere, only hard links are read");
      check(seen_.insert(link.address).second,
            ": " + object + ": is the same object as another one of the file");
      const Handle opened(H5Oopen(group, link.name.c_str(), H5P_DEFAULT), H5Oclose);
      check(opened.ok(), ": " + object + ": cannot be opened, the file is damaged");
      const auto kind = H5Iget_type(opened);
      if (kind == H5I_GROUP) {
        check(depth <= kMostDepth,
              ": " + object + ": lies deeper than " + std::to_string(kMostDepth) + " groups");
        entries_.push_back({object, FlatTag::group, ""});
        survey(opened, object, depth + 1);
      } else if (kind == H5I_DATASET) {
        entries_.push_back(survey_dataset(opened, object));
      } else {
        entries_.push_back({object, FlatTag::other, "a type"});
      }
    }
  }

  std::vector<Link> links_of(hid_t group, const std::string& path) const {
    struct Found {
      std::vector<Link> links;
      std::uint64_t most;
      bool too_many = false;
    } found{{}, left_ / kBytesPerEntry};
    const auto collect = [](hid_t, const char* name, const H5L_info_t* info, void* data) -> herr_t {
      auto& to = *static_cast<Found*>(data);
      to.too_many = to.links.size() >= to.most;
      if (to.too_many) return -1;
      const bool hard = info->type == H5L_TYPE_HARD;
      to.links.push_back({name, hard, hard ? info->u.address : HADDR_UNDEF});
      return 0;
    };
    const bool listed = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, +collect, &found) >= 0;
    const std::string object = path.empty() ? "/" : path;
    check(!found.too_many, ": " + object + ": has too many members");
    check(listed, ": " + object + ": cannot be listed, the file is damaged");
    return std::move(found.links);
  }

  Entry survey_dataset(hid_t dataset, const std::string& object) {
    const std::string damaged = ": " + object + ": cannot be opened, the file is damaged";
    const Handle space(H5Dget_space(dataset), H5Sclose);
    const Handle type(H5Dget_type(dataset), H5Tclose);
    const Handle list(H5Dget_create_plist(dataset), H5Pclose);
    check(space.ok() && type.ok() && list.ok(), damaged);
    const auto layout = H5Pget_layout(list);
    check(layout != H5D_VIRTUAL, ": " + object + ": is a virtual dataset, which is not read");
    check(layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT, damaged);
    check(H5Pget_external_count(list) == 0, ": " + object + ": lies in other files, which are not read");
    const int filters = H5Pget_nfilters(list);
    check(filters >= 0 && filters <= 8, damaged);
    for (int i = 0; i < filters; ++i) {
      unsigned flags = 0;
      std::size_t values = 0;
      const auto filter =
          H5Pget_filter2(list, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, nullptr);
      check(filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32,
            ": " + object + ": filter " + filter_name(filter) +
                " is not read, only deflate (gzip), shuffle and fletcher32: write the file again with one of "
                "these or none");
    }

    const auto what = H5Tget_class(type);
    const std::size_t size = H5Tget_size(type);
    const int rank = H5Sget_simple_extent_ndims(space);
    const bool numbers = (what == H5T_INTEGER && size <= 8) || (what == H5T_FLOAT && size <= 16);
    check(rank >= 0, damaged);
    if (!numbers || H5Sget_simple_extent_type(space) != H5S_SIMPLE || rank < 1 || rank > 2)
      return {object, FlatTag::other, class_name(what), rank};
    Entry entry{object, what == H5T_INTEGER ? FlatTag::ints : FlatTag::doubles, "", rank};
    entry.fits_int = size < 4 || (size == 4 && H5Tget_sign(type) == H5T_SGN_2);
    check(H5Sget_simple_extent_dims(space, entry.shape.data(), nullptr) == rank, damaged);
    constexpr std::uint64_t most = std::uint64_t{1} << 40;  // so that products do not overflow
    check(entry.shape[0] <= most && entry.shape[1] <= most &&
              (entry.shape[1] == 0 || entry.shape[0] <= most / entry.shape[1]),
          ": " + object + ": impossible size");
    if (layout == H5D_CHUNKED) {
      std::array<hsize_t, 2> chunk{0, 1};
      check(H5Pget_chunk(list, 2, chunk.data()) == rank, damaged);
      const std::uint64_t room = options_.most_bytes / size;
      check(chunk[0] <= room && chunk[1] <= room && (chunk[1] == 0 || chunk[0] <= room / chunk[1]),
            ": " + object + ": impossible size of its chunks");
    }
    const std::uint64_t count = entry.shape[0] * entry.shape[1];
    spend(count * (entry.tag == FlatTag::ints ? sizeof(int) : sizeof(double)), object);
    return entry;
  }

  void write(const Entry& entry) {
    const Handle object(H5Oopen(file_, entry.path.c_str(), H5P_DEFAULT), H5Oclose);
    check(object.ok(), ": " + entry.path + ": cannot be opened, the file is damaged");
    if (entry.tag == FlatTag::ints) {
      const auto values =
          entry.fits_int ? read<int>(object, entry, H5T_NATIVE_INT) : read_wide(object, entry);
      put_values(entry, values.data(), values.size() * sizeof(int));
    } else if (entry.tag == FlatTag::doubles) {
      const auto values = read<double>(object, entry, H5T_NATIVE_DOUBLE);
      put_values(entry, values.data(), values.size() * sizeof(double));
    } else {
      put(entry.tag);
      put_text(entry.path);
      if (entry.tag == FlatTag::other) {
        put_text(entry.other);
        put_number(static_cast<std::uint8_t>(std::min(entry.rank, 255)));
      }
    }
    for (const auto& name : attributes_of(object, entry.path)) write_attribute(object, entry.path, name);
  }

  template <class T>
  std::vector<T> read(hid_t dataset, const Entry& entry, hid_t memory_type) const {
    std::vector<T> values(entry.shape[0] * entry.shape[1]);
    check(values.empty() || H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
          ": " + entry.path + ": cannot be read, the file is damaged");
    return values;
  }

  // Of a type with values that are no int; HDF5 itself would clamp them without a word.
  std::vector<int> read_wide(hid_t dataset, const Entry& entry) const {
    const auto wide = read<std::int64_t>(dataset, entry, H5T_NATIVE_INT64);
    std::vector<int> values;
    values.reserve(wide.size());
    for (const auto value : wide) {
      check(value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max(),
            ": " + entry.path + ": expected integers of 32 bits, found " + std::to_string(value));
      values.push_back(static_cast<int>(value));
    }
    return values;
  }

  std::vector<std::string> attributes_of(hid_t object, const std::string& path) {
    struct Found {
      std::vector<std::string> names;
      std::uint64_t most;
    } found{{}, left_ / kBytesPerEntry};
    const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
      auto& to = *static_cast<Found*>(data);
      if (to.names.size() >= to.most) return -1;
      to.names.emplace_back(name);
      return 0;
    };
    check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, +collect, &found) >= 0,
          ": " + path + ": its attributes cannot be listed, the file is damaged");
    return std::move(found.names);
  }

  void write_attribute(hid_t object, const std::string& path, const std::string& name) {
    const std::string unreadable = of_attribute(path, name) + " cannot be read, the file is damaged";
    spend(kBytesPerEntry + name.size(), path);
    const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
    check(attribute.ok(), unreadable);
    const Handle space(H5Aget_space(attribute), H5Sclose);
    const Handle type(H5Aget_type(attribute), H5Tclose);
    check(space.ok() && type.ok(), unreadable);
    const bool single = H5Sget_simple_extent_npoints(space) == 1;
    const auto what = H5Tget_class(type);
    const std::size_t size = H5Tget_size(type);
    if (single && what == H5T_STRING) {
      const auto value = read_text(attribute, type, size, path, unreadable);
      spend(value.size(), path);
      put(FlatTag::text);
      put_text(name);
      put_text(value);
    } else if (single && what == H5T_INTEGER && size <= 8) {
      std::int64_t value = 0;
      if (size == 8 && H5Tget_sign(type) == H5T_SGN_NONE) {
        std::uint64_t wide = 0;
        check(H5Aread(attribute, H5T_NATIVE_UINT64, &wide) >= 0, unreadable);
        check(wide <= std::numeric_limits<std::int64_t>::max(),
              of_attribute(path, name) + ": expected an integer of 63 bits, found " + std::to_string(wide));
        value = static_cast<std::int64_t>(wide);
      } else {
        check(H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0, unreadable);
      }
      put(FlatTag::integer);
      put_text(name);
      put_number(value);
    } else if (single && what == H5T_FLOAT && size <= 16) {
      double value = 0;
      check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) >= 0, unreadable);
      put(FlatTag::number);
      put_text(name);
      put_number(value);
    } else {
      put(FlatTag::unreadable);
      put_text(name);
      put_text(class_name(what));
      put_number(static_cast<std::uint8_t>(single));
    }
  }

  // Up to the first NUL.
  std::string read_text(hid_t attribute, hid_t type, std::size_t size, const std::string& path,
                        const std::string& unreadable) {
    if (H5Tis_variable_str(type) > 0) {
      char* value = nullptr;
      check(H5Aread(attribute, type, &value) >= 0, unreadable);
      std::string result = value == nullptr ? "" : value;
      H5free_memory(value);
      return result;
    }
    spend(size, path);
    std::string value(size, '\0');
    check(H5Aread(attribute, type, value.data()) >= 0, unreadable);
    left_ += size;  // what is kept of it is counted by the caller
    value.resize(std::min(value.find('\0'), size));
    return value;
  }

  void put(FlatTag tag) { put_number(static_cast<std::uint8_t>(tag)); }

  template <class T>
  void put_number(T value) {
    sink_({reinterpret_cast<const char*>(&value), sizeof value});
  }

  void put_text(const std::string& text) {
    put_number(static_cast<std::uint32_t>(text.size()));
    sink_(text);
  }

  void put_values(const Entry& entry, const void* values, std::size_t bytes) {
    put(entry.tag);
    put_text(entry.path);
    put_number(static_cast<std::uint8_t>(entry.rank));
    for (int i = 0; i < entry.rank; ++i) put_number(std::uint64_t{entry.shape[static_cast<std::size_t>(i)]});
    if (bytes > 0) sink_({static_cast<const char*>(values), bytes});
  }

  Image image_;
  const Handle file_;
  const LoadOptions& options_;
  const FlatSink& sink_;
  std::uint64_t left_;
  std::set<haddr_t> seen_;
  std::vector<Entry> entries_;
};

}  // namespace

void load_hdf5(std::span<char> image, const LoadOptions& options, const FlatSink& sink) {
  const Quiet quiet;
  // No file makes the library load code: filters that it does not have built in are refused.
  H5PLset_loading_state(0);
  try {
    Loader(image, options, sink).load();
  } catch (const LoadError& e) {
    const std::string message = e.what();
    std::string record(1, static_cast<char>(FlatTag::error));
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(message.size(), 1000));
    record.append(reinterpret_cast<const char*>(&size), sizeof size).append(message, 0, size);
    sink(record);
  }
}

void start_hdf5() {
  H5dont_atexit();
  H5open();
}

}  // namespace fewwatt::datasets
