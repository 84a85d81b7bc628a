#include "datasets/run_log_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <span>
#include <utility>

#include "datasets/csv.hpp"
#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {

namespace {

using hw::kNan;
constexpr std::string_view kFormat = "fewwatt-run-log";
constexpr std::string_view kChecksum = "\tcrc=";
constexpr std::size_t kChecksumDigits = 8;

constexpr std::pair<const char*, double RunRecord::*> kRecordNumbers[] = {
    {"time_std_ms", &RunRecord::time_std_ms},
    {"power_std_w", &RunRecord::power_std_w},
    {"power_samples", &RunRecord::power_samples},
    {"took_s", &RunRecord::took_s}};

// Zero or a normal number: what comes back from text with every standard library.
bool is_storable(double value) {
  return value == 0 || std::isnormal(value);
}

std::string hex(std::uint32_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

// CRC-32 of IEEE 802.3: reflected, polynomial 0x04c11db7.
std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%' || c == '=') {
      result += '%' + hex(byte, 2);
    } else {
      result += c;
    }
  }
  return result;
}

// nullopt for a % without its two digits.
std::optional<std::string> unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    unsigned byte = 0;
    const auto digits = text.substr(i + 1, 2);
    const auto end = digits.data() + digits.size();
    if (digits.size() != 2 || std::from_chars(digits.data(), end, byte, 16).ptr != end) return std::nullopt;
    result += static_cast<char>(byte);
    i += 2;
  }
  return result;
}

class LineWriter {
 public:
  void text(std::string_view name, std::string_view value) {
    if (!body_.empty()) body_ += '\t';
    body_ += escaped(name) + '=' + escaped(value);
  }
  void number(std::string_view name, double value) {
    if (is_storable(value)) text(name, hw::number_text(value));
  }
  std::string line() const {
    return body_ + std::string(kChecksum) + hex(crc32(body_), kChecksumDigits) + '\n';
  }

 private:
  std::string body_;
};

// The fields of a line whose checksum fits, each to be taken once. Throws DataError naming `where`.
class LineReader {
 public:
  LineReader(std::string_view body, std::string where) : where_(std::move(where)) {
    for (const auto field : hw::split(body, '\t')) {
      const auto equals = field.find('=');
      if (equals == field.npos) fail("no field: '" + std::string(field) + "'");
      auto name = unescaped(field.substr(0, equals)), value = unescaped(field.substr(equals + 1));
      if (!name || !value) fail("no field: '" + std::string(field) + "'");
      if (!fields_.emplace(*name, *value).second) fail("field '" + *name + "' is there twice");
    }
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(where_ + ": " + what); }

  std::optional<std::string> take(const std::string& name) {
    auto field = fields_.extract(name);
    if (field.empty()) return std::nullopt;
    return std::move(field.mapped());
  }
  std::string text(const std::string& name) {
    auto value = take(name);
    if (!value) fail("no field '" + name + "'");
    return *value;
  }
  std::optional<double> number(const std::string& name) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    double number = 0;
    if (!parse_number(*value, number)) fail(name + ": '" + *value + "' is no number");
    return number;
  }
  std::vector<int> integers(const std::string& name, std::string_view list) const {
    std::vector<int> values;
    for (const auto part : hw::split(list, ',')) {
      const auto value = hw::whole_int(part);
      if (!value) fail(name + ": '" + std::string(part) + "' is no whole number of 32 bits");
      values.push_back(*value);
    }
    return values;
  }
  int integer(const std::string& name) {
    const auto values = integers(name, text(name));
    if (values.size() != 1) fail(name + ": more than one number");
    return values.front();
  }
  hw::PowerMode mode(const std::string& name, std::string_view settings) const {
    const auto values = integers(name, settings);
    if (values.size() > hw::PowerMode::kMaxKnobs) fail(name + ": too many settings");
    return hw::PowerMode(std::span<const int>(values));
  }
  DeviceAttributes take_all(const std::string& prefix) {
    DeviceAttributes taken;
    for (auto field = fields_.lower_bound(prefix);
         field != fields_.end() && field->first.starts_with(prefix);) {
      taken[field->first.substr(prefix.size())] = field->second;
      field = fields_.erase(field);
    }
    return taken;
  }
  void expect_end() const {
    if (!fields_.empty()) fail("unknown field '" + fields_.begin()->first + "'");
  }

 private:
  std::string where_;
  std::map<std::string, std::string> fields_;
};

RunHeader parse_header(std::string_view body, const std::string& where) {
  LineReader line(body, where);
  const int version = line.integer(std::string(kFormat));
  if (version > kRunLogVersion)
    line.fail("version " + std::to_string(version) + " is newer than this program, which knows " +
              std::to_string(kRunLogVersion));
  RunHeader header;
  header.device = line.text("device");
  header.workload = line.text("workload");
  const auto kind = line.text("kind"), time_of = line.text("time_of");
  const auto known_kind = parse_workload_kind(kind);
  const auto known_time = parse_time_of(time_of);
  if (!known_kind) line.fail("unknown kind '" + kind + "'");
  if (!known_time) line.fail("unknown time_of '" + time_of + "'");
  header.attributes.kind = *known_kind;
  header.attributes.time_of = *known_time;
  for (const auto& [name, member] : kTextAttributes) header.attributes.*member = line.take(name).value_or("");
  for (const auto& [name, member] : kNumberAttributes) header.attributes.*member = line.number(name);

  std::vector<hw::Knob> knobs;
  const auto knobs_text = line.text("knobs");
  for (const auto knob : hw::split(knobs_text, ';')) {
    const auto colon = knob.find(':');
    const auto role = hw::parse_knob_role(knob.substr(0, colon));
    if (colon == knob.npos || !role) line.fail("unknown knob '" + std::string(knob) + "'");
    knobs.push_back({*role, line.integers("knobs", knob.substr(colon + 1))});
  }
  std::vector<hw::PowerMode> modes;
  const auto listed = line.take("modes");
  if (listed) {
    for (const auto mode : hw::split(*listed, ';')) modes.push_back(line.mode("modes", mode));
  }
  try {
    header.space = std::make_shared<const hw::PowerModeSpace>(listed ? hw::PowerModeSpace::list(knobs, modes)
                                                                     : hw::PowerModeSpace::grid(knobs));
  } catch (const std::invalid_argument& e) {
    line.fail(e.what());
  }
  header.device_attributes = line.take_all("device:");
  header.chosen_by = line.take_all("chosen:");
  header.run_attributes = line.take_all("run:");
  line.expect_end();
  if (const auto error = header_error(header); !error.empty()) line.fail(error);
  return header;
}

RunRecord parse_record(std::string_view body, const hw::PowerModeSpace& space, const std::string& where) {
  LineReader line(body, where);
  RunRecord record;
  record.mode = line.mode("mode", line.text("mode"));
  const auto status = line.text("status");
  const auto known = hw::parse_attempt_status(status);
  if (!known || !hw::is_of_the_mode(*known)) line.fail("unknown status '" + status + "'");
  record.status = *known;
  record.detail = line.take("detail").value_or("");
  record.measured.time_ms = line.number("time_ms").value_or(kNan);
  record.measured.power_w = line.number("power_w").value_or(kNan);
  record.measured.repeats = line.integer("repeats");
  record.measured.throttled = line.take("throttled").has_value();
  for (const auto& [name, member] : kRecordNumbers) record.*member = line.number(name).value_or(kNan);
  line.expect_end();
  if (const auto error = record_error(record, space); !error.empty()) line.fail(error);
  return record;
}

// What is before the checksum of a line, given without its newline; nullopt unless the checksum fits.
std::optional<std::string_view> checked_body(std::string_view line) {
  const std::size_t checksum = kChecksum.size() + kChecksumDigits;
  if (line.size() < checksum) return std::nullopt;
  const auto body = line.substr(0, line.size() - checksum);
  if (line.substr(body.size(), kChecksum.size()) != kChecksum) return std::nullopt;
  if (line.substr(body.size() + kChecksum.size()) != hex(crc32(body), kChecksumDigits)) return std::nullopt;
  return body;
}

// Where a whole record ends that has something else than a newline behind it; nullopt where there is none.
std::optional<std::size_t> lost_newline(std::string_view line) {
  for (auto at = line.find(kChecksum); at != line.npos; at = line.find(kChecksum, at + 1)) {
    const auto end = at + kChecksum.size() + kChecksumDigits;
    if (end < line.size() && checked_body(line.substr(0, end))) return end;
  }
  return std::nullopt;
}

}  // namespace

bool same_roles(const hw::PowerModeSpace& a, const hw::PowerModeSpace& b) {
  const auto role = [](const hw::Knob& knob) { return knob.role; };
  return std::ranges::equal(a.knobs(), b.knobs(), {}, role, role);
}

std::string at_line(const std::string& path, std::size_t line) {
  return path + ":" + std::to_string(line);
}

std::string attribute_text(const std::optional<double>& value) {
  return value ? hw::number_text(*value) : "";
}

// "" when a profile could have it.
std::string header_error(const RunHeader& header) {
  for (const auto& [what, name] :
       {std::pair("device", &header.device), std::pair("workload", &header.workload)}) {
    if (!is_profile_name(*name))
      return std::string(what) + ": expected letters, digits and . _ + - only, found '" + *name + "'";
  }
  if (!header.space) return "space: none";
  for (const auto* attributes : {&header.device_attributes, &header.chosen_by, &header.run_attributes}) {
    if (attributes->count("") > 0) return "an attribute has no name";
  }
  return attributes_error(header.attributes, *header.space);
}

std::string header_line(const RunHeader& header) {
  LineWriter line;
  line.text(kFormat, std::to_string(kRunLogVersion));
  line.text("device", header.device);
  line.text("workload", header.workload);
  line.text("kind", to_string(header.attributes.kind));
  line.text("time_of", to_string(header.attributes.time_of));
  for (const auto& [name, member] : kTextAttributes) {
    if (!(header.attributes.*member).empty()) line.text(name, header.attributes.*member);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (header.attributes.*member) line.number(name, *(header.attributes.*member));
  }
  line.text("knobs", hw::join(header.space->knobs(), ";", [](const hw::Knob& knob) {
              return std::string(to_string(knob.role)) + ':' + hw::join(knob.levels, ",");
            }));
  if (!header.space->is_grid())
    line.text("modes", hw::join(header.space->modes(), ";",
                                [](const hw::PowerMode& mode) { return hw::join(mode, ","); }));
  for (const auto& [name, value] : header.device_attributes) line.text("device:" + name, value);
  for (const auto& [name, value] : header.chosen_by) line.text("chosen:" + name, value);
  for (const auto& [name, value] : header.run_attributes) line.text("run:" + name, value);
  return line.line();
}

// "" when the record keeps its contract.
std::string record_error(const RunRecord& record, const hw::PowerModeSpace& space) {
  if (!space.index_of(record.mode)) return "the space has no mode " + describe(space, record.mode);
  if (record.status != hw::AttemptStatus::ok) return "";
  const auto found = [](double value) { return ", found " + hw::number_text(value); };
  const auto& measured = record.measured;
  for (const auto& [name, value] :
       {std::pair("time_ms", measured.time_ms), std::pair("power_w", measured.power_w)}) {
    if (!std::isnan(value) && !(std::isnormal(value) && value > 0))
      return std::string(name) + ": expected a positive, finite number" + found(value);
  }
  if (std::isnan(measured.time_ms) && std::isnan(measured.power_w)) return "neither time_ms nor power_w";
  for (const auto& [name, value] :
       {std::pair("time_std_ms", record.time_std_ms), std::pair("power_std_w", record.power_std_w)}) {
    if (!std::isnan(value) && !(is_storable(value) && value >= 0))
      return std::string(name) + ": expected a finite number that is not negative" + found(value);
  }
  if (measured.repeats < 1) return "repeats: expected at least 1, found " + std::to_string(measured.repeats);
  return "";
}

std::string record_line(const RunRecord& record) {
  LineWriter line;
  line.text("mode", hw::join(record.mode, ","));
  line.text("status", to_string(record.status));
  if (!record.detail.empty()) line.text("detail", record.detail);
  line.number("time_ms", record.measured.time_ms);
  line.number("power_w", record.measured.power_w);
  line.text("repeats", std::to_string(record.measured.repeats));
  if (record.measured.throttled) line.text("throttled", "1");
  for (const auto& [name, member] : kRecordNumbers) line.number(name, record.*member);
  return line.line();
}

Lines read_lines(std::string_view text, const std::string& path) {
  const std::string start = std::string(kFormat) + '=';
  if (text.substr(0, start.size()) != std::string_view(start).substr(0, text.size()))
    throw DataError(path + ": is no run log, it does not start with " + start);
  Lines lines;
  std::size_t number = 1;
  for (; lines.end_bytes < text.size(); ++number) {
    const auto rest = text.substr(lines.end_bytes);
    const auto newline = rest.find('\n');
    const auto line = rest.substr(0, newline);
    const auto glued = lost_newline(line);
    const auto body = glued                  ? checked_body(line.substr(0, *glued))
                      : newline == rest.npos ? std::nullopt
                                             : checked_body(line);
    if (body) {
      lines.whole.push_back({*body, number});
    } else if (newline == rest.npos || newline + 1 == rest.size()) {
      return lines;
    } else if (lines.whole.empty()) {
      throw DataError(at_line(path, number) + ": the checksum does not fit, the line is damaged");
    } else {
      ++lines.skipped;
    }
    lines.end_bytes += glued.value_or(line.size()) + 1;
  }
  return lines;
}

RunRecords parse_lines(const Lines& lines, std::size_t file_bytes, const std::string& path) {
  RunRecords run;
  run.path = path;
  run.header = parse_header(lines.whole.front().body, at_line(path, lines.whole.front().number));
  for (const auto& line : std::span(lines.whole).subspan(1))
    run.records.push_back(parse_record(line.body, *run.header.space, at_line(path, line.number)));
  run.skipped_lines = lines.skipped;
  run.dropped_bytes = file_bytes - lines.end_bytes;
  return run;
}

}  // namespace fewwatt::datasets
