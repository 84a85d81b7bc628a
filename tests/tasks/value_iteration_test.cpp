#include "tasks/value_iteration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace fewwatt::tasks {
namespace value_iteration_test {

using Outcome = FiniteMdp::Outcome;

// Two states; action 0 stays for a reward of 1, action 1 goes to the other for 0. State 1 gives 2 for staying.
FiniteMdp two_states() {
  return {2, 2, {{{.next = 0, .reward = 1}}, {{.next = 1}}, {{.next = 1, .reward = 2}}, {{.next = 0}}}};
}

TEST(ValueIteration, FindsTheKnownValues) {
  const auto q = optimal_action_values(two_states(), 0.9);
  // Staying in state 1 for ever: 2 / (1 - 0.9); going there from state 0: 0.9 of that.
  EXPECT_NEAR(q(1, 0), 20, 1e-8);
  EXPECT_NEAR(q(0, 1), 18, 1e-8);
  EXPECT_NEAR(q(0, 0), 1 + 0.9 * 18, 1e-8);
  EXPECT_NEAR(q(1, 1), 0.9 * 18, 1e-8);
}

TEST(ValueIteration, WithoutDiscountOnlyTheNextRewardCounts) {
  const auto q = optimal_action_values(two_states(), 0);
  EXPECT_EQ(q, (Matrix(2, 2) << 1, 0, 2, 0).finished());
}

TEST(ValueIteration, NothingComesAfterTheEnd) {
  auto mdp = two_states();
  mdp.outcomes[2][0].terminated = true;
  const auto q = optimal_action_values(mdp, 0.9);
  EXPECT_NEAR(q(1, 0), 2, 1e-8);
  EXPECT_NEAR(q(0, 0), 10, 1e-8);
}

TEST(ValueIteration, OutcomesCountByTheirProbability) {
  FiniteMdp mdp{1,
                1,
                {{{.next = 0, .probability = 0.25, .reward = 4, .terminated = true},
                  {.next = 0, .probability = 0.75, .reward = 1}}}};
  // q = 1 + 0.75 + 0.75 0.8 q
  EXPECT_NEAR(optimal_action_values(mdp, 0.8)(0, 0), 1.75 / 0.4, 1e-8);
}

// A corridor of n states: reward 1 at its end, where the episode terminates.
TEST(ValueIteration, ValueFallsByTheDiscountWithEachStep) {
  constexpr std::size_t n = 12;
  FiniteMdp mdp{n, 2, {}};
  for (std::size_t s = 0; s < n; ++s) {
    mdp.outcomes.push_back({{.next = s > 0 ? s - 1 : 0}});
    mdp.outcomes.push_back(
        {s + 1 < n ? Outcome{.next = s + 1} : Outcome{.next = s, .reward = 1, .terminated = true}});
  }
  const auto q = optimal_action_values(mdp, 0.5);
  for (std::size_t s = 0; s < n; ++s)
    EXPECT_NEAR(q(static_cast<Eigen::Index>(s), 1), std::pow(0.5, static_cast<double>(n - 1 - s)), 1e-9);
}

TEST(ValueIteration, LargeRewardsConvergeTooAndTheErrorIsWithinTheTolerance) {
  auto mdp = two_states();
  for (auto& outcomes : mdp.outcomes) outcomes[0].reward *= 1e9;
  EXPECT_NEAR(optimal_action_values(mdp, 0.999)(1, 0), 2e12, 2e12 * 1e-12 + 1);
  EXPECT_NEAR(optimal_action_values(two_states(), 0.9, 0.1)(1, 0), 20, 0.1);
}

TEST(ValueIteration, WhatIsNoProcessIsRefused) {
  const auto refused = [](auto change) {
    auto mdp = two_states();
    change(mdp);
    EXPECT_THROW(optimal_action_values(mdp, 0.9), std::invalid_argument);
    return mdp.error();
  };
  EXPECT_NE(refused([](auto& m) { m.states = 0; }).find("a state"), std::string::npos);
  EXPECT_NE(refused([](auto& m) { m.outcomes.pop_back(); }).find("expected outcomes for 4"),
            std::string::npos);
  EXPECT_NE(refused([](auto& m) { m.outcomes[3][0].next = 2; }).find("state 1, action 1"), std::string::npos);
  EXPECT_NE(refused([](auto& m) { m.outcomes[0].clear(); }).find("sum to 1"), std::string::npos);
  EXPECT_NE(refused([](auto& m) { m.outcomes[0][0].reward = std::nan(""); }).find("finite"),
            std::string::npos);
  EXPECT_THROW(optimal_action_values(two_states(), 1), std::invalid_argument);
  EXPECT_THROW(optimal_action_values(two_states(), -0.1), std::invalid_argument);
  EXPECT_THROW(optimal_action_values(two_states(), 0.9, 0), std::invalid_argument);
}

}  // namespace value_iteration_test
}  // namespace fewwatt::tasks
