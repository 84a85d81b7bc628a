#pragma once

#include <string>

#include "datasets/hdf5_flat.hpp"
#include "datasets/read_options.hpp"

namespace fewwatt::datasets {

// The content of an HDF5 file, read as `options` say. `root_only`: the root's attributes and nothing else, however large the file.
// Throws DataError, one sentence with `path` first: no such file; a folder, pipe or device; not HDF5; damaged; its reader
// crashed, took more than its memory or time, or is not there; or the file changed while it was read.
FlatFile load_flat(const std::string& path, const ReadOptions& options, bool root_only = false);

// Opens what is to be read: links are followed, nothing blocks. Returns the descriptor, close-on-exec, and the size in bytes of
// a regular file; throws DataError for anything else, which it names.
struct InputFile {
  int descriptor;
  std::uint64_t size;
};
InputFile open_input(const std::string& path);

}  // namespace fewwatt::datasets
