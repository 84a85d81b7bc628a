#include "hw/jetson/board_messages.hpp"

namespace fewwatt::hw {
namespace {

constexpr std::size_t kMostElements = 8192;

template <class List, class Put>
void put_list(MessageWriter& to, const List& list, const Put& put_one) {
  to.count(list.size());
  for (const auto& element : list) put_one(element);
}

template <class Take>
auto take_list(MessageReader& from, const Take& take_one) {
  std::vector<decltype(take_one())> list;
  for (auto left = from.count(kMostElements); left > 0; --left) list.push_back(take_one());
  return list;
}

void put_numbers(MessageWriter& to, const auto& numbers) {
  put_list(to, numbers, [&](std::int64_t number) { to.number(number); });
}

int take_int(MessageReader& from) {
  return static_cast<int>(from.number(std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

void put_optional(MessageWriter& to, const std::optional<double>& value) {
  to.number(value ? 1 : 0);
  if (value) to.real(*value);
}

std::optional<double> take_optional(MessageReader& from) {
  return from.flag() ? std::optional(from.real()) : std::nullopt;
}

KnobRole take_role(MessageReader& from) {
  return kKnobRoles[static_cast<std::size_t>(from.number(0, kKnobRoles.size() - 1))];
}

}  // namespace

void put(MessageWriter& to, const std::vector<std::string>& texts) {
  put_list(to, texts, [&](const std::string& text) { to.text(text); });
}

std::vector<std::string> take_texts(MessageReader& from) {
  return take_list(from, [&] { return from.text(); });
}

void put(MessageWriter& to, const std::map<std::string, std::string>& texts) {
  put_list(to, texts, [&](const auto& entry) {
    to.text(entry.first);
    to.text(entry.second);
  });
}

std::map<std::string, std::string> take_text_map(MessageReader& from) {
  std::map<std::string, std::string> texts;
  for (auto left = from.count(kMostElements); left > 0; --left) {
    auto name = from.text();
    texts[std::move(name)] = from.text();
  }
  return texts;
}

void put(MessageWriter& to, const ControlWrites& writes) {
  put_list(to, writes, [&](const auto& write) {
    to.text(write.first);
    to.text(write.second);
  });
}

ControlWrites take_writes(MessageReader& from) {
  return take_list(from, [&] {
    auto path = from.text();
    return std::pair(std::move(path), from.text());
  });
}

void put(MessageWriter& to, const PowerMode& mode) {
  put_numbers(to, std::vector<int>(mode.begin(), mode.end()));
}

PowerMode take_mode(MessageReader& from) {
  PowerMode mode;
  std::vector<int> settings;
  for (auto left = from.count(PowerMode::kMaxKnobs); left > 0; --left) settings.push_back(take_int(from));
  return PowerMode(settings);
}

void put(MessageWriter& to, const Settings& settings) {
  put_list(to, settings, [&](const auto& setting) {
    to.number(static_cast<std::int64_t>(setting.first));
    to.number(setting.second);
  });
}

Settings take_settings(MessageReader& from) {
  Settings settings;
  for (auto left = from.count(kKnobRoles.size()); left > 0; --left) {
    const auto role = take_role(from);
    settings.emplace_back(role, take_int(from));
  }
  return settings;
}

void put(MessageWriter& to, const Board& board) {
  for (const auto* text : {&board.model, &board.release, &board.jetpack}) to.text(*text);
  put(to, board.compatible);
  put_numbers(to, board.cpus);
  put_numbers(to, board.cpu_levels);
  to.number(board.gpu ? 1 : 0);
  if (board.gpu) {
    to.text(board.gpu->devfreq);
    to.text(board.gpu->device);
    put_numbers(to, board.gpu->levels);
  }
  to.number(board.memory ? 1 : 0);
  if (board.memory) {
    to.number(static_cast<std::int64_t>(board.memory->kind));
    for (const auto* text : {&board.memory->folder, &board.memory->cap, &board.memory->halt}) to.text(*text);
    to.number(board.memory->zero_uncaps ? 1 : 0);
    put_numbers(to, board.memory->levels);
  }
  put_list(to, board.missing, [&](const Missing& missing) {
    to.text(missing.what);
    to.text(missing.why);
  });
  put(to, board.notes);
}

Board take_board(MessageReader& from) {
  const auto numbers = [&] { return take_list(from, [&] { return from.number(); }); };
  Board board;
  for (auto* text : {&board.model, &board.release, &board.jetpack}) *text = from.text();
  board.compatible = take_texts(from);
  board.cpus = take_list(from, [&] { return take_int(from); });
  board.cpu_levels = numbers();
  if (from.flag()) {
    board.gpu.emplace();
    board.gpu->devfreq = from.text();
    board.gpu->device = from.text();
    board.gpu->levels = numbers();
  }
  if (from.flag()) {
    board.memory.emplace();
    board.memory->kind =
        static_cast<MemoryClock::Kind>(from.number(0, static_cast<int>(MemoryClock::Kind::devfreq)));
    for (auto* text : {&board.memory->folder, &board.memory->cap, &board.memory->halt}) *text = from.text();
    board.memory->zero_uncaps = from.flag();
    board.memory->levels = numbers();
  }
  board.missing = take_list(from, [&] {
    auto what = from.text();
    return Missing{std::move(what), from.text()};
  });
  board.notes = take_texts(from);
  return board;
}

void put(MessageWriter& to, const BoardState& state) {
  put_list(to, state.over_current, [&](const auto& counter) {
    to.text(counter.first);
    to.number(counter.second);
  });
  put_list(to, state.cooling, [&](const CoolingDevice& device) {
    to.text(device.name);
    to.number(device.state);
  });
  put_list(to, state.zones, [&](const ThermalZone& zone) {
    to.text(zone.name);
    put_optional(to, zone.temp_c);
    put_optional(to, zone.trip_c);
  });
  put_numbers(to, state.online_cpus);
  to.text(state.boot_id);
  put(to, state.controls);
}

BoardState take_state(MessageReader& from) {
  BoardState state;
  for (auto left = from.count(kMostElements); left > 0; --left) {
    auto path = from.text();
    state.over_current[std::move(path)] = from.number();
  }
  state.cooling = take_list(from, [&] {
    auto name = from.text();
    return CoolingDevice{std::move(name), from.number()};
  });
  state.zones = take_list(from, [&] {
    ThermalZone zone;
    zone.name = from.text();
    zone.temp_c = take_optional(from);
    zone.trip_c = take_optional(from);
    return zone;
  });
  state.online_cpus = take_list(from, [&] { return take_int(from); });
  state.boot_id = from.text();
  state.controls = take_text_map(from);
  return state;
}

void put(MessageWriter& to, const BoardView& view) {
  put(to, view.board);
  put(to, view.now);
  put_list(to, view.sensors, [&](const BoardView::Sensor& sensor) {
    to.text(sensor.label);
    to.text(sensor.bus_address);
    put_optional(to, sensor.power_w);
    to.text(sensor.problem);
  });
  put_optional(to, view.total_w);
  to.text(view.total);
  put_list(to, view.refused, [&](const auto& reason) {
    to.text(reason.first);
    put(to, reason.second);
  });
}

BoardView take_view(MessageReader& from) {
  BoardView view;
  view.board = take_board(from);
  view.now = take_mode(from);
  view.sensors = take_list(from, [&] {
    BoardView::Sensor sensor;
    sensor.label = from.text();
    sensor.bus_address = from.text();
    sensor.power_w = take_optional(from);
    sensor.problem = from.text();
    return sensor;
  });
  view.total_w = take_optional(from);
  view.total = from.text();
  for (auto left = from.count(kMostElements); left > 0; --left) {
    auto reason = from.text();
    view.refused[std::move(reason)] = take_texts(from);
  }
  return view;
}

}  // namespace fewwatt::hw
