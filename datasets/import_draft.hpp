#pragma once

// What an import has read of a profile, before the profile is made.

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "datasets/average.hpp"
#include "datasets/import.hpp"
#include "datasets/mapping.hpp"
#include "datasets/units.hpp"

namespace fewwatt::datasets {

// A value, and where it stands.
struct Cell {
  double value;       // as the mapping makes it of the row
  std::string where;  // "path:line"
};

// The measurements of a mode's time or power, where they are averaged, and where they stand.
struct Repeated {
  std::vector<Measured> values;    // those that are known
  std::vector<std::string> where;  // "path:line" of each
  const Unit* unit = nullptr;      // that the mapping says the first one has

  // A value that is NaN is left out.
  void add(const Measured& measured, const std::string& stands) {
    if (std::isnan(measured.value)) return;
    values.push_back(measured);
    where.push_back(stands);
  }
};

// Of a mode.
struct ModeDraft {
  std::map<Metric, Cell> cells;  // of the first row that has the metric
  Repeated times, powers;        // of all rows
};

// Of a profile.
struct Draft {
  std::map<hw::PowerMode, ModeDraft> modes;       // by their settings
  std::map<std::string, std::string> attributes;  // of the workload, by name, as text
};

// Looks for times and powers that seem to be in another unit than the others of the profile, or than ImportOptions::expected says.
// Throws DataError for the first, or adds it to `odd` where that is asked for.
void check_units(const std::string& device, const std::string& workload, const Draft& draft,
                 const Mapping& mapping, const ImportOptions& options, std::vector<ImportReport::Odd>& odd);

}  // namespace fewwatt::datasets
