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

namespace fewwatt::hw {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;  // of a file
constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

[[noreturn]] void fail(const std::string& path, const std::string& tried) {
  throw DeviceError(path + ": cannot " + tried + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

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
  const int fd = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = fd < 0 ? nullptr : ::fdopendir(fd);
  if (listing == nullptr) {
    const int code = errno;
    if (fd >= 0) ::close(fd);
    errno = code;
    fail(path, "list");
  }
  std::vector<std::string> names;
  while (const auto* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(listing);
  return names;
}

}  // namespace

StateFolder::StateFolder(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  struct stat status {};
  const auto refuse = [&](const std::string& why) {
    ::close(fd_);
    throw DeviceError(path_ + ": " + why + ": what is to be put back on the board is not read from there");
  };
  if (::fstat(fd_, &status) != 0) {
    const int code = errno;
    ::close(fd_);
    errno = code;
    fail(path_, "look at");
  }
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
        const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) fail(path, "open as a folder that is no link");
        return fd;
      }()) {}

std::optional<StateFolder> StateFolder::find(const std::string& given) {
  const auto path = without_slash(given);
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) fail(path, "open as a folder that is no link");
  return StateFolder(path, fd);
}

StateFolder::~StateFolder() {
  if (fd_ >= 0) ::close(fd_);
}

bool StateFolder::exists(const std::string& name) const {
  return ::faccessat(fd_, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string StateFolder::read(const std::string& name) const {
  const auto path = path_ + '/' + name;
  // Without O_NONBLOCK a pipe would keep us waiting.
  const Descriptor file(::openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) fail(path, "open as a file that is no link");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, "look at");
  if (!S_ISREG(status.st_mode)) throw DeviceError(path + ": expected a plain file");
  if (status.st_uid != ::geteuid() || (status.st_mode & kOthersMayWrite) != 0)
    throw DeviceError(path + ": belongs to somebody else, or others may write to it");
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) fail(path, "read");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMostBytes) throw DeviceError(path + ": has more than 1 MiB");
  }
}

void StateFolder::write(const std::string& name, const std::string& content) const {
  const auto temporary = random_name(name);
  const auto path = path_ + '/' + temporary;
  {
    const Descriptor file(
        ::openat(fd_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.get() < 0) fail(path, "create");
    const auto done = ::write(file.get(), content.data(), content.size());
    const bool flushed = done == static_cast<ssize_t>(content.size()) && ::fsync(file.get()) == 0;
    if (done >= 0 && done != static_cast<ssize_t>(content.size())) errno = ENOSPC;
    if (!flushed) {
      const int code = errno;
      ::unlinkat(fd_, temporary.c_str(), 0);
      errno = code;
      fail(path, "write");
    }
  }
  if (::renameat(fd_, temporary.c_str(), fd_, name.c_str()) != 0) {
    const int code = errno;
    ::unlinkat(fd_, temporary.c_str(), 0);
    errno = code;
    fail(path_ + '/' + name, "replace");
  }
  ::fsync(fd_);
}

void StateFolder::remove(const std::string& name) const {
  if (::unlinkat(fd_, name.c_str(), 0) != 0 && errno != ENOENT) fail(path_ + '/' + name, "remove");
  ::fsync(fd_);
}

int StateFolder::lock(const std::string& name) const {
  const auto path = path_ + '/' + name;
  const int fd = ::openat(fd_, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (fd < 0) fail(path, "open");
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    ::close(fd);
    if (code == EWOULDBLOCK) throw DeviceError(path + ": another fewwatt has the board's clocks");
    errno = code;
    fail(path, "lock");
  }
  return fd;
}

void StateFolder::remove_leftovers() const {
  for (const auto& name : names_in(fd_, path_))
    if (is_leftover(name)) ::unlinkat(fd_, name.c_str(), 0);
}

std::string StateFolder::stranger() const {
  for (const auto& name : names_in(fd_, path_))
    if (name != "lock" && name != "clocks.journal" && name != "clocks.kept" && !is_leftover(name))
      return name;
  return "";
}

void require_trusted_folder(const std::string& path) {
  if (!path.starts_with('/')) throw DeviceError(path + ": expected the whole path of a folder, from / on");
  int folder = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  std::string at = "/";
  const auto check = [&] {
    struct stat status {};
    if (::fstat(folder, &status) != 0) fail(at, "look at");
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
      throw DeviceError(path + ": " + at + " belongs to user " + std::to_string(status.st_uid) +
                        ", and only folders of root's below folders of root's are used as root");
    if ((status.st_mode & kOthersMayWrite) != 0)
      throw DeviceError(path + ": others than root may write to " + at +
                        ", and only folders of root's below folders of root's are used as root");
  };
  if (folder < 0) fail(at, "open");
  try {
    check();
    for (const auto& part : std::filesystem::path(path).relative_path()) {
      if (part.empty() || part == ".") continue;
      if (part == "..") throw DeviceError(path + ": expected a path without ..");
      at += (at == "/" ? "" : "/") + part.string();
      const int next = ::openat(folder, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (next < 0 && errno == ENOENT) break;
      if (next < 0)
        throw DeviceError(path + ": " + at +
                          " cannot be opened as a folder that is no link: " + std::strerror(errno));
      ::close(folder);
      folder = next;
      check();
    }
  } catch (...) {
    ::close(folder);
    throw;
  }
  ::close(folder);
}

}  // namespace fewwatt::hw
