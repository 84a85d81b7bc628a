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
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace {

using tests::FakeBoard;
using tests::FakeKernel;
using tests::FakeTime;

using State = std::map<std::string, std::string>;  // of control files, by path

PowerMode random_mode(const PowerModeSpace& space, Rng& rng) {
  return space.at(static_cast<std::size_t>(rng.below(space.size())));
}

std::vector<long long> levels_of(const PowerModeSpace& space, KnobRole role) {
  const auto& levels = space.knobs()[*space.knob_with(role)].levels;
  return {levels.begin(), levels.end()};
}

std::vector<long long> thousandth(std::vector<long long> values) {
  for (auto& value : values) value /= 1000;
  return values;
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

// A board as files, some of which are changed or missing.
class BoardWith {
 public:
  BoardWith(const FakeBoard& board, const std::function<void(tests::FakeTree&)>& change) {
    auto tree = tests::tree_of(board);
    change(tree);
    tree.write(folder_.path().string());
  }
  FileSysfs files() const { return FileSysfs(root()); }
  std::string root() const { return folder_.path().string(); }

 private:
  tests::TempDir folder_;
};

void remove(tests::FakeTree& tree, const std::string& part) {
  std::erase_if(tree.files, [&](const auto& file) { return file.first.find(part) != std::string::npos; });
  std::erase_if(tree.links, [&](const auto& link) { return link.first.find(part) != std::string::npos; });
}

const std::string kPolicies = "/sys/devices/system/cpu/cpufreq/";

TEST(Board, WithoutClocksOfTheCpuTheOtherKnobsAreThere) {
  for (const std::string gone : {"/cpufreq", "/scaling_available_frequencies"}) {
    const BoardWith with(tests::agx_orin(true), [&](auto& tree) { remove(tree, gone); });
    auto files = with.files();
    const auto board = find_board(files);
    const auto space = space_of(board);
    EXPECT_EQ(describe_roles(space), "cpu_cores, gpu_khz, mem_khz") << gone;
    ASSERT_EQ(board.missing.size(), 1U) << gone;
    EXPECT_EQ(board.missing[0].what, "cpu_khz");
    EXPECT_NE(board.missing[0].why.find("/cpufreq"), std::string::npos) << board.missing[0].why;
    FakeTime time;
    DryRunSysfs dry(files);
    Clocks clocks(dry, time, board, {.wait_for_clocks = false});
    EXPECT_EQ(clocks.current().size(), 3U);
    EXPECT_NO_THROW(clocks.apply(space.at(0)));
    EXPECT_FALSE(dry.writes().empty());
  }
}

TEST(Board, WithoutADeviceTreeTheReleaseSaysThatItIsAJetson) {
  const auto no_tree = [](auto& tree) { remove(tree, "/proc/device-tree"); };
  const BoardWith with(tests::agx_orin(true), no_tree);
  const auto board = find_board(with.files());
  EXPECT_EQ(space_of(board).knobs().size(), 4U);
  EXPECT_EQ(board.model, "Jetson");
  EXPECT_EQ(board.jetpack, "6.2");
  ASSERT_EQ(board.missing.size(), 1U);
  EXPECT_EQ(board.missing[0].what, "model");
  EXPECT_NE(board.missing[0].why.find("/proc/device-tree/compatible"), std::string::npos);
  const BoardWith by_family(tests::agx_orin(true), [&](auto& tree) {
    no_tree(tree);
    remove(tree, "/etc/nv_tegra_release");
    tree.files["/sys/devices/soc0/family"] = "Tegra\n";
  });
  EXPECT_EQ(find_board(by_family.files()).missing.at(0).what, "model");
  const BoardWith neither(tests::agx_orin(true), [&](auto& tree) {
    no_tree(tree);
    remove(tree, "/etc/nv_tegra_release");
  });
  EXPECT_THROW(find_board(neither.files()), DeviceError);
  // The board of another maker with a release file of NVIDIA's is none.
  const BoardWith other(tests::agx_orin(true), [&](auto& tree) {
    tree.files["/proc/device-tree/compatible"] = tests::nul_ended({"raspberrypi,5"});
    tree.files["/proc/device-tree/model"] = "Raspberry Pi";
  });
  EXPECT_THROW(find_board(other.files()), DeviceError);
}

TEST(Board, MemoryClocksThatAreAssumedAreSaidToBe) {
  const auto no_list = [](auto& tree) { remove(tree, "/bpmp/debug/emc/"); };
  const BoardWith with(tests::agx_orin(true), no_list);
  const auto board = find_board(with.files());
  EXPECT_EQ(levels_of(space_of(board), KnobRole::mem_khz), thousandth(tests::kOrinMemory));
  ASSERT_EQ(board.notes.size(), 1U);
  EXPECT_NE(board.notes[0].find("assumed"), std::string::npos) << board.notes[0];
  EXPECT_NE(board.notes[0].find("204000 665600 2133000 3199000"), std::string::npos) << board.notes[0];

  // The highest that the kernel tells is a level, whatever is known of such modules.
  const BoardWith higher(tests::agx_orin(true), [&](auto& tree) {
    no_list(tree);
    tree.files["/sys/kernel/debug/bpmp/debug/clk/emc/max_rate"] = "4266000000\n";
  });
  EXPECT_EQ(levels_of(space_of(find_board(higher.files())), KnobRole::mem_khz).back(), 4266000);

  // Of a board that nobody knows there is nothing to assume.
  auto unknown = tests::agx_orin(true);
  unknown.compatible = tests::nul_ended({"nvidia,p9999-0000", "nvidia,tegra999"});
  const BoardWith none(unknown, no_list);
  const auto without = find_board(none.files());
  EXPECT_FALSE(space_of(without).knob_with(KnobRole::mem_khz));
  EXPECT_EQ(without.missing.at(0).what, "mem_khz");

  const FakeKernel listed(tests::agx_orin(true));
  EXPECT_TRUE(find_board(listed).notes.empty());
}

TEST(Board, AGpuWithoutANodeIsFoundByWhatDevfreqCallsIt) {
  const auto gpu_called = [](const std::vector<std::string>& names) {
    auto tree = tests::FakeTree();
    for (const auto& name : names) {
      const auto folder = "/sys/devices/pci0000:00/0000:01:00.0/devfreq/" + name;
      tree.files[folder + "/available_frequencies"] =
          std::to_string(300000000 + 1000000 * name.size()) + '\n';
      tree.files[folder + "/max_freq"] = "300000000\n";
      tree.links[folder + "/device"] = "../..";
      tree.links["/sys/class/devfreq/" + name] = tests::relative_link("/sys/class/devfreq/" + name, folder);
    }
    const BoardWith with(tests::agx_orin(true), [&](auto& all) {
      remove(all, "17000000.gpu");
      all.files.insert(tree.files.begin(), tree.files.end());
      all.links.insert(tree.links.begin(), tree.links.end());
    });
    const auto board = find_board(with.files());
    return board.gpu ? std::filesystem::path(board.gpu->devfreq).filename().string()
                     : board.missing.at(0).what;
  };
  EXPECT_EQ(gpu_called({"gpu-gpc-0", "gpu-nvd-0"}), "gpu-gpc-0");
  EXPECT_EQ(gpu_called({"gpu-nvd-0", "gpu-gpc-1"}), "gpu-gpc-1");
  EXPECT_EQ(gpu_called({"0000:01:00.0-gpu", "bwmgr"}), "0000:01:00.0-gpu");
  EXPECT_EQ(gpu_called({"gpu-nvd-0", "gpu-sys-0"}), "gpu_khz") << "nobody knows which";
  EXPECT_EQ(gpu_called({"gpu-nvd-0"}), "gpu_khz") << "a part of it";
  EXPECT_EQ(gpu_called({"notagpu", "bwmgr"}), "gpu_khz");
}

TEST(Board, NumbersThatNoKnobCanHoldAreNamedAndNotCutOff) {
  const auto board_with = [](const std::string& path, const std::string& text) {
    const BoardWith with(tests::agx_orin(true), [&](auto& tree) { tree.files[path] = text; });
    return find_board(with.files());
  };
  const auto why = [](const Board& board, const std::string& what) {
    for (const auto& missing : board.missing)
      if (missing.what == what) return missing.why;
    return std::string("nothing is missing");
  };
  // 729600 in 32 bits.
  EXPECT_NE(why(board_with(kPolicies + "policy4/scaling_available_frequencies", "4295696896\n"), "cpu_khz")
                .find("4295696896"),
            std::string::npos);
  const std::string gpu = "/sys/devices/platform/17000000.gpu/devfreq/17000000.gpu/";
  EXPECT_NE(why(board_with(gpu + "available_frequencies", "306000000 99999999999999999999\n"), "gpu_khz")
                .find("99999999999999999999"),
            std::string::npos);
  const std::string rates = "/sys/kernel/debug/bpmp/debug/emc/possible_rates";
  EXPECT_NE(
      why(board_with(rates, "204000 9223372036854775807 (kHz)\n"), "mem_khz").find("9223372036854775807"),
      std::string::npos);
  for (const std::string number : {"4294967296", "99999999999999999999", "-4", "4096"})
    EXPECT_NE(
        why(board_with(kPolicies + "policy" + number + "/affected_cpus", "4\n"), "cpu_khz of policy" + number)
            .find(number),
        std::string::npos)
        << number;
  // What a control holds now: the other knobs are there.
  for (const auto& [knob, path, text] :
       {std::tuple<std::string, std::string, std::string>{"cpu_khz", kPolicies + "policy0/scaling_max_freq",
                                                          "4295696896\n"},
        {"gpu_khz", gpu + "max_freq", "99999999999999999\n"},
        {"mem_khz", "/sys/kernel/nvpmodel_clk_cap/emc", "18446744073709551615\n"}}) {
    const auto board = board_with(path, text);
    EXPECT_NE(why(board, knob).find(path + ": expected a whole number from 0 to "), std::string::npos)
        << why(board, knob);
    EXPECT_EQ(space_of(board).knobs().size(), 3U) << path;
    EXPECT_FALSE(space_of(board).knob_with(*parse_knob_role(knob)));
  }
}

// What `show` can tell of a board of which something cannot be read.
TEST(Board, WhatCannotBeReadIsNamedAndTheRestIsThere) {
  const std::string cpus = "/sys/devices/system/cpu/";
  struct Broken {
    std::string path, text;  // text "": the file is gone
    const char *what, *why;  // of the first that is missing
    std::string roles;
  };
  const std::string all = "cpu_cores, cpu_khz, gpu_khz, mem_khz";
  for (const auto& [path, text, what, why, roles] :
       {Broken{cpus + "present", "", "list of cores", "present: cannot read: No such file", all},
        {cpus + "present", "all of them\n", "list of cores", "expected a whole number", all},
        {cpus + "present", "\n", "list of cores", "expected CPUs, found none", all},
        {cpus + "present", "11-0\n", "list of cores", "are taken: 0, 1, 2, 3", all},
        {cpus + "cpufreq/policy4/", "", "cpu_khz of the cores 4, 5, 6, 7", "no policy has them", all},
        {cpus + "cpufreq/policy4/related_cpus", "four\n", "cpu_khz of policy4", "four", all},
        {cpus + "cpu3/online", "yes\n", "cpu_cores", "cpu3/online", "cpu_khz, gpu_khz, mem_khz"},
        {cpus + "cpufreq/policy0/scaling_max_freq", "", "cpu_khz", "scaling_max_freq",
         "cpu_cores, gpu_khz, mem_khz"},
        {"/proc/device-tree/model", "", "name", "no name of the board", all},
        {"/sys/devices/platform/17000000.gpu/devfreq/17000000.gpu/available_frequencies", "\n", "gpu_khz",
         "lists no clock", "cpu_cores, cpu_khz, mem_khz"},
        {"/sys/kernel/debug/bpmp/debug/clk/emc/max_rate", "", "mem_khz", "max_rate",
         "cpu_cores, cpu_khz, gpu_khz"}}) {
    const BoardWith with(tests::agx_orin(true), [&, &gone = path, &content = text](auto& tree) {
      if (content.empty())
        remove(tree, gone);
      else
        tree.files[gone] = content;
    });
    const auto files = with.files();
    const auto board = find_board(files);
    ASSERT_FALSE(board.missing.empty()) << path;
    EXPECT_EQ(board.missing[0].what, what) << board.missing[0].why;
    EXPECT_NE(board.missing[0].why.find(why), std::string::npos) << board.missing[0].why;
    EXPECT_EQ(describe_roles(space_of(board)), roles) << path;
    EXPECT_EQ(board.cpus.size(), roles.starts_with("cpu_cores") ? 12U : 0U) << path;
    EXPECT_EQ(DirectAccess().view(with.root()).now.size(), space_of(board).knobs().size());
  }
}

TEST(Board, WithoutAnyKnobTheRestIsShown) {
  const BoardWith with(tests::agx_orin(true), [](auto& tree) {
    for (const std::string gone : {"/sys/devices/system/cpu", "/devfreq", "/sys/kernel/debug"})
      remove(tree, gone);
  });
  const auto files = with.files();
  const auto board = find_board(files);
  EXPECT_FALSE(has_knobs(board));
  EXPECT_THROW(space_of(board), DeviceError);
  EXPECT_EQ(board.missing.size(), 4U);
  const auto view = DirectAccess().view(with.root());
  EXPECT_TRUE(view.total_w.has_value());
  EXPECT_EQ(view.now.size(), 0U);
}

TEST(Board, AnEmptyListOfMemoryClocksIsNoList) {
  const std::string emc = "/sys/kernel/debug/bpmp/debug/";
  for (const std::string list : {"", "(kHz)\n", "0 (kHz)\n"}) {
    const BoardWith with(tests::agx_orin(true),
                         [&](auto& tree) { tree.files[emc + "emc/possible_rates"] = list; });
    const auto board = find_board(with.files());
    ASSERT_EQ(board.notes.size(), 1U) << list;
    EXPECT_NE(board.notes[0].find("204000 665600 2133000 3199000"), std::string::npos) << board.notes[0];
  }
  // Nothing is assumed where nothing lies within the bounds, and no note says so of nothing.
  const BoardWith none(tests::agx_orin(true), [&](auto& tree) {
    tree.files[emc + "emc/possible_rates"] = "";
    tree.files[emc + "clk/emc/max_rate"] = "0\n";
  });
  const auto without = find_board(none.files());
  EXPECT_TRUE(without.notes.empty());
  ASSERT_EQ(without.missing.size(), 1U);
  EXPECT_NE(without.missing[0].why.find("of this board none is known from 204000 to 0 kHz"),
            std::string::npos)
      << without.missing[0].why;
  const BoardWith outside(tests::agx_orin(true),
                          [&](auto& tree) { tree.files[emc + "clk/emc/max_rate"] = "100000000\n"; });
  EXPECT_NE(find_board(outside.files()).missing.at(0).why.find("the kernel lists no rate from"),
            std::string::npos);
}

TEST(FileSysfs, LinksBelowARootLeadBelowIt) {
  const tests::TempDir root;
  tests::write_text(root / "etc/nvpmodel/orin.conf", "of the root");
  tests::write_text(root / "sys/kernel/cap", "1");
  const auto link = [&](const std::string& at, const std::string& to) {
    std::filesystem::create_directories(std::filesystem::path(root / at).parent_path());
    std::filesystem::create_symlink(to, root / at);
  };
  link("etc/nvpmodel.conf", "/etc/nvpmodel/orin.conf");
  link("etc/again.conf", "/etc/nvpmodel.conf");
  link("etc/up.conf", "../../../../../../../../etc/nvpmodel/orin.conf");
  link("configs", "/etc");
  link("etc/hosts", "/etc/hostname");  // which this machine has
  link("etc/circle", "/etc/circle");
  link("sys/class/cap", "/sys/kernel/cap");
  link("sys/class/out", "/etc/nvpmodel/orin.conf");
  FileSysfs files(root.path().string());
  for (const std::string path :
       {"/etc/nvpmodel.conf", "/etc/again.conf", "/etc/up.conf", "/configs/nvpmodel.conf"}) {
    EXPECT_EQ(files.read(path), "of the root") << path;
    EXPECT_EQ(files.resolve(path), "/etc/nvpmodel/orin.conf");
    EXPECT_TRUE(files.exists(path));
  }
  EXPECT_EQ(files.list("/configs"), files.list("/etc"));
  for (const std::string path : {"/etc/hosts", "/etc/circle", "/etc/none"}) {
    EXPECT_FALSE(files.exists(path)) << path;
    EXPECT_THROW(files.read(path), SysfsError) << path;
    EXPECT_THROW(files.resolve(path), SysfsError) << path;
  }
  files.write("/sys/class/cap", "2");
  EXPECT_EQ(files.read("/sys/kernel/cap"), "2");
  EXPECT_THROW(files.write("/sys/class/out", "2"), DeviceError);
  EXPECT_EQ(files.read("/etc/nvpmodel.conf"), "of the root");
}

TEST(Board, AMachineThatIsNoJetsonIsRefusedInOneSentence) {
  const tests::TempDir folder;
  const FileSysfs files(folder.path().string());
  try {
    find_board(files);
    ADD_FAILURE() << "no error";
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("no Jetson"), std::string::npos);
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
  }
}

TEST(Board, ClocksThatMayNotBeSetAreRefusedInOneSentence) {
  FakeKernel kernel(tests::agx_orin(true));
  FakeTime time;
  const auto board = find_board(kernel);
  EXPECT_NO_THROW(check_may_set(kernel, time, board));
  for (const int code : {EACCES, EROFS}) {  // not root; a container
    kernel.faults.write_error = code;
    try {
      check_may_set(kernel, time, board);
      ADD_FAILURE() << "no error";
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find("run as root, outside of containers"), std::string::npos)
          << e.what();
      EXPECT_NE(std::string(e.what()).find("/online"), std::string::npos) << e.what();
    }
  }
  EXPECT_EQ(kernel.writes, 0);
}

TEST(Board, AnUnknownJetsonHasWhatItsKernelLists) {
  auto board = tests::agx_orin(true);
  board.model = "NVIDIA Jetson Something New";
  board.compatible = tests::nul_ended({"nvidia,p9999-0000", "nvidia,tegra999"});
  const FakeKernel kernel(board);
  EXPECT_EQ(space_of(find_board(kernel)).knobs().size(), 4U);
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

}  // namespace
}  // namespace fewwatt::hw
