#include "benchmarks/external/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace fewwatt::benchmarks {
namespace {

// Of an answer: some hundred times the predictions of a board's modes. A program that writes without end must not take all memory.
constexpr std::size_t kMostBytes = std::size_t{1} << 28;
constexpr std::size_t kChunk = std::size_t{1} << 16;
constexpr std::chrono::seconds kTimeToEnd{2};  // of a program that has closed its standard output

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("its program " + what);
}

[[noreturn]] void fail_to_start(const ExternalCommand& command, int error) {
  fail("cannot be started: " + command.words.front() + ": " + std::strerror(error));
}

std::string in_seconds(double seconds) {
  std::ostringstream text;
  text << seconds << " s";
  return text.str();
}

// Starts a program with `input` as its standard input, and `output` as its standard output unless that is -1, in the process group
// `group`, 0 for a new one. Returns 0, or what went wrong as errno has it.
int spawn(std::vector<std::string> words, const std::string& folder, pid_t group, int input, int output,
          pid_t& pid) {
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawnattr_t how;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  if (output >= 0) posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addchdir_np(&files, folder.c_str());
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(&how);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&how, group);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  const int error = ::posix_spawnp(&pid, arguments.front(), &files, &how, arguments.data(), environ);
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) pid = -1;
  return error;
}

// Waits for the end of a process, which is -1 then. Returns its status, as of waitpid().
int reap(pid_t& pid) {
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  pid = -1;
  return status;
}

}  // namespace

ExternalProcess::ExternalProcess(const ExternalCommand& command) : timeout_(command.timeout_s) {
  std::array<int, 2> ends{};
  // A socket, since a write to a program that has ended then gives an error and no signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail_to_start(command, errno);
  const hw::Descriptor ours(ends[0]), theirs(ends[1]);
  // Out of the way of 0 and 1, which are rearranged for the program.
  socket_ = ours.copy(STDERR_FILENO + 1);
  const auto its_end = theirs.copy(STDERR_FILENO + 1);
  if (!socket_ || !its_end) fail_to_start(command, errno);
  start(command, its_end.get());
}

ExternalProcess::~ExternalProcess() {
  if (pid_ <= 0) return;
  kill_all();
  reap(pid_);
}

void ExternalProcess::kill_all() {
  ::kill(-pid_, SIGKILL);
  if (guard_ > 0) reap(guard_);
}

void ExternalProcess::start(const ExternalCommand& command, int its_end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail_to_start(command, errno);
  const hw::Descriptor until(ends[0]);
  alive_ = hw::Descriptor(ends[1]);
  if (const int error = spawn(command.words, command.folder, 0, its_end, its_end, pid_); error != 0)
    fail_to_start(command, error);
  const int error =
      spawn({"/bin/sh", "-c", "read -r line; kill -s KILL 0"}, "/", pid_, until.get(), -1, guard_);
  if (error == 0) return;
  kill_all();
  reap(pid_);
  fail_to_start(command, error);
}

std::string ExternalProcess::ask(const std::string& line) {
  receive_some();  // what came after the answer before, which would be taken for the one to this question
  if (!received_.empty()) fail("answered with more than one line");
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout_);
  const std::string sent = line + '\n';
  std::string_view rest = sent;
  std::size_t searched = 0;  // of received_
  for (;;) {
    if (const auto at = received_.find('\n', searched); at != std::string::npos) {
      if (!rest.empty()) fail("answered before it had read all of the question");
      if (at + 1 != received_.size()) fail("answered with more than one line");
      received_.pop_back();
      return std::exchange(received_, {});
    }
    searched = received_.size();
    if (searched > kMostBytes)
      fail("answered with a line of more than " + std::to_string(kMostBytes) + " bytes");
    wait(static_cast<short>(rest.empty() ? POLLIN : POLLIN | POLLOUT), end);
    if (rest.empty() || !send_some(rest)) receive_some();
  }
}

void ExternalProcess::wait(short events, Clock::time_point end) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      timed_out_ = true;
      fail("gave no answer within " + in_seconds(timeout_.count()) + " (timeout_s)");
    }
    pollfd ready{socket_.get(), events, 0};
    if (::poll(&ready, 1, static_cast<int>(std::min<long>(left, INT_MAX))) > 0) return;
  }
}

bool ExternalProcess::send_some(std::string_view& rest) {
  const auto sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) rest.remove_prefix(static_cast<std::size_t>(sent));
  if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) fail_as_ended();
  return sent > 0;
}

void ExternalProcess::receive_some() {
  const auto before = received_.size();
  received_.resize(before + kChunk);
  const auto got = ::recv(socket_.get(), received_.data() + before, kChunk, MSG_DONTWAIT);
  const int error = errno;
  received_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got == 0 || (got < 0 && error == ECONNRESET)) fail_as_ended();
  if (got < 0 && error != EAGAIN && error != EINTR)
    fail(std::string("cannot be read: ") + std::strerror(error));
}

void ExternalProcess::fail_as_ended() {
  const int status = reap_soon();
  if (status == -1) fail("closed its standard output");
  if (WIFSIGNALED(status)) fail("ended by signal " + std::to_string(WTERMSIG(status)));
  fail("ended with exit code " + std::to_string(WEXITSTATUS(status)));
}

// The status of a program that ends by itself within kTimeToEnd, as of waitpid(); -1 of one that goes on.
int ExternalProcess::reap_soon() {
  for (const auto end = Clock::now() + kTimeToEnd; Clock::now() < end; ::poll(nullptr, 0, 1)) {
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid == 0)
      continue;
    kill_all();  // what it has started
    return reap(pid_);
  }
  return -1;
}

}  // namespace fewwatt::benchmarks
