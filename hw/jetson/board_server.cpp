#include "hw/jetson/board_server.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <vector>

#include "hw/jetson/board_messages.hpp"
#include "hw/jetson/state_folder.hpp"

namespace fewwatt::hw {
namespace {

constexpr std::size_t kLongestPath = 4096;

std::string error_answer(AnswerKind kind, const std::string& what) {
  MessageWriter answer;
  answer.number(static_cast<std::int64_t>(kind));
  answer.text(std::string_view(what).substr(0, MessageReader::kLongestText));
  return answer.bytes();
}

bool send_whole(int socket, const std::string& answer) {
  ssize_t sent;
  do {
    sent = ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(answer.size());
}

}  // namespace

JetsonOptions BoardServer::folders(MessageReader& from) const {
  JetsonOptions options;
  options.root = from.text(kLongestPath);
  options.state = from.text(kLongestPath);
  options.rails_only = true;  // tegrastats is a program: whoever asks runs it himself
  for (const auto* path : {&options.root, &options.state})
    if (path->find('\0') != std::string::npos) throw MessageError("a path with a NUL");
  return options;
}

void BoardServer::check(const JetsonOptions& options) const {
  if (!trusted_folders_) return;
  if (!options.root.empty()) require_trusted_folder(options.root);
  require_trusted_folder(options.state_folder());
  if (options.state.empty()) return;
  const auto folder = StateFolder::find(options.state);
  if (!folder) throw DeviceError(options.state + ": no such folder, and none is made as root");
  if (const auto stranger = folder->stranger(); !stranger.empty())
    throw DeviceError(options.state + ": holds a file that is not fewwatt's, " + stranger +
                      "; give --state a folder of its own");
}

std::string BoardServer::answer(std::string_view request) {
  MessageReader from(request);
  const auto kind = static_cast<BoardRequest>(from.number(static_cast<std::int64_t>(BoardRequest::open),
                                                          static_cast<std::int64_t>(BoardRequest::undo)));
  const bool wants_board = kind == BoardRequest::apply || kind == BoardRequest::power ||
                           kind == BoardRequest::state || kind == BoardRequest::restore;
  if (wants_board != (board_ != nullptr && !restored_)) throw MessageError("a request that does not fit now");

  // Arguments first: what cannot be read ends the talk, what cannot be done is an answer.
  JetsonOptions options;
  PowerMode mode;
  Settings settings;
  bool dry_run = false, give_up = false;
  if (!wants_board) options = folders(from);
  if (kind == BoardRequest::apply) mode = take_mode(from);
  if (kind == BoardRequest::change) settings = take_settings(from);
  if (kind == BoardRequest::undo) give_up = from.flag();
  if (kind == BoardRequest::change || kind == BoardRequest::undo) dry_run = from.flag();
  from.end();

  MessageWriter result;
  result.number(static_cast<std::int64_t>(AnswerKind::result));
  try {
    if (!wants_board) check(options);
    switch (kind) {
      case BoardRequest::open: {
        board_ = access_.open(options, time_);
        put(result, board_->board());
        result.count(board_->replayed());
        put(result, board_->setting());
        std::string why;
        const PowerSource* power = nullptr;
        try {
          power = &board_->power();
        } catch (const DeviceError& e) {
          why = e.what();
        }
        result.number(power != nullptr ? 1 : 0);
        result.text(power != nullptr ? power->describe() : why);
        result.real(power != nullptr ? power->averaging_s() : 0);
        break;
      }
      case BoardRequest::apply:
        if (!board_->space().index_of(mode)) throw std::invalid_argument("the board has no such mode");
        board_->apply(mode);
        break;
      case BoardRequest::power:
        result.real(board_->power().power_w());
        break;
      case BoardRequest::state:
        put(result, board_->state());
        break;
      case BoardRequest::restore: {
        const auto troubles = board_->restore();
        restored_ = troubles.empty();
        put(result, troubles);
        break;
      }
      case BoardRequest::view:
        put(result, access_.view(options.root));
        break;
      case BoardRequest::change: {
        const auto change = access_.change(options, settings, dry_run);
        put(result, change.mode);
        put(result, change.writes);
        break;
      }
      case BoardRequest::undo: {
        const auto undone = access_.undo(options, give_up, dry_run);
        result.count(undone.controls);
        put(result, undone.left);
        put(result, undone.writes);
        break;
      }
    }
  } catch (const DeviceError& e) {
    return error_answer(AnswerKind::device_error, e.what());
  } catch (const std::invalid_argument& e) {
    return error_answer(AnswerKind::invalid_argument, e.what());
  } catch (const std::exception& e) {
    return error_answer(AnswerKind::other_error, e.what());
  }
  if (result.bytes().size() > kLongestAnswer)
    return error_answer(AnswerKind::device_error, "the answer about the board is too long: " +
                                                      std::to_string(result.bytes().size()) + " bytes");
  return result.bytes();
}

bool BoardServer::finish() {
  bool as_before = true;
  if (board_ && !restored_) {
    try {
      as_before = board_->restore().empty();
    } catch (const std::exception&) {  // the journal stays, for the next start
      as_before = false;
    }
  }
  board_.reset();
  restored_ = false;
  return as_before;
}

bool BoardServer::serve(int socket, const sigset_t& while_waiting, const std::function<bool()>& stop) {
  std::vector<char> buffer(kLongestRequest + 1);
  while (!stop()) {
    pollfd polled{socket, POLLIN, 0};
    if (::ppoll(&polled, 1, nullptr, &while_waiting) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    const auto got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || static_cast<std::size_t>(got) > kLongestRequest) break;
    try {
      if (!send_whole(socket, answer({buffer.data(), static_cast<std::size_t>(got)}))) break;
    } catch (const MessageError&) {
      break;
    }
  }
  return finish();
}

}  // namespace fewwatt::hw
