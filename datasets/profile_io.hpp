#pragma once

#include <string>

#include "datasets/profile.hpp"
#include "datasets/read_options.hpp"

namespace fewwatt::datasets {

inline constexpr int kProfilesVersion = 1;  // of files that write_profiles() writes

// Schema 1, below /devices/<device> and /profiles/<device>/<workload>:
//   devices/<device>     text attributes
//   profiles/.../        attributes kind, time_of; where known source, licence, model, dataset (text),
//                        batch_size, minibatches_per_epoch, layers, parameters, flops (numbers)
//     knobs/             attributes roles ("cpu_khz gpu_khz", the order of the columns of modes) and grid (1:
//                        every combination of levels is a mode; 0: only those of listed_modes, or else modes)
//       <role>           int32 [levels], ascending, in the role's unit
//       listed_modes     int32 [m,k], only where the space is a list that is not the recorded modes
//     modes              int32 [n,k], ascending
//     time_ms, power_w   float64 [n], either may be absent; a missing power is NaN
//     time_std_ms, power_std_w, time_true_ms, power_true_w   float64 [n], optional
//     repeats            int32 [n], optional;  throttled  uint8 [n], optional
// and, as in every file of ours, attributes of the root: format, version, checksum (of the content, see hdf5_file.hpp).

// Reads a file of profiles (HDF5, "fewwatt-profiles"). Throws DataError naming the file and the object in it:
// no such file, not HDF5, truncated, damaged, not what its checksum says, not ours, a newer version, a missing or wrongly typed
// object, or values that validate() refuses. ReadOptions says what a file made to break its reader can do.
ProfileStore read_profiles(const std::string& path, const ReadOptions& options = {});

// Writes as write_file() does: `path` is the whole store or what it was before. The same store gives the same bytes. Throws
// DataError, also where `path` is there and no file of profiles.
void write_profiles(const std::string& path, const ProfileStore& store);

// Throws the DataError that write_profiles() would throw for what is at `path` now.
void check_profiles_output(const std::string& path);

}  // namespace fewwatt::datasets
