#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace fewwatt::hw {

inline constexpr double kNan =
    std::numeric_limits<double>::quiet_NaN();  // in place of a number that is not known

// All numbers from outside, as text or as a double in a file, are read by these functions. A number out of bounds is refused; it is never
// cut off, wrapped or rounded.

// The whole number in [least, most] that all of `text` spells, in decimal digits with no more than a '-' before them; nullopt for
// anything else.
std::optional<std::int64_t> whole_number(std::string_view text,
                                         std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                                         std::int64_t most = std::numeric_limits<std::int64_t>::max());

// The same as an int.
std::optional<int> whole_int(std::string_view text, int least = std::numeric_limits<int>::min(),
                             int most = std::numeric_limits<int>::max());

// The whole number in [0, most] that all of `text` spells, in decimal digits and nothing else; nullopt for anything else. For what
// may be above 2^63 - 1, such as a seed.
std::optional<std::uint64_t> natural_number(std::string_view text,
                                            std::uint64_t most = std::numeric_limits<std::uint64_t>::max());

// The number in [least, most] that all of `text` spells; nullopt for anything else, NaN and infinity too.
std::optional<double> real_number(std::string_view text, double least = std::numeric_limits<double>::lowest(),
                                  double most = std::numeric_limits<double>::max());

// `value` as an int where it is a whole number in [least, most]; nullopt for anything else, NaN and infinity too.
std::optional<int> as_int(double value, int least = std::numeric_limits<int>::min(),
                          int most = std::numeric_limits<int>::max());
std::optional<int> as_int(std::int64_t value, int least = std::numeric_limits<int>::min(),
                          int most = std::numeric_limits<int>::max());

// The shortest text that reads back as the same number: "2.2", "1e-06".
std::string number_text(double value);

}  // namespace fewwatt::hw
