#pragma once

// Rows of fewwatt bench as a part of a page.

#include <string>
#include <string_view>

#include "learners/programs/page.hpp"

namespace fewwatt::view {

// Adds rows of the form of rows.jsonl, docs/files.md: an object per line; those whose value is null are left out. `path` is what the page
// and messages call them. Throws datasets::DataError naming the line that is no row, and where there is none with a value.
void add_rows(Page& page, std::string_view jsonl, const std::string& path);

}  // namespace fewwatt::view
