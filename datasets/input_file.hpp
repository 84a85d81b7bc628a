#pragma once

#include <cstddef>
#include <string>

#include "hw/regular_file.hpp"

namespace fewwatt::datasets {

// hw::open_regular_file(), with DataError for FileError.
hw::RegularFile open_input(const std::string& path);

constexpr std::size_t kMostText = std::size_t{256} << 20;  // bytes of a file of text

// The whole file; a pipe only as /dev/stdin or /dev/fd/N, which are this process's own. Throws DataError when it cannot be read, is a
// folder, a pipe or a device, or has more than `most_bytes`.
std::string read_file(const std::string& path, std::size_t most_bytes = kMostText);

// A file of text as UTF-8 without its byte-order mark: also one in UTF-16 of either byte order, as spreadsheets and PowerShell
// write it, with a mark or without. Other bytes stay as they are. Throws DataError as read_file(), and for UTF-32.
std::string read_text(const std::string& path, std::size_t most_bytes = kMostText);

// The same with every line end as \n, be it \r\n or \r.
std::string read_lines(const std::string& path, std::size_t most_bytes = kMostText);

}  // namespace fewwatt::datasets
