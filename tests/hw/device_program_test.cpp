#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/fake_sysfs.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace device_program_test {

void expect_one_object(const std::string& text) {
  ASSERT_GT(text.size(), 3u);
  EXPECT_EQ(text.front(), '{');
  EXPECT_EQ(text.substr(text.size() - 2), "}\n");
}

TEST(DeviceProgram, ListsBoardsAndTheirGrids) {
  const auto result = run_program("device", "list");
  EXPECT_EQ(result.code, 0);
  for (const char* part : {"orin-agx-64", "18096", "powertrain 4368", "coarse 441", "tx2", "nano"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(result.err, "");
}

TEST(DeviceProgram, ShowsKnobsAndPresets) {
  const auto result = run_program("device", "show orin-agx-64");
  EXPECT_EQ(result.code, 0);
  for (const char* part :
       {"gpu_khz (13): 114750", "preset MODE_30W: cpu_cores=8 cpu_khz=1728000", "grid powertrain"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << '\n' << result.out;
  }
}

TEST(DeviceProgram, JsonIsOneObject) {
  for (const char* arguments : {"list --json", "show tx2 --json"}) {
    const auto result = run_program("device", arguments);
    EXPECT_EQ(result.code, 0);
    expect_one_object(result.out);
  }
}

TEST(DeviceProgram, UnknownBoardListsTheKnownOnes) {
  const auto result = run_program("device", "show orin");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("fewwatt device: "), std::string::npos);
  EXPECT_NE(result.err.find("\"orin\""), std::string::npos);
  EXPECT_NE(result.err.find("xavier-nx"), std::string::npos);
  EXPECT_EQ(result.out, "");
}

TEST(DeviceProgram, WrongUsageExitsWithTwo) {
  for (const char* arguments :
       {"", "list tx2", "apply", "apply tx2", "restore tx2", "frobnicate", "list --frobnicate",
        "show tx2 nano", "list --config /nonexistent.ini", "list --seed -1", "list --seed 1e3",
        "list --mode cpu_cores=4", "show --dry-run", "apply --mode cpu_cores=4 --give-up",
        "apply --mode cpu_cores=4 --name A", "restore --mode cpu_cores=4"}) {
    const auto result = run_program("device", arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_NE(result.err.find("fewwatt device: "), std::string::npos) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
  }
  EXPECT_NE(run_program("device", "frobnicate").err.find("list, show"), std::string::npos);
  EXPECT_NE(run_program("device", "list --frobnicate").err.find("frobnicate"), std::string::npos);
}

TEST(DeviceProgram, AMisspeltOptionActionBoardOrKnobIsAskedBack) {
  for (const auto& [arguments, question] :
       {std::pair("list --jsno", "unrecognised option '--jsno'; did you mean --json? (see --help)"),
        {"list --dry_run", "did you mean --dry-run?"},
        {"show --sede=7", "unrecognised option '--sede=7'; did you mean --seed? (see --help)"},
        {"lsit",
         "no action \"lsit\"; there are list, show, apply, restore, export-nvpmodel; did you mean list?"},
        {"show orin-agx64", "; did you mean orin-agx-64?"},
        {"apply --mode gpu_hz=1 --root /nonexistent", "found \"gpu_hz=1\"; did you mean gpu_khz?"}}) {
    const auto result = run_program("device", arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_NE(result.err.find(question), std::string::npos) << result.err;
  }
  const auto far = run_program("device", "list --frobnicate");
  EXPECT_EQ(far.err, "fewwatt device: unrecognised option '--frobnicate' (see --help)\n");
}

TEST(DeviceProgram, ItsManualIsJson) {
  const auto result = run_program("device", "--manual-json");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto manual = nlohmann::json::parse(result.out);
  EXPECT_EQ(manual["verb"], "device");
  EXPECT_EQ(manual["arguments"],
            nlohmann::json::parse(R"([{"name": "action", "most": 1}, {"name": "board", "most": 1}])"));
  std::map<std::string, nlohmann::json> options;
  for (const auto& group : manual["groups"])
    for (const auto& option : group["options"]) options[option["name"]] = option;
  EXPECT_EQ(manual["groups"].back()["title"], "Common options");
  EXPECT_EQ(options.at("action")["choices"].size(), 5u);
  EXPECT_EQ(options.at("name")["default"], "FEWWATT");
  EXPECT_EQ(options.at("config"), nlohmann::json::parse(R"({"name": "config", "value": "FILE",
      "about": "INI file with further options; those of the command line win"})"));
  EXPECT_EQ(options.at("quiet")["short"], "q");
  EXPECT_FALSE(options.at("json").contains("short") || options.at("json").contains("value"));
  EXPECT_FALSE(options.contains("manual-json") || options.contains("meant"));
}

TEST(DeviceProgram, SaysWhichNameIsMeant) {
  EXPECT_EQ(run_program("device", "--meant adpat predict adapt").out, "adapt\n");
  EXPECT_EQ(run_program("device", "--meant frobnicate predict adapt").out, "\n");
  EXPECT_EQ(run_program("device", "--meant frobnicate").code, 0);
  EXPECT_EQ(run_program("device", "--meant").code, 2);
}

TEST(DeviceProgram, HelpAndVersionExitWithZero) {
  EXPECT_EQ(run_program("device", "--help").code, 0);
  EXPECT_NE(run_program("device", "--help").out.find("list | show [BOARD]"), std::string::npos);
  EXPECT_NE(run_program("device", "--version").out.find("fewwatt "), std::string::npos);
}

TEST(DeviceProgram, OptionsComeFromAFileAndTheCommandLineWins) {
  const TempDir dir;
  write_text(dir / "options.ini", "action = list\njson = true\n");
  expect_one_object(run_program("device", "--config " + (dir / "options.ini")).out);
  EXPECT_EQ(run_program("device", "show tx2 --config " + (dir / "options.ini")).code, 0);
}

TEST(DeviceProgram, LinesOfTheFileEndAsTheyDoElsewhere) {
  const TempDir dir;
  for (const std::string text : {"action = list\rjson = true\r", "action = list\r\njson = true\r\n"}) {
    write_text(dir / "options.ini", text);
    expect_one_object(run_program("device", "--config " + (dir / "options.ini")).out);
  }
}

TEST(DeviceProgram, ALineOfTheFileThatIsNotUnderstoodIsNamedAndNotQuoted) {
  const TempDir dir;
  const auto path = dir / "options.ini";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"# comment\n\nroot:$6$secret:19000\n",
       "line 3: expected OPTION = VALUE, with an option of this program"},
      {"quiet = true\nsecret = 1\n", "line 2: expected OPTION = VALUE, with an option of this program"},
      {"quiet = true\n[secret]\n", "line 2: expected OPTION = VALUE, with an option of this program"},
      {"seed = secret\n", "line 1: expected another value of seed"},
      {"quiet = true\nmode =\n", "line 2: expected a value of mode, found none"},
      {"quiet = secret\n", "line 1: expected another value of quiet"},
      {"as-root = secret\n", "line 1: expected"}};
  for (const auto& [text, says] : bad) {
    write_text(path, text);
    const auto result = run_program("device", "list --config " + path);
    EXPECT_EQ(result.code, 2) << text;
    EXPECT_NE(result.err.find(path + ", " + says), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("secret"), std::string::npos) << result.err;
  }
}

TEST(DeviceProgram, AMessageQuotesSomeOfAVeryLongText) {
  const auto result = run_program("device", "show " + std::string(100'000, 'x'));
  EXPECT_NE(result.code, 0);
  EXPECT_LT(result.err.size(), 5000U);
  EXPECT_NE(result.err.find("xxx ... xxx"), std::string::npos) << result.err;
}

TEST(DeviceProgram, AFileOfOptionsIsARegularOneOfSomeSize) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  write_text(dir / "large", std::string((1 << 20) + 1, '\n'));
  for (const auto& [path, says] :
       {std::pair<std::string, std::string>{dir / "pipe", "expected a file, found a pipe"},
        {"/dev/zero", "expected a file, found a device"},
        {dir.path().string(), "it is a folder"},
        {dir / "large", "it is larger than 1 MB"},
        {dir / "none", "No such file"}}) {
    const auto result = run_program("device", "list --config " + path);
    EXPECT_EQ(result.code, 2) << path;
    EXPECT_NE(result.err.find("--config " + path + ": "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(says), std::string::npos) << result.err;
  }
}

TEST(DeviceProgram, FullDiskFails) {
  const std::string command = program_command("device") + " list >/dev/full 2>/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

// ---- this board ----

using nlohmann::json;

std::map<std::string, std::string> contents(const std::string& root) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
    if (entry.is_regular_file() && !entry.is_symlink() &&
        entry.path().string().find("/run/fewwatt") == std::string::npos)
      all[entry.path().string()] = read_text(entry.path().string());
  return all;
}

TEST(DeviceProgram, ShowsTheKnobsAndThePowerOfEveryBoard) {
  for (const auto& board : fake_boards()) {
    const TempDir dir;
    tree_of(board, true).write(dir.path().string());
    const auto result = run_program("device", "show --json --root " + dir.path().string());
    ASSERT_EQ(result.code, 0) << board.name << result.err;
    const auto shown = json::parse(result.out);
    const auto khz = [](Levels levels) {
      for (auto& level : levels) level /= 1000;
      return levels;
    };
    EXPECT_EQ(shown["knobs"]["cpu_khz"].get<Levels>(), board.cpu_khz) << board.name;
    EXPECT_EQ(shown["knobs"]["gpu_khz"].get<Levels>(), khz(board.gpu_hz)) << board.name;
    EXPECT_EQ(shown["knobs"]["mem_khz"].get<Levels>(), khz(board.memory_hz)) << board.name;
    EXPECT_NEAR(shown["sensors"]["total_w"].get<double>(), 1e-3 * board.total_milliwatt, 5e-3) << board.name;
    EXPECT_EQ(shown["missing"], json::array()) << board.name;
    EXPECT_EQ(shown["not_writable"], json::object()) << board.name;
  }
}

TEST(DeviceProgram, ShowsWhatIsMissingAndWhatElseThereIs) {
  const TempDir dir;
  auto tree = tree_of(agx_orin(true), true);
  std::erase_if(tree.files, [](const auto& file) {
    return file.first.starts_with("/sys/kernel/debug") || file.first.ends_with("/in2_input");
  });
  tree.write(dir.path().string());
  const auto result = run_program("device", "show --root " + dir.path().string());
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("missing mem_khz: "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("debugfs"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("in2_input"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("gpu_khz (11)"), std::string::npos) << result.out;
}

TEST(DeviceProgram, WhatABoardTellsIsShownAsText) {
  const TempDir dir;
  auto board = agx_orin(true);
  board.model = "Jetson \x1b[31mOrin\n\xff";
  board.sensors[0].rails[1].label = "VDD\x1b]0;x\a";
  auto tree = tree_of(board, true);
  tree.write(dir.path().string());
  const auto shown = run_program("device", "show --root " + dir.path().string());
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out.find_first_of("\x1b\a\xff"), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out.find("Jetson \\x1b[31mOrin\\n\\xff, JetPack 6.2"), 0U) << shown.out;
  EXPECT_NE(shown.out.find("VDD\\x1b]0;x"), std::string::npos) << shown.out;
}

TEST(DeviceProgram, SensorsAreDescribedAsTheyAre) {
  const auto shown = [](const std::function<void(FakeTree&)>& change) {
    const TempDir dir;
    auto tree = tree_of(agx_orin(true), true);
    change(tree);
    tree.write(dir.path().string());
    const auto result = run_program("device", "show --root " + dir.path().string());
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  const auto set = [](FakeTree& tree, const std::string& end, const std::string& text) {
    for (auto& [path, content] : tree.files)
      if (path.find("hwmon") != std::string::npos && path.ends_with(end)) content = text;
  };
  const auto off = shown([&](auto& tree) {
    for (const std::string channel : {"1", "2", "3"}) set(tree, "/in" + channel + "_enable", "0\n");
  });
  EXPECT_NE(off.find("sensor 1-0040 VDD_GPU_SOC: switched off (in1_enable is 0)"), std::string::npos) << off;
  EXPECT_NE(off.find("module: cannot measure the power of the module: there are power sensors"),
            std::string::npos)
      << off;
  const auto unconnected = shown([&](auto& tree) {
    for (const std::string channel : {"1", "2", "3"}) set(tree, "/in" + channel + "_label", "NC\n");
  });
  EXPECT_EQ(unconnected.find("no power sensor found"), std::string::npos) << unconnected;
  EXPECT_NE(unconnected.find("not connected (label NC)"), std::string::npos) << unconnected;
  const auto turned = shown([&](auto& tree) { set(tree, "/curr1_input", "-2000\n"); });
  EXPECT_NE(turned.find("VDD_GPU_SOC: -40.000 W, reads -40 W, which no rail takes"), std::string::npos)
      << turned;
  EXPECT_EQ(turned.find("module: -"), std::string::npos) << turned;
  const auto offset = shown([&](auto& tree) { set(tree, "/curr2_input", "-8\n"); });
  EXPECT_NE(offset.find("W, slightly below 0, as the offset of a sensor"), std::string::npos) << offset;
  EXPECT_NE(offset.find("module: 7"), std::string::npos) << offset;
  const auto nothing = shown([&](auto& tree) {
    for (const std::string channel : {"1", "2", "3"}) set(tree, "/curr" + channel + "_input", "0\n");
  });
  EXPECT_NE(nothing.find("its rails read 0"), std::string::npos) << nothing;
}

TEST(DeviceProgram, JsonIsOneObjectWhateverBytesABoardTells) {
  const TempDir dir;
  auto board = agx_orin(true);
  board.model = "Jetson \xff\xfe Orin";
  board.sensors[0].rails[0].label = "VDD_\xc3";
  auto tree = tree_of(board, true);
  tree.files["/etc/nvpmodel.conf"] = read_text(tests::source_dir() + "/tests/hw/nvpmodel_example.conf");
  const auto root = dir / "\xe9t\xe9";
  tree.write(root);
  const auto quoted = " --json --root '" + root + "'";
  for (const std::string action : {"show", "apply --dry-run --mode cpu_cores=4", "apply --mode cpu_cores=4",
                                   "restore --dry-run", "restore"}) {
    const auto result = run_program("device", action + quoted);
    EXPECT_EQ(result.code, 0) << action << result.err;
    EXPECT_NO_THROW(json::parse(result.out)) << action << result.out;
    expect_one_object(result.out);
  }
  const auto shown = json::parse(run_program("device", "show" + quoted).out);
  EXPECT_EQ(shown["model"], "Jetson \xef\xbf\xbd\xef\xbf\xbd Orin");
  EXPECT_EQ(shown["sensors"]["rails"][0]["label"], "VDD_\xef\xbf\xbd");
}

TEST(DeviceProgram, WhatABoardTellsDoesNothingToATerminal) {
  const TempDir dir;
  auto board = agx_orin(true);
  board.model = "Jetson \x1b]0;gone\x07 Orin";
  board.sensors[0].rails[0].label = "VDD\x1b[2J";
  tree_of(board, true).write(dir.path().string());
  const auto shown = run_program("device", "show --root " + dir.path().string());
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out.find('\x1b'), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("Jetson \\x1b]0;gone\\x07 Orin"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("VDD\\x1b[2J"), std::string::npos) << shown.out;
}

TEST(DeviceProgram, WhatIsAppliedIsRestored) {
  const TempDir dir;
  const auto root = dir.path().string();
  tree_of(agx_orin(true), true).write(root);
  const auto before = contents(root);
  const std::string mode =
      " --mode cpu_cores=8,cpu_khz=1651200,gpu_khz=918000,mem_khz=2133000 --root " + root;

  const auto dry = run_program("device", "apply --dry-run" + mode);
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("would write 918000000 to "), std::string::npos) << dry.out;
  EXPECT_EQ(contents(root), before);

  ASSERT_EQ(run_program("device", "apply" + mode).code, 0);
  const auto now = json::parse(run_program("device", "show --json --root " + root).out)["now"];
  EXPECT_EQ(now, (json{{"cpu_cores", 8}, {"cpu_khz", 1651200}, {"gpu_khz", 918000}, {"mem_khz", 2133000}}));
  // Knobs that are not named stay.
  ASSERT_EQ(run_program("device", "apply --mode cpu_cores=2 --root " + root).code, 0);
  EXPECT_EQ(json::parse(run_program("device", "show --json --root " + root).out)["now"]["gpu_khz"], 918000);

  EXPECT_NE(run_program("device", "restore --dry-run --root " + root).out.find("would write"),
            std::string::npos);
  const auto restored = run_program("device", "restore --root " + root);
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_EQ(contents(root), before);
  EXPECT_NE(run_program("device", "restore --root " + root).out.find("nothing to put back"),
            std::string::npos);
}

TEST(DeviceProgram, ABadModeIsRefusedAndNothingIsWritten) {
  const TempDir dir;
  const auto root = dir.path().string();
  tree_of(agx_orin(true), true).write(root);
  const auto before = contents(root);
  const std::pair<const char*, const char*> bad[] = {{"gpu_khz=900000", "816000 and 918000"},
                                                     {"cpu_cores=0", "cpu_cores"},
                                                     {"cpu_cores=13", "cpu_cores"},
                                                     {"power_limit_mw=1", "power_limit_mw"},
                                                     {"cores=1", "cores=1"},
                                                     {"cpu_cores=many", "many"},
                                                     {"cpu_cores=4294967300", "2147483647"},  // 4 in 32 bits
                                                     {"mem_khz=3199000000", "clocks in kHz"},
                                                     {"gpu_khz=99999999999999999999", "2147483647"},
                                                     {"cpu_khz=1.5", "whole number"},
                                                     {"cpu_cores=", "whole number"}};
  for (const auto& [mode, says] : bad) {
    for (const std::string dry : {"", "--dry-run "}) {
      const auto result = run_program("device", "apply " + dry + "--root " + root + " --mode " + mode);
      EXPECT_NE(result.code, 0) << mode;
      EXPECT_NE(result.err.find(says), std::string::npos) << mode << ": " << result.err;
    }
  }
  EXPECT_EQ(contents(root), before);
}

TEST(DeviceProgram, AJournalThatNamesAnotherFileIsRefusedUnlessGivenUp) {
  const TempDir dir;
  const auto root = dir.path().string();
  tree_of(agx_orin(true), true).write(root);
  ASSERT_EQ(run_program("device", "apply --mode cpu_cores=2 --root " + root).code, 0);
  // The journal of a board with two more cores, made by fewwatt itself.
  const TempDir other;
  const auto other_root = other.path().string();
  auto larger = agx_orin(true);
  larger.clusters.push_back({12, 13});
  larger.policy_numbers.push_back(12);
  tree_of(larger, true).write(other_root);
  ASSERT_EQ(run_program("device", "apply --mode cpu_cores=14 --root " + other_root).code, 0);
  std::filesystem::copy_file(other_root + "/run/fewwatt/clocks.kept", root + "/run/fewwatt/clocks.kept",
                             std::filesystem::copy_options::overwrite_existing);
  const auto before = contents(root);
  for (const std::string dry : {"", "--dry-run "}) {
    const auto refused = run_program("device", "restore " + dry + "--root " + root);
    EXPECT_EQ(refused.code, 1);
    EXPECT_NE(refused.err.find("cpu12/online, is no control of this board's clocks"), std::string::npos)
        << refused.err;
    EXPECT_EQ(contents(root), before);
  }
  const auto given_up = run_program("device", "restore --give-up --root " + root);
  EXPECT_EQ(given_up.code, 0) << given_up.err;
  EXPECT_NE(given_up.err.find("left as it is: "), std::string::npos) << given_up.err;
}

TEST(DeviceProgram, OnAMachineThatIsNoJetsonTheKnownBoardsAreStillThere) {
  const TempDir dir;
  for (const char* action : {"show", "apply --mode cpu_cores=1", "export-nvpmodel"}) {
    const auto result = run_program("device", std::string(action) + " --root " + dir.path().string());
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("no Jetson"), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  EXPECT_EQ(run_program("device", "list --root " + dir.path().string()).code, 0);
}

TEST(DeviceProgram, AnExportedModeIsThePresentOneWithItsClocks) {
  const TempDir dir;
  const auto root = dir.path().string();
  auto board = agx_orin(false);
  tree_of(board, true).write(root);
  write_text(root + "/etc/nvpmodel.conf", read_text(tests::source_dir() + "/tests/hw/nvpmodel_example.conf"));
  write_text(root + "/var/lib/nvpmodel/status", "pmode:0002\n");
  const auto result = run_program("device",
                                  "export-nvpmodel --name EIGHT --mode "
                                  "cpu_cores=6,cpu_khz=1651200,gpu_khz=726750,mem_khz=2133000 --root " +
                                      root);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            "< POWER_MODEL ID=4 NAME=EIGHT >\n"
            "CPU_ONLINE CORE_0 1\nCPU_ONLINE CORE_1 1\nCPU_ONLINE CORE_5 1\nCPU_ONLINE CORE_8 0\n"
            "TPC_POWER_GATING TPC_PG_MASK 240\n"
            "GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on\n"
            "CPU_A78_0 MIN_FREQ 1651200\nCPU_A78_0 MAX_FREQ 1651200\n"
            "CPU_A78_2 MIN_FREQ 1651200\nCPU_A78_2 MAX_FREQ 1651200\n"
            "GPU MIN_FREQ 726750000\nGPU MAX_FREQ 726750000\n"
            "GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto\n"
            "EMC MAX_FREQ 2133000000\n");
  EXPECT_NE(result.err.find("note: nvpmodel.conf has no parameter for the cores "), std::string::npos)
      << result.err;
  for (const std::string name : {"''", "'MY MODE'", "'A>'", "'\"A\"'", "'A\nB'"}) {
    const auto named =
        run_program("device", "export-nvpmodel --mode cpu_cores=6 --root " + root + " --name " + name);
    EXPECT_EQ(named.code, 2) << name;
    EXPECT_EQ(named.out, "");
    EXPECT_NE(named.err.find(name == "''" ? "--name: expected a value, found an empty one"
                                          : "--name: letters, digits and . _ + - only"),
              std::string::npos)
        << named.err;
    EXPECT_EQ(std::count(named.err.begin(), named.err.end(), '\n'), 1) << named.err;
  }
  // A link that begins with / is one of the board's.
  std::filesystem::rename(root + "/etc/nvpmodel.conf", root + "/etc/orin.conf");
  std::filesystem::create_symlink("/etc/orin.conf", root + "/etc/nvpmodel.conf");
  const auto json_text = run_program("device", "export-nvpmodel --json --mode cpu_cores=6 --root " + root);
  ASSERT_EQ(json_text.code, 0) << json_text.err;
  EXPECT_EQ(json::parse(json_text.out)["notes"].size(), 1U) << json_text.out;
  std::filesystem::remove(root + "/etc/nvpmodel.conf");
  write_text(root + "/var/lib/nvpmodel/status", "pmode:0001\n");
  write_text(root + "/etc/nvpmodel.conf", "< POWER_MODEL ID=5 NAME=A >\n< POWER_MODEL ID=6 NAME=B >\n");
  const auto without = run_program("device", "export-nvpmodel --mode cpu_cores=6 --root " + root);
  EXPECT_EQ(without.code, 1);
  EXPECT_NE(without.err.find("DEFAULT"), std::string::npos) << without.err;
  EXPECT_EQ(std::count(without.err.begin(), without.err.end(), '\n'), 1) << without.err;
  write_text(root + "/etc/nvpmodel.conf",
             "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n"
             "CORE_9 /sys/devices/system/cpu/cpu99999999999999999999/online\n"
             "< POWER_MODEL ID=1 NAME=15W >\nCPU_ONLINE CORE_0 1\n");
  const auto only = run_program("device", "export-nvpmodel --mode cpu_cores=6 --root " + root);
  EXPECT_EQ(only.code, 0) << only.err;
  EXPECT_EQ(only.out, "< POWER_MODEL ID=2 NAME=FEWWATT >\nCPU_ONLINE CORE_0 1\n");
  write_text(root + "/etc/nvpmodel.conf", "< POWER_MODEL ID=x NAME=A >\n");
  const auto bad = run_program("device", "export-nvpmodel --mode cpu_cores=6 --root " + root);
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("nvpmodel.conf, line 1"), std::string::npos) << bad.err;
}

}  // namespace device_program_test
}  // namespace fewwatt::tests
