#include "hw/text.hpp"

#include <algorithm>
#include <numeric>

namespace fewwatt::hw {
namespace {

constexpr std::size_t kLongestName = 100;      // bytes; nobody meant a known name by a longer one
constexpr std::size_t kShortestBeginning = 3;  // letters that say which name was begun

// "Max_Power_W" -> "max-power-w"
std::string folded(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
  }
  return text;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (true) {
    const auto end = text.find(separator);
    pieces.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return pieces;
    text.remove_prefix(end + 1);
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between beginnings of a and of b: of i - 2, i - 1 and i letters of a.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const auto& other : names) ranked.emplace_back(edit_distance(name, other), other);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

std::string meant_name(std::string_view name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kLongestName) return "";
  const auto typed = folded(name);
  std::size_t least = std::max<std::size_t>(1, typed.size() / 3) + 1;
  std::string nearest, begun;
  std::size_t beginnings = 0;
  for (const auto& one : known) {
    const auto other = folded(one);
    // With every letter changed nothing of the name is left.
    if (const auto distance = edit_distance(typed, other); distance < std::min(least, typed.size())) {
      least = distance;
      nearest = one;
    }
    if (typed.size() >= kShortestBeginning && other.starts_with(typed)) {
      ++beginnings;
      begun = one;
    }
  }
  if (!nearest.empty()) return nearest;
  return beginnings == 1 ? begun : "";
}

std::string with_plain_line_ends(std::string_view text) {
  std::string lines;
  lines.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r')
      lines += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n')
      lines += '\n';
  }
  return lines;
}

}  // namespace fewwatt::hw
