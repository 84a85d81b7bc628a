#include "hw/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace fewwatt::hw {

std::string read_regular_file(const std::string& path, std::size_t most_bytes) {
  // Without O_NONBLOCK a pipe would keep us waiting.
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error(path + ": cannot be read: " + std::strerror(errno));
  const auto stop = [&](const std::string& why) {
    ::close(fd);
    throw std::runtime_error(path + ": " + why);
  };
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) stop("expected a regular file");
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) stop(std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > most_bytes) stop("has more than " + std::to_string(most_bytes) + " bytes");
  }
  ::close(fd);
  return text;
}

}  // namespace fewwatt::hw
