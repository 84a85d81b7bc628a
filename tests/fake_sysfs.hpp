#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fewwatt::tests {

// Files and links of a kernel, by absolute path; links are relative, as on the boards.
struct FakeTree {
  std::map<std::string, std::string> files;  // content, as a read gives it
  std::map<std::string, std::string> links;  // target

  // As real files below `root`.
  void write(const std::string& root) const {
    namespace fs = std::filesystem;
    for (const auto& [path, content] : files) {
      fs::create_directories(fs::path(root + path).parent_path());
      std::ofstream(root + path, std::ios::binary) << content;
    }
    for (const auto& [path, target] : links) {
      fs::create_directories(fs::path(root + path).parent_path());
      fs::create_symlink(target, root + path);
    }
  }
};

using Levels = std::vector<long long>;

inline std::string nul_ended(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += text + '\0';
  return all;
}

inline std::string spaced(const Levels& levels) {
  std::string text;
  for (const auto level : levels) text += std::to_string(level) + ' ';
  return text + '\n';
}

inline Levels levels_by(long long first, long long step, long long last) {
  Levels levels;
  for (auto level = first; level < last; level += step) levels.push_back(level);
  levels.push_back(last);
  return levels;
}

struct FakeRail {
  std::string label;
  int milliwatt = 0;
  int millivolt = 5000;
};
struct FakeSensor {
  std::string bus, address;  // "c240000.i2c/i2c-1", "1-0040"
  std::vector<FakeRail> rails;
};

// A board as data.
struct FakeBoard {
  std::string name, model, compatible, release;
  bool old_kernel = false;                 // 4.9
  std::vector<std::vector<int>> clusters;  // cores of each policy
  std::vector<int> policy_numbers;         // as the kernel numbers them
  std::string first_state;                 // name of the deeper idle state
  Levels cpu_khz;
  long long cpu_min_khz = 0;                   // scaling_min_freq that nvpmodel sets
  std::string gpu_device, gpu_name, gpu_chip;  // "/sys/devices/17000000.ga10b", "17000000.ga10b", "ga10b"
  std::string gpu_alias;                       // link to the device
  Levels gpu_hz;
  enum class Memory { bpmp, override_emc } memory = Memory::bpmp;
  Levels memory_hz;
  bool memory_tables = false;  // named folders in place of possible_rates
  std::string cap;             // "emc_iso_cap", "clk_cap", or ""
  bool iio = false;            // JetPack 4 power sensors
  std::string i2c = "/sys/devices/platform";
  std::vector<FakeSensor> sensors;
  int total_milliwatt = 0;  // what a meter must say
  std::set<int> off;        // cores that are off at the start
};

inline const Levels kOrinMemory = {204000000, 665600000, 2133000000, 3199000000};

inline FakeBoard agx_orin(bool jetpack6) {
  FakeBoard b;
  b.name = jetpack6 ? "agx-orin-jp6" : "agx-orin-jp5";
  b.model = "NVIDIA Jetson AGX Orin Developer Kit";
  b.compatible = nul_ended({"nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"});
  b.release = jetpack6 ? "36.4.3" : "35.4.1";
  b.clusters = {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}};
  b.policy_numbers = {0, 4, 8};
  b.first_state = "c7";
  b.cpu_khz = levels_by(115200, 76800, 2201600);
  b.cpu_min_khz = 729600;
  b.gpu_name = jetpack6 ? "17000000.gpu" : "17000000.ga10b";
  b.gpu_device = (jetpack6 ? "/sys/devices/platform/" : "/sys/devices/") + b.gpu_name;
  b.gpu_alias = jetpack6 ? "/sys/devices/platform/gpu.0" : "/sys/devices/gpu.0";
  b.gpu_chip = "ga10b";
  b.gpu_hz =
      jetpack6 ? levels_by(306000000, 102000000, 1300500000) : levels_by(114750000, 102000000, 1300500000);
  b.memory_hz = kOrinMemory;
  b.cap = jetpack6 ? "clk_cap" : "emc_iso_cap";
  b.i2c = jetpack6 ? "/sys/devices/platform/bus@0" : "/sys/devices/platform";
  b.sensors = {{"c240000.i2c/i2c-1",
                "1-0040",
                {{"VDD_GPU_SOC", 4000, 20000}, {"VDD_CPU_CV", 1500, 20000}, {"VIN_SYS_5V0", 3500}}},
               {"c240000.i2c/i2c-1", "1-0041", {{"NC"}, {"VDDQ_VDD2_1V8AO", 700}, {"NC"}}}};
  b.total_milliwatt = 9000;
  return b;
}

inline FakeBoard orin_small(const std::string& name, const std::string& model, const std::string& module,
                            int cores, long long cpu_last, Levels gpu) {
  auto b = agx_orin(true);
  b.name = name;
  b.model = model;
  b.compatible = nul_ended({"nvidia,p3768-0000+" + module, "nvidia," + module, "nvidia,tegra234"});
  b.clusters = {{0, 1, 2, 3}, {4, 5}};
  if (cores == 8) b.clusters[1] = {4, 5, 6, 7};
  b.policy_numbers = {0, 4};
  b.cpu_khz = levels_by(115200, 76800, cpu_last);
  b.gpu_hz = std::move(gpu);
  b.sensors = {
      {"c240000.i2c/i2c-1", "1-0040", {{"VDD_IN", 5700}, {"VDD_CPU_GPU_CV", 800}, {"VDD_SOC", 1600}}}};
  b.total_milliwatt = 5700;
  return b;
}

inline FakeBoard agx_xavier() {
  FakeBoard b;
  b.name = "agx-xavier-jp4";
  b.model = "Jetson-AGX";
  b.compatible = nul_ended({"nvidia,p2972-0000+p2888-0001", "nvidia,tegra194"});
  b.release = "32.7.1";
  b.old_kernel = true;
  b.clusters = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};
  b.policy_numbers = {0, 2, 4, 6};
  b.first_state = "c6";
  b.cpu_khz = levels_by(115200, 76800, 2265600);
  b.cpu_min_khz = 1190400;
  b.gpu_name = "17000000.gv11b";
  b.gpu_device = "/sys/devices/17000000.gv11b";
  b.gpu_alias = "/sys/devices/gpu.0";
  b.gpu_chip = "gv11b";
  b.gpu_hz = {114750000, 216750000, 318750000,  420750000,  522750000,  624750000,  675750000,
              828750000, 905250000, 1032750000, 1198500000, 1236750000, 1338750000, 1377000000};
  b.memory_hz = {204000000,  408000000,  665600000,  800000000, 1065600000,
                 1331200000, 1600000000, 1866000000, 2133000000};
  b.memory_tables = true;
  b.cap = "emc_iso_cap";
  b.iio = true;
  b.sensors = {{"c240000.i2c/i2c-1", "1-0040", {{"GPU", 1155}, {"CPU", 385}, {"SOC", 2502}}},
               {"c240000.i2c/i2c-1", "1-0041", {{"CV", 0}, {"VDDRQ", 192}, {"SYS5V", 2692}}}};
  b.total_milliwatt = 1155 + 385 + 2502 + 0 + 192 + 2692;
  return b;
}

inline std::vector<FakeBoard> fake_boards() {
  auto nano_super =
      orin_small("orin-nano-super", "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
                 "p3767-0005-super", 6, 1728000, levels_by(306000000, 102000000, 1020000000));
  auto orin_nx = orin_small("orin-nx", "NVIDIA Orin NX Developer Kit", "p3767-0000", 8, 1984000,
                            levels_by(306000000, 102000000, 918000000));
  auto xavier_nx = agx_xavier();
  xavier_nx.name = "xavier-nx";
  xavier_nx.model = "NVIDIA Jetson Xavier NX Developer Kit";
  xavier_nx.compatible = nul_ended({"nvidia,p3449-0000+p3668-0000", "nvidia,tegra194"});
  xavier_nx.clusters = {{0, 1}, {2, 3}, {4, 5}};
  xavier_nx.policy_numbers = {0, 2, 4};
  xavier_nx.cpu_khz = levels_by(115200, 76800, 1907200);
  xavier_nx.gpu_hz = {114750000, 204000000, 306000000,  408000000,  510000000,
                      599250000, 701250000, 752250000,  803250000,  854250000,
                      905250000, 956250000, 1007250000, 1058250000, 1109250000};
  xavier_nx.memory_hz = {204000000,  408000000,  665600000,  800000000,
                         1065600000, 1331200000, 1600000000, 1866000000};
  xavier_nx.sensors = {
      {"c250000.i2c/i2c-7", "7-0040", {{"VDD_IN", 6100}, {"VDD_CPU_GPU_CV", 1400}, {"VDD_SOC", 1500}}}};
  xavier_nx.total_milliwatt = 6100;

  FakeBoard tx2;
  tx2.name = "tx2";
  tx2.model = "quill";
  tx2.compatible = nul_ended({"nvidia,p2597-0000+p3310-1000", "nvidia,tegra186"});
  tx2.release = "32.6.1";
  tx2.old_kernel = true;
  tx2.clusters = {{0, 3, 4, 5}, {1, 2}};
  tx2.policy_numbers = {0, 1};
  tx2.first_state = "c7";
  tx2.cpu_khz = levels_by(345600, 153600, 2035200);
  tx2.cpu_min_khz = 345600;
  tx2.gpu_name = "17000000.gp10b";
  tx2.gpu_device = "/sys/devices/17000000.gp10b";
  tx2.gpu_alias = "/sys/devices/gpu.0";
  tx2.gpu_chip = "gp10b";
  tx2.gpu_hz = {114750000, 216750000, 318750000,  420750000,  522750000,  624750000, 726750000,
                854250000, 930750000, 1032750000, 1122000000, 1236750000, 1300500000};
  tx2.memory_hz = {40800000,  68000000,   102000000,  204000000,  408000000, 665600000,
                   800000000, 1062400000, 1331200000, 1600000000, 1866000000};
  tx2.cap = "emc_iso_cap";
  tx2.iio = true;
  tx2.sensors = {
      {"3160000.i2c/i2c-0", "0-0040", {{"VDD_SYS_GPU", 76}, {"VDD_SYS_SOC", 384}, {"VDD_4V0_WIFI", 364}}},
      {"3160000.i2c/i2c-0", "0-0041", {{"VDD_IN", 3383}, {"VDD_SYS_CPU", 153}, {"VDD_SYS_DDR", 192}}},
      {"3160000.i2c/i2c-0", "0-0042", {{"VDD_MUX", 9000}, {"VDD_5V0_IO_SYS", 2000}, {"VDD_3V3_SYS", 1000}}}};
  tx2.total_milliwatt = 3383;
  tx2.off = {1, 2};

  FakeBoard nano;
  nano.name = "nano";
  nano.model = "NVIDIA Jetson Nano Developer Kit";
  nano.compatible = nul_ended({"nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,tegra210"});
  nano.release = "32.7.1";
  nano.old_kernel = true;
  nano.clusters = {{0, 1, 2, 3}};
  nano.policy_numbers = {0};
  nano.first_state = "c7";
  nano.cpu_khz = {102000, 204000,  307200,  403200,  518400,  614400,  710400, 825600,
                  921600, 1036800, 1132800, 1224000, 1326000, 1428000, 1479000};
  nano.cpu_min_khz = 102000;
  nano.gpu_name = "57000000.gpu";
  nano.gpu_device = "/sys/devices/57000000.gpu";
  nano.gpu_alias = "/sys/devices/gpu.0";
  nano.gpu_chip = "gm20b";
  nano.gpu_hz = levels_by(76800000, 76800000, 921600000);
  nano.memory = FakeBoard::Memory::override_emc;
  nano.memory_hz = {204000000, 408000000, 665600000, 800000000, 1065600000, 1331200000, 1600000000};
  nano.cap = "emc_iso_cap";
  nano.iio = true;
  nano.sensors = {
      {"7000c400.i2c/i2c-6", "6-0040", {{"POM_5V_IN", 2200}, {"POM_5V_GPU", 200}, {"POM_5V_CPU", 500}}}};
  nano.total_milliwatt = 2200;

  return {agx_orin(false), agx_orin(true), nano_super, agx_xavier(), orin_nx, xavier_nx, tx2, nano};
}

// From the folder of `from` to `to`, both absolute.
inline std::string relative_link(const std::string& from, const std::string& to) {
  return std::filesystem::path(to).lexically_relative(std::filesystem::path(from).parent_path()).string();
}

inline std::string cpu_range(const std::set<int>& cpus) {
  std::string text;
  for (const int cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
  return text + '\n';
}

// `follows`: what says which clock is set is a link to the upper limit, so that real files behave as if the clock followed.
inline FakeTree tree_of(const FakeBoard& b, bool follows = false) {
  FakeTree tree;
  auto& f = tree.files;
  const auto link = [&](const std::string& at, const std::string& to) {
    tree.links[at] = relative_link(at, to);
  };
  f["/proc/device-tree/model"] = b.model + '\0';
  f["/proc/device-tree/compatible"] = b.compatible;
  f["/proc/sys/kernel/random/boot_id"] = "5d4c8a52-6d3f-4d5b-9a52-000000000001\n";
  f["/var/lib/nvpmodel/status"] = "pmode:0000\n";
  link("/sys/firmware/devicetree/base", "/proc/device-tree");
  const auto dot = b.release.find('.');
  f["/etc/nv_tegra_release"] =
      "# R" + b.release.substr(0, dot) + " (release), REVISION: " + b.release.substr(dot + 1) +
      ", GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n";

  const std::string cpu = "/sys/devices/system/cpu";
  std::set<int> present, online;
  for (std::size_t p = 0; p < b.clusters.size(); ++p) {
    const auto folder = cpu + "/cpufreq/policy" + std::to_string(b.policy_numbers[p]);
    std::string related, affected;
    for (const int c : b.clusters[p]) {
      present.insert(c);
      const auto core = cpu + "/cpu" + std::to_string(c);
      const bool on = b.off.count(c) == 0;
      f[core + "/online"] = on ? "1\n" : "0\n";
      related += (related.empty() ? "" : " ") + std::to_string(c);
      if (on) {
        online.insert(c);
        affected += (affected.empty() ? "" : " ") + std::to_string(c);
      }
      link(core + "/cpufreq", folder);
      f[core + "/cpuidle/state0/name"] = "WFI\n";
      f[core + "/cpuidle/state0/disable"] = "0\n";
      f[core + "/cpuidle/state1/name"] = b.first_state + '\n';
      f[core + "/cpuidle/state1/disable"] = "0\n";
    }
    f[folder + "/related_cpus"] = related + '\n';
    f[folder + "/affected_cpus"] = affected + '\n';
    f[folder + "/scaling_available_frequencies"] = spaced(b.cpu_khz);
    f[folder + "/cpuinfo_min_freq"] = std::to_string(b.cpu_khz.front()) + '\n';
    f[folder + "/cpuinfo_max_freq"] = std::to_string(b.cpu_khz.back()) + '\n';
    f[folder + "/scaling_min_freq"] = std::to_string(b.cpu_min_khz) + '\n';
    f[folder + "/scaling_max_freq"] = std::to_string(b.cpu_khz.back()) + '\n';
    f[folder + "/scaling_governor"] = "schedutil\n";
    f[folder + "/scaling_available_governors"] =
        "conservative ondemand userspace powersave performance schedutil \n";
    if (follows)
      link(folder + "/scaling_cur_freq", folder + "/scaling_max_freq");
    else
      f[folder + "/scaling_cur_freq"] = std::to_string(b.cpu_min_khz) + '\n';
  }
  f[cpu + "/present"] = f[cpu + "/possible"] = cpu_range(present);
  f[cpu + "/online"] = cpu_range(online);

  const auto devfreq = b.gpu_device + "/devfreq/" + b.gpu_name;
  f[devfreq + "/available_frequencies"] = spaced(b.gpu_hz);
  f[devfreq + "/min_freq"] = std::to_string(b.gpu_hz.front()) + '\n';
  f[devfreq + "/max_freq"] = std::to_string(b.gpu_hz.back()) + '\n';
  f[devfreq + "/governor"] = "nvhost_podgov\n";
  f[devfreq + "/available_governors"] = "nvhost_podgov userspace performance simple_ondemand \n";
  if (follows)
    link(devfreq + "/cur_freq", devfreq + "/max_freq");
  else
    f[devfreq + "/cur_freq"] = std::to_string(b.gpu_hz.front()) + '\n';
  f[b.gpu_device + "/railgate_enable"] = "1\n";
  f[b.gpu_device + "/tpc_pg_mask"] = "0\n";
  f[b.gpu_device + "/power/control"] = "auto\n";
  f[b.gpu_device + "/load"] = "0\n";
  f[b.gpu_device + "/of_node/name"] = std::string("gpu") + '\0';
  f[b.gpu_device + "/of_node/compatible"] = "nvidia," + b.gpu_chip + '\0';
  link(devfreq + "/device", b.gpu_device);
  link(b.gpu_device + "/devfreq_dev", devfreq);
  link(b.gpu_alias, b.gpu_device);
  link("/sys/class/devfreq/" + b.gpu_name, devfreq);
  // Others stand beside it, some before it.
  for (const std::string other : {"15340000.vic", "154c0000.nvenc"}) {
    const auto device = "/sys/devices/platform/13e40000.host1x/" + other;
    f[device + "/of_node/name"] = other.substr(other.find('.') + 1) + '\0';
    f[device + "/devfreq/" + other + "/available_frequencies"] = "115200000 601600000 \n";
    link(device + "/devfreq/" + other + "/device", device);
    link("/sys/class/devfreq/" + other, device + "/devfreq/" + other);
  }

  const std::string debug = "/sys/kernel/debug", bpmp = debug + "/bpmp/debug";
  const auto last = std::to_string(b.memory_hz.back()), first = std::to_string(b.memory_hz.front());
  if (b.memory == FakeBoard::Memory::bpmp) {
    f[bpmp + "/clk/emc/rate"] = first + '\n';
    f[bpmp + "/clk/emc/min_rate"] = first + '\n';
    f[bpmp + "/clk/emc/max_rate"] = last + '\n';
    f[bpmp + "/clk/emc/mrq_rate_locked"] = "0\n";
    f[bpmp + "/clk/emc/state"] = "1\n";
    if (b.memory_tables) {
      for (const auto hz : b.memory_hz)
        f[bpmp + "/emc/tables/regular/" + std::to_string(hz / 1000) + "/params"] = "\n";
    } else {
      std::string rates;
      for (const auto hz : b.memory_hz) rates += std::to_string(hz / 1000) + ' ';
      f[bpmp + "/emc/possible_rates"] = rates + "(kHz)\n";
    }
    if (b.cap == "clk_cap" || b.release.starts_with("35")) f[bpmp + "/bwmgr/bwmgr_halt"] = "0\n";
  } else {
    f[debug + "/clk/override.emc/clk_update_rate"] = first + '\n';
    f[debug + "/clk/override.emc/clk_state"] = "0\n";
    if (follows)
      link(debug + "/clk/override.emc/clk_rate", debug + "/clk/override.emc/clk_update_rate");
    else
      f[debug + "/clk/override.emc/clk_rate"] = first + '\n';
    f[debug + "/tegra_bwmgr/emc_min_rate"] = first + '\n';
    f[debug + "/tegra_bwmgr/emc_max_rate"] = last + '\n';
  }
  if (b.cap == "emc_iso_cap") f["/sys/kernel/nvpmodel_emc_cap/emc_iso_cap"] = "0\n";
  if (b.cap == "clk_cap") f["/sys/kernel/nvpmodel_clk_cap/emc"] = last + '\n';

  int number = 3;
  for (const auto& sensor : b.sensors) {
    const auto device = b.i2c + '/' + sensor.bus + '/' + sensor.address;
    if (b.iio) {
      const auto folder = device + "/iio:device" + std::to_string(number - 3);
      for (std::size_t i = 0; i < sensor.rails.size(); ++i) {
        const auto n = std::to_string(i);
        f[folder + "/rail_name_" + n] = sensor.rails[i].label + '\n';
        f[folder + "/in_power" + n + "_input"] = std::to_string(sensor.rails[i].milliwatt) + '\n';
      }
      f[device + "/name"] = "ina3221x\n";
      link("/sys/bus/i2c/drivers/ina3221x/" + sensor.address, device);
      link("/sys/bus/i2c/devices/" + sensor.address, device);
      link(device + "/iio_device", folder);
    } else {
      const auto folder = device + "/hwmon/hwmon" + std::to_string(number);
      f[folder + "/name"] = "ina3221\n";
      f[device + "/name"] = "ina3221\n";
      for (std::size_t i = 0; i < sensor.rails.size(); ++i) {
        const auto n = std::to_string(i + 1);
        const auto& rail = sensor.rails[i];
        f[folder + "/in" + n + "_label"] = rail.label + '\n';
        f[folder + "/in" + n + "_enable"] = rail.label == "NC" ? "0\n" : "1\n";
        if (rail.label == "NC") continue;
        f[folder + "/in" + n + "_input"] = std::to_string(rail.millivolt) + '\n';
        f[folder + "/curr" + n + "_input"] = std::to_string(rail.milliwatt * 1000 / rail.millivolt) + '\n';
      }
      f[folder + "/samples"] = "512\n";
      f[folder + "/update_interval"] = "430\n";
      link("/sys/class/hwmon/hwmon" + std::to_string(number), folder);
      link("/sys/bus/i2c/drivers/ina3221/" + sensor.address, device);
      link("/sys/bus/i2c/devices/" + sensor.address, device);
    }
    ++number;
  }
  if (!b.iio) {
    const std::string oc = "/sys/devices/platform/soctherm-oc-event/hwmon/hwmon9";
    f[oc + "/name"] = "soctherm_oc\n";
    for (const std::string n : {"1", "2", "3"}) {
      f[oc + "/oc" + n + "_event_cnt"] = "0\n";
      f[oc + "/oc" + n + "_throt_en"] = "1\n";
    }
    link("/sys/class/hwmon/hwmon9", oc);
  }
  const std::vector<std::pair<std::string, std::string>> zones =
      b.old_kernel ? std::vector<std::pair<std::string, std::string>>{{"CPU-therm", "41000"},
                                                                      {"GPU-therm", "40500"},
                                                                      {"PMIC-Die", "100000"}}
                   : std::vector<std::pair<std::string, std::string>>{{"cpu-thermal", "41000"},
                                                                      {"gpu-thermal", "40500"},
                                                                      {"cv0-thermal", "-256000"},
                                                                      {"tj-thermal", "43000"}};
  for (std::size_t z = 0; z < zones.size(); ++z) {
    const auto zone = "/sys/class/thermal/thermal_zone" + std::to_string(z);
    f[zone + "/type"] = zones[z].first + '\n';
    f[zone + "/temp"] = zones[z].second + '\n';
    f[zone + "/trip_point_0_temp"] = "99000\n";
    f[zone + "/trip_point_0_type"] = "passive\n";
  }
  const std::string cooling = "/sys/class/thermal/cooling_device";
  f[cooling + "0/type"] = "cpu-throttle-alert\n";
  f[cooling + "1/type"] = "gpu-throttle-alert\n";
  f[cooling + "2/type"] = "pwm-fan\n";
  for (const std::string n : {"0", "1", "2"}) f[cooling + n + "/cur_state"] = n == "2" ? "1\n" : "0\n";
  return tree;
}

}  // namespace fewwatt::tests
