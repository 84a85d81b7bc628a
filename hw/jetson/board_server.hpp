#pragma once

#include <signal.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "hw/jetson/board_access.hpp"

namespace fewwatt::hw {

// Does with a board what another process asks for (board_messages.hpp). It does not trust that process: it takes only modes that the
// board has, and only two folders by name.
class BoardServer {
 public:
  // `access` and `time` must outlive it. With `trusted_folders`, root and state folder, where they are named, must be folders that
  // require_trusted_folder() takes; the state folder must exist and hold only files of fewwatt's.
  BoardServer(BoardAccess& access, Monotonic& time, bool trusted_folders)
      : access_(access), time_(time), trusted_folders_(trusted_folders) {}

  // The answer to one request; an error of the board is an answer, too. Throws MessageError for a message that is no request, or that may
  // not come now: its sender should not be served any longer.
  std::string answer(std::string_view request);
  // Puts the clocks back where a board is open, and closes it. Returns false when not all is as before.
  bool finish();

  // Answers the requests from `socket` (SOCK_SEQPACKET) until its other end is closed, a message cannot be answered, or stop() is true,
  // which is asked after each signal. Signals are let through between requests only: `while_waiting` is the signal mask then. Calls
  // finish() at the end, and returns whether all is as before.
  bool serve(int socket, const sigset_t& while_waiting, const std::function<bool()>& stop);

 private:
  JetsonOptions folders(class MessageReader& from) const;
  void check(const JetsonOptions& options) const;

  BoardAccess& access_;
  Monotonic& time_;
  bool trusted_folders_;
  std::unique_ptr<LiveBoard> board_;
  bool restored_ = false;
};

}  // namespace fewwatt::hw
