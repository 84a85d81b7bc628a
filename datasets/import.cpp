#include "datasets/import.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <set>
#include <utility>

#include "datasets/csv.hpp"
#include "datasets/tegrastats.hpp"
#include "hw/modules.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A value and the "path:line" that said so.
struct Cell {
  double value;
  std::string where;
  int count = 1;
};

struct Draft {
  std::map<hw::PowerMode, std::map<Metric, Cell>> modes;
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

std::string in_text(const Expression& expression) {
  std::string text;
  for (const auto& [sign, column] : expression.terms) {
    text += text.empty() ? "" : sign < 0 ? " - " : " + ";
    text += column;
  }
  return text;
}

const FileMapping* find_file_mapping(const Mapping& mapping, const std::filesystem::path& path) {
  for (const auto& file : mapping.files) {
    if (fits_glob(file.glob, path.filename().string())) return &file;
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

// A tegrastats log as a table: its rails are the columns of one row.
CsvTable tegrastats_table(const std::string& path) {
  const auto log = read_tegrastats(path);
  CsvTable table;
  table.path = path;
  table.rows.emplace_back();
  table.lines.push_back(1);
  for (const auto& [rail, mw] : log.rails_mw) {
    table.header.push_back(rail);
    table.rows.front().push_back(in_text(mw));
  }
  return table;
}

// What the file's name says: the parts of the pattern, and "file".
std::map<std::string, std::string> parts_of_name(const Input& input) {
  const std::filesystem::path path(input.path);
  std::map<std::string, std::string> parts{{"file", path.stem().string()}};
  const auto& pattern = input.mapping->pattern;
  if (pattern.text.empty()) return parts;
  const std::string name = path.filename().string();
  const auto found = match(pattern, name);
  if (!found) {
    throw DataError(input.path + ": the name does not fit the pattern '" + pattern.text + "' of " +
                    input.mapping->where);
  }
  for (std::size_t i = 0; i < pattern.parts.size(); ++i) parts[pattern.parts[i].name] = (*found)[i];
  return parts;
}

// Everything one input file is read with.
class FileReader {
 public:
  explicit FileReader(const Input& input)
      : mapping_(*input.mapping),
        parts_(parts_of_name(input)),
        table_(mapping_.format == FileFormat::csv ? read_csv(input.path) : tegrastats_table(input.path)) {
    for (const auto& [role, expression] : mapping_.knobs) columns_[&expression] = find_columns(expression);
    for (const auto& [metric, expression] : mapping_.metrics)
      columns_[&expression] = find_columns(expression);
  }

  std::size_t size() const { return table_.rows.size(); }
  std::string where(std::size_t row) const { return table_.where(row); }

  // What {name} stands for.
  std::string text(std::size_t row, const std::string& name) const {
    const auto part = parts_.find(name);
    return part != parts_.end() ? part->second : table_.rows[row][table_.column(name)];
  }
  bool has_text(const std::string& name) const { return parts_.contains(name) || table_.has_column(name); }

  int setting(std::size_t row, hw::KnobRole role) const {
    const std::string name(hw::to_string(role));
    double value = kNan;
    if (const auto knob = mapping_.knobs.find(role); knob != mapping_.knobs.end()) {
      value = evaluate(row, knob->second);
      if (std::isnan(value))
        throw DataError(where(row) + ": column '" + in_text(knob->second) + "' is empty, it gives " + name);
    } else {
      for (const auto& part : mapping_.pattern.parts) {
        if (part.role == role && parse_number(parts_.at(part.name), value)) value *= part.scale;
      }
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
    const auto require = [&](bool holds, const char* expected) {
      if (holds) return;
      throw DataError(where(row) + ": column '" + in_text(expression) + "' gives " +
                      std::string(to_string(metric)) + ": expected " + expected + ", found " +
                      (std::isnan(value) ? "an empty cell" : in_text(value)));
    };
    switch (metric) {
      case Metric::time_ms:
        require(value > 0, "a number above 0");
        break;
      case Metric::power_w:
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
  std::vector<std::size_t> find_columns(const Expression& expression) const {
    std::vector<std::size_t> columns;
    for (const auto& [sign, name] : expression.terms) columns.push_back(table_.column(name));
    return columns;
  }

  double evaluate(std::size_t row, const Expression& expression) const {
    const auto& columns = columns_.at(&expression);
    double sum = 0;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      sum += expression.terms[i].first * table_.number(row, columns[i]);
    }
    const double value = sum * expression.scale;
    if (std::isinf(value) || (std::isnan(value) && !std::isnan(sum)))
      throw DataError(where(row) + ": column '" + in_text(expression) + "' gives a number that is too large");
    return value;
  }

  const FileMapping& mapping_;
  std::map<std::string, std::string> parts_;
  CsvTable table_;
  std::map<const Expression*, std::vector<std::size_t>> columns_;
};

class Importer {
 public:
  Importer(const Mapping& mapping, ImportReport& report) : mapping_(mapping), report_(report) {
    roles_ = mapping.files.front().roles();
    if (mapping.board.empty()) return;
    board_ = std::make_shared<const hw::PowerModeSpace>(hw::module_space(mapping.board));
    auto given = roles_;
    roles_.clear();
    for (const auto& knob : board_->knobs()) roles_.push_back(knob.role);
    if (!std::is_permutation(given.begin(), given.end(), roles_.begin(), roles_.end())) {
      throw DataError(mapping.path + ": board " + mapping.board + " has the knobs " +
                      hw::describe_roles(*board_) + ", the [file] sections give others");
    }
  }

  void add(const Input& input) {
    const FileReader file(input);
    for (std::size_t row = 0; row < file.size(); ++row) add_row(file, row, *input.mapping);
    report_.rows += file.size();
  }

  ProfileStore finish() const {
    ProfileStore store;
    for (const auto& [name, draft] : drafts_) {
      store.profiles.push_back(make_profile(name.first, name.second, draft));
      const auto attributes = mapping_.devices.find(name.first);
      store.devices[name.first] =
          attributes != mapping_.devices.end() ? attributes->second : DeviceAttributes();
    }
    return store;
  }

 private:
  std::string name_of(const FileReader& file, std::size_t row, const Template& name) const {
    std::string text = name.fill([&](const std::string& part) { return file.text(row, part); });
    if (const auto renamed = mapping_.renamed.find(text); renamed != mapping_.renamed.end())
      text = renamed->second;
    for (auto& c : text) {
      if (!is_profile_name(std::string("x") + c)) c = '-';
    }
    if (!is_profile_name(text))
      throw DataError(file.where(row) + ": '" + name.text + "' gives no name, but '" + text + "'");
    return text;
  }

  hw::PowerMode mode_of(const FileReader& file, std::size_t row) const {
    std::vector<int> settings;
    for (std::size_t k = 0; k < roles_.size(); ++k) {
      settings.push_back(file.setting(row, roles_[k]));
      if (!board_) continue;
      const auto& levels = board_->knobs()[k].levels;
      if (!std::binary_search(levels.begin(), levels.end(), settings.back())) {
        throw DataError(file.where(row) + ": " + std::string(hw::to_string(roles_[k])) + "=" +
                        std::to_string(settings.back()) + " is no level of board " + mapping_.board);
      }
    }
    return hw::PowerMode(std::span<const int>(settings));
  }

  void add_row(const FileReader& file, std::size_t row, const FileMapping& columns) {
    const std::pair name{name_of(file, row, mapping_.device), name_of(file, row, mapping_.workload)};
    Draft& draft = drafts_[name];
    add_attributes(file, row, name, draft);
    auto& cells = draft.modes[mode_of(file, row)];
    bool is_new = false;
    for (const auto& [metric, expression] : columns.metrics) {
      const double value = file.metric(row, metric);
      const auto [known, inserted] = cells.try_emplace(metric, Cell{value, file.where(row)});
      is_new |= inserted;
      const double before = known->second.value;
      if (mapping_.mean_of_repeated && (metric == Metric::time_ms || metric == Metric::power_w)) {
        if (!inserted) add_repeated(known->second, value);
        continue;
      }
      if (!inserted && before != value && !(std::isnan(before) && std::isnan(value))) {
        throw DataError(file.where(row) + ": " + std::string(to_string(metric)) + " is " + in_text(value) +
                        ", but was " + in_text(before) + " for the same mode of " + name.first + "/" +
                        name.second + " at " + known->second.where);
      }
    }
    if (!is_new) ++(mapping_.mean_of_repeated ? report_.repeated : report_.duplicates);
  }

  static void add_repeated(Cell& cell, double value) {
    if (std::isnan(value)) return;
    if (std::isnan(cell.value)) {
      cell.value = value;
      return;
    }
    ++cell.count;
    cell.value *= std::pow(value / cell.value, 1.0 / cell.count);
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

  // The least of how often time and power of a mode were measured.
  static int measured_often(const std::map<Metric, Cell>& cells) {
    int count = 0;
    for (const auto metric : {Metric::time_ms, Metric::power_w})
      if (const auto cell = cells.find(metric); cell != cells.end() && !std::isnan(cell->second.value))
        count = count == 0 ? cell->second.count : std::min(count, cell->second.count);
    return std::max(1, count);
  }

  Profile make_profile(const std::string& device, const std::string& workload, const Draft& draft) const {
    const std::string name = device + "/" + workload;
    const auto value_of = [](const std::map<Metric, Cell>& cells, Metric metric, double missing) {
      const auto cell = cells.find(metric);
      return cell != cells.end() ? cell->second.value : missing;
    };
    const auto has = [&](Metric metric) {
      return std::any_of(draft.modes.begin(), draft.modes.end(),
                         [&](const auto& mode) { return !std::isnan(value_of(mode.second, metric, kNan)); });
    };
    const Metric needed = has(Metric::time_ms) ? Metric::time_ms : Metric::power_w;
    const bool has_time_std = has(Metric::time_std_ms), has_power_std = has(Metric::power_std_w);
    Profile profile;
    profile.device = device;
    profile.workload = workload;
    profile.attributes = make_attributes(name, draft);
    for (const auto& [mode, cells] : draft.modes) {
      if (std::isnan(value_of(cells, needed, kNan))) continue;
      hw::Measurement measured;
      measured.time_ms = value_of(cells, Metric::time_ms, kNan);
      measured.power_w = value_of(cells, Metric::power_w, kNan);
      measured.repeats = static_cast<int>(value_of(cells, Metric::repeats, measured_often(cells)));
      measured.throttled = value_of(cells, Metric::throttled, 0) != 0;
      profile.modes.push_back(mode);
      profile.measurements.push_back(measured);
      if (has_time_std) profile.time_std_ms.push_back(value_of(cells, Metric::time_std_ms, kNan));
      if (has_power_std) profile.power_std_w.push_back(value_of(cells, Metric::power_std_w, kNan));
    }
    if (profile.modes.empty()) throw DataError(mapping_.path + ": " + name + " has neither times nor powers");
    profile.space = space_of(profile.modes);
    validate(profile, mapping_.path);
    report_.profiles.push_back(
        {device, workload, profile.modes.size(), draft.modes.size() - profile.modes.size()});
    return profile;
  }

  const Mapping& mapping_;
  ImportReport& report_;
  std::vector<hw::KnobRole> roles_;  // the order of a mode's settings
  std::shared_ptr<const hw::PowerModeSpace> board_;
  std::map<std::pair<std::string, std::string>, Draft> drafts_;  // by device, workload
};

}  // namespace

ProfileStore import_profiles(const Mapping& mapping, const std::vector<std::string>& inputs,
                             ImportReport* report) {
  ImportReport mine;
  Importer importer(mapping, mine);
  for (const auto& input : find_inputs(mapping, inputs, mine)) importer.add(input);
  auto store = importer.finish();
  if (report != nullptr) *report = mine;
  return store;
}

}  // namespace fewwatt::datasets
