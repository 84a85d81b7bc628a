#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/jetson/board.hpp"
#include "hw/jetson/profiler.hpp"

namespace fewwatt::hw {

struct JetsonOptions {
  std::string root;   // folder in which /sys, /proc and /etc lie; "" = the board's own
  std::string state;  // folder of what is to be put back; "" = root + "/run/fewwatt"
  TegrastatsOptions tegrastats;
  bool rails_only = false;  // no tegrastats where rails cannot be read: power() throws DeviceError then

  std::string state_folder() const { return state.empty() ? root + "/run/fewwatt" : state; }
};

// A Jetson whose clocks may be set, and are put back when this ends.
class LiveBoard : public MeasuredBoard {
 public:
  virtual const Board& board() const = 0;
  virtual std::size_t replayed() const = 0;  // controls that a crash had left, and that were put back
  // What the owner has set besides the knobs, and measurements depend on: nvpmodel's mode, units that are switched off.
  virtual std::map<std::string, std::string> setting() const = 0;
  // Puts the clocks back, now. Sentences for what is not as it was. Nothing but the end may follow.
  virtual std::vector<std::string> restore() = 0;
};

// A board as it stands.
struct BoardView {
  struct Sensor {
    std::string label, bus_address;  // label: as Rail::name()
    std::optional<double> power_w;   // none: `problem` says why
    std::string problem;             // also where the power cannot be
  };
  Board board;
  PowerMode now;  // of space_of(board); empty where that has no knobs
  std::vector<Sensor> sensors;
  std::optional<double> total_w;                            // power of the module
  std::string total;                                        // what it is the sum of, or why there is none
  std::map<std::string, std::vector<std::string>> refused;  // controls that may not be written, by reason
};

using Settings = std::vector<std::pair<KnobRole, int>>;
using ControlWrites = std::vector<std::pair<std::string, std::string>>;  // path, value

// A mode of `space` with some settings changed, and the knobs that were. Throws std::invalid_argument for a knob that the space lacks,
// and as check_settings() (clocks.hpp).
std::pair<PowerMode, std::set<KnobRole>> changed(const PowerModeSpace& space, PowerMode mode,
                                                 const Settings& settings);

struct Change {
  PowerMode mode;        // of the board, afterwards
  ControlWrites writes;  // with a dry run: what would be written
};

struct Undone {
  std::size_t controls = 0;       // that were put back
  std::vector<std::string> left;  // sentences, of what was given up
  ControlWrites writes;           // with a dry run: what would be written
};

// Everything for which fewwatt needs the rights of root, on this board: the border between what runs as root and what does not.
class BoardAccess {
 public:
  virtual ~BoardAccess() = default;
  // Each throws DeviceError in one sentence; std::invalid_argument for a setting that the board lacks.
  // The board, to be measured. `time`, and this, must outlive it. One at a time.
  virtual std::unique_ptr<LiveBoard> open(const JetsonOptions& options, Monotonic& time) = 0;
  virtual BoardView view(const std::string& root) = 0;
  // Sets some knobs; the others stay. What was before is remembered for undo().
  virtual Change change(const JetsonOptions& options, const Settings& settings, bool dry_run) = 0;
  // Puts back what a crash and change() left. `give_up`: what cannot be put back is left as it is.
  virtual Undone undo(const JetsonOptions& options, bool give_up, bool dry_run) = 0;
};

// In this process, with the rights that it has.
class DirectAccess final : public BoardAccess {
 public:
  std::unique_ptr<LiveBoard> open(const JetsonOptions& options, Monotonic& time) override;
  BoardView view(const std::string& root) override;
  Change change(const JetsonOptions& options, const Settings& settings, bool dry_run) override;
  Undone undo(const JetsonOptions& options, bool give_up, bool dry_run) override;
};

}  // namespace fewwatt::hw
