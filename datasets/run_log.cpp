#include "datasets/run_log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include "datasets/input_file.hpp"
#include "datasets/run_log_text.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

// The smallest that only one of two sorted ranges has; nullopt for none. second: whether it is in a.
template <class T>
std::optional<std::pair<T, bool>> first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (in_a == a.end() && in_b == b.end()) return std::nullopt;
  const bool is_in_a = in_b == b.end() || (in_a != a.end() && *in_a < *in_b);
  return std::pair(is_in_a ? *in_a : *in_b, is_in_a);
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
  const auto difference_of = [&](const std::string& what, const DeviceAttributes& in_log,
                                 const DeviceAttributes& in_now) -> std::string {
    auto names = in_log;
    names.insert(in_now.begin(), in_now.end());
    const auto value = [](const DeviceAttributes& attributes, const std::string& name) {
      const auto found = attributes.find(name);
      return found == attributes.end() ? std::string() : found->second;
    };
    for (const auto& [name, unused] : names)
      if (value(in_log, name) != value(in_now, name))
        return differ(what + name, value(in_log, name), value(in_now, name));
    return "";
  };
  if (const auto other = difference_of("device attribute ", log.device_attributes, now.device_attributes);
      !other.empty())
    return other;
  if (!log.chosen_by.empty())
    if (const auto other = difference_of("", log.chosen_by, now.chosen_by); !other.empty()) return other;
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

}  // namespace

RunRecords read_run_log(const std::string& path) {
  const auto text = read_file(path);
  const auto lines = read_lines(text, path);
  if (lines.whole.empty()) throw DataError(path + ": holds no whole header, the run had not started");
  return parse_lines(lines, text.size(), path);
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
  log.records_ = parse_lines(lines, text.size(), path);
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
  if (error.empty() && record.status == hw::AttemptStatus::ok) {
    const auto& all = records_.records;
    const auto first =
        std::find_if(all.begin(), all.end(), [](const auto& r) { return r.status == hw::AttemptStatus::ok; });
    if (first != all.end() && std::isnan(first->measured.time_ms) != std::isnan(record.measured.time_ms))
      error = "time_ms is known in some records and not in others";
  }
  if (!error.empty()) throw std::invalid_argument("RunRecord: " + error);
  write(record_line(record));
  records_.records.push_back(record);
}

}  // namespace fewwatt::datasets
