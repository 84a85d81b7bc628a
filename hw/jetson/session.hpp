#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hw/jetson/journal.hpp"

namespace fewwatt::hw {

// The right to change a board's clocks, and the duty to put them back. While it lives no other process has it; when it
// ends, also by an exception, the controls are as before. After a crash the next one puts them back first.
class ClockSession {
 public:
  // `folder` is a real path, made where it is missing; "/run/fewwatt" on a board, since settings and /run both end with the
  // boot. Throws DeviceError: another process has the session, the folder is none that StateFolder takes, or a journal that a
  // crash left is damaged, or names what is no control of this board. One of another boot is removed: those settings are gone.
  // `give_up`: what cannot or must not be put back is left so, in `left()`, where it would be an error.
  ClockSession(Sysfs& files, std::string folder, bool give_up = false);
  ~ClockSession();
  ClockSession(const ClockSession&) = delete;
  ClockSession& operator=(const ClockSession&) = delete;

  // The files to write through. Save what will be written before the first write.
  JournaledSysfs& files() { return *journaled_; }

  // What was put back at the start, since a process before this one did not.
  std::size_t replayed() const { return replayed_; }
  const std::vector<std::string>& left() const { return left_; }

  // Puts all back, now; returns a sentence for each control that is not as it was. Where there is none, the journal goes.
  std::vector<std::string> restore();

  // What was set stays; what it was before is remembered until undo(), or until the board restarts.
  void keep();
  // Puts back what keep() left, of all sessions since the board started; as restore(). `count`: controls put back. Throws
  // DeviceError as the constructor does, unless that was told to give up.
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

// Why `content` must not be written to the files of this board, in one sentence that begins with `journal`; "" when it may. Only
// controls of this board (is_control) hold whole numbers that are put back, and a few hundred at most.
std::string why_not_to_restore(const Sysfs& files, const std::vector<SavedControl>& controls,
                               const std::string& journal);

}  // namespace fewwatt::hw
