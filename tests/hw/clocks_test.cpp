#include "hw/jetson/clocks.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/dry_run.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/jetson/session.hpp"
#include "hw/random.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/hw/fake_kernel.hpp"
#include "tests/hw/levels.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace clocks_test {

using tests::FakeBoard;
using tests::FakeKernel;
using tests::FakeTime;

using State = std::map<std::string, std::string>;  // of control files, by path

PowerMode random_mode(const PowerModeSpace& space, Rng& rng) {
  return space.at(static_cast<std::size_t>(rng.below(space.size())));
}

// All regular files of a tree, links followed once.
State contents(const std::string& root) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path()).rdbuf();
    all[entry.path().string()] = bytes.str();
  }
  return all;
}

// A line for each file that differs.
std::string differences(const State& before, const State& after) {
  std::string text;
  for (const auto& [path, content] : before) {
    const auto now = after.find(path);
    if (now == after.end())
      text += path + " is gone\n";
    else if (now->second != content)
      text += path + " was " + content + ", is " + now->second;
  }
  for (const auto& [path, content] : after)
    if (before.count(path) == 0) text += path + " is new\n";
  return text;
}

class OnEveryBoard : public ::testing::TestWithParam<FakeBoard> {};
INSTANTIATE_TEST_SUITE_P(Boards, OnEveryBoard, ::testing::ValuesIn(tests::fake_boards()), [](const auto& of) {
  auto name = of.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_P(OnEveryBoard, TheSpaceHasTheKernelsLevels) {
  const FakeKernel kernel(GetParam());
  const auto board = find_board(kernel);
  const auto space = space_of(board);
  EXPECT_TRUE(board.missing.empty());
  EXPECT_EQ(levels_of(space, KnobRole::cpu_khz), GetParam().cpu_khz);
  EXPECT_EQ(levels_of(space, KnobRole::gpu_khz), thousandth(GetParam().gpu_hz));
  EXPECT_EQ(levels_of(space, KnobRole::mem_khz), thousandth(GetParam().memory_hz));
  std::size_t cores = 0;
  for (const auto& cluster : GetParam().clusters) cores += cluster.size();
  EXPECT_EQ(space.knobs()[*space.knob_with(KnobRole::cpu_cores)].levels.size(), cores);
  EXPECT_EQ(board.release, GetParam().release);
  EXPECT_FALSE(board.jetpack.empty());
}

// The tests below run on the kernel's rules, and on real files that know none.
struct Rig {
  explicit Rig(const FakeBoard& board, bool real_files) {
    if (real_files) {
      tests::tree_of(board, true).write(folder.path().string());
      files = std::make_unique<FileSysfs>(folder.path().string());
    } else {
      files = std::make_unique<FakeKernel>(board);
    }
  }
  // Without the memory's rate where the kernel chooses it.
  State state() const {
    if (const auto* kernel = dynamic_cast<const FakeKernel*>(files.get())) {
      auto all = kernel->files();
      const auto lock = all.find("/sys/kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked");
      if (lock != all.end() && lock->second == "0\n") all.erase("/sys/kernel/debug/bpmp/debug/clk/emc/rate");
      return all;
    }
    return contents(folder.path().string());
  }
  tests::TempDir folder, session_folder;
  std::unique_ptr<Sysfs> files;
  FakeTime time;
};

class OnEveryTree : public ::testing::TestWithParam<std::tuple<FakeBoard, bool>> {};
INSTANTIATE_TEST_SUITE_P(Boards, OnEveryTree,
                         ::testing::Combine(::testing::ValuesIn(tests::fake_boards()), ::testing::Bool()),
                         [](const auto& of) {
                           auto name =
                               std::get<0>(of.param).name + (std::get<1>(of.param) ? "_files" : "_kernel");
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(OnEveryTree, ModesReadBackExactlyAndAllIsPutBack) {
  const auto& [board, real_files] = GetParam();
  Rig rig(board, real_files);
  const auto before = rig.state();
  {
    ClockSession session(*rig.files, rig.session_folder.path().string());
    Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    Rng rng(1);
    const int modes = real_files ? 40 : 200;
    for (int i = 0; i < modes; ++i) {
      const auto mode = random_mode(clocks.space(), rng);
      clocks.apply(mode);
      ASSERT_EQ(clocks.current(), mode);
    }
    EXPECT_NE(differences(before, rig.state()), "");
  }
  EXPECT_EQ(differences(before, rig.state()), "");
}

TEST_P(OnEveryTree, WhatACrashLeftIsPutBackByTheNextStart) {
  const auto& [board, real_files] = GetParam();
  Rig rig(board, real_files);
  const auto before = rig.state();
  // The crash: a session that never ends. Its lock ends with its process; here it is in another folder's name.
  const StateFolder state(rig.session_folder.path().string());
  const Journal journal(state, "clocks.journal");
  JournaledSysfs journaled(*rig.files, journal, boot_id(*rig.files));
  Clocks clocks(journaled, rig.time, find_board(*rig.files));
  journaled.save(clocks.controls());
  Rng rng(2);
  for (int i = 0; i < 3; ++i) clocks.apply(random_mode(clocks.space(), rng));
  ASSERT_TRUE(journal.exists());
  {
    const ClockSession next(*rig.files, rig.session_folder.path().string());
    EXPECT_GT(next.replayed(), 0U);
    EXPECT_EQ(differences(before, rig.state()), "");
  }
  EXPECT_EQ(differences(before, rig.state()), "");
  EXPECT_FALSE(journal.exists());
}

class OnBothKernels : public ::testing::TestWithParam<bool> {
 protected:
  FakeBoard board() const { return GetParam() ? tests::agx_xavier() : tests::agx_orin(true); }
};
INSTANTIATE_TEST_SUITE_P(Kernels, OnBothKernels, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "old" : "new"; });

// Runs three modes and leaves; returns whether something was thrown.
bool run_three_modes(Rig& rig) {
  try {
    ClockSession session(*rig.files, rig.session_folder.path().string());
    Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    Rng rng(3);
    for (int i = 0; i < 3; ++i) clocks.apply(random_mode(clocks.space(), rng));
  } catch (const std::exception&) {
    return true;
  }
  return false;
}

TEST_P(OnBothKernels, AfterAFailedWriteAllIsPutBackWhicheverItWas) {
  int total = 0;
  {
    Rig rig(board(), false);
    ASSERT_FALSE(run_three_modes(rig));
    total = dynamic_cast<FakeKernel&>(*rig.files).writes;
  }
  ASSERT_GT(total, 20);
  for (int n = 0; n < total; ++n) {
    Rig rig(board(), false);
    const auto before = rig.state();
    dynamic_cast<FakeKernel&>(*rig.files).faults.fail_write_at = n;
    run_three_modes(rig);
    ASSERT_EQ(differences(before, rig.state()), "") << "after write " << n;
  }
}

TEST_P(OnBothKernels, AfterAnExceptionAllIsPutBack) {
  Rig rig(board(), false);
  const auto before = rig.state();
  dynamic_cast<FakeKernel&>(*rig.files).faults.before_write = [](int n) {
    if (n == 12) throw std::logic_error("stop");
  };
  EXPECT_TRUE(run_three_modes(rig));
  EXPECT_EQ(differences(before, rig.state()), "");
}

// What a fault ends in, and that the controls are as before.
struct Fault {
  const char* name;
  std::function<void(FakeKernel&)> set;
  Outcome outcome;
};

class Faults : public ::testing::TestWithParam<Fault> {};
const std::string kEmcRate = "/sys/kernel/debug/bpmp/debug/clk/emc/rate";
const std::string kGpu = "/sys/devices/platform/17000000.gpu/devfreq/17000000.gpu";
const std::string kPolicy = "/sys/devices/system/cpu/cpufreq/policy0";
INSTANTIATE_TEST_SUITE_P(
    OfKernels, Faults,
    ::testing::Values(
        Fault{"GpuStuck", [](FakeKernel& k) { k.faults.gpu_stuck = true; }, Outcome::timed_out},
        Fault{"MemoryIgnores", [](FakeKernel& k) { k.faults.memory_ignores = true; }, Outcome::ignored},
        Fault{"MemoryReverts", [](FakeKernel& k) { k.faults.memory_reverts = true; }, Outcome::ignored},
        Fault{"MemoryCapIsFixed",
              [](FakeKernel& k) {
                k.faults.memory_cap = 2133000000;
                k.put("/sys/kernel/nvpmodel_clk_cap/emc", "2133000000\n");
              },
              Outcome::capped},
        Fault{"CoreIsBusy",
              [](FakeKernel& k) { k.faults.busy.insert("/sys/devices/system/cpu/cpu11/online"); },
              Outcome::busy},
        Fault{"ClockIsRounded", [](FakeKernel& k) { k.faults.rounds.insert(kPolicy + "/scaling_max_freq"); },
              Outcome::rounded},
        Fault{"ClockIsCapped", [](FakeKernel& k) { k.faults.caps[kPolicy + "/scaling_max_freq"] = 1190400; },
              Outcome::capped},
        Fault{"MinimumIsRounded", [](FakeKernel& k) { k.faults.rounds.insert(kGpu + "/min_freq"); },
              Outcome::rounded}),
    [](const auto& of) { return of.param.name; });

TEST_P(Faults, EndInTheirOutcomeAndAllIsPutBack) {
  Rig rig(tests::agx_orin(true), false);
  auto& kernel = dynamic_cast<FakeKernel&>(*rig.files);
  GetParam().set(kernel);
  const auto before = rig.state();
  {
    ClockSession session(*rig.files, rig.session_folder.path().string());
    Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    const PowerMode high{11, 1651200, 1122000, 3199000};
    try {
      clocks.apply(high);
      ADD_FAILURE() << "no error";
    } catch (const ClockError& e) {
      EXPECT_EQ(e.outcome(), GetParam().outcome) << e.what();
      EXPECT_NE(std::string(e.what()).find(e.path()), std::string::npos);
    }
    kernel.faults.memory_reverts = false;
    kernel.faults.rounds.clear();
    kernel.faults.caps.clear();
  }
  EXPECT_EQ(differences(before, rig.state()), "");
}

class ClusterThatIsOff : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Files, ClusterThatIsOff, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "readable" : "gone"; });

TEST_P(ClusterThatIsOff, IsSwitchedOnAndOffAgain) {
  auto board = tests::agx_orin(true);
  board.off = {8, 9, 10, 11};
  Rig rig(board, false);
  dynamic_cast<FakeKernel&>(*rig.files).faults.dead_clusters_readable = GetParam();
  const auto before = rig.state();
  {
    ClockSession session(*rig.files, rig.session_folder.path().string());
    Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    const PowerMode all{12, 960000, 612000, 2133000}, few{2, 1036800, 612000, 2133000};
    clocks.apply(all);
    EXPECT_EQ(clocks.current(), all);
    EXPECT_EQ(rig.files->read("/sys/devices/system/cpu/cpufreq/policy8/scaling_max_freq"), "960000");
    clocks.apply(few);
    EXPECT_EQ(clocks.current(), few);
  }
  EXPECT_EQ(differences(before, rig.state()), "");
}

TEST(Clocks, TheFirstCoresOfATx2AreThoseOfItsFirstCluster) {
  Rig rig(tests::fake_boards()[6], false);
  const auto board = find_board(*rig.files);
  EXPECT_EQ(board.cpus, (std::vector<int>{0, 3, 4, 5, 1, 2}));
}

TEST(Clocks, AClockThatTheBoardLacksIsRefusedWithTheNearest) {
  Rig rig(tests::agx_orin(true), false);
  Clocks clocks(*rig.files, rig.time, find_board(*rig.files));
  const auto before = rig.state();
  try {
    clocks.apply({12, 960000, 650000, 2133000});
    ADD_FAILURE() << "no error";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("gpu_khz"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("612000 and 714000"), std::string::npos) << e.what();
  }
  for (const int cores : {0, 13})
    EXPECT_THROW(clocks.apply({cores, 960000, 612000, 2133000}), std::invalid_argument);
  EXPECT_EQ(differences(before, rig.state()), "");
}

TEST(Clocks, AMemoryClockThatIsFreeStandsAtWhatItMayReach) {
  Rig rig(tests::agx_orin(true), false);
  const Clocks clocks(*rig.files, rig.time, find_board(*rig.files));
  EXPECT_EQ(clocks.current()[3], 3199000);
  rig.files->write("/sys/kernel/nvpmodel_clk_cap/emc", "2133000000");
  EXPECT_EQ(clocks.current()[3], 2133000);
}

TEST(Clocks, KnobsThatAreNotNamedStay) {
  Rig rig(tests::agx_orin(true), false);
  const auto before = rig.state();
  Clocks clocks(*rig.files, rig.time, find_board(*rig.files));
  clocks.apply({4, 1, 1, 1}, {KnobRole::cpu_cores});
  auto after = rig.state();
  for (auto file = after.begin(); file != after.end();) {
    const bool of_cores = file->first.find("/online") != std::string::npos ||
                          file->first.find("affected_cpus") != std::string::npos;
    file = of_cores ? after.erase(file) : std::next(file);
  }
  for (const auto& [path, content] : after) EXPECT_EQ(content, before.at(path)) << path;
  EXPECT_EQ(clocks.current()[0], 4);
}

TEST(ClockSession, WhatCannotBePutBackIsNoTrapForLaterRuns) {
  Rig rig(tests::agx_orin(true), false);
  auto& kernel = dynamic_cast<FakeKernel&>(*rig.files);
  const auto folder = rig.session_folder.path().string();
  const StateFolder state(folder);
  const Journal journal(state, "clocks.journal");
  journal.write({boot_id(kernel), {{kPolicy + "/scaling_max_freq", "960000"}}});
  kernel.faults.busy.insert(kPolicy + "/scaling_max_freq");
  EXPECT_THROW(ClockSession(kernel, folder), DeviceError);
  const ClockSession session(kernel, folder, true);
  EXPECT_EQ(session.left().size(), 1U);
  EXPECT_FALSE(journal.exists());
}

// An early exit, before anything was written: the rate has moved meanwhile, and nobody may care.
TEST(ClockSession, ARateThatTheKernelChoosesIsNotPutBack) {
  Rig rig(tests::agx_orin(true), false);
  const auto folder = rig.session_folder.path().string();
  for (int i = 0; i < 2; ++i) {
    ClockSession session(*rig.files, folder);
    const Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    EXPECT_TRUE(session.restore().empty());
  }
}

TEST(Clocks, WithoutDebugfsTheMemoryIsNoKnob) {
  auto board = tests::agx_orin(true);
  auto tree = tests::tree_of(board);
  std::erase_if(tree.files, [](const auto& file) { return file.first.starts_with("/sys/kernel/debug"); });
  const tests::TempDir folder;
  tree.write(folder.path().string());
  const FileSysfs files(folder.path().string());
  const auto found = find_board(files);
  EXPECT_FALSE(space_of(found).knob_with(KnobRole::mem_khz));
  ASSERT_EQ(found.missing.size(), 1U);
  EXPECT_EQ(found.missing[0].what, "mem_khz");
  EXPECT_NE(found.missing[0].why.find("debugfs"), std::string::npos);
}

TEST(ClockSession, ASecondOneIsLockedOut) {
  Rig rig(tests::agx_orin(true), false);
  const ClockSession first(*rig.files, rig.session_folder.path().string());
  try {
    const ClockSession second(*rig.files, rig.session_folder.path().string());
    ADD_FAILURE() << "no error";
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("another fewwatt"), std::string::npos);
  }
}

TEST(ClockSession, AJournalOfAnotherBootIsRemoved) {
  Rig rig(tests::agx_orin(true), false);
  const StateFolder state(rig.session_folder.path().string());
  const Journal journal(state, "clocks.journal");
  journal.write({"another-boot", {{kPolicy + "/scaling_max_freq", "115200"}}});
  const auto before = rig.state();
  const ClockSession session(*rig.files, rig.session_folder.path().string());
  EXPECT_EQ(session.replayed(), 0U);
  EXPECT_FALSE(journal.exists());
  EXPECT_EQ(differences(before, rig.state()), "");
}

TEST(ClockSession, ADamagedJournalIsRefusedWhereverItIsCut) {
  Rig rig(tests::agx_orin(true), false);
  const StateFolder state(rig.session_folder.path().string());
  const Journal journal(state, "clocks.journal");
  journal.write({boot_id(*rig.files), {{kPolicy + "/scaling_max_freq", "115200"}, {kEmcRate, "204000000"}}});
  std::ostringstream bytes;
  bytes << std::ifstream(journal.path()).rdbuf();
  const auto whole = bytes.str();
  const auto before = rig.state();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(journal.path(), std::ios::binary) << whole.substr(0, size);
    EXPECT_THROW(ClockSession(*rig.files, rig.session_folder.path().string()), DeviceError) << size;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] ^= 1;
    std::ofstream(journal.path(), std::ios::binary) << damaged;
    EXPECT_THROW(ClockSession(*rig.files, rig.session_folder.path().string()), DeviceError) << at;
  }
  EXPECT_EQ(differences(before, rig.state()), "");
}

TEST(ClockSession, WhatWasKeptIsUndoneToWhatWasBeforeTheFirst) {
  Rig rig(tests::agx_orin(true), false);
  const auto before = rig.state();
  for (const PowerMode mode :
       {PowerMode{4, 960000, 612000, 2133000}, PowerMode{12, 1267200, 408000, 665600}}) {
    ClockSession session(*rig.files, rig.session_folder.path().string());
    Clocks clocks(session.files(), rig.time, find_board(*rig.files));
    session.files().save(clocks.controls());
    clocks.apply(mode);
    session.keep();
    EXPECT_EQ(clocks.current(), mode);
  }
  ClockSession session(*rig.files, rig.session_folder.path().string());
  std::size_t count = 0;
  EXPECT_TRUE(session.undo(count).empty());
  EXPECT_GT(count, 10U);
  EXPECT_EQ(differences(before, rig.state()), "");
  EXPECT_TRUE(session.undo(count).empty());
  EXPECT_EQ(count, 0U);
}

}  // namespace clocks_test
}  // namespace fewwatt::hw
