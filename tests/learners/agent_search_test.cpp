#include "learners/control/agent_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_policies.hpp"

namespace fewwatt::learners {
namespace agent_search_test {

constexpr double kBudgetW = 5.3;

PolicyModel agent(tasks::ModeActionKind actions, std::size_t measurements = 10) {
  auto model = tests::made_mode_policy(*tests::example_space());
  model.mdp->actions = actions;
  model.mdp->measurements = measurements;
  return model;
}

std::unique_ptr<Search> search(const PolicyModel& model, std::size_t planned = 10) {
  auto registry = builtin();
  registry.searches.add(agent_search(model));
  Goal goal;
  goal.limits.max_power_w = kBudgetW;
  goal.limits.confidence = 0.9;
  SearchOptions options;
  options.planned = planned;
  return make_search(kAgentSearch, tests::example_space(), make_learner("sim_only"), goal, options, registry);
}

hw::Measurement example(const hw::PowerMode& mode) {
  return {tests::example_time_ms(mode), tests::example_power_w(mode)};
}

std::vector<hw::PowerMode> run(Search& made) {
  std::vector<hw::PowerMode> asked;
  while (const auto mode = made.ask()) {
    asked.push_back(*mode);
    made.tell(*mode, example(*mode));
  }
  return asked;
}

TEST(AgentSearch, MeasuresAsPlannedAndAnswersInsideTheBudget) {
  for (const auto& [name, actions] : tasks::kModeActionKinds) {
    const auto made = search(agent(actions));
    const auto asked = run(*made);
    EXPECT_EQ(asked.size(), 10u) << name;
    EXPECT_EQ(asked.front(), tests::example_space()->lowest());
    const auto answer = made->answer();
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->measured);
    double least_ms = INFINITY;
    for (const auto& mode : asked)
      if (tests::example_power_w(mode) <= kBudgetW)
        least_ms = std::min(least_ms, tests::example_time_ms(mode));
    EXPECT_NEAR(answer->time_ms, least_ms, 1e-9);
    EXPECT_TRUE(std::isnan(made->expected_gain(10)));
  }
}

TEST(AgentSearch, EndsWhereTheAgentOrThePlanDoes) {
  EXPECT_EQ(run(*search(agent(tasks::ModeActionKind::jump, 4), 10)).size(), 4u);
  EXPECT_EQ(run(*search(agent(tasks::ModeActionKind::jump, 10), 4)).size(), 4u);
}

// An agent with a memory, which has seen what it would have seen.
TEST(AgentSearch, GoesOnWhereItEnded) {
  for (const auto& [name, actions] : tasks::kModeActionKinds) {
    const auto whole = run(*search(agent(actions)));
    const auto resumed = search(agent(actions));
    for (std::size_t i = 0; i < 5; ++i) resumed->tell(whole[i], example(whole[i]));
    const auto rest = run(*resumed);
    EXPECT_EQ(rest, std::vector<hw::PowerMode>(whole.begin() + 5, whole.end())) << name;
  }
}

TEST(AgentSearch, WithoutPowerOrTimeThereIsNoAnswer) {
  for (const bool timed : {false, true}) {
    const auto made = search(agent(tasks::ModeActionKind::jump));
    for (auto mode = made->ask(); mode; mode = made->ask()) {
      auto measured = example(*mode);
      (timed ? measured.power_w : measured.time_ms) = std::nan("");
      made->tell(*mode, measured);
    }
    EXPECT_FALSE(made->answer());
  }
}

TEST(AgentSearch, NeedsALearnerAndKnobsThatItWasTrainedWith) {
  auto registry = builtin();
  auto other = agent(tasks::ModeActionKind::jump);
  other.knobs = "clock/gpu";
  registry.searches.add(agent_search(other));
  EXPECT_THROW(make_search(kAgentSearch, tests::example_space(), nullptr, {}, {}, registry),
               std::invalid_argument);
  EXPECT_THROW(make_search(kAgentSearch, tests::example_space(), make_learner("gp"), {}, {}, registry),
               std::invalid_argument);
}

}  // namespace agent_search_test
}  // namespace fewwatt::learners
