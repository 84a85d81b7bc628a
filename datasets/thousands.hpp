#pragma once

#include <span>
#include <vector>

namespace fewwatt::datasets {

// Finds numbers of a column that seem to be in another unit: for each number above 0, by how many factors of 1000 it differs from the
// others. 0.4, 300 and 500 give -1, 0 and 0. All are 0 unless the numbers spread 1000-fold or more, or at least 20 times less without
// those factors. The unit of most numbers is taken as the right one (of two halves, that of the greater numbers), or with
// `first_is_right` that of the first number.
std::vector<int> thousands_off(std::span<const double> values, bool first_is_right = false);

}  // namespace fewwatt::datasets
