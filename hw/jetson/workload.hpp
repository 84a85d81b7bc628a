#pragma once

#include <signal.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/device.hpp"
#include "hw/jetson/monotonic.hpp"

namespace fewwatt::hw {

// Names the descriptor to which the program writes a newline after each minibatch, ...
inline constexpr const char* kStepFdVariable = "FEWWATT_STEP_FD";
// ... the inode of the pipe that it must be: what starts the program may have closed it, and another one have its number, ...
inline constexpr const char* kStepPipeVariable = "FEWWATT_STEP_PIPE";
// ... and a second way, a named pipe to be opened where the descriptor did not arrive.
inline constexpr const char* kStepPathVariable = "FEWWATT_STEP_PATH";

// Which signals a process ignores and which it blocks; both pass on to a program that it executes.
struct SignalState {
  std::vector<int> ignored;
  sigset_t blocked{};

  static SignalState now();  // of this thread
};

struct WorkloadOptions {
  std::vector<std::string>
      command;  // the program, looked for in PATH, and its arguments; no shell reads them
  std::map<std::string, std::string> environment;  // added to ours
  double stop_grace_s = 10;                        // >= 0; between SIGTERM and SIGKILL
  std::size_t kept_lines = 20;                     // of standard output and error together, the last ones
  bool quiet = false;  // false: what the program prints also goes to our standard error
  // That the program starts with; none: no signal is ignored, and none blocked.
  std::optional<SignalState> signals;

  std::string error() const;  // "" when valid
};

enum class Wait {
  steps,      // at least one more
  timed_out,  // none until then
  ended,      // the program is over: describe_end()
  closed,  // the program runs, but no process has the descriptor any more by which steps came: there will be none
};

// What /proc says of the ways by which steps may come. A process that it tells nothing of is taken to have both.
struct StepWays {
  // Of the processes that have started no other, or whose others have ended, not one can report steps. The others only wait.
  bool none = false;
  // A sentence that names a process that lacks the descriptor, or was told of neither way, who started it, and what is left; "" = none
  // lacks them.
  std::string closed;
};

// The user's program, running in a process group of its own, without terminal and standard input. A thread takes what it writes, so
// it never waits for us; where our standard error does not keep up, what it prints is left out there. The named pipe lies in a
// PrivateFolder; without one there is the descriptor alone.
//
// Stopping reaches its process group: a process that left the group (setsid) is not stopped. Should the thread that
// constructed this end first, or our process be killed, the kernel kills the program, and hangs up on what it has started that
// stands still. To be used by one thread at a time.
class WorkloadProcess {
 public:
  // Starts the program. Throws std::invalid_argument for options.error(), and DeviceError, naming the command and errno,
  // when it cannot be started. `clock` must outlive this, and go on while real time does.
  WorkloadProcess(WorkloadOptions options, Monotonic& clock);
  ~WorkloadProcess();  // stop()
  WorkloadProcess(const WorkloadProcess&) = delete;
  WorkloadProcess& operator=(const WorkloadProcess&) = delete;

  // Appends to `times` when steps arrived, in s of the clock, ascending; waits for one until `until_s`, if none has since
  // the last call. With until_s in the past: what has arrived. Steps that came before the end, or before the descriptor was
  // closed, are given first. A signal handler does not end the wait: look at flags between short ones.
  Wait next_steps(std::vector<double>& times, double until_s);

  StepWays step_ways() const;

  // Bytes that came as steps do and were not newlines; they are no steps.
  std::size_t garbage_bytes() const;

  // Stops and continues every process of the group, for nothing to run meanwhile; kernels that are queued on a GPU still
  // do. pause() returns when the program stands still. Neither does anything once the program is over. The step
  // after resume() lasted as long as the pause, too.
  void pause();
  void resume();

  // Ends the program: SIGTERM to the group, SIGKILL to what is left of it when the program has ended or stop_grace_s are
  // over. A second call does nothing.
  void stop() noexcept;

  // The exit code, once the program has ended with one; none after a signal.
  std::optional<int> exit_code() const;
  // "exited with code 3", "killed by signal 11 (Segmentation fault)"; "still runs".
  std::string describe_end() const;
  // At most kept_lines; an unfinished one counts. Of lines overwritten by a carriage return, what was left to see.
  std::vector<std::string> last_lines() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fewwatt::hw
