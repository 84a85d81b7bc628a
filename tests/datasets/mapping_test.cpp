#include "datasets/mapping.hpp"

#include "tests/datasets/expect_data_error.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

using datasets::Mapping;
using datasets::Metric;

const std::string kProfile =
    "[profile]\ndevice = tx2\nworkload = {model}\nkind = non-dnn\ntime_of = run\nspace = from-data\n";
const std::string kFile = "[file *.csv]\ngpu_khz = g [MHz]\ntime_ms = t [s]\n";

Mapping read(const std::string& text) {
  const TempDir dir;
  write_text(dir / "m.ini", text);
  return datasets::read_mapping(dir / "m.ini");
}

void expect_refused(const std::string& text, std::initializer_list<std::string> fragments) {
  expect_data_error([&] { read(text); }, fragments);
}

TEST(Mapping, ExpressionsHaveColumnsSignsAndScale) {
  const auto mapping = read(
      kProfile + "[file *.csv]\ngpu_khz = \"GPU \"\"f\"\"\" [Hz]\npower_w = in - \"wi - fi\" + x * 2 [mW]\n");
  const auto& file = mapping.files.at(0);
  const auto& gpu = file.knobs.at(hw::KnobRole::gpu_khz);
  EXPECT_EQ(gpu.terms, (std::vector<std::pair<double, std::string>>{{1, "GPU \"f\""}}));
  EXPECT_DOUBLE_EQ(gpu.scale, 1e-3);
  const auto& power = file.metrics.at(Metric::power_w);
  EXPECT_EQ(power.terms, (std::vector<std::pair<double, std::string>>{{1, "in"}, {-1, "wi - fi"}, {1, "x"}}));
  EXPECT_DOUBLE_EQ(power.scale, 2e-3);
}

TEST(Mapping, UnitsScaleToTheNamesUnit) {
  const std::pair<const char*, double> times[] = {
      {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"min", 6e4}, {"h", 3.6e6}};
  for (const auto& [unit, scale] : times) {
    const auto mapping = read(kProfile + "[file *]\ngpu_khz = g [GHz]\ntime_ms = t [" + unit + "]\n");
    EXPECT_DOUBLE_EQ(mapping.files[0].metrics.at(Metric::time_ms).scale, scale) << unit;
    EXPECT_DOUBLE_EQ(mapping.files[0].knobs.at(hw::KnobRole::gpu_khz).scale, 1e6);
  }
}

TEST(Mapping, PatternsGiveNamesAndKnobs) {
  const auto mapping = read(kProfile + "[file *]\npattern = T.{app}_G_{gpu_khz:Hz}\ntime_ms = t [s]\n");
  const auto& pattern = mapping.files.at(0).pattern;
  ASSERT_EQ(pattern.parts.size(), 2u);
  EXPECT_EQ(pattern.parts[0].name, "app");
  EXPECT_FALSE(pattern.parts[0].role);
  EXPECT_EQ(pattern.parts[1].role, hw::KnobRole::gpu_khz);
  EXPECT_EQ(mapping.files[0].roles(), std::vector{hw::KnobRole::gpu_khz});
}

TEST(Mapping, AnUnknownRoleIsNamedWithTheKnownOnes) {
  expect_refused(kProfile + "[file *.csv]\nwarp_khz = g [MHz]\ntime_ms = t [s]\n",
                 {"m.ini", "[file *.csv]", "'warp_khz'", "gpu_khz", "time_ms"});
  expect_refused(kProfile + "[file *]\npattern = a_{warp_khz:Hz}\ntime_ms = t [s]\n",
                 {"m.ini", "'warp_khz'"});
}

TEST(Mapping, UnknownKeysAndSectionsAreNamed) {
  expect_refused(kProfile + "colour = red\n" + kFile, {"m.ini", "[profile]", "'colour'", "workload"});
  expect_refused(kProfile + "[files *.csv]\ngpu_khz = g [MHz]\n", {"m.ini", "[files *.csv]", "[file GLOB]"});
}

TEST(Mapping, WhatIsMissingIsNamed) {
  expect_refused(kFile, {"m.ini", "[profile]"});
  expect_refused(kProfile, {"m.ini", "[file GLOB]"});
  expect_refused("[profile]\ndevice = a\n" + kFile, {"m.ini", "'workload'"});
  expect_refused(kProfile + "[file *]\ntime_ms = t [s]\n", {"m.ini", "[file *]", "no knob role"});
  expect_refused(kProfile + "[file *]\ngpu_khz = t [Hz]\n", {"m.ini", "[file *]", "no metric"});
}

TEST(Mapping, BadExpressionsAreRefused) {
  for (const char* text :
       {"g", "[Hz]", "g h [Hz]", "g + [Hz]", "- g [Hz]", "g * two [Hz]", "\"g [Hz]", "g [Hz", ""}) {
    expect_refused(kProfile + "[file *]\ntime_ms = t [s]\ngpu_khz = " + text + "\n",
                   {"m.ini", "[file *]", "gpu_khz"});
  }
  expect_refused(kProfile + "[file *]\ntime_ms = t [s]\ngpu_khz = g [parsec]\n", {"'parsec'", "kHz"});
  expect_refused(kProfile + "[file *]\ntime_ms = t [s]\ngpu_khz = g [mW]\n",
                 {"mW cannot be turned into kHz"});
}

TEST(Mapping, FilesMustGiveTheSameKnobs) {
  expect_refused(kProfile + kFile + "[file *.log]\nmem_khz = g [MHz]\ntime_ms = t [s]\n",
                 {"[file *.log]", "differ", "[file *.csv]"});
  expect_refused(kProfile + "[file *]\npattern = a_{gpu_khz:Hz}\ngpu_khz = g [Hz]\ntime_ms = t [s]\n",
                 {"gpu_khz", "pattern"});
}

TEST(Mapping, UnknownNamesAreRefused) {
  expect_refused(
      "[profile]\ndevice = a\nworkload = b\nkind = poem\ntime_of = run\nspace = from-data\n" + kFile,
      {"kind", "'poem'", "dnn-training"});
  expect_refused("[profile]\ndevice = a\nworkload = b\nkind = non-dnn\ntime_of = run\nspace = moon\n" + kFile,
                 {"space", "moon", "tx2"});
}

TEST(Mapping, TheShippedOnesAreValid) {
  for (const char* name : {"gpu-zeus", "titanx-ulisboa", "tx2-flexibo", "tx2-osldvfs", "tx2-osldvfs-logs",
                           "xavier-sigmetrics22"}) {
    EXPECT_NO_THROW(datasets::read_mapping(tests::source_dir() + "/datasets/mappings/" + name + ".ini"));
  }
}

}  // namespace
}  // namespace fewwatt::tests
