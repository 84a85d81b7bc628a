#include "hw/jetson/state_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "hw/device.hpp"
#include "hw/regular_file.hpp"

namespace fewwatt::hw {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;  // of a file
constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

[[noreturn]] void fail(const std::string& path, const std::string& tried) {
  throw DeviceError(path + ": cannot " + tried + ": " + std::strerror(errno));
}

std::string random_name(const std::string& name) {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) fail(name, "draw a random name for");
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(number));
  return name + '.' + hex + ".new";
}

bool is_leftover(const std::string& name) {
  return name.starts_with("clocks.") && name.ends_with(".new");
}

// A slash at the end would have a link followed.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::vector<std::string> names_in(int folder, const std::string& path) {
  Descriptor opened(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* listing = opened ? ::fdopendir(opened.get()) : nullptr;
  if (listing == nullptr) fail(path, "list");
  opened.release();  // it is the listing's
  std::vector<std::string> names;
  while (const auto* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(listing);
  return names;
}

}  // namespace

StateFolder::StateFolder(std::string path, Descriptor folder)
    : path_(std::move(path)), folder_(std::move(folder)) {
  struct stat status {};
  const auto refuse = [&](const std::string& why) {
    throw DeviceError(path_ + ": " + why +
                      ": notes of what to put back on the board are not read from there");
  };
  if (::fstat(folder_.get(), &status) != 0) fail(path_, "look at");
  if (status.st_uid != ::geteuid())
    refuse("the folder belongs to user " + std::to_string(status.st_uid) + ", expected " +
           std::to_string(::geteuid()));
  if ((status.st_mode & kOthersMayWrite) != 0) refuse("others may write to the folder");
}

StateFolder::StateFolder(const std::string& given)
    : StateFolder(without_slash(given), [&] {
        const auto path = without_slash(given);
        const std::filesystem::path folder(path);
        std::error_code error;
        if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
        if (error) throw DeviceError(path + ": cannot create: " + error.message());
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(path, "create");
        Descriptor folder_fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!folder_fd) fail(path, "open as a folder that is no link");
        return folder_fd;
      }()) {}

std::optional<StateFolder> StateFolder::find(const std::string& given) {
  const auto path = without_slash(given);
  Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder && errno == ENOENT) return std::nullopt;
  if (!folder) fail(path, "open as a folder that is no link");
  return StateFolder(path, std::move(folder));
}

bool StateFolder::exists(const std::string& name) const {
  return ::faccessat(folder_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string StateFolder::read(const std::string& name) const {
  const auto path = path_ + '/' + name;
  // Without O_NONBLOCK a pipe would keep us waiting.
  const Descriptor file(
      ::openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) fail(path, "open as a file that is no link");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, "look at");
  if (!S_ISREG(status.st_mode)) throw DeviceError(path + ": expected a plain file");
  if (status.st_uid != ::geteuid() || (status.st_mode & kOthersMayWrite) != 0)
    throw DeviceError(path + ": belongs to somebody else, or others may write to it");
  std::string text;
  errno = read_to_end(file.get(), kMostBytes, text);
  if (errno == EFBIG) throw DeviceError(path + ": has more than 1 MiB");
  if (errno != 0) fail(path, "read");
  return text;
}

void StateFolder::write(const std::string& name, const std::string& content) const {
  const auto temporary = random_name(name);
  const auto path = path_ + '/' + temporary;
  {
    const Descriptor file(::openat(folder_.get(), temporary.c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) fail(path, "create");
    const auto done = ::write(file.get(), content.data(), content.size());
    const bool flushed = done == static_cast<ssize_t>(content.size()) && ::fsync(file.get()) == 0;
    if (done >= 0 && done != static_cast<ssize_t>(content.size())) errno = ENOSPC;
    if (!flushed) {
      const int code = errno;
      ::unlinkat(folder_.get(), temporary.c_str(), 0);
      errno = code;
      fail(path, "write");
    }
  }
  if (::renameat(folder_.get(), temporary.c_str(), folder_.get(), name.c_str()) != 0) {
    const int code = errno;
    ::unlinkat(folder_.get(), temporary.c_str(), 0);
    errno = code;
    fail(path_ + '/' + name, "replace");
  }
  ::fsync(folder_.get());
}

void StateFolder::remove(const std::string& name) const {
  if (::unlinkat(folder_.get(), name.c_str(), 0) != 0 && errno != ENOENT) fail(path_ + '/' + name, "remove");
  ::fsync(folder_.get());
}

Descriptor StateFolder::lock(const std::string& name) const {
  const auto path = path_ + '/' + name;
  Descriptor file(
      ::openat(folder_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file) fail(path, "open");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw DeviceError(path + ": another fewwatt has the board's clocks");
    fail(path, "lock");
  }
  return file;
}

void StateFolder::remove_leftovers() const {
  for (const auto& name : names_in(folder_.get(), path_))
    if (is_leftover(name)) ::unlinkat(folder_.get(), name.c_str(), 0);
}

std::string StateFolder::stranger() const {
  for (const auto& name : names_in(folder_.get(), path_))
    if (name != "lock" && name != "clocks.journal" && name != "clocks.kept" && !is_leftover(name))
      return name;
  return "";
}

void require_trusted_folder(const std::string& path) {
  if (!path.starts_with('/')) throw DeviceError(path + ": expected the whole path of a folder, from / on");
  Descriptor folder(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string at = "/";
  const auto check = [&] {
    struct stat status {};
    if (::fstat(folder.get(), &status) != 0) fail(at, "look at");
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
      throw DeviceError(path + ": " + at + " belongs to user " + std::to_string(status.st_uid) +
                        ", and only folders of root's below folders of root's are used as root");
    if ((status.st_mode & kOthersMayWrite) != 0)
      throw DeviceError(path + ": others than root may write to " + at +
                        ", and only folders of root's below folders of root's are used as root");
  };
  if (!folder) fail(at, "open");
  check();
  for (const auto& part : std::filesystem::path(path).relative_path()) {
    if (part.empty() || part == ".") continue;
    if (part == "..") throw DeviceError(path + ": expected a path without ..");
    at += (at == "/" ? "" : "/") + part.string();
    Descriptor next(::openat(folder.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOENT) break;
    if (!next)
      throw DeviceError(path + ": " + at +
                        " cannot be opened as a folder that is no link: " + std::strerror(errno));
    folder = std::move(next);
    check();
  }
}

}  // namespace fewwatt::hw
