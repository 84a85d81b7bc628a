#include "datasets/mapping.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <set>

#include "datasets/ini.hpp"
#include "hw/modules.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::array kMetrics{Metric::time_ms, Metric::power_w,   Metric::time_std_ms, Metric::power_std_w,
                              Metric::repeats, Metric::throttled, Metric::duration_ms};

template <class Names>
std::string join(const Names& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

const Unit& find_unit(std::string_view name, const std::string& where) {
  if (const auto* unit = datasets::find_unit(name)) return *unit;
  throw DataError(where + ": unknown unit '" + std::string(name) + "', known are: " + known_units());
}

double scale_between(const Unit& from, const Unit& to, const std::string& where) {
  if (const auto scale = datasets::scale_between(from, to)) return *scale;
  throw DataError(where + ": a number in " + std::string(from.name) + " cannot be turned into " +
                  std::string(to.name));
}

std::optional<Metric> parse_metric(std::string_view name) {
  for (const auto metric : kMetrics) {
    if (to_string(metric) == name) return metric;
  }
  return std::nullopt;
}

// `("CPU Frequencies" - b) * 2 [kHz]` in pieces: names, numbers, + - * / ( ), and units in their brackets. A quoted name is
// marked by its leading quote. Blanks part what is not quoted; a parenthesis within a name belongs to it, as in f(x).
std::vector<std::string> tokens(const std::string& text, const std::string& where) {
  std::vector<std::string> found;
  for (std::size_t i = text.find_first_not_of(" \t"); i != std::string::npos;
       i = text.find_first_not_of(" \t", i)) {
    std::size_t end = 0;
    if (text[i] == '"') {
      std::string name = "\"";
      for (end = i + 1;; ++end) {
        if (end >= text.size()) throw DataError(where + ": a quote is never closed");
        if (text[end] == '"' && (end + 1 == text.size() || text[end + 1] != '"')) break;
        if (text[end] == '"') ++end;
        name += text[end];
      }
      ++end;
      found.push_back(name);
    } else if (text[i] == '(' || text[i] == ')') {
      found.emplace_back(1, text[i]);
      end = i + 1;
    } else if (text[i] == '[') {
      end = text.find(']', i);
      if (end != std::string::npos) ++end;
      found.push_back(text.substr(i, end - i));
    } else {
      int open = 0;
      for (end = i; end < text.size() && text[end] != ' ' && text[end] != '\t' && text[end] != '['; ++end) {
        if (text[end] == '(') ++open;
        if (text[end] == ')' && --open < 0) break;
      }
      found.push_back(text.substr(i, end - i));
    }
    i = std::min(end, text.size());
  }
  return found;
}

bool is_unit(const std::string& token) {
  return token.starts_with('[');
}

// Turns pieces into steps. Fails where they are no formula.
class FormulaParser {
 public:
  FormulaParser(std::vector<std::string> parts, std::string where, std::string expected)
      : parts_(std::move(parts)), where_(std::move(where)), expected_(std::move(expected)) {}

  // Of all pieces. Columns have the units behind them.
  std::vector<Expression::Step> parse() {
    sum();
    if (at_ != parts_.size()) fail();
    return std::move(steps_);
  }

 private:
  using Kind = Expression::Kind;

  [[noreturn]] void fail() const { throw DataError(expected_); }

  bool skip(std::string_view token) {
    if (at_ == parts_.size() || parts_[at_] != token) return false;
    ++at_;
    return true;
  }

  void join(Kind kind) { steps_.push_back({.kind = kind, .column = {}}); }

  void sum() {
    product();
    while (true) {
      if (skip("+")) {
        product();
        join(Kind::add);
      } else if (skip("-")) {
        product();
        join(Kind::subtract);
      } else {
        return;
      }
    }
  }

  void product() {
    operand();
    while (true) {
      if (skip("*")) {
        operand();
        join(Kind::multiply);
      } else if (skip("/")) {
        operand();
        join(Kind::divide);
      } else {
        return;
      }
    }
  }

  void operand() {
    constexpr int kMostDepth = 32;
    if (at_ == parts_.size()) fail();
    if (skip("(")) {
      if (++depth_ > kMostDepth) fail();
      sum();
      --depth_;
      if (!skip(")")) fail();
      return;
    }
    const auto& token = parts_[at_++];
    if (token == "+" || token == "-" || token == "*" || token == "/" || token == ")" || is_unit(token))
      fail();
    Expression::Step step{.column = token.starts_with('"') ? token.substr(1) : token};
    if (!token.starts_with('"') && parse_number(token, step.number)) step.kind = Kind::constant;
    if (at_ < parts_.size() && is_unit(parts_[at_])) {
      const auto& unit = parts_[at_++];
      if (!unit.ends_with(']')) fail();
      step.unit = &find_unit(std::string_view(unit).substr(1, unit.size() - 2), where_);
    }
    steps_.push_back(std::move(step));
  }

  std::vector<std::string> parts_;
  std::string where_, expected_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<Expression::Step> steps_;
};

// What the steps leave where operands are `of(step)` and two are joined by `with(kind, a, b)`.
template <class Value, class Of, class With>
Value fold(const std::vector<Expression::Step>& steps, const Of& of, const With& with) {
  std::vector<Value> stack;
  for (const auto& step : steps) {
    if (step.kind == Expression::Kind::column || step.kind == Expression::Kind::constant) {
      stack.push_back(of(step));
    } else {
      const Value b = stack.back();
      stack.pop_back();
      stack.back() = with(step.kind, stack.back(), b);
    }
  }
  return stack.back();
}

// Whether columns are added, subtracted and scaled by constants only: then all have the unit of the result.
bool is_linear(const std::vector<Expression::Step>& steps) {
  using Kind = Expression::Kind;
  enum class Degree { constant, linear, higher };
  return fold<Degree>(
             steps,
             [](const auto& step) { return step.kind == Kind::column ? Degree::linear : Degree::constant; },
             [](Kind kind, Degree a, Degree b) {
               if (kind == Kind::add || kind == Kind::subtract) return std::max(a, b);
               if (b == Degree::constant) return a;
               return kind == Kind::multiply && a == Degree::constant ? b : Degree::higher;
             }) != Degree::higher;
}

Dimension dimension_of(const std::vector<Expression::Step>& steps, const std::string& where) {
  using Kind = Expression::Kind;
  return fold<Dimension>(
      steps, [](const auto& step) { return step.unit != nullptr ? step.unit->dimension : Dimension{}; },
      [&](Kind kind, const Dimension& a, const Dimension& b) {
        if (kind == Kind::multiply) return a + b;
        if (kind == Kind::divide) return a - b;
        if (a != b) throw DataError(where + ": adds or subtracts numbers that measure different things");
        return a;
      });
}

Expression parse_expression(const std::string& text, const Unit& target, const std::string& where) {
  const std::string expected =
      where +
      ": expected a formula of columns and a unit, as in `a - b [mW]` or `energy [J] / time [s]`, "
      "found '" +
      text + "'";
  auto parts = tokens(text, where);
  const auto units = std::count_if(parts.begin(), parts.end(), is_unit);
  if (units == 0) throw DataError(expected);
  Expression expression;
  for (const auto& part : parts) {
    if (is_unit(part)) continue;
    const bool tight = expression.text.empty() || expression.text.ends_with('(') || part == ")";
    expression.text += (tight ? "" : " ") + (part.starts_with('"') ? part.substr(1) : part);
  }
  const bool one_unit = units == 1 && is_unit(parts.back());
  if (one_unit) {
    const auto& given = parts.back();
    if (!given.ends_with(']')) throw DataError(expected);
    expression.unit = &find_unit(std::string_view(given).substr(1, given.size() - 2), where);
    expression.scale = scale_between(*expression.unit, target, where);
    parts.pop_back();
  }
  expression.steps = FormulaParser(std::move(parts), where, expected).parse();
  if (one_unit) {
    if (is_linear(expression.steps))
      for (auto& step : expression.steps) step.unit = expression.unit;
    return expression;
  }
  const auto found = dimension_of(expression.steps, where);
  if (found != target.dimension)
    throw DataError(where + ": '" + text + "' is no number that can be turned into " +
                    std::string(target.name));
  expression.scale = 1 / target.scale;
  for (auto& step : expression.steps) {
    if (step.unit == nullptr) step.unit = datasets::find_unit("count");
    step.factor = step.unit->scale;
    if (step.kind == Expression::Kind::constant) step.number *= step.factor;
  }
  return expression;
}

NamePattern parse_pattern(const std::string& text, const std::string& where) {
  NamePattern pattern;
  pattern.text = text;
  pattern.literals.emplace_back();
  std::set<std::string> names;
  for (std::size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      pattern.literals.back() += text[i++];
      continue;
    }
    const std::string inside = text.substr(i + 1, close - i - 1);
    const auto colon = inside.find(':');
    NamePart part{inside.substr(0, colon), std::nullopt, 1};
    if (part.name.empty() || !names.insert(part.name).second) {
      throw DataError(where + ": every part of the pattern needs a name of its own, found '" + text + "'");
    }
    if (colon != std::string::npos) {
      part.role = hw::parse_knob_role(part.name);
      if (!part.role) throw DataError(where + ": unknown knob role '" + part.name + "' in the pattern");
      part.scale = scale_between(find_unit(inside.substr(colon + 1), where), unit_of(*part.role), where);
    }
    pattern.parts.push_back(part);
    pattern.literals.emplace_back();
    i = close + 1;
  }
  return pattern;
}

constexpr std::string_view kCell = "cell ";

FileMapping parse_file_section(const IniSection& section) {
  FileMapping file;
  file.where = section.where;
  file.glob = section.name.substr(std::string_view("file ").size());
  for (const auto& [key, value] : section.entries) {
    const std::string where = section.where + ": " + key;
    if (key == "format") {
      if (value != "csv" && value != "tegrastats") {
        throw DataError(where + ": expected csv or tegrastats, found '" + value + "'");
      }
      file.format = value == "csv" ? FileFormat::csv : FileFormat::tegrastats;
    } else if (key == "pattern") {
      file.pattern = parse_pattern(value, where);
    } else if (key.starts_with(kCell)) {
      file.cells[key.substr(kCell.size())] = parse_pattern(value, where);
    } else if (const auto role = hw::parse_knob_role(key)) {
      file.knobs[*role] = parse_expression(value, unit_of(*role), where);
    } else if (const auto metric = parse_metric(key)) {
      file.metrics[*metric] = parse_expression(value, unit_of(*metric), where);
    } else {
      std::vector<std::string_view> known{"format", "pattern", "cell COLUMN"};
      for (const auto known_role : hw::kKnobRoles) known.push_back(hw::to_string(known_role));
      for (const auto known_metric : kMetrics) known.push_back(to_string(known_metric));
      throw DataError(section.where + ": unknown knob role, metric or key '" + key +
                      "', known are: " + join(known));
    }
  }
  std::set<std::string> names;
  const auto check_parts = [&](const NamePattern& pattern) {
    for (const auto& part : pattern.parts) {
      if (part.role && file.knobs.contains(*part.role))
        throw DataError(section.where + ": " + part.name + " is given by the pattern and by a column");
      if (!names.insert(part.name).second)
        throw DataError(section.where + ": " + part.name + " is given by two patterns");
    }
  };
  check_parts(file.pattern);
  for (const auto& [column, pattern] : file.cells) check_parts(pattern);
  if (file.roles().empty()) throw DataError(section.where + ": no knob role is given");
  if (file.metrics.empty()) throw DataError(section.where + ": no metric is given");
  return file;
}

template <class Value>
Value parse_name(const IniSection& section, const char* key, std::optional<Value> (*parse)(std::string_view),
                 const char* known) {
  const std::string found = section.text(key);
  const auto value = parse(found);
  if (!value) throw DataError(section.where + ": " + key + ": expected " + known + ", found '" + found + "'");
  return *value;
}

void parse_profile_section(const IniSection& section, Mapping& mapping) {
  std::vector<std::string_view> attributes;
  for (const auto& [name, member] : kTextAttributes) attributes.push_back(name);
  for (const auto& [name, member] : kNumberAttributes) attributes.push_back(name);
  std::vector<std::string_view> known{"device", "workload", "kind",    "time_of",
                                      "space",  "repeated", "decimal", "trust_units"};
  known.insert(known.end(), attributes.begin(), attributes.end());
  section.check_keys(known);
  mapping.device.text = section.text("device");
  mapping.workload.text = section.text("workload");
  mapping.kind = parse_name(section, "kind", parse_workload_kind, "dnn-training, dnn-inference or non-dnn");
  mapping.time_of = parse_name(section, "time_of", parse_time_of, "minibatch, epoch or run");
  const std::string space = section.text("space");
  if (space != "from-data") {
    try {
      hw::find_module(space);
    } catch (const std::invalid_argument& e) {
      throw DataError(section.where + ": space: expected from-data or a known board: " + e.what());
    }
    mapping.board = space;
  }
  if (const auto* repeated = section.find("repeated")) {
    mapping.repeated = parse_average(*repeated);
    if (!mapping.repeated && *repeated != "refused")
      throw DataError(section.where + ": repeated: expected mean, median, trimmed or refused, found '" +
                      *repeated + "'");
  }
  if (section.find("decimal") != nullptr)
    mapping.decimal = parse_name(section, "decimal", parse_decimal_sign, "point or comma");
  if (const auto* trust = section.find("trust_units")) {
    if (*trust != "yes" && *trust != "no")
      throw DataError(section.where + ": trust_units: expected yes or no, found '" + *trust + "'");
    mapping.trust_units = *trust == "yes";
  }
  for (const auto name : attributes) {
    if (const auto* value = section.find(name)) mapping.attributes[std::string(name)].text = *value;
  }
}

}  // namespace

std::string_view to_string(Metric metric) {
  switch (metric) {
    case Metric::time_ms:
      return "time_ms";
    case Metric::power_w:
      return "power_w";
    case Metric::time_std_ms:
      return "time_std_ms";
    case Metric::power_std_w:
      return "power_std_w";
    case Metric::repeats:
      return "repeats";
    case Metric::throttled:
      return "throttled";
    case Metric::duration_ms:
      return "duration_ms";
  }
  throw std::invalid_argument("to_string: unknown metric");
}

const Unit& unit_of(hw::KnobRole role) {
  switch (role) {
    case hw::KnobRole::cpu_khz:
    case hw::KnobRole::gpu_khz:
    case hw::KnobRole::mem_khz:
      return *find_unit("kHz");
    case hw::KnobRole::power_limit_mw:
      return *find_unit("mW");
    case hw::KnobRole::cpu_cores:
    case hw::KnobRole::batch_size:
      return *find_unit("count");
  }
  throw std::invalid_argument("unit_of: unknown role");
}

const Unit& unit_of(Metric metric) {
  switch (metric) {
    case Metric::time_ms:
    case Metric::time_std_ms:
    case Metric::duration_ms:
      return *find_unit("ms");
    case Metric::power_w:
    case Metric::power_std_w:
      return *find_unit("W");
    case Metric::repeats:
    case Metric::throttled:
      return *find_unit("count");
  }
  throw std::invalid_argument("unit_of: unknown metric");
}

void check_named_units(const Expression& expression, const std::string& where) {
  using Kind = Expression::Kind;
  bool all_named = true;
  if (std::any_of(expression.steps.begin(), expression.steps.end(),
                  [](const auto& step) { return step.kind == Kind::constant; }))
    return;
  for (const auto& step : expression.steps) {
    if (step.kind != Kind::column) continue;
    const auto* named = unit_in_brackets(step.column);
    all_named = all_named && named != nullptr;
    if (named == nullptr || step.unit == nullptr) continue;
    if (named->dimension != step.unit->dimension || named->scale != step.unit->scale)
      throw DataError(where + ": column '" + step.column + "' is said to be in " +
                      std::string(step.unit->name) + ", by its name it is in " + std::string(named->name));
  }
  if (!all_named || expression.unit == nullptr) return;
  const auto found = fold<Unit>(
      expression.steps, [](const auto& step) { return *unit_in_brackets(step.column); },
      [](Kind kind, const Unit& a, const Unit& b) {
        if (kind == Kind::multiply) return Unit{"", a.dimension + b.dimension, a.scale * b.scale};
        if (kind == Kind::divide) return Unit{"", a.dimension - b.dimension, a.scale / b.scale};
        return a;
      });
  constexpr double kRounding = 1e-9;
  if (found.dimension != expression.unit->dimension ||
      std::abs(found.scale / expression.unit->scale - 1) > kRounding)
    throw DataError(where + ": '" + expression.text + "' does not give " +
                    std::string(expression.unit->name) + " by the units in the columns' names");
}

Expression column_in(const std::string& column, const Unit& unit, const Unit& target) {
  Expression expression;
  expression.steps.push_back({.column = column, .unit = &unit});
  expression.scale = scale_between(unit, target).value();
  expression.unit = &unit;
  expression.text = column;
  return expression;
}

std::vector<hw::KnobRole> FileMapping::roles() const {
  std::set<hw::KnobRole> found;
  for (const auto& [role, expression] : knobs) found.insert(role);
  const auto add = [&](const NamePattern& of) {
    for (const auto& part : of.parts)
      if (part.role) found.insert(*part.role);
  };
  add(pattern);
  for (const auto& [column, cell] : cells) add(cell);
  return {found.begin(), found.end()};
}

std::optional<std::vector<std::string>> match(const NamePattern& pattern, std::string_view name) {
  // From the last part to the first: where in the name its literal can stand so that all that follows fits, and where in a number
  // one can be. fits[i][at]: literals[i] and what follows fit name from `at` on.
  const auto n = name.size();
  const auto is_digit = [&](std::size_t at) { return at < n && name[at] >= '0' && name[at] <= '9'; };
  const auto count = pattern.parts.size();
  std::vector<std::vector<bool>> fits(count + 1, std::vector<bool>(n + 1, false));
  std::vector<std::vector<bool>> whole(count), fraction(count);  // after a digit before the point, after it
  const auto literal_at = [&](std::size_t i, std::size_t at) {
    const auto& literal = pattern.literals[i];
    return literal.size() <= n - at && name.compare(at, literal.size(), literal) == 0;
  };
  const auto& last = pattern.literals[count];
  if (last.size() <= n && literal_at(count, n - last.size())) fits[count][n - last.size()] = true;
  for (std::size_t i = count; i-- > 0;) {
    const auto& next = fits[i + 1];
    std::vector<bool> starts(n + 1, false);  // where the part itself can start
    if (pattern.parts[i].role) {
      whole[i].assign(n + 1, false);
      fraction[i].assign(n + 1, false);
      for (std::size_t at = n + 1; at-- > 0;) {
        fraction[i][at] = next[at] || (is_digit(at) && fraction[i][at + 1]);
        whole[i][at] = next[at] || (is_digit(at) && whole[i][at + 1]) ||
                       (at < n && name[at] == '.' && is_digit(at + 1) && fraction[i][at + 2]);
        starts[at] = is_digit(at) && whole[i][at + 1];
      }
    } else {
      bool later = false;
      for (std::size_t at = n + 1; at-- > 0;) {
        starts[at] = later;
        later = later || next[at];
      }
    }
    const auto size = pattern.literals[i].size();
    for (std::size_t at = 0; at + size <= n; ++at) fits[i][at] = starts[at + size] && literal_at(i, at);
  }
  if (!fits[0][0]) return std::nullopt;

  std::vector<std::string> found;
  std::size_t at = pattern.literals[0].size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = at++;
    if (!pattern.parts[i].role) {
      while (!fits[i + 1][at]) ++at;
    } else {
      while (is_digit(at) && whole[i][at + 1]) ++at;
      if (at < n && name[at] == '.' && is_digit(at + 1) && fraction[i][at + 2]) {
        at += 2;
        while (is_digit(at) && fraction[i][at + 1]) ++at;
      }
    }
    found.emplace_back(name.substr(start, at - start));
    at += pattern.literals[i + 1].size();
  }
  return found;
}

namespace {

// One character of a glob that starts at `at`, which is moved behind it: whether `c` fits.
bool one_fits(std::string_view glob, std::size_t& at, char c) {
  const char first = glob[at++];
  if (first == '?') return true;
  if (first == '\\' && at < glob.size()) return glob[at++] == c;
  if (first != '[') return first == c;
  auto i = at;
  const bool others = i < glob.size() && (glob[i] == '!' || glob[i] == '^');
  if (others) ++i;
  const auto close = glob.find(']', i + 1);  // a bracket that stands first is one of the set
  if (close == std::string_view::npos) return c == '[';
  bool among = false;
  while (i < close) {
    const bool range = i + 2 < close && glob[i + 1] == '-';
    among = among || (range ? glob[i] <= c && c <= glob[i + 2] : glob[i] == c);
    i += range ? 3 : 1;
  }
  at = close + 1;
  return among != others;
}

}  // namespace

bool fits_glob(std::string_view glob, std::string_view name) {
  // Where it does not fit, the last * takes one more character; those before it need not be tried again.
  std::size_t g = 0, n = 0, star = std::string_view::npos, star_n = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_n = n;
      continue;
    }
    auto next = g;
    if (g < glob.size() && one_fits(glob, next, name[n])) {
      g = next;
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

namespace {

// "cpu" of cpu_khz and "power_limit" of power_limit_mw; a name without a unit as it is.
std::string_view stem_of(std::string_view name) {
  for (const std::string_view unit : {"_khz", "_mw", "_ms", "_w"})
    if (name.ends_with(unit)) return name.substr(0, name.size() - unit.size());
  return name;
}

std::string lower(std::string_view text) {
  std::string small(text);
  for (auto& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

// The unit of a column that is to give `name`, whose unit is `kept`; nullptr where it is called otherwise. What comes behind the
// name, or its stem: nothing, or a unit behind a blank, a bar, a slash or in brackets.
const Unit* unit_of_column(std::string_view column, std::string_view name, const Unit& kept) {
  if (column == name) return &kept;
  const auto small = lower(column);
  for (const auto called : {name, stem_of(name)}) {
    if (!small.starts_with(called)) continue;
    auto rest = column.substr(called.size());
    if (rest.empty()) continue;
    const bool blank = rest.front() == ' ';
    const auto at = rest.find_first_not_of(' ');
    if (at == rest.npos) continue;
    rest.remove_prefix(at);
    const char opens = rest.front();
    const bool bracket = (opens == '(' && rest.back() == ')') || (opens == '[' && rest.back() == ']');
    if (bracket)
      rest = rest.substr(1, rest.size() - 2);
    else if (opens == '_' || opens == '/' || opens == '-')
      rest.remove_prefix(1);
    else if (!blank)
      continue;
    const auto* unit = datasets::find_unit(rest);
    if (unit != nullptr && unit->dimension == kept.dimension) return unit;
  }
  return nullptr;
}

}  // namespace

FileMapping standard_columns(const CsvTable& table, std::vector<std::string>* unused) {
  FileMapping file;
  file.where = table.path;
  file.glob = "*";
  std::set<std::string> used;
  const auto find = [&](std::string_view name, const Unit& kept, auto& into, auto key) {
    for (const auto& column : table.header) {
      const auto* unit = unit_of_column(column, name, kept);
      if (unit == nullptr) continue;
      if (!used.insert(column).second || into.contains(key))
        throw DataError(table.path + ": more than one column gives " + std::string(name) + ": " +
                        (into.contains(key) ? into.at(key).text + ", " : "") + column);
      into[key] = column_in(column, *unit, kept);
      // The stem with a unit in brackets says what it is; a role's name says kHz too, and may contradict.
      if (const auto* bracketed = unit_in_brackets(column);
          bracketed != nullptr && without_unit(column) == name)
        into[key] = column_in(column, kept, kept);
    }
  };
  for (const auto role : hw::kKnobRoles) find(hw::to_string(role), unit_of(role), file.knobs, role);
  for (const auto metric : {Metric::time_ms, Metric::power_w})
    find(to_string(metric), unit_of(metric), file.metrics, metric);
  if (file.knobs.empty() || file.metrics.empty()) {
    std::vector<std::string_view> roles;
    for (const auto role : hw::kKnobRoles) roles.push_back(hw::to_string(role));
    throw DataError(table.path + ": expected columns of knobs (" + join(roles) +
                    ") and of time_ms or power_w, found " + join(table.header));
  }
  if (unused != nullptr)
    for (const auto& column : table.header)
      if (!used.contains(column)) unused->push_back(column);
  return file;
}

Mapping read_mapping(const std::string& path) {
  const IniFile ini = read_ini(path);
  Mapping mapping;
  mapping.path = path;
  parse_profile_section(ini.section("profile"), mapping);
  for (const auto& section : ini.sections) {
    if (section.name == "profile") continue;
    if (section.name == "rename") {
      for (const auto& [from, to] : section.entries) mapping.renamed[from] = to;
    } else if (section.name.starts_with("device ")) {
      auto& attributes = mapping.devices[section.name.substr(std::string_view("device ").size())];
      for (const auto& [key, value] : section.entries) attributes[key] = value;
    } else if (section.name.starts_with("file ")) {
      mapping.files.push_back(parse_file_section(section));
    } else {
      throw DataError(section.where +
                      ": unknown section, known are: [profile], [rename], [device NAME], [file GLOB]");
    }
  }
  if (mapping.files.empty()) throw DataError(path + ": no section [file GLOB] says what the columns are");
  for (const auto& file : mapping.files) {
    if (file.roles() != mapping.files.front().roles()) {
      throw DataError(file.where + ": its knob roles differ from those of " + mapping.files.front().where);
    }
  }
  return mapping;
}

}  // namespace fewwatt::datasets
