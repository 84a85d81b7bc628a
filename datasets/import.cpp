#include "datasets/import.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "datasets/average.hpp"
#include "datasets/import_draft.hpp"
#include "datasets/import_file.hpp"
#include "hw/counted.hpp"
#include "hw/modules.hpp"
#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

using hw::kNan;

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

int nearest_level(const hw::Knob& knob, int setting) {
  return *std::min_element(knob.levels.begin(), knob.levels.end(), [&](int a, int b) {
    return std::abs(std::log(double(a) / setting)) < std::abs(std::log(double(b) / setting));
  });
}

// The level that a rounded clock stands for: the nearest, if it is within half a percent, or one that gives it when cut or rounded to MHz.
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
  // Finds the level of every setting in the files. Throws DataError for the first setting that is no level.
  void find_levels() {
    std::vector<std::map<int, std::string>> found(roles_.size());  // setting, where it stands first
    for (const auto& file : files_)
      for (std::size_t row = 0; row < file->size(); ++row) {
        for (std::size_t k = 0; k < roles_.size(); ++k)
          found[k].try_emplace(file->setting(row, roles_[k]), file->where(row));
        // A setting that is no number, or in another unit, is reported first.
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
    std::vector<std::string> names;
    for (const auto& module : hw::modules()) {
      bool fits = module.knobs.size() == roles_.size();
      for (std::size_t k = 0; k < roles_.size() && fits; ++k) {
        const auto knob = std::find_if(module.knobs.begin(), module.knobs.end(),
                                       [&](const auto& of) { return of.role == roles_[k]; });
        fits = knob != module.knobs.end() &&
               std::all_of(found[k].begin(), found[k].end(),
                           [&](const auto& one) { return level_of(*knob, one.first).has_value(); });
      }
      if (fits) names.push_back(module.name + " (" + module.title + ")");
    }
    return names.empty() ? "" : "; all settings of these files are levels of " + hw::join(names, ", or of ");
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
    check_units(device, workload, draft, mapping_, options_, report_.odd);
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
    // A row has one number of repeats. For the quantity that was measured more often, the spread is adjusted to it.
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
