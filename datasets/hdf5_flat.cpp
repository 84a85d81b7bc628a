#include "datasets/hdf5_flat.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "datasets/profile.hpp"
#include "hw/printable.hpp"

namespace fewwatt::datasets {
namespace {

// Eight tables, so that eight bytes are taken at once: a model's megabyte in less than 1 ms.
struct CrcTables {
  std::array<std::array<std::uint64_t, 256>, 8> of{};
  constexpr CrcTables() {
    for (std::uint64_t i = 0; i < 256; ++i) {
      std::uint64_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xc96c5795d7870f42 : 0);
      of[0][i] = crc;
    }
    for (std::size_t i = 0; i < 256; ++i) {
      for (std::size_t k = 1; k < 8; ++k) of[k][i] = of[k - 1][i] >> 8 ^ of[0][of[k - 1][i] & 0xff];
    }
  }
};
constexpr CrcTables kCrc;

std::string bytes_of(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(value & 0xff), value >>= 8;
  return bytes;
}

// A name that could run into what follows it would let two contents have one checksum.
std::string framed(std::string_view text) {
  return bytes_of(text.size()) + std::string(text);
}

class Parser {
 public:
  Parser(FlatSource& source, const std::string& path, std::uint64_t most_bytes)
      : source_(source), path_(path), left_(most_bytes) {}

  FlatFile parse() {
    for (;;) {
      const auto tag = static_cast<FlatTag>(number<std::uint8_t>());
      switch (tag) {
        case FlatTag::group:
        case FlatTag::ints:
        case FlatTag::doubles:
        case FlatTag::other:
          object(tag);
          break;
        case FlatTag::text:
        case FlatTag::number:
        case FlatTag::integer:
        case FlatTag::unreadable:
          attribute(tag);
          break;
        case FlatTag::error:
          throw DataError(path_ + hw::printable(text(kMostMessage)));
        case FlatTag::end:
          if (file_.tree.empty()) fail();
          for (auto& [name, object] : file_.tree) std::sort(object.children.begin(), object.children.end());
          file_.checksum = digest_.checksum();
          return std::move(file_);
        default:
          fail();
      }
    }
  }

 private:
  static constexpr std::uint32_t kMostMessage = 1000, kMostPath = 1 << 16;

  // The reader that wrote this was taken over by the file, or is another version.
  [[noreturn]] void fail() const {
    throw DataError(path_ + " is damaged: its reader says what makes no sense");
  }

  void spend(std::uint64_t bytes) {
    if (bytes > left_) fail();
    left_ -= bytes;
  }

  template <class T>
  T number() {
    T value;
    source_.take(&value, sizeof value);
    return value;
  }

  std::string text(std::uint32_t most) {
    const auto size = number<std::uint32_t>();
    if (size > most) fail();
    spend(size);
    std::string value;
    constexpr std::size_t kAtOnce = 1 << 20;
    while (value.size() < size) {
      const std::size_t start = value.size(), part = std::min<std::size_t>(kAtOnce, size - start);
      value.resize(start + part);
      source_.take(value.data() + start, part);
    }
    return value;
  }

  std::string utf8(std::uint32_t most, const std::string& of) {
    auto value = text(most);
    if (!hw::is_utf8(value))
      throw DataError(path_ + of + ": expected text in UTF-8, found " + hw::printable(value.substr(0, 100)));
    return value;
  }

  // Values arrive in parts, so that no claimed size is believed. Returns their CRC.
  template <class T>
  std::uint64_t values(std::vector<T>& to, std::uint64_t count) {
    constexpr std::uint64_t kAtOnce = (1 << 20) / sizeof(T);
    std::uint64_t crc = 0;
    if (count <= kAtOnce) to.reserve(count);
    while (to.size() < count) {
      const std::size_t start = to.size();
      const auto part = static_cast<std::size_t>(std::min(kAtOnce, count - start));
      to.resize(start + part);
      source_.take(to.data() + start, part * sizeof(T));
      crc = crc64({reinterpret_cast<const char*>(to.data() + start), part * sizeof(T)}, crc);
    }
    return crc;
  }

  // Enters the path into its group, and returns the new object.
  FlatObject& enter(const std::string& path) {
    if (path == "/") {
      if (!file_.tree.empty()) fail();
    } else {
      const auto slash = path.rfind('/');
      if (slash == std::string::npos || slash + 1 == path.size()) fail();
      const auto group = file_.tree.find(slash == 0 ? "/" : path.substr(0, slash));
      if (group == file_.tree.end() || group->second.tag != FlatTag::group) fail();
      if (std::count(path.begin(), path.end(), '/') > kMostDepth) fail();
      group->second.children.push_back(path.substr(slash + 1));
    }
    const auto [object, is_new] = file_.tree.try_emplace(path);
    if (!is_new) fail();
    return object->second;
  }

  void object(FlatTag tag) {
    spend(kBytesPerEntry);
    last_ = utf8(kMostPath, ": a name in it");
    auto& object = enter(last_);
    object.tag = tag;
    std::uint64_t crc = 0;
    if (tag == FlatTag::other) {
      object.other = text(kMostMessage);
      object.rank = number<std::uint8_t>();
    } else if (tag != FlatTag::group) {
      object.rank = number<std::uint8_t>();
      if (object.rank != 1 && object.rank != 2) fail();
      const std::uint64_t size = tag == FlatTag::ints ? sizeof(int) : sizeof(double);
      std::uint64_t count = 1;
      for (int i = 0; i < object.rank; ++i) {
        auto& dimension = object.shape[static_cast<std::size_t>(i)];
        dimension = number<std::uint64_t>();
        if (count != 0 && dimension > left_ / size / count) fail();
        if (dimension > std::uint64_t{1} << 48) fail();
        count *= dimension;
      }
      spend(count * size);
      crc = tag == FlatTag::ints ? values(object.ints, count) : values(object.doubles, count);
    }
    digest_.object(last_, tag, object.shape[0], object.shape[1], object.rank, crc);
  }

  void attribute(FlatTag tag) {
    if (file_.tree.empty()) fail();
    spend(kBytesPerEntry);
    const auto name = utf8(kMostPath, ": " + hw::printable(last_) + ": an attribute's name");
    const auto [entry, is_new] = file_.tree.at(last_).attributes.try_emplace(name);
    if (!is_new) fail();
    auto& attribute = entry->second;
    attribute.tag = tag;
    std::string value;
    if (tag == FlatTag::text) {
      value = attribute.text =
          utf8(static_cast<std::uint32_t>(std::min<std::uint64_t>(left_, UINT32_MAX)),
               ": " + hw::printable(last_) + ": attribute '" + hw::printable(name) + "'");
    } else if (tag == FlatTag::number) {
      attribute.number = number<double>();
      value = flat_bytes(attribute.number);
    } else if (tag == FlatTag::integer) {
      attribute.integer = number<std::int64_t>();
      value = flat_bytes(attribute.integer);
    } else {
      value = attribute.text = text(kMostMessage);
      attribute.single = number<std::uint8_t>() != 0;
    }
    digest_.attribute(last_, name, tag, value);
  }

  FlatSource& source_;
  const std::string& path_;
  std::uint64_t left_;
  std::string last_;
  FlatFile file_;
  FlatDigest digest_;
};

}  // namespace

std::uint64_t crc64(std::string_view bytes, std::uint64_t before) {
  std::uint64_t crc = ~before;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  if constexpr (std::endian::native == std::endian::little) {
    for (; left >= 8; left -= 8, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      word ^= crc;
      crc = 0;
      for (std::size_t k = 0; k < 8; ++k) crc ^= kCrc.of[7 - k][word >> (8 * k) & 0xff];
    }
  }
  for (; left > 0; --left, ++at) crc = crc >> 8 ^ kCrc.of[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  return ~crc;
}

std::string flat_bytes(double value) {
  return bytes_of(std::bit_cast<std::uint64_t>(value));
}

std::string flat_bytes(std::int64_t value) {
  return bytes_of(static_cast<std::uint64_t>(value));
}

void FlatDigest::object(const std::string& path, FlatTag tag, std::uint64_t rows, std::uint64_t cols,
                        int rank, std::uint64_t crc_of_values) {
  objects_[path].head = static_cast<char>(tag) + framed(path) + bytes_of(rows) + bytes_of(cols) +
                        bytes_of(static_cast<std::uint64_t>(rank)) + bytes_of(crc_of_values);
}

void FlatDigest::attribute(const std::string& path, const std::string& name, FlatTag tag,
                           std::string_view value) {
  if (path == "/" && name == kChecksumAttribute) return;
  objects_[path].attributes[name] = static_cast<char>(tag) + framed(name) + framed(value);
}

std::string FlatDigest::checksum() const {
  std::uint64_t crc = 0;
  for (const auto& [path, object] : objects_) {
    crc = crc64(object.head, crc);
    for (const auto& [name, bytes] : object.attributes) crc = crc64(bytes, crc);
  }
  std::string text = "crc64:";
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[crc >> shift & 15];
  return text;
}

FlatFile read_flat(FlatSource& source, const std::string& path, std::uint64_t most_bytes) {
  return Parser(source, path, most_bytes).parse();
}

}  // namespace fewwatt::datasets
