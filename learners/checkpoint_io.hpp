#pragma once

#include <functional>
#include <string>

#include "datasets/read_options.hpp"
#include "learners/checkpoint.hpp"

namespace fewwatt::datasets {
class Hdf5Reader;
class Hdf5Writer;
}  // namespace fewwatt::datasets

namespace fewwatt::learners {

inline constexpr int kCheckpointVersion = 1;  // of files that write_checkpoint() writes

// HDF5, "fewwatt-checkpoint": attribute learner; groups tensors and numbers, where a name with '/' is a
// dataset in nested groups; texts, one attribute each; origin. Errors and atomic writing as for profiles:
// datasets::DataError. ReadOptions says what a file made to break its reader can do.
Checkpoint read_checkpoint(const std::string& path, const datasets::ReadOptions& options = {});

// Writes a checkpoint. Throws std::invalid_argument for a name that is no path ("", "a//b"), and DataError.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws the DataError that write_checkpoint() would throw for what is at `path` now.
void check_checkpoint_output(const std::string& path);

// Calls `visit` for every dataset below `group`, with its path from there: "time/weights".
void for_each_dataset(const datasets::Hdf5Reader& file, const std::string& group,
                      const std::function<void(const std::string& name)>& visit);

// Read and write the group /origin, which models have too.
Origin read_origin(const datasets::Hdf5Reader& file);
void write_origin(datasets::Hdf5Writer& file, const Origin& origin);

}  // namespace fewwatt::learners
