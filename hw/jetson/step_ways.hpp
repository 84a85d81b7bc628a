#pragma once

// By which ways the processes of a program can report steps, as /proc tells.

#include <sys/types.h>

#include <string>

#include "hw/jetson/workload.hpp"

namespace fewwatt::hw {

inline constexpr int kStepFd = 3;  // in the program; one digit, so that a shell script can write `echo >&3`

// Where steps come in: the pipe whose end the program inherits, and the named one.
struct StepEnds {
  ino_t pipe = 0;    // its number in /proc/PID/fd
  std::string path;  // "": none
};

// Of the program whose first process is `first`: those of its group, and what these have started.
StepWays step_ways(pid_t first, const StepEnds& ends);

}  // namespace fewwatt::hw
