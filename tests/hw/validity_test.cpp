#include "hw/jetson/validity.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <functional>

#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace validity_test {

const std::string kGpuMax = "/sys/class/devfreq/17000000.gpu/max_freq";
const std::string kEmcRate = "/sys/kernel/debug/bpmp/debug/clk/emc/rate";
const std::string kCounters = "/sys/devices/platform/soctherm-oc-event/hwmon/hwmon5";
const std::string kThermal = "/sys/class/thermal/";

// An AGX Orin with JetPack 6, as far as validity is concerned; reading a path of `faults` fails.
class Board final : public Sysfs {
 public:
  Board() : files_(dir_.path().string()) {
    put(kCounters + "/name", "soctherm_oc");
    for (const std::string number : {"1", "2", "3"}) {
      put(kCounters + "/oc" + number + "_event_cnt", "7");
      put(kCounters + "/oc" + number + "_throt_en", "1");
      put("/sys/kernel/debug/bpmp/debug/soctherm/oc" + number + "/event_cnt", "7");
    }
    for (const std::string alias : {"hwmon5", "hwmon6"}) {
      const std::filesystem::path link = at("/sys/class/hwmon/" + alias);
      std::filesystem::create_directories(link.parent_path());
      std::filesystem::create_directory_symlink("../../devices/platform/soctherm-oc-event/hwmon/hwmon5",
                                                link);
    }
    zone(0, "cpu-thermal", "47500", {{"active", "35000"}, {"passive", "99000"}, {"critical", "104500"}});
    zone(1, "gpu-thermal", "45000", {{"passive", "99000"}});
    zone(2, "cv0-thermal", "-256000", {{"passive", "99000"}});
    zone(3, "cv1-thermal", "-256", {{"passive", "99000"}});
    zone(4, "tj-thermal", "48843", {{"hot", "98000"}, {"critical", "104500"}});
    zone(5, "PMIC-Die", "100000", {{"critical", "100000"}});
    zone(6, "tboard-thermal", "41000", {});
    cooling(0, "cpu-throttle-alert", 0);
    cooling(1, "pwm-fan", 3);
    cooling(2, "cpufreq-cpu0", 0);
    cooling(3, "devfreq-17000000.gpu", 0);
    put("/sys/devices/system/cpu/online", "0-11");
    put("/proc/sys/kernel/random/boot_id", "aaaa-1");
    put(kGpuMax, "1300500000");
    put(kEmcRate, "3199000000");
  }
  std::string at(const std::string& path) const { return dir_ / path.substr(1); }
  void put(const std::string& path, const std::string& text) const {
    tests::write_text(at(path), text + '\n');
  }
  void zone(int number, const std::string& type, const std::string& temp,
            const std::vector<std::pair<std::string, std::string>>& trips) const {
    const auto folder = kThermal + "thermal_zone" + std::to_string(number);
    put(folder + "/type", type);
    put(folder + "/temp", temp);
    for (std::size_t i = 0; i < trips.size(); ++i) {
      put(folder + "/trip_point_" + std::to_string(i) + "_type", trips[i].first);
      put(folder + "/trip_point_" + std::to_string(i) + "_temp", trips[i].second);
    }
  }
  void cooling(int number, const std::string& type, int state) const {
    const auto folder = kThermal + "cooling_device" + std::to_string(number);
    put(folder + "/type", type);
    put(folder + "/cur_state", std::to_string(state));
  }
  BoardState state() const { return read_board_state(*this, {kGpuMax, kEmcRate}); }

  std::string read(const std::string& path) const override {
    if (const auto found = faults.find(path); found != faults.end())
      throw SysfsError(path, "cannot read", found->second);
    return files_.read(path);
  }
  void write(const std::string& path, const std::string&) override {
    throw SysfsError(path, "cannot write", EROFS);
  }
  bool exists(const std::string& path) const override { return files_.exists(path); }
  int write_error(const std::string&) const override { return EROFS; }
  std::vector<std::string> list(const std::string& folder) const override { return files_.list(folder); }
  std::string resolve(const std::string& path) const override { return files_.resolve(path); }

  std::map<std::string, int> faults;

 private:
  tests::TempDir dir_;
  FileSysfs files_;
};

const ThermalZone* zone_of(const BoardState& state, const std::string& name) {
  for (const auto& zone : state.zones)
    if (zone.name == name) return &zone;
  return nullptr;
}

// What why_invalid() says after `change`.
std::string reasons_after(const std::function<void(Board&)>& change) {
  Board board;
  const auto before = board.state();
  change(board);
  return why_invalid(before, board.state()).value_or("");
}

void expect_reason(const std::function<void(Board&)>& change, std::initializer_list<std::string> fragments) {
  const auto reasons = reasons_after(change);
  for (const auto& fragment : fragments)
    EXPECT_NE(reasons.find(fragment), std::string::npos) << "'" << fragment << "' is not in: " << reasons;
}

TEST(Validity, ReadsTheBoard) {
  const Board board;
  const auto state = board.state();
  EXPECT_EQ(state.over_current.size(), 6u) << "three of the kernel, seen under two names, and three of BPMP";
  EXPECT_EQ(state.cooling.size(), 3u) << "without the fan";
  EXPECT_EQ(state.online_cpus.size(), 12u);
  EXPECT_EQ(state.boot_id, "aaaa-1");
  EXPECT_EQ(state.controls.at(kEmcRate), "3199000000");
  EXPECT_EQ(zone_of(state, "PMIC-Die"), nullptr);
  ASSERT_NE(zone_of(state, "cpu-thermal"), nullptr);
  EXPECT_EQ(zone_of(state, "cpu-thermal")->temp_c, 47.5);
  EXPECT_EQ(zone_of(state, "cpu-thermal")->trip_c, 99.0);
  EXPECT_EQ(zone_of(state, "tboard-thermal")->trip_c, std::nullopt);
  EXPECT_NEAR(hottest_margin_c(state), 98 - 48.843, 1e-9);
}

TEST(Validity, UnchangedBoardIsValid) {
  EXPECT_EQ(reasons_after([](Board&) {}), "");
  EXPECT_EQ(reasons_after([](Board& board) {
              board.zone(0, "cpu-thermal", "80000", {});
              board.cooling(1, "pwm-fan", 7);
            }),
            "");
}

TEST(Validity, OverCurrentIsAReason) {
  expect_reason([](Board& board) { board.put(kCounters + "/oc2_event_cnt", "10"); },
                {"oc2 (average current too high) moved by 3", "oc2_event_cnt"});
  expect_reason([](Board& board) { board.put("/sys/kernel/debug/bpmp/debug/soctherm/oc1/event_cnt", "8"); },
                {"oc1 (voltage too low) moved by 1", "/sys/kernel/debug/bpmp"});
  expect_reason([](Board& board) { board.faults["/sys/class/hwmon/hwmon5/oc3_event_cnt"] = EIO; },
                {"oc3 (current too high) could not be read afterwards"});
}

TEST(Validity, ThrottlingIsAReason) {
  expect_reason([](Board& board) { board.cooling(0, "cpu-throttle-alert", 1); },
                {"cpu-throttle-alert throttled after", "state 1"});
  expect_reason([](Board& board) { board.cooling(2, "cpufreq-cpu0", 4); }, {"cpufreq-cpu0", "state 4"});
  expect_reason([](Board& board) { board.cooling(3, "devfreq-17000000.gpu", 2); }, {"devfreq-17000000.gpu"});
  const Board board;
  board.cooling(0, "cpu-throttle-alert", 1);
  const auto before = board.state();
  board.cooling(0, "cpu-throttle-alert", 0);
  EXPECT_NE(why_invalid(before, board.state()).value_or("").find("throttled before"), std::string::npos);
}

TEST(Validity, TripTemperatureIsAReason) {
  expect_reason([](Board& board) { board.put(kThermal + "thermal_zone1/temp", "99500"); },
                {"gpu-thermal was at 99.5 C after", "trip temperature is 99 C"});
  Board board;
  board.put(kThermal + "thermal_zone1/temp", "99500");
  EXPECT_NEAR(hottest_margin_c(board.state()), -0.5, 1e-9);
}

TEST(Validity, ChangedSettingsAreReasons) {
  expect_reason([](Board& board) { board.put(kGpuMax, "612000000"); },
                {kGpuMax + " held 1300500000 before, 612000000 after."});
  expect_reason([](Board& board) { board.faults[kEmcRate] = EACCES; }, {kEmcRate, "Permission denied"});
  expect_reason([](Board& board) { board.put("/sys/devices/system/cpu/online", "0-1,3"); },
                {"CPUs 0,1,2,3,4,5,6,7,8,9,10,11 were on before, 0,1,3 after."});
  expect_reason([](Board& board) { board.put("/proc/sys/kernel/random/boot_id", "bbbb-2"); },
                {"has booted", "aaaa-1", "bbbb-2"});
}

TEST(Validity, EveryReasonIsGiven) {
  const auto reasons = reasons_after([](Board& board) {
    board.put(kCounters + "/oc3_event_cnt", "8");
    board.cooling(0, "cpu-throttle-alert", 1);
    board.put(kGpuMax, "1");
  });
  EXPECT_EQ(reasons.find('\n'), std::string::npos);
  for (const auto& part : {std::string("oc3"), std::string("cpu-throttle-alert"), kGpuMax})
    EXPECT_NE(reasons.find(part), std::string::npos) << reasons;
}

TEST(Validity, ZonesThatAreOffOrTalkNonsenseAreNotReadable) {
  Board board;
  for (const std::string zone : {"cv0-thermal", "cv1-thermal"}) {
    const auto state = board.state();
    ASSERT_NE(zone_of(state, zone), nullptr);
    EXPECT_EQ(zone_of(state, zone)->temp_c, std::nullopt);
  }
  for (const std::string temp : {"-274000", "999999999", "hot", "", "99000 C"}) {
    board.put(kThermal + "thermal_zone1/temp", temp);
    EXPECT_EQ(zone_of(board.state(), "gpu-thermal")->temp_c, std::nullopt) << temp;
  }
  for (const int code : {EAGAIN, EINVAL, EIO}) {
    board.faults[kThermal + "thermal_zone4/temp"] = code;
    EXPECT_EQ(zone_of(board.state(), "tj-thermal")->temp_c, std::nullopt);
  }
  EXPECT_NEAR(hottest_margin_c(board.state()), 99 - 47.5, 1e-9);
  EXPECT_EQ(why_invalid(board.state(), board.state()), std::nullopt);
}

TEST(Validity, TripsThatCannotBeAreIgnored) {
  const Board board;
  board.zone(1, "gpu-thermal", "45000",
             {{"passive", "-25000"}, {"passive", "30000"}, {"hot", "2147483647"}, {"passive", "x"}});
  EXPECT_EQ(zone_of(board.state(), "gpu-thermal")->trip_c, std::nullopt);
}

TEST(Validity, BareBoardHasNothingToObject) {
  const tests::TempDir dir;
  const FileSysfs files(dir.path().string());
  EXPECT_THROW(read_board_state(files, {}), DeviceError) << "which CPUs are on must be known";
  tests::write_text(dir / "sys/devices/system/cpu/online", "0\n");
  const auto state = read_board_state(files, {"/sys/none"});
  EXPECT_EQ(why_invalid(state, state), std::nullopt);
  EXPECT_TRUE(std::isinf(hottest_margin_c(state)));
}

}  // namespace validity_test
}  // namespace fewwatt::hw
