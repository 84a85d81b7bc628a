#include "datasets/mapping.hpp"

#include <regex>

#include "hw/random.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace mapping_test {

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

// The steps of a power as text: columns as they are called, constants, and what joins the two before.
std::string steps_of(const std::string& formula) {
  using Kind = datasets::Expression::Kind;
  std::string text;
  const auto mapping = read(kProfile + "[file *]\ngpu_khz = g [Hz]\npower_w = " + formula + "\n");
  for (const auto& step : mapping.files.at(0).metrics.at(Metric::power_w).steps) {
    if (!text.empty()) text += ' ';
    if (step.kind == Kind::column) text += step.column;
    if (step.kind == Kind::constant) text += std::to_string(std::lround(step.number));
    if (step.kind == Kind::add) text += '+';
    if (step.kind == Kind::subtract) text += '-';
    if (step.kind == Kind::multiply) text += '*';
    if (step.kind == Kind::divide) text += '/';
  }
  return text;
}

TEST(Mapping, FormulasHaveTheUsualOrder) {
  EXPECT_EQ(steps_of("in - \"wi - fi\" + x * 2 [mW]"), "in wi - fi - x 2 * +");
  EXPECT_EQ(steps_of("(a - b) * 2 [mW]"), "a b - 2 *");
  EXPECT_EQ(steps_of("1000 / fps / (a + b) [W]"), "1000 fps / a b + /");
  EXPECT_EQ(steps_of("a-b - \"2\" [W]"), "a-b 2 -") << "blanks part, quotes make a name";
  EXPECT_EQ(steps_of("((f(x) - off) + a) [W]"), "f(x) off - a +");
  EXPECT_EQ(steps_of("7 [W]"), "7");
}

TEST(Mapping, TheTextOfAFormulaIsItsColumnsWithoutUnits) {
  const auto mapping =
      read(kProfile + "[file *]\ngpu_khz = \"GPU \"\"f\"\"\" [Hz]\npower_w = (in - \"wi fi\") * 2 [mW]\n");
  EXPECT_EQ(mapping.files[0].knobs.at(hw::KnobRole::gpu_khz).text, "GPU \"f\"");
  EXPECT_DOUBLE_EQ(mapping.files[0].knobs.at(hw::KnobRole::gpu_khz).scale, 1e-3);
  EXPECT_EQ(mapping.files[0].metrics.at(Metric::power_w).text, "(in - wi fi) * 2");
}

TEST(Mapping, UnitsOfAFormulaAreChecked) {
  EXPECT_EQ(steps_of("energy [J] / time [s]"), "energy time /");
  EXPECT_EQ(steps_of("u [mV] * i [mA] - 2 [W]"), "u i * 2000 -") << "constants in the unit that all share";
  for (const char* formula :
       {"energy [J] * time [s]", "energy [J] / time [s] + u [V]", "energy [J] / time [s] [W]", "a [W] + b",
        "a [W] / b [W]", "(a [W] / 2", "a [W] / )", "a [s] + b [s] [W]"}) {
    expect_refused(kProfile + "[file *]\ngpu_khz = g [Hz]\npower_w = " + formula + "\n",
                   {"m.ini", "power_w"});
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "( ";
  expect_refused(kProfile + "[file *]\ngpu_khz = g [Hz]\npower_w = " + deep + "a [W]\n", {"power_w"});
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

TEST(Mapping, CellsHavePatternsToo) {
  const auto mapping =
      read(kProfile + "[file *]\ncell mode = {cpu_cores:count}c_{cpu_khz:MHz}MHz\ntime_ms = t [s]\n");
  EXPECT_EQ(mapping.files[0].roles(), (std::vector{hw::KnobRole::cpu_cores, hw::KnobRole::cpu_khz}));
  EXPECT_EQ(mapping.files[0].cells.at("mode").parts.at(1).scale, 1000);
  expect_refused(kProfile + "[file *]\ncell mode = {cpu_khz:MHz}\ncpu_khz = f [kHz]\ntime_ms = t [s]\n",
                 {"cpu_khz"});
  expect_refused(kProfile + "[file *]\npattern = {cpu_khz:MHz}\ncell mode = {cpu_khz:MHz}\ntime_ms = t [s]\n",
                 {"cpu_khz", "two patterns"});
}

TEST(Mapping, HowToReadNumbersIsSaidOnce) {
  const auto mapping = read(kProfile + "decimal = comma\ntrust_units = yes\nrepeated = trimmed\n" + kFile);
  EXPECT_EQ(mapping.decimal, datasets::DecimalSign::comma);
  EXPECT_TRUE(mapping.trust_units);
  EXPECT_EQ(mapping.repeated, datasets::Average::trimmed);
  EXPECT_FALSE(read(kProfile + "repeated = refused\n" + kFile).repeated);
  expect_refused(kProfile + "decimal = dot\n" + kFile, {"decimal", "point or comma", "'dot'"});
  expect_refused(kProfile + "trust_units = maybe\n" + kFile, {"trust_units", "'maybe'"});
}

TEST(Mapping, TheSetThatHasTheFilesMayBeNamed) {
  EXPECT_EQ(read(kProfile + "set = tx2-flexibo\n" + kFile).set, "tx2-flexibo");
  EXPECT_EQ(read(kProfile + kFile).set, "");
}

datasets::FileMapping standard(const std::string& header) {
  const TempDir dir;
  std::string row = "1";
  for (const char c : header) row += c == ',' ? ",1" : "";
  write_text(dir / "m.csv", header + "\n" + row + "\n");
  return datasets::standard_columns(datasets::read_csv(dir / "m.csv"));
}

TEST(Mapping, StandardColumnsMaySayAnotherUnit) {
  const auto file = standard("cpu_cores,cpu_mhz,GPU [Hz],mem_khz,time_s,power (mW)");
  EXPECT_EQ(file.roles().size(), 4u);
  EXPECT_EQ(file.knobs.at(hw::KnobRole::cpu_khz).scale, 1000);
  EXPECT_EQ(file.knobs.at(hw::KnobRole::gpu_khz).scale, 1e-3);
  EXPECT_EQ(file.metrics.at(Metric::time_ms).scale, 1000);
  EXPECT_EQ(file.metrics.at(Metric::power_w).scale, 1e-3);
  for (const char* header :
       {"cpu_khz,cpu_mhz,time_ms", "cpu_khz,cpu_khz,time_ms", "cpu_khz,watts", "cpu_ms,time_ms"})
    expect_data_error([&] { standard(header); }, {"m.csv"});
}

TEST(Mapping, StandardColumnsMaySpellTheirUnitsOtherwise) {
  for (const char* column : {"cpu (mhz)", "cpu MHz", "cpu_MHz", "cpu/MHz", "CPU [MHZ]", "cpu-mhz"})
    EXPECT_EQ(standard(std::string(column) + ",time_ms").knobs.at(hw::KnobRole::cpu_khz).scale, 1000)
        << column;
  for (const char* column : {"power (Watt)", "power_W", "power [w]"})
    EXPECT_EQ(standard(std::string("cpu_khz,") + column).metrics.at(Metric::power_w).scale, 1) << column;
  for (const char* column : {"time (sec)", "time_seconds", "time s"})
    EXPECT_EQ(standard(std::string("cpu_khz,") + column).metrics.at(Metric::time_ms).scale, 1000) << column;
  for (const char* column : {"time of day", "time_std_ms", "power (MW)", "times"})
    EXPECT_TRUE(standard(std::string("cpu_khz,power_w,time_ms,") + column).metrics.size() == 2) << column;
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
       {"g", "[Hz]", "g h [Hz]", "g + [Hz]", "- g [Hz]", "g * [Hz]", "\"g [Hz]", "g [Hz", ""}) {
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

}  // namespace mapping_test
}  // namespace fewwatt::tests
