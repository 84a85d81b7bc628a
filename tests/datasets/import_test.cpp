#include "datasets/import.hpp"

#include <cmath>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

using datasets::ImportReport;
using datasets::ProfileStore;

const std::string kProfile =
    "[profile]\ndevice = tx2\nworkload = {app}\nkind = non-dnn\ntime_of = run\nspace = from-data\n";
const std::string kTimes =
    "[file t_*.csv]\npattern = t_{app}.csv\ngpu_khz = gpu [MHz]\nmem_khz = mem [Hz]\ntime_ms = secs [s]\n";
const std::string kPowers =
    "[file p_*.csv]\npattern = p_{app}.csv\ngpu_khz = g [kHz]\nmem_khz = m [Hz]\npower_w = all - \"wi fi\" "
    "[mW]\n";

// A folder with a mapping and its inputs.
class Import : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { write_text(dir_ / ("in/" + name), text); }

  ProfileStore run(const std::string& mapping, ImportReport* report = nullptr) {
    write_text(dir_ / "m.ini", mapping);
    return datasets::import_profiles(datasets::read_mapping(dir_ / "m.ini"), {dir_ / "in"}, report);
  }

  void expect_refused(const std::string& mapping, std::initializer_list<std::string> fragments) {
    expect_data_error([&] { run(mapping); }, fragments);
  }

  TempDir dir_;
};

TEST_F(Import, JoinsTimesAndPowersOnTheMode) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n100,50000,2\n100,60000,1.5\n");
  write("deep/p_a.csv", "g,m,all,wi fi\n100000,50000,5000,500\n200000,50000,9000,\n300000,50000,9000,0\n");
  write("README.md", "nothing\n");
  ImportReport report;
  const auto store = run(kProfile + "source = me\n" + kTimes + kPowers, &report);
  ASSERT_EQ(store.profiles.size(), 1u);
  const auto& profile = store.profiles[0];
  EXPECT_EQ(profile.device, "tx2");
  EXPECT_EQ(profile.workload, "a");
  EXPECT_EQ(profile.attributes.source, "me");
  EXPECT_EQ(profile.modes, (std::vector<hw::PowerMode>{{100000, 50}, {100000, 60}, {200000, 50}}));
  EXPECT_FALSE(profile.space->is_grid());
  EXPECT_EQ(profile.measurements[0].time_ms, 2000);
  EXPECT_DOUBLE_EQ(profile.measurements[0].power_w, 4.5);
  EXPECT_EQ(profile.measurements[1].time_ms, 1500);
  EXPECT_TRUE(std::isnan(profile.measurements[1].power_w));
  EXPECT_TRUE(std::isnan(profile.measurements[2].power_w)) << "a sum with an empty cell is missing";
  EXPECT_EQ(report.files, 2u);
  EXPECT_EQ(report.skipped_files, 1u);
  EXPECT_EQ(report.rows, 6u);
  ASSERT_EQ(report.profiles.size(), 1u);
  EXPECT_EQ(report.profiles[0].modes, 3u);
  EXPECT_EQ(report.profiles[0].left_out, 1u);
}

TEST_F(Import, EveryCombinationOfLevelsIsAGrid) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n100,50000,2\n");
  EXPECT_TRUE(run(kProfile + kTimes).profiles.at(0).space->is_grid());
}

TEST_F(Import, NamesComeFromColumnsAndAreRenamedAndCleaned) {
  write("x.csv", "net,data,gpu,secs,n\nResNet 18,CIFAR/10,1,1,4\nold,one,1,1,5\n");
  const auto store =
      run("[profile]\ndevice = {file}\nworkload = {net}-{data}\nkind = dnn-training\ntime_of = epoch\nspace "
          "= from-data\n"
          "model = {net}\nlayers = {n}\n[rename]\nold-one = new\nx = board\n[device board]\ncolour = red\n"
          "[file *.csv]\ngpu_khz = gpu [GHz]\ntime_ms = secs [min]\n");
  ASSERT_EQ(store.profiles.size(), 2u);
  EXPECT_EQ(store.profiles[0].workload, "ResNet-18-CIFAR-10");
  EXPECT_EQ(store.profiles[0].attributes.model, "ResNet 18");
  EXPECT_EQ(store.profiles[0].attributes.layers, 4);
  EXPECT_EQ(store.profiles[0].measurements[0].time_ms, 60000);
  EXPECT_EQ(store.profiles[1].workload, "new");
  EXPECT_EQ(store.devices.at("board").at("colour"), "red");
}

TEST_F(Import, WindowsLineEndsAndByteOrderMarkAreAccepted) {
  write("t_a.csv", "\xEF\xBB\xBFgpu,mem,secs\r\n200,50000,1\r\n");
  EXPECT_EQ(run(kProfile + kTimes).profiles.at(0).measurements.at(0).time_ms, 1000);
}

TEST_F(Import, SpreadRepeatsAndThrottlingAreKept) {
  write("t_a.csv", "gpu,mem,secs,sd,n,hot\n200,50000,1,0.1,3,1\n100,50000,1,,2,0\n");
  const auto profile =
      run(kProfile + kTimes + "time_std_ms = sd [s]\nrepeats = n [count]\nthrottled = hot [count]\n")
          .profiles.at(0);
  EXPECT_TRUE(std::isnan(profile.time_std_ms.at(0)));
  EXPECT_DOUBLE_EQ(profile.time_std_ms.at(1), 100);
  EXPECT_EQ(profile.measurements[1].repeats, 3);
  EXPECT_TRUE(profile.measurements[1].throttled);
  EXPECT_FALSE(profile.measurements[0].throttled);
}

TEST_F(Import, ALogGivesItsMeanRails) {
  const auto line = [](int mw) {
    return "RAM 1/2MB CPU [2%@345] VDD_IN " + std::to_string(mw) + "/1 VDD_WIFI 100/1\n";
  };
  write("T_app_G_114750000", line(1100) + line(3100));
  const auto profile = run(kProfile +
                           "[file T_*]\nformat = tegrastats\npattern = T_{app}_G_{gpu_khz:Hz}\n"
                           "power_w = VDD_IN - VDD_WIFI [mW]\n")
                           .profiles.at(0);
  EXPECT_EQ(profile.modes.at(0), hw::PowerMode{114750});
  EXPECT_DOUBLE_EQ(profile.measurements.at(0).power_w, 2);
  EXPECT_FALSE(profile.has_time());
}

TEST_F(Import, EqualDuplicatesAreDroppedAndOthersRefused) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n200,50000,1\n100,50000,2\n");
  ImportReport report;
  EXPECT_EQ(run(kProfile + kTimes, &report).profiles.at(0).modes.size(), 2u);
  EXPECT_EQ(report.duplicates, 1u);
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n100,50000,2\n200,50000,1.5\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:4", "t_a.csv:2", "time_ms", "1500", "1000", "tx2/a"});
}

TEST_F(Import, RowsOfOneModeMayBeMeasurementsOfIt) {
  std::string profile = kProfile;
  profile.insert(profile.find('\n', profile.find("time_of")) + 1, "repeated = mean\n");
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n100,50000,2\n200,50000,1\n200,50000,8\n");
  ImportReport report;
  const auto found = run(profile + kTimes, &report).profiles.at(0);
  ASSERT_EQ(found.modes.size(), 2u);
  EXPECT_EQ(report.duplicates, 0u);
  EXPECT_EQ(report.repeated, 2u);
  EXPECT_EQ(found.measurements[0].repeats, 1);
  EXPECT_EQ(found.measurements[1].repeats, 3);
  EXPECT_NEAR(found.measurements[1].time_ms, 2000, 1e-9);
  profile.replace(profile.find("= mean"), 6, "= maybe");
  expect_refused(profile + kTimes, {"repeated", "mean or refused", "maybe"});
}

TEST_F(Import, BadTimesAreNamedWithLineAndColumn) {
  for (const char* bad : {"0", "-1", "nan", "fast", "", "1e999"}) {
    write("t_a.csv", std::string("gpu,mem,secs\n200,50000,1\n100,50000,") + bad + "\n");
    expect_refused(kProfile + kTimes, {"t_a.csv:3", "'secs'"});
  }
}

TEST_F(Import, BadPowersAreNamedWithLineAndColumn) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n");
  write("p_a.csv", "g,m,all,wi fi\n200000,50000,100,500\n");
  expect_refused(kProfile + kTimes + kPowers, {"p_a.csv:2", "'all - wi fi'", "power_w"});
  write("p_a.csv", "g,m,all,wi fi\n200000,50000,much,500\n");
  expect_refused(kProfile + kTimes + kPowers, {"p_a.csv:2", "'all'", "'much'"});
}

TEST_F(Import, SettingsMustBeWholeNumbersAboveZero) {
  for (const char* bad : {"0.0005", "0", "-5", "99999999"}) {
    write("t_a.csv", std::string("gpu,mem,secs\n") + bad + ",50000,1\n");
    expect_refused(kProfile + kTimes, {"t_a.csv:2", "gpu_khz", "whole number"});
  }
  write("t_a.csv", "gpu,mem,secs\n,50000,1\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:2", "'gpu'", "empty"});
}

TEST_F(Import, BadTablesAreNamed) {
  write("t_a.csv", "gpu,mem\n200,50000\n");
  expect_refused(kProfile + kTimes, {"t_a.csv", "'secs'", "gpu, mem"});
  write("t_a.csv", "gpu,mem,secs\n200,50000\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:2", "expected 3 fields"});
  write("t_a.csv", "");
  expect_refused(kProfile + kTimes, {"t_a.csv", "empty"});
}

TEST_F(Import, ALevelThatAKnownBoardLacksIsRefused) {
  const std::string mapping =
      "[profile]\ndevice = tx2\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = tx2\n"
      "[file *.csv]\ncpu_cores = cores [count]\ncpu_khz = cpu [kHz]\ngpu_khz = gpu [Hz]\nmem_khz = mem [Hz]\n"
      "time_ms = ms [ms]\n";
  write("a.csv", "cores,cpu,gpu,mem,ms\n4,1113600,1300500000,1331200000,5\n");
  const auto profile = run(mapping).profiles.at(0);
  EXPECT_GT(profile.space->size(), 1000u);
  write("a.csv",
        "cores,cpu,gpu,mem,ms\n4,1113600,1300500000,1331200000,5\n4,1113601,1300500000,1331200000,5\n");
  expect_refused(mapping, {"a.csv:3", "cpu_khz=1113601", "tx2"});
  expect_refused(
      "[profile]\ndevice = tx2\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = tx2\n"
      "[file *.csv]\ncpu_khz = cpu [kHz]\ntime_ms = ms [ms]\n",
      {"m.ini", "tx2", "cpu_cores"});
}

TEST_F(Import, InputsMustFitTheMapping) {
  write("x.csv", "a\n1\n");
  expect_refused(kProfile + kTimes, {dir_ / "in", "no [file] section"});
  const auto mapping = datasets::read_mapping(dir_ / "m.ini");
  expect_data_error([&] { datasets::import_profiles(mapping, {dir_ / "in/x.csv"}); },
                    {"x.csv", "no [file] section"});
  expect_data_error([&] { datasets::import_profiles(mapping, {dir_ / "t_gone.csv"}); },
                    {"t_gone.csv", "No such file"});
  write("T_b.csv", "gpu,mem,secs\n200,50000,1\n");
  expect_refused(
      kProfile + "[file *_b.csv]\npattern = t_{app}.csv\ngpu_khz = gpu [MHz]\ntime_ms = secs [s]\n",
      {"T_b.csv", "pattern", "t_{app}.csv"});
}

TEST_F(Import, NumbersThatAreTooLargeAreNamed) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1e306\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:2", "'secs'", "too large"});
  write("t_a.csv", "gpu,mem,secs\n4294967300,50000,1\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:2", "gpu_khz", "4294967300000"});
  write("t_a.csv", "gpu,mem,secs\n1e300,50000,1\n");
  expect_refused(kProfile + kTimes, {"t_a.csv:2", "gpu_khz"});
  expect_refused(kProfile + "[file *]\ngpu_khz = g * 1e308 [MHz]\ntime_ms = t [s]\n",
                 {"gpu_khz", "too large"});
}

TEST_F(Import, ANameThatDoesNotFitItsPatternIsRefusedAtOnce) {
  std::string pattern, name;
  for (int i = 0; i < 12; ++i) pattern += "{p" + std::to_string(i) + "}_";
  for (int i = 0; i < 120; ++i) name += "a_";
  write(name + ".csv", "gpu,secs\n1,1\n");
  expect_refused(
      "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = from-data\n[file "
      "*.csv]\npattern = " +
          pattern + "X.csv\ngpu_khz = gpu [kHz]\ntime_ms = secs [s]\n",
      {"does not fit the pattern"});
}

TEST_F(Import, AttributesMustBeKnownAndOne) {
  write("t_a.csv", "gpu,mem,secs,n\n200,50000,1,5\n100,50000,1,6\n");
  expect_refused(
      "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = from-data\nlayers = "
      "{n}\n" +
          kTimes,
      {"t_a.csv:3", "layers", "'6'", "'5'"});
  expect_refused(
      "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = from-data\nlayers = "
      "{k}\n" +
          kTimes,
      {"m.ini", "layers", "{k}"});
  expect_refused(
      "[profile]\ndevice = d\nworkload = {k}\nkind = non-dnn\ntime_of = run\nspace = from-data\n" + kTimes,
      {"t_a.csv", "'k'"});
}

}  // namespace
}  // namespace fewwatt::tests
