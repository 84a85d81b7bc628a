#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "datasets/csv.hpp"
#include "datasets/import.hpp"
#include "tests/data_root.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::tests {
namespace measured_data_test {

using datasets::ProfileStore;

ProfileStore import_folder(const std::string& name, const std::string& root) {
  const auto mapping = datasets::read_mapping(tests::source_dir() + "/datasets/mappings/" + name + ".ini");
  return datasets::import_profiles(mapping, {root + "/" + name});
}

TEST(MeasuredData, Tx2Flexibo) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const auto store = import_folder("tx2-flexibo", root);
  ASSERT_EQ(store.profiles.size(), 8u);
  for (const auto& profile : store.profiles) {
    EXPECT_EQ(profile.modes.size(), 768u);
    EXPECT_TRUE(profile.space->is_grid());
    EXPECT_EQ(profile.space->size(), 768u);
    EXPECT_TRUE(profile.has_time());
    EXPECT_FALSE(profile.has_power());
    EXPECT_EQ(profile.space->knobs()[0].levels, (std::vector<int>{1, 2, 3, 4}));
  }
  EXPECT_NE(store.find("tx2", "xception_200x200"), nullptr);
}

TEST(MeasuredData, Tx2Osldvfs) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const auto store = import_folder("tx2-osldvfs", root);
  ASSERT_EQ(store.profiles.size(), 3u);
  for (const char* workload : {"hsto", "mixbench", "sssp"}) {
    const auto* profile = store.find("tx2", workload);
    ASSERT_NE(profile, nullptr) << workload;
    EXPECT_EQ(profile->modes.size(), 1144u);
    EXPECT_TRUE(profile->space->is_grid());
    EXPECT_TRUE(profile->has_time());
    for (const auto& measured : profile->measurements) EXPECT_GT(measured.power_w, 0);
  }
}

TEST(MeasuredData, GpuZeus) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const auto store = import_folder("gpu-zeus", root);
  std::size_t v100 = 0, p100 = 0, modes = 0;
  for (const auto& profile : store.profiles) {
    (profile.device == "v100" ? v100 : p100) += 1;
    modes += profile.modes.size();
    EXPECT_TRUE(profile.space->knob_with(hw::KnobRole::power_limit_mw));
    EXPECT_TRUE(profile.space->knob_with(hw::KnobRole::batch_size));
    EXPECT_TRUE(profile.has_time() && profile.has_power());
    EXPECT_GE(profile.modes.size(), 24u);
    EXPECT_LE(profile.modes.size(), 105u);
    EXPECT_TRUE(profile.device == "v100" || store.find("v100", profile.workload) != nullptr);
  }
  EXPECT_EQ(v100, 7u);
  EXPECT_EQ(p100, 6u);
  EXPECT_EQ(modes, 476u + 270u);
}

TEST(MeasuredData, TitanX) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const auto store = import_folder("titanx-ulisboa", root);
  EXPECT_EQ(store.profiles.size(), 24u + 140u);
  for (const auto& profile : store.profiles) {
    EXPECT_EQ(profile.modes.size(), 32u) << profile.workload;
    EXPECT_TRUE(profile.space->is_grid()) << profile.workload;
    EXPECT_TRUE(profile.has_time() && profile.has_power());
  }
}

TEST(MeasuredData, Xavier) {
  FEWWATT_SKIP_WITHOUT_SET(root, "xavier-sigmetrics22");
  const auto store = import_folder("xavier-sigmetrics22", root);
  ASSERT_EQ(store.profiles.size(), 3u);
  std::size_t modes = 0;
  for (const auto& profile : store.profiles) {
    modes += profile.modes.size();
    EXPECT_EQ(profile.space->knobs().size(), 4u);
    EXPECT_EQ(profile.attributes.time_of, datasets::TimeOf::epoch);
    EXPECT_TRUE(profile.has_time() && profile.has_power());
  }
  EXPECT_EQ(modes, 34u);
}

// The published means of the module's input rail, from the raw logs alone.
TEST(MeasuredData, TegrastatsLogsGiveThePublishedMeans) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  const TempDir dir;
  std::string archive = root + "/tx2-osldvfs/tegrastats-logs.tar";  // what scripts/fetch-data makes
  if (!std::filesystem::exists(archive)) archive += ".xz";
  ASSERT_EQ(std::system(("tar -xf '" + archive + "' -C '" + dir.path().string() + "'").c_str()), 0);
  const TempDir mappings;
  write_text(mappings / "m.ini",
             "[profile]\ndevice = tx2\nworkload = {app}\nkind = non-dnn\ntime_of = run\nspace = from-data\n"
             "[file Tegra_*]\nformat = tegrastats\n"
             "pattern = Tegra_{app}_C_{cpu_khz:kHz}_G_{gpu_khz:Hz}_M_{mem_khz:Hz}\npower_w = VDD_IN [mW]\n");
  datasets::ImportReport report;
  const auto store =
      datasets::import_profiles(datasets::read_mapping(mappings / "m.ini"), {dir.path().string()}, &report);
  EXPECT_EQ(report.files, 2288u);
  for (const auto& [workload, file] :
       {std::pair{"HSTO", "TegraHSTO_agg.csv"}, std::pair{"SSSP", "TegraDataSSSP_agg.csv"}}) {
    const auto* profile = store.find("tx2", workload);
    ASSERT_NE(profile, nullptr) << workload;
    const auto table = datasets::read_csv(root + "/tx2-osldvfs/" + file);
    ASSERT_EQ(profile->modes.size(), table.rows.size());
    const auto khz = [&](std::size_t row, const char* column, double scale) {
      return static_cast<int>(std::lround(table.number(row, table.column(column)) * scale));
    };
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      const hw::PowerMode mode{khz(row, "cpu_khz", 1), khz(row, "gpu_hz", 1e-3), khz(row, "emc_hz", 1e-3)};
      const auto index = profile->space->index_of(mode);
      ASSERT_TRUE(index) << table.where(row);
      const double published_w = table.number(row, table.column("VDD_IN_mW")) * 1e-3;
      EXPECT_NEAR(profile->measurements[*index].power_w, published_w, kPowerMean * published_w)
          << table.where(row);
    }
  }
}

}  // namespace measured_data_test
}  // namespace fewwatt::tests
