#include "hw/jetson/board_access.hpp"

#include <signal.h>

#include <cstring>
#include <stdexcept>

#include "hw/jetson/dry_run.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/jetson/session.hpp"

namespace fewwatt::hw {
namespace {

// Signals wait while clocks are set and put back, which takes seconds at most.
class Unhurried {
 public:
  Unhurried() {
    sigset_t all;
    sigemptyset(&all);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&all, signal);
    sigprocmask(SIG_BLOCK, &all, &before_);
  }
  ~Unhurried() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Unhurried(const Unhurried&) = delete;
  Unhurried& operator=(const Unhurried&) = delete;

 private:
  sigset_t before_{};
};

// Sensors, and the sum that is the module's power, or why there is none.
void add_sensors(const Sysfs& files, BoardView& view) {
  const auto channels = find_channels(files);
  for (const auto& rail : channels) {
    // On every board some are not connected.
    if (rail.unused.starts_with("not connected")) continue;
    BoardView::Sensor sensor{rail.name(), rail.bus_address, std::nullopt, rail.unused};
    try {
      if (rail.unused.empty()) {
        sensor.problem = rail.problem;
        sensor.power_w = read_power_w(files, rail);
      }
    } catch (const DeviceError& e) {
      if (sensor.problem.empty()) sensor.problem = e.what();
    }
    view.sensors.push_back(sensor);
  }
  try {
    const auto total = total_of(channels, view.board.compatible);
    double watt = 0;
    for (const auto& rail : total.rails) watt += read_power_w(files, rail);
    if (!(watt > 0))
      throw DeviceError("cannot measure the power of the module: its rails read " + std::to_string(watt) +
                        " W in all (" + total.note + ')');
    view.total_w = watt;
    view.total = total.note;
  } catch (const DeviceError& e) {
    view.total = e.what();
  }
}

// What undo() would write.
ControlWrites writes_of_undo(const FileSysfs& files, const std::string& state) {
  ControlWrites writes;
  const auto folder = StateFolder::find(state);
  if (!folder) return writes;
  for (const std::string name : {"clocks.journal", "clocks.kept"}) {
    const Journal journal(*folder, name);
    if (!journal.exists()) continue;
    const auto content = journal.read();
    if (content.boot_id != boot_id(files)) continue;
    if (const auto why = why_not_to_restore(files, content.controls, journal.path()); !why.empty())
      throw DeviceError(why);
    DryRunSysfs dry(files);
    restore(dry, content.controls);
    writes.insert(writes.end(), dry.writes().begin(), dry.writes().end());
  }
  return writes;
}

}  // namespace

std::pair<PowerMode, std::set<KnobRole>> changed(const PowerModeSpace& space, PowerMode mode,
                                                 const Settings& settings) {
  std::set<KnobRole> roles;
  for (const auto& [role, setting] : settings) {
    const auto knob = space.knob_with(role);
    if (!knob)
      throw std::invalid_argument("this board has no knob " + std::string(to_string(role)) + "; it has " +
                                  describe_roles(space));
    roles.insert(role);
    mode[*knob] = setting;
  }
  check_settings(space, mode, roles);
  return {mode, roles};
}

std::unique_ptr<LiveBoard> DirectAccess::open(const JetsonOptions& options, Monotonic& time) {
  return std::make_unique<JetsonBoard>(options, time);
}

BoardView DirectAccess::view(const std::string& root) {
  FileSysfs files(root);
  SystemMonotonic time;
  BoardView view;
  view.board = find_board(files);
  add_sensors(files, view);
  if (!has_knobs(view.board)) return view;
  const Clocks clocks(files, time, view.board);
  view.now = clocks.current();
  for (const auto& path : clocks.controls())
    if (const int code = files.write_error(path); code != 0)
      view.refused[std::strerror(code)].push_back(path);
  return view;
}

Change DirectAccess::change(const JetsonOptions& options, const Settings& settings, bool dry_run) {
  FileSysfs files(options.root);
  SystemMonotonic time;
  const auto board = find_board(files);
  if (dry_run) {
    DryRunSysfs dry(files);
    Clocks clocks(dry, time, board, {.wait_for_clocks = false});
    const auto [mode, roles] = changed(clocks.space(), clocks.current(), settings);
    clocks.apply(mode, roles);
    return {mode, dry.writes()};
  }
  check_may_set(files, time, board);
  const Unhurried unhurried;
  ClockSession session(files, options.state_folder());
  Clocks clocks(session.files(), time, board);
  const auto [mode, roles] = changed(clocks.space(), clocks.current(), settings);
  session.files().save(clocks.controls());
  clocks.apply(mode, roles);
  session.keep();
  return {mode, {}};
}

Undone DirectAccess::undo(const JetsonOptions& options, bool give_up, bool dry_run) {
  FileSysfs files(options.root);
  Undone undone;
  if (dry_run) {
    undone.writes = writes_of_undo(files, options.state_folder());
    return undone;
  }
  if (!StateFolder::find(options.state_folder())) return undone;
  const Unhurried unhurried;
  ClockSession session(files, options.state_folder(), give_up);
  std::size_t kept = 0;
  const auto troubles = session.undo(kept);
  if (!troubles.empty()) throw DeviceError("not all was put back: " + troubles.front());
  undone.left = session.left();
  undone.controls = session.replayed() + kept;
  return undone;
}

}  // namespace fewwatt::hw
