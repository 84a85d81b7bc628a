#include "learners/optimize/search.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace search_test {

using Told = std::multimap<hw::PowerMode, hw::Measurement>;

// A simulated workload that measures with noise.
class Board {
 public:
  explicit Board(std::size_t workload, std::uint64_t seed = 1)
      : made_(tests::simulated_workload(workload, 1)), rng_(seed) {}
  hw::Measurement operator()(const hw::PowerMode& mode) {
    hw::Measurement m;
    m.time_ms = time_ms(mode) * std::exp(0.01 * rng_.normal());
    m.power_w = power_w(mode) * std::exp(0.01 * rng_.normal());
    return m;
  }
  double time_ms(const hw::PowerMode& mode) const { return made_.truth(row(mode), 0); }
  double power_w(const hw::PowerMode& mode) const { return made_.truth(row(mode), 1); }
  // The power that a share of the modes stays below.
  double budget(double share) const {
    std::vector<double> powers(made_.truth.col(1).begin(), made_.truth.col(1).end());
    std::sort(powers.begin(), powers.end());
    return powers[static_cast<std::size_t>(share * static_cast<double>(powers.size() - 1))];
  }
  double optimum_ms(double budget_w) const {
    double least = std::numeric_limits<double>::infinity();
    for (Eigen::Index i = 0; i < made_.truth.rows(); ++i)
      if (made_.truth(i, 1) <= budget_w) least = std::min(least, made_.truth(i, 0));
    return least;
  }

 private:
  static Eigen::Index row(const hw::PowerMode& mode) {
    return static_cast<Eigen::Index>(tests::simulated_space()->index_of(mode).value());
  }
  tests::SimulatedSupport made_;
  hw::Rng rng_;
};

Goal within(double power_w) {
  Goal goal;
  goal.limits.max_power_w = power_w;
  return goal;
}

std::unique_ptr<Search> make(std::string_view name, const Goal& goal, const SearchOptions& options,
                             std::string_view learner = "sim_only") {
  return make_search(name, tests::simulated_space(),
                     builtin().searches.find(name).needs_learner
                         ? std::shared_ptr<const Learner>(make_learner(learner))
                         : nullptr,
                     goal, options);
}

template <class Measure>
Told run(Search& search, Measure&& measure) {
  Told told;
  while (const auto mode = search.ask()) {
    const auto m = measure(*mode);
    told.emplace(*mode, m);
    search.tell(*mode, m);
  }
  return told;
}

// ---- every search of the registry ----

class SearchContract : public testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<Search> search(const Goal& goal, std::size_t planned = 12) const {
    SearchOptions options;
    options.planned = planned;
    return make(GetParam(), goal, options);
  }
};

TEST_P(SearchContract, MeasuresAsMuchAsPlannedAndAnswersWithinTheLimits) {
  Board board(5);
  const auto goal = within(board.budget(0.5));
  const auto s = search(goal);
  const auto told = run(*s, board);
  EXPECT_LE(told.size(), 12u);
  if (GetParam() != "safe") {
    EXPECT_EQ(told.size(), 12u);
  }
  EXPECT_FALSE(s->ask());
  const auto answer = s->answer();
  ASSERT_TRUE(answer);
  EXPECT_LE(answer->power_w, goal.limits.max_power_w);
  if (GetParam() == "predict") return;
  EXPECT_TRUE(answer->measured);
  ASSERT_TRUE(told.contains(answer->mode));
  double logs = 0;
  const auto [first, last] = told.equal_range(answer->mode);
  for (auto one = first; one != last; ++one) logs += std::log(one->second.time_ms);
  EXPECT_NEAR(answer->time_ms, std::exp(logs / static_cast<double>(std::distance(first, last))),
              1e-9 * answer->time_ms);
  EXPECT_NEAR(answer->objective, answer->time_ms, 1e-9 * answer->time_ms);
}

TEST_P(SearchContract, WithoutAModeThatFitsThereIsNoAnswer) {
  Board board(5);
  const auto s = search(within(0.5 * board.budget(0)));
  EXPECT_LE(run(*s, board).size(), 12u);
  EXPECT_FALSE(s->answer());
  EXPECT_TRUE(std::isnan(s->expected_gain(5)));
}

TEST_P(SearchContract, EndsWhereEveryMeasurementIsThrottled) {
  Board board(5);
  const auto s = search(within(board.budget(0.5)));
  const auto told = run(*s, [&](const hw::PowerMode& mode) {
    auto m = board(mode);
    m.throttled = true;
    return m;
  });
  EXPECT_LE(told.size(), 12u);
  EXPECT_FALSE(s->answer());
}

TEST_P(SearchContract, ConstantTimeOrPowerOrBothAreFine) {
  for (const bool time : {true, false})
    for (const bool power : {true, false}) {
      Board board(5);
      const auto s = search(within(board.budget(0.5)));
      run(*s, [&](const hw::PowerMode& mode) {
        auto m = board(mode);
        if (time) m.time_ms = 10;
        if (power) m.power_w = 0.9 * board.budget(0.5);
        return m;
      });
      const auto answer = s->answer();
      if (power || GetParam() == "random") {
        EXPECT_TRUE(answer) << time << power;
      }
      if (answer && time) {
        EXPECT_NEAR(answer->time_ms, 10, 0.1);
      }
    }
}

TEST_P(SearchContract, WhatWasToldCounts) {
  Board board(5);
  const auto goal = within(board.budget(0.5));
  const auto s = search(goal, 6);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto mode = tests::simulated_space()->at(17 * i);
    s->tell(mode, board(mode));
  }
  EXPECT_LE(run(*s, board).size(), 2u);
}

TEST_P(SearchContract, ASeedGivesTheSameModes) {
  Board a(5), b(5);
  const auto goal = within(a.budget(0.5));
  const auto s = search(goal), t = search(goal);
  const auto modes = [](const Told& told) {
    std::set<hw::PowerMode> all;
    for (const auto& one : told) all.insert(one.first);
    return all;
  };
  EXPECT_EQ(modes(run(*s, a)), modes(run(*t, b)));
}

INSTANTIATE_TEST_SUITE_P(Registry, SearchContract, testing::ValuesIn(builtin().searches.names()),
                         [](const auto& of) {
                           std::string name(of.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// ---- what they are for ----

// Mean over workloads and budgets of the true time over the optimum, less 1; 1 for a broken budget or no answer.
double mean_regret(std::string_view name) {
  double sum = 0;
  int count = 0;
  for (const std::size_t workload : {5, 9, 14})
    for (const double share : {0.3, 0.7}) {
      Board board(workload, workload);
      const double budget = board.budget(share);
      const auto s = make(name, within(budget), {});
      run(*s, board);
      const auto answer = s->answer();
      const bool inside = answer && board.power_w(answer->mode) <= 1.01 * budget;
      sum += inside ? std::max(0.0, board.time_ms(answer->mode) / board.optimum_ms(budget) - 1) : 1;
      ++count;
    }
  return sum / count;
}

TEST(Searches, TheDefaultIsNearTheOptimumAndBeatsWhatLearnsLess) {
  const double best = mean_regret("designed-ei");
  EXPECT_LT(best, 0.03);
  EXPECT_LT(best, 0.5 * mean_regret("random"));
  EXPECT_LE(best, mean_regret("bisection"));
}

TEST(Searches, ABudgetThatOneModeMeets) {
  Board board(5);
  const double least = board.budget(0);
  SearchOptions options;
  options.planned = 25;
  const auto s = make("designed-ei", within(1.02 * least), options);
  run(*s, board);
  const auto answer = s->answer();
  ASSERT_TRUE(answer);
  EXPECT_LE(board.power_w(answer->mode), 1.03 * least);
}

TEST(Searches, ASafeSearchHardlyEverMeasuresOverTheBudget) {
  int over = 0, all = 0;
  for (const std::size_t workload : {5, 9, 14}) {
    Board board(workload);
    const double budget = board.budget(0.4);
    const auto s = make("safe", within(budget), {});
    for (const auto& [mode, m] : run(*s, board)) {
      over += board.power_w(mode) > budget ? 1 : 0;
      ++all;
    }
  }
  EXPECT_GT(all, 20);
  EXPECT_LE(over, all / 10);
}

TEST(Searches, AModeThatMayKeepTheLimitIsMeasuredAgain) {
  // One mode is much faster than the others that fit, and its first measurement is just over the limit.
  const auto space = tests::example_space();
  SearchOptions options;
  options.planned = 14;
  options.designed = 6;
  const auto best = space->at(9);
  const double limit = tests::example_power_w(best) * 1.005;
  const auto search = make_search("ei", space, make_learner("gp"), within(limit), options);
  hw::Rng rng(1);
  int times = 0;
  while (const auto mode = search->ask()) {
    hw::Measurement m;
    m.time_ms = tests::example_time_ms(*mode) * (*mode == best ? 0.7 : 1);
    m.power_w = tests::example_power_w(*mode) * std::exp(0.004 * rng.normal());
    if (*mode == best) m.power_w = tests::example_power_w(best) * (times == 0 ? 1.007 : 0.998);
    times += *mode == best ? 1 : 0;
    search->tell(*mode, m);
  }
  EXPECT_GE(times, 2);
  ASSERT_TRUE(search->answer());
  EXPECT_EQ(search->answer()->mode, best);
}

TEST(Searches, NoModeIsMeasuredMoreThanThreeTimes) {
  // One mode is much faster, and always a little over the limit.
  const auto space = tests::example_space();
  SearchOptions options;
  options.planned = space->size();
  options.designed = 6;
  const auto best = space->at(9);
  const double limit = tests::example_power_w(best) * 0.998;
  const auto search = make_search("ei", space, make_learner("gp"), within(limit), options);
  std::map<hw::PowerMode, int> times;
  run(*search, [&](const hw::PowerMode& mode) {
    ++times[mode];
    hw::Measurement m;
    m.time_ms = tests::example_time_ms(mode) * (mode == best ? 0.7 : 1);
    m.power_w = tests::example_power_w(mode);
    return m;
  });
  EXPECT_EQ(times[best], 3);
  for (const auto& [mode, count] : times) EXPECT_LE(count, 3);
}

TEST(Searches, WhatRepeatsIsTheModesOwn) {
  // Every mode's time is off a nearly flat curve by 5 % of its own. Where measurements repeat well the answer is the fastest measured
  // mode; where they do not its lead is taken for noise.
  const auto least_measured = [](double repeat_error, std::uint64_t seed) {
    const auto space = tests::example_space();
    SearchOptions options;
    options.planned = 14;
    options.designed = 12;
    options.repeat_error = repeat_error;
    const auto search = make_search("ei", space, make_learner("gp"), {}, options);
    hw::Rng rng(seed);
    std::map<hw::PowerMode, double> own;
    for (const auto& mode : space->modes()) own[mode] = std::exp(0.05 * rng.normal());
    double least = std::numeric_limits<double>::infinity();
    const auto told = run(*search, [&](const hw::PowerMode& mode) {
      hw::Measurement m;
      m.time_ms = 100 * own[mode] * std::pow(tests::example_time_ms(mode), 0.05);
      m.power_w = tests::example_power_w(mode);
      least = std::min(least, m.time_ms);
      return m;
    });
    return search->answer().value().time_ms <= 1.0001 * least;
  };
  int noisy = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    EXPECT_TRUE(least_measured(1e-4, seed)) << seed;
    noisy += least_measured(0.5, seed) ? 1 : 0;
  }
  EXPECT_LT(noisy, 6);
}

TEST(Searches, AMeasurementIsNoCertainty) {
  // All modes are measured, one of them right inside the limit.
  const auto space = tests::example_space();
  double limit_w = 0;
  for (const auto& mode : space->modes())
    if (const double power = tests::example_power_w(mode); power < 4) limit_w = std::max(limit_w, power);
  const auto answered_w = [&](double repeat_error) {
    SearchOptions options;
    options.planned = space->size();
    options.repeat_error = repeat_error;
    auto goal = within(1.002 * limit_w);
    goal.limits.confidence = 0.95;
    const auto search = make_search("predict", space, make_learner("gp"), goal, options);
    run(*search, [](const hw::PowerMode& mode) {
      hw::Measurement m;
      m.time_ms = tests::example_time_ms(mode);
      m.power_w = tests::example_power_w(mode);
      return m;
    });
    return search->answer().value().power_w;
  };
  EXPECT_LE(answered_w(0.015), 0.98 * limit_w);
  EXPECT_GE(answered_w(1e-5), answered_w(0.015));
}

TEST(Searches, ABrokenLimitHasItsPrice) {
  // All modes of the space are measured. The dearer it is to break the limit, the further below it the answer stays.
  const auto answered_w = [](double price) {
    const auto space = tests::example_space();
    SearchOptions options;
    options.planned = space->size();
    options.price_of_breaking = price;
    const auto search = make_search("ei", space, make_learner("gp"), within(4), options);
    hw::Rng rng(11);
    run(*search, [&](const hw::PowerMode& mode) {
      hw::Measurement m;
      m.time_ms = tests::example_time_ms(mode) * std::exp(0.01 * rng.normal());
      m.power_w = tests::example_power_w(mode) * std::exp(0.01 * rng.normal());
      return m;
    });
    const auto answer = search->answer();
    return answer ? answer->power_w : std::nan("");
  };
  EXPECT_LE(answered_w(100), answered_w(0));
  EXPECT_LT(answered_w(100), 0.97 * 4);
}

TEST(Searches, StopWhereMoreWouldNotPay) {
  Board board(5);
  SearchOptions options;
  options.planned = 60;
  options.stop_gain = 0.01;
  const auto s = make("designed-ei", within(board.budget(0.5)), options);
  const auto told = run(*s, board);
  EXPECT_LT(told.size(), 40u);
  EXPECT_GE(told.size(), options.start());
  EXPECT_LT(s->expected_gain(1), 0.01);
}

TEST(Searches, MoreMeasurementsAreExpectedToGainMore) {
  Board board(5);
  SearchOptions options;
  options.planned = 12;
  const auto s = make("designed-ei", within(board.budget(0.5)), options);
  run(*s, board);
  const double one = s->expected_gain(1), five = s->expected_gain(5), ten = s->expected_gain(10);
  EXPECT_GE(one, 0);
  EXPECT_GE(five, one - 1e-3);
  EXPECT_GE(ten, five - 1e-3);
  EXPECT_LT(ten, 0.5);
}

TEST(Searches, CanBeAimedAnew) {
  Board board(5);
  SearchOptions options;
  options.planned = 20;
  const auto s = make("designed-ei", within(board.budget(0.8)), options);
  for (int i = 0; i < 14; ++i) {
    const auto mode = s->ask().value();
    s->tell(mode, board(mode));
  }
  const double less = board.budget(0.2);
  s->aim(within(less));
  run(*s, board);
  const auto answer = s->answer();
  ASSERT_TRUE(answer);
  EXPECT_LE(answer->power_w, less);
  EXPECT_LE(board.time_ms(answer->mode), 1.1 * board.optimum_ms(less));
  EXPECT_THROW(s->aim(within(-1)), std::invalid_argument);
}

TEST(Searches, OtherObjectivesAndLimits) {
  Board board(9);
  Goal goal;
  goal.objective = Objective::energy;
  const auto modes = tests::simulated_space()->modes();
  double least = std::numeric_limits<double>::infinity();
  for (const auto& mode : modes) least = std::min(least, board.time_ms(mode) * board.power_w(mode));
  const auto s = make("designed-ei", goal, {});
  run(*s, board);
  const auto answer = s->answer();
  ASSERT_TRUE(answer);
  EXPECT_NEAR(answer->objective, answer->time_ms * answer->power_w, 1e-9 * answer->objective);
  EXPECT_LE(board.time_ms(answer->mode) * board.power_w(answer->mode), 1.03 * least);

  // Least power that is fast enough.
  goal.objective = Objective::power;
  goal.limits.max_time_ms = 1.3 * board.optimum_ms(1e9);
  least = std::numeric_limits<double>::infinity();
  for (const auto& mode : modes)
    if (board.time_ms(mode) <= goal.limits.max_time_ms) least = std::min(least, board.power_w(mode));
  const auto t = make("designed-ei", goal, {});
  run(*t, board);
  ASSERT_TRUE(t->answer());
  EXPECT_LE(t->answer()->time_ms, goal.limits.max_time_ms);
  EXPECT_LE(board.power_w(t->answer()->mode), 1.05 * least);
}

TEST(Searches, BadRequestsAreRefused) {
  const auto refusal = [](std::string_view name, const Goal& goal, const SearchOptions& options,
                          bool learner) {
    try {
      make_search(name, tests::simulated_space(),
                  learner ? std::shared_ptr<const Learner>(make_learner("gp")) : nullptr, goal, options);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  EXPECT_NE(refusal("hill", {}, {}, true).find("known are: designed-ei"), std::string::npos);
  EXPECT_EQ(refusal("safe", {}, {}, false), "search safe needs a learner");
  EXPECT_EQ(refusal("random", within(0), {}, false), "PowerBudget: max_power_w must be > 0, found 0");
  SearchOptions options;
  options.planned = 0;
  EXPECT_EQ(refusal("random", {}, options, false), "SearchOptions: planned must be > 0");
  EXPECT_EQ(refusal("random", {}, {.repeat_error = 0}, false),
            "SearchOptions: repeat_error must be > 0, got 0.000000");
  EXPECT_EQ(refusal("random", {}, {.price_of_breaking = -1}, false),
            "SearchOptions: price_of_breaking must be >= 0, got -1.000000");
  options = {};
  options.stop_gain = 1;
  EXPECT_NE(refusal("random", {}, options, false).find("stop_gain"), std::string::npos);
}

}  // namespace search_test
}  // namespace fewwatt::learners
