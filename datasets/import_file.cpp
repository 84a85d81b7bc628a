#include "datasets/import_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "hw/counted.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {

// Plausible bounds for a device, in the unit that is kept, and the units that a number outside may be in.
struct Plausible {
  double least, most;
  const char* what;
  std::array<const char*, 4> units;
};

namespace {

using hw::kNan;

// What the file's name says: the parts of the pattern, "file" and "folder".
std::map<std::string, std::string> parts_of_name(const Input& input) {
  const std::filesystem::path path(input.path);
  const auto folder = std::filesystem::absolute(path).lexically_normal().parent_path().filename();
  std::map<std::string, std::string> parts{{"file", path.stem().string()}, {"folder", folder.string()}};
  const auto& pattern = input.mapping->pattern;
  if (pattern.text.empty()) return parts;
  const auto found = match(pattern, tail_of(path, pattern.text));
  if (!found) {
    throw DataError(input.path + ": the name does not fit the pattern '" + pattern.text + "' of " +
                    input.mapping->where);
  }
  for (std::size_t i = 0; i < pattern.parts.size(); ++i) parts[pattern.parts[i].name] = (*found)[i];
  return parts;
}

constexpr Plausible kClock{2e4, 2e7, "clock", {"Hz", "kHz", "MHz", "GHz"}};
constexpr Plausible kPower{0.1, 1500, "power", {"uW", "mW", "W", "kW"}};
constexpr Plausible kPowerOfCores{0.01, 1500, "power", {"uW", "mW", "W", "kW"}};  // of a phone, say
constexpr Plausible kPowerLimit{1e3, 2e6, "power limit", {"uW", "mW", "W", "kW"}};

const Plausible* plausible(hw::KnobRole role) {
  switch (role) {
    case hw::KnobRole::cpu_khz:
    case hw::KnobRole::gpu_khz:
    case hw::KnobRole::mem_khz:
      return &kClock;
    case hw::KnobRole::power_limit_mw:
      return &kPowerLimit;
    case hw::KnobRole::cpu_cores:
    case hw::KnobRole::batch_size:
      return nullptr;
  }
  return nullptr;
}

// The factor from a formula's unit to the unit that is kept. A formula without a unit of its own, because its columns have theirs,
// gives the unit that is kept.
double scale_of(const Expression& expression) {
  return expression.unit != nullptr ? expression.scale : 1;
}

}  // namespace

std::string in_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

std::string tail_of(const std::filesystem::path& path, std::string_view pattern) {
  auto rest = std::filesystem::absolute(path).lexically_normal();
  std::string tail = rest.filename().string();
  for (auto slashes = std::count(pattern.begin(), pattern.end(), '/'); slashes > 0; --slashes) {
    rest = rest.parent_path();
    tail = rest.filename().string() + '/' + tail;
  }
  return tail;
}

std::string short_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

std::string hint_of(const std::string& unit) {
  return (unit.empty() ? std::string(": is the unit right? If so, add")
                       : ": looks like " + unit + ": write [" + unit + "] in the mapping, or " + unit +
                             " into the column's name (cpu_mhz, power_mw) or the cell; if it is right, add") +
         " --trust-units, or trust_units = yes to the mapping";
}

bool is_clock(hw::KnobRole role) {
  return plausible(role) == &kClock;
}

FileReader::FileReader(const Input& input, const Mapping& of)
    : mapping_(*input.mapping), trust_units_(of.trust_units), parts_(parts_of_name(input)) {
  if (mapping_.format == FileFormat::csv)
    table_ = read_csv(input.path, of.decimal);
  else
    take_log(input.path);
  const auto& named = mapping_.pattern.parts;
  if (table_.has_column("folder") &&
      std::none_of(named.begin(), named.end(), [](const auto& part) { return part.name == "folder"; }))
    parts_.erase("folder");
  for (const auto& [column, pattern] : mapping_.cells) take_cells(table_.column(column), pattern);
  for (const auto& [role, expression] : mapping_.knobs) columns_[&expression] = find_columns(expression);
  for (const auto& [metric, expression] : mapping_.metrics) columns_[&expression] = find_columns(expression);
}

std::string FileReader::text(std::size_t row, const std::string& name) const {
  if (const auto* part = find_part(row, name)) return *part;
  return table_.rows[row][table_.column(name)];
}

bool FileReader::has_text(const std::string& name) const {
  return find_part(0, name) != nullptr || table_.has_column(name);
}

int FileReader::setting(std::size_t row, hw::KnobRole role) const {
  const std::string name(hw::to_string(role));
  double value = kNan, scale = 1;
  if (const auto knob = mapping_.knobs.find(role); knob != mapping_.knobs.end()) {
    value = evaluate(row, knob->second);
    scale = scale_of(knob->second);
    if (std::isnan(value))
      throw DataError(where(row) + ": column '" + knob->second.text + "' is empty, it gives " + name);
    check_plausible(row, "column '" + knob->second.text + "' gives " + name, value, scale, plausible(role),
                    unit_of(role));
  } else {
    const auto take = [&](const NamePattern& pattern) {
      for (const auto& part : pattern.parts) {
        if (part.role != role || !parse_number(*find_part(row, part.name), value)) continue;
        scale = part.scale;
        value *= scale;
      }
    };
    take(mapping_.pattern);
    for (const auto& [column, pattern] : mapping_.cells) take(pattern);
    check_plausible(row, "the pattern gives " + name, value, scale, plausible(role), unit_of(role));
  }
  // Clocks in Hz are scaled by 1e-3, which is not exact.
  const auto whole = hw::as_int(std::round(value), 1);
  if (!whole || !(std::abs(value - *whole) < 1e-6)) {
    throw DataError(where(row) + ": " + name + " must be a whole number above 0 and at most " +
                    std::to_string(std::numeric_limits<int>::max()) + ", found " + in_text(value));
  }
  return *whole;
}

double FileReader::metric(std::size_t row, Metric metric) const {
  const auto& expression = mapping_.metrics.at(metric);
  const double value = evaluate(row, expression);
  const std::string gives = "column '" + expression.text + "' gives " + std::string(to_string(metric));
  const auto require = [&](bool holds, const char* expected) {
    if (holds) return;
    throw DataError(where(row) + ": " + gives + ": expected " + expected + ", found " +
                    (std::isnan(value) ? "an empty cell, nan or the like" : in_text(value)));
  };
  switch (metric) {
    case Metric::time_ms:
      require(value > 0, "a number above 0");
      break;
    case Metric::power_w:
      require(std::isnan(value) || value > 0, "a number above 0 or nothing");
      check_plausible(row, gives, value, scale_of(expression), &power_bounds(), unit_of(metric));
      break;
    case Metric::duration_ms:
      require(std::isnan(value) || value > 0, "a number above 0 or nothing");
      break;
    case Metric::time_std_ms:
    case Metric::power_std_w:
      require(std::isnan(value) || value >= 0, "a number not below 0 or nothing");
      break;
    case Metric::repeats:
      require(value >= 1 && value < 1e9 && value == std::round(value), "a whole number above 0");
      break;
    case Metric::throttled:
      require(value == 0 || value == 1, "0 or 1");
      break;
  }
  return value;
}

const Plausible& FileReader::power_bounds() const {
  const auto roles = mapping_.roles();
  const bool cores = std::all_of(roles.begin(), roles.end(), [](auto role) {
    return role == hw::KnobRole::cpu_cores || role == hw::KnobRole::cpu_khz;
  });
  return cores ? kPowerOfCores : kPower;
}

void FileReader::take_log(const std::string& path) {
  log_ = read_tegrastats(path);
  table_.path = path;
  table_.rows.emplace_back();
  table_.lines.push_back(1);
  for (const auto& [rail, mw] : log_.rails_mw) {
    table_.header.push_back(rail);
    table_.rows.front().push_back(in_text(mw) + " mW");  // so that a mapping cannot take it for anything else
  }
}

void FileReader::take_cells(std::size_t column, const NamePattern& pattern) {
  cell_parts_.resize(size());
  for (std::size_t row = 0; row < size(); ++row) {
    const auto& text = table_.rows[row][column];
    const auto found = match(pattern, text);
    if (!found)
      throw DataError(where(row) + ": column '" + table_.header[column] + "': '" + text +
                      "' does not fit the pattern '" + pattern.text + "'");
    for (std::size_t i = 0; i < pattern.parts.size(); ++i)
      cell_parts_[row][pattern.parts[i].name] = (*found)[i];
  }
}

const std::string* FileReader::find_part(std::size_t row, const std::string& name) const {
  if (const auto part = parts_.find(name); part != parts_.end()) return &part->second;
  if (row >= cell_parts_.size()) return nullptr;
  const auto part = cell_parts_[row].find(name);
  return part != cell_parts_[row].end() ? &part->second : nullptr;
}

std::vector<FileReader::Source> FileReader::find_columns(const Expression& expression) {
  std::vector<Source> sources;
  for (const auto& step : expression.steps) {
    Source& source = sources.emplace_back();
    if (step.kind != Expression::Kind::column) continue;
    if (!table_.has_column(step.column) && find_part(0, step.column) != nullptr) {
      source.part = step.column;
      continue;
    }
    source.column = table_.column(step.column);
    if (log_.twice.contains(step.column))
      throw DataError(table_.path + ": rail " + step.column +
                      " is there more than once in a line, which one counts is not known");
    if (const auto rail = log_.rail_lines.find(step.column);
        rail != log_.rail_lines.end() && rail->second < log_.lines)
      notices_.push_back(table_.path + ": rail " + step.column + " is in " + std::to_string(rail->second) +
                         " of " + hw::counted(log_.lines, "line") + ", their mean counts");
  }
  check_named_units(expression, table_.path);
  return sources;
}

double FileReader::value_of(std::size_t row, const Expression::Step& step, const Source& source) const {
  if (step.kind == Expression::Kind::constant) return step.number;
  if (!source.column) {
    double value = 0;
    const auto& text = *find_part(row, source.part);
    if (!parse_number(text, value))
      throw DataError(where(row) + ": {" + source.part + "}: expected a number, found '" + text + "'");
    return value * step.factor;
  }
  const auto cell = table_.value(row, *source.column);
  double value = cell.number;
  if (cell.unit != nullptr) {
    const auto scale = step.unit != nullptr ? scale_between(*cell.unit, *step.unit) : std::nullopt;
    if (!scale)
      throw DataError(where(row) + ": column '" + step.column + "': '" + table_.rows[row][*source.column] +
                      "' cannot be turned into " +
                      (step.unit != nullptr ? std::string(step.unit->name)
                                            : "what the formula needs: give each of its columns a unit"));
    value *= *scale;
  }
  return value * step.factor;
}

double FileReader::evaluate(std::size_t row, const Expression& expression) const {
  using Kind = Expression::Kind;
  const auto& sources = columns_.at(&expression);
  std::vector<double> stack;
  bool missing = false;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto& step = expression.steps[i];
    if (step.kind == Kind::column || step.kind == Kind::constant) {
      stack.push_back(value_of(row, step, sources[i]));
      missing = missing || std::isnan(stack.back());
      continue;
    }
    const double b = stack.back();
    stack.pop_back();
    double& a = stack.back();
    if (step.kind == Kind::add) a += b;
    if (step.kind == Kind::subtract) a -= b;
    if (step.kind == Kind::multiply) a *= b;
    if (step.kind == Kind::divide) a /= b;
  }
  if (missing) return kNan;
  const double value = stack.back() * expression.scale;
  if (!std::isfinite(value))
    throw DataError(where(row) + ": column '" + expression.text +
                    "' gives a number that is too large, or is divided by 0");
  return value;
}

void FileReader::check_plausible(std::size_t row, const std::string& gives, double value, double scale,
                                 const Plausible* bounds, const Unit& kept) const {
  if (trust_units_ || bounds == nullptr || !(value > 0) || (value >= bounds->least && value <= bounds->most))
    return;
  // Of several that would do, the one with which it is the least extreme.
  std::string guess;
  double least_extreme = std::numeric_limits<double>::infinity();
  for (const auto* name : bounds->units) {
    const double other = value / scale * scale_between(*find_unit(name), kept).value();
    const double extreme = std::abs(std::log(other * other / (bounds->least * bounds->most)));
    if (other < bounds->least || other > bounds->most || extreme >= least_extreme) continue;
    guess = name;
    least_extreme = extreme;
  }
  throw DataError(where(row) + ": " + gives + " = " + short_text(value) + ' ' + std::string(kept.name) +
                  ", no " + bounds->what + " of a device" + hint_of(guess));
}

}  // namespace fewwatt::datasets
