#include "benchmarks/search.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/random.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {
namespace search_test {

// 60 modes: a slow one draws 2 W and takes 60 ms, the fastest 8 W and 10 ms.
std::shared_ptr<const hw::PowerModeSpace> made_up_space() {
  std::vector<int> cpu, gpu;
  for (int i = 1; i <= 10; ++i) cpu.push_back(100'000 * i);
  for (int i = 1; i <= 6; ++i) gpu.push_back(150'000 * i);
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, cpu}, {hw::KnobRole::gpu_khz, gpu}}));
}

tasks::Matrix made_up_truth(const hw::PowerModeSpace& space) {
  const auto modes = space.modes();
  tasks::Matrix truth(static_cast<Eigen::Index>(modes.size()), 2);
  for (std::size_t i = 0; i < modes.size(); ++i)
    truth.row(static_cast<Eigen::Index>(i)) << 3e6 / modes[i][0] + 6e6 / modes[i][1],
        2 + 2e-6 * modes[i][0] + 4e-6 * modes[i][1];
  return truth;
}

SearchSubject made_up_subject(const std::vector<double>& budgets_w) {
  const auto space = made_up_space();
  return search_subject(space, made_up_truth(*space), budgets_w);
}

TEST(Search, NamesAreParsed) {
  const auto plain = parse_search("designed-ei auto");
  EXPECT_EQ(plain.search, "designed-ei");
  EXPECT_EQ(plain.learner, "auto");
  EXPECT_FALSE(plain.measured);
  EXPECT_EQ(plain.confidence, learners::PowerBudget{}.confidence);
  EXPECT_EQ(plain.label, "designed-ei auto");
  const auto full = parse_search("predict  transfer 50 0.9");
  EXPECT_EQ(full.measured, 50u);
  EXPECT_EQ(full.confidence, 0.9);
  EXPECT_EQ(full.label, "predict transfer@0.9");
  EXPECT_EQ(parse_search("random -").learner, "");
  for (const char* bad : {"random", "climb", "random auto", "safe -", "climb auto", "safe auto x",
                          "safe auto 0", "safe auto 10 1", "safe auto 10 0.9 x", ""})
    EXPECT_THROW(parse_search(bad), std::invalid_argument) << bad;
}

TEST(Search, OnlyBudgetsThatTestSomethingCount) {
  const auto subject = made_up_subject({1, 2.5, 4, 6, 9});
  EXPECT_EQ(subject.budgets_w, (std::vector<double>{4, 6}));  // 2.5: no mode; 9: the fastest mode
  for (std::size_t b = 0; b < 2; ++b) {
    double least = std::numeric_limits<double>::infinity();
    for (Eigen::Index i = 0; i < subject.truth.rows(); ++i)
      if (subject.truth(i, 1) <= subject.budgets_w[b]) least = std::min(least, subject.truth(i, 0));
    EXPECT_EQ(subject.optima_ms[b], least);
  }
}

TEST(Search, OutcomesAreScoredOnTheTruth) {
  const auto subject = made_up_subject({4, 6});
  const auto all = run_search(parse_search("random -"), nullptr, subject, subject.space->size(), 1, 0);
  ASSERT_EQ(all.size(), 2u);
  for (const auto& one : all) {
    EXPECT_TRUE(one.answered);
    EXPECT_EQ(one.measured, subject.space->size());
    if (one.broken) {
      EXPECT_TRUE(std::isinf(one.regret));
    } else {
      EXPECT_LT(one.regret, 0.1);  // the next best, where an error of 1 % hides the best
    }
    std::size_t over = 0;
    for (Eigen::Index i = 0; i < subject.truth.rows(); ++i)
      over += subject.truth(i, 1) > one.budget_w * (1 + kSearchMargin) ? 1 : 0;
    EXPECT_EQ(one.over, over);
  }
  // One mode, which is over the lower budget with this seed or not: no answer then, and infinite regret.
  bool unanswered = false;
  for (std::uint64_t draw = 0; draw < 20; ++draw)
    for (const auto& one : run_search(parse_search("random -"), nullptr, subject, 1, 1, draw))
      if (!one.answered) {
        unanswered = true;
        EXPECT_TRUE(std::isinf(one.regret));
        EXPECT_FALSE(one.broken);
      }
  EXPECT_TRUE(unanswered);
}

TEST(Search, DrawsDifferAndCanBeMadeAgain) {
  const auto subject = made_up_subject({4, 5, 6});
  const std::shared_ptr<const learners::Learner> gp = learners::make_learner("gp");
  const auto regrets = [&](std::uint64_t draw) {
    std::vector<double> all;
    for (const auto& one : run_search(parse_search("ei gp"), gp, subject, 8, 1, draw)) {
      EXPECT_LE(one.measured, 8u);
      all.push_back(one.regret);
    }
    return all;
  };
  EXPECT_EQ(regrets(0), regrets(0));
  EXPECT_NE(regrets(0), regrets(1));
}

}  // namespace search_test
}  // namespace fewwatt::benchmarks
