#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fewwatt::datasets {

// Sections and keys of an INI file in the order of the file. A comment is a line that starts with ; or #.
struct IniSection {
  std::string where;  // "path: [name]", for messages
  std::string name;
  std::vector<std::pair<std::string, std::string>> entries;  // key, value; no key twice

  const std::string* find(std::string_view key) const;  // nullptr for none
  std::string text(std::string_view key) const;         // throws DataError when it is missing
  std::string text_or(std::string_view key, std::string fallback) const;
  double number(std::string_view key) const;  // throws DataError when it is missing or not a number
  double number_or(std::string_view key, double fallback) const;

  // Throws DataError naming the section, the first key that is not known, and those that are.
  void check_keys(std::span<const std::string_view> known) const;
  void check_keys(std::initializer_list<std::string_view> known) const {
    check_keys(std::span<const std::string_view>(known.begin(), known.size()));
  }
};

struct IniFile {
  std::string path;
  std::vector<IniSection> sections;  // no name twice; those without a key are left out

  const IniSection* find(std::string_view name) const;     // nullptr for none
  const IniSection& section(std::string_view name) const;  // throws DataError when it is missing
};

// Throws DataError naming the file and the line: unreadable, neither section nor `key = value`, a section or
// key twice, a key before the first section.
IniFile read_ini(const std::string& path);

}  // namespace fewwatt::datasets
