#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "hw/descriptor.hpp"

namespace fewwatt::hw {

// "cannot read PATH: ", and in a few words why.
class FileError : public std::runtime_error {
 public:
  FileError(const std::string& path, const std::string& why)
      : std::runtime_error("cannot read " + path + ": " + why), why_(why) {}
  const std::string& why() const { return why_; }

 private:
  std::string why_;
};

struct RegularFile {
  Descriptor descriptor;   // closed by exec
  std::uint64_t size = 0;  // bytes, when it was opened
};

// Open for reading. Links are followed, nothing blocks. Throws FileError where it cannot be opened, and for what is no regular file,
// which it names: a folder, a pipe, a device.
RegularFile open_regular_file(const std::string& path);

enum class Pipes { refused, own };

// What a file holds that somebody else may have written. Pipes::own: also a pipe named /dev/stdin or /dev/fd/N, which is this
// process's own and may keep it waiting. Throws FileError as open_regular_file(), where it cannot be read, or has more than `most_bytes`.
std::string read_regular_file(const std::string& path, std::size_t most_bytes, Pipes pipes = Pipes::refused);

// Adds what is left to read of `fd` to `text`. 0, or the errno of what failed; EFBIG as soon as `text` has more than `most_bytes`.
int read_to_end(int fd, std::size_t most_bytes, std::string& text);

}  // namespace fewwatt::hw
