#include "benchmarks/sinusoid.hpp"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>
#include <sstream>
#include <tuple>

#include <gtest/gtest.h>

#include "datasets/csv.hpp"
#include "tests/benchmarks/suite_text.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::benchmarks {
namespace sinusoid_test {

using datasets::DataError;
using nlohmann::json;
using tests::TempDir;

const char* const kText =
    "[suite]\nname = sines\nkind = sinusoid\nlearners = random-init, pretrain, reptile, fomaml, maml, "
    "meta-sgd\n"
    "shots = 5\ntest_steps = 0, 1, 5\ntest_tasks = 60\ntrain_steps = 2500\nmeta_batch = 10\nhidden = 20, 20\n"
    "inner_steps = 1\ninner_rate = 0.01\nouter_rate = 0.01\n"
    "[reptile]\nhidden = 20, 20\ntrain_steps = 2000\nmeta_batch = 1\npoints = 50\ninner_batch = 10\n"
    "inner_steps = 5\ninner_rate = 0.02\nouter_rate = 0.2\n";

std::string replaced(const std::string& what, const std::string& by) {
  return tests::replaced(kText, what, by);
}

SinusoidSuite suite_of(const std::string& text) {
  return tests::suite_from(text, read_sinusoid_suite);
}

std::string refusal(const std::string& what, const std::string& by) {
  return tests::refusal_of(replaced(what, by), read_sinusoid_suite);
}

TEST(Sine, AmplitudesPhasesAndPointsFillTheirRanges) {
  double least[3] = {9, 9, 9}, most[3] = {-9, -9, -9};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    auto rng = hw::Rng::stream(1, "test", i);
    const auto task = SineTask::draw(Sine::draw(rng), rng, 5, 5);
    const double drawn[3] = {task.sine.amplitude, task.sine.phase, task.episode.support_x(0, 0)};
    for (int j = 0; j < 3; ++j) {
      least[j] = std::min(least[j], drawn[j]);
      most[j] = std::max(most[j], drawn[j]);
    }
    for (Eigen::Index row = 0; row < 5; ++row)
      EXPECT_DOUBLE_EQ(task.episode.query_y(row, 0),
                       task.sine.amplitude * std::sin(task.episode.query_x(row, 0) - task.sine.phase));
  }
  const double low[3] = {0.1, 0, -5}, high[3] = {5, std::numbers::pi, 5};
  for (int j = 0; j < 3; ++j) {
    EXPECT_GE(least[j], low[j]);
    EXPECT_LE(most[j], high[j]);
    EXPECT_LE(least[j], low[j] + 0.02 * (high[j] - low[j]));
    EXPECT_GE(most[j], high[j] - 0.02 * (high[j] - low[j]));
  }
}

TEST(SinusoidSuite, TestCurvesAreFixedBySeedAndFewerPointsAreTheFirstOfMore) {
  const auto suite = suite_of(replaced("test_tasks", "test_query = 7\ntest_tasks"));
  const auto few = suite.draw_test_tasks(3, 5), many = suite.draw_test_tasks(3, 10);
  ASSERT_EQ(few.size(), 60u);
  for (std::size_t i = 0; i < few.size(); ++i) {
    EXPECT_EQ(few[i].sine.phase, many[i].sine.phase);
    EXPECT_EQ(few[i].episode.query_x, many[i].episode.query_x);
    EXPECT_EQ(few[i].episode.query_x.rows(), 7);
    EXPECT_EQ(few[i].episode.support_x, many[i].episode.support_x.topRows(5));
  }
  EXPECT_NE(few[0].sine.phase, suite.draw_test_tasks(4, 5)[0].sine.phase);
}

TEST(SinusoidSuite, TestCurvesCoverAmplitudesAndPhasesEvenly) {
  const auto tasks = suite_of(kText).draw_test_tasks(0, 5);
  std::set<int> amplitudes, phases;
  for (const auto& task : tasks) {
    amplitudes.insert(static_cast<int>((task.sine.amplitude - 0.1) / 4.9 * 60));
    phases.insert(static_cast<int>(task.sine.phase / std::numbers::pi * 60));
  }
  EXPECT_EQ(amplitudes.size(), 60u);
  EXPECT_EQ(phases.size(), 60u);
}

TEST(SinusoidSuite, ShippedOneIsTheProtocolOfThePaper) {
  const std::string path = tests::source_dir() + "/benchmarks/suites/sinusoid.ini";
  ASSERT_TRUE(is_sinusoid_suite(path));
  EXPECT_FALSE(is_sinusoid_suite(tests::source_dir() + "/benchmarks/suites/tx2-time.ini"));
  const auto suite = read_sinusoid_suite(path);
  EXPECT_EQ(suite.hidden, (std::vector<int>{40, 40}));
  EXPECT_EQ(suite.test_tasks, 600u);
  EXPECT_EQ(suite.train_steps, 70000u);
  EXPECT_EQ(suite.meta_batch, 25u);
  EXPECT_EQ(suite.inner.steps, 1);
  EXPECT_EQ(suite.inner.rate, 0.01);
  EXPECT_EQ(suite.outer_rate, 0.001);
}

TEST(SinusoidSuite, BadKeysAreNamed) {
  EXPECT_HAS(refusal("hidden = 20, 20\ninner", "hiden = 20, 20\ninner"), "hiden");
  EXPECT_HAS(refusal("inner_rate = 0.01", "inner_rate = 0"),
             "[suite]: inner_rate: expected a number above 0");
  EXPECT_HAS(refusal("meta_batch = 10\n", "meta_batch = 10\nclip_norm = 0\n"),
             "clip_norm: expected a number");
  EXPECT_HAS(refusal("inner_rate = 0.02", "inner_rate = -1"), "[reptile]: inner_rate");
  EXPECT_HAS(refusal("test_steps = 0, 1, 5", "test_steps = 5, 1"), "ascending whole numbers from 0");
  EXPECT_HAS(refusal("hidden = 20, 20", "hidden = 20, x"), "sizes of layers");
  EXPECT_HAS(refusal("train_steps = 2500", "train_steps = none"), "train_steps");
  EXPECT_HAS(refusal("meta_batch = 10\n", ""), "meta_batch");
  EXPECT_HAS(refusal("test_tasks = 60", "test_tasks = 1"), "at least 2");
  EXPECT_HAS(refusal("fomaml", "mamal"), "unknown learner 'mamal', known are: random-init");
  EXPECT_HAS(refusal("[reptile]", "[reptil]"), "expected [suite] or [reptile]");
  const std::string text = kText;
  const auto suite = text.substr(0, text.find("[reptile]"));
  EXPECT_THROW(suite_of(suite), DataError);
}

TEST(Sinusoid, ShortTrainingBeatsNoneAndPoolingDoesNot) {
  const auto suite = suite_of(kText);
  std::map<std::string, double> error;
  const auto scores = run_sinusoid(suite, {.threads = 2});
  for (const auto& score : scores) {
    ASSERT_EQ(score.after.size(), 3u);
    for (const auto& at : score.after) {
      EXPECT_EQ(at.task_losses.size(), 60u);
      EXPECT_GT(at.ci95, 0);
    }
    // Reptile learns to go on; a rate of meta-sgd is good for the one step that it was trained for.
    error[score.learner] = score.after[score.learner == "reptile" ? 2 : 1].mean;
  }
  for (const char* learner : {"maml", "fomaml", "meta-sgd", "reptile"})
    EXPECT_LT(error[learner], 0.7 * error["random-init"]) << learner;
  for (const char* learner : {"maml", "fomaml", "meta-sgd"})
    EXPECT_LT(error[learner], 0.8 * error["pretrain"]) << learner;

  const auto again = run_sinusoid(suite, {.threads = 1});
  for (std::size_t i = 0; i < scores.size(); ++i)
    for (std::size_t a = 0; a < 3; ++a)
      EXPECT_EQ(scores[i].after[a].task_losses, again[i].after[a].task_losses) << scores[i].learner;
}

TEST(Sinusoid, ClippedGradientsAreScaledToTheNormAndShorterOnesLeft) {
  const std::string tiny = replaced("train_steps = 2500", "train_steps = 3");
  const auto trained = [&](const char* clip) {
    auto text = tiny;
    text.replace(text.find("reptile, "), 9, "");
    text.insert(text.find("inner_steps"), clip);
    std::vector<std::vector<double>> losses;
    for (const auto& score : run_sinusoid(suite_of(text), {.threads = 1}))
      losses.push_back(score.after[1].task_losses);
    return losses;
  };
  const auto free = trained(""), wide = trained("clip_norm = 1e9\n"), tight = trained("clip_norm = 1e-9\n");
  EXPECT_EQ(free, wide);
  EXPECT_EQ(free[0], tight[0]);  // random-init
  EXPECT_NE(free[3], tight[3]);  // maml: Adam's eps is larger than such a gradient
}

TEST(Sinusoid, DivergingTrainingNamesLearnerPointsAndStep) {
  const auto suite =
      suite_of(replaced("inner_rate = 0.01\nouter_rate = 0.01", "inner_rate = 0.01\nouter_rate = 1e30"));
  try {
    run_sinusoid(suite, {.threads = 1});
    ADD_FAILURE() << "must throw";
  } catch (const std::runtime_error& e) {
    EXPECT_HAS(std::string(e.what()), "5 points: pretrain: the loss is not finite in step ");
  }
}

TEST(Sinusoid, ProgramWritesWhatTheRowsSay) {
  const TempDir dir;
  std::string text = replaced("train_steps = 2500", "train_steps = 3");
  text.replace(text.find("train_steps = 2000"), 18, "train_steps = 3");
  tests::write_text(dir / "suite.ini", text);
  const auto result = tests::run_program(
      "bench", "--suite " + (dir / "suite.ini") + " --out " + (dir / "out") + " --learners maml,random-init");
  ASSERT_EQ(result.code, 0) << result.err;
  std::map<std::tuple<std::string, std::string, std::string>, double> values;
  std::istringstream lines(tests::read_text(dir / "out/rows.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = json::parse(line);
    for (const char* key : {"suite", "device", "workload", "learner", "sampler", "shots", "seed", "metric",
                            "value", "unit", "seconds", "options", "git", "host", "cpu"})
      EXPECT_TRUE(row.contains(key)) << key;
    if (row["metric"] == "train_seconds") continue;
    values[{row["learner"], std::to_string(row["options"]["steps"].get<int>()), row["metric"]}] =
        row["value"];
  }
  EXPECT_EQ(values.size(), 2u * 3 * 3);
  const auto table = datasets::read_csv(dir / "out/table.csv");
  ASSERT_EQ(table.rows.size(), 6u);
  for (const auto& row : table.rows) {
    const char* const metrics[] = {"query_mse", "query_mse_ci95", "query_mse_median"};
    for (std::size_t m = 0; m < 3; ++m) {
      const double value = values.at({row[1], row[2], metrics[m]});
      EXPECT_NEAR(std::stod(row[3 + m]), value, 1e-5 * value);
    }
  }
  EXPECT_HAS(tests::read_text(dir / "out/table.md"), "| learner | 0 steps | median | 1 step | median |");
  const auto page = tests::read_text(dir / "out/report.html");
  EXPECT_HAS(page, "\"kind\":\"figures\"");
  EXPECT_EQ(page.find(" src="), std::string::npos);
}

TEST(Sinusoid, ProgramRefusesWhatTheSuiteHasNot) {
  const TempDir dir;
  tests::write_text(dir / "suite.ini", kText);
  const std::string head = "--suite " + (dir / "suite.ini") + " --out " + (dir / "out");
  const auto unknown = tests::run_program("bench", head + " --learners gp");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_HAS(unknown.err, "--learners: unknown learner 'gp', known are: random-init");
  const auto seeds = tests::run_program("bench", head + " --seeds 3");
  EXPECT_EQ(seeds.code, 2);
  EXPECT_HAS(seeds.err, "--seeds");
}

}  // namespace sinusoid_test
}  // namespace fewwatt::benchmarks
