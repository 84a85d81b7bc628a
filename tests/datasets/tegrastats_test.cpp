#include "datasets/tegrastats.hpp"

#include <cmath>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace tegrastats_test {

using datasets::parse_tegrastats_line;
using Rails = std::map<std::string, double>;

// Lines of each JetPack; the values of every second column are tegrastats' own averages and must not be
// taken.
const std::string kNano =
    "RAM 331/3964MB (lfb 758x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU "
    "[31%@102,5%@102,0%@102,off] "
    "EMC_FREQ 3%@204 GR3D_FREQ 10%@76 APE 25 PLL@20.5C CPU@23.5C PMIC@100C GPU@22.5C AO@27.5C thermal@23C "
    "POM_5V_IN "
    "933/935 POM_5V_GPU 0/0 POM_5V_CPU 84/105";
const std::string kTx2 =
    "RAM 1183/7860MB (lfb 1487x4MB) CPU [2%@345,off,off,1%@345,2%@345,2%@345] EMC_FREQ 1%@665 GR3D_FREQ "
    "5%@140 APE 150 "
    "MTS fg 0% bg 0% BCPU@30C MCPU@30C GPU@28C PLL@30C Tboard@26C Tdiode@27C PMIC@100C thermal@29.2C VDD_IN "
    "1383/1380 "
    "VDD_CPU 153/191 VDD_GPU 76/76 VDD_SOC 384/384 VDD_WIFI 364/335 VDD_DDR 192/201";
const std::string kXavier =
    "RAM 861/15822MB (lfb 3493x4MB) SWAP 0/7911MB (cached 0MB) CPU [3%@1190,0%@1190,off,off] EMC_FREQ "
    "0%@2133 GR3D_FREQ "
    "8%@1377 APE 150 MTS fg 0% bg 0% AO@26.5C GPU@28C Tdiode@31.25C PMIC@100C AUX@27C CPU@28C thermal@27.45C "
    "Tboard@27C "
    "GPU 1155/1150 CPU 385/380 SOC 2502/2502 CV 0/0 VDDRQ 192/192 SYS5V 2692/2692";
const std::string kOrin =
    "01-03-2023 16:07:54 RAM 2257/30536MB (lfb 5392x4MB) SWAP 0/15268MB (cached 0MB) CPU "
    "[0%@729,0%@729,off,off] EMC_FREQ "
    "0%@204 GR3D_FREQ 0%@0 GR3D2_FREQ 0%@0 NVJPG1 729 VIC_FREQ 115 APE 233 CV0@-256C CPU@41.437C Tboard@33C "
    "VDD_GPU_SOC 2390mW/2395mW VDD_CPU_CV 796mW/796mW VIN_SYS_5V0 3522mW/3522mW NC 0mW/0mW VDDQ_VDD2_1V8AO "
    "301mW/301mW NC 0mW/0mW";
const std::string kOrinNano =
    "11-30-2025 13:26:01 RAM 2461/7620MB (lfb 3x2MB) SWAP 1/3810MB (cached 0MB) CPU [5%@729,3%@729,off,off] "
    "EMC_FREQ "
    "4%@2133 GR3D_FREQ 0%@[305] NVDEC off NVJPG off VIC off OFA off APE 200 cpu@46.531C soc2@45.343C "
    "tj@48.843C VDD_IN "
    "5704mW/5700mW VDD_CPU_GPU_CV 831mW/831mW VDD_SOC 1624mW/1624mW";
const std::string kOrinJetPack7 =
    "06-02-2026 10:00:00 RAM 4000/62000MB (lfb 3x4MB) CPU [5%@729,3%@729] EMC_FREQ 4%@3199 GR3D_FREQ "
    "12%@[1300,1300] "
    "cpu@52.968C/52.968C tj@53.1C/52.9C VDD_GPU_SOC 5139mW/5130mW/5120mW VDD_CPU_CV 1200mW/1100mW/1000mW";
const std::string kThor =
    "06-02-2026 10:00:00 RAM 4000/122000MB (lfb 3x4MB) CPU [5%@729,3%@729] GR3D_FREQ @[1000,1000,1000] "
    "cpu@40C VIN "
    "20000mW/19000mW";

datasets::TegrastatsLine parsed(const std::string& text) {
  const auto line = parse_tegrastats_line(text);
  EXPECT_TRUE(line) << text;
  return line.value_or(datasets::TegrastatsLine{});
}

TEST(Tegrastats, Nano) {
  const auto line = parsed(kNano);
  EXPECT_EQ(line.rails_mw, (Rails{{"POM_5V_IN", 933}, {"POM_5V_GPU", 0}, {"POM_5V_CPU", 84}}));
  EXPECT_EQ(line.gr3d_pct, 10);
  EXPECT_EQ(line.gr3d_mhz, std::vector<double>{76});
  EXPECT_EQ(line.emc_pct, 3);
  EXPECT_EQ(line.emc_mhz, 204);
  ASSERT_EQ(line.cpu_loads_pct.size(), 4u);
  EXPECT_EQ(line.cpu_loads_pct[0], 31);
  EXPECT_TRUE(std::isnan(line.cpu_loads_pct[3]));
  EXPECT_EQ(line.temperatures_c.at("thermal"), 23);
}

TEST(Tegrastats, Tx2) {
  const auto line = parsed(kTx2);
  EXPECT_EQ(line.rails_mw, (Rails{{"VDD_IN", 1383},
                                  {"VDD_CPU", 153},
                                  {"VDD_GPU", 76},
                                  {"VDD_SOC", 384},
                                  {"VDD_WIFI", 364},
                                  {"VDD_DDR", 192}}));
  EXPECT_EQ(line.emc_mhz, 665);
  EXPECT_TRUE(std::isnan(line.cpu_loads_pct.at(1)));
  EXPECT_EQ(line.cpu_loads_pct.at(5), 2);
}

TEST(Tegrastats, Xavier) {
  EXPECT_EQ(parsed(kXavier).rails_mw,
            (Rails{{"GPU", 1155}, {"CPU", 385}, {"SOC", 2502}, {"CV", 0}, {"VDDRQ", 192}, {"SYS5V", 2692}}));
  EXPECT_EQ(parsed(kXavier).cpu_loads_pct.size(), 4u);
  EXPECT_EQ(parsed(kXavier).temperatures_c.at("GPU"), 28);
}

TEST(Tegrastats, OrinWithTimestampUnitsAndUnconnectedRails) {
  const auto line = parsed(kOrin);
  EXPECT_EQ(
      line.rails_mw,
      (Rails{{"VDD_GPU_SOC", 2390}, {"VDD_CPU_CV", 796}, {"VIN_SYS_5V0", 3522}, {"VDDQ_VDD2_1V8AO", 301}}));
  EXPECT_FALSE(line.temperatures_c.contains("CV0"));
  EXPECT_EQ(line.temperatures_c.at("CPU"), 41.437);
  EXPECT_EQ(line.gr3d_mhz, std::vector<double>{0});
}

TEST(Tegrastats, OrinNanoWithClocksInBrackets) {
  const auto line = parsed(kOrinNano);
  EXPECT_EQ(line.rails_mw, (Rails{{"VDD_IN", 5704}, {"VDD_CPU_GPU_CV", 831}, {"VDD_SOC", 1624}}));
  EXPECT_EQ(line.gr3d_pct, 0);
  EXPECT_EQ(line.gr3d_mhz, std::vector<double>{305});
}

TEST(Tegrastats, JetPack7WithThreeNumbers) {
  const auto line = parsed(kOrinJetPack7);
  EXPECT_EQ(line.rails_mw, (Rails{{"VDD_GPU_SOC", 5139}, {"VDD_CPU_CV", 1200}}));
  EXPECT_EQ(line.gr3d_pct, 12);
  EXPECT_EQ(line.gr3d_mhz, (std::vector<double>{1300, 1300}));
  EXPECT_EQ(line.temperatures_c.at("tj"), 53.1);
}

TEST(Tegrastats, ThorWithoutLoad) {
  const auto line = parsed(kThor);
  EXPECT_TRUE(std::isnan(line.gr3d_pct));
  EXPECT_EQ(line.gr3d_mhz, (std::vector<double>{1000, 1000, 1000}));
  EXPECT_TRUE(std::isnan(line.emc_mhz));
  EXPECT_EQ(line.rails_mw, (Rails{{"VIN", 20000}}));
}

TEST(Tegrastats, OtherTextIsNoLine) {
  EXPECT_FALSE(parse_tegrastats_line(""));
  EXPECT_FALSE(parse_tegrastats_line("time_ms,power_w"));
  EXPECT_FALSE(parse_tegrastats_line("VDD_IN 100/100"));
}

std::string tx2_line(int vdd_in) {
  return "RAM 1/2MB CPU [2%@345] EMC_FREQ 1%@665 VDD_IN " + std::to_string(vdd_in) + "/1 VDD_DDR 192/201";
}

TEST(Tegrastats, ALogIsTheMeanOfItsLines) {
  const TempDir dir;
  write_text(dir / "log", tx2_line(1000) + "\n" + tx2_line(2000) + "\r\n" + tx2_line(6000) + "\n\n");
  const auto log = datasets::read_tegrastats(dir / "log");
  EXPECT_EQ(log.lines, 3u);
  EXPECT_EQ(log.rails_mw, (Rails{{"VDD_IN", 3000}, {"VDD_DDR", 192}}));
}

TEST(Tegrastats, ALastLineCutShortDoesNotCount) {
  const TempDir dir;
  const std::string line = tx2_line(9000);
  for (std::size_t cut = 1; cut < line.find("VDD_DDR 1") + 12; ++cut) {
    write_text(dir / "log", tx2_line(1000) + "\n" + line.substr(0, cut));
    EXPECT_EQ(datasets::read_tegrastats(dir / "log").lines, 1u) << line.substr(0, cut);
  }
}

TEST(Tegrastats, LinesThatAreNoneAreSkippedAndCounted) {
  const TempDir dir;
  const auto line = tx2_line(9000);
  const std::string torn[] = {"garbage", line.substr(0, 20),             // cut before its rails
                              line.substr(0, line.find("VDD_DDR") + 9),  // within the last rail
                              line.substr(0, 30) + line,                 // two at once
                              "RAM 1/2MB CPU [2%@345] EMC_FREQ 1%@665"};
  for (const auto& bad : torn) {
    write_text(dir / "log", tx2_line(1000) + "\n\n" + bad + "\n" + tx2_line(2000) + "\n");
    const auto log = datasets::read_tegrastats(dir / "log");
    EXPECT_EQ(log.lines, 2u) << bad;
    EXPECT_EQ(log.skipped, 1u) << bad;
    EXPECT_EQ(log.rails_mw.at("VDD_IN"), 1500) << bad;
  }
}

TEST(Tegrastats, LinesMayHaveOneRailMoreOrFewer) {
  const TempDir dir;
  const std::string more = tx2_line(3000) + " VDD_NEW 7/7", fewer = "RAM 1/2MB CPU [2%@345] VDD_IN 5000/1";
  write_text(dir / "log", tx2_line(1000) + "\n" + more + "\n" + fewer + "\n");
  const auto log = datasets::read_tegrastats(dir / "log");
  EXPECT_EQ(log.lines, 3u);
  EXPECT_EQ(log.skipped, 0u);
  EXPECT_EQ(log.rails_mw, (Rails{{"VDD_IN", 3000}, {"VDD_DDR", 192}, {"VDD_NEW", 7}}));
  EXPECT_EQ(log.rail_lines.at("VDD_DDR"), 2u);
  write_text(dir / "log", tx2_line(1000) + "\n" + fewer);  // no line end: it was cut
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").lines, 1u);
  write_text(dir / "log", tx2_line(1000) + "\n" + more);
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").lines, 2u);
}

TEST(Tegrastats, TwoSensorsOfOneNameAreTold) {
  const TempDir dir;
  write_text(dir / "log", tx2_line(1000) + " VDD_IN 11000/11000\n");
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").twice, std::set<std::string>{"VDD_IN"});
  EXPECT_TRUE(parsed(kOrin).twice.empty()) << "NC may stand there as often as it likes";
}

TEST(Tegrastats, LinesMayEndAsOnOldMacs) {
  const TempDir dir;
  for (const std::string end : {"\r", "\r\n", "\n", "\r\r\n"}) {
    write_text(dir / "log", kNano + end + kNano + end);
    const auto log = datasets::read_tegrastats(dir / "log");
    EXPECT_EQ(log.lines, 2u);
    EXPECT_EQ(log.skipped, 0u);
    EXPECT_EQ(log.rails_mw.at("POM_5V_IN"), 933);
  }
  write_text(dir / "log", kNano + '\r' + kNano + "\rnothing\r");
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").skipped, 1u);
}

TEST(Tegrastats, ALogHasSomeRailsAndLinesSomeLength) {
  const TempDir dir;
  std::string rails, line = tx2_line(1000);
  for (int i = 0; i < 1001; ++i) rails += " R" + std::to_string(i) + " 1/1";
  write_text(dir / "log", line + "\n" + line + rails + "\n");
  expect_data_error([&] { datasets::read_tegrastats(dir / "log"); }, {":2", "more than 1000 power rails"});
  write_text(dir / "log", line + "\n" + line + "\n" + line + std::string(1 << 16, 'x') + "\n");
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").skipped, 1U);
}

TEST(Tegrastats, ALogOfPowerShellIsRead) {
  const TempDir dir;
  std::string bytes = "\xFF\xFE";
  for (const char c : tx2_line(1000) + "\r\n") bytes += std::string{c, '\0'};
  write_text(dir / "log", bytes);
  EXPECT_EQ(datasets::read_tegrastats(dir / "log").rails_mw.at("VDD_IN"), 1000);
}

TEST(Tegrastats, ABadLogIsNamedWithItsLine) {
  const TempDir dir;
  const auto expect_refused = [&](const std::string& text, std::initializer_list<std::string> fragments) {
    write_text(dir / "log", text);
    expect_data_error([&] { datasets::read_tegrastats(dir / "log"); }, fragments);
  };
  expect_refused("", {dir / "log", "empty"});
  expect_refused("garbage\n", {(dir / "log") + ":1", "not a line"});
  expect_refused(tx2_line(1) + "\ngarbage\nmore\n", {(dir / "log") + ":2", "not a line"});
  expect_refused("RAM 1/2MB CPU [2%@345]\n", {(dir / "log") + ":1", "no power rail"});
  expect_data_error([] { datasets::read_tegrastats("/no/log"); }, {"/no/log", "No such file"});
}

}  // namespace tegrastats_test
}  // namespace fewwatt::tests
