#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

// The greatest number of rows with a known value of each target that learners take whose time grows with the cube of the rows, and
// whose memory with their square. More rows hardly change what they predict: the rows that are left out lie between others.
inline constexpr std::size_t kMostRows = 500;

// The positions, ascending, of at most `most` of the given modes, those that spread widest: the first is the lowest mode, and each other
// one is the farthest from those taken before (Gonzalez 1985), the lowest of several. Distances are of log settings, scaled to 0 for
// the lowest of the modes and 1 for the highest. All modes must differ; their order does not matter.
std::vector<std::size_t> spread_rows(std::span<const hw::PowerMode> modes, std::size_t most);

// The support with at most `most` known values of each target, in the rows that spread widest; rows without a known value are left
// out. A support that has no more is returned as it is.
Samples spread_support(const Samples& support, std::size_t most = kMostRows);

}  // namespace fewwatt::learners
