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

// The process that sets the board's clocks is gone, or answers what cannot be understood. No DeviceError: nothing can be tried
// again.
class HelperError : public std::runtime_error {
 public:
  HelperError(const std::string& what, bool put_back) : std::runtime_error(what), put_back_(put_back) {}
  bool put_back() const { return put_back_; }  // it ended as it should, and the clocks are as before

 private:
  bool put_back_;
};

// A process with the rights that this one has when it starts it: fewwatt_board_helper, which serves a BoardServer. It has nothing of
// ours but one end of a socket: no environment, no other descriptor, no session. It ends when this does, whatever happens to
// this process, and puts the clocks back then.
class HelperProcess {
 public:
  // Throws HelperError where it is not to be found beside the running program, or cannot be started. To be called before threads
  // are started.
  HelperProcess();
  ~HelperProcess();  // returns when it has put back what it had set
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // Its answer. From any thread; one after the other. Throws HelperError, saying how it ended.
  std::string ask(const std::string& request);

 private:
  void end();  // closes the socket, and waits

  std::mutex mutex_;
  Descriptor socket_;
  pid_t pid_ = -1;
  int status_ = 0;  // of waitpid, once pid_ is -1
};

// Through a BoardServer, asked by `ask`: the answer to a request, or HelperError. Its errors are those of DirectAccess. tegrastats,
// where rails cannot be read, is run by this process.
class RemoteAccess final : public BoardAccess {
 public:
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
  // As RemoteAccess::open().
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

// RemoteAccess to a helper process that is started now; it ends with what is returned. Throws HelperError.
std::shared_ptr<BoardAccess> access_by_helper();

}  // namespace fewwatt::hw
