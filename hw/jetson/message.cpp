#include "hw/jetson/message.hpp"

#include <cstring>

namespace fewwatt::hw {

void MessageWriter::number(std::int64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  bytes_.append(bytes, sizeof value);
}

void MessageWriter::real(double value) {
  std::int64_t bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  number(bits);
}

void MessageWriter::text(std::string_view value) {
  count(value.size());
  bytes_.append(value);
}

std::string_view MessageReader::take(std::size_t size) {
  if (size > left_.size())
    throw MessageError("the message ends too soon: expected " + std::to_string(size) + " bytes more, found " +
                       std::to_string(left_.size()));
  const auto taken = left_.substr(0, size);
  left_.remove_prefix(size);
  return taken;
}

std::int64_t MessageReader::number(std::int64_t lowest, std::int64_t highest) {
  std::int64_t value = 0;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  if (value < lowest || value > highest)
    throw MessageError("expected a number from " + std::to_string(lowest) + " to " + std::to_string(highest) +
                       ", found " + std::to_string(value));
  return value;
}

std::size_t MessageReader::count(std::size_t most) {
  const auto value = static_cast<std::size_t>(number(0, static_cast<std::int64_t>(most)));
  if (value > left_.size())
    throw MessageError("expected " + std::to_string(value) + " elements in " + std::to_string(left_.size()) +
                       " bytes");
  return value;
}

double MessageReader::real() {
  double value = 0;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

std::string MessageReader::text(std::size_t longest) {
  return std::string(take(count(longest)));
}

void MessageReader::end() const {
  if (!left_.empty()) throw MessageError(std::to_string(left_.size()) + " bytes too many in a message");
}

}  // namespace fewwatt::hw
