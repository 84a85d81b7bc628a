#include "datasets/csv.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "datasets/input_file.hpp"
#include "datasets/profile.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// What separates the columns of the first line: comma, semicolon or tab, whichever stands most often outside quotes.
char separator_of(std::string_view text) {
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char c : {',', ';', '\t'}) {
    std::ptrdiff_t found = 0;
    bool quoted = false;
    for (const char at : text.substr(0, text.find('\n'))) {
      if (at == '"') quoted = !quoted;
      if (at == c && !quoted) ++found;
    }
    if (found > most) {
      most = found;
      best = c;
    }
  }
  return best;
}

// Takes records off the front of a text, one at a time.
class Parser {
 public:
  Parser(const std::string& path, std::string_view text) : path_(path), rest_(text) {
    if (rest_.substr(0, 3) == "\xEF\xBB\xBF") rest_.remove_prefix(3);
    separator_ = separator_of(rest_);
  }

  // False at the end of the text. `line` is where the record starts.
  bool next(std::vector<std::string>& record, std::size_t& line) {
    while (skip_line_end()) {
    }
    if (rest_.empty()) return false;
    line = line_;
    record.clear();
    do {
      record.push_back(field());
    } while (skip(separator_));
    if (!rest_.empty() && !skip_line_end()) fail(line_, "text after a closing quote");
    return true;
  }

 private:
  [[noreturn]] void fail(std::size_t line, const std::string& what) const {
    throw DataError(path_ + ":" + std::to_string(line) + ": " + what);
  }

  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool skip_line_end() {
    if (rest_.substr(0, 2) == "\r\n") rest_.remove_prefix(1);
    if (!skip('\n')) return false;
    ++line_;
    return true;
  }

  std::string field() {
    if (!skip('"')) {
      const auto end = std::min({rest_.find(separator_), rest_.find('\n'), rest_.size()});
      std::string value(trim(rest_.substr(0, end)));
      // A carriage return belongs to the line end.
      rest_.remove_prefix(
          end > 0 && end < rest_.size() && rest_[end] == '\n' && rest_[end - 1] == '\r' ? end - 1 : end);
      return value;
    }
    const std::size_t opened = line_;
    std::string value;
    while (true) {
      const auto quote = rest_.find('"');
      if (quote == std::string_view::npos) fail(opened, "a quote is never closed");
      value += rest_.substr(0, quote);
      line_ += static_cast<std::size_t>(
          std::count(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(quote), '\n'));
      rest_.remove_prefix(quote + 1);
      if (!skip('"')) return value;
      value += '"';
    }
  }

  const std::string& path_;
  std::string_view rest_;
  std::size_t line_ = 1;
  char separator_ = ',';
};

}  // namespace

bool parse_number(std::string_view text, double& value) {
  const auto number = hw::real_number(trim(text));
  if (number) value = *number;
  return number.has_value();
}

bool CsvTable::has_column(std::string_view name) const {
  return std::find(header.begin(), header.end(), name) != header.end();
}

std::size_t CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) {
    std::string known;
    for (const auto& column : header) known += (known.empty() ? "" : ", ") + column;
    throw DataError(path + ": no column '" + std::string(name) + "', there are: " + known);
  }
  if (std::count(header.begin(), header.end(), name) > 1) {
    throw DataError(path + ": more than one column is named '" + std::string(name) + "'");
  }
  return static_cast<std::size_t>(found - header.begin());
}

std::string CsvTable::where(std::size_t row) const {
  return path + ":" + std::to_string(lines[row]);
}

double CsvTable::number(std::size_t row, std::size_t column) const {
  const auto& cell = rows[row][column];
  if (trim(cell).empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  if (!parse_number(cell, value)) {
    throw DataError(where(row) + ": column '" + header[column] + "': expected a number, found '" + cell +
                    "'");
  }
  return value;
}

CsvTable read_csv(const std::string& path) {
  const std::string text = read_file(path);
  CsvTable table;
  table.path = path;
  Parser parser(table.path, text);
  std::vector<std::string> record;
  std::size_t line = 0;
  if (!parser.next(table.header, line)) throw DataError(path + " is empty");
  while (parser.next(record, line)) {
    if (record.size() != table.header.size()) {
      throw DataError(path + ":" + std::to_string(line) + ": expected " +
                      std::to_string(table.header.size()) + " fields as in the header, found " +
                      std::to_string(record.size()));
    }
    table.rows.push_back(record);
    table.lines.push_back(line);
  }
  if (table.rows.empty()) throw DataError(path + " has a header, but no row");
  return table;
}

}  // namespace fewwatt::datasets
