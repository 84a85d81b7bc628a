#include "hw/jetson/nvpmodel.hpp"

#include <gtest/gtest.h>

#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace {

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

}  // namespace
}  // namespace fewwatt::hw
