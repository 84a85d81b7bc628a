#include "datasets/csv.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "datasets/input_file.hpp"
#include "datasets/profile.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::string_view kLineEnds = "\r\n";
constexpr std::size_t kMostCells = 6'000'000;  // a cell takes many times its text
constexpr std::size_t kMostNamed = 50;         // columns in a message

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n", kNoBreak = "\xC2\xA0";
  for (;;) {
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    text = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
    if (text.starts_with(kNoBreak))
      text.remove_prefix(kNoBreak.size());
    else if (text.ends_with(kNoBreak))
      text.remove_suffix(kNoBreak.size());
    else
      return text;
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// What separates the columns of a line: comma, semicolon, tab or bar, whichever stands most often outside quotes.
char separator_of(std::string_view line) {
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char c : {',', ';', '\t', '|'}) {
    std::ptrdiff_t found = 0;
    bool quoted = false;
    for (const char at : line) {
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

std::string_view line_of(std::string_view text) {
  return text.substr(0, text.find_first_of(kLineEnds));
}

// Not what spreadsheets write for a value that they cannot compute, #N/A or #DIV/0!, in the first column.
bool is_comment(std::string_view line) {
  constexpr std::string_view kErrors[] = {"#N/A",  "#NA",   "#DIV/0!", "#VALUE!",
                                          "#REF!", "#NUM!", "#NULL!",  "#NAME?"};
  return line.starts_with('#') && std::none_of(std::begin(kErrors), std::end(kErrors), [&](auto error) {
           return line.starts_with(error) &&
                  (line.size() == error.size() || line[error.size()] == '"' ||
                   std::ispunct(static_cast<unsigned char>(line[error.size()])) != 0 ||
                   line[error.size()] == '\t');
         });
}

// What is one where it stands before the header and has fewer fields.
bool may_be_comment(std::string_view line) {
  return is_comment(line) || line.starts_with('%') || line.starts_with(';') || line.starts_with('!') ||
         line.starts_with("//");
}

// Spreadsheets write a first line `sep=;`, in upper or lower case: this is its character, nullopt for any other line. A file that
// was saved again may have the character several times.
std::optional<char> said_separator(std::string_view line) {
  line = line.substr(0, line.find_last_not_of(kLineEnds) + 1);
  if (line.size() > 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
  constexpr std::string_view kSep = "sep=";
  const bool said = line.size() > kSep.size() &&
                    std::equal(kSep.begin(), kSep.end(), line.begin(),
                               [](char a, unsigned char b) { return a == std::tolower(b); }) &&
                    line.find_first_not_of(line[kSep.size()], kSep.size()) == std::string_view::npos;
  return said ? std::optional(line[kSep.size()]) : std::nullopt;
}

struct Record {
  std::vector<std::string> fields;
  std::size_t line = 0;  // where it starts
};

// Takes records off the front of a text, one at a time.
class Parser {
 public:
  Parser(const std::string& path, std::string_view text) : path_(path), rest_(text) {
    if (const auto said = said_separator(first_line())) {
      separator_ = *said;
      rest_.remove_prefix(first_line().size());
      return;
    }
    // Of the first line that is no comment, of whichever kind.
    auto rest = rest_;
    while (!rest.empty() && (may_be_comment(trim(line_of(rest))) || trim(line_of(rest)).empty()))
      rest.remove_prefix(std::min(line_of(rest).size() + 1, rest.size()));
    separator_ = separator_of(line_of(rest.empty() ? rest_ : rest));
  }

  // False at the end of the text.
  bool next(Record& record) {
    skip_comments();
    if (rest_.empty()) return false;
    record.line = line_;
    record.fields.clear();
    do {
      if (++cells_ > kMostCells)
        fail(line_, "expected at most " + std::to_string(kMostCells) + " cells, found more up to here");
      record.fields.push_back(field());
    } while (skip(separator_));
    if (!rest_.empty() && !skip_line_end()) fail(line_, "text after a closing quote");
    return true;
  }

  // What stands behind the # of the last line before this that begins with one; "" for none.
  std::string_view comment() const { return comment_; }

  std::size_t comments() const { return comments_; }  // lines that begin with #, so far

  // The fields of a comment; none where it has quotes, whose meaning in a comment is not defined.
  std::vector<std::string> fields_of(std::string_view comment) const {
    std::vector<std::string> fields;
    if (comment.empty() || comment.find('"') != std::string_view::npos) return fields;
    while (true) {
      const auto end = comment.find(separator_);
      fields.emplace_back(trim(comment.substr(0, end)));
      if (end == std::string_view::npos) return fields;
      comment.remove_prefix(end + 1);
    }
  }

 private:
  [[noreturn]] void fail(std::size_t line, const std::string& what) const {
    throw DataError(path_ + ":" + std::to_string(line) + ": " + what);
  }

  std::string_view first_line() const { return line_of(rest_); }

  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool skip_line_end() {
    if (rest_.substr(0, 2) == "\r\n") rest_.remove_prefix(1);
    if (!skip('\n') && !skip('\r')) return false;
    ++line_;
    return true;
  }

  // And blank lines.
  void skip_comments() {
    while (true) {
      while (skip_line_end()) {
      }
      const auto line = first_line();
      const auto text = trim(line);
      if (text.empty() ? line.empty() || separator_ == '\t' : !is_comment(text)) return;
      if (!text.empty()) {
        comment_ = text.substr(1);
        ++comments_;
      }
      rest_.remove_prefix(line.size());
    }
  }

  void skip_blanks() {
    const auto blanks = separator_ == '\t' ? std::string_view(" ") : std::string_view(" \t");
    rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size()));
  }

  std::string field() {
    skip_blanks();
    if (!skip('"')) {
      const char ends[] = {separator_, '\r', '\n'};  // looked for together: each alone may be far
      const auto end = std::min(rest_.find_first_of({ends, sizeof ends}), rest_.size());
      std::string value(trim(rest_.substr(0, end)));
      rest_.remove_prefix(end);
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
      if (!skip('"')) break;
      value += '"';
    }
    skip_blanks();
    return value;
  }

  const std::string& path_;
  std::string_view rest_;
  std::string_view comment_;
  std::size_t comments_ = 0, cells_ = 0;
  std::size_t line_ = 1;
  char separator_ = ',';
};

bool is_missing(std::string_view text) {
  constexpr std::array<std::string_view, 13> kWords{"",     "nan", "-nan", "+nan", "na", "n/a",      "#n/a",
                                                    "null", "nil", "none", "-",    "--", "-nan(ind)"};
  std::string small(text);
  for (auto& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), small) != kWords.end();
}

// Characters besides comma and point that group thousands: blanks of any width, and apostrophes.
constexpr std::array<std::string_view, 6> kGroupers{" ", "\xC2\xA0",    "\xE2\x80\xAF", "\xE2\x80\x89",
                                                    "'", "\xE2\x80\x99"};

// 12'345 and 1.234 as digits alone, given what may group them; nullopt unless every group but the first has three digits.
std::optional<std::string> ungrouped(std::string_view text, std::string_view grouper) {
  std::string digits;
  for (bool first = true;; first = false) {
    const auto end = text.find(grouper);
    const auto group = text.substr(0, end);
    const bool alone = first && end == std::string_view::npos;
    if (!std::all_of(group.begin(), group.end(), is_digit)) return std::nullopt;
    if (!alone && (first ? group.empty() || group.size() > 3 : group.size() != 3)) return std::nullopt;
    digits += group;
    if (end == std::string_view::npos) return digits;
    text.remove_prefix(end + grouper.size());
  }
}

// A number with groups and a decimal sign as one that C++ reads: [sign] whole [. fraction] [exponent].
std::optional<std::string> plain_number(std::string_view text, DecimalSign decimal) {
  const bool comma = decimal == DecimalSign::comma;
  std::string plain;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    if (text.front() == '-') plain = "-";
    text.remove_prefix(1);
  }
  std::string_view exponent;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    exponent = text.substr(e);
    text = text.substr(0, e);
  }
  const auto sign = text.find(comma ? ',' : '.');
  const auto whole = text.substr(0, sign);
  std::optional<std::string> digits;
  for (const auto grouper : kGroupers)
    if (!digits) digits = ungrouped(whole, grouper);
  if (!digits && decimal != DecimalSign::unsaid) digits = ungrouped(whole, comma ? "." : ",");
  if (!digits) return std::nullopt;
  plain += *digits;
  if (sign != std::string_view::npos) plain += '.' + std::string(text.substr(sign + 1));
  return plain + std::string(exponent);
}

// nullopt for what is no number.
std::optional<CellValue> parse_cell(std::string_view text, DecimalSign decimal) {
  text = trim(text);
  if (is_missing(text)) return CellValue{};
  auto end = text.find_last_of("0123456789");  // no unit has a digit
  if (end == std::string_view::npos) return std::nullopt;
  ++end;
  if (end < text.size() && text[end] == '.') ++end;
  CellValue value;
  if (const auto unit = trim(text.substr(end)); !unit.empty()) {
    value.unit = find_unit(unit);
    if (value.unit == nullptr) return std::nullopt;
  }
  const auto plain = plain_number(text.substr(0, end), decimal);
  const auto number = plain ? hw::real_number(*plain) : std::nullopt;
  if (!number) return std::nullopt;
  value.number = *number;
  return value;
}

bool has_number(const std::vector<std::string>& fields) {
  return std::any_of(fields.begin(), fields.end(), [](const auto& field) {
    const auto with_point = parse_cell(field, DecimalSign::point),
               with_comma = parse_cell(field, DecimalSign::comma);
    return (with_point && !std::isnan(with_point->number)) || (with_comma && !std::isnan(with_comma->number));
  });
}

bool is_marked(const Record& record) {
  const auto& first = record.fields.front();
  return may_be_comment(first) ||
         (first.empty() && record.fields.size() > 1);  // a semicolon may be the separator
}

// How many records stand before the header: lines that are marked as comments and have fewer fields than what follows.
std::size_t comments_before(const std::vector<Record>& records) {
  std::size_t end = 0, widest = 0;
  while (end < records.size() && is_marked(records[end]))
    widest = std::max(widest, records[end++].fields.size());
  return end < records.size() && records[end].fields.size() > widest ? end : 0;
}

}  // namespace

std::optional<DecimalSign> parse_decimal_sign(std::string_view name) {
  if (name == "point") return DecimalSign::point;
  if (name == "comma") return DecimalSign::comma;
  return std::nullopt;
}

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
    for (std::size_t i = 0; i < std::min(header.size(), kMostNamed); ++i)
      known += (i == 0 ? "" : ", ") + header[i];
    if (header.size() > kMostNamed) known += " and " + std::to_string(header.size() - kMostNamed) + " more";
    const bool spelled = name.find_first_of("+-*/()") != std::string_view::npos;
    throw DataError(path + ": no column '" + std::string(name) + "', there are: " + known +
                    (has_number(header) ? "; this line looks like a row, not a header" : "") +
                    (spelled ? "; in a formula + - * / need blanks around them" : ""));
  }
  if (std::count(header.begin(), header.end(), name) > 1) {
    throw DataError(path + ": more than one column is named '" + std::string(name) + "'");
  }
  return static_cast<std::size_t>(found - header.begin());
}

std::string CsvTable::where(std::size_t row) const {
  return path + ":" + std::to_string(lines[row]);
}

CellValue CsvTable::value(std::size_t row, std::size_t column) const {
  const auto& cell = rows[row][column];
  if (const auto value = parse_cell(cell, decimal)) return *value;
  const std::string what =
      where(row) + ": column '" + header[column] + "': expected a number, found '" + cell + "'";
  const bool with_point = parse_cell(cell, DecimalSign::point).has_value(),
             with_comma = parse_cell(cell, DecimalSign::comma).has_value();
  if (!with_point && !with_comma) throw DataError(what);
  if (decimal != DecimalSign::unsaid)
    throw DataError(what + ", which is no number with decimal = " + (with_point ? "comma" : "point"));
  throw DataError(what +
                  ": where a comma begins the fraction, write decimal = comma in the mapping, or --decimal "
                  "comma; where it groups thousands, decimal = point");
}

double CsvTable::number(std::size_t row, std::size_t column) const {
  const auto found = value(row, column);
  if (found.unit != nullptr) {
    throw DataError(where(row) + ": column '" + header[column] + "': expected a number, found '" +
                    rows[row][column] + "'");
  }
  return found.number;
}

CsvTable read_csv(const std::string& path, DecimalSign decimal) {
  const std::string text = read_text(path);
  CsvTable table;
  table.path = path;
  table.decimal = decimal;
  Parser parser(table.path, text);
  std::vector<Record> head;  // up to the first record that is not marked as a comment
  std::string_view comment;
  Record record;
  while (parser.next(record)) {
    if (head.empty()) comment = parser.comment();
    head.push_back(std::move(record));
    if (!is_marked(head.back())) break;
  }
  if (head.empty()) throw DataError(path + (parser.comments() > 0 ? " has comments only" : " is empty"));
  const auto skipped = comments_before(head);
  auto at = skipped;
  auto names = parser.fields_of(comment);
  const auto& first = head[at];
  const bool comment_is_header = names.size() >= 2 && names.size() == first.fields.size() &&
                                 !has_number(names) && has_number(first.fields);
  const auto header_line = first.line;
  table.header = comment_is_header ? std::move(names) : head[at++].fields;
  const auto add = [&](Record& row) {
    if (row.fields.size() != table.header.size()) {
      const bool no_header = table.rows.empty() && table.header.size() < row.fields.size();
      throw DataError(
          path + ":" + std::to_string(row.line) + ": expected " + std::to_string(table.header.size()) +
          " fields as in the header, found " + std::to_string(row.fields.size()) +
          (no_header ? "; is line " + std::to_string(header_line) + " no header? A comment begins with #"
                     : ""));
    }
    table.rows.push_back(std::move(row.fields));
    table.lines.push_back(row.line);
  };
  for (; at < head.size(); ++at) add(head[at]);
  while (parser.next(record)) add(record);
  table.comments = parser.comments() + skipped - (comment_is_header ? 1 : 0);
  if (table.rows.empty()) throw DataError(path + " has a header, but no row");
  return table;
}

}  // namespace fewwatt::datasets
