#include "hw/jetson/workload.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "hw/descriptor.hpp"
#include "hw/jetson/spawn.hpp"
#include "hw/jetson/step_ways.hpp"
#include "hw/private_folder.hpp"

namespace fewwatt::hw {
namespace {

constexpr const char* kStepPipe = "steps";
constexpr int kTickMs = 50;  // until the end of the program is seen
constexpr auto kTick = std::chrono::milliseconds(kTickMs);
// A program that ends closes its descriptors some time before its parent can see the end: up to this long when it has to release a GPU.
constexpr double kEndAfterCloseS = 1;
constexpr std::size_t kMostWaiting = 1 << 20;  // steps nobody has asked for; beyond, the program waits
constexpr std::size_t kMostPassedOn =
    1 << 18;  // bytes our standard error has not taken; beyond, they are left out
constexpr std::size_t kLongestLine = 4096;  // bytes kept of a line
constexpr std::size_t kAtOnce = 1 << 16;    // bytes a read asks for: a pipe's usual capacity
constexpr int kReadsAtEnd = 32;             // for all that a pipe of the greatest capacity, 1 MiB, may hold
constexpr int kPassOnAtEndMs = 200;         // for a standard error that stands still
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);
constexpr int kLooksForStandstill = 200;  // 1 s
constexpr int kLooksAfterKill = 1000;     // 5 s: a process may hang in a driver, and SIGKILL waits for it

struct End {
  int how = 0;  // si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0: not known
  int status = 0;
};

// Leaves a zombie, so that the number of the process and of its group stay taken.
std::optional<End> end_of(pid_t pid) {
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return End{};  // somebody else has reaped it
  if (info.si_pid != pid) return std::nullopt;
  return End{info.si_code, info.si_status};
}

// The last lines of a text that comes in pieces.
class LastLines {
 public:
  explicit LastLines(std::size_t kept) : kept_(kept) {}

  void add(std::string_view text) {
    for (const char c : text) {
      if (c == '\n') {
        finished_.push_back(std::move(line_));
        line_.clear();
        if (finished_.size() > kept_) finished_.pop_front();
      } else if (c != '\r') {
        if (returned_) line_.clear();
        if (line_.size() < kLongestLine) line_ += c;
      }
      returned_ = c == '\r';
    }
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> all(finished_.begin(), finished_.end());
    if (!line_.empty()) all.push_back(line_);
    if (all.size() > kept_) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(kept_));
    return all;
  }

 private:
  std::size_t kept_;
  std::deque<std::string> finished_;
  std::string line_;
  bool returned_ = false;
};

}  // namespace

SignalState SignalState::now() {
  SignalState state;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      state.ignored.push_back(signal);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &state.blocked);
  return state;
}

std::string WorkloadOptions::error() const {
  const auto holds_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (command.empty() || command.front().empty()) return "WorkloadOptions: command must name a program";
  if (std::any_of(command.begin(), command.end(), holds_nul))
    return "WorkloadOptions: command must not hold a NUL";
  if (!(stop_grace_s >= 0) || std::isinf(stop_grace_s))
    return "WorkloadOptions: stop_grace_s must be >= 0 and finite, got " + std::to_string(stop_grace_s);
  for (const auto& [name, value] : environment) {
    if (name.empty() || name.find('=') != std::string::npos || holds_nul(name) || holds_nul(value))
      return "WorkloadOptions: environment must hold names without '=' and values without NUL, got \"" +
             name + "\"";
  }
  return "";
}

class WorkloadProcess::Impl {
 public:
  Impl(WorkloadOptions options, Monotonic& clock)
      : options_(std::move(options)), clock_(clock), pass_on_(!options_.quiet), lines_(options_.kept_lines) {}
  ~Impl() { stop(); }

  void start() {
    const std::string& name = options_.command.front();
    Pipe steps(name), output(name);
    struct stat known {};
    ::fstat(steps.write.get(), &known);
    ends_.pipe = known.st_ino;
    make_path();
    wake_ = moved_up(Descriptor(::eventfd(0, EFD_CLOEXEC)), name);
    for (const auto* pipe : {&steps, &output}) ::fcntl(pipe->read.get(), F_SETFL, O_NONBLOCK);
    pid_ = spawn(options_, ends_, output.write, steps.write);

    steps_ = std::move(steps.read);
    output_ = std::move(output.read);
    // No signal for the reader: handlers run in the threads of the program that knows them, and SIGPIPE becomes EPIPE.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      reader_ = std::thread([this] { read(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  Wait next_steps(std::vector<double>& times, double until_s) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!arrived_.empty()) {
        times.insert(times.end(), arrived_.begin(), arrived_.end());
        arrived_.clear();
        return Wait::steps;
      }
      if (end_) return Wait::ended;
      if (closed_) return Wait::closed;
      const double now = clock_.now_s();
      if (!(now < until_s)) return Wait::timed_out;
      const std::chrono::duration<double> left(until_s - now);
      changed_.wait_for(lock, std::min<std::chrono::duration<double>>(left, kTick));
    }
  }

  std::size_t garbage_bytes() const {
    const std::lock_guard lock(mutex_);
    return garbage_;
  }

  StepWays step_ways() const {
    if (reaped_ || end()) return {};
    return hw::step_ways(pid_, ends_);
  }

  std::optional<End> end() const {
    const std::lock_guard lock(mutex_);
    return end_;
  }

  std::vector<std::string> last_lines() const {
    const std::lock_guard lock(mutex_);
    return lines_.lines();
  }

  void pause() {
    if (reaped_ || end()) return;
    signal_group(SIGSTOP);
    for (int look = 0; look < kLooksForStandstill && !end(); ++look) {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == pid_)
        return;
      std::this_thread::sleep_for(kBetweenLooks);
    }
  }

  void resume() {
    if (!reaped_ && !end()) signal_group(SIGCONT);
  }

  void stop() noexcept {
    if (pid_ <= 0 || reaped_) return;
    signal_group(SIGTERM);
    signal_group(SIGCONT);  // one that is paused would not see it
    auto end = end_of(pid_);
    for (const double until_s = clock_.now_s() + options_.stop_grace_s; !end && clock_.now_s() < until_s;
         end = end_of(pid_))
      clock_.wait_s(std::min(options_.stop_grace_s, std::chrono::duration<double>(kBetweenLooks).count()));
    signal_group(SIGKILL);
    // In real time, whatever the clock says: a zombie must not stay.
    for (int look = 0; look < kLooksAfterKill && !(end = end_of(pid_)); ++look)
      std::this_thread::sleep_for(kBetweenLooks);

    quit_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    if (reader_.joinable()) reader_.join();
    if (end) {
      while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    reaped_ = true;
    const std::lock_guard lock(mutex_);
    if (!end_) end_ = end;
  }

 private:
  // Best effort: where there can be no such pipe, there is the descriptor.
  void make_path() {
    try {
      folder_.emplace();
    } catch (const DeviceError&) {
      return;
    }
    if (::mkfifoat(folder_->descriptor(), kStepPipe, 0600) != 0) return;
    path_steps_ = opened_path();
    if (path_steps_.get() >= 0) ends_.path = folder_->path() + '/' + kStepPipe;
  }

  Descriptor opened_path() const {
    Descriptor file(
        ::openat(folder_->descriptor(), kStepPipe, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISFIFO(status.st_mode)) file.close();
    return file;
  }

  // Only while pid_ is not reaped: afterwards the number may be somebody else's.
  void signal_group(int signal) noexcept { ::kill(-pid_, signal); }

  // The reader's thread.
  void read() {
    for (bool over = false; !over;) {
      pollfd polled[] = {{steps_.get(), POLLIN, 0},
                         {path_steps_.get(), POLLIN, 0},
                         {output_.get(), POLLIN, 0},
                         {wake_.get(), POLLIN, 0},
                         {to_pass_on_.empty() ? -1 : STDERR_FILENO, POLLOUT, 0}};
      if (too_many_waiting()) polled[0].fd = polled[1].fd = -1;
      ::poll(polled, std::size(polled), kTickMs);
      const double now_s = clock_.now_s();
      const bool quit = quit_;
      const auto end = end_of(pid_);
      over = quit || end;
      // What was written before the end is in the pipes by now. Processes that live on may hold the other ends, so there
      // may be no end of file.
      for (int i = 0; take_steps(now_s) && over && i < kReadsAtEnd; ++i) {
      }
      for (int i = 0; take_path_steps(now_s, polled[1].revents) && over && i < kReadsAtEnd; ++i) {
      }
      for (int i = 0; take_output() && over && i < kReadsAtEnd; ++i) {
      }
      pass_on(0);
      if (over) pass_on(kPassOnAtEndMs);
      // now_s is from before the look at the process, however long this thread did not run in between.
      const bool closed = is_closed(now_s);
      if (end || closed) {
        const std::lock_guard lock(mutex_);
        end_ = end;
        closed_ = closed;
        changed_.notify_all();
      }
    }
  }

  bool too_many_waiting() const {
    const std::lock_guard lock(mutex_);
    return arrived_.size() > kMostWaiting;
  }

  // Bytes read; 0 when there are none, nullopt at the end of the file.
  std::optional<std::size_t> read_some(const Descriptor& from) {
    const auto got = ::read(from.get(), buffer_, sizeof buffer_);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? std::optional<std::size_t>(0) : std::nullopt;
    return got == 0 ? std::nullopt : std::optional(static_cast<std::size_t>(got));
  }

  // Whether there was something.
  bool take_steps(double now_s) {
    if (steps_.get() < 0 || too_many_waiting()) return false;
    const auto got = read_some(steps_);
    if (!got) {
      steps_.close();
      closed_at_s_ = now_s;
      return false;
    }
    add_steps(*got, now_s);
    return *got > 0;
  }

  // The same of the named pipe. It has not ended when nobody has it open: another process may still open it.
  bool take_path_steps(double now_s, short events) {
    if (path_steps_.get() < 0 || too_many_waiting()) return false;
    const auto got = read_some(path_steps_);
    if (got && *got > 0) {
      opened_path_ = true;
      add_steps(*got, now_s);
      return true;
    }
    // A pipe whose other end was closed says so until it is opened again.
    if (!got && (events & POLLHUP) != 0) {
      opened_path_ = true;
      path_steps_ = opened_path();
    }
    return false;
  }

  // Whether steps came through the descriptor, and it is gone. Where none has come yet, the program may open the path.
  bool is_closed(double now_s) const {
    const bool may_use_path = path_steps_.get() >= 0 && (opened_path_ || !has_steps_);
    return closed_at_s_ && now_s >= *closed_at_s_ + kEndAfterCloseS && !may_use_path;
  }

  void add_steps(std::size_t bytes, double now_s) {
    const std::lock_guard lock(mutex_);
    const auto count = static_cast<std::size_t>(std::count(buffer_, buffer_ + bytes, '\n'));
    garbage_ += bytes - count;
    arrived_.insert(arrived_.end(), count, now_s);
    has_steps_ = has_steps_ || count > 0;
    if (count > 0) changed_.notify_all();
  }

  bool take_output() {
    if (output_.get() < 0) return false;
    const auto got = read_some(output_);
    if (!got) {
      output_.close();
      return false;
    }
    const std::string_view text(buffer_, *got);
    if (pass_on_ && to_pass_on_.size() + text.size() <= kMostPassedOn) to_pass_on_ += text;
    const std::lock_guard lock(mutex_);
    lines_.add(text);
    return *got > 0;
  }

  // Writes to our standard error what it takes, at most PIPE_BUF at once: so much never blocks when poll() says so.
  void pass_on(int wait_ms) {
    std::size_t done = 0;
    while (pass_on_ && done < to_pass_on_.size()) {
      pollfd polled{STDERR_FILENO, POLLOUT, 0};
      if (::poll(&polled, 1, wait_ms) <= 0) break;
      const auto piece = std::min<std::size_t>(to_pass_on_.size() - done, 4096);
      const auto written = ::write(STDERR_FILENO, to_pass_on_.data() + done, piece);
      if (written > 0)
        done += static_cast<std::size_t>(written);
      else if (written < 0 && errno != EINTR && errno != EAGAIN)
        pass_on_ = false;
      else
        break;
    }
    if (pass_on_)
      to_pass_on_.erase(0, done);
    else
      to_pass_on_.clear();
  }

  const WorkloadOptions options_;
  Monotonic& clock_;
  std::optional<PrivateFolder> folder_;  // of the named pipe
  StepEnds ends_;
  pid_t pid_ = -1;
  bool reaped_ = false;  // or given up
  Descriptor wake_;
  std::atomic<bool> quit_ = false;
  std::thread reader_;

  // The reader's.
  Descriptor steps_, path_steps_, output_;
  std::optional<double> closed_at_s_;
  bool opened_path_ = false, has_steps_ = false;
  bool pass_on_;
  std::string to_pass_on_;
  char buffer_[kAtOnce];

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex.
  std::vector<double> arrived_;  // [s]
  std::size_t garbage_ = 0;
  bool closed_ = false;
  std::optional<End> end_;
  LastLines lines_;
};

WorkloadProcess::WorkloadProcess(WorkloadOptions options, Monotonic& clock) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  impl_ = std::make_unique<Impl>(std::move(options), clock);
  impl_->start();
}

WorkloadProcess::~WorkloadProcess() = default;

Wait WorkloadProcess::next_steps(std::vector<double>& times, double until_s) {
  return impl_->next_steps(times, until_s);
}

StepWays WorkloadProcess::step_ways() const {
  return impl_->step_ways();
}

std::size_t WorkloadProcess::garbage_bytes() const {
  return impl_->garbage_bytes();
}

void WorkloadProcess::pause() {
  impl_->pause();
}

void WorkloadProcess::resume() {
  impl_->resume();
}

void WorkloadProcess::stop() noexcept {
  impl_->stop();
}

std::optional<int> WorkloadProcess::exit_code() const {
  const auto end = impl_->end();
  return end && end->how == CLD_EXITED ? std::optional(end->status) : std::nullopt;
}

std::string WorkloadProcess::describe_end() const {
  const auto end = impl_->end();
  if (!end) return "still runs";
  if (end->how == CLD_EXITED) return "exited with code " + std::to_string(end->status);
  if (end->how == CLD_KILLED || end->how == CLD_DUMPED)
    return "killed by signal " + std::to_string(end->status) + " (" + ::strsignal(end->status) + ")";
  return "ended, unknown how";
}

std::vector<std::string> WorkloadProcess::last_lines() const {
  return impl_->last_lines();
}

}  // namespace fewwatt::hw
