#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/units.hpp"

namespace fewwatt::datasets {

// The sign before the fraction of a number. With point or comma, the other one of the two groups thousands.
enum class DecimalSign {
  unsaid,  // not known: a point, and a comma is refused
  point,   // 1,234.5
  comma    // 1.234,5
};
std::optional<DecimalSign> parse_decimal_sign(std::string_view name);  // of "point" and "comma"

// The number in a cell.
struct CellValue {
  double number = std::numeric_limits<double>::quiet_NaN();  // NaN = missing
  const Unit* unit = nullptr;  // behind the number: 2.04GHz, 1.2 W; nullptr for none
};

// A file of separated values with a header line, all rows as wide as the header.
struct CsvTable {
  std::string path;                            // of the file
  std::vector<std::string> header;             // names of the columns
  std::vector<std::vector<std::string>> rows;  // text of the cells
  std::vector<std::size_t> lines;              // line of the file in which rows[i] starts, from 1
  DecimalSign decimal = DecimalSign::unsaid;   // of the numbers in cells
  std::size_t comments = 0;                    // number of comment lines that were skipped

  bool has_column(std::string_view name) const;  // whether the header has that name
  std::size_t column(
      std::string_view name) const;          // its position; throws DataError listing the columns there are
  std::string where(std::size_t row) const;  // "path:line"

  // The number in a cell, and its unit. The number is NaN for an empty cell, nan, NA, N/A, null, None, - and the like, in any case. With
  // DecimalSign::unsaid a comma in a number is refused: 1,234 may mean either. Throws DataError for anything else that is no finite number.
  CellValue value(std::size_t row, std::size_t column) const;
  // The same number; also throws DataError for one with a unit.
  double number(std::size_t row, std::size_t column) const;
};

// Reads a file as RFC 4180 has it: quoted fields may hold separators, quotes (doubled) and line ends. Columns are separated by commas,
// semicolons, tabs or bars, whichever the header has most, or by what a first line `sep=;` says. Lines end as on Unix, Windows or old
// Macs; text is UTF-8 or UTF-16 (read_text). Blank lines, and lines that start with #, are skipped; before the header also lines that
// start with % ; ! or // and have fewer fields. Where the first row has numbers, and the comment before it as many names, that comment
// is the header, as numpy.savetxt writes it. Throws DataError: no such file, empty, no row, a ragged row, an open quote, more than 6
// million cells.
CsvTable read_csv(const std::string& path, DecimalSign decimal = DecimalSign::unsaid);

// Sets `value` to the finite number that all of `text` spells, apart from blanks around it; returns false for anything else.
bool parse_number(std::string_view text, double& value);

}  // namespace fewwatt::datasets
