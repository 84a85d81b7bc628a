#include "learners/control/bandit.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>

#include "hw/modules.hpp"
#include "tests/dense.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace bandit_test {

hw::Measurement example(const hw::PowerMode& mode) {
  return {tests::example_time_ms(mode), tests::example_power_w(mode)};
}

constexpr double kBudgetW = 5.3;
constexpr Context kContext{kBudgetW};

BanditOptions with(BanditRule rule, std::uint64_t seed = 0) {
  BanditOptions options;
  options.rule = rule;
  options.seed = seed;
  return options;
}

std::vector<hw::PowerMode> run(LinearBandit& bandit, int steps) {
  std::vector<hw::PowerMode> asked;
  for (int i = 0; i < steps; ++i) {
    asked.push_back(bandit.next(kContext).value());
    bandit.tell(asked.back(), example(asked.back()));
  }
  return asked;
}

TEST(BanditFeatures, AreLogSettingsTheirProductsAndOne) {
  const auto space = hw::PowerModeSpace::grid(
      {{hw::KnobRole::cpu_khz, {1, 10, 100}}, {hw::KnobRole::gpu_khz, {4, 8}}, {hw::KnobRole::mem_khz, {7}}});
  const std::vector<hw::PowerMode> modes = {{1, 8, 7}, {10, 4, 7}};
  const auto x = bandit_features(space, modes);
  Matrix expected(2, 10);
  //          1  cpu gpu mem  cc  cg  cm  gg  gm  mm
  expected << 1, -1, 1, 0, 1, -1, 0, 1, 0, 0,  //
      1, 0, -1, 0, 0, 0, 0, 1, 0, 0;
  EXPECT_LE((x - expected).cwiseAbs().maxCoeff(), 1e-12);
}

// theta, and the width of each mode, by solving the least squares with l2 as further rows.
TEST(LinUcb, TakesTheLargestUpperBound) {
  for (const double alpha : {0.0, 1.0, 5.0}) {
    auto options = with(BanditRule::linucb);
    options.alpha = alpha;
    options.l2 = 0.5;
    const auto space = tests::example_space();
    const auto all = space->modes();
    LinearBandit bandit(space, options);
    const auto asked = run(bandit, 8);
    EXPECT_EQ(asked.front(), space->lowest());
    const auto x = bandit_features(*space, all);
    const auto d = x.cols();
    for (std::size_t t = 1; t < asked.size(); ++t) {
      const auto n = static_cast<Eigen::Index>(t);
      Eigen::MatrixXd rows = Eigen::MatrixXd::Zero(n + d, d);
      Eigen::MatrixXd rewards = Eigen::MatrixXd::Zero(n + d, 1);
      const auto before = std::span(asked).first(t);
      rows.topRows(n) = bandit_features(*space, before);
      rows.bottomRows(d) = std::sqrt(options.l2) * Eigen::MatrixXd::Identity(d, d);
      for (Eigen::Index i = 0; i < n; ++i)
        rewards(i, 0) = tasks::mode_worth({}, example(asked[static_cast<std::size_t>(i)]), kBudgetW,
                                          example(space->lowest()).time_ms, false);
      const Eigen::MatrixXd theta = tests::least_squares(rows, rewards);
      const Eigen::MatrixXd a = rows.transpose() * rows;
      const Eigen::MatrixXd solved = tests::least_squares(a, x.transpose());
      Eigen::VectorXd bound(x.rows());
      for (Eigen::Index i = 0; i < x.rows(); ++i)
        bound[i] = x.row(i).dot(theta.col(0)) + alpha * std::sqrt(x.row(i).dot(solved.col(i)));
      const auto chosen = static_cast<Eigen::Index>(space->index_of(asked[t]).value());
      EXPECT_NEAR(bound[chosen], bound.maxCoeff(), 1e-9) << alpha << ' ' << t;
    }
  }
}

// The mean of many draws is theta, and their covariance spread^2 A^-1: modes are taken as often as such draws prefer them.
TEST(LinearThompson, DrawsFromThePosterior) {
  const auto space =
      std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {1, 2}}}));
  auto options = with(BanditRule::thompson);
  options.spread = 0.1;
  LinearBandit bandit(space, options);
  bandit.tell({1}, {10, 1});
  bandit.tell({2}, {9, 1});
  bandit.tell({2}, {8, 1});
  // Features of the two modes: [1, -1, 1] and [1, 1, 1].
  Eigen::MatrixXd x(3, 3), rewards(3, 1);
  x << 1, -1, 1, 1, 1, 1, 1, 1, 1;
  rewards << -1, -0.9, -0.8;
  const Eigen::MatrixXd a = x.transpose() * x + Eigen::MatrixXd::Identity(3, 3);
  const Eigen::VectorXd theta = tests::least_squares(a, x.transpose() * rewards).col(0);
  const Eigen::VectorXd difference = (Eigen::VectorXd(3) << 0, 2, 0).finished();
  const double mean = difference.dot(theta),
               sd = 0.1 * std::sqrt(difference.dot(tests::least_squares(a, difference).col(0)));
  const double expected = normal_cdf(mean / sd);
  int second = 0;
  constexpr int n = 5000;
  for (int i = 0; i < n; ++i) second += *bandit.next({10}) == hw::PowerMode{2} ? 1 : 0;
  EXPECT_GT(expected, 0.55);
  EXPECT_NEAR(second / static_cast<double>(n), expected, 5 * std::sqrt(0.25 / n));
}

TEST(LinearBandit, FindsAFastModeInsideTheBudget) {
  for (const auto& [name, rule] : kBanditRules) {
    LinearBandit bandit(tests::example_space(), with(rule));
    run(bandit, 40);
    const auto answer = bandit.answer();
    ASSERT_TRUE(answer) << name;
    EXPECT_LE(answer->power_w, kBudgetW);
    // Rewards are not linear in its features, so it need not find the best mode: one of the fastest fifth is fast.
    std::size_t inside = 0, faster = 0;
    for (const auto& mode : tests::example_space()->modes()) {
      if (tests::example_power_w(mode) > kBudgetW) continue;
      ++inside;
      faster += tests::example_time_ms(mode) < answer->time_ms ? 1 : 0;
    }
    EXPECT_LE(5 * faster, inside) << name;
  }
}

TEST(LinearBandit, RewardsOfBeforeAreJudgedByThePresentBudget) {
  auto options = with(BanditRule::linucb);
  options.alpha = 0;
  LinearBandit bandit(tests::example_space(), options);
  const auto modes = tests::example_space()->modes();
  for (const auto& mode : modes) bandit.tell(mode, example(mode));
  const auto high = bandit.next({tasks::kNoBudget}).value(), low = bandit.next({2.5}).value();
  EXPECT_LT(tests::example_time_ms(high), 1.25 * tests::example_time_ms(modes.back()));
  EXPECT_GT(tests::example_power_w(high), tests::example_power_w(low));
  EXPECT_LT(tests::example_power_w(low), 3.5);
}

TEST(LinearBandit, TheSameSeedAsksForTheSameModes) {
  for (const auto& [name, rule] : kBanditRules) {
    auto options = with(rule);
    options.pool = 200;
    const auto space =
        std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64", "powertrain"));
    const auto asked = [&](std::uint64_t seed) {
      options.seed = seed;
      LinearBandit bandit(space, options);
      std::vector<hw::PowerMode> all;
      for (int i = 0; i < 5; ++i) {
        all.push_back(bandit.next({20}).value());
        bandit.tell(all.back(), {1e9 / all.back()[2], 1e-5 * all.back()[2]});
      }
      return all;
    };
    EXPECT_EQ(asked(1), asked(1));
    EXPECT_NE(asked(1), asked(2));
  }
}

TEST(BanditOptions, BadValuesAreNamed) {
  const auto error = [](auto change) {
    BanditOptions options;
    change(options);
    EXPECT_THROW(LinearBandit(tests::example_space(), options), std::invalid_argument);
    return options.error();
  };
  EXPECT_NE(error([](auto& o) { o.alpha = -1; }).find("alpha"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.spread = std::nan(""); }).find("spread"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.l2 = 0; }).find("l2"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.lambda = -1; }).find("lambda"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.pool = 0; }).find("pool"), std::string::npos);
}

}  // namespace bandit_test
}  // namespace fewwatt::learners
