#include "datasets/isolated_reader.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "datasets/hdf5_load.hpp"
#include "datasets/input_file.hpp"
#include "datasets/profile.hpp"
#include "datasets/reader_status.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::datasets {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kUsualMemory = std::uint64_t{1024} << 20;
// Memory that the reader and its libraries take themselves.
constexpr std::uint64_t kLeastMemory = std::uint64_t{64} << 20;
constexpr double kLeastWork = 0.1;  // of its processor time, that a reader takes in the time by the clock

std::string system_reason(int error) {
  return std::strerror(error);
}

struct Version {
  off_t size;
  timespec changed;
};

Version version_of(int file) {
  struct stat status {};
  ::fstat(file, &status);
  return {status.st_size, status.st_mtim};
}

bool operator==(const Version& a, const Version& b) {
  return a.size == b.size && a.changed.tv_sec == b.changed.tv_sec && a.changed.tv_nsec == b.changed.tv_nsec;
}

void check_signature(int file, const std::string& path) {
  constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
  std::array<char, 8> start{};
  const ssize_t got = ::pread(file, start.data(), start.size(), 0);
  if (got < 0) throw DataError("cannot read " + path + ": " + system_reason(errno));
  if (std::string_view(start.data(), static_cast<std::size_t>(got)) != kSignature)
    throw DataError(path + " is not an HDF5 file");
}

std::uint64_t memory_of(const ReadOptions& options) {
  if (options.memory_bytes != 0) return std::max(options.memory_bytes, kLeastMemory);
  const char* text = std::getenv("FEWWATT_READER_MB");
  if (text == nullptr || *text == '\0') return kUsualMemory;
  const auto megabytes = hw::whole_int(text, 64, 1 << 24);
  if (!megabytes)
    throw DataError("FEWWATT_READER_MB: expected 64 to 16777216 MB, found '" + std::string(text) + "'");
  return std::uint64_t(*megabytes) << 20;
}

std::string reader_program(const std::string& path) {
  if (const char* named = std::getenv("FEWWATT_READER"); named != nullptr && *named != '\0') return named;
  std::string self(PATH_MAX, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  if (size > 0) {
    self.resize(static_cast<std::size_t>(size));
    const std::string folder = self.substr(0, self.rfind('/'));
    for (const auto& program : {folder + "/fewwatt-reader", folder + "/../lib/fewwatt/fewwatt-reader"})
      if (::access(program.c_str(), X_OK) == 0) return program;
  }
  throw DataError("cannot read " + path +
                  ": the program fewwatt-reader is neither beside this program nor in ../lib/fewwatt, and "
                  "FEWWATT_READER names none");
}

// A started reader and the pipe it writes to.
class Child final : public FlatSource {
 public:
  Child(const hw::Descriptor& file, std::uint64_t size, const std::string& path, const ReadOptions& options,
        bool root_only)
      : path_(path),
        cpu_seconds_(options.cpu_seconds != 0 ? options.cpu_seconds : 1 + size / (2 << 20)),
        wall_seconds_(4 + 3 * cpu_seconds_),
        end_(Clock::now() + std::chrono::seconds(wall_seconds_)) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      throw DataError("cannot read " + path + ": " + system_reason(errno));
    const hw::Descriptor in(ends[0]), out(ends[1]);
    // Out of the way of 0 to 2, which are rearranged for the child, also where this process has none of these.
    pipe_ = in.copy(STDERR_FILENO + 1);
    const auto to = out.copy(STDERR_FILENO + 1), from = file.copy(STDERR_FILENO + 1);
    if (!pipe_ || !to || !from) throw DataError("cannot read " + path + ": " + system_reason(errno));
    ::fcntl(to.get(), F_SETPIPE_SZ, 1 << 20);  // fewer turns between the two; best effort
    start(from.get(), to.get(), size, options.memory_bytes, root_only);
  }
  ~Child() override {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    reap();
  }

  void take(void* to, std::size_t size) override {
    auto* at = static_cast<char*>(to);
    while (size > 0) {
      if (first_ == last_ && size >= buffer_.size()) {  // no need to copy values twice
        const std::size_t got = receive(at, size);
        at += got, size -= got;
        continue;
      }
      if (first_ == last_) first_ = 0, last_ = receive(buffer_.data(), buffer_.size());
      const std::size_t part = std::min(size, last_ - first_);
      std::memcpy(at, buffer_.data() + first_, part);
      at += part, first_ += part, size -= part;
    }
  }

 private:
  void start(int file, int out, std::uint64_t size, std::uint64_t memory, bool root_only) {
    program_ = reader_program(path_);
    const char* seccomp = std::getenv("FEWWATT_SECCOMP");
    const bool wants_seccomp = seccomp == nullptr || std::string_view(seccomp) != "off";
    std::array<std::string, 7> words{program_,
                                     std::to_string(size),
                                     std::to_string(memory),
                                     std::to_string(memory / 4),
                                     std::to_string(cpu_seconds_),
                                     root_only ? "root" : "all",
                                     wants_seccomp ? "seccomp" : "-"};
    std::array<char*, 8> arguments{};
    for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
    // Nothing of the environment reaches the HDF5 library, which looks for plugins there.
    std::array<std::string, 4> kept;
    std::array<char*, 5> environment{};
    std::size_t count = 0;
    for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
      const char* value = std::getenv(name);
      if (value == nullptr) continue;
      kept[count] = std::string(name) + "=" + value;
      environment[count] = kept[count].data();
      ++count;
    }

    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, file, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    // A Ctrl-C is for the program, which may want to end in order: the reader is in a group of its own.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    const int error =
        ::posix_spawn(&pid_, program_.c_str(), &files, &how, arguments.data(), environment.data());
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
      pid_ = -1;
      throw DataError("cannot read " + path_ + ": cannot start " + program_ + ": " + system_reason(error));
    }
  }

  // Some bytes, at most `size`, as soon as there are any.
  std::size_t receive(char* to, std::size_t size) {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
      pollfd ready{pipe_.get(), POLLIN, 0};
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(std::min<long>(left, INT_MAX))) == 0) {
        if (left > 0 || goes_on()) continue;
        throw DataError(path_ + " is damaged: its reader did not end within " +
                        std::to_string(wall_seconds_) + " s");
      }
      const ssize_t got = ::read(pipe_.get(), to, size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw DataError("cannot read " + path_ + ": " + system_reason(errno));
      if (got == 0) fail();
      return static_cast<std::size_t>(got);
    }
  }

  // Whether the reader is at work on a busy machine: then the clock starts anew. Its processor time ends it, if nothing else does.
  bool goes_on() {
    clockid_t clock{};
    timespec taken{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &taken) != 0) return false;
    const double seconds = static_cast<double>(taken.tv_sec) + 1e-9 * static_cast<double>(taken.tv_nsec);
    if (seconds < worked_seconds_ + kLeastWork * static_cast<double>(cpu_seconds_)) return false;
    worked_seconds_ = seconds;
    end_ = Clock::now() + std::chrono::seconds(wall_seconds_);
    return true;
  }

  // Says why the reader ended before it had sent all.
  [[noreturn]] void fail() {
    const std::string damaged = path_ + " is damaged: its reader ";
    const int status = reap_before_end();
    if (status == -1) throw DataError(damaged + "ended early");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
      throw DataError(damaged + "took more than " + std::to_string(cpu_seconds_) + " s of processor time");
    if (WIFSIGNALED(status)) throw DataError(damaged + "ended by signal " + std::to_string(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 127) throw DataError("cannot read " + path_ + ": cannot start " + program_);
    throw DataError("cannot read " + path_ + ": its reader ended with exit code " +
                    std::to_string(WEXITSTATUS(status)));
  }

  // A reader that closed its pipe but does not end is waited for a bounded time only.
  int reap_before_end() {
    siginfo_t ended{};
    const auto end = Clock::now() + std::chrono::seconds(2);
    while (Clock::now() < end &&
           ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0)
      ::poll(nullptr, 0, 1);
    if (ended.si_pid == 0) ::kill(pid_, SIGKILL);
    return reap();
  }

  // The status, as of waitpid(); -1 where nothing is known.
  int reap() {
    if (pid_ <= 0) return -1;
    int status = -1;
    pid_t done = 0;
    while ((done = ::waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return done < 0 ? -1 : status;
  }

  const std::string& path_;
  std::string program_;
  std::uint64_t cpu_seconds_, wall_seconds_;
  Clock::time_point end_;
  double worked_seconds_ = 0;  // of processor time, when the clock was started last
  hw::Descriptor pipe_;
  pid_t pid_ = -1;
  std::array<char, 1 << 16> buffer_{};
  std::size_t first_ = 0, last_ = 0;
};

void say_once_that_seccomp_is_missing() {
  static std::atomic<bool> said{false};
  if (!said.exchange(true))
    std::fputs(
        "fewwatt: this system or build has no seccomp, so what reads files has limits on memory and time "
        "only\n",
        stderr);
}

FlatFile load_isolated(const hw::Descriptor& file, std::uint64_t size, const std::string& path,
                       const ReadOptions& options, bool root_only) {
  Child child(file, size, path, options, root_only);
  char status = 0;
  child.take(&status, 1);
  if (status == kLimitsOnly) say_once_that_seccomp_is_missing();
  return read_flat(child, path, options.memory_bytes / 4);
}

class Memory final : public FlatSource {
 public:
  explicit Memory(std::string_view bytes) : rest_(bytes) {}
  void take(void* to, std::size_t size) override {
    if (size > rest_.size()) throw DataError("the flat form of a file ends early");
    std::memcpy(to, rest_.data(), size);
    rest_.remove_prefix(size);
  }

 private:
  std::string_view rest_;
};

FlatFile load_here(int file, std::uint64_t size, const std::string& path, std::uint64_t memory,
                   bool root_only) {
  std::string image(size, '\0'), flat;
  std::uint64_t got = 0;
  while (got < size) {
    const ssize_t part = ::pread(file, image.data() + got, size - got, static_cast<off_t>(got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) throw DataError("cannot read " + path + ": " + system_reason(errno));
    if (part == 0) throw DataError(path + " changed while it was read");
    got += static_cast<std::uint64_t>(part);
  }
  load_hdf5(image, {memory / 4, root_only}, [&](std::string_view bytes) { flat.append(bytes); });
  image = {};
  Memory source(flat);
  return read_flat(source, path, memory / 4);
}

}  // namespace

FlatFile load_flat(const std::string& path, const ReadOptions& options, bool root_only) {
  const auto input = open_input(path);
  const int file = input.descriptor.get();
  check_signature(file, path);
  auto limited = options;
  limited.memory_bytes = memory_of(options);
  if (input.size > limited.memory_bytes)
    throw DataError(path + " needs more than " + std::to_string(limited.memory_bytes >> 20) +
                    " MB of memory to be read; FEWWATT_READER_MB allows more");
  const auto before = version_of(file);
  auto content = options.isolated ? load_isolated(input.descriptor, input.size, path, limited, root_only)
                                  : load_here(file, input.size, path, limited.memory_bytes, root_only);
  if (!(version_of(file) == before)) throw DataError(path + " changed while it was read");
  return content;
}

}  // namespace fewwatt::datasets
