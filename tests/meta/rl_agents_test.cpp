// What every agent must do, and that it learns.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "meta/rl/agent_training.hpp"
#include "meta/rl/agents.hpp"
#include "meta/rl/dqn.hpp"
#include "meta/rl/policy_gradients.hpp"
#include "meta/rl/validation.hpp"
#include "tests/meta/cartpole.hpp"
#include "tests/meta/small_environments.hpp"

namespace fewwatt::meta {
namespace rl_agents_test {

const MakeEnvironment kChain = [](std::uint64_t) { return std::make_unique<tests::Chain>(true); };
const MakeEnvironment kScoredChain = [](std::uint64_t) { return std::make_unique<tests::Chain>(false); };
const MakeEnvironment kNearest = [](std::uint64_t seed) { return std::make_unique<tests::Nearest>(seed); };

// One way to train an agent. `change` is made to the options that all have.
struct Way {
  std::string name;
  std::function<std::unique_ptr<NetTrainer>(const MakeEnvironment&, std::uint64_t seed,
                                            const std::function<void(NetTrainOptions&)>& change)>
      make;
};
std::ostream& operator<<(std::ostream& out, const Way& way) {
  return out << way.name;
}

template <class Agent, class Options>
Way way(const std::string& name, Options options) {
  options.net.hidden = {16};
  options.net.environments = 8;
  options.net.updates = 400;
  options.net.rate = 1e-2;
  return {name, [options](const MakeEnvironment& make, std::uint64_t seed, const auto& change) {
            auto changed = options;
            if (change) change(changed.net);
            return std::make_unique<Agent>(make, changed, seed);
          }};
}

Way dqn(const std::string& name, bool double_q, bool duelling, int reward_steps) {
  return way<Dqn>(name, DqnOptions{.steps = 32,
                                   .gradient_steps = 16,
                                   .batch = 32,
                                   .capacity = 500,
                                   .warm_up = 100,
                                   .target_every = 20,
                                   .explore_steps = 1500,
                                   .reward_steps = reward_steps,
                                   .double_q = double_q,
                                   .duelling = duelling});
}

std::vector<Way> ways() {
  return {
      dqn("dqn", false, false, 1),
      dqn("double_dqn", true, false, 1),
      dqn("duelling_dqn_of_3_steps", true, true, 3),
      way<Reinforce>("reinforce", ReinforceOptions{}),
      way<A2c>("a2c", A2cOptions{.steps = 8}),
      way<Ppo>("ppo", PpoOptions{.ppo = {.epochs = 4, .minibatches = 2}, .steps = 16}),
      way<Rl2>("rl2", Rl2Options{.ppo = {.epochs = 4, .minibatches = 2}, .memory = 8, .trial_episodes = 2})};
}

class EveryAgent : public testing::TestWithParam<Way> {
 protected:
  std::unique_ptr<NetTrainer> make(const MakeEnvironment& environment, std::uint64_t seed,
                                   const std::function<void(NetTrainOptions&)>& change = {}) const {
    return GetParam().make(environment, seed, change);
  }
};

std::string name_of(const testing::TestParamInfo<Way>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Agents, EveryAgent, testing::ValuesIn(ways()), name_of);

// Takes one of the actions that a function of them and the observation says.
class Rule final : public learners::Policy {
 public:
  using Choose = std::function<std::size_t(const Matrix& actions, const Vector& observation)>;
  explicit Rule(Choose choose) : choose_(std::move(choose)) {}
  void begin(const Matrix& actions, std::uint64_t) override { actions_ = actions; }
  std::size_t act(const Vector& observation, double, std::span<const char>) override {
    return choose_(actions_, observation);
  }

 private:
  Choose choose_;
  Matrix actions_;
};

constexpr int kEpisodes = 40;
constexpr std::uint64_t kSeed = 77;

TEST_P(EveryAgent, LearnsToGoToTheEndOfAChain) {
  Rule right([](const Matrix&, const Vector&) { return 1; });
  for (const auto& chain : {kChain, kScoredChain}) {
    const double best = mean_return(right, chain, kEpisodes, kSeed);
    const auto agent = make(chain, 1);
    const auto summary = train_agent(*agent, return_in(chain, kEpisodes, kSeed),
                                     {.updates = 400, .validate_every = 10, .enough = best - 1e-9});
    EXPECT_NEAR(summary.best_return, best, 1e-9);
  }
}

TEST_P(EveryAgent, LearnsToChooseWhereActionsDifferInNumber) {
  Rule nearest([](const Matrix& actions, const Vector& observation) {
    Eigen::Index at = 0;
    (actions.array() - observation[0]).abs().matrix().col(0).minCoeff(&at);
    return static_cast<std::size_t>(at);
  });
  Rule first([](const Matrix&, const Vector&) { return 0; });
  const double best = mean_return(nearest, kNearest, kEpisodes, kSeed),
               worse = mean_return(first, kNearest, kEpisodes, kSeed);
  const double enough =
      best - 0.3 * (best - worse);  // policies draw their actions, and keep some chance of others
  const auto agent = make(kNearest, 1);
  const auto summary = train_agent(*agent, return_in(kNearest, kEpisodes, kSeed),
                                   {.updates = 400, .validate_every = 10, .enough = enough});
  EXPECT_GE(summary.best_return, enough);
}

TEST_P(EveryAgent, SameSeedSameBytes) {
  for (const auto& environment : {MakeEnvironment(tests::make_cartpole), kNearest}) {
    const auto a = make(environment, 5), b = make(environment, 5), other = make(environment, 6);
    for (int i = 0; i < 6; ++i) {
      const auto of_a = a->update(), of_b = b->update();
      EXPECT_EQ(of_a.loss, of_b.loss);
      EXPECT_EQ(of_a.returns, of_b.returns);
      other->update();
    }
    EXPECT_EQ(a->snapshot().tensors, b->snapshot().tensors);
    EXPECT_NE(a->parameters(), other->parameters());
  }
}

TEST_P(EveryAgent, ResumedEqualsUninterrupted) {
  for (const auto& environment : {MakeEnvironment(tests::make_cartpole), kNearest}) {
    const auto whole = make(environment, 5);
    for (int i = 0; i < 7; ++i) whole->update();
    const auto rest = make(environment, 5);
    rest->set_state(whole->state());
    EXPECT_EQ(rest->state().tensors, whole->state().tensors);
    EXPECT_EQ(rest->state().numbers, whole->state().numbers);
    for (int i = 0; i < 6; ++i) {
      const auto expected = whole->update(), found = rest->update();
      EXPECT_EQ(found.loss, expected.loss);
      EXPECT_EQ(found.returns, expected.returns);
    }
    EXPECT_EQ(rest->state().tensors, whole->state().tensors);
    EXPECT_EQ(rest->state().numbers, whole->state().numbers);
  }
}

TEST_P(EveryAgent, ThatDivergesSaysWhereAndKeepsTheBest) {
  const auto agent = make(kChain, 1, [](NetTrainOptions& net) { net.rate = 1e160; });
  const ReturnOf any = [](const learners::Checkpoint&, const StopCheck&) { return 1.0; };
  // The first updates move the parameters by the rate, and what they give overflows after that.
  const auto before = agent->snapshot();
  AgentTrainState state{.best_update = 0, .best_return = 2, .best = before, .agent = agent->state()};
  const auto summary = train_agent(*agent, any, {.updates = 50, .validate_every = 1}, {}, &state);
  EXPECT_EQ(summary.stop, Stop::diverged);
  EXPECT_NE(summary.message.find("the loss or its gradient is not finite in update "), std::string::npos);
  EXPECT_EQ(summary.best.tensors, before.tensors);
}

TEST_P(EveryAgent, RefusesAStateOfAnother) {
  const auto agent = make(kChain, 1);
  auto state = agent->state();
  state.learner = "other-state";
  EXPECT_THROW(agent->set_state(state), std::invalid_argument);
  state = agent->state();
  state.tensors["first_moment"] = Matrix::Zero(1, 3);
  EXPECT_THROW(agent->set_state(state), std::invalid_argument);
  const auto larger = make(kChain, 1, [](NetTrainOptions& net) { net.hidden = {17}; });
  EXPECT_THROW(larger->set_state(agent->state()), std::invalid_argument);
}

TEST_P(EveryAgent, RefusesBadOptionsAndNoEnvironment) {
  const auto refused = [&](const std::function<void(NetTrainOptions&)>& change) {
    EXPECT_THROW(make(kChain, 1, change), std::invalid_argument);
  };
  refused([](NetTrainOptions& net) { net.rate = 0; });
  refused([](NetTrainOptions& net) { net.rate = std::nan(""); });
  refused([](NetTrainOptions& net) { net.discount = 1.5; });
  refused([](NetTrainOptions& net) { net.clip_norm = -1; });
  refused([](NetTrainOptions& net) { net.environments = 0; });
  refused([](NetTrainOptions& net) { net.updates = 0; });
  refused([](NetTrainOptions& net) { net.hidden = {0}; });
  EXPECT_THROW(make({}, 1), std::invalid_argument);
}

TEST(ReturnIn, ASnapshotThatNoBoardTakesIsTheWorst) {
  const Ppo ppo(kChain, {}, 1);
  auto snapshot = ppo.snapshot();
  const auto validate = return_in(kChain, 3, kSeed);
  EXPECT_TRUE(std::isfinite(validate(snapshot, {})));
  for (const double value : {1e30, std::nan("")}) {
    snapshot.tensors["score/weights"](0, 0) = value;
    EXPECT_EQ(validate(snapshot, {}), -std::numeric_limits<double>::infinity());
  }
  EXPECT_THROW(validate(snapshot, [] { return true; }), Interrupted);
}

template <class Options>
void expect_options(const std::string& message, Options options) {
  EXPECT_EQ(options.error(), message);
  EXPECT_FALSE(learners::options_of([&](learners::OptionVisitor& on) { options.each(on); }).empty());
}

TEST(AgentOptions, SayWhatIsWrong) {
  expect_options("", DqnOptions{});
  expect_options("", PpoOptions{});
  expect_options("DqnOptions: batch must be in [1, 65536], got 0", DqnOptions{.batch = 0});
  expect_options("DqnOptions: explore_last must be in [0, 1], got 2", DqnOptions{.explore_last = 2});
  expect_options("A2cOptions: trace must be in [0, 1], got -1", A2cOptions{.trace = -1});
  expect_options("PpoOptions: epochs must be in [1, 1000], got 0", PpoOptions{.ppo = {.epochs = 0}});
  expect_options("ReinforceOptions: value_weight must be in [0, 1e+06], got -1",
                 ReinforceOptions{.value_weight = -1});
  expect_options("Rl2Options: memory must be in [1, 4096], got 0", Rl2Options{.memory = 0});
}

TEST(Agents, AreMadeByNameWithSettings) {
  for (const auto& entry : builtin_agents()) {
    const auto agent = entry.make(kChain, {{"updates", "7"}, {"hidden", "9,8"}, {"environments", "2"}}, 1);
    EXPECT_EQ(agent->most_updates(), 7) << entry.name;
    EXPECT_EQ(agent->shape().hidden, (std::vector<int>{9, 8})) << entry.name;
    EXPECT_GT(agent->update().steps, 0U) << entry.name;
    EXPECT_EQ(agent->snapshot().text("trained_by"), entry.name);
    EXPECT_EQ(learners::options_of(entry.options).front().name, "hidden") << entry.name;
    EXPECT_THROW(entry.make(kChain, {{"no_such", "1"}}, 1), std::invalid_argument) << entry.name;
    EXPECT_THROW(entry.make(kChain, {{"rate", "-1"}}, 1), std::invalid_argument) << entry.name;
  }
  EXPECT_THROW(builtin_agents().find("no-such"), std::invalid_argument);
}

// 40 environments are enough for several threads to have something to do.
TEST(Agents, ResultsDoNotDependOnTheNumberOfWorkers) {
  for (const auto& make : {kChain, kNearest})
    for (const auto& entry : builtin_agents()) {
      const auto after_updates = [&](const char* workers) {
        const learners::Settings settings = {{"hidden", "5"}, {"environments", "40"}, {"workers", workers}};
        const auto agent = entry.make(make, settings, 1);
        agent->update();
        agent->update();
        return agent->parameters();
      };
      EXPECT_EQ(after_updates("1"), after_updates("3")) << entry.name;
    }
}

// Nothing that is observed tells which arm is good, so who has no memory gets half of the pulls at most, give or take.
TEST(Rl2, LearnsToFindOutWhichArmIsGood) {
  static constexpr int kPulls = 10;
  const MakeEnvironment arms = [](std::uint64_t seed) { return std::make_unique<tests::Arms>(seed, kPulls); };
  Rl2 rl2(arms, {.net = {.hidden = {16}, .rate = 1e-2, .updates = 150, .environments = 32}, .memory = 16}, 1);
  const auto summary = train_agent(rl2, return_in(arms, 400, kSeed), {.updates = 150, .validate_every = 10});
  Rule first([](const Matrix&, const Vector&) { return 0; });
  EXPECT_LT(mean_return(first, arms, 400, kSeed), 0.56 * kPulls);
  EXPECT_GT(summary.best_return, 0.75 * kPulls);
}

// What was found out in the first episode of a trial helps in the second.
TEST(Rl2, KeepsItsMemoryOverTheEpisodesOfATrial) {
  const MakeEnvironment arms = [](std::uint64_t seed) { return std::make_unique<tests::Arms>(seed, 5); };
  Rl2 rl2(arms,
          {.net = {.hidden = {16}, .rate = 1e-2, .updates = 200, .environments = 32},
           .memory = 16,
           .trial_episodes = 2},
          1);
  for (int i = 0; i < 200; ++i) rl2.update();
  hw::Rng draws(9);
  const WholeTrials which{.seed = kSeed, .side_by_side = 400, .episodes = 2};
  const auto rollout = play(arms, which, rl2.shape(), rl2.parameters(), draws);
  ASSERT_EQ(rollout.steps.rewards.rows(), 10);
  const double first = rollout.steps.rewards.topRows(5).sum() / 400,
               second = rollout.steps.rewards.bottomRows(5).sum() / 400;
  EXPECT_GT(second, 0.8 * 5);
  EXPECT_LT(first, second - 0.3);
}

}  // namespace rl_agents_test
}  // namespace fewwatt::meta
