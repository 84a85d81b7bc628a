#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fewwatt::hw {

// Bytes that are no message of the kind that was expected.
class MessageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Numbers and texts as bytes, for another process on this machine. Numbers take 8 bytes, in this machine's order; a text is its
// length and its bytes.
class MessageWriter {
 public:
  void number(std::int64_t value);
  void count(std::size_t value) { number(static_cast<std::int64_t>(value)); }
  void real(double value);
  void text(std::string_view value);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Takes a message apart again, in the same order. Everything throws MessageError where the bytes end too soon, or what they hold
// is out of bounds. `bytes` must outlive it.
class MessageReader {
 public:
  static constexpr std::size_t kLongestText = 1 << 16;

  explicit MessageReader(std::string_view bytes) : left_(bytes) {}
  std::int64_t number(std::int64_t lowest = std::numeric_limits<std::int64_t>::min(),
                      std::int64_t highest = std::numeric_limits<std::int64_t>::max());
  // How many elements follow: at most `most`, and not more than the bytes that are left.
  std::size_t count(std::size_t most);
  bool flag() { return number(0, 1) != 0; }
  double real();  // may be NaN or infinite
  std::string text(std::size_t longest = kLongestText);
  void end() const;  // throws unless all has been read

 private:
  std::string_view take(std::size_t size);
  std::string_view left_;
};

}  // namespace fewwatt::hw
