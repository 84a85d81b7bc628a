#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string_view>

namespace fewwatt::datasets {

// Takes the next bytes of the flat form (hdf5_flat.hpp).
using FlatSink = std::function<void(std::string_view)>;

struct LoadOptions {
  std::uint64_t most_bytes = 0;  // the sum of the sizes of all values, texts and names, unpacked
  bool root_only = false;        // the root's attributes and nothing else
};

// Parses an HDF5 file that lies in memory and writes its flat form to `sink`, an error record instead of the last one where the
// file is damaged or refused. Before any value is read all of these are checked: hard links only, none to an object that was
// seen, groups at most kMostDepth deep, no external and no virtual datasets, no filters but deflate, shuffle and fletcher32, no
// sizes beyond most_bytes. What cannot be checked is the HDF5 library: with a damaged file it may crash, hang or allocate
// without bound. `image` must stay until this returns. Throws std::bad_alloc, and what `sink` throws.
void load_hdf5(std::span<char> image, const LoadOptions& options, const FlatSink& sink);

// To be called once, before the system calls that starting needs are forbidden.
void start_hdf5();

}  // namespace fewwatt::datasets
