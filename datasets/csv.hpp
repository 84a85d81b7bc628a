#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::datasets {

// A file of separated values with a header line, all rows as wide as the header.
struct CsvTable {
  std::string path;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  // where rows[i] starts in the file, from 1

  bool has_column(std::string_view name) const;
  std::size_t column(std::string_view name) const;  // throws DataError listing the columns there are
  std::string where(std::size_t row) const;         // "path:line"

  // NaN for an empty cell; throws DataError for anything else that is not a finite number.
  double number(std::size_t row, std::size_t column) const;
};

// RFC 4180, with commas, semicolons or tabs, whichever the header has most: quoted fields may hold separators, quotes (doubled) and line ends. Windows line ends and a UTF-8
// byte-order mark are accepted, blank lines skipped. Throws DataError: no such file, empty, no row, a ragged
// row, an open quote.
CsvTable read_csv(const std::string& path);

// The finite number that all of `text` spells, blanks around it aside; false for anything else.
bool parse_number(std::string_view text, double& value);

}  // namespace fewwatt::datasets
