#pragma once

#include <span>
#include <vector>

namespace fewwatt::datasets {

// How many times 1000 each of some numbers above 0 is off what the others say, as where some of a column are in another unit: 0.4, 300
// and 500 give -1, 0 and 0. All 0 where little speaks for that: they spread less than 1000-fold, and not 20 times less without
// those factors. What most of them say is right, of two halves the greater ones; or what the first says.
std::vector<int> thousands_off(std::span<const double> values, bool first_is_right = false);

}  // namespace fewwatt::datasets
