#include "hw/jetson/board.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/clocks.hpp"
#include "hw/jetson/dry_run.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/hw/fake_kernel.hpp"
#include "tests/hw/levels.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace board_test {

using tests::FakeBoard;
using tests::FakeKernel;
using tests::FakeTime;

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

}  // namespace board_test
}  // namespace fewwatt::hw
