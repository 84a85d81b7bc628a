#pragma once

#include <cstdint>
#include <string>

namespace fewwatt::datasets {

// A regular file open for reading. Whoever gets it closes the descriptor, which is close-on-exec.
struct InputFile {
  int descriptor;
  std::uint64_t size;  // bytes, when it was opened
};

// Links are followed, nothing blocks. Throws DataError, "cannot read PATH: ...", for what is no regular file, which it names: a folder,
// a pipe, a device.
InputFile open_input(const std::string& path);

// The whole file, of at most 512 MB; a pipe only as /dev/stdin or /dev/fd/N, which are this process's own. Throws DataError when it
// cannot be read, is a folder, a pipe or a device, or is larger.
std::string read_file(const std::string& path);

// A file of text as UTF-8 without its byte-order mark: also one in UTF-16 of either byte order, as spreadsheets and PowerShell
// write it, with a mark or without. Other bytes stay as they are. Throws DataError as read_file(), and for UTF-32.
std::string read_text(const std::string& path);

// The same with every line end as \n, be it \r\n or \r.
std::string read_lines(const std::string& path);

}  // namespace fewwatt::datasets
