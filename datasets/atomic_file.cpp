#include "datasets/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "datasets/profile.hpp"

namespace fewwatt::datasets {
namespace {

// 0, or the errno of what failed.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// The name is durable only once its folder is. Best effort: not every file system can.
void sync_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  const int file = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

[[noreturn]] void fail(const std::string& path, int error) {
  throw DataError("cannot write " + path + ": " + std::strerror(error));
}

// Not flushed: devices and pipes have no storage.
void write_in_place(const std::string& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) fail(path, errno);
  int error = write_all(file, bytes);
  if (::close(file) != 0 && error == 0) error = errno;
  if (error != 0) fail(path, error);
}

}  // namespace

void write_file(const std::string& path, std::string_view bytes) {
  namespace fs = std::filesystem;
  std::error_code unknown;
  const auto status = fs::status(path, unknown);
  if (fs::is_directory(status)) throw DataError("cannot write " + path + ": it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    write_in_place(path, bytes);
    return;
  }
  std::string target = path;
  if (fs::exists(status)) {
    std::error_code error;
    target = fs::canonical(path, error).string();  // a link stays, /dev/stdout among them
    if (error) fail(path, error.value());
  }
  const std::string temporary = target + ".tmp-" + std::to_string(::getpid());
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(path, errno);
  int error = write_all(file, bytes);
  if (error == 0 && ::fsync(file) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail(path, error);
  }
  sync_folder_of(target);
}

}  // namespace fewwatt::datasets
