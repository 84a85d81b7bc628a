#include "datasets/atomic_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "datasets/profile.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::size_t kStart = 1 << 16;
constexpr std::string_view kMark = ".tmp-";
constexpr std::size_t kRandomDigits = 16;
constexpr int kTries = 16;

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw DataError("cannot write " + path + ": " + why);
}

[[noreturn]] void fail(const std::string& path, int error) {
  fail(path, std::strerror(error));
}

// 0, or the errno of what failed.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// A folder and a name in it, neither empty.
struct Place {
  std::string folder, name;
};

Place place_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// One of this process's own descriptors, which a path names through links of the system: N of /dev/fd/N.
std::optional<int> own_descriptor(const std::string& path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    if (const auto file = hw::whole_int(std::string_view(path).substr(folder.size()), 0)) return file;
  }
  return std::nullopt;
}

// Not flushed: devices and pipes have no storage.
void write_in_place(const std::string& path, hw::Descriptor file, std::string_view bytes) {
  int error = write_all(file.get(), bytes);
  if (file.close() != 0 && error == 0) error = errno;
  if (error != 0) fail(path, error);
}

// Needed to make, rename and remove files in it; a folder that one may not list is enough for that.
hw::Descriptor open_folder(const std::string& path, const std::string& folder) {
  hw::Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened && errno == EACCES) {
    hw::Descriptor unlisted(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!unlisted) fail(path, errno);
    return unlisted;
  }
  if (!opened) fail(path, errno);
  return opened;
}

struct Target {
  Place place;
  hw::Descriptor folder;
  bool exists;
  struct stat status;
};

Target look_at(const std::string& path) {
  Target target{place_of(path), hw::Descriptor(), false, {}};
  if (path.empty()) fail(path, "expected the name of a file, found none");
  auto& name = target.place.name;
  if (name.empty() || name == "." || name == "..") fail(path, "it is a folder");
  auto folder = open_folder(path, target.place.folder);
  struct stat status {};
  const bool exists = ::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists && errno != ENOENT) fail(path, errno);
  if (exists) {
    if (S_ISDIR(status.st_mode)) fail(path, "it is a folder");
    if (S_ISLNK(status.st_mode)) fail(path, "it is a symbolic link; name the file that it leads to");
    if (S_ISBLK(status.st_mode) || S_ISSOCK(status.st_mode))
      fail(path, "it is a device or socket, expected a file");
  }
  return {std::move(target.place), std::move(folder), exists, status};
}

void check_replaceable(const std::string& path, const struct stat& status, const Replaceable& replaceable) {
  if (status.st_size == 0) return;
  if (replaceable.name.empty()) fail(path, "it is there already, and is not replaced");
  if (!replaceable.holds(path))
    fail(path, "it is there already and is not " + replaceable.name + ", so it is not replaced");
}

std::string random_digits() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    throw DataError("the system gives no random number");
  std::string digits;
  for (std::size_t i = 0; i < kRandomDigits; ++i, number >>= 4) digits += "0123456789abcdef"[number & 15];
  return digits;
}

// Names of temporary files for `name` begin so; a name may have 255 bytes.
std::string temporary_prefix(const std::string& name) {
  return name.substr(0, 200) + std::string(kMark);
}

// A killed run's are no longer locked. Best effort: what cannot be listed or removed stays.
void remove_left_overs(int folder, const std::string& name) {
  hw::Descriptor listed(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(listed ? ::fdopendir(listed.get()) : nullptr, ::closedir);
  if (entries == nullptr) return;
  listed.release();  // it is that of the entries
  const std::string prefix = temporary_prefix(name);
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view found = entry->d_name;
    if (!found.starts_with(prefix) || found.size() != prefix.size() + kRandomDigits ||
        found.find_first_not_of("0123456789abcdef", prefix.size()) != std::string_view::npos)
      continue;
    const hw::Descriptor file(
        ::openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_uid == ::geteuid() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlinkat(folder, entry->d_name, 0);
  }
}

// A new file, locked as long as it is open, so that remove_left_overs() of another process leaves it.
std::pair<std::string, hw::Descriptor> make_temporary(const std::string& path, int folder,
                                                      const std::string& name) {
  for (int tries = 0; tries < kTries; ++tries) {
    std::string temporary = temporary_prefix(name) + random_digits();
    hw::Descriptor file(
        ::openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file && errno == EEXIST) continue;
    if (!file) fail(path, errno);
    // Until it is locked, another process may take it for a left-over and remove it: then there is another try. Any other error
    // means that this file system has no locks, and the file is used without.
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    struct stat status {};
    if (::fstat(file.get(), &status) == 0 && status.st_nlink == 0) continue;
    return {std::move(temporary), std::move(file)};
  }
  fail(path, "no free temporary name");
}

// Gives `temporary` its name where none is there yet. 0, or the errno of what failed.
int rename_to_new(int folder, const char* temporary, const char* name) {
  if (::renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system or kernel that cannot do that.
  if (::linkat(folder, temporary, folder, name, 0) == 0)
    return ::unlinkat(folder, temporary, 0) == 0 ? 0 : errno;
  if (errno != EPERM && errno != EOPNOTSUPP) return errno;
  return ::renameat(folder, temporary, folder, name) == 0 ? 0 : errno;
}

void write_regular(const std::string& path, const Target& target, std::string_view bytes,
                   const Replaceable& replaceable) {
  const int folder = target.folder.get();
  const char* name = target.place.name.c_str();
  remove_left_overs(folder, target.place.name);
  auto [temporary, file] = make_temporary(path, folder, target.place.name);
  int error = write_all(file.get(), bytes);
  if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  if (error == 0) {
    error = target.exists ? (::renameat(folder, temporary.c_str(), folder, name) == 0 ? 0 : errno)
                          : rename_to_new(folder, temporary.c_str(), name);
    if (error == EEXIST) {  // made by somebody else meanwhile
      try {
        const auto now = look_at(path);
        if (!S_ISREG(now.status.st_mode)) fail(path, EEXIST);
        check_replaceable(path, now.status, replaceable);
      } catch (...) {
        ::unlinkat(folder, temporary.c_str(), 0);
        throw;
      }
      error = ::renameat(folder, temporary.c_str(), folder, name) == 0 ? 0 : errno;
    }
  }
  if (file.close() != 0 && error == 0) error = errno;
  if (error != 0) {
    ::unlinkat(folder, temporary.c_str(), 0);
    fail(path, error);
  }
  ::fsync(folder);  // the name is durable only once its folder is. Best effort: not every file system can
}

// A pipe or a character device.
hw::Descriptor open_special(const std::string& path, const Target& target) {
  // Not waiting for somebody to read a pipe, which may be never.
  hw::Descriptor file(::openat(target.folder.get(), target.place.name.c_str(),
                               O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENXIO && S_ISFIFO(target.status.st_mode))
    fail(path, "it is a pipe that nobody reads");
  if (!file) fail(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, errno);
  if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) fail(path, "it changed meanwhile");
  ::fcntl(file.get(), F_SETFL, ::fcntl(file.get(), F_GETFL) & ~O_NONBLOCK);
  return file;
}

}  // namespace

Replaceable text_file(const std::string& name, std::function<bool(std::string_view start)> fits) {
  return {name, [fits = std::move(fits)](const std::string& path) {
            const hw::Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
            if (!file) return false;
            std::string start(kStart, '\0');
            std::size_t size = 0;
            for (ssize_t got = 1; got > 0 && size < start.size(); size += static_cast<std::size_t>(got)) {
              got = ::read(file.get(), start.data() + size, start.size() - size);
              if (got < 0) return false;
            }
            start.resize(size);
            return fits(start);
          }};
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

void check_output(const std::string& path, const Replaceable& replaceable) {
  if (own_descriptor(path)) return;
  const auto target = look_at(path);
  if (target.exists && !S_ISREG(target.status.st_mode)) return;
  if (target.exists) check_replaceable(path, target.status, replaceable);
  if (::faccessat(target.folder.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) fail(path, errno);
}

void write_file(const std::string& path, std::string_view bytes, const Replaceable& replaceable) {
  if (const auto own = own_descriptor(path)) {
    hw::Descriptor file(::fcntl(*own, F_DUPFD_CLOEXEC, 0));
    if (!file) fail(path, errno);
    write_in_place(path, std::move(file), bytes);
    return;
  }
  const auto target = look_at(path);
  if (target.exists && !S_ISREG(target.status.st_mode)) {
    write_in_place(path, open_special(path, target), bytes);
    return;
  }
  if (target.exists) check_replaceable(path, target.status, replaceable);
  write_regular(path, target, bytes, replaceable);
}

namespace {

hw::Descriptor open_lines(const std::string& path, const Replaceable& replaceable) {
  if (const auto own = own_descriptor(path)) return hw::Descriptor(::fcntl(*own, F_DUPFD_CLOEXEC, 0));
  const auto target = look_at(path);
  if (target.exists && !S_ISREG(target.status.st_mode)) return open_special(path, target);
  if (target.exists) check_replaceable(path, target.status, replaceable);
  return hw::Descriptor(::openat(
      target.folder.get(), target.place.name.c_str(),
      O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (target.exists ? 0 : O_CREAT | O_EXCL),
      0666));
}

}  // namespace

LineFile::LineFile(const std::string& path, const Replaceable& replaceable)
    : path_(path), file_(open_lines(path, replaceable)) {
  if (!file_) fail(path, errno);
}

void LineFile::add(std::string_view line) {
  struct stat before {};
  const bool regular = ::fstat(file_.get(), &before) == 0 && S_ISREG(before.st_mode);
  if (const int error = write_all(file_.get(), std::string(line) + '\n'); error != 0) {
    if (regular && ::ftruncate(file_.get(), before.st_size) != 0)
      fail(path_, "a line is torn: " + std::string(std::strerror(error)));
    fail(path_, error);
  }
}

}  // namespace fewwatt::datasets
