#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "benchmarks/report.hpp"
#include "benchmarks/runner.hpp"
#include "tests/benchmarks/made_up.hpp"

namespace fewwatt::benchmarks {
namespace training_test {

using tests::TempDir;

// One split of the made-up workloads, alpha held out, one draw of 5 modes; a few steps of training.
struct SmallSuite {
  TableSuite suite;
  datasets::ProfileStore store;
};

SmallSuite small_suite(const std::vector<std::string>& learners) {
  const TempDir dir;
  TableSuite suite = read_table_suite(tests::write_made_up_suite(dir));
  suite.splits.resize(1);
  suite.shots = {5};
  suite.seeds = 1;
  suite.train_steps = 4;
  suite.learners = learners;
  auto store = load_profiles(suite, dir / "data");
  return {std::move(suite), std::move(store)};
}

// Values but clocks by learner and metric.
std::map<std::tuple<std::string, std::string>, double> values_of(const Result& result) {
  std::map<std::tuple<std::string, std::string>, double> values;
  for (const auto& row : result.rows)
    if (find_metric(row.metric).unit != "s") values[{row.learner, row.metric}] = row.value;
  return values;
}

std::vector<std::string> trained_here(const Result& result) {
  std::vector<std::string> names;
  for (const auto& row : result.rows) {
    if (row.metric != "train_seconds") continue;
    names.push_back(row.learner);
    EXPECT_EQ(row.shots, 0u);
    EXPECT_EQ(row.sampler, "none");
    EXPECT_GT(row.value, 0);
  }
  return names;
}

TEST(Report, AWorkloadWithoutPowerHasNoPictureOfIt) {
  auto [suite, store] = small_suite({"gp"});
  for (auto& profile : store.profiles)
    for (auto& measurement : profile.measurements) measurement.power_w = std::nan("");
  const auto result = run_tables(suite, store, {});
  const auto tables = make_tables(result.rows);
  const auto html = to_html(suite, suite.learners, tables, result, {});
  EXPECT_NE(html.find(": time from 5 modes"), std::string::npos);
  EXPECT_EQ(html.find(": power from 5 modes"), std::string::npos);
}

TEST(Training, CombinationsAndCalibrationAreSummedOverDraws) {
  auto [suite, store] = small_suite({"physics", "gp", "auto"});
  suite.seeds = 3;
  const auto result = run_tables(suite, store, {});
  const std::size_t unmeasured = 3 * (store.profiles[0].modes.size() - 5);
  ASSERT_EQ(result.calibrations.size(), 4u);  // of gp and auto, time and power
  for (const auto& calibration : result.calibrations) {
    EXPECT_NE(calibration.learner, "physics");
    EXPECT_EQ(calibration.inside.back(), unmeasured);
    EXPECT_TRUE(std::is_sorted(calibration.inside.begin(), calibration.inside.end()));
  }
  ASSERT_EQ(result.combinations.size(), 1u);
  EXPECT_EQ(result.combinations[0].workload, "alpha");
  for (int t = 0; t < 2; ++t) {
    double sum = 0;
    for (const auto& chosen : result.combinations[0].chosen) sum += chosen.weights[t];
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(Training, HappensOncePerLearnerAndRandomInitStartsFromTheCheckpointOfMaml) {
  const auto [suite, store] = small_suite({"transfer", "random-init", "maml"});
  const auto together = run_tables(suite, store, {.threads = 1});
  EXPECT_EQ(trained_here(together), (std::vector<std::string>{"transfer", "maml"}));
  const auto values = values_of(together);
  for (const std::string learner : {"transfer", "random-init", "maml"})
    for (const std::string metric : {"time_mape", "power_mape", "strict_regret", "violations"})
      EXPECT_TRUE(values.contains({learner, metric})) << learner << ' ' << metric;
  EXPECT_NE(values.at({"maml", "time_mape"}), values.at({"random-init", "time_mape"}));

  auto alone = suite;
  alone.learners = {"random-init"};
  const auto trained = run_tables(alone, store, {.threads = 1});
  EXPECT_EQ(trained_here(trained), (std::vector<std::string>{"random-init"}));
  for (const auto& [key, value] : values_of(trained)) EXPECT_EQ(values.at(key), value) << std::get<1>(key);
}

TEST(Training, MayBeOnASimulatedPopulationTooOrAlone) {
  auto [suite, store] = small_suite({"proto", "proto+sim", "proto-shuffled+sim", "proto-sim"});
  suite.population = 3;
  const auto together = run_tables(suite, store, {.threads = 2});
  EXPECT_EQ(trained_here(together), (std::vector<std::string>{"proto", "proto+sim", "proto-sim"}));
  const auto values = values_of(together);
  std::set<double> errors;
  for (const auto& learner : suite.learners) errors.insert(values.at({learner, "time_mape"}));
  EXPECT_EQ(errors.size(), suite.learners.size());

  // Alone is alone: what the profiles trained on hold does not matter.
  for (auto& profile : store.profiles)
    if (profile.workload != "alpha")
      for (auto& measurement : profile.measurements) measurement.time_ms *= 1 + measurement.power_w;
  suite.learners = {"proto+sim", "proto-sim"};
  const auto changed = values_of(run_tables(suite, store, {.threads = 2}));
  EXPECT_EQ(changed.at({"proto-sim", "time_mape"}), values.at({"proto-sim", "time_mape"}));
  EXPECT_NE(changed.at({"proto+sim", "time_mape"}), values.at({"proto+sim", "time_mape"}));
}

TEST(Training, MayBeOnFewerWorkloadsAndModesAndGoOn) {
  auto [suite, store] = small_suite({"ridge:1+1", "ridge", "ridge:1", "ridge:2", "ridge:2x20"});
  const auto values = values_of(run_tables(suite, store, {.threads = 2}));
  EXPECT_EQ(values, values_of(run_tables(suite, store, {.threads = 1})));
  const auto error = [&](const std::string& name) { return values.at({name, "time_mape"}); };
  EXPECT_EQ(error("ridge:2"), error("ridge"));  // there are two
  std::set<double> errors;
  for (const auto& learner : suite.learners) errors.insert(error(learner));
  EXPECT_EQ(errors.size(), suite.learners.size() - 1);

  suite.learners = {"ridge:3"};
  EXPECT_THROW(run_tables(suite, store, {}), std::runtime_error);
}

TEST(Training, DoesNotDependOnTheNumberOfThreads) {
  const auto [suite, store] = small_suite({"transfer", "maml", "random-init"});
  const auto one = run_tables(suite, store, {.threads = 1}), two = run_tables(suite, store, {.threads = 2});
  EXPECT_EQ(one.threads, 1u);
  EXPECT_EQ(two.threads, 2u);
  EXPECT_EQ(values_of(one), values_of(two));
}

// The store with alpha's values changed in the rows that `change` picks.
template <class Change>
datasets::ProfileStore corrupted(datasets::ProfileStore store, Change change) {
  for (auto& profile : store.profiles) {
    if (profile.workload != "alpha") continue;
    for (std::size_t i = 0; i < profile.measurements.size(); ++i) {
      if (!change(i)) continue;
      profile.measurements[i].time_ms *= 1.5 + 0.1 * static_cast<double>(i % 7);
      profile.measurements[i].power_w *= 2.5 - 0.1 * static_cast<double>(i % 5);
    }
  }
  return store;
}

TEST(HeldOutWorkload, IsKnownToLearnersByItsMeasuredModesAlone) {
  const auto [suite, store] =
      small_suite({"gp", "physics", "scratch-log", "transfer", "maml", "random-init"});
  const auto before = run_tables(suite, store, {}).showcases;
  ASSERT_EQ(before.size(), suite.learners.size());
  const auto support = before.front().support;
  ASSERT_EQ(support.size(), 5u);
  const auto measured = [&](std::size_t i) {
    return std::find(support.begin(), support.end(), i) != support.end();
  };

  const auto others = run_tables(suite, corrupted(store, std::not_fn(measured)), {}).showcases;
  const auto measured_ones = run_tables(suite, corrupted(store, measured), {}).showcases;
  for (std::size_t i = 0; i < before.size(); ++i) {
    SCOPED_TRACE(before[i].learner);
    ASSERT_EQ(before[i].workload, "alpha");
    ASSERT_EQ(others[i].support, support);
    EXPECT_NE(others[i].measured, before[i].measured);
    EXPECT_TRUE(before[i].predicted.allFinite());
    EXPECT_EQ(others[i].predicted, before[i].predicted);
    EXPECT_NE(measured_ones[i].predicted, before[i].predicted);  // a change that matters is seen
  }
}

}  // namespace training_test
}  // namespace fewwatt::benchmarks
