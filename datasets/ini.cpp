#include "datasets/ini.hpp"

#include <algorithm>
#include <boost/property_tree/ini_parser.hpp>
#include <sstream>

#include "datasets/csv.hpp"
#include "datasets/input_file.hpp"
#include "datasets/profile.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::size_t kMostBytes = 4 << 20;  // a tree of keys takes many times its text

}  // namespace

const std::string* IniSection::find(std::string_view key) const {
  for (const auto& [known, value] : entries) {
    if (known == key) return &value;
  }
  return nullptr;
}

std::string IniSection::text(std::string_view key) const {
  if (const auto* value = find(key)) return *value;
  throw DataError(where + ": no key '" + std::string(key) + "'");
}

std::string IniSection::text_or(std::string_view key, std::string fallback) const {
  const auto* value = find(key);
  return value != nullptr ? *value : fallback;
}

double IniSection::number(std::string_view key) const {
  const std::string found = text(key);
  double value = 0;
  if (!parse_number(found, value)) {
    throw DataError(where + ": " + std::string(key) + ": expected a number, found '" + found + "'");
  }
  return value;
}

double IniSection::number_or(std::string_view key, double fallback) const {
  return find(key) != nullptr ? number(key) : fallback;
}

void IniSection::check_keys(std::span<const std::string_view> known) const {
  for (const auto& [key, value] : entries) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    throw DataError(where + ": unknown key '" + key + "', known are: " + hw::join(known) +
                    hw::did_you_mean(key, known));
  }
}

const IniSection* IniFile::find(std::string_view name) const {
  for (const auto& section : sections) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

const IniSection& IniFile::section(std::string_view name) const {
  if (const auto* found = find(name)) return *found;
  throw DataError(path + ": no section [" + std::string(name) + "]");
}

IniFile read_ini(const std::string& path) {
  std::istringstream stream(read_lines(path, kMostBytes));
  boost::property_tree::ptree tree;
  try {
    boost::property_tree::read_ini(stream, tree);
  } catch (const boost::property_tree::ini_parser_error& e) {
    throw DataError(path + ":" + std::to_string(e.line()) + ": " + e.message());
  }
  IniFile file{path, {}};
  for (const auto& [name, keys] : tree) {
    if (keys.empty()) throw DataError(path + ": key '" + name + "' comes before the first section");
    IniSection section{path + ": [" + name + "]", name, {}};
    for (const auto& [key, value] : keys) section.entries.emplace_back(key, value.data());
    file.sections.push_back(std::move(section));
  }
  return file;
}

}  // namespace fewwatt::datasets
