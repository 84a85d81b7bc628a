// fewwatt-reader SIZE MEMORY_BYTES VALUE_BYTES CPU_SECONDS all|root seccomp|-   <FILE >PIPE
//
// Parses one HDF5 file for another program of fewwatt, which starts it (datasets/isolated_reader.hpp); nobody else needs it.
// Standard input is the file, of SIZE bytes; standard output gets one byte that says how far this is locked up, and the flat form
// of the file (datasets/hdf5_flat.hpp). The file is parsed only after every other descriptor is closed, limits are set, and,
// where the system has seccomp, all system calls but those that memory and the pipe need are forbidden.

#include <grp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#ifdef FEWWATT_SECCOMP
#include <seccomp.h>
#endif

#include "datasets/hdf5_flat.hpp"
#include "datasets/hdf5_load.hpp"
#include "datasets/reader_status.hpp"
#include "hw/numbers.hpp"
#include "hw/version.hpp"

namespace {

using namespace fewwatt::datasets;

// Sanitizers map terabytes and make system calls of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FEWWATT_UNDER_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FEWWATT_UNDER_SANITIZER
#endif
#endif
#ifdef FEWWATT_UNDER_SANITIZER
constexpr bool kSanitized = true;
// In place of the limit on memory. A crash in libhdf5 ends this program by its signal, as without a sanitizer.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1:max_allocation_size_mb=1024:hard_rss_limit_mb=2048:detect_leaks=0:"
         "handle_segv=0:"
         "handle_abort=0:handle_sigfpe=0:handle_sigbus=0:handle_sigill=0";
}
#else
constexpr bool kSanitized = false;
#endif

struct Request {
  std::uint64_t size = 0, memory_bytes = 0, value_bytes = 0, cpu_seconds = 0;
  bool root_only = false, wants_seccomp = true;
};

bool parse(int argc, char** argv, Request& request) {
  if (argc != 7) return false;
  std::uint64_t* const numbers[] = {&request.size, &request.memory_bytes, &request.value_bytes,
                                    &request.cpu_seconds};
  for (int i = 0; i < 4; ++i) {
    const std::string_view text = argv[i + 1];
    const auto number = fewwatt::hw::natural_number(text);
    if (!number) return false;
    *numbers[i] = *number;
  }
  request.root_only = std::string_view(argv[5]) == "root";
  request.wants_seccomp = std::string_view(argv[6]) == "seccomp";
  return true;
}

void limit(int what, std::uint64_t soft, std::uint64_t hard) {
  const rlimit both{static_cast<rlim_t>(soft), static_cast<rlim_t>(hard)};
  setrlimit(static_cast<__rlimit_resource>(what), &both);
}

// Root has more to lose than others where there is no seccomp. Best effort: a container may not allow it.
void become_nobody() {
  constexpr gid_t kNobody = 65534;
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0) return;
  [[maybe_unused]] const int result = setresuid(kNobody, kNobody, kNobody);
}

void close_other_descriptors() {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, 2U, ~0U, 0U) == 0) return;
#endif
  rlimit most{};
  getrlimit(RLIMIT_NOFILE, &most);
  const auto end = std::min<rlim_t>(most.rlim_cur, 65536);
  for (rlim_t file = 2; file < end; ++file) close(static_cast<int>(file));
}

void send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (sent < 0 && errno != EINTR) _exit(3);  // nobody reads any more
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// Small records go together, values directly.
class Output {
 public:
  void put(std::string_view bytes) {
    if (bytes.size() > buffer_.size() - used_) flush();
    if (bytes.size() > buffer_.size()) return send(bytes);
    std::memcpy(buffer_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  void flush() {
    send({buffer_.data(), used_});
    used_ = 0;
  }

 private:
  std::array<char, 1 << 16> buffer_{};
  std::size_t used_ = 0;
};

[[noreturn]] void fail(Output& output, const std::string& message) {
  std::string record(1, static_cast<char>(FlatTag::error));
  const auto size = static_cast<std::uint32_t>(message.size());
  record.append(reinterpret_cast<const char*>(&size), sizeof size).append(message);
  output.put(record);
  output.flush();
  _exit(0);
}

// Whether everything but these calls ends this process from now on. Opening, sending, starting and looking are not among them.
bool lock_up() {
#ifdef FEWWATT_SECCOMP
  const auto end = seccomp_api_get() >= 3 ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_KILL_THREAD;
  const std::unique_ptr<void, decltype(&seccomp_release)> rules(seccomp_init(end), seccomp_release);
  if (rules == nullptr) return false;
  for (const int call : {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
                         SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(exit),
                         SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
                         SCMP_SYS(rt_sigreturn), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
                         SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid)})
    if (seccomp_rule_add(rules.get(), SCMP_ACT_ALLOW, call, 0) != 0) return false;
  // The HDF5 library looks whether there is a file of the image's name (hdf5_load.cpp): there is none.
  for (const int call : {SCMP_SYS(open), SCMP_SYS(openat)})
    if (seccomp_rule_add(rules.get(), SCMP_ACT_ERRNO(ENOENT), call, 0) != 0) return false;
  return seccomp_load(rules.get()) == 0;
#else
  return false;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  Request request;
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::printf("fewwatt %s (%s)\n", std::string(fewwatt::hw::version()).c_str(),
                std::string(fewwatt::hw::git_revision()).c_str());
    return 0;
  }
  if (!parse(argc, argv, request)) {
    std::fputs(
        "fewwatt-reader: is started by the other programs, which read files with it; it takes --version "
        "only\n",
        stderr);
    return 2;
  }
  // The same memory for each dataset: getting it from the system anew would take longer than parsing.
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 26);
  mallopt(M_TOP_PAD, 1 << 21);
  if (geteuid() == 0) become_nobody();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  close_other_descriptors();
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_FSIZE, 0, 0);
  limit(RLIMIT_NPROC, 0, 0);
  limit(RLIMIT_CPU, request.cpu_seconds, request.cpu_seconds + 1);
  if (!kSanitized) limit(RLIMIT_AS, request.memory_bytes, request.memory_bytes);
  start_hdf5();
  if (!kSanitized) limit(RLIMIT_NOFILE, 0, 0);  // a sanitizer looks through a pipe whether memory is there

  Output output;
  const std::string too_large = " needs more than " + std::to_string(request.memory_bytes >> 20) +
                                " MB of memory to be read; FEWWATT_READER_MB allows more";
  std::unique_ptr<char[]> image(new (std::nothrow) char[request.size]);
  std::uint64_t got = 0;
  while (image != nullptr && got < request.size) {
    const ssize_t part = read(STDIN_FILENO, image.get() + got, request.size - got);
    if (part == 0 || (part < 0 && errno != EINTR)) break;
    if (part > 0) got += static_cast<std::uint64_t>(part);
  }
  const bool locked = !kSanitized && request.wants_seccomp && lock_up();
  const char status = locked                                 ? kLockedUp
                      : kSanitized || !request.wants_seccomp ? kLockedUpAsWanted
                                                             : kLimitsOnly;
  output.put({&status, 1});
  if (image == nullptr) fail(output, too_large);
  if (got < request.size) fail(output, " changed while it was read");
  try {
    load_hdf5({image.get(), request.size}, {request.value_bytes, request.root_only},
              [&](std::string_view bytes) { output.put(bytes); });
  } catch (const std::bad_alloc&) {
    fail(output, too_large);
  }
  output.flush();
  _exit(0);
}
