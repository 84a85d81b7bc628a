#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include "hw/descriptor.hpp"
#include "hw/jetson/board_access.hpp"

namespace fewwatt::hw {

// The process that sets the board's clocks has ended, or gives answers that make no sense. This is no DeviceError, because there is nothing
// that could be tried again.
class HelperError : public std::runtime_error {
 public:
  // `what` is the message; see put_back().
  HelperError(const std::string& what, bool put_back) : std::runtime_error(what), put_back_(put_back) {}
  bool put_back() const { return put_back_; }  // whether it ended as it should, with the clocks as before

 private:
  bool put_back_;
};

// A process fewwatt_board_helper, which serves a BoardServer with the rights that this process has when it starts it. Of ours it has only
// one end of a socket: no environment, no other descriptor, no session. It ends when this object does, whatever happens to this
// process, and puts the clocks back then.
class HelperProcess {
 public:
  // Starts it. Throws HelperError where it is not in the folder of the running program, or cannot be started. To be called before
  // threads are started.
  HelperProcess();
  ~HelperProcess();  // returns when it has put back what it had set
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // Its answer to a request. May be called from several threads, which wait for each other. Throws HelperError, saying how it ended.
  std::string ask(const std::string& request);

 private:
  void end();  // closes the socket, and waits

  std::mutex mutex_;
  Descriptor socket_;
  pid_t pid_ = -1;
  int status_ = 0;  // of waitpid, once pid_ is -1
};

// Access through a BoardServer in another process. Its errors are those of DirectAccess. Where rails cannot be read, this process runs
// tegrastats.
class RemoteAccess final : public BoardAccess {
 public:
  // ask(request) gives the server's answer, or throws HelperError.
  explicit RemoteAccess(std::function<std::string(const std::string&)> ask) : ask_(std::move(ask)) {}
  std::unique_ptr<LiveBoard> open(const JetsonOptions& options, Monotonic& time) override;
  BoardView view(const std::string& root) override;
  Change change(const JetsonOptions& options, const Settings& settings, bool dry_run) override;
  Undone undo(const JetsonOptions& options, bool give_up, bool dry_run) override;

 private:
  std::function<std::string(const std::string&)> ask_;
};

// A board that another process holds.
class RemoteBoard final : public LiveBoard {
 public:
  // Opens the board; the arguments are those of RemoteAccess.
  RemoteBoard(std::function<std::string(const std::string&)> ask, const JetsonOptions& options,
              Monotonic& time);
  ~RemoteBoard() override;

  const PowerModeSpace& space() const override { return *space_; }
  void apply(const PowerMode& mode) override;
  PowerSource& power() override { return *power_; }
  BoardState state() const override;
  const Board& board() const override { return board_; }
  std::size_t replayed() const override { return replayed_; }
  std::map<std::string, std::string> setting() const override { return setting_; }
  std::vector<std::string> restore() override;

 private:
  class Power;
  std::string asked(const std::string& request) const;

  std::function<std::string(const std::string&)> ask_;
  mutable bool lost_ = false;  // a HelperError was thrown
  bool restored_ = false;
  Board board_;
  std::optional<PowerModeSpace> space_;
  std::size_t replayed_ = 0;
  std::map<std::string, std::string> setting_;
  std::unique_ptr<PowerSource> power_;
};

// Starts a helper process, and gives access through it. The process ends with what is returned. Throws HelperError.
std::shared_ptr<BoardAccess> access_by_helper();

}  // namespace fewwatt::hw
