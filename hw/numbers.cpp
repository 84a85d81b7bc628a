#include "hw/numbers.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace fewwatt::hw {
namespace {

template <class T>
std::optional<T> spelled(std::string_view text, T least, T most) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !(value >= least && value <= most)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text, std::int64_t least, std::int64_t most) {
  return spelled(text, least, most);
}

std::optional<int> whole_int(std::string_view text, int least, int most) {
  return spelled(text, least, most);
}

std::optional<std::uint64_t> natural_number(std::string_view text, std::uint64_t most) {
  return spelled(text, std::uint64_t{0}, most);
}

std::optional<double> real_number(std::string_view text, double least, double most) {
  return spelled(text, least, most);
}

std::optional<int> as_int(double value, int least, int most) {
  if (!(value >= least && value <= most) || value != std::floor(value)) return std::nullopt;
  return static_cast<int>(value);
}

std::optional<int> as_int(std::int64_t value, int least, int most) {
  if (value < least || value > most) return std::nullopt;
  return static_cast<int>(value);
}

std::string number_text(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace fewwatt::hw
