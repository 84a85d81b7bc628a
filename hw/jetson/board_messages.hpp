#pragma once

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/message.hpp"

namespace fewwatt::hw {

// What a BoardServer may be asked for: functions of BoardAccess and LiveBoard. A request is one of these and the arguments.
enum class BoardRequest : std::int64_t {
  open = 1,  // BoardAccess::open
  apply,     // MeasuredBoard::apply
  power,     // PowerSource::power_w
  state,     // MeasuredBoard::state
  restore,   // LiveBoard::restore
  view,      // BoardAccess::view
  change,    // BoardAccess::change
  undo       // BoardAccess::undo
};
// How an answer begins; the result, or the text of the error, follows.
enum class AnswerKind : std::int64_t {
  result,            // the function's result
  device_error,      // it threw DeviceError
  invalid_argument,  // it threw std::invalid_argument
  other_error        // it threw something else
};

inline constexpr std::size_t kLongestRequest = 1 << 14;  // bytes
inline constexpr std::size_t kLongestAnswer = 1 << 17;   // bytes

// Each adds a value to a message.
void put(MessageWriter& to, const PowerMode& mode);
void put(MessageWriter& to, const Board& board);
void put(MessageWriter& to, const BoardState& state);
void put(MessageWriter& to, const BoardView& view);
void put(MessageWriter& to, const Settings& settings);
void put(MessageWriter& to, const ControlWrites& writes);
void put(MessageWriter& to, const std::vector<std::string>& texts);
void put(MessageWriter& to, const std::map<std::string, std::string>& texts);

// Each takes a value off a message. Throws MessageError.
PowerMode take_mode(MessageReader& from);
Board take_board(MessageReader& from);
BoardState take_state(MessageReader& from);
BoardView take_view(MessageReader& from);
Settings take_settings(MessageReader& from);
ControlWrites take_writes(MessageReader& from);
std::vector<std::string> take_texts(MessageReader& from);
std::map<std::string, std::string> take_text_map(MessageReader& from);

}  // namespace fewwatt::hw
