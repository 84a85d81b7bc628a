#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fewwatt::hw {

// A string as it is, a number as std::to_string says it.
template <class Value>
std::string as_text(const Value& value) {
  if constexpr (std::is_arithmetic_v<Value>)
    return std::to_string(value);
  else
    return std::string(value);
}

// What text_of says of each value of a range, with the separator between them: "a, b".
template <class Range, class TextOf>
std::string join(const Range& values, std::string_view separator, const TextOf& text_of) {
  std::string text;
  bool first = true;
  for (const auto& value : values) {
    if (!std::exchange(first, false)) text += separator;
    text += text_of(value);
  }
  return text;
}
template <class Range>
std::string join(const Range& values, std::string_view separator = ", ") {
  return join(values, separator, [](const auto& value) { return as_text(value); });
}

// The pieces between separators, empty ones too; of "" one, empty. They are views of the text.
std::vector<std::string_view> split(std::string_view text, char separator);

// The text with every line end (\r\n or \r) as \n.
std::string with_plain_line_ends(std::string_view text);

}  // namespace fewwatt::hw
