#include "hw/jetson/sysfs.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>

#include "hw/numbers.hpp"
#include "hw/regular_file.hpp"

namespace fewwatt::hw {
namespace {

constexpr int kTries = 4;                    // thermal and power sensors say EAGAIN now and then
constexpr std::size_t kMostBytes = 1 << 20;  // of a file
constexpr auto kBetweenTries = std::chrono::milliseconds(1);

Descriptor open_file(const std::string& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC));
}

// 0 or errno.
int read_once(const std::string& path, std::string& text) {
  const auto file = open_file(path, O_RDONLY);
  if (!file) return errno;
  text.clear();
  return read_to_end(file.get(), kMostBytes, text);
}

}  // namespace

SysfsError::SysfsError(std::string path, const std::string& tried, int code)
    : DeviceError(path + ": " + tried + ": " + std::strerror(code)), path_(std::move(path)), code_(code) {}

FileSysfs::FileSysfs(std::string root) : root_(std::move(root)) {
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
  if (root_.empty()) return;
  std::error_code error;
  root_ = std::filesystem::canonical(root_, error).string();
  if (error || !std::filesystem::is_directory(root_)) throw DeviceError(root_ + ": no such folder");
}

// Where the file is, without links; "" where these lead in a circle.
std::string FileSysfs::located(const std::string& path) const {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // as the kernel
  if (root_.empty()) return path;
  fs::path found = root_;
  std::vector<fs::path> parts, left;  // below the root; still to go, the next one last
  const auto go = [&](const fs::path& to) {
    const std::vector<fs::path> names(to.begin(), to.end());
    left.insert(left.end(), names.rbegin(), names.rend());
  };
  go(path);
  for (int links = 0; !left.empty();) {
    const auto name = left.back();
    left.pop_back();
    if (name == "/") parts.clear();
    if (name == ".." && !parts.empty()) parts.pop_back();
    if (name.empty() || name == "/" || name == "." || name == "..") continue;
    parts.push_back(name);
    found = root_;
    for (const auto& part : parts) found /= part;
    std::error_code error;
    const auto target = fs::read_symlink(found, error);
    if (error) continue;  // no link
    if (++links > kMostLinks) return "";
    parts.pop_back();
    go(target);
  }
  found = root_;
  for (const auto& part : parts) found /= part;
  return found.string();
}

std::string FileSysfs::read(const std::string& path) const {
  const auto file = located(path);
  std::string text;
  int code = 0;
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) std::this_thread::sleep_for(kBetweenTries);
    code = read_once(file, text);
    if (code != EAGAIN && code != EINTR) break;
  }
  if (code != 0) throw SysfsError(path, "cannot read", code);
  return trimmed(std::move(text));
}

void FileSysfs::write(const std::string& path, const std::string& value) {
  if (!path.starts_with("/sys/") || (path + '/').find("/../") != std::string::npos)
    throw DeviceError(path + ": only files below /sys are written");
  const auto real = resolve(path);
  if (!real.starts_with("/sys/"))
    throw DeviceError(path + ": a link out of /sys, to " + real + ", is not written");
  const auto file = open_file(root_ + real, O_WRONLY | O_TRUNC);
  if (!file) throw SysfsError(path, "cannot open to write " + value, errno);
  const std::string line = value + '\n';
  const auto done = ::write(file.get(), line.data(), line.size());
  if (done != static_cast<ssize_t>(line.size()))
    throw SysfsError(path, "cannot write " + value, done < 0 ? errno : EIO);
}

bool FileSysfs::exists(const std::string& path) const {
  return ::access(located(path).c_str(), F_OK) == 0;
}

int FileSysfs::write_error(const std::string& path) const {
  return open_file(located(path), O_WRONLY) ? 0 : errno;
}

std::vector<std::string> FileSysfs::list(const std::string& folder) const {
  std::set<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(located(folder), error), end; !error && it != end;
       it.increment(error))
    names.insert(it->path().filename().string());
  return {names.begin(), names.end()};
}

std::string FileSysfs::resolve(const std::string& path) const {
  std::error_code error;
  const auto real = std::filesystem::canonical(located(path), error).string();
  if (error) throw SysfsError(path, "cannot follow", error.value());
  return real.substr(root_.size());
}

std::vector<std::int64_t> sorted_levels(std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  values.erase(values.begin(), std::upper_bound(values.begin(), values.end(), std::int64_t{0}));
  return values;
}

std::string trimmed(std::string text) {
  while (!text.empty() &&
         (text.back() == '\0' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t'))
    text.pop_back();
  return text;
}

std::int64_t parse_number(const std::string& text, const std::string& where, Bounds bounds) {
  const auto start = std::min(text.find_first_not_of(" \t"), text.size());
  const auto value = whole_number(std::string_view(text).substr(start), bounds.least, bounds.most);
  if (value) return *value;
  const Bounds any;
  const bool bounded = bounds.least != any.least || bounds.most != any.most;
  throw DeviceError(where + ": expected a whole number" +
                    (bounded ? " from " + std::to_string(bounds.least) + " to " + std::to_string(bounds.most)
                             : std::string()) +
                    ", found \"" + text + "\"");
}

std::int64_t read_number(const Sysfs& files, const std::string& path, Bounds bounds) {
  return parse_number(files.read(path), path, bounds);
}

std::vector<std::int64_t> read_numbers(const Sysfs& files, const std::string& path, Bounds bounds) {
  std::istringstream words(files.read(path));
  std::vector<std::int64_t> values;
  for (std::string word; words >> word;) values.push_back(parse_number(word, path, bounds));
  return values;
}

std::vector<int> read_cpu_list(const Sysfs& files, const std::string& path) {
  std::string text = files.read(path);
  std::replace(text.begin(), text.end(), ',', ' ');
  std::istringstream words(text);
  std::set<int> cpus;
  for (std::string word; words >> word;) {
    const auto dash = word.find('-');
    const auto first = parse_number(word.substr(0, dash), path, kCpuNumbers);
    const auto last =
        dash == std::string::npos ? first : parse_number(word.substr(dash + 1), path, kCpuNumbers);
    if (last < first) throw DeviceError(path + ": expected a list of CPUs, found \"" + text + "\"");
    for (auto cpu = first; cpu <= last; ++cpu) cpus.insert(static_cast<int>(cpu));
  }
  return {cpus.begin(), cpus.end()};
}

std::vector<std::string> read_strings(const Sysfs& files, const std::string& path) {
  const auto text = files.read(path);
  std::vector<std::string> strings(1);
  for (const char c : text) {
    if (c == '\0')
      strings.emplace_back();
    else
      strings.back() += c;
  }
  return strings;
}

}  // namespace fewwatt::hw
