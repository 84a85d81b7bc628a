#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string_view>

namespace fewwatt::datasets {

// Takes the next bytes of the flat form (hdf5_flat.hpp).
using FlatSink = std::function<void(std::string_view)>;

// What load_hdf5() reads.
struct LoadOptions {
  std::uint64_t most_bytes = 0;  // greatest sum of the sizes of all values, texts and names, unpacked
  bool root_only = false;        // true: only the root's attributes
};

// Parses an HDF5 file in memory and writes its flat form to `sink`. Where the file is damaged or refused, the last record is an error.
// Before any value is read, it checks that there are only hard links, none to an object that was seen before, groups at most
// kMostDepth deep, no external and no virtual datasets, no filters but deflate, shuffle and fletcher32, and no sizes beyond most_bytes.
// The HDF5 library itself cannot be checked: with a damaged file it may crash, hang or allocate without bound. `image` must stay until
// this returns. Throws std::bad_alloc, and what `sink` throws.
void load_hdf5(std::span<char> image, const LoadOptions& options, const FlatSink& sink);

// Starts the HDF5 library. To be called once, before the system calls that this needs are forbidden.
void start_hdf5();

}  // namespace fewwatt::datasets
