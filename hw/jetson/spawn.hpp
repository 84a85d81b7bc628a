#pragma once

// How the user's program is started.

#include <sys/types.h>

#include <string>

#include "hw/descriptor.hpp"
#include "hw/jetson/step_ways.hpp"
#include "hw/jetson/workload.hpp"

namespace fewwatt::hw {

// Each of the following throws DeviceError naming `command` and errno.

// The same open file as a descriptor that exec closes, and whose number is in the way of none of the program's own.
Descriptor moved_up(const Descriptor& low, const std::string& command);

// A pipe whose ends are such descriptors.
struct Pipe {
  Descriptor read, write;  // its ends

  explicit Pipe(const std::string& command);  // makes one
};

// Starts the command in a process group of its own, without terminal and standard input; what it prints goes to `output`, its steps to
// `steps`. Returns its process id once the command itself runs. If the thread that called this ends first, or our process is killed,
// the kernel kills the program.
pid_t spawn(const WorkloadOptions& options, const StepEnds& ends, const Descriptor& output,
            const Descriptor& steps);

}  // namespace fewwatt::hw
