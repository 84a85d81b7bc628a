#include "hw/jetson/nvpmodel.hpp"

#include <gtest/gtest.h>

#include "hw/jetson/board_access.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace nvpmodel_test {

NvpmodelConf modes_5_and_2(const std::string& end = "") {
  return parse_nvpmodel("< POWER_MODEL ID=5 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=30W >\n" + end, "x.conf");
}

TEST(Nvpmodel, TheModeNowIsThatOfTheStatusOrTheDefault) {
  const tests::TempDir root;
  const FileSysfs files(root.path().string());
  const auto conf = modes_5_and_2("< PM_CONFIG DEFAULT=5 >\n");
  const auto now = [&] { return nvpmodel_now(files, conf); };
  EXPECT_EQ(now(), 5);
  const auto status = root / "var/lib/nvpmodel/status";
  tests::write_text(status, "pmode:0002\n");
  EXPECT_EQ(now(), 2);
  for (const std::string text :
       {"", "pmode:0007\n", "pmode:\n", "no mode\n", "pmode:99999999999999999999\n"}) {
    tests::write_text(status, text);
    EXPECT_EQ(now(), 5) << text;
  }
  tests::write_text(status, "pmode:" + std::string(400'000, '1'));
  EXPECT_EQ(now(), 5);
}

TEST(Nvpmodel, TheOnlyModeIsItWhereNothingElseIsKnown) {
  const tests::TempDir root;
  const FileSysfs files(root.path().string());
  tests::write_text(root / "var/lib/nvpmodel/status", "pmode:0000\n");
  for (const std::string end : {"", "< PM_CONFIG >\n", "< PM_CONFIG DEFAULT=3 >\n"})
    EXPECT_EQ(nvpmodel_now(files, parse_nvpmodel("< POWER_MODEL ID=1 NAME=15W >\n" + end, "x.conf")), 1)
        << end;
}

TEST(Nvpmodel, AFileWithoutTheDefaultModeIsNamed) {
  const tests::TempDir root;
  const FileSysfs files(root.path().string());
  for (const std::string end : {"", "< PM_CONFIG >\n", "< PM_CONFIG DEFAULT=3 >\n"}) {
    try {
      nvpmodel_now(files, modes_5_and_2(end));
      FAIL();
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find("found the IDs 5, 2"), std::string::npos) << e.what();
    }
  }
}

TEST(Nvpmodel, LinesEndAsTheyDoElsewhere) {
  const std::string lines[] = {"< PARAM TYPE=FILE NAME=CPU_ONLINE >",
                               "CORE_1 /sys/devices/system/cpu/cpu1/online", "< POWER_MODEL ID=3 NAME=10W >",
                               "CPU_ONLINE CORE_1 0", "< PM_CONFIG DEFAULT=3 >"};
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string text;
    for (const auto& line : lines) text += line + end;
    const auto conf = parse_nvpmodel(text, "x.conf");
    ASSERT_EQ(conf.params.size(), 1U);
    EXPECT_EQ(conf.params[0].args.size(), 1U);
    ASSERT_EQ(conf.modes.size(), 1U);
    EXPECT_EQ(conf.modes[0].name, "10W");
    EXPECT_EQ(conf.modes[0].settings.at(0).value, "0");
    EXPECT_EQ(conf.default_id, 3);
    try {
      parse_nvpmodel(text + "< POWER_MODEL ID=x NAME=A >" + end, "x.conf");
      FAIL();
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find("x.conf, line 6"), std::string::npos) << e.what();
    }
  }
}

TEST(Nvpmodel, AnIdOutOfBoundsIsNamed) {
  for (const std::string id : {"4294967298", "-1", "2147483647", "nan", ""}) {
    for (const auto& text : {"< POWER_MODEL ID=" + id + " NAME=A >\n",
                             "< POWER_MODEL ID=0 NAME=A >\n< PM_CONFIG DEFAULT=" + id + " >\n"}) {
      try {
        parse_nvpmodel(text, "x.conf");
        FAIL() << text;
      } catch (const DeviceError& e) {
        EXPECT_NE(std::string(e.what()).find("x.conf, line "), std::string::npos) << e.what();
      }
    }
  }
}

// The stanza of a mode of AGX Orin, of a file with parameters `params` and one mode.
NvpmodelStanza stanza_of(const std::string& params, const Settings& settings, const std::string& name = "A") {
  const tests::TempDir root;
  tests::tree_of(tests::agx_orin(true)).write(root.path().string());
  const FileSysfs files(root.path().string());
  const auto board = find_board(files);
  const auto conf = parse_nvpmodel(params + "< POWER_MODEL ID=0 NAME=MAXN >\n", "x.conf");
  const auto space = space_of(board);
  const auto [mode, roles] = changed(space, space.at(0), settings);
  return nvpmodel_stanza(files, conf, conf.modes[0], board, mode, roles, name);
}

std::string online(const std::vector<int>& cores) {
  std::string text = "< PARAM TYPE=FILE NAME=CPU_ONLINE >\n";
  for (const int core : cores)
    text +=
        "CORE_" + std::to_string(core) + " /sys/devices/system/cpu/cpu" + std::to_string(core) + "/online\n";
  return text;
}

std::string cpu_clock(int core, const std::vector<std::string>& ends) {
  std::string text = "< PARAM TYPE=CLOCK NAME=CPU_" + std::to_string(core) + " >\n";
  for (const auto& end : ends)
    text += end + "_FREQ /sys/devices/system/cpu/cpu" + std::to_string(core) + "/cpufreq/scaling_" +
            (end == "MAX" ? "max" : "min") + "_freq\n";
  return text;
}

TEST(Nvpmodel, CoresWithoutAParameterAreNamed) {
  const auto notes = [](const std::vector<int>& cores, int on) {
    return stanza_of(online(cores), {{KnobRole::cpu_cores, on}}).notes;
  };
  EXPECT_TRUE(notes({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 4).empty());
  EXPECT_TRUE(notes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 4).empty()) << "the first is always on";
  const auto some = notes({0, 1, 2, 3, 4, 5, 6, 7}, 6);
  ASSERT_EQ(some.size(), 1U);
  EXPECT_EQ(some[0],
            "nvpmodel.conf has no parameter for the cores 8, 9, 10, 11: they stay as they are; with "
            "cpu_cores=6 these should be off: 8, 9, 10, 11");
  EXPECT_EQ(notes({0, 4, 5, 6, 7, 8, 9, 10, 11}, 4).at(0),
            "nvpmodel.conf has no parameter for the cores 1, 2, 3: they stay as they are");
  EXPECT_NE(notes({0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11}, 2).at(0).find("should be off: 4"), std::string::npos);
}

TEST(Nvpmodel, ClocksWithoutAParameterAreNamed) {
  const Settings khz = {{KnobRole::cpu_khz, 729600}};
  const auto notes = [&](const std::string& params) { return stanza_of(params, khz).notes; };
  const std::vector<std::string> both = {"MIN", "MAX"};
  EXPECT_TRUE(notes(cpu_clock(0, both) + cpu_clock(4, both) + cpu_clock(9, both)).empty());
  const auto one = notes(cpu_clock(0, both) + cpu_clock(8, both));
  ASSERT_EQ(one.size(), 2U);
  EXPECT_EQ(one[0],
            "nvpmodel.conf has no parameter for the MIN_FREQ of the cores 4, 5, 6, 7: it stays as it is");
  const auto end = notes(cpu_clock(0, both) + cpu_clock(4, {"MAX"}) + cpu_clock(8, both));
  ASSERT_EQ(end.size(), 1U);
  EXPECT_NE(end[0].find("MIN_FREQ of the cores 4, 5, 6, 7"), std::string::npos) << end[0];
  const std::string gpu =
      "< PARAM TYPE=CLOCK NAME=GPU >\nMAX_FREQ /sys/class/devfreq/17000000.gpu/max_freq\n";
  EXPECT_NE(stanza_of(gpu, {{KnobRole::gpu_khz, 612000}}).notes.at(0).find("MIN_FREQ of the GPU"),
            std::string::npos);
  EXPECT_TRUE(
      stanza_of(gpu + cpu_clock(0, both) + cpu_clock(4, both) + cpu_clock(8, both), khz).notes.empty())
      << "only what is asked for counts";
}

TEST(Nvpmodel, NamesAreWordsOfLettersDigitsAndFewSigns) {
  for (const std::string name : {"MAXN", "15W_2.core", "a-b+c"}) {
    EXPECT_TRUE(is_nvpmodel_name(name));
    EXPECT_EQ(stanza_of(online({0}), {{KnobRole::cpu_cores, 1}}, name)
                  .text.find("< POWER_MODEL ID=1 NAME=" + name + " >\n"),
              0U);
  }
  for (const std::string name :
       {"", "MY MODE", "A>", "<A", "\"A\"", "A\nB", "A\tB", "A=B", "A#", "\xc3\xa4"}) {
    EXPECT_FALSE(is_nvpmodel_name(name)) << name;
    EXPECT_THROW(stanza_of(online({0}), {{KnobRole::cpu_cores, 1}}, name), std::invalid_argument) << name;
  }
}

}  // namespace nvpmodel_test
}  // namespace fewwatt::hw
