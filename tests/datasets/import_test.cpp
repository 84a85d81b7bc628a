#include "datasets/import.hpp"

#include <algorithm>
#include <cmath>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace import_test {

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

  ProfileStore run(const std::string& text, ImportReport* report = nullptr) {
    write_text(dir_ / "m.ini", text);
    auto mapping = datasets::read_mapping(dir_ / "m.ini");
    mapping.trust_units = trust_units_;
    return datasets::import_profiles(mapping, {dir_ / "in"}, report, options_);
  }

  void expect_refused(const std::string& mapping, std::initializer_list<std::string> fragments) {
    expect_data_error([&] { run(mapping); }, fragments);
  }

  TempDir dir_;
  bool trust_units_ = true;  // most numbers here are made up
  datasets::ImportOptions options_;
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

TEST_F(Import, TwoNamesThatWouldBecomeOneAreRefused) {
  const auto profile = [](const std::string& renamed) {
    return "[profile]\ndevice = {board}\nworkload = {net}\nkind = non-dnn\ntime_of = run\nspace = "
           "from-data\n" +
           renamed + "[file *.csv]\ngpu_khz = gpu [MHz]\ntime_ms = secs [s]\n";
  };
  write("a.csv", "board,net,gpu,secs\nb,x y,1,1\nb,x/y,2,1\n");
  expect_refused(profile(""),
                 {"a.csv:3: 'x/y' and 'x y' at ", "a.csv:2 would both be called x-y", "[rename]"});
  EXPECT_EQ(run(profile("[rename]\nx/y = other\n")).profiles.size(), 2u);
  EXPECT_EQ(run(profile("[rename]\nx/y = one\nx y = one\n")).profiles.size(), 1u) << "meant to be one";
  write("a.csv", "board,net,gpu,secs\nb (1),x,1,1\nb [1],x,2,1\n");
  expect_refused(profile(""), {"'b [1]' and 'b (1)'", "b--1-"});
  write("a.csv", "board,net,gpu,secs\nb,\xC3\xA4,1,1\nb,\xC3\xB6,2,1\n");
  expect_refused(profile(""), {"would both be called --"});
  write("a.csv", "board,net,gpu,secs\nx-y,x y,1,1\nx-y,x y,2,1\n");
  EXPECT_EQ(run(profile("")).profiles.size(), 1u) << "a device may be called as a workload is";
}

TEST_F(Import, WindowsLineEndsAndByteOrderMarkAreAccepted) {
  write("t_a.csv", "\xEF\xBB\xBFgpu,mem,secs\r\n200,50000,1\r\n");
  auto mapping = kProfile + kTimes;
  EXPECT_EQ(run(mapping).profiles.at(0).measurements.at(0).time_ms, 1000);
  // A mapping as an old Mac writes it.
  std::replace(mapping.begin(), mapping.end(), '\n', '\r');
  EXPECT_EQ(run(mapping).profiles.at(0).measurements.at(0).time_ms, 1000);
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

std::string repeated(const std::string& how) {
  return kProfile + "repeated = " + how + "\n";
}

TEST_F(Import, RowsOfOneModeMayBeMeasurementsOfIt) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n100,50000,2\n200,50000,1\n200,50000,7\n");
  ImportReport report;
  const auto found = run(repeated("mean") + kTimes, &report).profiles.at(0);
  ASSERT_EQ(found.modes.size(), 2u);
  EXPECT_EQ(report.duplicates, 0u);
  EXPECT_EQ(report.repeated, 2u);
  EXPECT_EQ(found.measurements[0].repeats, 1);
  EXPECT_EQ(found.measurements[1].repeats, 3);
  EXPECT_DOUBLE_EQ(found.measurements[1].time_ms, 3000);
  EXPECT_TRUE(std::isnan(found.time_std_ms.at(0)));
  EXPECT_DOUBLE_EQ(found.time_std_ms.at(1), std::sqrt(12.0) * 1000);
  for (const char* how : {"median", "trimmed"})
    EXPECT_DOUBLE_EQ(run(repeated(how) + kTimes).profiles.at(0).measurements[1].time_ms, 1000) << how;
  expect_refused(repeated("maybe") + kTimes, {"repeated", "mean, median, trimmed or refused", "maybe"});
}

const std::string kBoth = "[file *.csv]\ngpu_khz = gpu [MHz]\ntime_ms = ms [ms]\npower_w = watts [W]\n";
const std::string kOne =
    "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = from-data\nrepeated = "
    "mean\n";

TEST_F(Import, AMeasurementsPowerCountsForItsTime) {
  write("a.csv", "gpu,ms,watts\n200,20,5\n200,500,25\n");
  auto row = run(kOne + kBoth).profiles.at(0).measurements.at(0);
  EXPECT_DOUBLE_EQ(row.time_ms, 260);
  EXPECT_DOUBLE_EQ(row.power_w, (20 * 5 + 500 * 25) / 520.0);
  write("a.csv", "gpu,ms,watts,secs\n200,20,5,30\n200,20,25,10\n");
  row = run(kOne + kBoth + "duration_ms = secs [s]\n").profiles.at(0).measurements.at(0);
  EXPECT_DOUBLE_EQ(row.power_w, 10);
  write("a.csv", "gpu,ms,watts,secs\n200,20,5,60\n200,20,25,\n");
  expect_data_error([&] { run(kOne + kBoth + "duration_ms = secs [s]\n"); },
                    {"a.csv:3", "duration_ms is missing"});
  write("a.csv", "gpu,ms,watts,n\n200,20,5,3\n200,20,25,1\n");
  const auto counted = run(kOne + kBoth + "repeats = n [count]\n").profiles.at(0).measurements.at(0);
  EXPECT_DOUBLE_EQ(counted.power_w, 10);
  EXPECT_EQ(counted.repeats, 4);
}

TEST_F(Import, ALoggersPowersAreTheirMeanWithItsSpread) {
  std::string log = "gpu,watts\n";
  for (int i = 0; i < 10; ++i) log += "200,5\n200,25\n";
  write("p.csv", log);
  write("t.csv", "gpu,ms\n200,40\n");
  const auto profile = run(kOne + "[file p.csv]\ngpu_khz = gpu [MHz]\npower_w = watts [W]\n" +
                           "[file t.csv]\ngpu_khz = gpu [MHz]\ntime_ms = ms [ms]\n")
                           .profiles.at(0);
  EXPECT_DOUBLE_EQ(profile.measurements.at(0).power_w, 15);
  EXPECT_EQ(profile.measurements[0].repeats, 1) << "the time was measured once";
  EXPECT_NEAR(profile.power_std_w.at(0), std::sqrt(2000.0 / 19 / 20), 1e-9)
      << "the mean's own, with one repeat";
  EXPECT_TRUE(profile.time_std_ms.empty());
}

TEST_F(Import, FormulasJoinColumns) {
  write("a.csv", "gpu,fps,energy,u,i\n200,25,30,5000,2000\n100,10,70,5000,\n");
  const auto start = kOne + "[file *.csv]\ngpu_khz = gpu [MHz]\ntime_ms = 1000 / fps [ms]\n";
  const auto powers = [&](const std::string& formula) {
    const auto measured = run(start + "power_w = " + formula + "\n").profiles.at(0).measurements;
    return std::pair(measured.at(1).power_w, measured.at(0).power_w);  // at 200 MHz, at 100
  };
  EXPECT_EQ(run(start).profiles.at(0).measurements.at(1).time_ms, 40);
  EXPECT_DOUBLE_EQ(powers("energy * fps / 50 [W]").first, 15);
  EXPECT_DOUBLE_EQ(powers("u [mV] * i [mA]").first, 10);
  EXPECT_TRUE(std::isnan(powers("u [mV] * i [mA]").second)) << "an empty cell";
  EXPECT_DOUBLE_EQ(powers("energy [J] / ( 2 [s] + 500 [ms] )").second, 28);
  EXPECT_DOUBLE_EQ(powers("(energy - 10) * 0.5 [W]").first, 10);
  EXPECT_DOUBLE_EQ(powers("energy - 10 * 0.5 [W]").first, 25);
  write("a.csv", "gpu,fps,energy,u,i\n200,0,30,5000,2000\n");
  expect_refused(start, {"a.csv:2", "'1000 / fps'", "divided by 0"});
  expect_refused(kOne + "[file *.csv]\ngpu_khz = gpu [MHz]\ntime_ms = 1000/fps [ms]\n",
                 {"'1000/fps'", "need blanks around them"});
}

TEST_F(Import, UnitsOfCellsAndNamesCount) {
  write("a.csv", "gpu,ms,watts\n0.2GHz,0.1 s,5000 mW\n200000kHz,50,5 W\n");
  const auto found = run(kOne + kBoth).profiles.at(0).measurements.at(0);
  EXPECT_DOUBLE_EQ(found.time_ms, 75);
  EXPECT_DOUBLE_EQ(found.power_w, 5);
  write("a.csv", "gpu,ms,watts\n200,1 W,5\n");
  expect_refused(kOne + kBoth, {"a.csv:2", "'ms'", "'1 W'", "turned into ms"});
  write("a.csv", "gpu,ms,J\n200,1000,5 kJ\n");
  const auto gpu = kOne + "[file *.csv]\ngpu_khz = gpu [MHz]\n";
  expect_refused(gpu + "power_w = J / ms [W]\n", {"a.csv:2", "'5 kJ'", "give each of its columns a unit"});
  EXPECT_DOUBLE_EQ(run(gpu + "power_w = J [J] / ms [ms]\n").profiles.at(0).measurements.at(0).power_w, 5000);
  write("a.csv", "gpu,energy (mJ),time (s)\n200,5000,2\n");
  expect_refused(gpu + "power_w = \"energy (mJ)\" [W]\n", {"a.csv", "energy (mJ)"});
  expect_refused(gpu + "power_w = \"energy (mJ)\" / \"time (s)\" [W]\n", {"a.csv", "does not give W"});
  expect_refused(gpu + "power_w = \"energy (mJ)\" [J] / \"time (s)\" [s]\n", {"'energy (mJ)'", "J", "mJ"});
  for (const char* formula :
       {"\"energy (mJ)\" / \"time (s)\" [mW]", "\"energy (mJ)\" [mJ] / \"time (s)\" [s]",
        "\"energy (mJ)\" / 1000 / \"time (s)\" [W]"})
    EXPECT_DOUBLE_EQ(run(gpu + "power_w = " + formula + "\n").profiles.at(0).measurements.at(0).power_w, 2.5)
        << formula;
}

TEST_F(Import, FoldersAndCellsGiveNamesAndSettings) {
  const std::string cells = "mode,what,ms\n4c_200MHz,resnet run 1,10\n8c_200.5MHz,resnet run 2,20\n";
  write("tx2/a/x.csv", cells);
  write("tx2/b/y.csv", cells);
  const std::string start =
      "[profile]\ndevice = {board}\nworkload = {net}-{folder}\nkind = non-dnn\ntime_of = run\n"
      "space = from-data\n[file *.csv]\npattern = {board}/{app}/{file_name}.csv\n"
      "cell what = {net} run {nr}\ntime_ms = ms [ms]\n";
  const auto store = run(start + "cell mode = {cpu_cores:count}c_{cpu_khz:MHz}MHz\n");
  ASSERT_EQ(store.profiles.size(), 2u);
  EXPECT_EQ(store.profiles[0].device, "tx2");
  EXPECT_EQ(store.profiles[1].workload, "resnet-b");
  EXPECT_EQ(store.profiles[1].modes, (std::vector<hw::PowerMode>{{4, 200000}, {8, 200500}}));
  const auto numbered = run(start + "cell mode = {cores}c_{rest}\ncpu_khz = cores * 100 + nr [MHz]\n");
  EXPECT_EQ(numbered.profiles.at(0).modes.at(0), hw::PowerMode{401000}) << "parts are columns of formulas";
  write("tx2/c/z.csv", "mode,what,ms,folder\n4c_200MHz,resnet run 1,10,mine\n");
  EXPECT_EQ(run(start + "cell mode = {cpu_cores:count}c_{cpu_khz:MHz}MHz\n").profiles.at(2).workload,
            "resnet-mine");
  write("tx2/b/y.csv", "mode,what,ms\n4c,resnet run 1,10\n");
  expect_refused(start + "cell mode = {cpu_cores:count}c_{cpu_khz:MHz}MHz\n", {"y.csv:2", "'mode'", "'4c'"});
  expect_refused(kOne + "[file other/*.csv]\ncpu_khz = a [kHz]\ntime_ms = ms [ms]\n", {"no [file] section"});
}

TEST_F(Import, WhatNoDeviceHasIsRefusedWithAGuess) {
  trust_units_ = false;
  const std::string columns =
      kOne + "[file *.csv]\ngpu_khz = gpu [kHz]\nmem_khz = mem [kHz]\ntime_ms = ms [ms]\npower_w = w [W]\n";
  const std::string good = "gpu,mem,ms,w\n624750,2133000,50,11\n726750,2133000,45,12\n";
  write("a.csv", good);
  EXPECT_NO_THROW(run(columns));
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"624,2133,50,11", "gpu_khz = 624 kHz", "looks like MHz: write [MHz]"},
      {"624750000,2133000,50,11", "gpu_khz", "looks like Hz"},
      {"1.3,2133000,50,11", "gpu_khz", "looks like GHz"},
      {"828750,3199,50,11", "mem_khz", "looks like MHz"},
      {"828750,2133000,50,11200", "power_w = 11200 W", "looks like mW: write [mW]"},
      {"828750,2133000,50,0.02", "power_w", "looks like kW"},
      {"828750,2133000,0.06,11", "time_ms = 0.06 ms", "looks like s"},
      {"828750,2133000,61000,11", "time_ms = 61000 ms", "looks like us"}};
  for (const auto& [row, what, guess] : cases) {
    write("a.csv", good + row + "\n");
    expect_refused(columns, {"a.csv:4", what, guess, "--trust-units"});
  }
  write("a.csv", good + "624,2133,5000000,11200\n");
  trust_units_ = true;
  EXPECT_NO_THROW(run(columns));
}

TEST_F(Import, CoresAloneMayTakeLittlePower) {
  trust_units_ = false;
  write("a.csv", "clock,ms,watts\n300,50,0.02\n700,41,0.09\n");
  const auto of = [](const std::string& knob) {
    return kOne + "[file *.csv]\n" + knob + " = clock [MHz]\ntime_ms = ms [ms]\npower_w = watts [W]\n";
  };
  EXPECT_NO_THROW(run(of("cpu_khz")));
  expect_refused(of("gpu_khz"), {"a.csv:2", "power_w = 0.02 W", "looks like kW"});
  write("a.csv", "clock,ms,watts\n300,50,11000\n700,41,12000\n");
  expect_refused(of("cpu_khz"), {"a.csv:2", "power_w = 11000 W", "looks like mW"});
}

TEST_F(Import, TheGuessGoesByTheUnitThatTheMappingSays) {
  trust_units_ = false;
  write("a.csv", "gpu,ms,watts\n300,0.05,9000\n500,0.04,9900\n700,41,9500\n");
  const std::string gpu = kOne + "[file *.csv]\ngpu_khz = gpu [MHz]\n";
  expect_refused(gpu + "time_ms = ms [s]\npower_w = watts [mW]\n", {"a.csv:4", "looks like ms"});
  write("a.csv", "gpu,ms,watts\n300,50,9000\n500,40,9.9\n700,41,9500\n");
  expect_refused(gpu + "time_ms = ms [ms]\npower_w = watts [mW]\n", {"a.csv:3", "looks like W"});
  write("a.csv", "gpu,secs,joule\n300,0.05,5\n");
  expect_refused(gpu + "time_ms = secs [s]\npower_w = joule [kJ] / secs [s]\n",
                 {"a.csv:2", "power_w = 100000 W", "looks like mW"});
  write("a_700.csv", "t\n5\n");
  expect_refused(kOne + "[file a_*.csv]\npattern = a_{gpu_khz:kHz}.csv\ntime_ms = t [ms]\n",
                 {"a_700.csv:2", "looks like MHz"});
}

TEST_F(Import, TimesOfOneWorkloadMayDifferByAHundred) {
  trust_units_ = false;
  std::string rows = "gpu,ms,watts\n";
  for (int i = 0; i < 9; ++i)
    rows += std::to_string(100 + i) + ',' + std::to_string(2 * std::pow(1.8, i)) + ",5\n";
  write("a.csv", rows);
  EXPECT_NO_THROW(run(kOne + kBoth));
  write("a.csv", "gpu,ms,watts\n100,10,5\n200,11,5\n200,12,6\n200,9000,7\n200,13,6\n");
  expect_refused(kOne + kBoth, {"a.csv:5", "looks like us"});
  std::string median = kOne;
  median.replace(median.find("mean"), 4, "median");
  EXPECT_DOUBLE_EQ(run(median + kBoth).profiles.at(0).measurements.at(1).time_ms, 12.5)
      << "it bears one that is far off";
}

TEST_F(Import, FewRowsAndSeveralOddOnesAreEnoughToTell) {
  trust_units_ = false;
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"100,400,11\n200,0.121,12\n300,90,13\n", "a.csv:3: time_ms = 0.121 ms", "looks like s"},
      {"100,400,11\n200,120,12\n300,90,13\n400,70000,14\n", "a.csv:5: time_ms", "looks like us"},
      {"100,400,11\n200,0.121,12\n300,90,13\n400,80000,14\n500,70,14\n", "a.csv:3: time_ms",
       "d/w has 400 ms"},
      {"100,400,0.3\n200,120,0.4\n300,90,500\n", "a.csv:4: power_w = 500 W", "looks like mW"},
      {"100,400,11\n200,0.1,12\n300,90,13\n400,0.08,14\n500,70,14\n", "a.csv:3: time_ms", "looks like s"}};
  for (const auto& [rows, what, guess] : cases) {
    write("a.csv", std::string("gpu,ms,watts\n") + rows);
    expect_refused(kOne + kBoth, {what, guess, "--trust-units"});
  }
}

TEST_F(Import, WhatIsExpectedTellsUnits) {
  trust_units_ = false;
  options_.expected = [](const hw::PowerMode& mode, datasets::Metric metric) {
    return metric == datasets::Metric::time_ms ? 4e7 / mode[0] : 120.0;
  };
  write("a.csv", "gpu,ms,watts\n100,0.4,120\n");
  expect_refused(kOne + kBoth,
                 {"a.csv:2: time_ms = 0.4 ms", "about 400 ms is expected there", "looks like s"});
  write("a.csv", "gpu,ms,watts\n100,400000,120\n200,200000,120\n");
  expect_refused(kOne + kBoth, {"a.csv:2: time_ms", "looks like us"});
  write("a.csv", "gpu,ms,watts\n100,400,120\n200,200,0.13\n");
  expect_refused(kOne + kBoth, {"a.csv:3: power_w = 0.13 W", "about 120 W", "looks like kW"});
  write("a.csv", "gpu,ms,watts\n100,4000,120\n200,60,12\n");
  EXPECT_NO_THROW(run(kOne + kBoth)) << "ten times off is no unit";
}

TEST_F(Import, AModesOnlyValueMayBeLeftToTheReader) {
  trust_units_ = false;
  options_.leave_odd = true;
  write("a.csv", "gpu,ms,watts\n100,400,11\n200,0.121,12\n300,90,13\n");
  ImportReport report;
  run(kOne + kBoth, &report);
  ASSERT_EQ(report.odd.size(), 1u);
  EXPECT_EQ(report.odd[0].mode, hw::PowerMode{200000});
  EXPECT_EQ(report.odd[0].metric, datasets::Metric::time_ms);
  EXPECT_NE(report.odd[0].why.find("looks like s"), std::string::npos);
  write("a.csv", "gpu,ms,watts\n100,400,11\n200,0.121,12\n200,120,12\n300,90,13\n");
  expect_refused(kOne + kBoth, {"a.csv:3", "looks like s"});
}

TEST_F(Import, NamesOfTheMappingThatNothingHasAreTold) {
  write("t_a.csv", "gpu,mem,secs\n200,50000,1\n");
  ImportReport report;
  run(kProfile + "[rename]\na = b\nresnet = net\n[device tx2]\nboard = x\n[device orin]\nboard = y\n" +
          kTimes,
      &report);
  ASSERT_EQ(report.notices.size(), 2u);
  EXPECT_NE(report.notices[0].find("[rename] resnet"), std::string::npos);
  EXPECT_NE(report.notices[1].find("[device orin]"), std::string::npos);
}

TEST_F(Import, RailsOfALogAreInMilliwatts) {
  write("T_114750000", "RAM 1/2MB CPU [2%@345] VDD_IN 5200/1 VDD_SOC 100.5/1\n");
  const std::string mapping = kOne + "[file T_*]\nformat = tegrastats\npattern = T_{gpu_khz:Hz}\n";
  EXPECT_DOUBLE_EQ(run(mapping + "power_w = VDD_IN [W]\n").profiles.at(0).measurements.at(0).power_w, 5.2);
  expect_refused(mapping + "power_w = VDD_IN [mW]\ntime_ms = VDD_SOC [ms]\n",
                 {"T_114750000", "column 'VDD_SOC': '100.5 mW' cannot be turned into ms"});
  expect_refused(mapping + "power_w = VDD_IN [J] / VDD_SOC [s]\n", {"T_114750000", "cannot be turned into"});
}

TEST_F(Import, TwoSensorsOfOneNameAreRefusedWhereTheyAreAsked) {
  const std::string line = "RAM 1/2MB CPU [2%@345] VDD_IN 5200/1 VDD_SOC 100/1 VDD_IN 11000/1\n";
  write("T_114750000", line + "\n" + line + "torn");
  const std::string mapping = kOne + "[file T_*]\nformat = tegrastats\npattern = T_{gpu_khz:Hz}\npower_w = ";
  expect_refused(mapping + "VDD_IN [mW]\n", {"T_114750000", "VDD_IN", "more than once"});
  ImportReport report;
  EXPECT_DOUBLE_EQ(run(mapping + "VDD_SOC [mW]\n", &report).profiles.at(0).measurements.at(0).power_w, 0.1);
  EXPECT_EQ(report.skipped_lines, 1u);
}

TEST_F(Import, ARailThatSomeLinesLackIsTold) {
  write("T_114750000", "RAM 1/2MB CPU [2%@345] A 1000/1 B 500/1\nRAM 1/2MB CPU [2%@345] A 3000/1\n");
  ImportReport report;
  const std::string mapping = kOne + "[file T_*]\nformat = tegrastats\npattern = T_{gpu_khz:Hz}\npower_w = ";
  EXPECT_DOUBLE_EQ(run(mapping + "A [mW]\n", &report).profiles.at(0).measurements.at(0).power_w, 2);
  EXPECT_TRUE(report.notices.empty());
  EXPECT_DOUBLE_EQ(run(mapping + "A + B [mW]\n", &report).profiles.at(0).measurements.at(0).power_w, 2.5);
  ASSERT_EQ(report.notices.size(), 1u);
  EXPECT_NE(report.notices[0].find("rail B is in 1 of 2 lines"), std::string::npos);
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

std::string of_board(const std::string& board) {
  return "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = " + board +
         "\nrepeated = mean\n[file *.csv]\ncpu_cores = cores [count]\ncpu_khz = cpu [MHz]\ngpu_khz = gpu "
         "[MHz]\n"
         "mem_khz = mem [MHz]\ntime_ms = ms [ms]\n";
}

TEST_F(Import, ALevelThatAKnownBoardLacksIsRefused) {
  write("a.csv", "cores,cpu,gpu,mem,ms\n4,1113.6,1300.5,1331.2,5\n");
  const auto profile = run(of_board("tx2")).profiles.at(0);
  EXPECT_GT(profile.space->size(), 1000u);
  write("a.csv", "cores,cpu,gpu,mem,ms\n4,1113.6,1300.5,1331.2,5\n4,1150,1300.5,1331.2,5\n");
  expect_refused(of_board("tx2"), {"a.csv:3", "cpu_khz=1150000", "tx2", "nearest is 1113600"});
  write("a.csv", "cores,cpu,gpu,mem,ms\n9,1113.6,1300.5,1331.2,5\n");
  expect_refused(of_board("tx2"), {"a.csv:2", "cpu_cores=9", "tx2"});
  expect_refused(
      "[profile]\ndevice = tx2\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = tx2\n"
      "[file *.csv]\ncpu_khz = cpu [kHz]\ntime_ms = ms [ms]\n",
      {"m.ini", "tx2", "cpu_cores"});
}

TEST_F(Import, ClocksThatWereCutOrRoundedAreTheirLevels) {
  // Cut, rounded, within half a percent, as it is: all are 4 cores, 2201.6, 114.75 and 665.6 MHz.
  write("a.csv",
        "cores,cpu,gpu,mem,ms\n4,2201,114,665,5\n4,2202,115,666,7\n4,2199,114.5,668,6\n4,2201.6,114.75,665.6,"
        "6\n");
  ImportReport report;
  const auto profile = run(of_board("orin-agx-64"), &report).profiles.at(0);
  EXPECT_EQ(profile.modes, (std::vector<hw::PowerMode>{{4, 2201600, 114750, 665600}}));
  EXPECT_DOUBLE_EQ(profile.measurements.at(0).time_ms, 6);
  ASSERT_EQ(report.notices.size(), 3u);
  EXPECT_NE(report.notices[0].find("3 settings of cpu_khz"), std::string::npos);
  EXPECT_NE(report.notices[0].find("for 2201600"), std::string::npos);
  write("a.csv", "cores,cpu,gpu,mem,ms\n4,2201,120,665,5\n");
  expect_refused(of_board("orin-agx-64"), {"a.csv:2", "gpu_khz=120000", "nearest is 114750"});
}

TEST_F(Import, TheListOfAnotherJetPackIsNamed) {
  write("a.csv", "cores,cpu,gpu,mem,ms\n4,2201,510,3199,5\n12,729,1300,665,7\n");
  expect_refused(of_board("orin-agx-64"),
                 {"a.csv:2", "gpu_khz=510000", "orin-agx-64-jp6", "JetPack 5.1 and 6"});
  EXPECT_NO_THROW(run(of_board("orin-agx-64-jp6")));
}

TEST_F(Import, LevelsMayComeFromTheOutside) {
  options_ = {std::make_shared<const hw::PowerModeSpace>(
                  hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {114750, 1300500}}})),
              "mine"};
  write("a.csv", "gpu,ms,watts\n114,5,5\n1300.5,6,6\n");
  const auto profile = run(kOne + kBoth).profiles.at(0);
  EXPECT_EQ(profile.modes, (std::vector<hw::PowerMode>{{114750}, {1300500}}));
  write("a.csv", "gpu,ms,watts\n130,5,5\n");
  expect_refused(kOne + kBoth, {"a.csv:2", "gpu_khz=130000 is no level of mine", "nearest is 114750"});
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
  expect_refused(
      kProfile + "[file *]\npattern = t_{app}.csv\ngpu_khz = gpu * 1e308 [MHz]\ntime_ms = secs [s]\n",
      {"'gpu * 1e308'", "too large"});
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

}  // namespace import_test
}  // namespace fewwatt::tests
