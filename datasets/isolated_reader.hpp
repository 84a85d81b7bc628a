#pragma once

#include <string>

#include "datasets/hdf5_flat.hpp"
#include "datasets/read_options.hpp"

namespace fewwatt::datasets {

// The content of an HDF5 file, read as `options` say. With `root_only`, only the root's attributes, however large the file is.
// Throws DataError, one sentence with `path` first: no such file; a folder, pipe or device; not HDF5; damaged; its reader
// crashed, took more than its memory or time, or is not there; or the file changed while it was read.
FlatFile load_flat(const std::string& path, const ReadOptions& options, bool root_only = false);

}  // namespace fewwatt::datasets
