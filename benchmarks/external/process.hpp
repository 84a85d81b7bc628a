#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "hw/descriptor.hpp"

namespace fewwatt::benchmarks {

// How a program of others is started.
struct ExternalCommand {
  std::vector<std::string> words;  // program and arguments; a program without a '/' is looked up in PATH
  std::string folder;              // in which it runs
  double timeout_s = 600;          // for one answer: 0 < timeout_s <= kMostTimeoutS
};
inline constexpr double kMostTimeoutS = 1e6;  // bound of ExternalCommand::timeout_s

// A running program that answers each line on its standard input with one line on its standard output. What it writes to standard error
// goes where ours goes. It has a process group of its own, which is killed at the end, and also where this process is ended by a signal:
// a shell in that group, the guard, waits for the end of a pipe that only this process holds open. (PR_SET_PDEATHSIG would already tell
// of the end of the thread that has started the program, and would not reach what the program starts.) For one thread at a time.
//
// Whatever fails throws std::runtime_error with one line; after that the process is of no more use.
class ExternalProcess {
 public:
  explicit ExternalProcess(const ExternalCommand& command);  // throws where it cannot be started
  ~ExternalProcess();
  ExternalProcess(const ExternalProcess&) = delete;
  ExternalProcess& operator=(const ExternalProcess&) = delete;

  // Sends a line and waits for the answer; neither has a line end. Throws where the program ends, answers with more than a line, or gives
  // no answer in time: then timed_out() is true.
  std::string ask(const std::string& line);
  bool timed_out() const { return timed_out_; }  // whether it hangs

 private:
  using Clock = std::chrono::steady_clock;

  void start(const ExternalCommand& command, int its_end);
  void kill_all();                                 // the whole group; the guard is no more then
  void wait(short events, Clock::time_point end);  // until one of the events; throws at `end`
  bool send_some(std::string_view& rest);          // false where the program takes no more for now
  void receive_some();
  [[noreturn]] void fail_as_ended();
  int reap_soon();

  std::chrono::duration<double> timeout_;
  hw::Descriptor socket_;  // both its standard input and output
  hw::Descriptor alive_;   // what the guard waits for the end of
  pid_t pid_ = -1;         // -1 where it is no more
  pid_t guard_ = -1;
  std::string received_;  // of the answer, so far
  bool timed_out_ = false;
};

}  // namespace fewwatt::benchmarks
