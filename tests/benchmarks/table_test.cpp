#include "benchmarks/table.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include <gtest/gtest.h>

namespace fewwatt::benchmarks {
namespace table_test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Row row(const std::string& workload, const std::string& learner, std::size_t shots, std::uint64_t seed,
        double value, const std::string& metric = "time_mape", const std::string& sampler = "random") {
  return {.suite = "made-up",
          .device = "board",
          .workload = workload,
          .learner = learner,
          .sampler = sampler,
          .shots = shots,
          .seed = seed,
          .metric = metric,
          .value = value,
          .seconds = 0.5,
          .split = "s"};
}

TEST(Table, IsTheMedianOverDrawsAndTheMeanOverWorkloads) {
  const std::vector<Row> rows{row("a", "gp", 5, 0, 1),  row("a", "gp", 5, 1, 9),  row("a", "gp", 5, 2, 2),
                              row("b", "gp", 5, 0, 10), row("b", "gp", 5, 1, 20), row("b", "gp", 5, 2, 30)};
  const auto tables = make_tables(rows);
  ASSERT_EQ(tables.size(), 1u);
  const auto& table = tables[0];
  EXPECT_EQ(table.workloads, (std::vector<std::string>{"board/a", "board/b"}));
  EXPECT_EQ(table.cells[0][0][0]->median, 2);
  EXPECT_EQ(table.cells[1][0][0]->median, 20);
  EXPECT_EQ(table.mean[0][0]->median, 11);
  EXPECT_EQ(table.mean[0][0]->lower, (1.5 + 15) / 2);
  EXPECT_EQ(table.mean[0][0]->upper, (5.5 + 25) / 2);
}

TEST(Table, HasNoSuiteFigureUnlessEveryWorkloadHasOne) {
  const auto tables = make_tables(
      std::vector<Row>{row("a", "gp", 5, 0, 1), row("a", "maml", 5, 0, 3), row("b", "maml", 5, 0, 2)});
  EXPECT_FALSE(tables[0].mean[0][0]);
  EXPECT_EQ(tables[0].mean[1][0]->median, 2.5);
  EXPECT_TRUE(tables[0].cells[0][0][0]);
  EXPECT_FALSE(tables[0].cells[1][0][0]);
}

TEST(Table, AWorkloadWithTooFewModesDoesNotCountInThatColumn) {
  const auto tables = make_tables(
      std::vector<Row>{row("a", "gp", 5, 0, 1), row("b", "gp", 5, 0, 3), row("a", "gp", 30, 0, 0.5)});
  EXPECT_EQ(tables[0].mean[0][0]->median, 2);
  EXPECT_EQ(tables[0].mean[0][1]->median, 0.5);
}

TEST(Table, AnswersWithoutMeasuredModesStandInEveryColumn) {
  const auto tables = make_tables(std::vector<Row>{
      row("a", "gp", 5, 0, 1, "violations"), row("a", "gp", 10, 0, 2, "violations"),
      row("a", "maxn", 0, 0, 100, "violations", "none"), row("a", "maml", 0, 0, 7, "train_seconds", "none")});
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].shots, (std::vector<std::size_t>{5, 10}));
  EXPECT_EQ(tables[0].mean[1][0]->median, 100);
  EXPECT_EQ(tables[0].mean[1][1]->median, 100);
  EXPECT_EQ(tables[1].shots, (std::vector<std::size_t>{0}));
  EXPECT_EQ(tables[1].mean[0][0]->median, 7);
}

TEST(Table, SamplersAreNamedWhereThereAreSeveral) {
  const std::vector<Row> rows{row("a", "gp", 5, 0, 1), row("a", "gp", 5, 0, 2, "time_mape", "maximin")};
  const auto both = make_tables(rows);
  EXPECT_EQ(label(both[0].series[1], both), "gp, maximin");
  const auto one = make_tables(std::span(rows).first(1));
  EXPECT_EQ(label(one[0].series[0], one), "gp");
}

TEST(Table, CsvHasEveryCellWithInfinityInWords) {
  const auto csv = to_csv(make_tables(std::vector<Row>{row("a", "gp", 5, 0, kInfinity, "strict_regret")}));
  EXPECT_EQ(csv,
            "metric,unit,workload,learner,sampler,shots,median,lower,upper\n"
            "strict_regret,%,all,gp,random,5,inf,inf,inf\n"
            "strict_regret,%,board/a,gp,random,5,inf,inf,inf\n");
}

TEST(Table, MarkdownStatesWhereItComesFrom) {
  const auto text =
      to_markdown("made-up", make_tables(std::vector<Row>{row("a", "gp", 5, 0, 3)}),
                  {.command = "fewwatt bench --suite x", .git = "abc", .host = "h", .cpu = "c"});
  EXPECT_NE(text.find("fewwatt bench --suite x"), std::string::npos);
  EXPECT_NE(text.find("| gp | 3.00 |"), std::string::npos);
}

TEST(Rows, AreOneJsonObjectPerLineWithTheAgreedKeys) {
  const std::vector<Row> rows{row("a", "gp", 5, 3, 1.25), row("a", "gp", 5, 3, kInfinity, "strict_regret")};
  std::istringstream lines(to_jsonl(
      rows,
      {.command = "", .git = "abc", .host = "h", .cpu = "c", .seed = 4, .options_json = R"({"seed":4})"}));
  const std::vector<std::string> keys{"suite",   "device",  "workload", "learner", "sampler",
                                      "shots",   "seed",    "metric",   "value",   "unit",
                                      "seconds", "options", "git",      "host",    "cpu"};
  std::vector<nlohmann::ordered_json> parsed;
  for (std::string line; std::getline(lines, line);) parsed.push_back(nlohmann::ordered_json::parse(line));
  ASSERT_EQ(parsed.size(), 2u);
  std::vector<std::string> found;
  for (const auto& [key, value] : parsed[0].items()) found.push_back(key);
  EXPECT_EQ(found, keys);
  EXPECT_EQ(parsed[0]["value"], 1.25);
  EXPECT_EQ(parsed[0]["options"]["seed"], 4);
  EXPECT_EQ(parsed[1]["value"], "inf");
  EXPECT_EQ(parsed[1]["unit"], "%");
}

TEST(Rows, UnknownMetricThrows) {
  EXPECT_THROW(find_metric("speed"), std::invalid_argument);
}

}  // namespace table_test
}  // namespace fewwatt::benchmarks
