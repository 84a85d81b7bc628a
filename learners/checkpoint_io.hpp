#pragma once

#include <string>

#include "learners/checkpoint.hpp"

namespace fewwatt::learners {

inline constexpr int kCheckpointVersion = 1;

// HDF5, "fewwatt-checkpoint". Errors and atomic writing as for profiles: datasets::DataError.
Checkpoint read_checkpoint(const std::string& path);
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

}  // namespace fewwatt::learners
