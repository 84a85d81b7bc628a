#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace fewwatt::hw {

// An account of this machine.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name, home, shell;
};

// Throws std::runtime_error in one sentence where there is no such account.
User find_user(const std::string& name);

// Who called sudo (SUDO_UID, SUDO_GID); nullopt where we are not root, nobody did, or root did. Throws std::runtime_error in one
// sentence where the variables are no numbers, or there is no such account.
std::optional<User> user_of_sudo();

// Makes this process the user's for good, with all his groups: no way leads back to root, and nothing that is started from here
// gets more rights than he has (no_new_privs). HOME, USER, LOGNAME, SHELL and MAIL become his, without a home there is no HOME;
// SUDO_* and the variables of root's session go. umask and the rest of the environment stay. To be called by root, before
// threads are started. Throws std::runtime_error in one sentence; then the process must end, for it may be half changed.
void become(const User& user);

}  // namespace fewwatt::hw
