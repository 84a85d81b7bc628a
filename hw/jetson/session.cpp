#include "hw/jetson/session.hpp"

#include <algorithm>

#include "hw/jetson/clocks.hpp"

namespace fewwatt::hw {
namespace {

constexpr std::size_t kMostControls = 512;
constexpr std::size_t kMostShown = 120;  // bytes of an entry

// As much of outside text as a sentence may hold.
std::string shown(const std::string& text) {
  std::string safe = text.substr(0, kMostShown);
  for (char& c : safe)
    if (c < ' ' || c > '~') c = '?';
  return safe + (text.size() > kMostShown ? "..." : "");
}

bool is_number(const std::string& text) {
  try {
    parse_number(text, "");
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

// "" when the entry may be put back.
std::string why_not(const Sysfs& files, const Board& board, const SavedControl& control) {
  if (!is_control(board, control.path)) return "is no control of this board's clocks";
  if (!is_number(control.value)) return "held \"" + shown(control.value) + "\", expected a whole number";
  try {
    if (!files.resolve(control.path).starts_with("/sys/")) return "leads out of /sys";
  } catch (const SysfsError&) {  // of a cluster that is off; writing looks again
  } catch (const DeviceError& e) {
    return std::string("leads out of /sys: ") + e.what();
  }
  return "";
}

std::string too_many(std::size_t count) {
  return "has " + std::to_string(count) + " entries, expected at most " + std::to_string(kMostControls);
}

std::string refused(const SavedControl& control, std::size_t at, const std::string& why) {
  return "entry " + std::to_string(at + 1) + ", " + shown(control.path) + ", " + why;
}

}  // namespace

ClockSession::ClockSession(Sysfs& files, std::string folder, bool give_up)
    : files_(files),
      give_up_(give_up),
      folder_(folder),
      lock_(folder_.lock("lock")),
      journal_(folder_, "clocks.journal"),
      kept_(folder_, "clocks.kept"),
      boot_(boot_id(files)) {
  folder_.remove_leftovers();
  if (journal_.exists()) {
    const auto left = journal_.read();
    if (left.boot_id == boot_) {
      const auto controls = controls_in(journal_, left);
      const auto troubles = hw::restore(files_, controls);
      if (!troubles.empty() && !give_up)
        throw DeviceError("cannot put back what a run before this one changed: " + troubles.front() +
                          "; fewwatt device restore --give-up leaves such controls as they are");
      left_.insert(left_.end(), troubles.begin(), troubles.end());
      replayed_ = controls.size();
    }
    journal_.remove();
  }
  journaled_ = std::make_unique<JournaledSysfs>(files_, journal_, boot_);
}

// The controls that may be put back. Any other is an error, or is named in left_.
std::vector<SavedControl> ClockSession::controls_in(const Journal& journal, const Journal::Content& content) {
  const auto& all = content.controls;
  if (!give_up_) {
    if (const auto why = why_not_to_restore(files_, all, journal.path()); !why.empty())
      throw DeviceError(why + "; fewwatt device restore --give-up leaves such entries out");
    return all;
  }
  if (all.size() > kMostControls) {
    left_.push_back(journal.path() + ' ' + too_many(all.size()));
    return {};
  }
  const auto board = find_board(files_, Unreadable::kept);
  std::vector<SavedControl> controls;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto why = why_not(files_, board, all[i]);
    if (why.empty())
      controls.push_back(all[i]);
    else
      left_.push_back(journal.path() + ": " + refused(all[i], i, why));
  }
  return controls;
}

ClockSession::~ClockSession() {
  if (done_) return;
  try {
    restore();
  } catch (const std::exception&) {  // the journal is still there, for the next start
  }
}

std::vector<std::string> ClockSession::restore() {
  auto troubles = hw::restore(files_, journaled_->saved());
  if (troubles.empty()) {
    journal_.remove();
    done_ = true;
  }
  return troubles;
}

void ClockSession::keep() {
  Journal::Content content{boot_, {}};
  if (kept_.exists())
    if (auto before = kept_.read(); before.boot_id == boot_) content = std::move(before);
  for (const auto& control : journaled_->saved()) {
    const auto same = [&](const SavedControl& other) { return other.path == control.path; };
    if (std::none_of(content.controls.begin(), content.controls.end(), same))
      content.controls.push_back(control);
  }
  kept_.write(content);
  journal_.remove();
  done_ = true;
}

std::vector<std::string> ClockSession::undo(std::size_t& count) {
  count = 0;
  if (!kept_.exists()) return {};
  const auto content = kept_.read();
  if (content.boot_id == boot_) {
    const auto controls = controls_in(kept_, content);
    auto troubles = hw::restore(files_, controls);
    if (!troubles.empty()) return troubles;
    count = controls.size();
  }
  kept_.remove();
  return {};
}

std::string why_not_to_restore(const Sysfs& files, const std::vector<SavedControl>& controls,
                               const std::string& journal) {
  if (controls.empty()) return "";
  if (controls.size() > kMostControls) return journal + ' ' + too_many(controls.size());
  const auto board = find_board(files, Unreadable::kept);
  for (std::size_t i = 0; i < controls.size(); ++i)
    if (const auto why = why_not(files, board, controls[i]); !why.empty())
      return journal + ": " + refused(controls[i], i, why);
  return "";
}

}  // namespace fewwatt::hw
