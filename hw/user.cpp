#include "hw/user.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <nss.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "hw/numbers.hpp"

namespace fewwatt::hw {
namespace {

// An account or a group. The highest number means none to the system's calls, which would leave root's.
std::uint32_t number_in(const char* variable) {
  const char* text = std::getenv(variable);
  const std::string digits = text == nullptr ? "" : text;
  const auto number = natural_number(digits, std::numeric_limits<std::uint32_t>::max() - 1);
  if (!number)
    throw std::runtime_error(std::string(variable) + ": expected a whole number below 2^32 - 1, found \"" +
                             digits + "\"");
  return static_cast<std::uint32_t>(*number);
}

void look_in_files_only() {
#ifdef FEWWATT_STATIC
  // A static C library would load what nsswitch.conf names from the board, where it was built for another C library.
  ::__nss_configure_lookup("passwd", "files");
  ::__nss_configure_lookup("group", "files");
#endif
}

// `ask(entry, memory, size, &found)`: getpwuid_r or getpwnam_r.
template <class Ask>
User account(const std::string& what, const Ask& ask) {
  look_in_files_only();
  std::vector<char> memory(1 << 16);
  passwd entry{}, *found = nullptr;
  const int code = ask(&entry, memory.data(), memory.size(), &found);
  if (found == nullptr)
    throw std::runtime_error(what + (code == 0 ? "" : std::string(": ") + std::strerror(code)));
  return {entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell};
}

[[noreturn]] void fail(const User& user, const std::string& tried) {
  throw std::runtime_error("cannot become user " + user.name + ": " + tried + ": " + std::strerror(errno));
}

bool has_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return true;
  return (data[0].permitted | data[0].effective | data[1].permitted | data[1].effective) != 0;
}

void set(const char* variable, const std::string& value) {
  if (value.empty())
    ::unsetenv(variable);
  else
    ::setenv(variable, value.c_str(), 1);
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

User find_user(const std::string& name) {
  return account("no user \"" + name + "\"",
                 [&](auto... arguments) { return ::getpwnam_r(name.c_str(), arguments...); });
}

std::optional<User> user_of_sudo() {
  if (::geteuid() != 0 || std::getenv("SUDO_UID") == nullptr) return std::nullopt;
  const auto uid = number_in("SUDO_UID");
  const auto gid = number_in("SUDO_GID");
  if (uid == 0) return std::nullopt;
  auto user = account("SUDO_UID: no user " + std::to_string(uid),
                      [&](auto... arguments) { return ::getpwuid_r(uid, arguments...); });
  user.gid = gid;
  return user;
}

void become(const User& user) {
  look_in_files_only();
  if (::initgroups(user.name.c_str(), user.gid) != 0) fail(user, "his groups");
  if (::prctl(PR_SET_KEEPCAPS, 0) != 0) fail(user, "capabilities");
  if (::setresgid(user.gid, user.gid, user.gid) != 0) fail(user, "his group");
  if (::setresuid(user.uid, user.uid, user.uid) != 0) fail(user, "his number");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(user, "no new privileges");
  uid_t uids[3] = {};
  gid_t gids[3] = {};
  ::getresuid(&uids[0], &uids[1], &uids[2]);
  ::getresgid(&gids[0], &gids[1], &gids[2]);
  for (int i = 0; i < 3; ++i)
    if (uids[i] != user.uid || gids[i] != user.gid) {
      errno = EPERM;
      fail(user, "some of root is left");
    }
  if (::setresuid(0, 0, 0) == 0 || ::setuid(0) == 0 || has_capabilities() ||
      (user.gid != 0 && ::setresgid(0, 0, 0) == 0)) {
    errno = EPERM;
    fail(user, "the way back to root is open");
  }

  set("HOME", is_folder(user.home) ? user.home : "");
  set("USER", user.name);
  set("LOGNAME", user.name);
  set("SHELL", user.shell);
  if (std::getenv("MAIL") != nullptr) set("MAIL", "/var/mail/" + user.name);
  // Else programs would look for root's desktop and message bus.
  for (const char* name : {"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY", "OLDPWD"})
    ::unsetenv(name);
  std::vector<std::string> of_sudo;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("SUDO_")) of_sudo.emplace_back(text.substr(0, text.find('=')));
  }
  for (const auto& name : of_sudo) ::unsetenv(name.c_str());
}

}  // namespace fewwatt::hw
