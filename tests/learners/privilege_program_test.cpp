// What programs do that root starts for a user: as sudo does, and with sudo itself.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/fake_sysfs.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"
#include "tests/trusted_dir.hpp"

namespace fewwatt::tests {
namespace privilege_program_test {

namespace fs = std::filesystem;

constexpr uid_t kUser = 65534;  // nobody, on Debian and Ubuntu; it has no home
const std::string kQuick = " --window-s 0.05 --minibatches 2 --stop-grace-s 1 ";
const std::string kHelper = "fewwatt_board_helper";

// Whether everybody may go there.
bool is_open(const fs::path& folder) {
  for (auto at = folder; at != at.root_path(); at = at.parent_path())
    if ((fs::status(at).permissions() & fs::perms::others_exec) == fs::perms::none) return false;
  return true;
}

// A board that belongs to root, and a user's folder.
class PrivilegeProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, which starts programs for another user";
    if (!emulator().empty()) GTEST_SKIP() << "needs programs that can be started without an emulator";
    trusted_ = std::make_unique<TrustedDir>();
    fs::permissions(trusted_->path(), fs::perms(0755));
    auto tree = tree_of(agx_orin(true), true);
    for (auto& [path, content] : tree.files)
      if (path.ends_with("/samples") || path.ends_with("/update_interval")) content = "1\n";
    tree.write(root());
    before_ = contents();
    fs::create_directory(secret());
    write_text(secret() + "/shadow", "root:secret\n");
    fs::permissions(secret(), fs::perms(0700));
    ASSERT_EQ(::chown(user_.path().c_str(), kUser, kUser), 0);
    bin_ = bin_dir();
    if (!is_open(bin_)) {
      bin_ = *trusted_ / "bin";
      fs::create_directory(bin_);
      for (const auto& entry : fs::directory_iterator(bin_dir()))
        if (const auto name = entry.path().filename().string();
            name == "fewwatt-profile" || name == "fewwatt-govern" || name == "fewwatt-device" ||
            name == "fewwatt-reader" || name == kHelper)
          fs::copy_file(entry.path(), bin_ + '/' + name);
    }
  }

  std::string root() const { return *trusted_ / "board"; }
  std::string secret() const { return *trusted_ / "secret"; }
  std::string user() const { return user_.path().string(); }
  std::string program(const std::string& verb) const { return bin_ + "/fewwatt-" + verb; }

  // A program of the user's that reports steps, after `first`.
  std::string workload(const std::string& first = "") const {
    const auto path = user() + "/program";
    write_text(path, "#!/bin/sh\n" + first + "\nwhile sleep 0.002; do echo >&$FEWWATT_STEP_FD; done\n");
    fs::permissions(path, fs::perms(0755));
    return path;
  }

  static std::string as_sudo() {
    return "env SUDO_UID=65534 SUDO_GID=65534 SUDO_USER=nobody SUDO_COMMAND=fewwatt HOME=/root "
           "SHELL=/bin/bash MAIL=/var/mail/root ";
  }
  std::string profile(const std::string& more, int modes = 2, const std::string& out = "p.h5") const {
    return program("profile") + " --device jetson --root " + root() + kQuick + "--workload toy --modes " +
           std::to_string(modes) + " --counters-s 0 --out " + user() + '/' + out + ' ' + more;
  }
  std::string govern(const std::string& more) const {
    return program("govern") + " --root " + root() + kQuick + "--learner gp --max-power-w 12 " + more;
  }

  ProgramResult run(const std::string& command) const {
    const auto out = *trusted_ / "out", err = *trusted_ / "err";
    const int status =
        std::system(("cd " + user() + " && " + command + " >" + out + " 2>" + err + " </dev/null").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(out), read_text(err)};
  }
  // Starts it, its errors going to err(); the number of the process.
  pid_t start(const std::string& command) const {
    const auto child = ::fork();
    if (child == 0) {
      const auto line = "cd " + user() + " && exec " + command + " >/dev/null 2>" + err() + " </dev/null";
      ::execl("/bin/sh", "sh", "-c", line.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    return child;
  }
  std::string err() const { return *trusted_ / "err"; }
  static int exit_code(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static pid_t helper_of(pid_t parent) {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const auto stat = read_text(entry.path().string() + "/stat");
      if (stat.find(" (" + kHelper.substr(0, 15) + ") ") == std::string::npos) continue;
      std::istringstream words(stat.substr(stat.rfind(')') + 2));
      std::string state;
      pid_t of = 0;
      words >> state >> of;
      if (of == parent) return std::stoi(entry.path().filename().string());
    }
    return 0;
  }
  template <class Done>
  static bool comes_true(const Done& done) {
    for (int i = 0; i < 3000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return done();
  }

  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(root()))
      if (entry.is_regular_file() && !entry.is_symlink() &&
          entry.path().string().find("/run/") == std::string::npos)
        all[entry.path().string()] = read_text(entry.path().string());
    return all;
  }
  bool changed() const { return contents() != before_; }

  // Names in the user's folder that do not belong to him.
  std::string not_the_users() const {
    std::string names;
    for (const auto& entry : fs::directory_iterator(user_.path())) {
      struct stat status {};
      ::lstat(entry.path().c_str(), &status);
      if (status.st_uid != kUser && entry.path().filename() != "program")
        names += entry.path().filename().string() + ' ';
    }
    return names;
  }
  void expect_nothing_of_roots_changed() const {
    EXPECT_EQ(read_text(secret() + "/shadow"), "root:secret\n");
    EXPECT_EQ(std::distance(fs::directory_iterator(secret()), fs::directory_iterator()), 1);
    EXPECT_EQ(not_the_users(), "");
    EXPECT_FALSE(changed());
  }

  std::unique_ptr<TrustedDir> trusted_;
  TempDir user_;
  std::string bin_;
  std::map<std::string, std::string> before_;
};

TEST_F(PrivilegeProgram, UnderSudoAllButTheClocksIsTheUsers) {
  const auto result = run("umask 027; " + as_sudo() + profile("--program-output -- ") +
                          workload("id -u >&2; id -g >&2; id -G >&2; env | grep -E "
                                   "'^(HOME|SUDO_|SHELL=/bin/bash|MAIL=/var/mail/root)' "
                                   ">&2; grep NoNewPrivs /proc/self/status >&2"));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("2 modes measured"), std::string::npos) << result.out;
  EXPECT_EQ(result.err.substr(0, result.err.find("NoNew")), "65534\n65534\n65534\n") << result.err;
  EXPECT_NE(result.err.find("NoNewPrivs:\t1"), std::string::npos) << result.err;
  struct stat status {};
  ASSERT_EQ(::stat((user() + "/p.h5").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kUser);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
  expect_nothing_of_roots_changed();
}

TEST_F(PrivilegeProgram, TheNamedPipeOfStepsIsTheUsersAlone) {
  const auto result = run(as_sudo() + profile("--program-output -- ") +
                          workload("stat -c '%u %a' \"$FEWWATT_STEP_PATH\" \"${FEWWATT_STEP_PATH%/*}\" >&2\n"
                                   "exec 3>&-\nexec 3>\"$FEWWATT_STEP_PATH\""));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "65534 600\n65534 700\n");
  EXPECT_EQ(not_the_users(), "");
}

TEST_F(PrivilegeProgram, RootMayNameTheUserOrStayRoot) {
  const auto workload_says = workload("id -u >&2");
  const auto named = run(profile("--user nobody --program-output -- ") + workload_says);
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(named.err.substr(0, 6), "65534\n");
  EXPECT_EQ(not_the_users(), "");
  fs::remove(user() + "/p.h5");
  // Root's own runs, with and without a word from sudo.
  for (const auto& command :
       {profile("--program-output -- "), as_sudo() + profile("--as-root --program-output -- ")}) {
    const auto root_run = run(command + workload_says);
    EXPECT_EQ(root_run.code, 0) << root_run.err;
    EXPECT_EQ(root_run.err.substr(0, 2), "0\n");
    fs::remove(user() + "/p.h5");
  }
  EXPECT_FALSE(changed());
  const auto none = run(profile("--user nobody-of-that-name -- true"));
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.err, "fewwatt profile: no user \"nobody-of-that-name\"\n");
  EXPECT_EQ(run(profile("--user nobody --as-root -- true")).code, 2);
  const auto not_root =
      run("setpriv --reuid=65534 --regid=65534 --clear-groups " + profile("--user nobody -- true"));
  EXPECT_EQ(not_root.code, 2);
  EXPECT_NE(not_root.err.find("only root can"), std::string::npos) << not_root.err;
  write_text(user() + "/options.ini", "as-root = true\n");
  const auto late = run(as_sudo() + profile("--config options.ini -- true"));
  EXPECT_EQ(late.code, 2);
  EXPECT_NE(late.err.find("options.ini, line 1: expected no --as-root in a file"), std::string::npos)
      << late.err;
}

// The program knows who started it, and what files that writes.
TEST_F(PrivilegeProgram, LinksThatTheProgramPlantsReachNothingOfRoots) {
  const auto plants = "cd " + user() +
                      "; for name in p.h5.tmp-$PPID p.h5.tmp p.h5.new p.h5.log.new; do ln -sf " + secret() +
                      "/new $name; done; [ -e planted ] || { rm -f p.h5.log; ln -s " + secret() +
                      "/shadow p.h5.log; }; touch planted";
  const auto program = workload(plants);
  fs::create_symlink(secret() + "/log", user() + "/p.h5.log");  // that leads nowhere
  ASSERT_EQ(::lchown((user() + "/p.h5.log").c_str(), kUser, kUser), 0);
  const auto refused = run(as_sudo() + profile("-- ") + program);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("p.h5.log"), std::string::npos) << refused.err;
  expect_nothing_of_roots_changed();
  fs::remove(user() + "/p.h5.log");
  run(as_sudo() + profile("-- ") + program);
  EXPECT_TRUE(fs::exists(user() + "/planted"));
  expect_nothing_of_roots_changed();
  run(as_sudo() + profile("--resume -- ") + program);  // with a log that is a link to a file of root's
  expect_nothing_of_roots_changed();
  for (const std::string name : {"g.csv", "m.csv"}) {
    fs::create_symlink(secret() + "/csv", user() + '/' + name);
    ASSERT_EQ(::lchown((user() + '/' + name).c_str(), kUser, kUser), 0);
  }
  const auto governed = run(as_sudo() + govern("--minutes 0.01 --log g.csv --out m.csv -- ") + program);
  EXPECT_EQ(governed.code, 1);
  EXPECT_NE(governed.err.find("g.csv: is there already"), std::string::npos) << governed.err;
  run(as_sudo() + govern("--minutes 0.01 --log other.csv --out m.csv -- ") + program);
  expect_nothing_of_roots_changed();
}

TEST_F(PrivilegeProgram, FilesOfRootsAreNotReadForTheUser) {
  write_text(secret() + "/options.ini", "quiet = true\n");
  const auto config = run(as_sudo() + profile("--config " + secret() + "/options.ini -- true"));
  EXPECT_EQ(config.code, 2);
  EXPECT_NE(config.err.find("Permission denied"), std::string::npos) << config.err;
  fs::remove(secret() + "/options.ini");
  const auto budget =
      run(as_sudo() + govern("--minutes 0.01 --budget-file " + secret() + "/shadow -- ") + workload());
  EXPECT_NE(budget.err.find("shadow: Permission denied; the budget stays 12 W"), std::string::npos)
      << budget.err;
  EXPECT_EQ(budget.err.find("root:secret"), std::string::npos);
  const auto init = run(as_sudo() + program("govern") + " --root " + root() + " --max-power-w 12 --init " +
                        secret() + "/shadow -- true");
  EXPECT_EQ(init.code, 1) << init.err;
  expect_nothing_of_roots_changed();
}

TEST_F(PrivilegeProgram, ABoardOrStateOfTheUsersIsNotUsed) {
  // A whole board that he made, with links to what he wants to be written.
  tree_of(agx_orin(true), true).write(user() + "/board");
  fs::create_directories(user() + "/state");
  for (const auto& entry : fs::recursive_directory_iterator(user_.path()))
    ASSERT_EQ(::lchown(entry.path().c_str(), kUser, kUser), 0);
  const auto device = as_sudo() + program("device") + " ";
  for (const auto& command :
       {as_sudo() + program("profile") + " --device jetson --workload w --root " + user() +
            "/board --out p.h5 -- true",
        device + "show --root " + user() + "/board",
        device + "apply --mode cpu_cores=2 --root " + user() + "/board",
        device + "restore --state " + user() + "/state --root " + root(),
        device + "restore --state " + user() + "/none --root " + root(),
        device + "apply --mode cpu_cores=2 --state " + user() + "/state --root " + root(),
        device + "restore --root " + user() + "/board"}) {
    const auto result = run(command);
    EXPECT_EQ(result.code, 1) << command;
    EXPECT_NE(result.err.find("only folders of root's below folders of root's are used as root"),
              std::string::npos)
        << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  EXPECT_TRUE(fs::is_empty(user() + "/state"));
  EXPECT_FALSE(fs::exists(user() + "/none"));
  const auto strange = run(device + "restore --state " + secret() + " --root " + root());
  EXPECT_EQ(strange.code, 1);
  EXPECT_NE(strange.err.find("holds a file that is not fewwatt's"), std::string::npos) << strange.err;
  // As root without sudo, too.
  const auto another = run(program("device") + " restore --state " + user() + "/state --root " + root());
  EXPECT_EQ(another.code, 1);
  EXPECT_NE(another.err.find("the folder belongs to user 65534, expected 0"), std::string::npos)
      << another.err;
  expect_nothing_of_roots_changed();
}

TEST_F(PrivilegeProgram, DeviceSetsAndRestoresThroughTheHelper) {
  const auto device = as_sudo() + program("device") + " --root " + root() + " ";
  const auto shown = run(device + "show --json");
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out, run(program("device") + " --root " + root() + " show --json").out);
  EXPECT_EQ(run(device + "apply --dry-run --mode cpu_cores=2").code, 0);
  EXPECT_FALSE(changed());
  EXPECT_EQ(run(device + "apply --mode cpu_cores=2").code, 0);
  EXPECT_TRUE(changed());
  EXPECT_EQ(run(device + "apply --mode cpu_cores=99").code, 1);
  EXPECT_NE(run(device + "restore --dry-run").out.find("would write"), std::string::npos);
  const auto restored = run(device + "restore");
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_FALSE(changed());
}

TEST_F(PrivilegeProgram, AHelperThatDiesEndsTheRunAndTheNextOnePutsBack) {
  for (const auto& command : {profile("-q -- ", 1000), govern("-q -- ")}) {
    const auto child = start(as_sudo() + command + workload("touch " + user() + "/started"));
    ASSERT_TRUE(comes_true([&] { return changed() && fs::exists(user() + "/started"); }));
    const auto helper = helper_of(child);
    ASSERT_GT(helper, 0);
    ::kill(helper, SIGKILL);
    EXPECT_EQ(exit_code(child), 1);
    const auto said = read_text(err());
    EXPECT_NE(said.find(": the process that sets the clocks was ended by signal 9 (Killed); what it had set "
                        "is put back by"),
              std::string::npos)
        << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_TRUE(changed());
    const auto restored = run(as_sudo() + program("device") + " restore --root " + root());
    EXPECT_EQ(restored.code, 0) << restored.err;
    EXPECT_FALSE(changed());
    fs::remove(user() + "/p.h5.log");
  }
}

TEST_F(PrivilegeProgram, TheHelperPutsBackWhenTheProgramIsKilledOrItIsTold) {
  for (const bool kills : {true, false}) {
    const auto child = start(as_sudo() + profile("-- ", 1000) + workload());
    ASSERT_TRUE(comes_true([&] { return changed(); }));
    const auto helper = helper_of(child);
    ASSERT_GT(helper, 0);
    ::kill(kills ? child : helper, kills ? SIGKILL : SIGTERM);
    EXPECT_EQ(exit_code(child), kills ? -1 : 1);
    EXPECT_TRUE(comes_true([&] { return !changed(); }));
    std::error_code ignored;
    fs::remove(user() + "/p.h5.log", ignored);
    fs::remove(user() + "/p.h5", ignored);
  }
}

TEST_F(PrivilegeProgram, WithoutTheHelperNothingIsDone) {
  const auto alone = *trusted_ / "alone";
  fs::create_directory(alone);
  fs::copy_file(program("device"), alone + "/fewwatt-device");
  const auto result = run(as_sudo() + alone + "/fewwatt-device apply --mode cpu_cores=2 --root " + root());
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "fewwatt device: " + alone + '/' + kHelper +
                            ": not there, or no program; only through it fewwatt sets the clocks\n");
  EXPECT_FALSE(changed());
}

TEST_F(PrivilegeProgram, TheHelperLinksNoLibraryThatReadsFiles) {
  const auto needs = run("readelf -d " + bin_ + '/' + kHelper);
  ASSERT_EQ(needs.code, 0) << needs.err;
  for (const char* library : {"hdf5", "json", "eigen", "boost", "libz", "torch"})
    EXPECT_EQ(needs.out.find(library), std::string::npos) << needs.out;
  const auto started = run(bin_ + '/' + kHelper);
  EXPECT_EQ(started.code, 2);
  EXPECT_NE(started.err.find("fewwatt starts this program itself"), std::string::npos) << started.err;
}

TEST_F(PrivilegeProgram, TheHelperOpensControlsSensorsAndTheJournalOnly) {
  if (std::system("strace -o /dev/null true 2>/dev/null") != 0)
    GTEST_SKIP() << "needs strace, and the right to use it";
  // In place of the helper a script that has it traced: it alone, for traced programs are slow.
  const auto alone = *trusted_ / "alone", trace = *trusted_ / "trace";
  fs::create_directory(alone);
  fs::copy_file(program("profile"), alone + "/fewwatt-profile");
  if (const auto reader = bin_ + "/fewwatt-reader"; fs::exists(reader))
    fs::copy_file(reader, alone + "/fewwatt-reader");
  write_text(alone + '/' + kHelper, "#!/bin/sh\nexec strace -f -o " + trace +
                                        " -e trace=%file,clone,fork,vfork " + bin_ + '/' + kHelper + '\n');
  fs::permissions(alone + '/' + kHelper, fs::perms(0755));
  auto command = profile("-- ", 1) + workload();
  command.replace(0, program("profile").size(), alone + "/fewwatt-profile");
  const auto result = run(as_sudo() + command);
  ASSERT_EQ(result.code, 0) << result.err;
  std::string lines;  // without the numbers of processes, and what begins the program
  std::istringstream traced(read_text(trace));
  for (std::string line; std::getline(traced, line);) {
    const auto call = line.substr(line.find_first_not_of("0123456789 "));
    if (!call.starts_with("execve(\"" + bin_)) lines += call + '\n';
  }
  ASSERT_NE(lines, "");
  std::istringstream in(lines);
  std::size_t written = 0, inside = 0;
  for (std::string line; std::getline(in, line);) {
    EXPECT_EQ(line.find("exec"), std::string::npos) << line;
    EXPECT_EQ(line.find("clone"), std::string::npos) << line;
    if (line.find("open") != 0) continue;
    const auto first = line.find('"') + 1;
    const auto path = line.substr(first, line.find('"', first) - first);
    const bool writes = line.find("O_RDONLY") == std::string::npos,
               here = line.starts_with("openat(AT_FDCWD, ");
    if (!here) {  // names in a folder that was opened: parts of paths that are checked, the journal
      EXPECT_TRUE(!writes || path == "lock" ||
                  (path.starts_with("clocks.journal.") && path.ends_with(".new")))
          << line;
      continue;
    }
    if (path.starts_with(root() + "/sys/")) {
      ++inside;
      written += writes ? 1 : 0;
      const bool control = path.ends_with("/online") || path.ends_with("_freq") ||
                           path.ends_with("/railgate_enable") || path.find("/bpmp/") != std::string::npos ||
                           path.ends_with("/nvpmodel_clk_cap/emc");
      EXPECT_TRUE(!writes || control) << line;
      continue;
    }
    EXPECT_FALSE(writes) << line;
    const bool board = path.starts_with(root() + "/proc/") || path == root() + "/etc/nv_tegra_release" ||
                       path == root() + "/var/lib/nvpmodel/status" || path == root() + "/run/fewwatt" ||
                       path == "/";
    const bool loader =
        path.find(".so") != std::string::npos || path.starts_with("/usr/lib") || path.starts_with("/lib");
    EXPECT_TRUE(board || loader) << line;
  }
  EXPECT_GT(inside, 100U);
  EXPECT_GT(written, 20U);
}

// In a mount namespace with files of its own for sudo and groups, so that nothing of this machine changes.
TEST_F(PrivilegeProgram, WithSudoItselfAllButTheClocksIsTheUsers) {
  const auto sudoers = *trusted_ / "sudoers", groups = *trusted_ / "group";
  write_text(sudoers, "nobody ALL=(root) NOPASSWD: ALL\n");
  fs::permissions(sudoers, fs::perms(0440));
  write_text(groups, read_text("/etc/group") + "fewwatt-test:x:61234:nobody\n");
  const auto with_sudo = [&](const std::string& command) {
    return run("unshare -m sh -c 'mount --bind " + sudoers + " /etc/sudoers && mount --bind " + groups +
               " /etc/group && exec setpriv --reuid=65534 --regid=65534 --clear-groups sudo -n " + command +
               "'");
  };
  if (with_sudo("true").code != 0) GTEST_SKIP() << "needs sudo, and the right to make a mount namespace";
  const auto result = with_sudo(profile("--program-output -- ") + workload("id -u >&2; id -G >&2"));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err.substr(0, 18), "65534\n65534 61234\n") << result.err;
  expect_nothing_of_roots_changed();
  fs::create_symlink(secret() + "/log", user() + "/q.h5.log");
  ASSERT_EQ(::lchown((user() + "/q.h5.log").c_str(), kUser, kUser), 0);
  with_sudo(profile("-- ", 2, "q.h5") +
            workload("ln -sf " + secret() + "/new " + user() + "/q.h5.tmp-$PPID"));
  expect_nothing_of_roots_changed();
}

}  // namespace privilege_program_test
}  // namespace fewwatt::tests
