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

// The environment variable with the number of the descriptor to which the program writes a newline after each minibatch.
inline constexpr const char* kStepFdVariable = "FEWWATT_STEP_FD";
// The environment variable with the inode of the pipe behind that descriptor. A launcher may have closed the descriptor, and another file
// may have its number.
inline constexpr const char* kStepPipeVariable = "FEWWATT_STEP_PIPE";
// The environment variable with the path of a named pipe: the second way, for programs that the descriptor does not reach.
inline constexpr const char* kStepPathVariable = "FEWWATT_STEP_PATH";

// The signals that a process ignores and those that it blocks. A program that it executes inherits both.
struct SignalState {
  std::vector<int> ignored;  // numbers of signals
  sigset_t blocked{};        // as sigprocmask(2) has them

  static SignalState now();  // of this thread
};

// How the user's program is run.
struct WorkloadOptions {
  std::vector<std::string> command;  // the program, looked for in PATH, and its arguments; without a shell
  std::map<std::string, std::string> environment;  // variables added to ours
  double stop_grace_s = 10;                        // >= 0; between SIGTERM and SIGKILL
  std::size_t kept_lines = 20;  // number of the last lines of its output that last_lines() keeps
  bool quiet = false;           // false: what the program prints also goes to our standard error
  // The signals that the program starts with; none: no signal is ignored, and none blocked.
  std::optional<SignalState> signals;

  std::string error() const;  // "" when valid
};

// How waiting for a step ended.
enum class Wait {
  steps,      // there is at least one more step
  timed_out,  // there was none in time
  ended,      // the program has ended: describe_end()
  closed,     // the program runs, but no process has the descriptor any more: there will be no step
};

// Whether the program's processes can report steps, by what /proc says. A process that /proc says nothing of counts as able to.
struct StepWays {
  // True: no process can report steps, of those that do not merely wait for another one that they started.
  bool none = false;
  // A sentence that names a process that lacks the descriptor or the variables, who started it, and what is left; "" = there is none.
  std::string closed;
};

// The user's program, running in a process group of its own, without terminal and standard input. A thread reads what it writes, so that
// the program never waits for us; where our standard error is too slow, a part of the output is left out there. The named pipe lies in
// a PrivateFolder; where that cannot be made, there is the descriptor alone.
//
// Stopping reaches its process group: a process that left the group (setsid) is not stopped. If the thread that constructed this ends
// first, or our process is killed, the kernel kills the program, and hangs up on stopped processes that it started. To be used by
// one thread at a time.
class WorkloadProcess {
 public:
  // Starts the program. Throws std::invalid_argument for options.error(), and DeviceError, naming the command and errno,
  // when it cannot be started. `clock` must outlive this, and go on while real time does.
  WorkloadProcess(WorkloadOptions options, Monotonic& clock);
  ~WorkloadProcess();  // stop()
  WorkloadProcess(const WorkloadProcess&) = delete;
  WorkloadProcess& operator=(const WorkloadProcess&) = delete;

  // Appends to `times` when steps arrived, in seconds of the clock, ascending. If none has arrived since the last call, waits for one
  // until `until_s`. Steps that came before the end, or before the descriptor was closed, are given first. A signal handler does not
  // end the wait: wait for short times, and look at flags in between.
  Wait next_steps(std::vector<double>& times, double until_s);

  StepWays step_ways() const;  // whether its processes can report steps now

  // Number of bytes other than newlines that arrived where steps do; they do not count as steps.
  std::size_t garbage_bytes() const;

  // Stops every process of the group; returns when the program stands still. Kernels that are queued on a GPU still run. Does nothing
  // once the program has ended.
  void pause();
  // Lets the processes go on. The first step after that includes the pause.
  void resume();

  // Ends the program: SIGTERM to the group, and SIGKILL to the rest of it when the program has ended or stop_grace_s have passed. A
  // second call does nothing.
  void stop() noexcept;

  // The exit code, once the program has ended; none after a signal.
  std::optional<int> exit_code() const;
  // How the program ended: "exited with code 3", "killed by signal 11 (Segmentation fault)"; "still runs".
  std::string describe_end() const;
  // The last lines of its output, at most kept_lines, an unfinished one included. Of a line overwritten by carriage returns, what a
  // terminal would show.
  std::vector<std::string> last_lines() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fewwatt::hw
