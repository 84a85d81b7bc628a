#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "hw/descriptor.hpp"

namespace fewwatt::hw {

// A file could not be read: the message is "cannot read PATH: WHY".
class FileError : public std::runtime_error {
 public:
  // With the file and the reason that the message has.
  FileError(const std::string& path, const std::string& why)
      : std::runtime_error("cannot read " + path + ": " + why), why_(why) {}
  const std::string& why() const { return why_; }  // the reason alone

 private:
  std::string why_;
};

// A plain file that is open for reading.
struct RegularFile {
  Descriptor descriptor;   // closed by exec
  std::uint64_t size = 0;  // bytes, when it was opened
};

// Opens a file for reading. Links are followed, and nothing blocks. Throws FileError where it cannot be opened, and for a folder, a pipe
// or a device.
RegularFile open_regular_file(const std::string& path);

// Which pipes read_regular_file() reads.
enum class Pipes {
  refused,  // none
  own       // this process's own, named /dev/stdin or /dev/fd/N; reading may have to wait
};

// The content of a file that somebody else may have written. Throws FileError as open_regular_file(), where it cannot be read, and where
// it has more than `most_bytes`.
std::string read_regular_file(const std::string& path, std::size_t most_bytes, Pipes pipes = Pipes::refused);

// Adds the rest of `fd` to `text`. Returns 0, or the errno of what failed: EFBIG as soon as `text` has more than `most_bytes`.
int read_to_end(int fd, std::size_t most_bytes, std::string& text);

}  // namespace fewwatt::hw
