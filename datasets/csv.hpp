#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/units.hpp"

namespace fewwatt::datasets {

// What separates whole numbers from their fractions; the other one of comma and point then groups thousands.
enum class DecimalSign { unsaid, point, comma };
std::optional<DecimalSign> parse_decimal_sign(std::string_view name);  // "point", "comma"

// What a cell says.
struct CellValue {
  double number = std::numeric_limits<double>::quiet_NaN();  // NaN = missing
  const Unit* unit = nullptr;  // behind the number: 2.04GHz, 1.2 W; nullptr for none
};

// A file of separated values with a header line, all rows as wide as the header.
struct CsvTable {
  std::string path;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  // where rows[i] starts in the file, from 1
  DecimalSign decimal = DecimalSign::unsaid;
  std::size_t comments = 0;  // lines that were skipped, blank ones aside

  bool has_column(std::string_view name) const;
  std::size_t column(std::string_view name) const;  // throws DataError listing the columns there are
  std::string where(std::size_t row) const;         // "path:line"

  // The one way to a cell's number. Missing are an empty cell, nan, NA, N/A, null, None, - and the like, in any case. Without a
  // decimal sign said, a comma in a number is refused: 1,234 may mean either. Throws DataError for anything else that is not
  // a finite number; number() also for one with a unit.
  CellValue value(std::size_t row, std::size_t column) const;
  double number(std::size_t row, std::size_t column) const;
};

// RFC 4180, with commas, semicolons, tabs or bars, whichever the header has most, or what a first line `sep=;` says: quoted fields
// may hold separators, quotes (doubled) and line ends. Lines end as on Unix, Windows or old Macs; text is UTF-8 or UTF-16
// (read_text). Blank lines, and those that start with #, are skipped; before the header also those that start with % ; ! or //
// and have fewer fields. Where the first row has numbers and the comment before it as many names, that comment is the header,
// as numpy.savetxt writes it. Throws DataError: no such file, empty, no row, a ragged row, an open quote, more than 6 million cells.
CsvTable read_csv(const std::string& path, DecimalSign decimal = DecimalSign::unsaid);

// The finite number that all of `text` spells, blanks around it aside; false for anything else.
bool parse_number(std::string_view text, double& value);

}  // namespace fewwatt::datasets
