#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hw/jetson/journal.hpp"

namespace fewwatt::hw {

// A process's right to change a board's clocks. Only one process has it at a time. When the session ends, also by an exception, the
// controls are put back. After a crash the next session puts them back first.
class ClockSession {
 public:
  // `folder` is a real path, made where it is missing: "/run/fewwatt" on a board, since settings and /run are both gone after a restart.
  // Throws DeviceError: another process has the session, StateFolder refuses the folder, or a journal that a crash left is damaged or
  // names a file that is no control of this board. A journal of another boot is removed: its settings are gone. With `give_up`, what
  // cannot or must not be put back is no error; left() names it.
  ClockSession(Sysfs& files, std::string folder, bool give_up = false);
  ~ClockSession();
  ClockSession(const ClockSession&) = delete;
  ClockSession& operator=(const ClockSession&) = delete;

  // The files to write through. Call save() for everything that will be written before the first write.
  JournaledSysfs& files() { return *journaled_; }

  // Number of controls that were put back at the start, because the process before this one did not.
  std::size_t replayed() const { return replayed_; }
  // A sentence for each control that was given up.
  const std::vector<std::string>& left() const { return left_; }

  // Puts everything back now. Returns a sentence for each control that is not as it was; where there is none, the journal is removed.
  std::vector<std::string> restore();

  // Leaves the controls as they are set. What they were before is remembered until undo(), or until the board restarts.
  void keep();
  // Puts back what keep() left, in this and all earlier sessions since the board started. Returns what restore() does; `count` gets the
  // number of controls put back. Throws DeviceError as the constructor does, unless that was told to give up.
  std::vector<std::string> undo(std::size_t& count);

 private:
  std::vector<SavedControl> controls_in(const Journal& journal, const Journal::Content& content);

  Sysfs& files_;
  bool give_up_;
  StateFolder folder_;
  Descriptor lock_;
  Journal journal_, kept_;
  std::string boot_;
  std::size_t replayed_ = 0;
  std::vector<std::string> left_;
  std::unique_ptr<JournaledSysfs> journaled_;
  bool done_ = false;
};

// Why these controls must not be put back on this board, in one sentence that begins with `journal`; "" when they may. Each must be a
// control of this board (is_control) and hold a whole number, and there must be no more than a few hundred.
std::string why_not_to_restore(const Sysfs& files, const std::vector<SavedControl>& controls,
                               const std::string& journal);

}  // namespace fewwatt::hw
