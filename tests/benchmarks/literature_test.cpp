#include "benchmarks/literature.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/csv.hpp"
#include "tests/benchmarks/suite_text.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::benchmarks {
namespace literature_test {

using datasets::DataError;
using tests::TempDir;

const char* const kText =
    "[suite]\nname = papers\nkind = literature\n"
    "[experiment waves]\nsource = a paper\nlearner = alpaca\n"
    "options = steps=300 hidden=16 features=8 activation=tanh outer_rate=0.01\n"
    "meta_batch = 8\ntrain_support = 1, 8\ntrain_query = 8\nshots = 3, 6\ntest_tasks = 40\ntest_query = 10\n"
    "published = 0.5, 0.1\ntolerance = 0.4, 1\nfamily = sines\nunit_x = 3\n"
    "[experiment kinds]\nsource = another\nlearner = prototypes\noptions = steps=300 hidden=16 embedding=8 "
    "outer_rate=0.01\n"
    "meta_batch = 4\ntrain_support = 1\ntrain_query = 4\nshots = 1\ntest_tasks = 40\ntest_query = 4\n"
    "published = optimum\ntolerance = 0\nfamily = gaussian-classes\nways = 3\ndimensions = 12\ninformative = "
    "2\n";

std::string replaced(const std::string& what, const std::string& by) {
  return tests::replaced(kText, what, by);
}

LiteratureSuite suite_of(const std::string& text) {
  return tests::suite_from(text, read_literature_suite);
}

std::string refusal(const std::string& what, const std::string& by) {
  return tests::refusal_of(replaced(what, by), read_literature_suite);
}

TEST(SineSource, CurvesFillTheirRangesAndFewerSupportRowsChangeNoQuery) {
  const Sines family{.amplitude = {1, 2}, .frequency = {0.5, 1}, .x = {-2, 2}, .unit_x = 4};
  const auto few = SineSource(family, {2, 2, 6}, 1).draw(3, 0),
             many = SineSource(family, {5, 5, 6}, 1).draw(3, 0);
  EXPECT_EQ(few.query_x, many.query_x);
  EXPECT_EQ(few.query_y, many.query_y);
  EXPECT_EQ(few.support_x, many.support_x.topRows(2));
  EXPECT_NO_THROW(many.check());
  double widest = 0, highest = 0;
  for (const auto& episode : SineSource(family, {5, 5, 50}, 1).batch(0, 100)) {
    widest = std::max(widest, episode.query_x.cwiseAbs().maxCoeff());
    highest = std::max(highest, episode.query_y.cwiseAbs().maxCoeff());
  }
  EXPECT_GT(widest, 0.49);
  EXPECT_LE(widest, 0.5);
  EXPECT_GT(highest, 1.9);
  EXPECT_LE(highest, 2);
}

TEST(SineSource, SupportsOfAStepAreAlikeAndOfAllStepsNot) {
  const SineSource source({}, {1, 4, 2}, 1);
  std::set<Eigen::Index> seen;
  for (std::uint64_t step = 0; step < 50; ++step) {
    const auto batch = source.batch(step, 3);
    EXPECT_EQ(batch[0].support_x.rows(), batch[2].support_x.rows());
    seen.insert(batch[0].support_x.rows());
  }
  EXPECT_EQ(seen, (std::set<Eigen::Index>{1, 2, 3, 4}));
}

TEST(ClassSource, NoOneBeatsTheOptimum) {
  const ClassSource source({.ways = 4, .dimensions = 10, .informative = 2, .spread = 2}, {1, 1, 25}, 1);
  double optimum = 0, nearest_mean = 0;
  for (const auto& e : source.batch(0, 60)) {
    EXPECT_EQ(e.support_y, Matrix::Identity(4, 4));
    const Matrix scores = source.optimum(e);
    for (Eigen::Index row = 0; row < e.query_x.rows(); ++row) {
      Eigen::Index own = 0, found = 0, near = 0;
      e.query_y.row(row).maxCoeff(&own);
      scores.row(row).maxCoeff(&found);
      (e.support_x.rowwise() - e.query_x.row(row)).rowwise().squaredNorm().minCoeff(&near);
      optimum += found == own ? 1 : 0;
      nearest_mean += near == own ? 1 : 0;
    }
  }
  EXPECT_GT(optimum, 1.05 * nearest_mean);
  EXPECT_GT(optimum, 0.5 * 60 * 100);
}

TEST(LiteratureSuite, ShippedOneIsRead) {
  const std::string path = tests::source_dir() + "/benchmarks/suites/literature.ini";
  ASSERT_TRUE(is_literature_suite(path));
  EXPECT_FALSE(is_literature_suite(tests::source_dir() + "/benchmarks/suites/tx2-time.ini"));
  std::set<std::string> learners;
  for (const auto& experiment : read_literature_suite(path).experiments) learners.insert(experiment.learner);
  for (const char* learner : {"maml", "meta-sgd", "reptile", "alpaca", "dkt", "prototypes", "anil"})
    EXPECT_TRUE(learners.contains(learner)) << learner;
}

// A softmax in ANIL's classes, and ALPaCA's prior of the last layer.
TEST(LiteratureSuite, ShippedLearnersAreThoseOfThePapers) {
  for (const auto& experiment :
       read_literature_suite(tests::source_dir() + "/benchmarks/suites/literature.ini").experiments) {
    if (experiment.learner == "anil") {
      EXPECT_EQ(experiment.options.at("loss"), "cross-entropy");
    }
    if (experiment.learner == "alpaca") {
      EXPECT_EQ(experiment.options.at("prior"), "full");
    }
  }
}

TEST(LiteratureSuite, BadKeysAreNamed) {
  EXPECT_HAS(refusal("meta_batch = 8", "meta_bach = 8"), "meta_bach");
  EXPECT_HAS(refusal("learner = alpaca", "learner = alpaka"), "unknown learner 'alpaka', known are: maml");
  EXPECT_HAS(refusal("features=8", "inner_rate=8"), "alpaca has no option inner_rate; it has");
  EXPECT_HAS(refusal("features=8", "features=x"), "features must be");
  EXPECT_HAS(refusal("train_support = 1, 8", "train_support = 8, 1"), "the least and the most");
  EXPECT_HAS(refusal("published = 0.5, 0.1", "published = 0.5"), "2 numbers from 0");
  EXPECT_HAS(refusal("published = 0.5, 0.1", "published = optimum"), "only gaussian-classes");
  EXPECT_HAS(refusal("tolerance = 0.4, 1", "tolerance = 0.4, -1"), "2 numbers from 0");
  EXPECT_HAS(refusal("unit_x = 3", "ways = 3"), "no such key with family = sines");
  EXPECT_HAS(refusal("unit_x = 3", "amplitude = 3, 2"), "the lower one first");
  EXPECT_HAS(refusal("family = sines", "family = cosines"), "sines or gaussian-classes");
  EXPECT_HAS(refusal("features=8", "features=8 prior=wide"), "alpaca: prior must be one of diagonal, full");
  EXPECT_HAS(
      refusal("learner = alpaca\noptions = steps=300", "learner = r2d2\noptions = prior=full steps=300"),
      "r2d2 has no option prior");
  EXPECT_HAS(refusal("learner = alpaca\noptions = steps=300 hidden=16 features=8 activation=tanh",
                     "learner = anil\ntest_steps = 1\noptions = loss=cross-entropy"),
             "loss=cross-entropy needs family = gaussian-classes");
  EXPECT_HAS(refusal("learner = alpaca", "learner = prototypes"), "prototypes has no option features");
  EXPECT_HAS(refusal("learner = prototypes", "learner = dkt"), "sines with this learner");
  EXPECT_HAS(refusal("shots = 3, 6", "shots = 3, 6\ntest_steps = 1"), "no such key with this learner");
  EXPECT_HAS(refusal("test_tasks = 40", "test_tasks = 1"), "at least 2");
  EXPECT_HAS(refusal("[experiment kinds]", "[kinds]"), "expected [suite] or [experiment NAME]");
  EXPECT_THROW(suite_of("[suite]\nname = a\nkind = literature\n"), DataError);
}

TEST(Literature, FiguresAreMeasuredBesideWhatIsPublishedWhateverTheThreads) {
  const auto suite = suite_of(kText);
  const auto scores = run_literature(suite, {.threads = 2}), again = run_literature(suite, {.threads = 1});
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[0].experiment, "waves");
  EXPECT_EQ(scores[1].shots, 6u);
  EXPECT_LT(scores[1].error, scores[0].error);
  EXPECT_LT(scores[1].error, 2);  // a sine curve has a variance of about 4
  EXPECT_EQ(scores[1].published, 0.1);
  EXPECT_GT(scores[2].published, 1);                    // the optimum's errors, %
  EXPECT_GT(scores[2].error, scores[2].published - 3);  // luck of 40 tasks
  EXPECT_LT(scores[2].error, 50);                       // chance is 67
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(scores[i].error, again[i].error);
}

TEST(Literature, AnilLearnsToTellNewClassesApart) {
  const auto suite = suite_of(
      "[suite]\nname = papers\nkind = literature\n"
      "[experiment kinds]\nsource = a paper\nlearner = anil\n"
      "options = steps=400 hidden=16,8 inner_steps=3 inner_rate=0.3 outer_rate=0.01 loss=cross-entropy\n"
      "meta_batch = 4\ntrain_support = 5\ntrain_query = 5\nshots = 5\ntest_steps = 3\ntest_tasks = 60\n"
      "test_query = 5\npublished = optimum\ntolerance = 0\nfamily = gaussian-classes\nways = 3\ndimensions = "
      "12\n"
      "informative = 2\n");
  const auto score = run_literature(suite, {.threads = 1})[0];
  EXPECT_GT(score.error, score.published - 3);  // luck of 60 tasks
  EXPECT_LT(score.error, 40);                   // chance is 67
}

TEST(Literature, WhatIsNotWithinItsToleranceIsNamed) {
  const auto suite = suite_of(kText);
  std::vector<LiteratureScore> scores = {{"waves", "alpaca", 3, 0.7, 0.1, 0.5, 0.4, 1},
                                         {"kinds", "prototypes", 1, 30, 1, 20, 2, 1}};
  EXPECT_TRUE(scores[0].within());
  EXPECT_FALSE(scores[1].within());
  EXPECT_HAS(literature_markdown(suite, scores, {}), "Not within the tolerance: kinds, 1 shot.");
  EXPECT_HAS(literature_csv(scores), "kinds,prototypes,1,20,2,30,1,no\n");
  scores[1].error = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(scores[1].within());
  scores.resize(1);
  EXPECT_HAS(literature_markdown(suite, scores, {}), "Every figure is within its tolerance.");
}

TEST(Literature, ProgramWritesWhatTheRowsSayAndRefusesWhatTheSuiteHasNot) {
  const TempDir dir;
  std::string text = replaced("steps=300", "steps=3");
  tests::write_text(dir / "suite.ini", text);
  const std::string head = "--suite " + (dir / "suite.ini") + " --out " + (dir / "out");
  const auto result = tests::run_program("bench", head + " --learners waves");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto table = datasets::read_csv(dir / "out/table.csv");
  ASSERT_EQ(table.rows.size(), 2u);
  std::istringstream lines(tests::read_text(dir / "out/rows.jsonl"));
  std::size_t errors = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(row["learner"], "waves");
    if (row["metric"] != "error") continue;
    const double value = row["value"];
    EXPECT_NEAR(std::stod(table.rows[errors++][5]), value, 1e-5 * value);
  }
  EXPECT_EQ(errors, 2u);
  EXPECT_HAS(tests::read_text(dir / "out/table.md"), "| waves | alpaca | 3 |");
  const auto unknown = tests::run_program("bench", head + " --learners gp");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_HAS(unknown.err, "unknown experiment 'gp', known are: waves, kinds");
  EXPECT_EQ(tests::run_program("bench", head + " --shots 3").code, 2);
}

}  // namespace literature_test
}  // namespace fewwatt::benchmarks
