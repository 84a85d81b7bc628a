#include "datasets/import.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "datasets/average.hpp"
#include "datasets/csv.hpp"
#include "datasets/tegrastats.hpp"
#include "datasets/thousands.hpp"
#include "datasets/units.hpp"
#include "hw/counted.hpp"
#include "hw/modules.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A value and the "path:line" that said so.
struct Cell {
  double value;
  std::string where;
};

// The measurements of a mode's time or power, where they are averaged, and where they stand.
struct Repeated {
  std::vector<Measured> values;
  std::vector<std::string> where;
  const Unit* unit = nullptr;  // that the mapping says the first one has

  void add(const Measured& measured, const std::string& stands) {
    if (std::isnan(measured.value)) return;
    values.push_back(measured);
    where.push_back(stands);
  }
};

struct ModeDraft {
  std::map<Metric, Cell> cells;
  Repeated times, powers;
};

struct Draft {
  std::map<hw::PowerMode, ModeDraft> modes;
  std::map<std::string, std::string> attributes;
};

struct Input {
  std::string path;
  const FileMapping* mapping;
};

std::string in_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

// The last parts of a path, as many as `pattern` has: one more than it has slashes.
std::string tail_of(const std::filesystem::path& path, std::string_view pattern) {
  auto rest = std::filesystem::absolute(path).lexically_normal();
  std::string tail = rest.filename().string();
  for (auto slashes = std::count(pattern.begin(), pattern.end(), '/'); slashes > 0; --slashes) {
    rest = rest.parent_path();
    tail = rest.filename().string() + '/' + tail;
  }
  return tail;
}

const FileMapping* find_file_mapping(const Mapping& mapping, const std::filesystem::path& path) {
  for (const auto& file : mapping.files) {
    if (fits_glob(file.glob, tail_of(path, file.glob))) return &file;
  }
  return nullptr;
}

std::vector<Input> find_inputs(const Mapping& mapping, const std::vector<std::string>& paths,
                               ImportReport& report) {
  namespace fs = std::filesystem;
  std::vector<Input> inputs;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::exists(path, error)) throw DataError("cannot read " + path + ": No such file or directory");
    if (!fs::is_directory(path, error)) {
      const auto* file = find_file_mapping(mapping, path);
      if (file == nullptr)
        throw DataError(path + ": no [file] section of " + mapping.path + " fits this name");
      inputs.push_back({path, file});
      continue;
    }
    std::vector<fs::path> found;
    for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      if (it->is_regular_file(error)) found.push_back(it->path());
    }
    if (error) throw DataError("cannot read folder " + path + ": " + error.message());
    std::sort(found.begin(), found.end());
    const auto before = inputs.size();
    for (const auto& name : found) {
      if (const auto* file = find_file_mapping(mapping, name)) inputs.push_back({name.string(), file});
    }
    report.skipped_files += found.size() - (inputs.size() - before);
    if (inputs.size() == before)
      throw DataError(path + ": no [file] section of " + mapping.path + " fits a file of this folder");
  }
  report.files = inputs.size();
  return inputs;
}

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

// Bounds of what devices have, in the unit that is kept, and the units that a number may have instead.
struct Plausible {
  double least, most;
  const char* what;
  std::array<const char*, 4> units;
};
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

std::string short_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

// The factor from a formula's unit to the unit that is kept. A formula without a unit of its own, because its columns have theirs,
// gives the unit that is kept.
double scale_of(const Expression& expression) {
  return expression.unit != nullptr ? expression.scale : 1;
}

std::string hint_of(const std::string& unit) {
  return (unit.empty() ? std::string(": is the unit right? If so, add")
                       : ": looks like " + unit + ": write [" + unit + "] in the mapping, or " + unit +
                             " into the column's name (cpu_mhz, power_mw) or the cell; if it is right, add") +
         " --trust-units, or trust_units = yes to the mapping";
}

// Everything one input file is read with.
class FileReader {
 public:
  FileReader(const Input& input, const Mapping& of)
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
    for (const auto& [metric, expression] : mapping_.metrics)
      columns_[&expression] = find_columns(expression);
  }

  const FileMapping& mapping() const { return mapping_; }
  std::size_t size() const { return table_.rows.size(); }
  std::size_t comments() const { return table_.comments; }
  std::size_t skipped_lines() const { return log_.skipped; }
  std::string where(std::size_t row) const { return table_.where(row); }
  // Rails of a log that are used, and not in all of its lines.
  const std::vector<std::string>& notices() const { return notices_; }

  // What {name} stands for.
  std::string text(std::size_t row, const std::string& name) const {
    if (const auto* part = find_part(row, name)) return *part;
    return table_.rows[row][table_.column(name)];
  }
  bool has_text(const std::string& name) const {
    return find_part(0, name) != nullptr || table_.has_column(name);
  }

  int setting(std::size_t row, hw::KnobRole role) const {
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

  // NaN = missing, where that is allowed.
  double metric(std::size_t row, Metric metric) const {
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

 private:
  // A module with a GPU takes more than the cores of a processor alone.
  const Plausible& power_bounds() const {
    const auto roles = mapping_.roles();
    const bool cores = std::all_of(roles.begin(), roles.end(), [](auto role) {
      return role == hw::KnobRole::cpu_cores || role == hw::KnobRole::cpu_khz;
    });
    return cores ? kPowerOfCores : kPower;
  }

  // Where an operand of a formula comes from.
  struct Source {
    std::optional<std::size_t> column;
    std::string part;
  };

  // A log as a table: its rails are the columns of one row.
  void take_log(const std::string& path) {
    log_ = read_tegrastats(path);
    table_.path = path;
    table_.rows.emplace_back();
    table_.lines.push_back(1);
    for (const auto& [rail, mw] : log_.rails_mw) {
      table_.header.push_back(rail);
      table_.rows.front().push_back(in_text(mw));
    }
  }

  void take_cells(std::size_t column, const NamePattern& pattern) {
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

  const std::string* find_part(std::size_t row, const std::string& name) const {
    if (const auto part = parts_.find(name); part != parts_.end()) return &part->second;
    if (row >= cell_parts_.size()) return nullptr;
    const auto part = cell_parts_[row].find(name);
    return part != cell_parts_[row].end() ? &part->second : nullptr;
  }

  std::vector<Source> find_columns(const Expression& expression) {
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

  double value_of(std::size_t row, const Expression::Step& step, const Source& source) const {
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

  double evaluate(std::size_t row, const Expression& expression) const {
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

  // Throws where no device has such a value, with the unit in which one would.
  void check_plausible(std::size_t row, const std::string& gives, double value, double scale,
                       const Plausible* bounds, const Unit& kept) const {
    if (trust_units_ || bounds == nullptr || !(value > 0) ||
        (value >= bounds->least && value <= bounds->most))
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

  const FileMapping& mapping_;
  bool trust_units_;
  std::map<std::string, std::string> parts_;
  TegrastatsLog log_;  // empty for a CSV
  CsvTable table_;
  std::vector<std::map<std::string, std::string>> cell_parts_;  // by row; empty where no cell has any
  std::map<const Expression*, std::vector<Source>> columns_;    // one for each step
  std::vector<std::string> notices_;
};

// The name of the unit that is `factor` times another one; "" for none.
std::string scaled_unit(const Unit& unit, double factor) {
  for (const auto* name : {"us", "ms", "s", "uW", "mW", "W", "kW"}) {
    const auto scale = scale_between(*find_unit(name), unit);
    if (scale && std::abs(*scale / factor - 1) < 1e-9) return name;
  }
  return "";
}

bool is_clock(hw::KnobRole role) {
  return plausible(role) == &kClock;
}

int nearest_level(const hw::Knob& knob, int setting) {
  return *std::min_element(knob.levels.begin(), knob.levels.end(), [&](int a, int b) {
    return std::abs(std::log(double(a) / setting)) < std::abs(std::log(double(b) / setting));
  });
}

// The level that a clock is but for rounding: the nearest, within half a percent, or one that it is when cut or rounded to MHz.
std::optional<int> level_of(const hw::Knob& knob, int setting) {
  constexpr double kNear = 0.005;
  if (std::binary_search(knob.levels.begin(), knob.levels.end(), setting)) return setting;
  if (!is_clock(knob.role)) return std::nullopt;
  const int level = nearest_level(knob, setting), mhz = setting / 1000;
  const bool in_mhz = setting % 1000 == 0 && (level / 1000 == mhz || (level + 500) / 1000 == mhz);
  return in_mhz || std::abs(setting - level) <= kNear * level ? std::optional(level) : std::nullopt;
}

class Importer {
 public:
  Importer(const Mapping& mapping, ImportReport& report, const ImportOptions& options)
      : mapping_(mapping), report_(report), options_(options) {
    roles_ = mapping.files.front().roles();
    levels_of_ = options.levels_of;
    if (mapping.board.empty()) {
      const auto has = [&](hw::KnobRole role) { return options.levels && options.levels->knob_with(role); };
      if (options.levels && options.levels->knobs().size() == roles_.size() &&
          std::all_of(roles_.begin(), roles_.end(), has))
        levels_ = options.levels;
      return;
    }
    board_ = std::make_shared<const hw::PowerModeSpace>(hw::module_space(mapping.board));
    levels_ = board_;
    levels_of_ = "board " + mapping.board;
    auto given = roles_;
    roles_.clear();
    for (const auto& knob : board_->knobs()) roles_.push_back(knob.role);
    if (!std::is_permutation(given.begin(), given.end(), roles_.begin(), roles_.end())) {
      throw DataError(mapping.path + ": board " + mapping.board + " has the knobs " +
                      hw::describe_roles(*board_) + ", the [file] sections give others");
    }
  }

  void add(const Input& input) { files_.push_back(std::make_unique<FileReader>(input, mapping_)); }

  ProfileStore finish() {
    if (levels_) find_levels();
    for (const auto& file : files_) {
      for (std::size_t row = 0; row < file->size(); ++row) add_row(*file, row, file->mapping());
      report_.rows += file->size();
      report_.comments += file->comments();
      report_.skipped_lines += file->skipped_lines();
      report_.notices.insert(report_.notices.end(), file->notices().begin(), file->notices().end());
    }
    ProfileStore store;
    for (const auto& [name, draft] : drafts_) {
      store.profiles.push_back(make_profile(name.first, name.second, draft));
      const auto attributes = mapping_.devices.find(name.first);
      store.devices[name.first] =
          attributes != mapping_.devices.end() ? attributes->second : DeviceAttributes();
    }
    for (const auto& [from, to] : mapping_.renamed)
      if (!used_renames_.contains(from))
        report_.notices.push_back(mapping_.path + ": [rename] " + from +
                                  ": no device and no workload is called so");
    for (const auto& [device, attributes] : mapping_.devices)
      if (!store.devices.contains(device))
        report_.notices.push_back(mapping_.path + ": [device " + device + "]: no device is called so");
    return store;
  }

 private:
  // What every setting of the files is among the levels. Throws DataError for the first that is none.
  void find_levels() {
    std::vector<std::map<int, std::string>> found(roles_.size());  // setting, where it stands first
    for (const auto& file : files_)
      for (std::size_t row = 0; row < file->size(); ++row) {
        for (std::size_t k = 0; k < roles_.size(); ++k)
          found[k].try_emplace(file->setting(row, roles_[k]), file->where(row));
        // A number that is none, or in another unit, comes first.
        for (const auto& [metric, expression] : file->mapping().metrics) file->metric(row, metric);
      }
    settled_.resize(roles_.size());
    for (std::size_t k = 0; k < roles_.size(); ++k) {
      const auto& knob = levels_->knobs()[*levels_->knob_with(roles_[k])];
      const std::string name(hw::to_string(roles_[k]));
      std::string moved;
      std::size_t count = 0;
      for (const auto& [setting, where] : found[k]) {
        const auto level = level_of(knob, setting);
        if (!level)
          throw DataError(where + ": " + name + "=" + std::to_string(setting) + " is no level of " +
                          levels_of_ + ", the nearest is " + std::to_string(nearest_level(knob, setting)) +
                          other_boards(found));
        settled_[k][setting] = *level;
        if (*level == setting) continue;
        if (++count == 1) moved = std::to_string(setting) + " for " + std::to_string(*level);
      }
      if (count > 0)
        report_.notices.push_back(hw::counted(count, "setting") + " of " + name +
                                  (count > 1 ? " are taken for levels of " : " is taken for a level of ") +
                                  levels_of_ + ": " + moved + (count > 1 ? ", ..." : ""));
    }
  }

  // "; they are levels of ...": known boards that have all of the settings.
  std::string other_boards(const std::vector<std::map<int, std::string>>& found) const {
    std::string names;
    for (const auto& module : hw::modules()) {
      bool fits = module.knobs.size() == roles_.size();
      for (std::size_t k = 0; k < roles_.size() && fits; ++k) {
        const auto knob = std::find_if(module.knobs.begin(), module.knobs.end(),
                                       [&](const auto& of) { return of.role == roles_[k]; });
        fits = knob != module.knobs.end() &&
               std::all_of(found[k].begin(), found[k].end(),
                           [&](const auto& one) { return level_of(*knob, one.first).has_value(); });
      }
      if (fits) names += (names.empty() ? "" : ", or of ") + module.name + " (" + module.title + ")";
    }
    return names.empty() ? "" : "; all settings of these files are levels of " + names;
  }

  std::string name_of(const FileReader& file, std::size_t row, const Template& name) {
    std::string text = name.fill([&](const std::string& part) { return file.text(row, part); });
    if (const auto renamed = mapping_.renamed.find(text); renamed != mapping_.renamed.end()) {
      used_renames_.insert(text);
      text = renamed->second;
    }
    auto cleaned = text;
    for (auto& c : cleaned) {
      if (!is_profile_name(std::string("x") + c)) c = '-';
    }
    if (!is_profile_name(cleaned))
      throw DataError(file.where(row) + ": '" + name.text + "' gives no name, but '" + cleaned + "'");
    const auto [known, inserted] = names_[&name].try_emplace(cleaned, text, file.where(row));
    if (const auto& [other, stands] = known->second; other != text)
      throw DataError(file.where(row) + ": '" + text + "' and '" + other + "' at " + stands +
                      " would both be called " + cleaned +
                      ": give them names under [rename] in a mapping, one name if they are the same");
    return cleaned;
  }

  hw::PowerMode mode_of(const FileReader& file, std::size_t row) const {
    std::vector<int> settings;
    for (std::size_t k = 0; k < roles_.size(); ++k) {
      const int setting = file.setting(row, roles_[k]);
      settings.push_back(levels_ ? settled_[k].at(setting) : setting);
    }
    return hw::PowerMode(std::span<const int>(settings));
  }

  void add_row(const FileReader& file, std::size_t row, const FileMapping& columns) {
    const std::pair name{name_of(file, row, mapping_.device), name_of(file, row, mapping_.workload)};
    Draft& draft = drafts_[name];
    add_attributes(file, row, name, draft);
    auto& mode = draft.modes[mode_of(file, row)];
    std::map<Metric, double> values;
    for (const auto& [metric, expression] : columns.metrics) values[metric] = file.metric(row, metric);
    const auto value_of = [&](Metric metric, double missing) {
      const auto found = values.find(metric);
      return found != values.end() && !std::isnan(found->second) ? found->second : missing;
    };
    const double repeats = value_of(Metric::repeats, 1), time_ms = value_of(Metric::time_ms, kNan),
                 duration_ms = value_of(Metric::duration_ms, kNan);
    if (columns.metrics.contains(Metric::duration_ms) && std::isnan(duration_ms))
      throw DataError(file.where(row) +
                      ": duration_ms is missing; rows of one mode are weighed by it, so all have it");
    bool is_new = false;
    const auto keep = [&](Metric metric, Repeated& all, Metric spread, double lasted) {
      const auto found = columns.metrics.find(metric);
      if (found == columns.metrics.end()) return;
      if (all.unit == nullptr)
        all.unit = found->second.unit != nullptr ? found->second.unit : &unit_of(metric);
      all.add(
          {.value = values[metric], .std = value_of(spread, kNan), .repeats = repeats, .duration = lasted},
          file.where(row));
    };
    keep(Metric::time_ms, mode.times, Metric::time_std_ms, duration_ms);
    keep(Metric::power_w, mode.powers, Metric::power_std_w,
         std::isnan(duration_ms) ? repeats * time_ms : duration_ms);
    for (const auto& [metric, value] : values) {
      const auto [cell, inserted] = mode.cells.try_emplace(metric, Cell{value, file.where(row)});
      is_new = is_new || inserted;
      const double before = cell->second.value;
      if (mapping_.repeated) {
        if (metric == Metric::throttled) cell->second.value = std::max(before, value);
        continue;
      }
      if (!inserted && before != value && !(std::isnan(before) && std::isnan(value))) {
        throw DataError(file.where(row) + ": " + std::string(to_string(metric)) + " is " + in_text(value) +
                        ", but was " + in_text(before) + " for the same mode of " + name.first + "/" +
                        name.second + " at " + cell->second.where +
                        "; repeated = mean, median or trimmed in the mapping takes both");
      }
    }
    if (!is_new) ++(mapping_.repeated ? report_.repeated : report_.duplicates);
  }

  void add_attributes(const FileReader& file, std::size_t row,
                      const std::pair<std::string, std::string>& name, Draft& draft) const {
    for (const auto& [key, value] : mapping_.attributes) {
      bool is_known = true;
      const auto text = value.fill([&](const std::string& part) {
        is_known &= file.has_text(part);
        return is_known ? file.text(row, part) : std::string();
      });
      if (!is_known) continue;  // another of the joined files may know
      const auto [known, inserted] = draft.attributes.try_emplace(key, text);
      if (known->second != text) {
        throw DataError(file.where(row) + ": " + key + " of " + name.first + "/" + name.second + " is '" +
                        text + "', but was '" + known->second + "' before");
      }
    }
  }

  WorkloadAttributes make_attributes(const std::string& name, const Draft& draft) const {
    WorkloadAttributes attributes;
    attributes.kind = mapping_.kind;
    attributes.time_of = mapping_.time_of;
    for (const auto& [key, value] : mapping_.attributes) {
      if (!draft.attributes.contains(key)) {
        throw DataError(mapping_.path + ": [profile] " + key + ": no file of " + name + " has what '" +
                        value.text + "' names");
      }
    }
    for (const auto& [key, member] : kTextAttributes) {
      if (const auto found = draft.attributes.find(key); found != draft.attributes.end())
        attributes.*member = found->second;
    }
    for (const auto& [key, member] : kNumberAttributes) {
      const auto found = draft.attributes.find(key);
      if (found == draft.attributes.end()) continue;
      double value = 0;
      if (!parse_number(found->second, value)) {
        throw DataError(mapping_.path + ": [profile] " + key + ": expected a number, found '" +
                        found->second + "'");
      }
      attributes.*member = value;
    }
    return attributes;
  }

  std::shared_ptr<const hw::PowerModeSpace> space_of(const std::vector<hw::PowerMode>& modes) const {
    if (board_) return board_;
    std::vector<hw::Knob> knobs;
    for (std::size_t k = 0; k < roles_.size(); ++k) {
      std::set<int> levels;
      for (const auto& mode : modes) levels.insert(mode[k]);
      knobs.push_back({roles_[k], {levels.begin(), levels.end()}});
    }
    return std::make_shared<const hw::PowerModeSpace>(
        hw::combinations(knobs, modes.size()) == modes.size()
            ? hw::PowerModeSpace::grid(std::move(knobs))
            : hw::PowerModeSpace::list(std::move(knobs), modes));
  }

  Profile make_profile(const std::string& device, const std::string& workload, const Draft& draft) const {
    const std::string name = device + "/" + workload;
    check_units_of(device, workload, draft);
    std::map<hw::PowerMode, Row> rows;
    for (const auto& [mode, of] : draft.modes) rows[mode] = row_of(of);
    const bool timed = std::any_of(rows.begin(), rows.end(),
                                   [](const auto& row) { return !std::isnan(row.second.measured.time_ms); });
    Profile profile;
    profile.device = device;
    profile.workload = workload;
    profile.attributes = make_attributes(name, draft);
    bool has_time_std = false, has_power_std = false;
    for (const auto& [mode, row] : rows) {
      if (std::isnan(timed ? row.measured.time_ms : row.measured.power_w)) continue;
      profile.modes.push_back(mode);
      profile.measurements.push_back(row.measured);
      profile.time_std_ms.push_back(row.time_std_ms);
      profile.power_std_w.push_back(row.power_std_w);
      has_time_std = has_time_std || !std::isnan(row.time_std_ms);
      has_power_std = has_power_std || !std::isnan(row.power_std_w);
    }
    if (profile.modes.empty()) throw DataError(mapping_.path + ": " + name + " has neither times nor powers");
    if (!has_time_std) profile.time_std_ms.clear();
    if (!has_power_std) profile.power_std_w.clear();
    profile.space = space_of(profile.modes);
    validate(profile, mapping_.path);
    report_.profiles.push_back(
        {device, workload, profile.modes.size(), draft.modes.size() - profile.modes.size()});
    return profile;
  }

  // A mode's row in the profile.
  struct Row {
    hw::Measurement measured;
    double time_std_ms = kNan, power_std_w = kNan;
  };

  Row row_of(const ModeDraft& mode) const {
    const auto value_of = [&](Metric metric, double missing) {
      const auto cell = mode.cells.find(metric);
      return cell != mode.cells.end() ? cell->second.value : missing;
    };
    Row row;
    row.measured.throttled = value_of(Metric::throttled, 0) != 0;
    if (!mapping_.repeated) {
      row.measured.time_ms = value_of(Metric::time_ms, kNan);
      row.measured.power_w = value_of(Metric::power_w, kNan);
      row.measured.repeats = static_cast<int>(value_of(Metric::repeats, 1));
      row.time_std_ms = value_of(Metric::time_std_ms, kNan);
      row.power_std_w = value_of(Metric::power_std_w, kNan);
      return row;
    }
    const auto time = average(mode.times.values, *mapping_.repeated),
               power = average(mode.powers.values, *mapping_.repeated);
    // A row has one number of repeats: of what was measured more often the spread is that of as many.
    double repeats = std::numeric_limits<int>::max();
    for (const auto* one : {&time, &power})
      if (one->repeats > 0) repeats = std::min(repeats, std::floor(one->repeats));
    row.measured.time_ms = time.value;
    row.measured.power_w = power.value;
    row.measured.repeats = static_cast<int>(std::max(1.0, repeats));
    row.time_std_ms = time.std * std::sqrt(row.measured.repeats / std::max(1.0, time.repeats));
    row.power_std_w = power.std * std::sqrt(row.measured.repeats / std::max(1.0, power.repeats));
    return row;
  }

  // The values of a metric, where each stands, and its mode.
  struct Column {
    std::vector<double> values;
    std::vector<std::string> where;
    std::vector<const hw::PowerMode*> modes;
    const Unit* unit = nullptr;

    void add(double value, const std::string& stands, const hw::PowerMode& mode) {
      values.push_back(value);
      where.push_back(stands);
      modes.push_back(&mode);
    }
  };

  // Median and trimmed mean bear a measurement that is far off: then what is made of the measurements counts.
  Column column_of(const Draft& draft, Repeated ModeDraft::*member) const {
    Column all;
    for (const auto& [mode, of] : draft.modes) {
      const auto& repeated = of.*member;
      if (repeated.values.empty()) continue;
      if (all.unit == nullptr) all.unit = repeated.unit;
      if (mapping_.repeated.value_or(Average::mean) != Average::mean) {
        all.add(average(repeated.values, *mapping_.repeated).value, repeated.where.front(), mode);
        continue;
      }
      for (std::size_t i = 0; i < repeated.values.size(); ++i)
        all.add(repeated.values[i].value, repeated.where[i], mode);
    }
    return all;
  }

  // What is expected of a column's modes; empty where that is not known of all.
  std::vector<double> expected_of(const Column& all, Metric metric) const {
    std::vector<double> expected;
    for (const auto* mode : all.modes) {
      const double value = options_.expected ? options_.expected(*mode, metric) : kNan;
      if (!(value > 0)) return {};
      expected.push_back(value);
    }
    return expected;
  }

  // Throws where some values of a profile seem to be in another unit than the others, or than what is expected.
  void check_units_of(const std::string& device, const std::string& workload, const Draft& draft) const {
    if (mapping_.trust_units) return;
    for (const auto& [metric, member] :
         {std::pair(Metric::time_ms, &ModeDraft::times), std::pair(Metric::power_w, &ModeDraft::powers)}) {
      const auto all = column_of(draft, member);
      const auto expected = expected_of(all, metric);
      std::vector<int> off;
      if (expected.empty()) {
        off = thousands_off(all.values);
      } else {
        std::vector<double> ratios{1};
        for (std::size_t i = 0; i < expected.size(); ++i) ratios.push_back(all.values[i] / expected[i]);
        off = thousands_off(ratios, true);
        off.erase(off.begin());
      }
      const auto text = [&, of = metric](double value) {
        return short_text(value) + ' ' + std::string(unit_of(of).name);
      };
      for (std::size_t i = 0; i < off.size(); ++i) {
        if (off[i] == 0) continue;
        std::string why = all.where[i] + ": " + std::string(to_string(metric)) + " = " + text(all.values[i]);
        if (!expected.empty()) {
          why += ", while about " + text(expected[i]) + " is expected there";
        } else {
          std::vector<double> right;
          for (std::size_t k = 0; k < off.size(); ++k)
            if (off[k] == 0) right.push_back(all.values[k]);
          const auto [least, most] = std::minmax_element(right.begin(), right.end());
          why += ", while " + device + '/' + workload + " has " + text(off[i] < 0 ? *most : *least) + " too";
        }
        why += hint_of(scaled_unit(*all.unit, std::pow(1000, -off[i])));
        if (!options_.leave_odd || std::count(all.modes.begin(), all.modes.end(), all.modes[i]) > 1)
          throw DataError(why);
        report_.odd.push_back({device, workload, *all.modes[i], metric, why});
      }
    }
  }

  const Mapping& mapping_;
  ImportReport& report_;
  const ImportOptions& options_;
  std::vector<hw::KnobRole> roles_;  // the order of a mode's settings
  std::shared_ptr<const hw::PowerModeSpace> board_;
  std::shared_ptr<const hw::PowerModeSpace> levels_;  // that clocks must have; nullptr for any
  std::string levels_of_;
  std::vector<std::map<int, int>> settled_;  // by role: a setting as it stands, its level
  std::vector<std::unique_ptr<FileReader>> files_;
  std::set<std::string> used_renames_;
  // By template: a name as it is kept, what it was made of, and where that stands first.
  std::map<const Template*, std::map<std::string, std::pair<std::string, std::string>>> names_;
  std::map<std::pair<std::string, std::string>, Draft> drafts_;  // by device, workload
};

}  // namespace

ProfileStore import_profiles(const Mapping& mapping, const std::vector<std::string>& inputs,
                             ImportReport* report, const ImportOptions& options) {
  ImportReport mine;
  Importer importer(mapping, mine, options);
  for (const auto& input : find_inputs(mapping, inputs, mine)) importer.add(input);
  auto store = importer.finish();
  if (report != nullptr) *report = mine;
  return store;
}

}  // namespace fewwatt::datasets
