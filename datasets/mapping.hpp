#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/average.hpp"
#include "datasets/csv.hpp"
#include "datasets/profile.hpp"
#include "datasets/units.hpp"

namespace fewwatt::datasets {

// A mapping says how to read files that somebody else made into profiles: an INI file, whose every key docs/mappings.md explains.

// What a row may tell of a mode, each in the unit of its name (unit_of). duration_ms: how long it was measured, its weight in a mean.
enum class Metric { time_ms, power_w, time_std_ms, power_std_w, repeats, throttled, duration_ms };

std::string_view to_string(Metric metric);

// value = scale * what the steps leave, in the unit that the knob's or metric's name says; missing where a cell is. A column counts
// before a part of a name or cell that is called the same.
struct Expression {
  enum class Kind { column, constant, add, subtract, multiply, divide };
  struct Step {
    Kind kind = Kind::column;
    std::string column;          // or a part of a name or cell
    double number = 0;           // of a constant
    const Unit* unit = nullptr;  // that a column's numbers have; nullptr = not said
    double factor = 1;           // of a column's number in that unit
  };
  std::vector<Step> steps;  // postfix: operands before what joins the last two
  double scale = 1;
  const Unit* unit = nullptr;  // of the whole as it was written; nullptr where columns have their own
  std::string text;            // as it was written, without quotes and units
};

// The formula that is a column alone.
Expression column_in(const std::string& column, const Unit& unit, const Unit& target);

// Throws DataError, `where` first, where units in brackets at the end of columns' names say something else than the mapping.
// Constants may turn one unit into another: a formula with any is not checked.
void check_named_units(const Expression& expression, const std::string& where);

// The unit in which a knob's settings or a metric are kept.
const Unit& unit_of(hw::KnobRole role);
const Unit& unit_of(Metric metric);

// Text where {x} stands for, in this order: a part of the file's name (NamePattern), the file's name without extension ({file}) or its
// folder's ({folder}, where no column is called so), a part of a cell, the row's cell in column x.
struct Template {
  std::string text;

  // Replaces every {x} by value(x).
  template <class Value>
  std::string fill(const Value& value) const;
};

struct NamePart {
  std::string name;                  // "app", "cpu_khz"
  std::optional<hw::KnobRole> role;  // set when the part is a knob's setting
  double scale = 1;                  // to the role's unit
};

// Parts of a file's name or a cell: literals[0] parts[0] literals[1] .. parts[n - 1] literals[n].
struct NamePattern {
  std::string text;  // as written; "" = none
  std::vector<std::string> literals;
  std::vector<NamePart> parts;
};

// What each part stands for in a name that is as the pattern says; nullopt for any other name. A knob's setting is a number
// such as 12 or 1.5, as long as it can be; any other part is one character at least and as short as it can be, the first part
// before the others. Takes time in proportion to the length of the name and of the pattern, one by the other.
std::optional<std::vector<std::string>> match(const NamePattern& pattern, std::string_view name);

// Whether a name fits a glob: * any characters, ? one, [a-z_] or [!a-z_] one that is among them or not, \ the next as it is.
bool fits_glob(std::string_view glob, std::string_view name);

enum class FileFormat { csv, tegrastats };

struct FileMapping {
  std::string where;  // "mapping.ini: [file *.csv]", for messages
  std::string glob;
  FileFormat format = FileFormat::csv;
  NamePattern pattern;
  std::map<std::string, NamePattern> cells;  // by column
  std::map<hw::KnobRole, Expression> knobs;  // those that no pattern gives
  std::map<Metric, Expression> metrics;

  std::vector<hw::KnobRole> roles() const;  // of knobs and patterns, ascending
};

struct Mapping {
  std::string path;
  Template device, workload;
  WorkloadKind kind = WorkloadKind::non_dnn;
  TimeOf time_of = TimeOf::run;
  std::string board;                // "" = space from the data
  std::optional<Average> repeated;  // nullopt: refused
  DecimalSign decimal = DecimalSign::unsaid;
  bool trust_units = false;
  std::map<std::string, Template>
      attributes;  // of the workload, beside kind and time_of, as named in a file of profiles
  std::map<std::string, std::string> renamed;
  std::map<std::string, DeviceAttributes> devices;
  std::vector<FileMapping> files;  // at least one, all with the same roles
};

// Columns that are called as knob roles, time_ms and power_w are, or as their stems with a unit: power_w, power (mW), power [mW],
// power_mw, gpu_mhz, time_s. Those that are not used go to `unused`, where given: one may be misspelt. Throws DataError when
// there is no knob, or neither time nor power, or two columns are the same.
FileMapping standard_columns(const CsvTable& table, std::vector<std::string>* unused = nullptr);

// Throws DataError naming the mapping, the section and the key, and what is known in its place.
Mapping read_mapping(const std::string& path);

template <class Value>
std::string Template::fill(const Value& value) const {
  std::string filled;
  for (std::size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      filled += text[i++];
    } else {
      filled += value(text.substr(i + 1, close - i - 1));
      i = close + 1;
    }
  }
  return filled;
}

}  // namespace fewwatt::datasets
