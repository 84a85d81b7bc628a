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

// Where the board's files are, and how its power is measured.
struct JetsonOptions {
  std::string root;              // folder in which /sys, /proc and /etc lie; "" = the board's own
  std::string state;             // folder of what is to be put back; "" = root + "/run/fewwatt"
  TegrastatsOptions tegrastats;  // for boards whose rails cannot be read
  bool rails_only = false;  // true: never tegrastats; power() throws DeviceError where rails cannot be read

  std::string state_folder() const { return state.empty() ? root + "/run/fewwatt" : state; }  // never ""
};

// A Jetson whose clocks may be set. They are put back when this ends.
class LiveBoard : public MeasuredBoard {
 public:
  virtual const Board& board() const = 0;  // as its kernel describes it
  virtual std::size_t replayed()
      const = 0;  // number of controls that a crash had left, and that were put back
  // What the owner has set besides the knobs, and measurements depend on: nvpmodel's mode, units that are switched off.
  virtual std::map<std::string, std::string> setting() const = 0;
  // Puts the clocks back now. Returns a sentence for each control that is not as it was. Nothing may be called afterwards.
  virtual std::vector<std::string> restore() = 0;
};

// The present state of a board.
struct BoardView {
  // One rail of a power sensor.
  struct Sensor {
    std::string label, bus_address;  // as Rail::name() and Rail::bus_address
    std::optional<double> power_w;   // none: `problem` says why
    std::string problem;             // why there is no power, or why it cannot be right; "" = nothing
  };
  Board board;                    // its knobs
  PowerMode now;                  // a mode of space_of(board); empty where that has no knobs
  std::vector<Sensor> sensors;    // all rails
  std::optional<double> total_w;  // power of the module
  std::string total;              // what it is the sum of, or why there is none
  std::map<std::string, std::vector<std::string>>
      refused;  // paths of controls that may not be written, by reason
};

using Settings = std::vector<std::pair<KnobRole, int>>;  // some knobs and what they are set to
using ControlWrites = std::vector<std::pair<std::string, std::string>>;  // paths and what is written to them

// The mode with some settings changed, and the roles of the knobs that were changed. Throws std::invalid_argument for a knob that the
// space lacks, and as check_settings() (clocks.hpp).
std::pair<PowerMode, std::set<KnobRole>> changed(const PowerModeSpace& space, PowerMode mode,
                                                 const Settings& settings);

// What BoardAccess::change() did.
struct Change {
  PowerMode mode;        // of the board, afterwards
  ControlWrites writes;  // with a dry run: what would be written
};

// What BoardAccess::undo() did.
struct Undone {
  std::size_t controls = 0;       // number of controls that were put back
  std::vector<std::string> left;  // a sentence for each control that was given up
  ControlWrites writes;           // with a dry run: what would be written
};

// Everything for which fewwatt needs root's rights on a board. What runs as root is behind this interface, and nothing else is. Each
// function throws DeviceError in one sentence, and std::invalid_argument for a setting that the board lacks.
class BoardAccess {
 public:
  virtual ~BoardAccess() = default;
  // Opens the board for measuring. `time`, and this, must outlive it. One board at a time.
  virtual std::unique_ptr<LiveBoard> open(const JetsonOptions& options, Monotonic& time) = 0;
  // The present state of the board whose files are below `root`.
  virtual BoardView view(const std::string& root) = 0;
  // Sets some knobs; the others stay. What was before is remembered for undo().
  virtual Change change(const JetsonOptions& options, const Settings& settings, bool dry_run) = 0;
  // Puts back what a crash and change() left. `give_up`: what cannot be put back is left as it is.
  virtual Undone undo(const JetsonOptions& options, bool give_up, bool dry_run) = 0;
};

// Access in this process, with the rights that it has.
class DirectAccess final : public BoardAccess {
 public:
  std::unique_ptr<LiveBoard> open(const JetsonOptions& options, Monotonic& time) override;
  BoardView view(const std::string& root) override;
  Change change(const JetsonOptions& options, const Settings& settings, bool dry_run) override;
  Undone undo(const JetsonOptions& options, bool give_up, bool dry_run) override;
};

}  // namespace fewwatt::hw
