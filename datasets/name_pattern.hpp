#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hw/power_mode.hpp"

namespace fewwatt::datasets {

// A part of a file's name or of a cell.
struct NamePart {
  std::string name;                  // "app", "cpu_khz"
  std::optional<hw::KnobRole> role;  // set when the part is a knob's setting
  double scale = 1;                  // to the role's unit
};

// How a file's name or a cell is cut into parts: literals[0] parts[0] literals[1] .. parts[n - 1] literals[n].
struct NamePattern {
  std::string text;                   // as written; "" = no pattern
  std::vector<std::string> literals;  // [n + 1] text between the parts
  std::vector<NamePart> parts;        // [n]
};

// What each part stands for in a name that fits the pattern; nullopt for any other name. A knob's setting is a number such as 12 or 1.5,
// as long as possible; any other part is at least one character and as short as possible, the first part before the others. Takes
// time in proportion to the length of the name times that of the pattern.
std::optional<std::vector<std::string>> match(const NamePattern& pattern, std::string_view name);

// Whether a name fits a glob: * stands for any characters, ? for one, [a-z_] or [!a-z_] for one that is among them or is not, \ makes the
// next character stand for itself.
bool fits_glob(std::string_view glob, std::string_view name);

// "{device}-{gpu_khz:MHz}.csv" and the like. Throws DataError, `where` first, for parts without a name of their own, and for units and
// knob roles that are unknown.
NamePattern parse_pattern(const std::string& text, const std::string& where);

}  // namespace fewwatt::datasets
