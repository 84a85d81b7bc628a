#include "datasets/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "datasets/profile.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::size_t kMostText = std::size_t{512} << 20;

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw DataError("cannot read " + path + ": " + why);
}

bool is_own(const std::string& path) {
  return path == "/dev/stdin" || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
}

InputFile open_checked(const std::string& path, bool pipes) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) fail(path, std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(file, &status) == 0;
  if (known && pipes && S_ISFIFO(status.st_mode)) {
    ::fcntl(file, F_SETFL, ::fcntl(file, F_GETFL) & ~O_NONBLOCK);
  } else if (!known || !S_ISREG(status.st_mode)) {
    ::close(file);
    fail(path, S_ISDIR(status.st_mode)    ? "it is a folder"
               : S_ISFIFO(status.st_mode) ? "expected a file, found a pipe"
                                          : "expected a file, found a device");
  }
  return {file, static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

InputFile open_input(const std::string& path) {
  return open_checked(path, false);
}

std::string read_file(const std::string& path) {
  const auto input = open_checked(path, is_own(path));
  std::string text;
  int error = 0;
  for (;;) {
    constexpr std::size_t kAtOnce = 1 << 16;
    const std::size_t size = text.size();
    text.resize(size + kAtOnce);
    const ssize_t got = ::read(input.descriptor, text.data() + size, kAtOnce);
    error = got < 0 ? errno : 0;
    text.resize(got > 0 ? size + static_cast<std::size_t>(got) : size);
    if (got == 0 || text.size() > kMostText || (error != 0 && error != EINTR)) break;
  }
  ::close(input.descriptor);
  if (error != 0) fail(path, std::strerror(error));
  if (text.size() > kMostText) fail(path, "it is larger than " + std::to_string(kMostText >> 20) + " MB");
  return text;
}

}  // namespace fewwatt::datasets
