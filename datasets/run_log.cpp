#include "datasets/run_log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <span>
#include <utility>

#include "datasets/average.hpp"
#include "datasets/csv.hpp"
#include "datasets/input_file.hpp"
#include "datasets/profile_io.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kFormat = "fewwatt-run-log";
constexpr std::string_view kChecksum = "\tcrc=";
constexpr std::size_t kChecksumDigits = 8;

constexpr std::array<std::pair<RunStatus, std::string_view>, 10> kStatuses{
    {{RunStatus::ok, "ok"},
     {RunStatus::over_current, "over-current"},
     {RunStatus::cooling_device, "cooling-device"},
     {RunStatus::trip_temperature, "trip-temperature"},
     {RunStatus::clocks_changed, "clocks-changed"},
     {RunStatus::boot_changed, "boot-changed"},
     {RunStatus::timed_out, "timed-out"},
     {RunStatus::program_died, "program-died"},
     {RunStatus::no_steps, "no-steps"},
     {RunStatus::device_error, "device-error"}}};

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

std::string number_text(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
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

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class Numbers>
std::string joined(const Numbers& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

class LineWriter {
 public:
  void text(std::string_view name, std::string_view value) {
    if (!body_.empty()) body_ += '\t';
    body_ += escaped(name) + '=' + escaped(value);
  }
  void number(std::string_view name, double value) {
    if (is_storable(value)) text(name, number_text(value));
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
    for (const auto field : split(body, '\t')) {
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
    for (const auto part : split(list, ',')) {
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

// "" when a profile could have it.
std::string header_error(const RunHeader& header) {
  for (const auto& [what, name] :
       {std::pair("device", &header.device), std::pair("workload", &header.workload)}) {
    if (!is_profile_name(*name))
      return std::string(what) + ": expected letters, digits and . _ + - only, found '" + *name + "'";
  }
  if (!header.space) return "space: none";
  for (const auto* attributes : {&header.device_attributes, &header.run_attributes}) {
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
  std::string knobs, modes;
  for (const auto& knob : header.space->knobs())
    knobs += (knobs.empty() ? "" : ";") + std::string(to_string(knob.role)) + ':' + joined(knob.levels);
  line.text("knobs", knobs);
  if (!header.space->is_grid()) {
    for (const auto& mode : header.space->modes()) modes += (modes.empty() ? "" : ";") + joined(mode);
    line.text("modes", modes);
  }
  for (const auto& [name, value] : header.device_attributes) line.text("device:" + name, value);
  for (const auto& [name, value] : header.run_attributes) line.text("run:" + name, value);
  return line.line();
}

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
  for (const auto knob : split(knobs_text, ';')) {
    const auto colon = knob.find(':');
    const auto role = hw::parse_knob_role(knob.substr(0, colon));
    if (colon == knob.npos || !role) line.fail("unknown knob '" + std::string(knob) + "'");
    knobs.push_back({*role, line.integers("knobs", knob.substr(colon + 1))});
  }
  std::vector<hw::PowerMode> modes;
  const auto listed = line.take("modes");
  if (listed) {
    for (const auto mode : split(*listed, ';')) modes.push_back(line.mode("modes", mode));
  }
  try {
    header.space = std::make_shared<const hw::PowerModeSpace>(listed ? hw::PowerModeSpace::list(knobs, modes)
                                                                     : hw::PowerModeSpace::grid(knobs));
  } catch (const std::invalid_argument& e) {
    line.fail(e.what());
  }
  header.device_attributes = line.take_all("device:");
  header.run_attributes = line.take_all("run:");
  line.expect_end();
  if (const auto error = header_error(header); !error.empty()) line.fail(error);
  return header;
}

// "" when the record keeps its contract.
std::string record_error(const RunRecord& record, const hw::PowerModeSpace& space) {
  if (!space.index_of(record.mode)) return "the space has no mode " + describe(space, record.mode);
  if (record.status != RunStatus::ok) return "";
  const auto found = [](double value) { return ", found " + number_text(value); };
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
  line.text("mode", joined(record.mode));
  line.text("status", to_string(record.status));
  if (!record.detail.empty()) line.text("detail", record.detail);
  line.number("time_ms", record.measured.time_ms);
  line.number("power_w", record.measured.power_w);
  line.text("repeats", std::to_string(record.measured.repeats));
  if (record.measured.throttled) line.text("throttled", "1");
  for (const auto& [name, member] : kRecordNumbers) line.number(name, record.*member);
  return line.line();
}

RunRecord parse_record(std::string_view body, const hw::PowerModeSpace& space, const std::string& where) {
  LineReader line(body, where);
  RunRecord record;
  record.mode = line.mode("mode", line.text("mode"));
  const auto status = line.text("status");
  const auto known = parse_run_status(status);
  if (!known) line.fail("unknown status '" + status + "'");
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

struct Line {
  std::string_view body;  // without newline and checksum
  std::size_t number;     // from 1
};

struct Lines {
  std::vector<Line> whole;    // the header first
  std::size_t skipped = 0;    // blank or damaged ones between them
  std::size_t end_bytes = 0;  // of all but a last line that is not whole
};

std::string at_line(const std::string& path, std::size_t line) {
  return path + ":" + std::to_string(line);
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

// Of lines that have a header.
RunRecords parse(const Lines& lines, std::size_t file_bytes, const std::string& path) {
  RunRecords run;
  run.path = path;
  run.header = parse_header(lines.whole.front().body, at_line(path, lines.whole.front().number));
  for (const auto& line : std::span(lines.whole).subspan(1))
    run.records.push_back(parse_record(line.body, *run.header.space, at_line(path, line.number)));
  run.skipped_lines = lines.skipped;
  run.dropped_bytes = file_bytes - lines.end_bytes;
  return run;
}

// The smallest that only one of two sorted ranges has; nullopt for none. second: whether it is in a.
template <class T>
std::optional<std::pair<T, bool>> first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (in_a == a.end() && in_b == b.end()) return std::nullopt;
  const bool is_in_a = in_b == b.end() || (in_a != a.end() && *in_a < *in_b);
  return std::pair(is_in_a ? *in_a : *in_b, is_in_a);
}

bool same_roles(const hw::PowerModeSpace& a, const hw::PowerModeSpace& b) {
  const auto role = [](const hw::Knob& knob) { return knob.role; };
  return std::ranges::equal(a.knobs(), b.knobs(), {}, role, role);
}

std::string space_difference(const hw::PowerModeSpace& log, const hw::PowerModeSpace& now) {
  if (!same_roles(log, now))
    return "knobs: " + describe_roles(log) + " in the log, now " + describe_roles(now);
  const auto side = [](bool is_in_log) { return is_in_log ? " is only in the log" : " is not in the log"; };
  for (std::size_t k = 0; k < log.knobs().size(); ++k) {
    const auto level = first_difference(log.knobs()[k].levels, now.knobs()[k].levels);
    if (level)
      return std::string(to_string(log.knobs()[k].role)) + ": level " + std::to_string(level->first) +
             side(level->second);
  }
  const auto mode = first_difference(log.modes(), now.modes());
  return mode ? "mode " + describe(log, mode->first) + side(mode->second) : "";
}

std::string attribute_text(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}

// "" when the run can be resumed.
std::string header_difference(const RunHeader& log, const RunHeader& now) {
  const auto differ = [](const std::string& what, std::string_view in_log, std::string_view in_now) {
    const auto shown = [](std::string_view text) {
      return text.empty() ? "unknown" : "'" + std::string(text) + "'";
    };
    return what + ": " + shown(in_log) + " in the log, now " + shown(in_now);
  };
  if (log.device != now.device) return differ("device", log.device, now.device);
  if (log.workload != now.workload) return differ("workload", log.workload, now.workload);
  const auto &a = log.attributes, &b = now.attributes;
  if (a.kind != b.kind) return differ("kind", to_string(a.kind), to_string(b.kind));
  if (a.time_of != b.time_of) return differ("time_of", to_string(a.time_of), to_string(b.time_of));
  for (const auto& [name, member] : kTextAttributes) {
    if (a.*member != b.*member) return differ(name, a.*member, b.*member);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (a.*member != b.*member) return differ(name, attribute_text(a.*member), attribute_text(b.*member));
  }
  auto names = log.device_attributes;
  names.insert(now.device_attributes.begin(), now.device_attributes.end());
  const auto value = [](const DeviceAttributes& attributes, const std::string& name) {
    const auto found = attributes.find(name);
    return found == attributes.end() ? std::string() : found->second;
  };
  for (const auto& [name, unused] : names) {
    const auto in_log = value(log.device_attributes, name), in_now = value(now.device_attributes, name);
    if (in_log != in_now) return differ("device attribute " + name, in_log, in_now);
  }
  return space_difference(*log.space, *now.space);
}

// 0, or the errno of what failed.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fdatasync(file) == 0 ? 0 : errno;
}

int cut(int file, std::uint64_t bytes) {
  if (::ftruncate(file, static_cast<off_t>(bytes)) != 0) return errno;
  return ::fdatasync(file) == 0 ? 0 : errno;
}

[[noreturn]] void fail_to_write(const std::string& path, const std::string& why) {
  throw DataError("cannot write " + path + ": " + why);
}

// The name is durable only once its folder is. Best effort: not every file system can.
void sync_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  const hw::Descriptor file(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file) ::fsync(file.get());
}

// One row of a profile.
struct Row {
  hw::Measurement measured;
  double time_std_ms = kNan, power_std_w = kNan, time_true_ms = kNan, power_true_w = kNan;
};
using Rows = std::map<hw::PowerMode, Row>;

struct Column {
  std::vector<double> Profile::*values;
  double Row::*value;
};
constexpr Column kColumns[] = {{&Profile::time_std_ms, &Row::time_std_ms},
                               {&Profile::power_std_w, &Row::power_std_w},
                               {&Profile::time_true_ms, &Row::time_true_ms},
                               {&Profile::power_true_w, &Row::power_true_w}};

Rows rows_of(const Profile& profile) {
  Rows rows;
  for (std::size_t i = 0; i < profile.modes.size(); ++i) {
    auto& row = rows[profile.modes[i]];
    row.measured = profile.measurements[i];
    for (const auto& [values, value] : kColumns) {
      if (!(profile.*values).empty()) row.*value = (profile.*values)[i];
    }
  }
  return rows;
}

void set_rows(Profile& profile, const Rows& rows) {
  profile.modes.clear();
  profile.measurements.clear();
  for (const auto& [mode, row] : rows) {
    profile.modes.push_back(mode);
    profile.measurements.push_back(row.measured);
  }
  for (const auto& [values, value] : kColumns) {
    auto& column = profile.*values;
    column.clear();
    for (const auto& [mode, row] : rows) column.push_back(row.*value);
    if (std::all_of(column.begin(), column.end(), [](double v) { return std::isnan(v); })) column.clear();
  }
}

// Of at least one row of the same mode. The true values are the first row's.
Row combined(std::span<const Row> rows) {
  Row row = rows.front();
  std::vector<Measured> times, powers;
  std::int64_t repeats = 0;
  for (const auto& one : rows) {
    const auto& measured = one.measured;
    const double count = measured.repeats;
    times.push_back({.value = measured.time_ms, .std = one.time_std_ms, .repeats = count});
    powers.push_back({.value = measured.power_w,
                      .std = one.power_std_w,
                      .repeats = count,
                      .duration = count * measured.time_ms});
    repeats += measured.repeats;
    row.measured.throttled = row.measured.throttled || measured.throttled;
  }
  const auto time = average(times), power = average(powers);
  row.measured.time_ms = time.value, row.time_std_ms = time.std;
  row.measured.power_w = power.value, row.power_std_w = power.std;
  row.measured.repeats = static_cast<int>(std::min<std::int64_t>(repeats, std::numeric_limits<int>::max()));
  return row;
}

[[noreturn]] void fail_to_unite(const std::string& what, std::string_view a, std::string_view b) {
  throw DataError(what + " differs: '" + std::string(a) + "' and '" + std::string(b) + "'");
}

// What is known in either. Throws DataError, as the others below, naming `what` is united and what differs.
WorkloadAttributes united(WorkloadAttributes a, const WorkloadAttributes& b, const std::string& what) {
  if (a.kind != b.kind) fail_to_unite(what + ": kind", to_string(a.kind), to_string(b.kind));
  if (a.time_of != b.time_of) fail_to_unite(what + ": time_of", to_string(a.time_of), to_string(b.time_of));
  for (const auto& [name, member] : kTextAttributes) {
    if ((a.*member).empty()) a.*member = b.*member;
    if (!(b.*member).empty() && a.*member != b.*member)
      fail_to_unite(what + ": " + name, a.*member, b.*member);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (!(a.*member)) a.*member = b.*member;
    if (b.*member && a.*member != b.*member)
      fail_to_unite(what + ": " + name, attribute_text(a.*member), attribute_text(b.*member));
  }
  return a;
}

DeviceAttributes united(DeviceAttributes a, const DeviceAttributes& b, const std::string& what) {
  for (const auto& [name, value] : b) {
    const auto& known = a.emplace(name, value).first->second;
    if (known != value) fail_to_unite(what + ": " + name, known, value);
  }
  return a;
}

std::shared_ptr<const hw::PowerModeSpace> united(const std::shared_ptr<const hw::PowerModeSpace>& a,
                                                 const std::shared_ptr<const hw::PowerModeSpace>& b,
                                                 const std::string& what) {
  if (!same_roles(*a, *b)) fail_to_unite(what + ": knobs", describe_roles(*a), describe_roles(*b));
  if (*a == *b) return a;
  const auto union_of = [](const auto& x, const auto& y) {
    auto all = x;
    all.clear();
    std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(all));
    return all;
  };
  auto knobs = a->knobs();
  for (std::size_t k = 0; k < knobs.size(); ++k)
    knobs[k].levels = union_of(knobs[k].levels, b->knobs()[k].levels);
  if (a->is_grid() && b->is_grid())
    return std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(std::move(knobs)));
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::list(std::move(knobs), union_of(a->modes(), b->modes())));
}

std::string profile_name(const Profile& profile, const std::string& where) {
  return where + ": profile " + profile.device + "/" + profile.workload;
}

// `a` without rows of its own yet, of the same device and workload as `b`.
Profile united_frame(const Profile& a, const Profile& b, const std::string& where) {
  const auto what = profile_name(a, where);
  Profile profile;
  profile.device = a.device;
  profile.workload = a.workload;
  profile.attributes = united(a.attributes, b.attributes, what);
  profile.space = united(a.space, b.space, what);
  const auto error = attributes_error(profile.attributes, *profile.space);
  if (!error.empty()) throw DataError(what + ": " + error);
  return profile;
}

Profile merged(const Profile& a, const Profile& b, const std::string& where) {
  auto profile = united_frame(a, b, where);
  auto rows = rows_of(a);
  for (const auto& [mode, row] : rows_of(b)) {
    const auto [known, is_new] = rows.emplace(mode, row);
    if (is_new) continue;
    std::array<Row, 2> both{known->second, row};
    for (const auto value : {&Row::time_true_ms, &Row::power_true_w}) {
      if (std::isnan(both[0].*value)) both[0].*value = row.*value;
      if (!std::isnan(row.*value) && both[0].*value != row.*value)
        fail_to_unite(profile_name(profile, where) + ": " + describe(*profile.space, mode) + ": true value",
                      number_text(both[0].*value), number_text(row.*value));
    }
    known->second = combined(both);
  }
  set_rows(profile, rows);
  validate(profile, where);
  return profile;
}

ProfileStore stored_profiles(const std::string& path) {
  std::error_code unknown;
  const auto status = std::filesystem::status(path, unknown);
  return status.type() == std::filesystem::file_type::not_found ? ProfileStore() : read_profiles(path);
}

Profile frame_of(const RunHeader& header) {
  Profile profile;
  profile.device = header.device;
  profile.workload = header.workload;
  profile.attributes = header.attributes;
  profile.space = header.space;
  return profile;
}

// Where `frame` belongs in the store; made without rows when it is not there.
Profile& add_frame(ProfileStore& store, const RunHeader& header, const std::string& where) {
  auto& attributes = store.devices[header.device];
  attributes = united(attributes, header.device_attributes, where + ": device " + header.device);
  const auto frame = frame_of(header);
  for (auto& profile : store.profiles) {
    if (profile.device != frame.device || profile.workload != frame.workload) continue;
    const auto rows = rows_of(profile);
    profile = united_frame(profile, frame, where);
    set_rows(profile, rows);
    return profile;
  }
  return store.profiles.emplace_back(frame);
}

}  // namespace

std::string_view to_string(RunStatus status) {
  return std::find_if(kStatuses.begin(), kStatuses.end(), [&](const auto& s) { return s.first == status; })
      ->second;
}

std::optional<RunStatus> parse_run_status(std::string_view name) {
  for (const auto& [status, known] : kStatuses) {
    if (known == name) return status;
  }
  return std::nullopt;
}

RunRecords read_run_log(const std::string& path) {
  const auto text = read_file(path);
  const auto lines = read_lines(text, path);
  if (lines.whole.empty()) throw DataError(path + ": holds no whole header, the run had not started");
  return parse(lines, text.size(), path);
}

RunLog::RunLog(const std::string& path, int flags)
    : file_(::open(path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags,
                   0666)) {
  records_.path = path;
  if (!file_) fail_to_write(path, errno == ELOOP ? "it is a symbolic link" : std::strerror(errno));
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    fail_to_write(path, errno == EWOULDBLOCK ? "another run has it open" : std::strerror(errno));
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) fail_to_write(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail_to_write(path, "it is no regular file");
  end_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

RunLog RunLog::create(const std::string& path, const RunHeader& header) {
  if (const auto error = header_error(header); !error.empty())
    throw std::invalid_argument("RunHeader: " + error);
  RunLog log(path, O_CREAT);
  if (log.end_bytes_ != 0) fail_to_write(path, "it is there already and not empty");
  log.start(header);
  return log;
}

RunLog RunLog::open_to_append(const std::string& path, const RunHeader& expected) {
  if (const auto error = header_error(expected); !error.empty())
    throw std::invalid_argument("RunHeader: " + error);
  RunLog log(path, 0);
  std::string text;  // of what is open, not of what has its name now
  if (const int error = hw::read_to_end(log.file_.get(), std::numeric_limits<std::size_t>::max(), text);
      error != 0)
    throw DataError("cannot read " + path + ": " + std::strerror(error));
  const auto lines = read_lines(text, path);
  if (lines.whole.empty()) {
    log.start(expected);
    log.records_.dropped_bytes = text.size();
    return log;
  }
  log.records_ = parse(lines, text.size(), path);
  const auto difference = header_difference(log.records_.header, expected);
  if (!difference.empty()) throw DataError(at_line(path, 1) + ": is of another run: " + difference);
  log.end_bytes_ = lines.end_bytes;
  if (lines.end_bytes != text.size()) {
    if (const int error = cut(log.file_.get(), lines.end_bytes); error != 0)
      fail_to_write(path, std::strerror(error));
  }
  return log;
}

void RunLog::start(const RunHeader& header) {
  if (const int error = cut(file_.get(), 0); error != 0) fail_to_write(records_.path, std::strerror(error));
  end_bytes_ = 0;
  write(header_line(header));
  sync_folder_of(records_.path);
  records_.header = header;
}

void RunLog::write(const std::string& line) {
  if (is_torn_) fail_to_write(records_.path, "an earlier write failed and could not be undone");
  if (const int error = write_all(file_.get(), line); error != 0) {
    is_torn_ = cut(file_.get(), end_bytes_) != 0;
    fail_to_write(records_.path, std::strerror(error));
  }
  end_bytes_ += line.size();
}

void RunLog::append(const RunRecord& record) {
  const auto& header = records_.header;
  auto error = record_error(record, *header.space);
  if (error.empty() && record.status == RunStatus::ok) {
    const auto& all = records_.records;
    const auto first =
        std::find_if(all.begin(), all.end(), [](const auto& r) { return r.status == RunStatus::ok; });
    if (first != all.end() && std::isnan(first->measured.time_ms) != std::isnan(record.measured.time_ms))
      error = "time_ms is known in some records and not in others";
  }
  if (!error.empty()) throw std::invalid_argument("RunRecord: " + error);
  write(record_line(record));
  records_.records.push_back(record);
}

Profile to_profile(const RunRecords& run) {
  std::map<hw::PowerMode, std::vector<Row>> attempts;
  for (const auto& record : run.records) {
    if (record.status != RunStatus::ok) continue;
    Row row;
    row.measured = record.measured;
    row.time_std_ms = record.time_std_ms;
    row.power_std_w = record.power_std_w;
    attempts[record.mode].push_back(row);
  }
  if (attempts.empty()) throw DataError(run.path + ": no mode has been measured yet");
  Rows rows;
  for (const auto& [mode, of_mode] : attempts) rows[mode] = combined(of_mode);
  auto profile = frame_of(run.header);
  set_rows(profile, rows);
  validate(profile, run.path);
  return profile;
}

void fold(const RunRecords& run, const std::string& profile_path) {
  const auto fresh = to_profile(run);
  auto store = stored_profiles(profile_path);
  auto& profile = add_frame(store, run.header, profile_path);
  auto rows = rows_of(fresh);
  rows.merge(rows_of(profile));
  set_rows(profile, rows);
  write_profiles(profile_path, store);
}

void fold(const std::string& log_path, const std::string& profile_path) {
  fold(read_run_log(log_path), profile_path);
}

void check_fold(const RunHeader& header, const std::string& profile_path) {
  check_profiles_output(profile_path);
  auto store = stored_profiles(profile_path);
  add_frame(store, header, profile_path);
}

ProfileStore merge_profiles(const ProfileStore& a, const ProfileStore& b, const std::string& where) {
  ProfileStore all;
  all.devices = a.devices;
  for (const auto& [device, attributes] : b.devices) {
    auto& known = all.devices[device];
    known = united(known, attributes, where + ": device " + device);
  }
  std::map<std::pair<std::string, std::string>, Profile> profiles;
  for (const auto& profile : a.profiles) profiles[{profile.device, profile.workload}] = profile;
  for (const auto& profile : b.profiles) {
    const auto [known, is_new] = profiles.try_emplace({profile.device, profile.workload}, profile);
    if (!is_new) known->second = merged(known->second, profile, where);
  }
  for (auto& [name, profile] : profiles) all.profiles.push_back(std::move(profile));
  return all;
}

}  // namespace fewwatt::datasets
