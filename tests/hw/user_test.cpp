#include "hw/user.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>

#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace user_test {

// What `body` says in a process of its own.
std::string said_by(const std::function<std::string()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const auto child = ::fork();
  if (child == 0) {
    std::string text;
    try {
      text = body();
    } catch (const std::exception& e) {
      text = e.what();
    }
    [[maybe_unused]] const auto written = ::write(ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return text;
}

std::string shell(const std::string& script) {
  const tests::TempDir dir;  // in /tmp, where everybody may make one
  const auto out = dir / "out";
  [[maybe_unused]] const int status = std::system(("(" + script + ") >" + out + " 2>&1").c_str());
  return tests::read_text(out);
}

class BecomeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  }
};

TEST_F(BecomeTest, ThereIsNoWayBackAndNoGroupOfRoots) {
  EXPECT_EQ(said_by([] {
              become(find_user("nobody"));
              const int back = ::setuid(0) == 0 || ::seteuid(0) == 0 || ::setgid(0) == 0;
              return std::to_string(back) + ' ' +
                     shell("id -u; id -g; id -G; grep -E '^(CapPrm|CapEff|NoNewPrivs)' /proc/self/status");
            }),
            "0 65534\n65534\n65534\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_F(BecomeTest, WhatIsStartedFindsNothingOfRoots) {
  for (const std::string name : {"nobody", "daemon"}) {  // without a home, and with one
    const auto variables = said_by([&] {
      for (const char* variable :
           {"SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "SUDO_USER", "XDG_RUNTIME_DIR", "MAIL"})
        ::setenv(variable, "root's", 1);
      ::setenv("FEWWATT_TEST", "kept", 1);
      ::setenv("HOME", "/root", 1);
      ::setenv("SHELL", "/bin/bash", 1);
      become(find_user(name));
      return shell(
          "env | grep -E '^(SUDO_.*|HOME|USER|LOGNAME|SHELL|MAIL|XDG_RUNTIME_DIR|FEWWATT_TEST)=' | sort");
    });
    const auto user = find_user(name);
    const auto expected =
        "FEWWATT_TEST=kept\n" +
        (std::filesystem::is_directory(user.home) ? "HOME=" + user.home + '\n' : std::string()) +
        "LOGNAME=" + name + "\nMAIL=/var/mail/" + name + "\nSHELL=" + user.shell + "\nUSER=" + name + '\n';
    EXPECT_EQ(variables, expected);
  }
}

TEST_F(BecomeTest, TheUserOfSudoIsFoundByItsVariables) {
  const auto user_with = [](const char* uid, const char* gid) {
    return said_by([&] {
      if (uid != nullptr) ::setenv("SUDO_UID", uid, 1);
      if (gid != nullptr) ::setenv("SUDO_GID", gid, 1);
      const auto user = user_of_sudo();
      return user ? user->name + ' ' + std::to_string(user->gid) : std::string("none");
    });
  };
  EXPECT_EQ(user_with(nullptr, nullptr), "none");
  EXPECT_EQ(user_with("0", "0"), "none");
  EXPECT_EQ(user_with("65534", "65534"), "nobody 65534");
  EXPECT_EQ(user_with("65534", nullptr), "SUDO_GID: expected a whole number below 2^32 - 1, found \"\"");
  for (const std::string number : {"many", "-1", "4294967295", "4294967296", "99999999999999999999"}) {
    const auto refused = ": expected a whole number below 2^32 - 1, found \"" + number + '"';
    EXPECT_EQ(user_with(number.c_str(), "0"), "SUDO_UID" + refused);
    EXPECT_EQ(user_with("65534", number.c_str()), "SUDO_GID" + refused);
  }
  EXPECT_EQ(user_with("4000000000", "0"), "SUDO_UID: no user 4000000000");
  EXPECT_THROW(find_user("nobody-of-that-name"), std::runtime_error);
}

}  // namespace user_test
}  // namespace fewwatt::hw
