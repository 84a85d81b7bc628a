#include "hw/jetson/rails.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace rails_test {

struct Channel {
  std::string label;
  int millivolts = 0, milliamperes = 0;
};
struct IioChannel {
  std::string label;
  int milliwatts = 0;
};

// The kernel's files of power sensors, with links as on a board.
class Tree {
 public:
  std::string at(const std::string& path) const { return dir_ / path.substr(1); }
  void put(const std::string& path, const std::string& text) const {
    tests::write_text(at(path), text + '\n');
  }
  void put(const std::string& path, int number) const { put(path, std::to_string(number)); }
  void link(const std::string& path, const std::string& target) const {
    namespace fs = std::filesystem;
    fs::create_directories(fs::path(at(path)).parent_path());
    fs::create_directory_symlink(fs::path(target).lexically_relative(fs::path(path).parent_path()), at(path));
  }
  // `device`: ".../i2c-1/1-0040". Returns the folder of the sensor.
  std::string hwmon(int number, const std::string& device, const std::vector<Channel>& channels,
                    int update_interval_ms = 430) const {
    const auto name = "hwmon" + std::to_string(number);
    const auto folder = device + "/hwmon/" + name;
    put(folder + "/name", "ina3221");
    put(folder + "/samples", 512);
    put(folder + "/update_interval", update_interval_ms);
    for (std::size_t i = 0; i < channels.size(); ++i) {
      const auto number_text = std::to_string(i + 1);
      const bool connected = channels[i].label != "NC";
      put(folder + "/in" + number_text + "_label", channels[i].label);
      put(folder + "/in" + number_text + "_enable", connected ? 1 : 0);
      if (!connected) continue;
      put(folder + "/in" + number_text + "_input", channels[i].millivolts);
      put(folder + "/curr" + number_text + "_input", channels[i].milliamperes);
    }
    put(folder + "/in4_input", 320);
    put(folder + "/in7_label", "sum of shunt voltages");
    put(folder + "/in7_input", 960);
    put(folder + "/curr4_input", 99999);
    link("/sys/class/hwmon/" + name, folder);
    return folder;
  }
  // JetPack 4.
  std::string iio(int number, const std::string& device, const std::vector<IioChannel>& channels) const {
    const auto folder = device + "/iio:device" + std::to_string(number);
    for (std::size_t i = 0; i < channels.size(); ++i) {
      put(folder + "/rail_name_" + std::to_string(i), channels[i].label);
      put(folder + "/in_power" + std::to_string(i) + "_input", channels[i].milliwatts);
      put(folder + "/crit_current_limit_" + std::to_string(i), "32760 ma");
    }
    link(device + "/iio_device", folder);
    link("/sys/bus/i2c/drivers/ina3221x/" + std::filesystem::path(device).filename().string(), device);
    return folder;
  }
  FileSysfs files() const { return FileSysfs(dir_.path().string()); }

 private:
  tests::TempDir dir_;
};

// A tree in which reading `path` fails.
class Faulty final : public Sysfs {
 public:
  Faulty(const Sysfs& files, std::string path, int code)
      : files_(files), path_(std::move(path)), code_(code) {}
  std::string read(const std::string& path) const override {
    if (path == path_) throw SysfsError(path, "cannot read", code_);
    return files_.read(path);
  }
  void write(const std::string& path, const std::string&) override {
    throw SysfsError(path, "cannot write", EROFS);
  }
  bool exists(const std::string& path) const override { return files_.exists(path); }
  int write_error(const std::string&) const override { return EROFS; }
  std::vector<std::string> list(const std::string& folder) const override { return files_.list(folder); }
  std::string resolve(const std::string& path) const override { return files_.resolve(path); }

 private:
  const Sysfs& files_;
  std::string path_;
  int code_;
};

const std::vector<std::string> kAgxOrin = {"nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005",
                                           "nvidia,tegra234"};
const std::vector<std::string> kOrinNano = {"nvidia,p3768-0000+p3767-0005-super", "nvidia,tegra234"};
const std::vector<std::string> kAgxXavier = {"nvidia,p2972-0000", "nvidia,tegra194"};
const std::vector<std::string> kTx2 = {"nvidia,quill", "nvidia,tegra186"};
const std::vector<std::string> kNano = {"nvidia,p3450-0000", "nvidia,tegra210"};

std::vector<std::string> labels(const std::vector<Rail>& rails) {
  std::vector<std::string> found;
  for (const auto& rail : rails) found.push_back(rail.label);
  return found;
}

double power_w(const Sysfs& files, const TotalPower& total) {
  double sum_w = 0;
  for (const auto& rail : total.rails) sum_w += read_power_w(files, rail);
  return sum_w;
}

double total_w(const Sysfs& files, const std::vector<std::string>& compatible) {
  return power_w(files, total_of(find_rails(files), compatible));
}

void expect_no_total(const Sysfs& files, const std::vector<std::string>& compatible,
                     std::initializer_list<std::string> fragments) {
  try {
    const auto total = total_of(find_channels(files), compatible);
    ADD_FAILURE() << "expected a DeviceError, got " << total.note;
  } catch (const DeviceError& e) {
    const std::string message = e.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& fragment : fragments)
      EXPECT_NE(message.find(fragment), std::string::npos) << "'" << fragment << "' is not in: " << message;
  }
}

// Returns the folder of the sensor at 1-0040.
std::string build_agx_orin(const Tree& tree, const std::string& bus) {
  tree.put("/sys/class/hwmon/hwmon0/name", "pwmfan");
  const auto folder =
      tree.hwmon(3, bus + "/i2c-1/1-0040",
                 {{"VDD_GPU_SOC", 19456, 160}, {"VDD_CPU_CV", 19448, 72}, {"VIN_SYS_5V0", 5024, 720}});
  tree.hwmon(4, bus + "/i2c-1/1-0041", {{"NC"}, {"VDDQ_VDD2_1V8AO", 5000, 60}, {"NC"}});
  return folder;
}
constexpr double kAgxOrin_w = 19.456 * 0.160 + 19.448 * 0.072 + 5.024 * 0.720;

TEST(Rails, AgxOrinIsTheSumOfThree) {
  for (const std::string bus :
       {"/sys/devices/platform/c240000.i2c", "/sys/devices/platform/bus@0/c240000.i2c"}) {
    const Tree tree;
    build_agx_orin(tree, bus);
    const auto files = tree.files();
    const auto rails = find_rails(files);
    EXPECT_EQ(labels(rails),
              (std::vector<std::string>{"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"}));
    EXPECT_EQ(rails[0].bus_address, "1-0040");
    EXPECT_EQ(rails[3].bus_address, "1-0041");
    EXPECT_EQ(rails[3].channel, 2);
    EXPECT_EQ(rails[0].problem, "");
    EXPECT_NEAR(rails[0].averaging_s, 0.43, 0.001);
    const auto total = total_of(rails, kAgxOrin);
    EXPECT_NEAR(power_w(files, total), kAgxOrin_w, 1e-9);
    EXPECT_NE(total.note.find("not added: VDDQ_VDD2_1V8AO of 1-0041"), std::string::npos) << total.note;
  }
}

TEST(Rails, OrinNanoAndXavierNxAreVddInAlone) {
  for (const std::string device :
       {"/sys/devices/platform/c240000.i2c/i2c-1/1-0040", "/sys/devices/platform/c250000.i2c/i2c-7/7-0040"}) {
    const Tree tree;
    tree.hwmon(1, device, {{"VDD_IN", 5160, 890}, {"VDD_CPU_GPU_CV", 5160, 160}, {"VDD_SOC", 5160, 310}});
    EXPECT_NEAR(total_w(tree.files(), kOrinNano), 5.160 * 0.890, 1e-9);
    EXPECT_NEAR(total_w(tree.files(), {}), 5.160 * 0.890, 1e-9) << "of a board that is not known";
  }
  const Tree tree;
  tree.iio(0, "/sys/devices/c250000.i2c/i2c-7/7-0040",
           {{"VDD_IN", 4592}, {"VDD_CPU_GPU_CV", 816}, {"VDD_SOC", 1599}});
  EXPECT_NEAR(total_w(tree.files(), {"nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"}), 4.592, 1e-9);
}

TEST(Rails, AgxXavierIsTheSumOfSix) {
  const Tree old;
  old.iio(0, "/sys/devices/3160000.i2c/i2c-1/1-0040", {{"GPU", 1155}, {"CPU", 385}, {"SOC", 2502}});
  old.iio(1, "/sys/devices/3160000.i2c/i2c-1/1-0041", {{"CV", 0}, {"VDDRQ", 192}, {"SYS5V", 2692}});
  const auto files = old.files();
  EXPECT_EQ(find_rails(files).size(), 6u) << "iio_device is an alias, not a sensor";
  EXPECT_NEAR(total_w(files, kAgxXavier), 1.155 + 0.385 + 2.502 + 0.192 + 2.692, 1e-9);

  const Tree tree;
  tree.hwmon(2, "/sys/devices/3160000.i2c/i2c-1/1-0040",
             {{"GPU", 19000, 60}, {"CPU", 19000, 20}, {"SOC", 19000, 130}});
  tree.hwmon(3, "/sys/devices/3160000.i2c/i2c-1/1-0041",
             {{"CV", 19000, 0}, {"VDDRQ", 19000, 10}, {"SYS5V", 5000, 540}});
  EXPECT_NEAR(total_w(tree.files(), kAgxXavier), 19 * 0.220 + 2.7, 1e-9);
}

TEST(Rails, Tx2IsTheModuleNotItsCarrier) {
  const Tree tree;
  tree.iio(0, "/sys/devices/3160000.i2c/i2c-0/0-0040",
           {{"VDD_SYS_GPU", 76}, {"VDD_SYS_SOC", 384}, {"VDD_4V0_WIFI", 364}});
  const auto module = tree.iio(1, "/sys/devices/3160000.i2c/i2c-0/0-0041",
                               {{"VDD_IN", 1383}, {"VDD_SYS_CPU", 153}, {"VDD_SYS_DDR", 192}});
  tree.iio(2, "/sys/devices/3160000.i2c/i2c-0/0-0042", {{"VDD_IN", 9000}, {"VDD_5V0_IO_SYS", 900}});
  tree.iio(3, "/sys/devices/3160000.i2c/i2c-0/0-0043", {{"VDD_IN", 8000}, {"VDD_1V8_IO", 80}});
  const auto files = tree.files();
  EXPECT_NEAR(total_w(files, kTx2), 1.383, 1e-9);
  EXPECT_NEAR(total_w(files, {}), 1.383, 1e-9);

  std::filesystem::remove(tree.at(module + "/rail_name_0"));
  expect_no_total(tree.files(), kTx2, {"VDD_IN of 0-0042", "VDD_SYS_CPU of 0-0041"});
}

TEST(Rails, NanoIsPom5vIn) {
  const Tree tree;
  tree.iio(0, "/sys/devices/7000c400.i2c/i2c-6/6-0040",
           {{"POM_5V_IN", 933}, {"POM_5V_GPU", 40}, {"POM_5V_CPU", 84}});
  EXPECT_NEAR(total_w(tree.files(), kNano), 0.933, 1e-9);
}

TEST(Rails, ThorIsVin) {
  const Tree tree;
  tree.hwmon(1, "/sys/devices/platform/bus@0/c600000.i2c/i2c-2/2-0040",
             {{"VDD_GPU", 9000, 400}, {"VDD_CPU_SOC_MSS", 9000, 500}, {"VIN_SYS_5V0", 5000, 700}});
  const std::string ina238 = "/sys/devices/platform/bus@0/c600000.i2c/i2c-2/2-0044/hwmon/hwmon2";
  tree.put(ina238 + "/name", "ina238");
  tree.put(ina238 + "/power1_input", 20125000);
  tree.link("/sys/class/hwmon/hwmon2", ina238);
  const std::vector<std::string> thor = {"nvidia,p3834-0008", "nvidia,tegra264"};
  EXPECT_NEAR(total_w(tree.files(), thor), 20.125, 1e-9);
  expect_no_total(tree.files(), {}, {"VIN of 2-0044", "VDD_GPU of 2-0040"});
  // One of its rails is called as one of another board's.
  std::filesystem::remove(tree.at("/sys/class/hwmon/hwmon2"));
  expect_no_total(tree.files(), thor,
                  {"missing VIN ", "of Jetson Thor, whose power is VIN;", "VIN_SYS_5V0 of 2-0040"});
}

TEST(Rails, ASensorWithoutLabelsIsThereAndSaysSo) {
  const Tree tree;
  const auto folder =
      tree.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"VDD_IN", 5000, 1000}, {"A", 5000, 200}, {"NC"}});
  for (const char* label : {"/in1_label", "/in2_label", "/in3_label"})
    std::filesystem::remove(tree.at(folder + label));
  const auto rails = find_rails(tree.files());
  ASSERT_EQ(rails.size(), 2U) << "the third is switched off";
  EXPECT_EQ(rails[0].name(), "channel 1 (no label)");
  EXPECT_EQ(rails[0].problem, "");
  EXPECT_NEAR(read_power_w(tree.files(), rails[0]), 5, 1e-9);
  expect_no_total(tree.files(), kOrinNano,
                  {"there is an INA3221, but it has no labels", "channel 2 (no label) of 1-0040"});

  // Where one of several has none, the others count as ever.
  tree.hwmon(2, "/sys/devices/i2c-1/1-0041", {{"VDD_IN", 5000, 900}});
  EXPECT_NEAR(total_w(tree.files(), kOrinNano), 4.5, 1e-9);
  EXPECT_NE(total_of(find_rails(tree.files()), kOrinNano).note.find("not added: channel 1 (no label)"),
            std::string::npos);
  // An empty one names nothing either.
  tree.put(folder + "/in2_label", "");
  EXPECT_EQ(find_rails(tree.files())[1].name(), "channel 2 (no label)");
  // A label that may not be read is another matter.
  tree.put(folder + "/in1_label", "VDD_IN");
  const auto files = tree.files();
  EXPECT_EQ(find_rails(Faulty(files, folder + "/in1_label", EACCES))[0].name(), "channel 1");

  const Tree old;
  const auto iio = old.iio(0, "/sys/devices/i2c-6/6-0040", {{"POM_5V_IN", 933}});
  std::filesystem::remove(old.at(iio + "/rail_name_0"));
  expect_no_total(old.files(), kNano,
                  {"there is an INA3221, but it has no labels", "channel 0 (no label) of 6-0040"});
}

TEST(Rails, SensorSeenTwiceIsOne) {
  const Tree tree;
  const auto folder = build_agx_orin(tree, "/sys/devices/platform/c240000.i2c");
  tree.link("/sys/class/hwmon/hwmon9", folder);
  tree.iio(0, "/sys/devices/platform/c240000.i2c/i2c-1/1-0040", {{"VDD_GPU_SOC", 1}});
  EXPECT_EQ(find_rails(tree.files()).size(), 4u);
  EXPECT_NEAR(total_w(tree.files(), kAgxOrin), kAgxOrin_w, 1e-9);
}

TEST(Rails, SameLabelTwiceIsRefused) {
  const Tree tree;
  tree.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"VDD_IN", 5000, 1000}});
  tree.hwmon(2, "/sys/devices/i2c-2/2-0040", {{"VDD_IN", 5000, 2000}});
  expect_no_total(tree.files(), kOrinNano, {"VDD_IN is there more than once", "1-0040", "2-0040"});
}

TEST(Rails, UnconnectedAndDisabledChannelsAreLeftOut) {
  const Tree tree;
  const auto folder = build_agx_orin(tree, "/sys/devices/platform/c240000.i2c");
  tree.put(folder + "/in3_enable", 0);
  EXPECT_EQ(labels(find_rails(tree.files())),
            (std::vector<std::string>{"VDD_GPU_SOC", "VDD_CPU_CV", "VDDQ_VDD2_1V8AO"}));
  expect_no_total(tree.files(), kAgxOrin, {"missing VIN_SYS_5V0", "VDD_GPU_SOC of 1-0040", "switched off"});
  tree.put(folder + "/in1_enable", 0);
  expect_no_total(tree.files(), kAgxOrin, {"missing VDD_GPU_SOC, VIN_SYS_5V0"});
}

TEST(Rails, ASensorThatIsSwitchedOffIsThereAndSaysSo) {
  const Tree tree;
  const auto folder =
      tree.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"VDD_IN", 5000, 1000}, {"VDD_SOC", 5000, 200}});
  for (const char* enable : {"/in1_enable", "/in2_enable"}) tree.put(folder + enable, 0);
  EXPECT_TRUE(find_rails(tree.files()).empty());
  const auto channels = find_channels(tree.files());
  ASSERT_EQ(channels.size(), 2U);
  EXPECT_EQ(channels[1].name(), "VDD_SOC");
  EXPECT_EQ(channels[1].unused, "switched off (in2_enable is 0)");
  expect_no_total(tree.files(), kOrinNano,
                  {"there are power sensors, but none of their channels is in use",
                   "VDD_IN of 1-0040, switched off (in1_enable is 0)"});
  tree.put(folder + "/in2_enable", 1);
  expect_no_total(tree.files(), kOrinNano,
                  {"VDD_IN of 1-0040, switched off (in1_enable is 0); VDD_SOC of 1-0040"});
}

TEST(Rails, ASensorOfWhichNothingIsConnectedIsThereAndSaysSo) {
  const Tree tree;
  tree.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"NC"}, {"NC"}, {"NC"}});
  expect_no_total(tree.files(), kOrinNano,
                  {"none of their channels is in use", "channel 3 of 1-0040, not connected (label NC)"});
  const Tree old;
  old.iio(0, "/sys/devices/i2c-6/6-0040", {{"NC", 0}, {"NC", 0}});
  expect_no_total(old.files(), kNano,
                  {"none of their channels is in use", "channel 1 of 6-0040, not connected"});
  const Tree bare;
  bare.hwmon(1, "/sys/devices/i2c-1/1-0040", {});
  expect_no_total(bare.files(), kOrinNano,
                  {"none of their channels is in use", "1-0040, without channels (no in1_input)"});
  // NC is a word.
  const Tree named;
  named.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"VDD_IN", 5000, 1000}, {"VDD_SYNC", 5000, 100}});
  EXPECT_EQ(labels(find_rails(named.files())), (std::vector<std::string>{"VDD_IN", "VDD_SYNC"}));
}

TEST(Rails, WhatReadsBelowZeroIsNoPower) {
  const Tree tree;
  const auto folder = build_agx_orin(tree, "/sys/devices/platform/c240000.i2c");
  tree.put(folder + "/curr2_input", -8);  // of its offset: the sum is right within that
  EXPECT_EQ(find_rails(tree.files())[1].problem, "");
  EXPECT_NEAR(total_w(tree.files(), kAgxOrin), 19.456 * 0.160 - 19.448 * 0.008 + 5.024 * 0.720, 1e-9);
  tree.put(folder + "/curr2_input", -285);
  expect_no_total(tree.files(), kAgxOrin,
                  {"VDD_CPU_CV of 1-0040 reads -5.54", "W, which no rail takes", "shunt"});
  // The total does not need it.
  tree.put(folder + "/curr2_input", 72);
  tree.put("/sys/devices/platform/c240000.i2c/i2c-1/1-0041/hwmon/hwmon4/curr2_input", -400);
  EXPECT_NEAR(total_w(tree.files(), kAgxOrin), kAgxOrin_w, 1e-9);
  const Tree old;
  old.iio(0, "/sys/devices/i2c-6/6-0040", {{"POM_5V_IN", -933}});
  expect_no_total(old.files(), kNano, {"POM_5V_IN of 6-0040 reads -0.933 W"});
}

TEST(Rails, UnreadableRailNamesPathErrnoAndRemedy) {
  const Tree tree;
  const auto folder = build_agx_orin(tree, "/sys/devices/platform/c240000.i2c");
  const auto files = tree.files();
  const auto current = folder + "/curr2_input";
  expect_no_total(Faulty(files, current, EACCES), kAgxOrin,
                  {"VDD_CPU_CV of 1-0040 cannot be read: " + current, "Permission denied", "sudo chmod a+r"});
  expect_no_total(Faulty(files, current, ENODATA), kAgxOrin, {current, "No data available"});
  expect_no_total(Faulty(files, folder + "/in1_label", EACCES), kAgxOrin,
                  {"missing VDD_GPU_SOC", folder + "/in1_label", "Permission denied"});
  // The total does not need it.
  const std::string other = "/sys/devices/platform/c240000.i2c/i2c-1/1-0041/hwmon/hwmon4/in2_input";
  EXPECT_NEAR(total_w(Faulty(files, other, EIO), kAgxOrin), kAgxOrin_w, 1e-9);

  tree.put(current, "much");
  expect_no_total(files, kAgxOrin, {current, "much"});
  std::filesystem::remove(tree.at(current));
  std::filesystem::create_directory(tree.at(current));
  expect_no_total(files, kAgxOrin, {current, "Is a directory"});
}

TEST(Rails, NoSensorSaysWhereItLooked) {
  const Tree tree;
  tree.put("/sys/class/hwmon/hwmon0/name", "pwmfan");
  expect_no_total(tree.files(), kAgxOrin, {"no power sensor found", "/sys/class/hwmon", "ina3221x"});
}

TEST(Rails, UnknownRailsAreListed) {
  const Tree tree;
  tree.hwmon(1, "/sys/devices/i2c-1/1-0045", {{"MY_RAIL", 5000, 1000}});
  expect_no_total(tree.files(), {}, {"MY_RAIL of 1-0045", "VDD_IN", "POM_5V_IN"});
}

TEST(Rails, AveragingIsTheSensorsOwn) {
  const auto averaging_s = [](int update_interval_ms, int samples) {
    const Tree tree;
    const auto folder = tree.hwmon(1, "/sys/devices/i2c-1/1-0040", {{"VDD_IN", 5000, 1000}, {"A"}, {"B"}},
                                   update_interval_ms);
    tree.put(folder + "/samples", samples);
    return find_rails(tree.files()).at(0).averaging_s;
  };
  EXPECT_NEAR(averaging_s(800, 512), 0.8, 1e-9);
  EXPECT_NEAR(averaging_s(1, 1024), 1024 * 2 * 3 * 140e-6, 1e-9) << "an interval without its samples";
  EXPECT_NEAR(averaging_s(0, 512), kSensorAveraging_s, 1e-9) << "no interval";
}

}  // namespace rails_test
}  // namespace fewwatt::hw
