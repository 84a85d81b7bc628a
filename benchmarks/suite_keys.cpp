#include "benchmarks/suite_keys.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "hw/modules.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;

// Throws std::invalid_argument for anything but a whole number from `least`.
std::size_t parse_count_from(std::size_t least, const std::string& text) {
  double value = 0;
  if (!datasets::parse_number(text, value) || value < static_cast<double>(least) || value > 1e6 ||
      value != std::floor(value))
    throw std::invalid_argument("expected whole numbers from " + std::to_string(least) +
                                " to 1000000, found '" + text + "'");
  return static_cast<std::size_t>(value);
}

template <class T>
bool has_repeats(const std::vector<T>& values) {
  return std::set<T>(values.begin(), values.end()).size() != values.size();
}

std::vector<std::size_t> counts_from(std::size_t least, const std::string& text) {
  std::vector<std::size_t> counts;
  for (const auto& part : parse_list(text)) counts.push_back(parse_count_from(least, part));
  if (has_repeats(counts)) throw std::invalid_argument("a number is there twice in '" + text + "'");
  return counts;
}

}  // namespace

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

std::vector<std::string> cut(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (const auto part : hw::split(text, separator)) parts.push_back(trim(part));
  return parts;
}

std::vector<std::string> parse_list(const std::string& text) {
  auto parts = cut(text, ',');
  if (has_repeats(parts) || std::find(parts.begin(), parts.end(), "") != parts.end())
    throw std::invalid_argument("expected a comma-separated list without empty or repeated parts, found '" +
                                text + "'");
  return parts;
}

std::size_t parse_count(const std::string& text) {
  return parse_count_from(1, text);
}

std::vector<std::size_t> parse_counts(const std::string& text) {
  return counts_from(1, text);
}

std::vector<std::size_t> parse_shots(const std::string& text) {
  return counts_from(0, text);
}

void refuse(const IniSection& section, const std::string& key, const std::string& expected) {
  throw DataError(section.where + ": " + key + ": expected " + expected + ", found '" +
                  section.text_or(key, "") + "'");
}

std::size_t count_of(const IniSection& section, const std::string& key) {
  const auto counts = parse_key(section, key, parse_counts);
  if (counts.size() != 1) refuse(section, key, "one whole number from 1");
  return counts[0];
}

double positive(const IniSection& section, const std::string& key) {
  const double value = section.number(key);
  if (!(value > 0) || !std::isfinite(value)) refuse(section, key, "a number above 0");
  return value;
}

void check_presets_of(const std::string& where, const std::string& module, const std::string& device) {
  const auto known = hw::modules();
  const bool is_board =
      std::any_of(known.begin(), known.end(), [&](const auto& board) { return board.name == device; });
  if (is_board && module != device)
    throw DataError(where + ": module: expected " + device + ", the board of the suite, found " + module +
                    ", whose presets are another board's");
}

}  // namespace fewwatt::benchmarks
