#pragma once

#include <cstddef>
#include <string>

#include "hw/regular_file.hpp"

namespace fewwatt::datasets {

// hw::open_regular_file(), which throws DataError in place of FileError.
hw::RegularFile open_input(const std::string& path);

constexpr std::size_t kMostText = std::size_t{256} << 20;  // greatest size of a text file, in bytes

// The content of a file. A pipe is read only as /dev/stdin or /dev/fd/N, which are this process's own. Throws DataError when the file
// cannot be read, is a folder, another pipe or a device, or has more than `most_bytes`.
std::string read_file(const std::string& path, std::size_t most_bytes = kMostText);

// The content of a text file as UTF-8, without a byte-order mark. The file may be UTF-16 of either byte order, with a mark or without, as
// spreadsheets and PowerShell write it. Other bytes stay as they are. Throws DataError as read_file(), and for UTF-32.
std::string read_text(const std::string& path, std::size_t most_bytes = kMostText);

// The same, with every line end (\r\n or \r) as \n.
std::string read_lines(const std::string& path, std::size_t most_bytes = kMostText);

}  // namespace fewwatt::datasets
