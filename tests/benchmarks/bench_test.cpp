#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>

#include <gtest/gtest.h>

#include "benchmarks/metrics.hpp"
#include "benchmarks/runner.hpp"
#include "datasets/csv.hpp"
#include "tests/benchmarks/made_up.hpp"
#include "tests/paths.hpp"

namespace fewwatt::benchmarks {
namespace bench_test {

using nlohmann::json;
using tests::read_text;
using tests::run_program;
using tests::TempDir;

std::vector<json> read_rows(const std::string& path) {
  std::vector<json> rows;
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
  return rows;
}

double value_of(const json& row) {
  return row["value"].is_string() ? std::numeric_limits<double>::infinity() : row["value"].get<double>();
}

bool is_clock(const json& row) {
  return row["unit"] == "s";
}

// The suite of three made-up workloads, run once for the tests that look at its outputs.
class Bench : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    const std::string suite = tests::write_made_up_suite(*dir_);
    result_ = new tests::ProgramResult(run_program("bench", "--suite " + suite + " --data-root " +
                                                                (*dir_ / "data") + " --out " +
                                                                (*dir_ / "out") + " --threads 2"));
  }
  static void TearDownTestSuite() {
    delete result_;
    delete dir_;
  }
  void SetUp() override { ASSERT_EQ(result_->code, 0) << result_->err; }

  static TempDir* dir_;
  static tests::ProgramResult* result_;
};
TempDir* Bench::dir_ = nullptr;
tests::ProgramResult* Bench::result_ = nullptr;

TEST_F(Bench, RowsAreComplete) {
  using Key = std::tuple<std::string, std::string, int, int, std::string>;
  std::set<Key> keys;
  for (const auto& row : read_rows(*dir_ / "out/rows.jsonl")) {
    const Key key{row["workload"], row["learner"], row["shots"], row["seed"], row["metric"]};
    EXPECT_TRUE(keys.insert(key).second) << row;
    EXPECT_EQ(row["suite"], "made-up");
    EXPECT_EQ(row["device"], "toy");
  }
  const std::vector<std::string> decided{"strict_regret", "strict_regret_p90", "violations", "time_penalty",
                                         "over_budget",   "over_budget_1w",    "excess_w"};
  for (const std::string workload : {"alpha", "beta", "gamma"}) {
    for (const auto& metric : decided) EXPECT_TRUE(keys.contains({workload, "maxn", 0, 0, metric}));
    for (const int shots : {4, 8})
      for (const int seed : {0, 1})
        for (const std::string learner : {"scratch-log", "physics", "best-measured"}) {
          for (const auto& metric : decided)
            EXPECT_TRUE(keys.contains({workload, learner, shots, seed, metric}));
          if (learner == "best-measured") continue;
          for (const std::string metric : {"time_mape", "power_mape", "adapt_seconds"})
            EXPECT_TRUE(keys.contains({workload, learner, shots, seed, metric}));
        }
  }
}

TEST_F(Bench, BestMeasuredNeverBreaksABudgetAndTheFastestModeAlwaysDoes) {
  for (const auto& row : read_rows(*dir_ / "out/rows.jsonl")) {
    if (row["metric"] != "violations") continue;
    if (row["learner"] == "best-measured") {
      EXPECT_EQ(row["value"], 0);
    }
    if (row["learner"] == "maxn") {
      EXPECT_EQ(row["value"], 100);
    }
  }
}

TEST(Confidence, ALearnerThatKnowsItsUncertaintyDecidesOnceMoreAndBreaksFewerBudgets) {
  const TempDir dir;
  auto text = read_text(tests::write_made_up_suite(dir));
  text.replace(text.find("learners = "), text.find('\n', text.find("learners = ")) - text.find("learners = "),
               "learners = gp, physics\nconfidence = 0.9");
  tests::write_text(dir / "careful.ini", text);
  const auto result = run_program("bench", "--suite " + (dir / "careful.ini") + " --data-root " +
                                               (dir / "data") + " --out " + (dir / "careful"));
  ASSERT_EQ(result.code, 0) << result.err;
  std::map<std::string, double> violations;
  for (const auto& row : read_rows(dir / "careful/rows.jsonl")) {
    if (row["metric"] == "violations") violations[row["learner"]] += row["value"].get<double>();
  }
  ASSERT_TRUE(violations.contains("gp@0.9"));
  EXPECT_LT(violations["gp@0.9"], violations["gp"]);
  EXPECT_FALSE(violations.contains("physics@0.9"));
}

TEST(Searches, AreRowsAndTablesOfTheirOwn) {
  const TempDir dir;
  auto text = read_text(tests::write_made_up_suite(dir));
  text.replace(text.find("learners = "), text.find('\n', text.find("learners = ")) - text.find("learners = "),
               "learners = gp\nsearches = ei gp, random -, predict gp 10 0.9\nmeasured = 6, 12");
  tests::write_text(dir / "search.ini", text);
  const std::string suite = "--suite " + (dir / "search.ini") + " --data-root " + (dir / "data");
  const auto result = run_program("bench", suite + " --samplers random,alc --out " + (dir / "out"));
  ASSERT_EQ(result.code, 0) << result.err;
  std::map<std::pair<std::string, std::size_t>, std::map<std::string, double>> pooled;
  std::map<std::string, int> draws;
  std::set<std::string> samplers;
  for (const auto& row : read_rows(dir / "out/rows.jsonl")) {
    samplers.insert(row["sampler"]);
    const std::string metric = row["metric"];
    if (metric.starts_with("search_"))
      pooled[{row["learner"], row["shots"]}][metric] = value_of(row);
    else if (row["sampler"] == "search" && metric == "strict_regret")
      ++draws[row["learner"]];
  }
  EXPECT_EQ(samplers, (std::set<std::string>{"random", "alc", "search", "none"}));
  EXPECT_EQ(draws["ei gp"], 3 * 2 * 2);  // workloads, draws, numbers of measurements
  EXPECT_EQ(draws["predict gp@0.9"], 3 * 2);
  EXPECT_TRUE((pooled.contains({"predict gp@0.9", 10})));
  // Nobody searched: all clocks at their highest break every budget that counts.
  ASSERT_TRUE((pooled.contains({"maxn", 0})));
  EXPECT_EQ((pooled[{"maxn", 0}]["search_inside"]), 0);
  pooled.erase({"maxn", 0});
  ASSERT_EQ(pooled.size(), 5u);
  for (auto& [search, values] : pooled) {
    EXPECT_GE(values["search_inside"], 0);
    EXPECT_LE(values["search_inside"], 100);
    EXPECT_LE(values["search_regret"], values["search_regret_p90"]);
    EXPECT_LE(values["search_over"], static_cast<double>(search.second));
  }
  EXPECT_LE((pooled[{"ei gp", 12}]["search_regret"]), (pooled[{"random", 12}]["search_regret"]));
  EXPECT_NE(read_text(dir / "out/table.md").find("ei gp, search"), std::string::npos);
  const auto report = read_text(dir / "out/report.html");
  EXPECT_NE(report.find("Strict regret of searches"), std::string::npos);
  // Searches have a section of their own, which decisions leave them to.
  const auto decisions = report.find("\"level\":2,\"text\":\"Decisions"),
             searches = report.find("\"level\":2,\"text\":\"Searches in a closed loop");
  ASSERT_LT(decisions, searches);
  ASSERT_LT(searches, report.size());
  EXPECT_GE(report.find("ei gp, search", decisions), searches);
  EXPECT_LT(report.find("predict gp@0.9, search", searches), report.find("\"level\":2", searches + 1));

  for (const std::string wrong : {"--searches 'ei auto'", "--measured 0"}) {
    const auto refused = run_program("bench", suite + " --out " + (dir / "bad") + " " + wrong);
    EXPECT_NE(refused.code, 0) << wrong;
    EXPECT_FALSE(std::filesystem::exists(dir / "bad/rows.jsonl"));
  }
}

TEST_F(Bench, TableCellsAreWhatTheRowsGive) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::vector<double>> draws;
  for (const auto& row : read_rows(*dir_ / "out/rows.jsonl"))
    draws[{row["metric"], "toy/" + row["workload"].get<std::string>(), row["learner"],
           std::to_string(row["shots"].get<int>())}]
        .push_back(value_of(row));
  const auto table = datasets::read_csv(*dir_ / "out/table.csv");
  ASSERT_GT(table.rows.size(), 50u);
  for (const auto& cell : table.rows) {
    double median = 0, count = 0;
    for (const auto& [key, values] : draws) {
      const auto& [metric, workload, learner, shots] = key;
      if (metric != cell[0] || learner != cell[3] || (shots != cell[5] && shots != "0")) continue;
      if (cell[2] != "all" && workload != cell[2]) continue;
      median += benchmarks::median(values);
      ++count;
    }
    ASSERT_GT(count, 0) << cell[0] << cell[2] << cell[3];
    if (cell[6] == "inf")
      EXPECT_EQ(median, std::numeric_limits<double>::infinity());
    else
      EXPECT_NEAR(std::stod(cell[6]), median / count, 1e-5 * std::abs(median / count) + 1e-12);
  }
}

TEST_F(Bench, NumberOfThreadsChangesNothingButSeconds) {
  const auto one =
      run_program("bench", "--suite " + (*dir_ / "suite.ini") + " --data-root " + (*dir_ / "data") +
                               " --out " + (*dir_ / "one") + " --threads 1 --quiet");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.err, "");
  EXPECT_EQ(one.out, "");
  const auto rows = read_rows(*dir_ / "out/rows.jsonl"), again = read_rows(*dir_ / "one/rows.jsonl");
  ASSERT_EQ(rows.size(), again.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json a = rows[i], b = again[i];
    for (json* row : {&a, &b}) {
      if (is_clock(*row)) row->erase("value");
      row->erase("seconds");
      (*row)["options"].erase("threads");
    }
    EXPECT_EQ(a, b);
  }
}

TEST(Splits, AloneGiveTheRowsThatTheyGiveTogether) {
  const TempDir dir;
  auto text = read_text(tests::write_made_up_suite(dir));
  text.replace(text.find("learners = "), text.find('\n', text.find("learners = ")) - text.find("learners = "),
               "learners = proto, proto+sim, sim_prior, gp\ntrain_steps = 2\npopulation = 2\n"
               "searches = ei gp, random -\nmeasured = 6");
  tests::write_text(dir / "parts.ini", text);
  const std::string suite = "--suite " + (dir / "parts.ini") + " --data-root " + (dir / "data") + " --quiet";
  const auto rows_of = [&](const std::string& out, const std::string& splits) {
    const auto result = run_program("bench", suite + " --out " + (dir / out) + splits);
    EXPECT_EQ(result.code, 0) << result.err;
    std::multiset<std::string> rows;
    for (auto row : read_rows(dir / (out + "/rows.jsonl"))) {
      if (row["workload"] == "all") continue;  // searches, pooled over what was run
      if (is_clock(row)) row.erase("value");
      row.erase("seconds");
      rows.insert(row.dump());
    }
    return rows;
  };
  auto parts = rows_of("alpha", " --splits alpha");
  parts.merge(rows_of("rest", " --splits rest"));
  const auto whole = rows_of("whole", "");
  EXPECT_GT(whole.size(), 100u);
  EXPECT_EQ(parts, whole);
  EXPECT_EQ(rows_of("both", " --splits ' rest, alpha '"), whole);

  const auto unknown = run_program("bench", suite + " --out " + (dir / "bad") + " --splits rest,none");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("--splits: unknown split 'none', known are: alpha, rest"), std::string::npos)
      << unknown.err;
  EXPECT_FALSE(std::filesystem::exists(dir / "bad"));
  const auto drift =
      run_program("bench", "--suite " + tests::source_dir() + "/benchmarks/suites/drift.ini --out " +
                               (dir / "bad") + " --splits rest");
  EXPECT_EQ(drift.code, 2);
  EXPECT_NE(drift.err.find("--splits"), std::string::npos) << drift.err;
}

TEST_F(Bench, OptionsOfARowAreWhatTheRunWasMadeWith) {
  for (const auto& row : read_rows(*dir_ / "out/rows.jsonl")) {
    json options = row["options"];
    EXPECT_TRUE(options["split"] == "alpha" || options["split"] == "rest");
    options.erase("split");
    EXPECT_EQ(options, json({{"suite_file", "suite.ini"},
                             {"targets", "time, power"},
                             {"shots", "4, 8"},
                             {"seeds", 2},
                             {"seed", 0},
                             {"threads", 2},
                             {"budgets", "6"},
                             {"confidence", 0.5},
                             {"excess_margin", "5%"}}));
  }
}

TEST_F(Bench, CommandIsPrintedAsAShellReadsIt) {
  const auto result = run_program("bench", "--suite " + (*dir_ / "suite.ini") + " --data-root " +
                                               (*dir_ / "data") + " --out '" + (*dir_ / "it'\\''s here") +
                                               "' --learners 'physics , gp' --shots 5 --seeds 1 --quiet");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto text = read_text(*dir_ / "it's here/table.md");
  EXPECT_NE(text.find("it'\\''s here' --learners 'physics , gp' --shots 5"), std::string::npos);
}

TEST_F(Bench, ReportStandsAlone) {
  const auto html = read_text(*dir_ / "out/report.html");
  for (const char* outside : {" src=", "<link", "@import", "url("})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  const std::string data = "<script type=\"application/json\" id=\"part-0\">";
  const auto from = html.find(data) + data.size();
  const auto report = json::parse(html.substr(from, html.find("</script>", from) - from));
  std::set<std::string> kinds;
  for (const auto& block : report["blocks"]) kinds.insert(block["kind"]);
  EXPECT_EQ(kinds, (std::set<std::string>{"figures", "fold", "heading", "table", "terms", "text"}));
  EXPECT_NE(html.find("id=\"part-1\">{\"suite\":"), std::string::npos);  // the rows
  for (const char* part : {"\"isSteps\":true", "scratch-log", "physics", "best-measured", "Pareto",
                           "Predicted against measured", "--suite"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
}

TEST_F(Bench, ReportShowsCalibrationAndWhatCombinationsChose) {
  tests::write_text(*dir_ / "auto.ini",
                    tests::made_up_suite_head() + "train_steps = 2\n[split alpha]\ntest = alpha\n");
  const auto result = run_program("bench", "--suite " + (*dir_ / "auto.ini") + " --data-root " +
                                               (*dir_ / "data") + " --out " + (*dir_ / "auto") +
                                               " --learners physics,gp,auto --shots 6 --seeds 2 --quiet");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto html = read_text(*dir_ / "auto/report.html");
  for (const char* part : {"\"text\":\"Calibration\"", "asked for", "\"text\":\"What combinations chose\"",
                           "sim_prior ", "regret, %"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(read_text(*dir_ / "out/report.html").find("\"text\":\"Calibration\""), std::string::npos);
}

TEST_F(Bench, LeavesNoTemporaryFiles) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(*dir_ / "out"))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"rows.jsonl", "table.md", "table.csv", "report.html"}));
}

TEST_F(Bench, CommandLineOverridesTheSuite) {
  const auto result = run_program(
      "bench", "--suite " + (*dir_ / "suite.ini") + " --data-root " + (*dir_ / "data") + " --out " +
                   (*dir_ / "few") + " --learners ' physics ' --shots 5 --seeds 1 --samplers maximin --json");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["suite"], "made-up");
  for (const auto& row : read_rows(*dir_ / "few/rows.jsonl")) {
    EXPECT_TRUE(row["learner"] == "physics" || row["learner"] == "maxn" || row["learner"] == "best-measured");
    if (row["sampler"] == "none") continue;
    EXPECT_EQ(row["sampler"], "maximin");
    EXPECT_EQ(row["shots"], 5);
    EXPECT_EQ(row["seed"], 0);
  }
}

TEST_F(Bench, MistakesHaveTheirExitCodes) {
  const std::string suite = " --suite " + (*dir_ / "suite.ini"), data = " --data-root " + (*dir_ / "data"),
                    out = " --out " + (*dir_ / "bad");
  EXPECT_EQ(run_program("bench", "--help").code, 0);
  EXPECT_EQ(run_program("bench", out + data).code, 2);
  EXPECT_EQ(run_program("bench", suite + out + data + " --frobnicate").code, 2);
  const auto misspelt = run_program("bench", "--suite " + (*dir_ / "suiet.ini") + out + data);
  EXPECT_EQ(misspelt.code, 1);
  EXPECT_NE(misspelt.err.find("suiet.ini: there is no such file; did you mean suite.ini?"), std::string::npos)
      << misspelt.err;
  const auto unknown = run_program("bench", suite + out + data + " --learners physics,magic");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("magic"), std::string::npos);
  for (const std::string wrong :
       {"--shots 5,x", "--learners gp,gp", "--samplers random,random", "--seeds 0", "--threads -1"})
    EXPECT_EQ(run_program("bench", suite + out + data + " " + wrong).code, 2) << wrong;
  const auto measured = run_program("bench", suite + out + data + " --measured 5");
  EXPECT_EQ(measured.code, 2);
  EXPECT_NE(measured.err.find("--measured: the suite has no searches"), std::string::npos) << measured.err;
  EXPECT_EQ(run_program("bench", "--suite /no/such.ini" + out + data).code, 1);
  const auto nowhere = run_program("bench", suite + out + " --data-root /no/such/data");
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_NE(nowhere.err.find("/no/such/data"), std::string::npos);
  const auto many = run_program("bench", suite + out + data + " --shots 36 --quiet");
  EXPECT_EQ(many.code, 1);
  EXPECT_NE(many.err.find("36"), std::string::npos);
  const auto file = run_program("bench", suite + data + " --out " + (*dir_ / "suite.ini"));
  EXPECT_EQ(file.code, 1);
  EXPECT_NE(file.err.find("suite.ini"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(*dir_ / "bad/rows.jsonl"));
}

TEST_F(Bench, OnlyResultsAreReplaced) {
  const TempDir dir;
  const std::string arguments = "--suite " + tests::write_made_up_suite(dir) + " --data-root " +
                                (dir / "data") + " --out " + (dir / "out");
  tests::write_text(dir / "out/table.md", "# My notes\n");
  const auto result = run_program("bench", arguments);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("table.md: it is there already and is not the table.md of an earlier run"),
            std::string::npos)
      << result.err;
  EXPECT_EQ(read_text(dir / "out/table.md"), "# My notes\n");
  EXPECT_FALSE(std::filesystem::exists(dir / "out/rows.jsonl")) << "found before the work, not after it";
}

TEST_F(Bench, WithoutADataRootSaysHowToGiveOne) {
  const char* before = std::getenv("FEWWATT_DATA");
  const std::string kept = before != nullptr ? before : "";
  unsetenv("FEWWATT_DATA");
  const auto result = run_program("bench", "--suite " + (*dir_ / "suite.ini") + " --out " + (*dir_ / "bad"));
  if (!kept.empty()) setenv("FEWWATT_DATA", kept.c_str(), 1);
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("--data-root"), std::string::npos);
  EXPECT_NE(result.err.find("FEWWATT_DATA"), std::string::npos);
}

}  // namespace bench_test
}  // namespace fewwatt::benchmarks
