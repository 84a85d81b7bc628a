#pragma once

#include <cstddef>
#include <functional>
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

// How many letters must be put in, left out, changed, or swapped with their neighbour to make `b` of `a`. Bytes count as letters.
std::size_t edit_distance(std::string_view a, std::string_view b);

// At most `count` of `names`, those with the smallest edit distance to `name` first.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count = 3);

// The one of `known` that `name` seems to be meant for: no more than a third of its letters are wrong, or it is the beginning of that
// one alone. Case, and whether it is '_' or '-', does not count. "" for none.
std::string meant_name(std::string_view name, const std::vector<std::string>& known);

// The end of a message that refuses `name`: "; did you mean gp?", with the name_of of one of `known`, or "" where none is near.
template <class Range, class NameOf = std::identity>
std::string did_you_mean(std::string_view name, const Range& known, const NameOf& name_of = {}) {
  std::vector<std::string> names;
  for (const auto& one : known) names.emplace_back(std::invoke(name_of, one));
  const auto meant = meant_name(name, names);
  return meant.empty() ? "" : "; did you mean " + meant + "?";
}

// The text with every line end (\r\n or \r) as \n.
std::string with_plain_line_ends(std::string_view text);

}  // namespace fewwatt::hw
