#pragma once

#include <signal.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "hw/jetson/board_access.hpp"

namespace fewwatt::hw {

// Does with a board what another process asks for (board_messages.hpp), and no more: one that it does not trust may hold the other
// end. It takes modes of the space that the board has, and names no file but two folders.
class BoardServer {
 public:
  // `access` and `time` must outlive it. `trusted_folders`: root and state folder, where they are named, must be such as
  // require_trusted_folder() takes, and the state folder must be there and hold nothing that is not fewwatt's.
  BoardServer(BoardAccess& access, Monotonic& time, bool trusted_folders)
      : access_(access), time_(time), trusted_folders_(trusted_folders) {}

  // The answer to one request; what goes wrong with the board is an answer, too. Throws MessageError for what is no request, or
  // none that may come now: whoever sent it is not to be served any longer.
  std::string answer(std::string_view request);
  // Puts the clocks back where a board is open, and closes it; false when not all is as before.
  bool finish();

  // Answers what comes from `socket` (SOCK_SEQPACKET), until its other end is closed, a message is not to be answered, or `stop`,
  // which is asked after each signal: those in `while_waiting` that are blocked now, and are let through between requests. Then
  // finish(). Returns whether all is as before.
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
