#pragma once

#include <string>
#include <string_view>

namespace fewwatt::hw {

// Text from outside (a name in a file, a line of a program) as it may be shown on a terminal: control characters, bytes that
// are not UTF-8 and characters that turn the direction of writing are escaped as \n, \t, \x1b or \u202e; the rest stays. Escape it
// where it is printed or put into a message, not where it is stored.
std::string printable(std::string_view text);

// The same, but line ends stay: for messages that have several lines on purpose.
std::string printable_lines(std::string_view text);

bool is_utf8(std::string_view text);  // whether it is valid UTF-8

}  // namespace fewwatt::hw
