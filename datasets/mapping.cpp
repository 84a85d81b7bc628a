#include "datasets/mapping.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <set>

#include "datasets/ini.hpp"
#include "hw/modules.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::array kMetrics{Metric::time_ms, Metric::power_w,   Metric::time_std_ms, Metric::power_std_w,
                              Metric::repeats, Metric::throttled, Metric::duration_ms};

std::optional<Metric> parse_metric(std::string_view name) {
  for (const auto metric : kMetrics) {
    if (to_string(metric) == name) return metric;
  }
  return std::nullopt;
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
                      "', known are: " + hw::join(known) + hw::did_you_mean(key, known));
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
  std::vector<std::string_view> known{"device",   "workload", "kind",        "time_of", "space",
                                      "repeated", "decimal",  "trust_units", "set"};
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
  if (section.find("set") != nullptr) mapping.set = section.text("set");
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
    throw DataError(table.path + ": expected columns of knobs (" + hw::join(roles) +
                    ") and of time_ms or power_w, found " + hw::join(table.header));
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
