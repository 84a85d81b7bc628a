#include "hw/regular_file.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace fewwatt::hw {
namespace {

bool is_own(const std::string& path) {
  return path == "/dev/stdin" || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
}

RegularFile open_checked(const std::string& path, bool with_pipes) {
  // Without O_NONBLOCK a pipe would keep us waiting.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) throw FileError(path, std::strerror(errno));
  if (with_pipes && S_ISFIFO(status.st_mode))
    ::fcntl(file.get(), F_SETFL, ::fcntl(file.get(), F_GETFL) & ~O_NONBLOCK);
  else if (!S_ISREG(status.st_mode))
    throw FileError(path, S_ISDIR(status.st_mode)    ? "it is a folder"
                          : S_ISFIFO(status.st_mode) ? "expected a file, found a pipe"
                                                     : "expected a file, found a device");
  return {std::move(file), static_cast<std::uint64_t>(status.st_size)};
}

// 256 MB, 4096 bytes
std::string size_text(std::size_t bytes) {
  constexpr std::size_t kMega = 1 << 20;
  return bytes % kMega == 0 ? std::to_string(bytes / kMega) + " MB" : std::to_string(bytes) + " bytes";
}

}  // namespace

RegularFile open_regular_file(const std::string& path) {
  return open_checked(path, false);
}

std::string read_regular_file(const std::string& path, std::size_t most_bytes, Pipes pipes) {
  const auto file = open_checked(path, pipes == Pipes::own && is_own(path));
  std::string text;
  int error = EFBIG;
  if (file.size <= most_bytes) {
    text.reserve(file.size + 1);  // one that grows as it is read would take up to twice its size
    error = read_to_end(file.descriptor.get(), most_bytes, text);
  }
  if (error == EFBIG) throw FileError(path, "it is larger than " + size_text(most_bytes));
  if (error != 0) throw FileError(path, std::strerror(error));
  return text;
}

int read_to_end(int fd, std::size_t most_bytes, std::string& text) {
  char buffer[1 << 14];
  for (;;) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > most_bytes) return EFBIG;
  }
}

}  // namespace fewwatt::hw
