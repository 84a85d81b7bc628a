#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "hw/jetson/board.hpp"
#include "hw/jetson/monotonic.hpp"

namespace fewwatt::hw {

// What became of a setting that is not as it was asked for.
enum class Outcome {
  rejected,   // the kernel refused it
  busy,       // the kernel refused it for now
  rounded,    // another one was set, near it
  capped,     // a lower one was set: something else bounds it
  ignored,    // nothing changed
  timed_out,  // it was accepted, but the clock did not follow
};
std::string_view to_string(Outcome outcome);

// "<path>: <outcome>: wanted ..., found ...".
class ClockError : public DeviceError {
 public:
  ClockError(Outcome outcome, std::string path, const std::string& detail);
  Outcome outcome() const { return outcome_; }
  const std::string& path() const { return path_; }

 private:
  Outcome outcome_;
  std::string path_;
};

struct ClocksOptions {
  double cpu_deadline_s = 0.5, gpu_deadline_s = 2,
         memory_deadline_s = 2;  // from the write to the setting read back
  double poll_s = 0.01;
  bool wait_for_clocks = true;  // false: where nothing is written, nothing follows
};

// Sets the power modes of a board and reads them back. Writes through `files`; give it a JournaledSysfs.
class Clocks {
 public:
  Clocks(Sysfs& files, Monotonic& time, Board board, ClocksOptions options = {});

  const PowerModeSpace& space() const { return space_; }
  const Board& board() const { return board_; }

  // Cores on, limits of all clusters' clocks, the GPU's, the memory's rate, cores off; each read back. Throws
  // std::invalid_argument for a mode that the space lacks, naming the two nearest settings; ClockError. After an error some
  // of it is done.
  void apply(const PowerMode& mode);
  // apply() for some knobs; the others stay as they are.
  void apply(const PowerMode& mode, const std::set<KnobRole>& roles);

  // What the control files say now; of a clock that is not pinned, its upper limit.
  PowerMode current() const;

  // Every file that apply() may write to, that is there now.
  std::vector<std::string> controls() const;
  // Files whose content must be the same at the start and the end of a measurement.
  std::vector<std::string> watched() const;

 private:
  void set(const std::string& path, const std::string& value, double deadline_s);
  void write(const std::string& path, const std::string& value, double deadline_s);
  void set_limits(const ClockLimits& limits, const std::vector<std::int64_t>& levels, std::int64_t clock,
                  double deadline_s);
  void set_memory(std::int64_t rate);
  void reach(const std::string& path, std::int64_t wanted, std::int64_t before, double deadline_s,
             const std::function<Outcome(std::int64_t found)>& otherwise);

  Sysfs& files_;
  Monotonic& time_;
  Board board_;
  ClocksOptions options_;
  PowerModeSpace space_;
};

// What the control files say of one knob that the board has, as Clocks::current(). Throws DeviceError.
int setting_now(const Sysfs& files, const Board& board, KnobRole role);

// Throws std::invalid_argument for a setting of one of the knobs that is none of its levels, naming the two nearest.
void check_settings(const PowerModeSpace& space, const PowerMode& mode, const std::set<KnobRole>& roles);

// Whether Clocks may ever write to `path` on this board, whichever cores are on: no other path is put back.
bool is_control(const Board& board, const std::string& path);

}  // namespace fewwatt::hw
