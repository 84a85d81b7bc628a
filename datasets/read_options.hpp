#pragma once

#include <cstddef>
#include <cstdint>

#include "hw/power_mode.hpp"

namespace fewwatt::datasets {

// How an HDF5 file is read: profiles, checkpoints and models alike. Both ways refuse the same things and give the same
// content; they differ in what a file made to break the HDF5 library can do.
struct ReadOptions {
  // true: the program fewwatt-reader parses the file. It has no descriptors but the file and a pipe, no system calls but those
  //   that memory and the pipe need, and limits on memory and time. So a hostile file can at worst end that program, which is a
  //   DataError here. It is started anew for each file (a few ms). It is looked for in the folder of the running program, in
  //   ../lib/fewwatt from there, or where the environment variable FEWWATT_READER says. Any number of threads may read at once. On a
  //   system without seccomp a notice goes to stderr, once; FEWWATT_SECCOMP=off does without seccomp and without the notice.
  // false: this process parses the file. Only for files that are surely one's own, and where no program can be started: libhdf5
  //   crashes, hangs and allocates without bound on damaged files. One thread at a time in the whole process.
  bool isolated = true;

  // Memory that reading one file may take, in bytes. The unpacked values of the file may take a quarter of it. 0: the number of MB in the
  // environment variable FEWWATT_READER_MB; 1024 MB without that.
  std::uint64_t memory_bytes = 0;

  // Processor time that reading one file may take in isolation, in seconds. 0: 1 s, and one more for every 2 MB of the file. By the
  // clock it may take three times as long plus 4 s. On a busy machine, where it has worked for a tenth of its processor time by then,
  // it gets that time again.
  std::uint64_t cpu_seconds = 0;

  // Greatest number of modes of a grid; one with more is refused.
  std::size_t max_modes = hw::kMostModes;
};

}  // namespace fewwatt::datasets
