#pragma once

#include <string>
#include <string_view>

namespace fewwatt::datasets {

// Writes `bytes` to a temporary name beside `path`, flushes, renames: `path` is the whole content or what it
// was before. Of a link, the file it points to is replaced. A device or pipe cannot be replaced: it is
// written to as it is. Throws DataError naming the file and why (no such folder, no permission, disk full).
void write_file(const std::string& path, std::string_view bytes);

}  // namespace fewwatt::datasets
