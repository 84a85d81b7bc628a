#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace fewwatt::hw {

// A file descriptor that is closed at the end; -1 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }  // the caller closes it
  // As ::close(): -1 with errno. There is none afterwards.
  int close() { return fd_ < 0 ? 0 : ::close(release()); }
  // The same open file under a number of at least `lowest`, closed by exec; none, with errno, where that cannot be.
  Descriptor copy(int lowest = 0) const { return Descriptor(::fcntl(fd_, F_DUPFD_CLOEXEC, lowest)); }

 private:
  int fd_;
};

}  // namespace fewwatt::hw
