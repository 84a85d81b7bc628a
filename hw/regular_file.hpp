#pragma once

#include <cstddef>
#include <string>

namespace fewwatt::hw {

// What a small file holds that somebody else may have written, such as one of options. Throws std::runtime_error, "<path>: " and in
// a few words why: it cannot be read, is no regular file (a pipe, a device, a folder), or has more than `most_bytes`.
std::string read_regular_file(const std::string& path, std::size_t most_bytes);

}  // namespace fewwatt::hw
