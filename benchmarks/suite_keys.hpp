#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "datasets/profile.hpp"

// Parsing of keys that suites of all kinds share.
namespace fewwatt::benchmarks {

std::string trim(std::string_view text);                                // without the blanks around it
std::vector<std::string> cut(const std::string& text, char separator);  // the parts, each trimmed

// The parts of "a, b". Throws std::invalid_argument when one is empty or there twice.
std::vector<std::string> parse_list(const std::string& text);
// A whole number from 1 on. Throws std::invalid_argument.
std::size_t parse_count(const std::string& text);
// The numbers of "5, 10": whole numbers from 1 on, none twice. Throws std::invalid_argument.
std::vector<std::size_t> parse_counts(const std::string& text);
// The same, from 0 on.
std::vector<std::size_t> parse_shots(const std::string& text);

// Throws DataError: the value of a key is not what is expected.
[[noreturn]] void refuse(const datasets::IniSection& section, const std::string& key,
                         const std::string& expected);

// parse(text). Its std::invalid_argument becomes a DataError that also names the key and the file.
template <class Parse>
auto parse_key(const datasets::IniSection& section, const std::string& key, const std::string& text,
               Parse parse) try {
  return parse(text);
} catch (const std::invalid_argument& e) {
  throw datasets::DataError(section.where + ": " + key + ": " + e.what());
}
template <class Parse>
auto parse_key(const datasets::IniSection& section, const std::string& key, Parse parse) {
  return parse_key(section, key, section.text(key), parse);
}

std::size_t count_of(const datasets::IniSection& section,
                     const std::string& key);                                  // a whole number from 1 on
double positive(const datasets::IniSection& section, const std::string& key);  // a number above 0

// Throws DataError beginning with `where` when `device` is the name of a board that is known, and not of the board `module`, whose presets
// a suite compares with. Any other name may be a board's as well, and is believed.
void check_presets_of(const std::string& where, const std::string& module, const std::string& device);

}  // namespace fewwatt::benchmarks
