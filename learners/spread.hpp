#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

// Learners whose cost grows with the cube of the rows, in time, and with their square, in memory, take at most so many rows with
// a known value of each target. More hardly change what they predict: the rows left out lie between others.
inline constexpr std::size_t kMostRows = 500;

// At most `most` of the given different modes, by position, ascending: those that spread widest. With log settings that go from 0
// to 1 from the lowest to the highest of the modes, the first is the lowest mode, and each other one is the farthest from those
// taken (Gonzalez 1985); of several the lowest mode. All where there are no more. Does not depend on the order of the modes.
std::vector<std::size_t> spread_rows(std::span<const hw::PowerMode> modes, std::size_t most);

// The support with at most `most` known values of each target, in rows that spread widest among those that have one; rows without
// any are left out. The support itself where it has no more.
Samples spread_support(const Samples& support, std::size_t most = kMostRows);

}  // namespace fewwatt::learners
