// Programs of others in a table beside ours: they get what ours get, and are named where they fail.

#include "benchmarks/external/external.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include <gtest/gtest.h>

#include "benchmarks/runner.hpp"
#include "learners/optimize/measured_search.hpp"
#include "tests/benchmarks/made_up.hpp"

namespace fewwatt::benchmarks {
namespace external_test {

using datasets::DataError;
using tests::TempDir;

std::string peer() {
  return "python3 " + tests::source_dir() + "/tests/benchmarks/made_up_peer.py";
}

std::string section(const std::string& name, const std::string& kind, const std::string& behaviour,
                    const std::string& more = "") {
  return "[external " + name + "]\nkind = " + kind + "\ncommand = " + peer() + ' ' + behaviour + '\n' + more;
}

// The made-up suite with externals, on one split.
class WithExternals {
 public:
  explicit WithExternals(const std::string& sections) : path_(dir_ / "suite.ini") {
    tests::write_made_up_data(dir_);
    tests::write_text(path_, tests::made_up_suite_head() + sections + "[split alpha]\ntest = alpha\n");
  }
  const std::string& path() const { return path_; }
  std::string data() const { return dir_ / "data"; }

  TableSuite read() const { return read_table_suite(path_); }
  Result run(const std::vector<std::string>& learners, const std::vector<std::string>& searches = {},
             meta::Registry registry = meta::builtin()) const {
    auto suite = read();
    registry = with_externals(suite.externals, registry);
    suite.learners = learners;
    for (const auto& search : searches) suite.searches.push_back(parse_search(search, registry));
    suite.measured = {6, 12};
    return run_tables(suite, load_profiles(suite, data()), {.threads = 2}, {}, registry);
  }

 private:
  TempDir dir_;
  std::string path_;
};

// Values but clocks of one learner, by metric, shots and draw.
using Values = std::map<std::tuple<std::string, std::size_t, std::uint64_t>, double>;
Values values_of(const Result& result, const std::string& learner) {
  Values values;
  for (const auto& row : result.rows)
    if (row.learner == learner && find_metric(row.metric).unit != "s")
      values[{row.metric, row.shots, row.seed}] = row.value;
  return values;
}

void expect_same(const Values& found, const Values& expected) {
  ASSERT_EQ(found.size(), expected.size());
  ASSERT_FALSE(expected.empty());
  for (const auto& [key, value] : expected) {
    const auto at = found.find(key);
    ASSERT_NE(at, found.end()) << std::get<0>(key);
    if (std::isinf(value))
      EXPECT_EQ(at->second, value) << std::get<0>(key);
    else
      EXPECT_NEAR(at->second, value, 1e-9 * std::max(1.0, std::abs(value))) << std::get<0>(key);
  }
}

// What made_up_peer.py does as `mean` and `scaled`.
class Mean final : public learners::Learner {
 public:
  explicit Mean(double factor) : factor_(factor) {}
  std::unique_ptr<const learners::Predictor> adapt(const tasks::Samples& support) const override {
    class Adapted final : public learners::Predictor {
     public:
      explicit Adapted(tasks::Matrix mean) : mean_(std::move(mean)) {}
      Prediction predict(std::span<const hw::PowerMode> modes) const override {
        return Prediction::of_medians(mean_.replicate(static_cast<Eigen::Index>(modes.size()), 1));
      }

     private:
      tasks::Matrix mean_;  // [1,2]
    };
    return std::make_unique<Adapted>(factor_ * support.targets.array().log().colwise().mean().exp().matrix());
  }

 private:
  double factor_;
};

// What made_up_peer.py does as `in-order`.
class InOrder final : public learners::MeasuredSearch {
 public:
  using MeasuredSearch::MeasuredSearch;
  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override {
    MeasuredSearch::tell(mode, m);
    over_ = m.power_w > 1.5 * goal_.limits.max_power_w;
  }

 protected:
  std::optional<hw::PowerMode> next() override {
    if (over_) return std::nullopt;
    return space_->at(next_++);
  }

 private:
  std::size_t next_ = 0;
  bool over_ = false;
};

meta::Registry with_ours() {
  auto registry = meta::builtin();
  for (const double factor : {1, 2})
    registry.learners.add(
        {.name = factor == 1 ? "our-mean" : "our-scaled",
         .make = [factor](const auto&, const auto&, const auto&) { return std::make_unique<Mean>(factor); }});
  registry.searches.add(
      {.name = "our-in-order", .make = [](auto space, auto, const auto& goal, const auto& options) {
         return std::make_unique<InOrder>(std::move(space), goal, options);
       }});
  return registry;
}

TEST(External, GetsTheSameSupportQueryAndTrainingWorkloadsAsOurs) {
  const WithExternals outside(section("mean", "learner", "mean") +
                              section("scaled", "meta-learner", "scaled"));
  const auto result = outside.run({"mean", "our-mean", "scaled", "our-scaled"}, {}, with_ours());
  EXPECT_TRUE(result.failures.empty());
  expect_same(values_of(result, "mean"), values_of(result, "our-mean"));
  expect_same(values_of(result, "scaled"), values_of(result, "our-scaled"));  // of two training workloads
  EXPECT_EQ(std::count_if(result.rows.begin(), result.rows.end(),
                          [](const Row& row) { return row.metric == "train_seconds"; }),
            1);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a program was left behind";
}

TEST(External, SearchesGetTheSameBudgetsAndNoiseAsOurs) {
  const WithExternals outside(section("in-order", "search", "in-order"));
  const auto result = outside.run({"physics"}, {"in-order -", "our-in-order -"}, with_ours());
  EXPECT_TRUE(result.failures.empty());
  const auto theirs = values_of(result, "in-order");
  expect_same(theirs, values_of(result, "our-in-order"));
  EXPECT_TRUE(theirs.contains({"search_inside", 12, 0}));
}

TEST(External, UncertaintyIsScored) {
  const WithExternals outside(section("sure", "learner", "sure"));
  const auto values = values_of(outside.run({"sure"}), "sure");
  EXPECT_TRUE(values.contains({"time_nll", 4, 1}));
  EXPECT_TRUE(values.contains({"power_coverage90", 8, 0}));
}

TEST(External, WhatALibraryPrintsIsNoAnswer) {
  const WithExternals outside(section("printing", "learner", "printing"));
  EXPECT_TRUE(outside.run({"printing"}).failures.empty());
}

TEST(External, OnesThatFailAreNamedAndTheOthersGoOn) {
  const std::map<std::string, std::string> said = {
      {"throws", "its program says: ValueError: no such mode"},
      {"ending", "its program ended with exit code 7"},
      {"nonsense", "its program: expected a line with a JSON object, found 'hello'"},
      {"list", "its program: expected a line with a JSON object, found '[1, 2]'"},
      {"short", "its program: expected median: 36 pairs of numbers above 0 or null, found 35"},
      {"one-column", "its program: expected median: 36 pairs of numbers above 0 or null, found [1] in row 0"},
      {"negative",
       "its program: expected median: 36 pairs of numbers above 0 or null, found [1,-1] in row 0"},
      {"text",
       "its program: expected median: 36 pairs of numbers above 0 or null, found [1,\"fast\"] in row 0"},
      {"missing", "predicted log_mean of power: expected finite values, found NaN"},
      {"nan", "its program says: ValueError: Out of range float values are not JSON compliant"},
      {"nothing", "its program: expected an answer with median, found {}"},
      {"narrow",
       "its program: expected log_sd: 36 pairs of numbers from 0 on or null, found [0.1,-1] in row 0"}};
  std::string sections;
  std::vector<std::string> names = {"physics"};
  for (const auto& [name, what] : said) {
    sections += section(name, "learner", name);
    names.push_back(name);
  }
  const WithExternals outside(sections);
  const auto result = outside.run(names);
  ASSERT_EQ(result.failures.size(), said.size());
  for (const auto& failure : result.failures) {
    EXPECT_EQ(failure.times, 4u) << failure.learner;  // two draws of 4 and of 8 modes
    EXPECT_NE(failure.first.find("draw 0: " + said.at(failure.learner)), std::string::npos) << failure.first;
  }
  expect_same(values_of(result, "physics"), values_of(outside.run({"physics"}), "physics"));
}

TEST(External, OneThatHangsIsWaitedForOnce) {
  const WithExternals outside(section("hanging", "learner", "hanging", "timeout_s = 2\n"));
  const auto start = std::chrono::steady_clock::now();
  const auto result = outside.run({"hanging"});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 2 * 2.0 + 20) << "far from the 100 s of its sleep";
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].times, 4u);
  EXPECT_TRUE(result.failures[0].first.ends_with("its program gave no answer within 2 s (timeout_s)"))
      << result.failures[0].first;
}

TEST(External, ASearchThatFailsIsNamed) {
  const WithExternals outside(section("beyond", "search", "beyond"));
  const auto result = outside.run({"physics"}, {"beyond -", "random -"});
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].learner, "beyond");
  EXPECT_TRUE(result.failures[0].first.ends_with("expected mode: null or a whole number below 36, found 36"))
      << result.failures[0].first;
  EXPECT_TRUE(values_of(result, "random").contains({"search_inside", 6, 0}));
}

TEST(External, ASearchRefusesOtherGoals) {
  const WithExternals outside(section("in-order", "search", "in-order"));
  const auto registry = with_externals(outside.read().externals, meta::builtin());
  const auto space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {1000, 2000}}}));
  learners::Goal goal;
  EXPECT_THROW(learners::make_search("in-order", space, nullptr, goal, {}, registry), std::invalid_argument);
  goal.limits.max_power_w = 10;
  EXPECT_NO_THROW(learners::make_search("in-order", space, nullptr, goal, {}, registry));
  goal.objective = learners::Objective::energy;
  EXPECT_THROW(learners::make_search("in-order", space, nullptr, goal, {}, registry), std::invalid_argument);
}

TEST(External, ASuiteOfAFileRunsThem) {
  const WithExternals outside(section("mean", "learner", "mean"));
  const auto suite = read_suite(outside.path());
  for (const auto& key : suite->keys())
    if (key.name == "learners") key.set("mean");
  suite->check();
  const auto outputs = suite->run({.threads = 1, .data_root = outside.data()}, {});
  EXPECT_TRUE(outputs.failures.empty());
  EXPECT_NE(outputs.rows.find("\"learner\":\"mean\""), std::string::npos);
  EXPECT_NE(outputs.rows.find("\"external mean\":\"" + peer() + " mean\""), std::string::npos);
  EXPECT_NE(outputs.markdown.find("| mean | "), std::string::npos);
}

TEST(External, BadSectionsAreRefused) {
  const std::string good = "[external mine]\nkind = learner\ncommand = mine\n";
  EXPECT_EQ(WithExternals(good).read().externals.at(0).command.timeout_s, 600);
  const std::map<std::string, std::string> bad = {
      {"[external mine]\nkind = teacher\ncommand = mine\n",
       "kind: expected learner, meta-learner or search, found 'teacher'"},
      {"[external mine]\nkind = learner\n", "command"},
      {"[external mine]\nkind = learner\ncommand =\n", "command"},
      {good + "timeout_s = 0\n", "timeout_s: expected a number above 0, found '0'"},
      {good + "timeout_s = 1e9\n", "timeout_s: expected at most 1000000 seconds, found '1e9'"},
      {good + "seconds = 3\n", "seconds"},
      {"[external gp]\nkind = learner\ncommand = mine\n", "there is a learner gp already"},
      {"[external 2d]\nkind = search\ncommand = mine\n", "search '2d': a name is a letter"}};
  for (const auto& [sections, message] : bad) {
    try {
      WithExternals(sections).read();
      ADD_FAILURE() << "taken: " << sections;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(message), std::string::npos) << e.what();
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    }
  }
}

ExternalCommand shell(const std::string& script, double timeout_s = 20) {
  return {{"/bin/sh", "-c", script}, "/", timeout_s};
}

TEST(ExternalProcess, AnswersLineByLineWhateverTheirSize) {
  ExternalProcess cat(shell("exec cat"));
  EXPECT_EQ(cat.ask("one"), "one");
  EXPECT_EQ(cat.ask(""), "");
  const std::string large(std::size_t{3} << 20, 'x');  // far more than the socket holds
  EXPECT_EQ(cat.ask(large), large);
}

TEST(ExternalProcess, ALineThatNobodyAskedForIsNoAnswerToTheNextQuestion) {
  const TempDir dir;
  ExternalProcess process(shell("read x; echo one; echo two; touch " + (dir / "said") + "; exec cat"));
  try {
    EXPECT_EQ(process.ask(""), "one");  // the other line may come with it, or after it
    while (!std::filesystem::exists(dir / "said")) ::poll(nullptr, 0, 1);
    process.ask("question");
    ADD_FAILURE() << "two was taken for an answer";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "its program answered with more than one line");
  }
}

std::string failure(ExternalProcess& process) {
  try {
    return process.ask("question");
  } catch (const std::runtime_error& e) {
    return e.what();
  }
}

TEST(ExternalProcess, SaysHowItFailed) {
  const std::map<std::string, std::string> said = {
      {"exit 3", "its program ended with exit code 3"},
      {"kill -9 $$", "its program ended by signal 9"},
      {"printf 'a\\nb\\n'; exec cat", "its program answered with more than one line"},
      {"exec 0<&- 1>&-; exec sleep 20", "its program closed its standard output"}};
  for (const auto& [script, message] : said) {
    ExternalProcess process(shell(script));
    EXPECT_EQ(failure(process), message) << script;
    EXPECT_FALSE(process.timed_out()) << script;
  }
}

TEST(ExternalProcess, HangsNeitherByReadingNorByWritingNothing) {
  ExternalProcess silent(shell("exec sleep 20", 0.2));
  EXPECT_EQ(failure(silent), "its program gave no answer within 0.2 s (timeout_s)");
  EXPECT_TRUE(silent.timed_out());
  ExternalProcess deaf(shell("exec sleep 20", 0.2));
  EXPECT_THROW(deaf.ask(std::string(std::size_t{3} << 20, 'x')), std::runtime_error);
  EXPECT_TRUE(deaf.timed_out());
}

// A program that reads nothing, and one that it has started. A child of this process starts them and is ended by `signal`; they are ours
// then. Returns whether all of them ended within 10 s, after which they are killed.
bool end_with_their_starter(int signal) {
  const TempDir dir;
  const auto ready = dir / "ready";
  const auto group = [&] { return std::stoi(tests::read_text(ready)); };
  const pid_t starter = ::fork();
  if (starter == 0) {
    try {
      const ExternalProcess process(shell("trap '' INT TERM HUP; sleep 100 & echo $$ > " + ready +
                                          ".new; mv " + ready + ".new " + ready + "; wait"));
      while (!std::filesystem::exists(ready)) ::poll(nullptr, 0, 1);
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    } catch (...) {
    }
    ::_exit(1);
  }
  std::set<pid_t> ended;
  const auto all_ended = [&] {
    for (;;) {
      const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
      if (pid < 0 && errno == ECHILD) return true;
      if (pid <= 0) return false;
      ended.insert(pid);
    }
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!all_ended() && std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, 10);
  const bool all = all_ended();
  if (!all) {
    ::kill(starter, SIGKILL);
    ::kill(-group(), SIGKILL);
    while (!all_ended()) ::poll(nullptr, 0, 10);
  }
  // The starter, the program and the guard. What the program has started may have been the program's own to wait for.
  const bool none_is_left = ::kill(-group(), 0) != 0 && errno == ESRCH;
  return all && none_is_left && ended.size() >= 3 && ended.contains(group());
}

TEST(ExternalProcess, OneThatReadsNothingEndsWhereItsStarterIsEndedByASignal) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // of the starter's children
  EXPECT_TRUE(end_with_their_starter(SIGINT));
  EXPECT_TRUE(end_with_their_starter(SIGKILL));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(ExternalProcess, OneThatCannotBeStartedIsNamed) {
  for (const auto& command : {ExternalCommand{{"no-such-program-here"}, "/", 1},
                              ExternalCommand{{"/bin/sh"}, "/no/such/folder", 1}})
    try {
      const ExternalProcess process(command);
      ADD_FAILURE() << "started " << command.words.front();
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(std::string(e.what()),
                "its program cannot be started: " + command.words.front() + ": No such file or directory");
    }
}

}  // namespace external_test
}  // namespace fewwatt::benchmarks
