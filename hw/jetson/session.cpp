#include "hw/jetson/session.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace fewwatt::hw {

class ClockSession::Lock {
 public:
  explicit Lock(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw DeviceError(folder + ": cannot create: " + error.message());
    const auto path = folder + "/lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) throw DeviceError(path + ": cannot open: " + std::strerror(errno));
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int code = errno;
      ::close(fd_);
      throw DeviceError(path + (code == EWOULDBLOCK ? std::string(": another fewwatt has the board's clocks")
                                                    : std::string(": cannot lock: ") + std::strerror(code)));
    }
  }
  ~Lock() { ::close(fd_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int fd_ = -1;
};

ClockSession::ClockSession(Sysfs& files, std::string folder, bool give_up)
    : files_(files),
      lock_(std::make_unique<Lock>(folder)),
      journal_(folder + "/clocks.journal"),
      kept_(folder + "/clocks.kept"),
      boot_(boot_id(files)) {
  if (journal_.exists()) {
    const auto left = journal_.read();
    if (left.boot_id == boot_) {
      left_ = hw::restore(files_, left.controls);
      if (!left_.empty() && !give_up)
        throw DeviceError("cannot put back what a run before this one changed: " + left_.front() +
                          "; fewwatt device restore --give-up leaves such controls as they are");
      replayed_ = left.controls.size();
    }
    journal_.remove();
  }
  journaled_ = std::make_unique<JournaledSysfs>(files_, journal_, boot_);
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
    auto troubles = hw::restore(files_, content.controls);
    if (!troubles.empty()) return troubles;
    count = content.controls.size();
  }
  kept_.remove();
  return {};
}

}  // namespace fewwatt::hw
