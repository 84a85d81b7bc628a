#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace fewwatt::hw {

// An account of this machine, as /etc/passwd has it.
struct User {
  uid_t uid = 0;      // number of the account
  gid_t gid = 0;      // number of its own group
  std::string name;   // by which it logs in
  std::string home;   // path of its folder; may be ""
  std::string shell;  // path of its shell; may be ""
};

// The account of that name. Throws std::runtime_error in one sentence where there is none.
User find_user(const std::string& name);

// The user who called sudo (SUDO_UID, SUDO_GID); nullopt where this process is not root, or nobody or root called it. Throws
// std::runtime_error in one sentence where the variables are no numbers, or there is no such account.
std::optional<User> user_of_sudo();

// Gives this process the user's rights and groups for good: there is no way back to root, and nothing that is started from here gets
// more rights than the user has (no_new_privs). HOME, USER, LOGNAME, SHELL and MAIL become the user's (without a home there is no
// HOME); SUDO_* and the variables of root's session are removed. umask and the rest of the environment stay. To be called by root,
// before threads are started. Throws std::runtime_error in one sentence; then the process must end, since it may be half changed.
void become(const User& user);

}  // namespace fewwatt::hw
