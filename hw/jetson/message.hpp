#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fewwatt::hw {

// A message is not of the kind that was expected.
class MessageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Puts numbers and texts into a message for another process on this machine. Numbers take 8 bytes, in this machine's order; a text is
// its length and its bytes.
class MessageWriter {
 public:
  void number(std::int64_t value);                                             // a whole number
  void count(std::size_t value) { number(static_cast<std::int64_t>(value)); }  // how many elements follow
  void real(double value);                                                     // NaN and infinity too
  void text(std::string_view value);                                           // any bytes
  const std::string& bytes() const { return bytes_; }                          // the message

 private:
  std::string bytes_;
};

// Takes a message apart, in the order in which it was put together. Each function throws MessageError where the bytes end too soon, or the
// value is out of bounds. `bytes` must outlive it.
class MessageReader {
 public:
  static constexpr std::size_t kLongestText = 1 << 16;  // bytes

  explicit MessageReader(std::string_view bytes) : left_(bytes) {}  // nothing is read yet
  // A whole number in [lowest, highest].
  std::int64_t number(std::int64_t lowest = std::numeric_limits<std::int64_t>::min(),
                      std::int64_t highest = std::numeric_limits<std::int64_t>::max());
  // How many elements follow: at most `most`, and not more than the bytes that are left.
  std::size_t count(std::size_t most);
  bool flag() { return number(0, 1) != 0; }              // 0 or 1
  double real();                                         // may be NaN or infinite
  std::string text(std::size_t longest = kLongestText);  // at most that many bytes
  void end() const;                                      // throws unless everything has been read

 private:
  std::string_view take(std::size_t size);
  std::string_view left_;
};

}  // namespace fewwatt::hw
