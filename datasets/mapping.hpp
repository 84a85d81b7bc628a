#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/average.hpp"
#include "datasets/csv.hpp"
#include "datasets/formula.hpp"
#include "datasets/name_pattern.hpp"
#include "datasets/profile.hpp"
#include "datasets/units.hpp"

namespace fewwatt::datasets {

// A mapping says how other people's files become profiles: an INI file. docs/mappings.md explains every key.

// What a row may say of a mode, each in the unit of its name (unit_of).
enum class Metric {
  time_ms,      // time
  power_w,      // power
  time_std_ms,  // standard deviation of one measurement of the time
  power_std_w,  // the same of the power
  repeats,      // number of measurements that the row is the mean of
  throttled,    // 1 where the device slowed itself down
  duration_ms   // how long the row was measured: its weight in a mean
};

std::string_view to_string(Metric metric);  // "time_ms", ...

// The unit in which a knob's settings, or a metric, are kept.
const Unit& unit_of(hw::KnobRole role);
const Unit& unit_of(Metric metric);

// Text with parts {x}. Each stands for the first of these that there is: a part of the file's name (NamePattern); the file's name without
// extension ({file}) or its folder's ({folder}, where no column is called so); a part of a cell; the row's cell in column x.
struct Template {
  std::string text;  // as written

  // Replaces every {x} by value(x).
  template <class Value>
  std::string fill(const Value& value) const;
};

// How a file is read.
enum class FileFormat {
  csv,        // a table
  tegrastats  // a log of tegrastats, which is one row
};

// A section [file GLOB] of a mapping.
struct FileMapping {
  std::string where;                         // "mapping.ini: [file *.csv]", for messages
  std::string glob;                          // of the names of its files
  FileFormat format = FileFormat::csv;       // of its files
  NamePattern pattern;                       // of the names of its files
  std::map<std::string, NamePattern> cells;  // by column
  std::map<hw::KnobRole, Expression> knobs;  // those that no pattern gives
  std::map<Metric, Expression> metrics;      // how each is computed from columns

  std::vector<hw::KnobRole> roles() const;  // of knobs and patterns, ascending
};

// A whole mapping.
struct Mapping {
  std::string path;                           // of the mapping file
  Template device, workload;                  // what they are called
  WorkloadKind kind = WorkloadKind::non_dnn;  // of all workloads
  TimeOf time_of = TimeOf::run;               // what one time is
  std::string board;                // whose levels the knobs have; "" = the levels are those in the files
  std::optional<Average> repeated;  // what several rows of one mode mean; nullopt: they are refused
  DecimalSign decimal = DecimalSign::unsaid;  // of numbers in cells
  bool trust_units = false;  // whether numbers that seem to be in another unit are taken as they are
  std::string set;           // of datasets/sets/ that scripts/fetch-data fetches; "" = none is named
  std::map<std::string, Template>
      attributes;  // of workloads, besides kind and time_of, by their name in a file of profiles
  std::map<std::string, std::string>
      renamed;  // names that `device` and `workload` give, and what they become
  std::map<std::string, DeviceAttributes> devices;  // by the device's final name
  std::vector<FileMapping> files;                   // at least one, all with the same roles
};

// The mapping of a table whose columns are called like knob roles, time_ms and power_w, or like their stems with a unit: power_w,
// power (mW), power [mW], power_mw, gpu_mhz, time_s. Names of other columns go to `unused`, where given: one may be misspelt. Throws
// DataError when there is no knob, or neither time nor power, or two columns are the same.
FileMapping standard_columns(const CsvTable& table, std::vector<std::string>* unused = nullptr);

// Reads a mapping. Throws DataError naming the mapping, the section and the key, and what is known in its place.
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
