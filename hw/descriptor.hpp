#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace fewwatt::hw {

// A file descriptor that is closed at the end; -1 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}  // takes over `fd`
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}  // `other` has none afterwards
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }

  int get() const { return fd_; }                      // -1 for none
  explicit operator bool() const { return fd_ >= 0; }  // whether there is one
  int release() { return std::exchange(fd_, -1); }     // gives it away; the caller closes it
  // Closes it now. Returns 0, or -1 with errno, as close(2) does.
  int close() { return fd_ < 0 ? 0 : ::close(release()); }
  // A second descriptor of the same open file, of a number of at least `lowest`, closed by exec; none, with errno, where that fails.
  Descriptor copy(int lowest = 0) const { return Descriptor(::fcntl(fd_, F_DUPFD_CLOEXEC, lowest)); }

 private:
  int fd_;
};

}  // namespace fewwatt::hw
