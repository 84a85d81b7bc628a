#pragma once

// Lines of a run log, written and read. What they hold: datasets/run_log.hpp.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/run_log.hpp"

namespace fewwatt::datasets {

// What no profile could have, or what a record must not be; "" when it is fine.
std::string header_error(const RunHeader& header);
std::string record_error(const RunRecord& record, const hw::PowerModeSpace& space);

// With the checksum and the newline.
std::string header_line(const RunHeader& header);
std::string record_line(const RunRecord& record);

// A line that is whole.
struct Line {
  std::string_view body;  // without newline and checksum
  std::size_t number;     // from 1
};

// All lines of a log that are whole.
struct Lines {
  std::vector<Line> whole;    // the header first
  std::size_t skipped = 0;    // blank or damaged ones between them
  std::size_t end_bytes = 0;  // of all but a last line that is not whole
};

bool same_roles(const hw::PowerModeSpace& a,
                const hw::PowerModeSpace& b);                    // the same knobs, in the same order
std::string at_line(const std::string& path, std::size_t line);  // "PATH:3"
std::string attribute_text(const std::optional<double>& value);  // for messages

// Throws DataError for a text that is no run log, or whose header is damaged.
Lines read_lines(std::string_view text, const std::string& path);

// Of lines that have a header; file_bytes: of the whole text. Throws DataError naming the line.
RunRecords parse_lines(const Lines& lines, std::size_t file_bytes, const std::string& path);

}  // namespace fewwatt::datasets
