#include "hw/jetson/board_helper.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

#include "hw/jetson/board_messages.hpp"

namespace fewwatt::hw {
namespace {

constexpr int kSocket = 3;  // in the helper
constexpr const char* kProgram = "fewwatt_board_helper";
constexpr const char* kLater = "; what it had set is put back by the next run, or by fewwatt device restore";

std::string helper_path() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto path = self.parent_path() / kProgram;
  if (error || ::access(path.c_str(), X_OK) != 0)
    throw HelperError(path.string() + ": not there, or no program; only through it fewwatt sets the clocks",
                      true);
  return path.string();
}

void close_from(int lowest) {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, static_cast<unsigned>(lowest), ~0U, 0U) == 0) return;
#endif
  const auto most = ::sysconf(_SC_OPEN_MAX);
  for (int fd = lowest; fd < most; ++fd) ::close(fd);
}

// Limits that whoever started us has set are not the helper's: one that is killed puts nothing back.
void lift_limits() {
  for (const auto resource : {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NOFILE}) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) continue;
    const rlim_t enough = resource == RLIMIT_NOFILE ? 1024 : RLIM_INFINITY;
    if (limit.rlim_max < enough) limit.rlim_max = enough;
    limit.rlim_cur = resource == RLIMIT_NOFILE ? enough : limit.rlim_max;
    ::setrlimit(resource, &limit);
  }
}

[[noreturn]] void run_helper(const char* program, int socket) {
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();  // signals of the terminal are for the program
  ::umask(077);
  lift_limits();
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0 || ::chdir("/") != 0) ::_exit(127);
  const int high = ::fcntl(socket, F_DUPFD, kSocket + 1);
  for (const int fd : {0, 1, 2})
    if (::dup2(null, fd) < 0) ::_exit(127);
  if (::dup2(high, kSocket) < 0) ::_exit(127);
  close_from(kSocket + 1);
  char* const arguments[] = {const_cast<char*>(program), nullptr};
  char* const environment[] = {nullptr};
  ::execve(program, arguments, environment);
  ::_exit(127);
}

// The result in `answer`, or its error.
MessageReader result_of(const std::string& answer) {
  MessageReader from(answer);
  switch (static_cast<AnswerKind>(from.number(0, static_cast<std::int64_t>(AnswerKind::other_error)))) {
    case AnswerKind::result:
      return from;
    case AnswerKind::device_error:
      throw DeviceError(from.text());
    case AnswerKind::invalid_argument:
      throw std::invalid_argument(from.text());
    case AnswerKind::other_error:
      break;
  }
  throw std::runtime_error(from.text());
}

// take(reader): what the answer holds, all of it.
template <class Take>
auto take_all(const std::string& answer, const Take& take) {
  try {
    auto from = result_of(answer);
    auto result = take(from);
    from.end();
    return result;
  } catch (const MessageError& e) {
    throw HelperError(
        std::string("the process that sets the clocks does not speak as this program does: ") + e.what(),
        false);
  }
}

MessageWriter request(BoardRequest kind) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(kind));
  return writer;
}

// The other process is in another folder.
std::string whole_path(const std::string& path) {
  if (path.empty()) return path;
  auto whole = std::filesystem::absolute(path).lexically_normal().string();
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  return whole;
}

MessageWriter request(BoardRequest kind, const JetsonOptions& options) {
  auto writer = request(kind);
  writer.text(whole_path(options.root));
  writer.text(whole_path(options.state));
  return writer;
}

}  // namespace

HelperProcess::HelperProcess() {
  const auto program = helper_path();
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw HelperError(program + ": no socket to it: " + std::strerror(errno), true);
  socket_ = Descriptor(ends[0]);
  const Descriptor other(ends[1]);
  pid_ = ::fork();
  if (pid_ == 0) run_helper(program.c_str(), other.get());
  if (pid_ < 0) throw HelperError(program + ": cannot be started: " + std::strerror(errno), true);
}

HelperProcess::~HelperProcess() {
  end();
}

void HelperProcess::end() {
  socket_.close();
  if (pid_ < 0) return;
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

std::string HelperProcess::ask(const std::string& request) {
  const std::lock_guard lock(mutex_);
  if (socket_) {
    ssize_t done;
    do {
      done = ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
    } while (done < 0 && errno == EINTR);
    if (done == static_cast<ssize_t>(request.size())) {
      std::string answer(kLongestAnswer + 1, '\0');
      do {
        done = ::recv(socket_.get(), answer.data(), answer.size(), 0);
      } while (done < 0 && errno == EINTR);
      if (done > 0 && static_cast<std::size_t>(done) <= kLongestAnswer) {
        answer.resize(static_cast<std::size_t>(done));
        return answer;
      }
    }
    end();
  }
  const std::string who = "the process that sets the clocks ";
  if (WIFSIGNALED(status_)) {
    const int signal = WTERMSIG(status_);
    throw HelperError(
        who + "was ended by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")" + kLater,
        false);
  }
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  if (code == 0) throw HelperError(who + "was told to end; the clocks are put back", true);
  throw HelperError(who + "exited with code " + std::to_string(code) + kLater, false);
}

class RemoteBoard::Power final : public PowerSource {
 public:
  Power(std::function<std::string(const std::string&)> ask, std::string about, double averaging_s)
      : ask_(std::move(ask)), about_(std::move(about)), averaging_s_(averaging_s) {}
  double power_w() override {
    return take_all(ask_(request(BoardRequest::power).bytes()),
                    [](MessageReader& from) { return from.real(); });
  }
  double averaging_s() const override { return averaging_s_; }
  std::string describe() const override { return about_; }

 private:
  std::function<std::string(const std::string&)> ask_;
  std::string about_;
  double averaging_s_;
};

RemoteBoard::RemoteBoard(std::function<std::string(const std::string&)> ask, const JetsonOptions& options,
                         Monotonic& time)
    : ask_(std::move(ask)) {
  bool rails = false;
  std::string about;
  double averaging_s = 0;
  take_all(ask_(request(BoardRequest::open, options).bytes()), [&](MessageReader& from) {
    board_ = take_board(from);
    replayed_ = static_cast<std::size_t>(from.number(0));
    setting_ = take_text_map(from);
    rails = from.flag();
    about = from.text();
    averaging_s = from.real();
    return 0;
  });
  space_ = space_of(board_);
  if (rails) {
    power_ = std::make_unique<Power>(ask_, about, averaging_s);
    return;
  }
  if (options.rails_only) throw DeviceError(about);
  auto tegrastats = options.tegrastats;
  tegrastats.why = about;
  try {
    power_ = std::make_unique<TegrastatsPower>(time, board_.compatible, tegrastats);
  } catch (const DeviceError& e) {
    throw DeviceError(about + "; and tegrastats does not help: " + e.what());
  }
}

RemoteBoard::~RemoteBoard() {
  try {
    restore();
  } catch (const std::exception&) {  // the other process restores when it ends
  }
}

std::string RemoteBoard::asked(const std::string& request) const {
  try {
    return ask_(request);
  } catch (const HelperError&) {
    lost_ = true;
    throw;
  }
}

void RemoteBoard::apply(const PowerMode& mode) {
  auto writer = request(BoardRequest::apply);
  put(writer, mode);
  take_all(asked(writer.bytes()), [](MessageReader&) { return 0; });
}

BoardState RemoteBoard::state() const {
  return take_all(asked(request(BoardRequest::state).bytes()), take_state);
}

std::vector<std::string> RemoteBoard::restore() {
  if (restored_ || lost_) return {};  // what is lost was said
  try {
    auto troubles = take_all(asked(request(BoardRequest::restore).bytes()), take_texts);
    restored_ = troubles.empty();
    return troubles;
  } catch (const HelperError& e) {
    if (e.put_back()) return {};
    return {e.what()};
  }
}

std::unique_ptr<LiveBoard> RemoteAccess::open(const JetsonOptions& options, Monotonic& time) {
  return std::make_unique<RemoteBoard>(ask_, options, time);
}

BoardView RemoteAccess::view(const std::string& root) {
  JetsonOptions options;
  options.root = root;
  return take_all(ask_(request(BoardRequest::view, options).bytes()), take_view);
}

Change RemoteAccess::change(const JetsonOptions& options, const Settings& settings, bool dry_run) {
  auto writer = request(BoardRequest::change, options);
  put(writer, settings);
  writer.number(dry_run ? 1 : 0);
  return take_all(ask_(writer.bytes()), [](MessageReader& from) {
    Change change;
    change.mode = take_mode(from);
    change.writes = take_writes(from);
    return change;
  });
}

Undone RemoteAccess::undo(const JetsonOptions& options, bool give_up, bool dry_run) {
  auto writer = request(BoardRequest::undo, options);
  writer.number(give_up ? 1 : 0);
  writer.number(dry_run ? 1 : 0);
  return take_all(ask_(writer.bytes()), [](MessageReader& from) {
    Undone undone;
    undone.controls = static_cast<std::size_t>(from.number(0));
    undone.left = take_texts(from);
    undone.writes = take_writes(from);
    return undone;
  });
}

std::shared_ptr<BoardAccess> access_by_helper() {
  const auto helper = std::make_shared<HelperProcess>();
  return std::make_shared<RemoteAccess>(
      [helper](const std::string& request) { return helper->ask(request); });
}

}  // namespace fewwatt::hw
