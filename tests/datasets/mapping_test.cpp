#include "datasets/mapping.hpp"

#include <regex>

#include "hw/random.hpp"
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

using Parts = std::optional<std::vector<std::string>>;

datasets::NamePattern pattern_of(const std::string& text) {
  return read(kProfile + "[file *]\npattern = " + text + "\ngpu_khz = g [Hz]\ntime_ms = t [s]\n")
      .files.at(0)
      .pattern;
}

TEST(Mapping, PatternsMatchTheWholeName) {
  const auto pattern = pattern_of("T.{app}_C_{cpu_khz:kHz}.csv");
  EXPECT_EQ(match(pattern, "T.a_b_C_12.csv"), (Parts{{"a_b", "12"}}));
  EXPECT_EQ(match(pattern, "T.a_C_1.5.csv"), (Parts{{"a", "1.5"}}));
  for (const char* name : {"", "T.a_C_.csv", "T._C_1.csv", "TXa_C_1.csv", "T.a_C_1.csv.csv", "xT.a_C_1.csv",
                           "T.a_C_1e3.csv", "T.a_C_-1.csv", "T.a_C_1..csv"})
    EXPECT_FALSE(match(pattern, name)) << name;
  EXPECT_EQ(match(pattern_of("{a}{b}"), "xyz"), (Parts{{"x", "yz"}}));
  EXPECT_EQ(match(pattern_of("{a}_{b}"), "_x_y_"), (Parts{{"_x", "y_"}}));
  EXPECT_EQ(match(pattern_of("{cpu_khz:kHz}{mem_khz:kHz}"), "1.23"), (Parts{{"1.2", "3"}}));
  EXPECT_EQ(match(pattern_of("plain"), "plain"), Parts{std::vector<std::string>{}});
}

// The language of patterns is that of regular expressions: text is (.+?), a setting ([0-9]+(?:\.[0-9]+)?).
TEST(Mapping, PatternsMatchAsRegularExpressionsDo) {
  const std::string letters = "a1._";
  hw::Rng rng(1);
  int fitting = 0;
  for (int round = 0; round < 300; ++round) {
    datasets::NamePattern pattern;
    pattern.literals.emplace_back();
    std::string regex;
    for (std::size_t i = 0, parts = 1 + rng.below(3); i < parts; ++i) {
      const bool number = rng.below(2) == 0;
      pattern.parts.push_back({"p", number ? std::optional(hw::KnobRole::cpu_khz) : std::nullopt, 1});
      regex += number ? R"(([0-9]+(?:\.[0-9]+)?))" : "(.+?)";
      pattern.literals.emplace_back();
      for (std::size_t j = 0, size = rng.below(2); j < size; ++j) {
        const char c = letters[rng.below(letters.size())];
        pattern.literals.back() += c;
        regex += std::string(c == '.' ? "\\" : "") + c;
      }
    }
    const std::regex expected(regex);
    for (int draw = 0; draw < 20; ++draw) {
      std::string name;
      for (std::size_t j = 0, size = rng.below(9); j < size; ++j) name += letters[rng.below(letters.size())];
      std::smatch found;
      const auto parts = match(pattern, name);
      ASSERT_EQ(parts.has_value(), std::regex_match(name, found, expected)) << regex << ' ' << name;
      if (!parts) continue;
      ++fitting;
      for (std::size_t i = 0; i < parts->size(); ++i)
        ASSERT_EQ((*parts)[i], found[i + 1].str()) << regex << ' ' << name;
    }
  }
  EXPECT_GT(fitting, 500);
}

TEST(Mapping, ALongNameThatDoesNotFitIsFoundOutAtOnce) {
  std::string text, name;
  for (int i = 0; i < 12; ++i) text += "{p" + std::to_string(i) + "}_";
  for (int i = 0; i < 100'000; ++i) name += "a_";
  EXPECT_FALSE(match(pattern_of(text + "X.csv"), name + ".csv"));
  EXPECT_TRUE(match(pattern_of(text + "X.csv"), name + "X.csv"));
  EXPECT_FALSE(match(pattern_of("{cpu_khz:kHz}{mem_khz:kHz}{cpu_cores:count}x"), std::string(400'000, '1')));
}

TEST(Mapping, GlobsFitAsInAShell) {
  const std::pair<const char*, std::vector<const char*>> fitting[] = {
      {"*", {"", "a", ".a"}},          {"*.csv", {".csv", "a.csv", "a.csv.csv"}},
      {"a?c*", {"abc", "aXcd"}},       {"t[0-9_]*", {"t1", "t_x"}},
      {"t[!a-c].csv", {"tx.csv"}},     {R"(a\*)", {"a*"}},
      {"*a*b*c", {"abc", "xaxbxbxc"}}, {"[]x]", {"]", "x"}}};
  for (const auto& [glob, names] : fitting)
    for (const char* name : names) EXPECT_TRUE(datasets::fits_glob(glob, name)) << glob << ' ' << name;
  const std::pair<const char*, std::vector<const char*>> others[] = {{"", {"a"}},
                                                                     {"*.csv", {"csv", "a.csvx"}},
                                                                     {"a?c*", {"ac", "abd"}},
                                                                     {"t[0-9_]*", {"t", "ta"}},
                                                                     {"t[!a-c].csv", {"ta.csv", "t.csv"}},
                                                                     {R"(a\*)", {"ab"}},
                                                                     {"*a*b*c", {"acb", "ab"}}};
  for (const auto& [glob, names] : others)
    for (const char* name : names) EXPECT_FALSE(datasets::fits_glob(glob, name)) << glob << ' ' << name;
  std::string stars;
  for (int i = 0; i < 50; ++i) stars += "*a";
  EXPECT_FALSE(datasets::fits_glob(stars + "*b", std::string(100'000, 'a')));
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
