#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "hw/jetson/board.hpp"
#include "hw/jetson/monotonic.hpp"

namespace fewwatt::hw {

// How a setting turned out that is not as it was asked for.
enum class Outcome {
  rejected,   // the kernel refused it
  busy,       // the kernel refused it for now
  rounded,    // another one was set, near it
  capped,     // a lower one was set: something else bounds it
  ignored,    // nothing changed
  timed_out,  // it was accepted, but the clock did not follow
};
std::string_view to_string(Outcome outcome);  // "rejected", "timed out", ...

// A clock could not be set: "<path>: <outcome>: wanted ..., found ...".
class ClockError : public DeviceError {
 public:
  // `detail` is what follows the outcome in the message.
  ClockError(Outcome outcome, std::string path, const std::string& detail);
  Outcome outcome() const { return outcome_; }       // how the setting turned out
  const std::string& path() const { return path_; }  // of the control file

 private:
  Outcome outcome_;
  std::string path_;
};

// How long Clocks waits for a clock to follow.
struct ClocksOptions {
  double cpu_deadline_s = 0.5;   // from the write until the CPU's clock is read back as set, at most
  double gpu_deadline_s = 2;     // the same of the GPU's
  double memory_deadline_s = 2;  // the same of the memory's
  double poll_s = 0.01;          // between two looks
  bool wait_for_clocks = true;   // false for a dry run, where no clock follows
};

// Sets the power modes of a board and reads them back. Writes through `files`; give it a JournaledSysfs.
class Clocks {
 public:
  // `files` and `time` must outlive it. Throws DeviceError as space_of(board).
  Clocks(Sysfs& files, Monotonic& time, Board board, ClocksOptions options = {});

  const PowerModeSpace& space() const { return space_; }  // space_of(board())
  const Board& board() const { return board_; }           // whose clocks are set

  // Sets a mode: cores on, the limits of all clusters' clocks and of the GPU's, the memory's rate, cores off. Each is read back. Throws
  // std::invalid_argument for a mode that the space lacks, naming the two nearest settings; ClockError. After an error a part of it
  // is done.
  void apply(const PowerMode& mode);
  // The same for some knobs; the others stay as they are.
  void apply(const PowerMode& mode, const std::set<KnobRole>& roles);

  // The mode that the control files say now. For a clock that is not pinned it is the upper limit.
  PowerMode current() const;

  // Every file that exists now and that apply() may write to.
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

// The setting of one knob of the board, as Clocks::current() has it. Throws DeviceError.
int setting_now(const Sysfs& files, const Board& board, KnobRole role);

// Throws std::invalid_argument unless the settings of these knobs are levels of theirs, naming the two nearest levels.
void check_settings(const PowerModeSpace& space, const PowerMode& mode, const std::set<KnobRole>& roles);

// Whether Clocks may ever write to `path` on this board, whichever cores are on: no other path is put back.
bool is_control(const Board& board, const std::string& path);

}  // namespace fewwatt::hw
