#include "benchmarks/drift.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "datasets/profile.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::benchmarks {
namespace drift_test {

const std::string kSuite = tests::source_dir() + "/benchmarks/suites/drift.ini";

// Small enough for a test.
DriftSuite small() {
  auto suite = read_drift_suite(kSuite);
  suite.grid = "coarse";
  suite.learners = {"gp"};
  suite.seeds = 1;
  suite.streams = 2;
  suite.measurements = 60;
  suite.hour_s = 600;
  suite.changes = 4;
  return suite;
}

TEST(DriftSuite, RefusesBadValues) {
  const auto text = tests::read_text(kSuite);
  const auto refused = [&](const std::string& line, const std::string& instead, const std::string& said) {
    const tests::TempDir dir;
    auto changed = text;
    const auto at = changed.find(line);
    ASSERT_NE(at, std::string::npos) << line;
    changed.replace(at, line.size(), instead);
    tests::write_text(dir / "s.ini", changed);
    try {
      read_drift_suite(dir / "s.ini");
      FAIL() << instead;
    } catch (const datasets::DataError& e) {
      EXPECT_NE(std::string(e.what()).find(said), std::string::npos) << e.what();
    }
  };
  refused("budgets = 17:50", "budgets = 50:17", "first:last");
  refused("learners = auto", "learners = physics", "no uncertainty");
  refused("learners = auto", "learners = maml", "unknown learner");
  refused("workloads = resnet18,", "workloads = resnet17,", "resnet18");
  refused("window_s = 5", "window_s = 0.5", "less than window_s");
  refused("seeds = 5", "seeds = 0", "seeds");
  refused("seeds = 5", "sedes = 5", "sedes");
  refused("changes = 20", "changes = 20\n[learner auto]\ntemper = 1", "expected [suite] alone");
}

TEST(RunDrift, GivesRowsThatDoNotDependOnThreads) {
  const auto suite = small();
  const auto one = run_drift(suite, {.threads = 1}), two = run_drift(suite, {.threads = 2});
  ASSERT_EQ(one.size(), two.size());
  EXPECT_EQ(one.size(), 2 * drift_kinds().size() + 1 + 4);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].metric, two[i].metric);
    EXPECT_EQ(one[i].value, two[i].value) << one[i].metric << ' ' << one[i].workload;
    if (one[i].metric == "govern_inside") {
      EXPECT_GE(one[i].value, 90);
    }
    if (one[i].metric == "govern_throughput") {
      EXPECT_GE(one[i].value, 40);  // a change each two minutes, and gp knows nothing of boards
      EXPECT_LE(one[i].value, 100);
    }
  }
}

TEST(BenchProgram, RunsASuiteOfKindDrift) {
  const tests::TempDir dir;
  auto text = tests::read_text(kSuite);
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"grid = powertrain", "grid = coarse"},
                                 {"learners = auto", "learners = gp"},
                                 {"streams = 8", "streams = 1"},
                                 {"measurements = 200", "measurements = 20"},
                                 {"hour_s = 3600", "hour_s = 100"},
                                 {"changes = 20", "changes = 2"}})
    text.replace(text.find(from), from.size(), to);
  tests::write_text(dir / "s.ini", text);
  const auto result =
      tests::run_program("bench", "--seeds 1 --suite " + (dir / "s.ini") + " --out " + (dir / "out"));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(tests::read_text(dir / "out/table.md").find("Throughput"), std::string::npos);
  EXPECT_NE(tests::read_text(dir / "out/rows.jsonl").find("drift_noticed"), std::string::npos);
  const auto refused =
      tests::run_program("bench", "--shots 5 --suite " + (dir / "s.ini") + " --out " + (dir / "out"));
  EXPECT_EQ(refused.code, 2);
}

}  // namespace drift_test
}  // namespace fewwatt::benchmarks
