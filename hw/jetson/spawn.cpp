#include "hw/jetson/spawn.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

namespace fewwatt::hw {
namespace {

constexpr int kLowestFd = 10;  // of our pipes, so that none is in the way of the program's 0 to 3

[[noreturn]] void fail(const std::string& command, const std::string& tried, int code) {
  throw DeviceError(command + ": " + tried + ": " + std::strerror(code));
}

std::vector<std::string> environment_of(const WorkloadOptions& options, const StepEnds& ends) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& [name, value] : options.environment) all[name] = value;
  all[kStepFdVariable] = std::to_string(kStepFd);
  all[kStepPipeVariable] = std::to_string(ends.pipe);
  all.erase(kStepPathVariable);  // one of ours may be in another's program
  if (!ends.path.empty()) all[kStepPathVariable] = ends.path;

  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + '=' + value);
  return lines;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What the child needs, allocated before the fork: after it, only calls that are safe in a signal handler are allowed.
struct Start {
  char** arguments;
  char** environment;
  int null, output, steps, status;
  const int *ignored, *ignored_end;
  const sigset_t* blocked;
  pid_t parent;
};

[[noreturn]] void run_child(const Start& start) {
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  for (const auto* signal = start.ignored; signal != start.ignored_end; ++signal)
    std::signal(*signal, SIG_IGN);
  pthread_sigmask(SIG_SETMASK, start.blocked, nullptr);

  int failure = 0;
  // Without our terminal: a program could put input there for whoever reads it next. But in our session: if we are killed, the kernel
  // then wakes stopped processes of the program's group and hangs up on them.
  if (const int terminal = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC); terminal >= 0) {
    ::ioctl(terminal, TIOCNOTTY);
    ::close(terminal);
  }
  if (::setpgid(0, 0) != 0 || ::dup2(start.null, 0) < 0 || ::dup2(start.output, 1) < 0 ||
      ::dup2(start.output, 2) < 0 || ::dup2(start.steps, kStepFd) < 0) {
    failure = errno;
  } else {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != start.parent) ::_exit(127);
    environ = start.environment;
    ::execvp(start.arguments[0], start.arguments);
    failure = errno;
  }
  // Less than PIPE_BUF into an empty pipe: whole or not at all.
  [[maybe_unused]] const auto written = ::write(start.status, &failure, sizeof failure);
  ::_exit(127);
}

}  // namespace

Descriptor moved_up(const Descriptor& low, const std::string& command) {
  auto high = low ? low.copy(kLowestFd) : Descriptor();
  if (!high) fail(command, "no descriptor for a pipe", errno);
  return high;
}

Pipe::Pipe(const std::string& command) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) fail(command, "no descriptor for a pipe", errno);
  const Descriptor first(ends[0]), second(ends[1]);
  read = moved_up(first, command);
  write = moved_up(second, command);
}

pid_t spawn(const WorkloadOptions& options, const StepEnds& ends, const Descriptor& output,
            const Descriptor& steps) {
  const std::string& name = options.command.front();
  Pipe status(name);
  auto arguments = options.command;
  auto environment = environment_of(options, ends);
  auto argument_pointers = pointers_to(arguments), environment_pointers = pointers_to(environment);
  const auto null = moved_up(Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)), name);
  SignalState signals;
  sigemptyset(&signals.blocked);
  if (options.signals) signals = *options.signals;

  const Start start{argument_pointers.data(),
                    environment_pointers.data(),
                    null.get(),
                    output.get(),
                    steps.get(),
                    status.write.get(),
                    signals.ignored.data(),
                    signals.ignored.data() + signals.ignored.size(),
                    &signals.blocked,
                    ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) run_child(start);
  if (pid < 0) fail(name, "cannot be started", errno);

  // Closed by exec, or an errno.
  status.write.close();
  int failure = 0;
  ssize_t got;
  do {
    got = ::read(status.read.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof failure) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    fail(name, "cannot be started", failure);
  }
  return pid;
}

}  // namespace fewwatt::hw
