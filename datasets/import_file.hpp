#pragma once

// One input file of an import, read as its mapping says.

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/csv.hpp"
#include "datasets/mapping.hpp"
#include "datasets/tegrastats.hpp"

namespace fewwatt::datasets {

// A file to read, and how.
struct Input {
  std::string path;            // of the file
  const FileMapping* mapping;  // the section that fits its name
};

// The last parts of a path, as many as `pattern` has: one more than it has slashes.
std::string tail_of(const std::filesystem::path& path, std::string_view pattern);

std::string in_text(double value);     // all of its digits
std::string short_text(double value);  // six of them

// What follows a number that looks wrong: that it looks like `unit`, where that is not "", and how to say that it is right.
std::string hint_of(const std::string& unit);

bool is_clock(hw::KnobRole role);

struct Plausible;  // bounds of what devices have

// Everything one input file is read with.
class FileReader {
 public:
  // Throws DataError naming the file.
  FileReader(const Input& input, const Mapping& of);

  const FileMapping& mapping() const { return mapping_; }     // the section it is read by
  std::size_t size() const { return table_.rows.size(); }     // number of rows
  std::size_t comments() const { return table_.comments; }    // lines that are comments
  std::size_t skipped_lines() const { return log_.skipped; }  // of a log, that are none of tegrastats
  std::string where(std::size_t row) const { return table_.where(row); }  // "PATH:LINE"
  // Rails of a log that are used, and not in all of its lines.
  const std::vector<std::string>& notices() const { return notices_; }

  // What {name} stands for.
  std::string text(std::size_t row, const std::string& name) const;
  bool has_text(const std::string& name) const;           // whether text() knows the name
  int setting(std::size_t row, hw::KnobRole role) const;  // in the unit of its name
  // NaN = missing, where that is allowed.
  double metric(std::size_t row, Metric metric) const;

 private:
  // A module with a GPU takes more than the cores of a processor alone.
  const Plausible& power_bounds() const;

  // Where an operand of a formula comes from.
  struct Source {
    std::optional<std::size_t> column;
    std::string part;
  };

  // A log as a table: its rails are the columns of one row.
  void take_log(const std::string& path);
  void take_cells(std::size_t column, const NamePattern& pattern);
  const std::string* find_part(std::size_t row, const std::string& name) const;
  std::vector<Source> find_columns(const Expression& expression);
  double value_of(std::size_t row, const Expression::Step& step, const Source& source) const;
  double evaluate(std::size_t row, const Expression& expression) const;
  // Throws where no device has such a value, with the unit in which one would.
  void check_plausible(std::size_t row, const std::string& gives, double value, double scale,
                       const Plausible* bounds, const Unit& kept) const;

  const FileMapping& mapping_;
  bool trust_units_;
  std::map<std::string, std::string> parts_;
  TegrastatsLog log_;  // empty for a CSV
  CsvTable table_;
  std::vector<std::map<std::string, std::string>> cell_parts_;  // by row; empty where no cell has any
  std::map<const Expression*, std::vector<Source>> columns_;    // one for each step
  std::vector<std::string> notices_;
};

}  // namespace fewwatt::datasets
