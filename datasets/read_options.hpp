#pragma once

#include <cstddef>
#include <cstdint>

#include "hw/power_mode.hpp"

namespace fewwatt::datasets {

// How an HDF5 file is read: profiles, checkpoints and models alike. Both ways refuse the same things and give the same
// content; they differ in what a file made to break the HDF5 library can do.
struct ReadOptions {
  // true: the program fewwatt-reader parses the file. It has no descriptors but the file and a pipe, no system calls but those
  //   that memory and the pipe need, and limits on memory and time, so the worst that a file does is end it, which is a
  //   DataError here. It is started anew for each file (a few ms), found beside the running program, in ../lib/fewwatt from
  //   there, or where the environment variable FEWWATT_READER says. Any number of threads may read at once. A system without
  //   seccomp is told of on stderr, once; FEWWATT_SECCOMP=off does without it and says nothing.
  // false: this process parses the file. For files that are surely one's own, and where no program can be started: libhdf5
  //   crashes, hangs and allocates without bound on damaged files. One thread at a time in the whole process.
  bool isolated = true;

  // Memory that reading one file may take, in bytes. A quarter of it is what the values of the file may take when they are
  // unpacked. 0: as many MB as the environment variable FEWWATT_READER_MB says, 1024 without it.
  std::uint64_t memory_bytes = 0;

  // Processor time that reading one file may take in isolation, in seconds. 0: 1, and one more for every 2 MB of the file. By the
  // clock it may take three times as long, and 4 s; as often again as it has worked for a tenth of its processor time meanwhile, as
  // on a busy machine.
  std::uint64_t cpu_seconds = 0;

  // A grid of more power modes is refused.
  std::size_t max_modes = hw::kMostModes;
};

}  // namespace fewwatt::datasets
