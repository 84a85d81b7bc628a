#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fewwatt::datasets {

// A section of an INI file, with its keys in the order of the file. A comment is a line that starts with ; or #.
struct IniSection {
  std::string where;                                         // "path: [name]", for messages
  std::string name;                                          // without the brackets
  std::vector<std::pair<std::string, std::string>> entries;  // key, value; no key twice

  const std::string* find(std::string_view key) const;  // nullptr for none
  std::string text(std::string_view key) const;         // throws DataError when it is missing
  std::string text_or(std::string_view key, std::string fallback) const;  // `fallback` when it is missing
  double number(std::string_view key) const;  // throws DataError when it is missing or not a number
  double number_or(std::string_view key, double fallback) const;  // throws DataError when it is not a number

  // Throws DataError naming the section, the first key that is not known, and those that are.
  void check_keys(std::span<const std::string_view> known) const;
  // The same, of a list in braces.
  void check_keys(std::initializer_list<std::string_view> known) const {
    check_keys(std::span<const std::string_view>(known.begin(), known.size()));
  }
};

// An INI file.
struct IniFile {
  std::string path;                  // as it was given
  std::vector<IniSection> sections;  // no name twice; those without a key are left out

  const IniSection* find(std::string_view name) const;     // nullptr for none
  const IniSection& section(std::string_view name) const;  // throws DataError when it is missing
};

// Reads an INI file. Throws DataError naming the file and the line: unreadable, neither section nor `key = value`, a section or
// key twice, a key before the first section.
IniFile read_ini(const std::string& path);

}  // namespace fewwatt::datasets
