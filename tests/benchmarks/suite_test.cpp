#include "benchmarks/suite.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "benchmarks/runner.hpp"
#include "tests/benchmarks/made_up.hpp"
#include "tests/paths.hpp"

namespace fewwatt::benchmarks {
namespace suite_test {

using tests::TempDir;

std::vector<std::string> names_of(const std::vector<SuiteKey>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

void set(Suite& suite, const std::string& name, const std::string& text) {
  for (const auto& key : suite.keys())
    if (key.name == name) return key.set(text);
  FAIL() << "no key " << name;
}

// What of type Exception `work` throws; "" when it throws nothing.
template <class Exception, class Work>
std::string thrown(const Work& work) {
  try {
    work();
    return "";
  } catch (const Exception& e) {
    return e.what();
  }
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Suite, ShippedOnesOfAllKindsAreReadAndCalledAsTheirFiles) {
  for (const auto& file : std::filesystem::directory_iterator(tests::source_dir() + "/benchmarks/suites")) {
    const auto suite = read_suite(file.path().string());
    EXPECT_EQ(suite->name(), file.path().stem().string());
    EXPECT_NO_THROW(suite->check());
  }
}

TEST(Suite, KindsDifferInTheKeysThatCanBeSet) {
  const std::string folder = tests::source_dir() + "/benchmarks/suites/";
  using Names = std::vector<std::string>;
  const std::map<std::string, Names> expected = {
      {"drift", {"learners", "seeds"}},
      {"rl-find", {"learners", "measured", "seeds"}},
      {"sinusoid", {"learners", "shots"}},
      {"literature", {"learners"}},
      {"demo", {"learners", "samplers", "shots", "searches", "measured", "seeds", "splits"}}};
  for (const auto& [name, keys] : expected)
    EXPECT_EQ(names_of(read_suite(folder + name + ".ini")->keys()), keys);
  for (const std::string measured : {"tx2-time", "rl-find-tx2"})
    EXPECT_TRUE(read_suite(folder + measured + ".ini")->needs_data()) << measured;
  for (const std::string simulated : {"demo", "drift", "rl-find", "rl-run", "sinusoid", "literature"})
    EXPECT_FALSE(read_suite(folder + simulated + ".ini")->needs_data()) << simulated;
}

TEST(Suite, AnUnknownKindIsRefusedWithThoseThereAre) {
  const TempDir dir;
  auto text = tests::read_text(tests::write_made_up_suite(dir));
  text.replace(text.find("name = made-up\n"), 0, "kind = tables\n");
  tests::write_text(dir / "suite.ini", text);
  EXPECT_EQ(read_suite(dir / "suite.ini")->name(), "made-up");
  text.replace(text.find("tables"), 6, "tabels");
  tests::write_text(dir / "suite.ini", text);
  EXPECT_HAS(thrown<datasets::DataError>([&] { read_suite(dir / "suite.ini"); }),
             "suite.ini: [suite]: kind: expected one of tables, drift, controllers, sinusoid, literature, "
             "found 'tabels'; did you mean tables?");
}

TEST(Suite, ABadValueOfAKeyLeavesTheSuiteAsItWas) {
  const TempDir dir;
  const auto suite = read_suite(tests::write_made_up_suite(dir));
  const auto refused = [&](const std::string& key, const std::string& text) {
    const auto said = thrown<std::invalid_argument>([&] { set(*suite, key, text); });
    EXPECT_NE(said, "") << key << " = " << text;
    return said;
  };
  EXPECT_HAS(refused("learners", "gp,magic"), "magic");
  EXPECT_HAS(refused("samplers", "lucky"), "lucky");
  EXPECT_HAS(refused("splits", "alpha,none"), "unknown split 'none', known are: alpha, rest");
  EXPECT_HAS(refused("searches", "ei"), "SEARCH LEARNER");
  EXPECT_HAS(refused("seeds", "0"), "from 1");
  const auto outputs = suite->run({.data_root = dir / "data"}, {});
  EXPECT_HAS(outputs.rows, "\"learner\":\"scratch-log\"");
  EXPECT_HAS(outputs.rows, "\"workload\":\"gamma\"");
}

TEST(Suite, NumbersOfMeasurementsGoWithSearches) {
  const TempDir dir;
  const auto path = tests::write_made_up_suite(dir);
  const auto without = read_suite(path), searching = read_suite(path);
  set(*without, "measured", "5");
  EXPECT_HAS(thrown<std::invalid_argument>([&] { without->check(); }), "measured: the suite has no searches");
  set(*searching, "searches", "random -");
  EXPECT_HAS(thrown<std::invalid_argument>([&] { searching->check(); }), "measured: expected how many modes");
  set(*searching, "measured", "5");
  EXPECT_NO_THROW(searching->check());
  set(*searching, "searches", "ei gp");
  EXPECT_HAS(thrown<datasets::DataError>([&] { searching->check(); }), "needs gp among the learners");
}

TEST(Suite, OfTablesGivesTheRowsOfRunTables) {
  const TempDir dir;
  const auto path = tests::write_made_up_suite(dir);
  const auto suite = read_suite(path);
  set(*suite, "learners", "physics");
  const RunOptions options{.seed = 7, .threads = 2, .data_root = dir / "data"};
  Provenance provenance;
  provenance.command = "made by hand";
  std::size_t told = 0;
  const auto outputs =
      suite->run(options, provenance, {.jobs = [&](std::size_t, std::size_t) { ++told; }, .log = {}});
  EXPECT_GT(told, 0u);
  EXPECT_TRUE(outputs.failures.empty());
  EXPECT_HAS(outputs.markdown, "made by hand");
  EXPECT_HAS(outputs.html, "\"level\":2,\"text\":\"made-up\"");
  EXPECT_HAS(outputs.rows, "\"seed\":7");
  EXPECT_HAS(outputs.csv, "metric,unit,workload");

  auto tables = read_table_suite(path);
  tables.learners = {"physics"};
  const auto result = run_tables(tables, load_profiles(tables, dir / "data"), options);
  EXPECT_EQ(static_cast<std::size_t>(std::count(outputs.rows.begin(), outputs.rows.end(), '\n')),
            result.rows.size());
}

}  // namespace suite_test
}  // namespace fewwatt::benchmarks
