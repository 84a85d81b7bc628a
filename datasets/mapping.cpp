#include "datasets/mapping.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/modules.hpp"

namespace fewwatt::datasets {
namespace {

enum class Quantity { count, power, time, frequency };

struct Unit {
  std::string_view name;
  Quantity quantity;
  double scale;  // to count, mW, us, kHz: exact where settings are whole numbers
};

constexpr std::array kUnits{Unit{"count", Quantity::count, 1},     Unit{"W", Quantity::power, 1e3},
                            Unit{"mW", Quantity::power, 1},        Unit{"us", Quantity::time, 1},
                            Unit{"ms", Quantity::time, 1e3},       Unit{"s", Quantity::time, 1e6},
                            Unit{"min", Quantity::time, 6e7},      Unit{"h", Quantity::time, 3.6e9},
                            Unit{"Hz", Quantity::frequency, 1e-3}, Unit{"kHz", Quantity::frequency, 1},
                            Unit{"MHz", Quantity::frequency, 1e3}, Unit{"GHz", Quantity::frequency, 1e6}};

constexpr std::array kMetrics{Metric::time_ms,     Metric::power_w, Metric::time_std_ms,
                              Metric::power_std_w, Metric::repeats, Metric::throttled};

// The unit in which a knob's settings or a metric are kept.
std::string_view unit_of(hw::KnobRole role) {
  switch (role) {
    case hw::KnobRole::cpu_khz:
    case hw::KnobRole::gpu_khz:
    case hw::KnobRole::mem_khz:
      return "kHz";
    case hw::KnobRole::power_limit_mw:
      return "mW";
    case hw::KnobRole::cpu_cores:
    case hw::KnobRole::batch_size:
      return "count";
  }
  throw std::invalid_argument("unit_of: unknown role");
}

std::string_view unit_of(Metric metric) {
  switch (metric) {
    case Metric::time_ms:
    case Metric::time_std_ms:
      return "ms";
    case Metric::power_w:
    case Metric::power_std_w:
      return "W";
    case Metric::repeats:
    case Metric::throttled:
      return "count";
  }
  throw std::invalid_argument("unit_of: unknown metric");
}

template <class Names>
std::string join(const Names& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

const Unit& find_unit(std::string_view name, const std::string& where) {
  const auto found =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& unit) { return unit.name == name; });
  if (found != kUnits.end()) return *found;
  std::vector<std::string_view> names;
  for (const auto& unit : kUnits) names.push_back(unit.name);
  throw DataError(where + ": unknown unit '" + std::string(name) + "', known are: " + join(names));
}

double scale_between(std::string_view from, std::string_view to, const std::string& where) {
  const Unit& source = find_unit(from, where);
  const Unit& target = find_unit(to, where);
  if (source.quantity != target.quantity) {
    throw DataError(where + ": a number in " + std::string(from) + " cannot be turned into " +
                    std::string(to));
  }
  return source.scale / target.scale;
}

std::optional<Metric> parse_metric(std::string_view name) {
  for (const auto metric : kMetrics) {
    if (to_string(metric) == name) return metric;
  }
  return std::nullopt;
}

// `"CPU Frequencies" - b * 2 [kHz]` in pieces: names, + - *, and the unit in its brackets. A quoted name is
// marked by its leading quote.
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
    } else {
      end = text[i] == '[' ? text.find(']', i) : text.find_first_of(" \t[", i);
      if (end != std::string::npos && text[i] == '[') ++end;
      found.push_back(text.substr(i, end - i));
    }
    i = std::min(end, text.size());
  }
  return found;
}

Expression parse_expression(const std::string& text, std::string_view unit, const std::string& where) {
  const std::string expected =
      where + ": expected columns added or subtracted and a unit, as in `a - b [mW]`, found '" + text + "'";
  auto parts = tokens(text, where);
  if (parts.empty() || !parts.back().starts_with('[') || !parts.back().ends_with(']'))
    throw DataError(expected);
  Expression expression;
  const std::string given = parts.back().substr(1, parts.back().size() - 2);
  parts.pop_back();
  double factor = 1;
  if (parts.size() >= 2 && parts[parts.size() - 2] == "*") {
    if (!parse_number(parts.back(), factor)) throw DataError(expected);
    parts.resize(parts.size() - 2);
  }
  expression.scale = factor * scale_between(given, unit, where);
  if (!std::isfinite(expression.scale))
    throw DataError(where + ": the factor is too large, found '" + text + "'");
  double sign = 1;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_operator = parts[i] == "+" || parts[i] == "-";
    if (is_operator != (i % 2 == 1) || parts[i] == "*") throw DataError(expected);
    if (is_operator) {
      sign = parts[i] == "-" ? -1 : 1;
    } else {
      expression.terms.emplace_back(sign, parts[i].starts_with('"') ? parts[i].substr(1) : parts[i]);
    }
  }
  if (parts.size() % 2 == 0) throw DataError(expected);
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
      part.scale = scale_between(inside.substr(colon + 1), unit_of(*part.role), where);
    }
    pattern.parts.push_back(part);
    pattern.literals.emplace_back();
    i = close + 1;
  }
  return pattern;
}

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
    } else if (const auto role = hw::parse_knob_role(key)) {
      file.knobs[*role] = parse_expression(value, unit_of(*role), where);
    } else if (const auto metric = parse_metric(key)) {
      file.metrics[*metric] = parse_expression(value, unit_of(*metric), where);
    } else {
      std::vector<std::string_view> known{"format", "pattern"};
      for (const auto known_role : hw::kKnobRoles) known.push_back(hw::to_string(known_role));
      for (const auto known_metric : kMetrics) known.push_back(to_string(known_metric));
      throw DataError(section.where + ": unknown knob role, metric or key '" + key +
                      "', known are: " + join(known));
    }
  }
  for (const auto& part : file.pattern.parts) {
    if (part.role && file.knobs.contains(*part.role)) {
      throw DataError(section.where + ": " + part.name + " is given by the pattern and by a column");
    }
  }
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
  std::vector<std::string_view> known{"device", "workload", "kind", "time_of", "space", "repeated"};
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
    if (*repeated != "mean" && *repeated != "refused")
      throw DataError(section.where + ": repeated: expected mean or refused, found '" + *repeated + "'");
    mapping.mean_of_repeated = *repeated == "mean";
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
  }
  throw std::invalid_argument("to_string: unknown metric");
}

std::vector<hw::KnobRole> FileMapping::roles() const {
  std::set<hw::KnobRole> found;
  for (const auto& [role, expression] : knobs) found.insert(role);
  for (const auto& part : pattern.parts) {
    if (part.role) found.insert(*part.role);
  }
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
