#include "datasets/input_file.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "datasets/profile.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

// A half of a character without its other half becomes U+FFFD.
std::string from_utf16(std::string_view bytes, bool little_endian) {
  constexpr std::uint32_t kReplacement = 0xFFFD;
  const auto unit = [&](std::size_t i) {
    const auto a = static_cast<unsigned char>(bytes[2 * i]), b = static_cast<unsigned char>(bytes[2 * i + 1]);
    return static_cast<std::uint32_t>(little_endian ? b << 8 | a : a << 8 | b);
  };
  const auto is_half = [](std::uint32_t code, std::uint32_t first) {
    return code >= first && code < first + 0x400;
  };
  std::string text;
  for (std::size_t i = 0, n = bytes.size() / 2; i < n; ++i) {
    const auto code = unit(i);
    if (is_half(code, 0xD800) && i + 1 < n && is_half(unit(i + 1), 0xDC00)) {
      append_utf8(text, 0x10000 + ((code - 0xD800) << 10) + (unit(++i) - 0xDC00));
    } else {
      append_utf8(text, is_half(code, 0xD800) || is_half(code, 0xDC00) ? kReplacement : code);
    }
  }
  return text;
}

// Text without a mark whose characters have more than a byte: of every four bytes some are mostly 0, as digits, separators and line ends
// have them whatever the letters are.
enum class Wide { no, utf16_le, utf16_be, utf32 };
Wide wide_of(std::string_view bytes) {
  std::size_t zeros[4] = {0, 0, 0, 0};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] == 0) ++zeros[i % 4];
  const auto mostly = [&](std::size_t i) { return zeros[i] > bytes.size() / 8; };
  std::string found;
  for (std::size_t i = 0; i < 4; ++i) found += mostly(i) ? '0' : 'x';
  if (found == "x0x0") return Wide::utf16_le;
  if (found == "0x0x") return Wide::utf16_be;
  return found == "x000" || found == "000x" ? Wide::utf32 : Wide::no;
}

}  // namespace

hw::RegularFile open_input(const std::string& path) try {
  return hw::open_regular_file(path);
} catch (const hw::FileError& e) {
  throw DataError(e.what());
}

std::string read_file(const std::string& path, std::size_t most_bytes) try {
  return hw::read_regular_file(path, most_bytes, hw::Pipes::own);
} catch (const hw::FileError& e) {
  throw DataError(e.what());
}

std::string read_text(const std::string& path, std::size_t most_bytes) {
  using namespace std::string_view_literals;
  std::string text = read_file(path, most_bytes);
  const std::string_view bytes = text;
  if (bytes.starts_with("\xEF\xBB\xBF"sv)) return text.substr(3);
  const auto wide = wide_of(bytes);
  if (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv) || wide == Wide::utf32)
    throw DataError("cannot read " + path + ": it is text in UTF-32: save it as UTF-8");
  if (bytes.starts_with("\xFF\xFE"sv)) return from_utf16(bytes.substr(2), true);
  if (bytes.starts_with("\xFE\xFF"sv)) return from_utf16(bytes.substr(2), false);
  if (wide == Wide::utf16_le) return from_utf16(bytes, true);
  if (wide == Wide::utf16_be) return from_utf16(bytes, false);
  return text;
}

std::string read_lines(const std::string& path, std::size_t most_bytes) {
  return hw::with_plain_line_ends(read_text(path, most_bytes));
}

}  // namespace fewwatt::datasets
