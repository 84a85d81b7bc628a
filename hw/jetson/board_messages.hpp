#pragma once

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/message.hpp"

namespace fewwatt::hw {

// What a BoardServer may be asked for, and how answers look. A request is its kind and its arguments; an answer is an AnswerKind
// and either the result or, of an error, its text.
enum class BoardRequest : std::int64_t { open = 1, apply, power, state, restore, view, change, undo };
enum class AnswerKind : std::int64_t { result, device_error, invalid_argument, other_error };

inline constexpr std::size_t kLongestRequest = 1 << 14;  // bytes
inline constexpr std::size_t kLongestAnswer = 1 << 17;

void put(MessageWriter& to, const PowerMode& mode);
void put(MessageWriter& to, const Board& board);
void put(MessageWriter& to, const BoardState& state);
void put(MessageWriter& to, const BoardView& view);
void put(MessageWriter& to, const Settings& settings);
void put(MessageWriter& to, const ControlWrites& writes);
void put(MessageWriter& to, const std::vector<std::string>& texts);
void put(MessageWriter& to, const std::map<std::string, std::string>& texts);

// Each throws MessageError.
PowerMode take_mode(MessageReader& from);
Board take_board(MessageReader& from);
BoardState take_state(MessageReader& from);
BoardView take_view(MessageReader& from);
Settings take_settings(MessageReader& from);
ControlWrites take_writes(MessageReader& from);
std::vector<std::string> take_texts(MessageReader& from);
std::map<std::string, std::string> take_text_map(MessageReader& from);

}  // namespace fewwatt::hw
