// What is trained with LibTorch is what learners/control runs with Eigen.

#include <gtest/gtest.h>

#include <cmath>

#include "learners/control/policy_net.hpp"
#include "meta/rl/dqn.hpp"
#include "meta/rl/policy_gradients.hpp"
#include "tests/meta/small_environments.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace rl_policy_parity_test {

Vector made_up(const PolicyShape& shape) {
  hw::Rng rng(8);
  Vector all(shape.num_parameters());
  for (auto& value : all) value = 0.6 * rng.normal();
  return all;
}

MakeEnvironment one_of(bool fixed) {
  if (fixed) return [](std::uint64_t) { return std::make_unique<tests::Chain>(true); };
  return [](std::uint64_t seed) { return std::make_unique<tests::Nearest>(seed); };
}

TEST(PolicyParity, ScoresAndValuesEqualTheBoards) {
  for (const bool fixed : {true, false}) {
    for (const int memory : {0, 5}) {
      for (const auto activation :
           {learners::Activation::tanh, learners::Activation::relu, learners::Activation::silu}) {
        const auto make = one_of(fixed);
        const auto shape = policy_shape(*example_of(make), {6, 4}, activation, memory, true);
        const auto parameters = made_up(shape);
        hw::Rng draws(3);
        const auto rollout = play(make, {.seed = 2, .side_by_side = 3}, shape, parameters, draws);

        const auto checkpoint = policy_checkpoint(shape, parameters, "made up", "preferences");
        learners::PolicyNet<double> net(learners::PolicyModel::from_checkpoint(checkpoint));
        for (Eigen::Index i = 0; i < 3; ++i) {
          Trial trial(make, shape, 2, static_cast<std::uint64_t>(i), 1);
          const auto environment =
              make(hw::Rng::stream(2, "environment", static_cast<std::uint64_t>(i)).bits());
          environment->reset(0);
          net.begin(environment->actions());
          double reward = 0;
          for (Eigen::Index t = 0; !trial.over(); ++t) {
            const auto row = 3 * t + i;
            const auto action =
                static_cast<std::size_t>(rollout.batch.actions[static_cast<std::size_t>(row)]);
            const auto& scores = net.scores(trial.observation(), reward);
            const double log_sum = std::log(scores.array().exp().sum());
            EXPECT_NEAR(scores[static_cast<Eigen::Index>(action)] - log_sum,
                        rollout.batch.log_probabilities[row], tests::kParity);
            EXPECT_NEAR(net.value(), rollout.steps.values(t, i), tests::kParity);
            reward = trial.step(action).reward;
            net.took(action);
          }
        }
      }
    }
  }
}

TEST(PolicyParity, ActionValuesEqualTheBoards) {
  for (const bool fixed : {true, false}) {
    for (const bool duelling : {true, false}) {
      const auto make = one_of(fixed);
      const auto environment = example_of(make);
      const auto shape = policy_shape(*environment, {6}, learners::Activation::relu, 0, duelling);
      const auto parameters = made_up(shape);
      const Matrix observations = 0.3 * Matrix::Ones(1, shape.observation);
      const auto set = std::make_shared<const Matrix>(environment->actions());
      const Matrix expected =
          action_values(shape, parameters, observations, std::vector<ActionSet>{fixed ? nullptr : set});
      const auto checkpoint = policy_checkpoint(shape, parameters, "made up", "values");
      learners::PolicyNet<double> net(learners::PolicyModel::from_checkpoint(checkpoint));
      net.begin(environment->actions());
      const auto& scores = net.scores(observations.row(0).transpose(), 0);
      ASSERT_EQ(scores.size(), expected.cols());
      EXPECT_LE((scores - expected.row(0)).cwiseAbs().maxCoeff(), tests::kParity);
    }
  }
}

}  // namespace rl_policy_parity_test
}  // namespace fewwatt::meta
