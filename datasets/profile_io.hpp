#pragma once

#include <string>

#include "datasets/profile.hpp"

namespace fewwatt::datasets {

inline constexpr int kProfilesVersion = 1;

// Reads a file of profiles (HDF5, "fewwatt-profiles"). Throws DataError naming the file and the object in it:
// no such file, not HDF5, truncated, not ours, a newer version, a missing or wrongly typed object, or values
// that validate() refuses.
ProfileStore read_profiles(const std::string& path);

// Writes to a temporary name beside `path`, flushes, renames: `path` is the whole store or what it was
// before. The same store gives the same bytes. Throws DataError.
void write_profiles(const std::string& path, const ProfileStore& store);

}  // namespace fewwatt::datasets
