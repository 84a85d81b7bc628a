#include "hw/jetson/session.hpp"

#include <gtest/gtest.h>

#include "hw/jetson/measured_boards.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace session_test {

const std::string kMaxClock = "/sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq";

// A board of real files, and the journal of a run before that did not end.
struct Rig {
  Rig() : state(folder.path().string() + "/state"), journal(state, "clocks.journal") {
    tests::tree_of(tests::agx_orin(true), true).write(root());
    files = std::make_unique<FileSysfs>(root());
  }
  std::string root() const { return folder.path().string() + "/board"; }
  void left(std::vector<SavedControl> controls) const {
    journal.write({boot_id(*files), std::move(controls)});
  }
  std::string error() const {
    try {
      const ClockSession session(*files, state.path());
      return "";
    } catch (const DeviceError& e) {
      return e.what();
    }
  }

  tests::TempDir folder;
  StateFolder state;
  Journal journal;
  std::unique_ptr<FileSysfs> files;
};

void expect_says(const std::string& error, const std::string& part) {
  EXPECT_NE(error.find(part), std::string::npos) << "\"" << error << "\" does not say " << part;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(Session, EveryControlThatIsEverWrittenIsOneThatMayBePutBack) {
  for (const auto& fake : tests::fake_boards()) {
    const tests::TempDir folder;
    tests::tree_of(fake, true).write(folder.path().string());
    FileSysfs files(folder.path().string());
    SystemMonotonic time;
    const auto board = find_board(files);
    const Clocks clocks(files, time, board);
    for (const auto& path : clocks.controls()) EXPECT_TRUE(is_control(board, path)) << path;
    for (const auto* path :
         {"/sys/devices/system/cpu/cpu99/online", "/etc/shadow", "/sys/kernel/uevent_helper",
          "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "",
          "/sys/devices/system/cpu/cpu0/../cpu0/online"})
      EXPECT_FALSE(is_control(board, path)) << path;
  }
}

TEST(Session, PutsBackWhatACrashLeft) {
  const Rig rig;
  rig.left({{kMaxClock, "960000"}});
  const ClockSession session(*rig.files, rig.state.path());
  EXPECT_EQ(session.replayed(), 1U);
  EXPECT_EQ(rig.files->read(kMaxClock), "960000");
}

// A write that was cut off may leave a control empty: then the knob cannot be set, but is put back.
TEST(Session, PutsBackWhatCannotBeReadNow) {
  const std::string online = "/sys/devices/system/cpu/cpu1/online";
  for (const std::string& path :
       {std::string("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"), online}) {
    const Rig rig;
    const auto before = rig.files->read(path);
    tests::write_text(rig.root() + path, "");
    EXPECT_FALSE(find_board(*rig.files).missing.empty());
    rig.left({{path, before}});
    const ClockSession session(*rig.files, rig.state.path());
    EXPECT_EQ(session.replayed(), 1U);
    EXPECT_EQ(rig.files->read(path), before);
  }
}

TEST(Session, AJournalNeverWritesAnotherFileThanAControl) {
  const Rig rig;
  tests::write_text(rig.folder / "outside", "1\n");
  const std::string outside = "/sys/../../outside",
                    other = "/sys/devices/system/cpu/cpufreq/policy4/scaling_governor",
                    root = "/sys/devices/system/cpu/../../../etc/nv_tegra_release",
                    helper = "/sys/kernel/uevent_helper";
  tests::write_text(rig.root() + helper, "1\n");
  for (const auto& path : {outside, other, root, helper, std::string("/etc/nv_tegra_release"),
                           std::string("sys"), std::string("/sys/devices/system/cpu/cpu40/online")}) {
    const auto before = tests::read_text(rig.root() + path);
    rig.left({{kMaxClock, "960000"}, {path, "0"}});
    expect_says(rig.error(), "entry 2, " + path + ", is no control of this board's clocks");
    EXPECT_EQ(tests::read_text(rig.root() + path), before) << path;
    EXPECT_NE(rig.files->read(kMaxClock), "960000");  // nothing of such a journal is believed
  }
  // Unless the user gives up what is wrong.
  const ClockSession session(*rig.files, rig.state.path(), true);
  ASSERT_EQ(session.left().size(), 1U);
  expect_says(session.left().front(), "cpu40/online, is no control");
  EXPECT_EQ(rig.files->read(kMaxClock), "960000");
  EXPECT_FALSE(rig.journal.exists());
}

TEST(Session, AControlThatIsALinkOutOfSysIsNotWritten) {
  const Rig rig;
  tests::write_text(rig.root() + "/etc/precious", "1\n");
  tests::write_text(rig.folder / "outside", "1\n");
  const auto control = rig.root() + kMaxClock;
  const auto linked_to = [&](const std::string& target) {
    std::filesystem::remove(control);
    std::filesystem::create_symlink(target, control);
    rig.left({{kMaxClock, "0"}});
  };
  // As on the board itself, links begin at its root, and none leads out of that.
  for (const std::string target : {"/etc/precious", "../../../../../../../../../../../etc/precious"}) {
    linked_to(target);
    expect_says(rig.error(), "leads out of /sys");
    EXPECT_THROW(rig.files->write(kMaxClock, "0"), DeviceError);
  }
  for (const auto& target : {rig.root() + "/etc/precious", rig.folder / "outside"}) {
    linked_to(target);
    expect_says(rig.error(), "No such file");
    EXPECT_THROW(rig.files->write(kMaxClock, "0"), DeviceError);
    EXPECT_EQ(tests::read_text(target), "1\n");
  }
}

TEST(Session, WhatIsNoNumberIsNotWritten) {
  const Rig rig;
  for (const std::string value : {"", "performance", "1 2", "$(reboot)"}) {
    rig.left({{kMaxClock, value}});
    expect_says(rig.error(), "expected a whole number");
  }
}

TEST(Session, AJournalOfTenThousandEntriesIsRefused) {
  const Rig rig;
  rig.left(std::vector<SavedControl>(10000, {kMaxClock, "960000"}));
  expect_says(rig.error(), "has 10000 entries, expected at most 512");
  const ClockSession session(*rig.files, rig.state.path(), true);
  EXPECT_EQ(session.replayed(), 0U);
  EXPECT_EQ(session.left().size(), 1U);
}

TEST(Session, AJournalOfAnotherBoardIsRefused) {
  const Rig rig;
  std::vector<SavedControl> controls;
  {
    const tests::TempDir other;
    tests::tree_of(tests::agx_xavier(), true).write(other.path().string());
    FileSysfs files(other.path().string());
    SystemMonotonic time;
    for (const auto& path : Clocks(files, time, find_board(files)).controls())
      controls.push_back({path, files.read(path)});
  }
  rig.left(controls);
  expect_says(rig.error(), "is no control of this board's clocks");
  // The same from what was kept.
  rig.journal.remove();
  const Journal kept(rig.state, "clocks.kept");
  kept.write({boot_id(*rig.files), controls});
  ClockSession session(*rig.files, rig.state.path());
  std::size_t count = 0;
  EXPECT_THROW(session.undo(count), DeviceError);
}

TEST(Session, ControlCharactersOfAJournalAreNotShown) {
  const Rig rig;
  rig.left({{"/sys/\x1b[2Jx" + std::string(4000, 'y'), "1"}});
  const auto error = rig.error();
  expect_says(error, "/sys/?[2Jx");
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_LT(error.size(), 500U);
}

}  // namespace session_test
}  // namespace fewwatt::hw
