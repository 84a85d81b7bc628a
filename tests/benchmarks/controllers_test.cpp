#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "benchmarks/controllers/controller_suite.hpp"
#include "benchmarks/controllers/knowing.hpp"
#include "benchmarks/controllers/run.hpp"
#include "benchmarks/controllers/score.hpp"
#include "benchmarks/figures.hpp"
#include "benchmarks/metrics.hpp"
#include "benchmarks/suite.hpp"
#include "benchmarks/table.hpp"
#include "tests/benchmarks/made_up.hpp"
#include "tests/benchmarks/suite_text.hpp"

namespace fewwatt::benchmarks {
namespace controllers_test {

using tests::replaced;
using tests::TempDir;

const std::string kAgent =
    "[agent ppo]\nupdates = 2\nhidden = 4\nenvironments = 2\nsteps = 4\ncandidates = 6\n";
// Small enough for a test.
const std::string kFind =
    "[suite]\nname = tiny\nkind = controllers\ntask = find\nsimulate = orin-agx-64\ngrid = coarse\n"
    "workloads = resnet18, lstm\nbudgets = 17:50\nmeasurements = 4, 6\nseeds = 2\nlearner = gp\n"
    "module = orin-agx-64\ncontestants = oracle, highest, highest+shield, ppo, ppo+shield, best-measured\n"
    "boards = 3\npopulation = 4\ntrain_measurements = 4\ncandidates = 20\n" +
    kAgent;
const std::string kRun =
    "[suite]\nname = tiny-run\nkind = controllers\ntask = run\nsimulate = orin-agx-64\ngrid = coarse\n"
    "workloads = resnet18, lstm\nbudgets = 17:50\nmeasurements = 20\nchanges = 4\nseeds = 2\nlearner = gp\n"
    "module = orin-agx-64\ncontestants = oracle, lowest, highest, presets, ppo\n"
    "boards = 2\npopulation = 3\ntrain_measurements = 5\ntrain_changes = 2\ncandidates = 20\n" +
    kAgent;

ControllerSuite suite_of(const std::string& text) {
  return tests::suite_from(text, [](const std::string& path) { return read_controller_suite(path); });
}

std::vector<Row> rows_of(const ControllerSuite& suite, RunOptions options = {.seed = 1, .threads = 1}) {
  return run_controllers(suite, {}, options).rows;
}

// The values of a metric that a contestant has.
std::vector<double> values_of(const std::vector<Row>& rows, const std::string& contestant,
                              const std::string& metric) {
  std::vector<double> values;
  for (const auto& row : rows)
    if (row.learner == contestant && row.metric == metric) values.push_back(row.value);
  EXPECT_FALSE(values.empty()) << contestant << ' ' << metric;
  return values;
}

double sum_of(const std::vector<Row>& rows, const std::string& contestant, const std::string& metric) {
  double sum = 0;
  for (const double value : values_of(rows, contestant, metric)) sum += value;
  return sum;
}

// All that does not depend on a clock.
std::vector<std::string> without_clocks(const std::vector<Row>& rows) {
  std::vector<std::string> all;
  for (const auto& row : rows)
    if (row.metric != "decisions_per_second" && row.metric != "train_seconds")
      all.push_back(row.learner + ' ' + row.metric + ' ' + std::to_string(row.shots) + ' ' +
                    std::to_string(row.seed) + ' ' + std::to_string(row.value));
  return all;
}

TEST(ControllerSuites, FindHasTheSameRowsWithAnyThreadsAndAnotherSeedOthers) {
  const auto suite = suite_of(kFind);
  const auto rows = rows_of(suite);
  EXPECT_EQ(without_clocks(rows), without_clocks(rows_of(suite, {.seed = 1, .threads = 3})));
  EXPECT_NE(without_clocks(rows), without_clocks(rows_of(suite, {.seed = 2, .threads = 3})));
  for (const auto& row : rows) EXPECT_NO_THROW(find_metric(row.metric)) << row.metric;

  // Who knows all is never wrong, and who takes the highest mode breaks the budgets that count.
  for (const double regret : values_of(rows, "oracle", "find_regret")) EXPECT_EQ(regret, 0);
  for (const double inside : values_of(rows, "oracle", "find_inside")) EXPECT_EQ(inside, 100);
  EXPECT_EQ(sum_of(rows, "oracle", "over_steps"), 0);
  EXPECT_GE(sum_of(rows, "highest", "over_steps"), 200);  // of 4 episodes
  EXPECT_GT(sum_of(rows, "highest", "over_watt_steps"), 0);
  for (const auto& contestant : {"highest", "ppo"}) {
    const std::string name = contestant;
    EXPECT_LE(sum_of(rows, name + "+shield", "over_steps"), sum_of(rows, name, "over_steps")) << name;
  }
  EXPECT_LT(sum_of(rows, "highest+shield", "over_steps"), sum_of(rows, "highest", "over_steps"));
  for (const double reward : values_of(rows, "ppo", "episode_reward")) EXPECT_GE(reward, 0);
  // A figure for each episode and length; training is once for both forms of the agent.
  EXPECT_EQ(values_of(rows, "best-measured", "find_regret").size(), 4U);
  EXPECT_EQ(values_of(rows, "ppo", "train_steps"), values_of(rows, "ppo+shield", "train_steps"));
  EXPECT_EQ(values_of(rows, "ppo", "train_steps"), std::vector<double>{16});  // 2 updates, 2 x 4 steps
}

TEST(ControllerSuites, RunMeasuresEveryoneByTheOracle) {
  const auto suite = suite_of(kRun);
  const auto rows = rows_of(suite);
  EXPECT_EQ(without_clocks(rows), without_clocks(rows_of(suite, {.seed = 1, .threads = 3})));
  for (const auto& metric : {"run_inside", "run_throughput"})
    for (const double value : values_of(rows, "oracle", metric)) EXPECT_DOUBLE_EQ(value, 100) << metric;
  EXPECT_EQ(sum_of(rows, "oracle", "run_longest_over"), 0);
  for (const auto& contestant : {"lowest", "highest", "presets", "ppo"})
    for (const double value : values_of(rows, contestant, "run_throughput")) {
      EXPECT_GT(value, 0) << contestant;
      EXPECT_LE(value, 100) << contestant;
    }
  EXPECT_LT(sum_of(rows, "lowest", "run_throughput"), 200);
  EXPECT_LE(sum_of(rows, "highest", "run_inside"), sum_of(rows, "lowest", "run_inside"));
  EXPECT_GE(sum_of(rows, "highest", "run_longest_over"), sum_of(rows, "lowest", "run_longest_over"));
}

TEST(ControllerSuites, AMoveCostsItsShareOfAStep) {
  const auto text =
      replaced(replaced(kRun, "contestants = oracle, lowest, highest, presets, ppo", "contestants = oracle"),
               kAgent, "");
  const auto costly = suite_of(replaced(text, "changes = 4", "changes = 4\nswitch_share = 0.5"));
  // The oracle is always inside, and moves when the budget or the workload changes.
  EXPECT_DOUBLE_EQ(sum_of(rows_of(suite_of(text)), "oracle", "run_throughput"), 200);
  EXPECT_LT(sum_of(rows_of(costly), "oracle", "run_throughput"), 200);
}

TEST(ControllerSuites, AnAgentThatIsTrainedAloneHasItsMeasurements) {
  auto text = replaced(kFind, "contestants = oracle, highest, highest+shield, ppo, ppo+shield, best-measured",
                       "contestants = ppo-alone\nalone_measurements = 25");
  text = replaced(text, "[agent ppo]\nupdates = 2", "[agent ppo-alone]\nupdates = 9");
  const auto rows = rows_of(suite_of(replaced(text, "measurements = 4, 6", "measurements = 4")));
  const auto steps = values_of(rows, "ppo-alone", "train_steps");
  ASSERT_EQ(steps.size(), 2U);
  for (const double one : steps) {
    EXPECT_GE(one, 25);
    EXPECT_LE(one, 25 + 2 * 4 + 4);  // one update more, and the episodes that it ended
  }
}

TEST(ControllerSuites, MamlAdaptsInEpisodesOfItsOwn) {
  auto text = replaced(kFind, "contestants = oracle, highest, highest+shield, ppo, ppo+shield, best-measured",
                       "contestants = maml-policy, maml-policy-adapted");
  text = replaced(text, "[agent ppo]\nupdates = 2\nhidden = 4\nenvironments = 2\nsteps = 4\n",
                  "[agent maml-policy]\nupdates = 2\nhidden = 4\nenvironments = 2\nepisodes = 3\n"
                  "inner_rate = 10\n");
  const auto rows = rows_of(suite_of(replaced(text, "measurements = 4, 6", "measurements = 4")));
  std::vector<double> own;
  for (const auto& row : rows)
    if (row.learner == "maml-policy-adapted" && row.metric == "train_steps" && row.shots == 4)
      own.push_back(row.value);
  EXPECT_EQ(own, (std::vector<double>{12, 12}));  // 3 episodes of 4 measurements before each of 2
  EXPECT_EQ(values_of(rows, "maml-policy", "train_steps").size(), 1U);
}

TEST(ControllerSuites, ReplayProfilesAndLeaveOneWorkloadOut) {
  const TempDir dir;
  tests::write_made_up_data(dir);
  tests::write_text(dir / "suite.ini",
                    "[suite]\nname = replays\nkind = controllers\ntask = find\nmapping = mapping.ini\n"
                    "inputs = profiles\nmeasurements = 4\nseeds = 2\nlearner = gp\n"
                    "contestants = oracle, ppo, bisection\n" +
                        kAgent);
  const auto suite = read_suite(dir / "suite.ini");
  EXPECT_TRUE(suite->needs_data());
  const auto outputs = suite->run({.seed = 1, .threads = 2, .data_root = dir / "data"}, {});
  EXPECT_HAS(outputs.rows, "\"device\":\"toy\"");
  for (const std::string workload : {"alpha", "beta", "gamma"})
    EXPECT_HAS(outputs.rows, "\"split\":\"" + workload + '"');
  EXPECT_HAS(outputs.markdown, "find_regret");
  EXPECT_HAS(outputs.html, "What they visited");
  EXPECT_HAS(outputs.html, "\"title\":\"bisection\"");
  EXPECT_HAS(outputs.csv, "decisions_per_second");
}

TEST(ControllerSuites, RegretHasALogarithmicAxisOnWhichZeroHasAPlace) {
  std::vector<Row> rows;
  for (const auto& [learner, value] : {std::pair("oracle", 0.0), std::pair("lowest", 60.0)}) {
    Row row;
    row.device = "toy";
    row.workload = "alpha";
    row.learner = learner;
    row.sampler = "own";
    row.metric = "find_regret";
    row.shots = 4;
    row.value = value;
    rows.push_back(row);
  }
  const auto tables = make_tables(rows);
  ASSERT_EQ(tables.size(), 1U);
  const auto drawn = [&](const figures::Scale& scale) {
    return figures::against_shots(tables[0], tables, scale, [](const auto&) { return 0; }).dump();
  };
  const auto log = drawn({.log = true, .floor = 0.01});
  EXPECT_HAS(log, "\"isLog\":true");
  EXPECT_HAS(log, "less than 0.010 is at 0.010");
  EXPECT_HAS(log, "\"y\":[0.01]");
  EXPECT_HAS(log, "\"y\":[60.0]");
  EXPECT_EQ(drawn({.log = true}).find("oracle"), std::string::npos);
  EXPECT_HAS(drawn({}), "\"y\":[0.0]");
}

TEST(ControllerSuites, PresetsOfAnotherBoardThanTheProfilesAreRefused) {
  const TempDir dir;
  tests::write_made_up_data(dir);
  const auto mapping = dir / "mapping.ini";
  tests::write_text(mapping, replaced(tests::read_text(mapping), "device = toy", "device = tx2"));
  tests::write_text(dir / "suite.ini",
                    "[suite]\nname = replays\nkind = controllers\ntask = find\nmapping = mapping.ini\n"
                    "inputs = profiles\nmeasurements = 4\nseeds = 1\nlearner = gp\nmodule = xavier-agx\n"
                    "contestants = oracle, presets\n");
  try {
    read_suite(dir / "suite.ini")->run({.seed = 1, .threads = 1, .data_root = dir / "data"}, {});
    ADD_FAILURE() << "accepted";
  } catch (const datasets::DataError& e) {
    EXPECT_HAS(std::string(e.what()), "module: expected tx2, the board of the suite, found xavier-agx");
  }
}

TEST(ControllerSuites, KeysCanBeSetAnew) {
  tests::suite_from(kFind, [](const std::string& path) {
    const auto suite = read_suite(path);
    for (const auto& key : suite->keys()) {
      if (key.name == "learners") {
        key.set("highest, lowest");
        EXPECT_THROW(key.set("nobody"), std::invalid_argument);
      }
      if (key.name == "measured") {
        key.set("3");
        EXPECT_THROW(key.set("1"), std::invalid_argument);
      }
      if (key.name == "seeds") key.set("1");
    }
    const auto outputs = suite->run({.seed = 1, .threads = 1}, {});
    EXPECT_HAS(outputs.rows, "\"learner\":\"lowest\"");
    EXPECT_EQ(outputs.rows.find("oracle"), std::string::npos);
    EXPECT_EQ(outputs.rows.find("\"shots\":4"), std::string::npos);
    return 0;
  });
}

TEST(ControllerSuites, BadKeysAreNamed) {
  const auto refused = [](const std::string& text, const std::string& what, const std::string& by,
                          const std::string& said) {
    const auto found = tests::refusal_of(replaced(text, what, by),
                                         [](const std::string& path) { return read_controller_suite(path); });
    EXPECT_HAS(found, "suite.ini: [");
    EXPECT_HAS(found, said);
  };
  refused(kFind, "task = find", "task = fnd", "[suite]: task: expected find or run, found 'fnd'");
  refused(kFind, "= 4, 6", "= 1", "[suite]: measurements: expected numbers from 2");
  refused(kRun, "measurements = 20", "measurements = 20, 30", "[suite]: measurements: expected one number");
  refused(kFind, "seeds = 2", "seeds = 0", "[suite]: seeds");
  refused(kFind, "seeds = 2", "sedes = 2", "sedes");
  refused(kFind, "seeds = 2", "seeds = 2\nlambda = -1", "[suite]: lambda: expected a number in");
  refused(kFind, "seeds = 2", "seeds = 2\nshield = 1", "[suite]: shield: expected a number in");
  refused(kFind, "seeds = 2", "seeds = 2\nchanges = 3", "[suite]: changes: only with task = run");
  refused(kFind, "seeds = 2", "seeds = 2\ninputs = some", "[suite]: inputs: a suite with simulate has none");
  refused(kFind, "budgets = 17:50", "budgets = 50:17", "[suite]: budgets: expected first:last");
  refused(kFind, "learner = gp", "learner = physics", "[suite]: learner: learner physics needs");
  refused(kFind, "grid = coarse", "grid = course", "[suite]: simulate");
  refused(kFind, "resnet18, lstm", "resnet17, lstm", "[suite]: workloads");
  refused(kFind, "module = orin-agx-64", "module = orin", "[suite]: module");
  refused(kFind, "module = orin-agx-64", "module = tx2",
          "[suite]: module: expected orin-agx-64, the board of the suite, found tx2");
  refused(kFind, "[agent ppo]", "[agent pop]", "[agent pop]: unknown agent pop");
  refused(kFind, "updates = 2", "updatse = 2", "[agent ppo]: ppo has no option updatse");
  refused(kFind, "hidden = 4", "rate = -1", "[agent ppo]: ppo: rate must be");
  refused(kFind, "hidden = 4", "actions = walk", "[agent ppo]: actions: expected jump or move");
  refused(kFind, "candidates = 6", "shielded = yes", "[agent ppo]: shielded: expected true or false");
  refused(kFind, "candidates = 6", "candidates = 100001", "[agent ppo]: candidates: expected at most 100000");
  refused(kFind, kAgent, kAgent + replaced(kAgent, "agent ppo", "agent  ppo"),
          "there is a section of that agent already");
  refused(kFind, "[agent ppo]", "[agent dqn]\nupdates = 3\n[agent ppo]",
          "contestants: none is dqn, which has the section [agent dqn]");
  refused(kFind, "[agent ppo]", "[learner ppo]", "[learner ppo]: expected [suite] or [agent NAME]");
  refused(kFind, "boards = 3\n", "", "[suite]: contestants: ppo needs keys boards and population");
  refused(kRun, "module = orin-agx-64\n", "", "[suite]: contestants: presets needs a key module");
  const auto contestant = [&](const std::string& text, const std::string& name, const std::string& said) {
    refused(text, "contestants = oracle", "contestants = " + name, "[suite]: contestants: " + said);
  };
  contestant(kFind, "nobody", "unknown contestant 'nobody'");
  contestant(kFind, "ppo-alone", "ppo-alone needs a key alone_measurements");
  contestant(kFind, "random-alone", "random-alone: only agents are trained alone");
  contestant(kFind, "ppo-adapted", "ppo-adapted: only maml-policy adapts");
  contestant(kRun, "maml-policy-adapted", "maml-policy-adapted is only for task = find");
  contestant(kFind, "presets+shield", "presets+shield: presets needs no shield");
  contestant(kRun, "best-measured", "best-measured is only for task = find");
  contestant(kRun, "ppo-alone", "ppo-alone is only for task = find");
}

// ---- scores ----

// Measures these modes, and recommends one.
class Scripted final : public learners::Controller {
 public:
  Scripted(std::vector<hw::PowerMode> modes, std::optional<hw::PowerMode> answer)
      : modes_(std::move(modes)), answer_(answer) {}
  std::optional<hw::PowerMode> next(const learners::Context&) override {
    return at_ < modes_.size() ? std::optional(modes_[at_++]) : std::nullopt;
  }
  void tell(const hw::PowerMode&, const hw::Measurement&) override {}
  std::optional<learners::Answer> answer() override {
    if (!answer_) return std::nullopt;
    return learners::Answer{*answer_, 1, 1, 1, true};
  }

 private:
  std::vector<hw::PowerMode> modes_;
  std::optional<hw::PowerMode> answer_;
  std::size_t at_ = 0;
};

// Three modes: 10 ms and 5 W, 5 ms and 10 W, 2 ms and 20 W.
std::unique_ptr<tasks::World> three_modes(double budget_w) {
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "net";
  profile.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {100, 200, 500}}}));
  profile.modes = profile.space->modes();
  profile.measurements = {{10, 5}, {5, 10}, {2, 20}};
  auto world = std::make_unique<tasks::ReplayWorld>(
      profile, tasks::ReplayOptions{.budget_w = budget_w, .noise = 0.5, .measured_noise = false});
  world->reset(1);
  return world;
}

ControlScore score(std::vector<hw::PowerMode> modes, std::optional<hw::PowerMode> answer,
                   const tasks::ModeMdpOptions& options, double budget_w = 12) {
  Scripted controller(std::move(modes), answer);
  const auto world = three_modes(budget_w);
  return score_controller(controller, *world, options);
}

TEST(ControlScore, OfFindIsByTheTruth) {
  const hw::PowerMode low{100}, middle{200}, high{500};
  const tasks::ModeMdpOptions options{.lambda = 10, .measurements = 3};
  const auto found = score({low, high, middle}, middle, options);
  EXPECT_EQ(found.visits.size(), 3U);
  EXPECT_EQ(found.over, 1U);
  EXPECT_EQ(found.longest_over, 1U);
  EXPECT_DOUBLE_EQ(found.over_watt_steps, 8);
  EXPECT_DOUBLE_EQ(found.reward, 0.5);  // from -10 / 10 to -5 / 10
  EXPECT_EQ(found.regret, 0);
  EXPECT_EQ(score({low}, low, options).regret, 1);
  EXPECT_EQ(score({low, high}, high, options).regret, HUGE_VAL);
  EXPECT_EQ(score({low, high}, std::nullopt, options).regret, HUGE_VAL);
  EXPECT_EQ(score({high}, high, options, 19.9).regret, 0);  // at most 1 % over
  EXPECT_EQ(score({low}, std::nullopt, options, 4).regret, std::nullopt);
}

TEST(ControlScore, OfRunCountsEveryStepAndWhatMovesCost) {
  const hw::PowerMode low{100}, middle{200}, high{500};
  const tasks::ModeMdpOptions options{
      .task = tasks::ModeTask::run, .lambda = 10, .measurements = 4, .switch_share = 0.1};
  const auto ran = score({low, middle, high, high}, std::nullopt, options);
  EXPECT_DOUBLE_EQ(ran.work, 0.5 + 0.9 + 0.9 + 1);  // a mode over the budget counts as the fastest inside
  EXPECT_EQ(ran.over, 2U);
  EXPECT_EQ(ran.longest_over, 2U);
  const double broken = 10 * (20.0 / 12 - 1);
  EXPECT_NEAR(ran.reward, -1 - 0.5 / 0.9 - (0.2 / 0.9 + broken) - (0.2 + broken), 1e-12);
  EXPECT_EQ(ran.regret, std::nullopt);
}

TEST(Knowing, ThoseWhoKnowTakeTheFastestInsideAndElseTheLeast) {
  const auto world = three_modes(12);
  Oracle oracle(*world);
  EXPECT_EQ(oracle.next({12, 1}), hw::PowerMode{200});
  EXPECT_EQ(oracle.next({12, 0}), std::nullopt);
  EXPECT_THROW(oracle.next({0, 1}), std::invalid_argument);
  KnowingSome some(*world, {{500}, {100}});
  EXPECT_EQ(some.next({12, 1}), hw::PowerMode{100});
  EXPECT_EQ(some.answer()->time_ms, 10);
  const auto hopeless = three_modes(1);
  EXPECT_EQ(Oracle(*hopeless).next({1, 1}), hw::PowerMode{100});
  EXPECT_EQ(KnowingSome(*hopeless, {{500}, {200}}).next({1, 1}), hw::PowerMode{200});
  EXPECT_FALSE(Oracle(*hopeless).answer());
  EXPECT_THROW(KnowingSome(*world, {}), std::invalid_argument);
  EXPECT_THROW(make_knowing("nobody", *world, "", 1), std::invalid_argument);
}

TEST(Knowing, BestMeasuredLooksAtEveryModeOnce) {
  const auto world = three_modes(12);
  BestMeasured best(*world, 1);
  EXPECT_FALSE(best.answer());
  std::map<hw::PowerMode, int> seen;
  while (const auto mode = best.next({12, 5})) {
    best.tell(*mode, {});
    ++seen[*mode];
  }
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_EQ(best.answer()->mode, hw::PowerMode{200});
}

}  // namespace controllers_test
}  // namespace fewwatt::benchmarks
