#include "meta/rl/dqn.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "learners/mlp.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace rl_dqn_test {

// Without hidden layers: Q = b + w s for one number s that is observed.
const PolicyShape kLinear{.observation = 1, .actions = 3, .hidden = {}, .with_values = false};

Vector linear(std::array<double, 3> slopes, std::array<double, 3> at_zero) {
  Vector all(6);
  all << slopes[0], slopes[1], slopes[2], at_zero[0], at_zero[1], at_zero[2];
  return all;
}

TransitionBatch two_transitions() {
  TransitionBatch batch;
  batch.observations = (Matrix(2, 1) << 0.5, 2).finished();
  batch.next = (Matrix(2, 1) << 1, 1).finished();
  batch.actions = {0, 2};
  batch.rewards = (Vector(2) << 10, 20).finished();
  batch.discounts = (Vector(2) << 0.9, 0).finished();
  return batch;
}

TEST(DqnTargets, AreTheirDefinition) {
  // At s' = 1 the net says 1, 5, 2 and the target net 4, 3, 7.
  const Vector net = linear({1, 1, 1}, {0, 4, 1}), target = linear({1, 1, 1}, {3, 2, 6});
  const auto plain = dqn_targets(kLinear, net, target, two_transitions(), /*double_q=*/false);
  const auto twice = dqn_targets(kLinear, net, target, two_transitions(), /*double_q=*/true);
  EXPECT_NEAR(plain[0], 10 + 0.9 * 7, 1e-12);
  EXPECT_NEAR(twice[0], 10 + 0.9 * 3, 1e-12);
  EXPECT_EQ(plain[1], 20);
  EXPECT_EQ(twice[1], 20);
}

TEST(DqnTargets, NeverTakeAnActionThatASetDoesNotHave) {
  const PolicyShape scored{
      .observation = 1, .action_features = 1, .embedding = 1, .hidden = {}, .with_values = false};
  const Vector parameters = (Vector(4) << 0, 1, 1, -5).finished();  // Q = 1 (action - 5)
  auto batch = two_transitions();
  batch.choices = Choices(std::vector<ActionSet>{std::make_shared<const Matrix>(Matrix::Constant(1, 1, -2)),
                                                 std::make_shared<const Matrix>(Matrix::Constant(3, 1, 1))});
  batch.discounts.setOnes();
  for (const bool double_q : {false, true}) {
    const auto found = dqn_targets(scored, parameters, parameters, batch, double_q);
    EXPECT_NEAR(found[0], 10 - 7, 1e-12);
    EXPECT_NEAR(found[1], 20 - 4, 1e-12);
  }
}

TEST(DqnTargets, LeaveOutWhatIsSpentInTheNextSituation) {
  // At s' = 1 the net says 1, 5, 2 and the target net 4, 3, 7.
  const Vector net = linear({1, 1, 1}, {0, 4, 1}), target = linear({1, 1, 1}, {3, 2, 6});
  auto batch = two_transitions();
  batch.next_spent = {{2}, {0, 1}};
  EXPECT_NEAR(dqn_targets(kLinear, net, target, batch, /*double_q=*/false)[0], 10 + 0.9 * 4, 1e-12);
  EXPECT_NEAR(dqn_targets(kLinear, net, target, batch, /*double_q=*/true)[0], 10 + 0.9 * 3, 1e-12);
  batch.next_spent = {{1}, {}};
  EXPECT_NEAR(dqn_targets(kLinear, net, target, batch, /*double_q=*/false)[0], 10 + 0.9 * 7, 1e-12);
  EXPECT_NEAR(dqn_targets(kLinear, net, target, batch, /*double_q=*/true)[0], 10 + 0.9 * 7, 1e-12);
  batch.next_spent = {{3}, {}};
  EXPECT_THROW(dqn_targets(kLinear, net, target, batch, /*double_q=*/false), std::out_of_range);
}

TEST(DqnTargets, OfASmallWorldAreThoseByHand) {
  // Each of three actions may be taken once and gives 10, 20, 30; an episode has two. Q is 5, 3, 1 everywhere.
  const Vector net = linear({0, 0, 0}, {5, 3, 1});
  const Vector seen = Vector::Ones(1);
  StepWindow window(1, 0.9);
  std::vector<std::size_t> spent;
  std::vector<double> found;
  for (const std::size_t action : {0, 1}) {
    spent.push_back(action);
    const tasks::Step step{.observation = seen,
                           .reward = 10.0 * static_cast<double>(action + 1),
                           .terminated = spent.size() == 2};
    for (auto& one : window.add(seen, nullptr, action, step, spent)) {
      Replay replay(1);
      replay.add(std::move(one));
      hw::Rng rng(1);
      found.push_back(dqn_targets(kLinear, net, net, replay.sample(1, rng), /*double_q=*/true)[0]);
    }
  }
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found[0], 10 + 0.9 * 3, 1e-12);  // action 0 is spent, and 1 is the best that is left
  EXPECT_NEAR(found[1], 20, 1e-12);
}

TEST(DqnTargets, OfADuellingNetKeepTheMeanOverAllActions) {
  const PolicyShape shape{.observation = 1, .actions = 3, .hidden = {4}};
  hw::Rng rng(5);
  Vector parameters(shape.num_parameters());
  for (auto& value : parameters) value = rng.normal();
  auto batch = two_transitions();
  batch.next_spent = {{0}, {}};
  const Matrix worth = action_values(shape, parameters, batch.next, std::vector<ActionSet>(2));
  const auto found = dqn_targets(shape, parameters, parameters, batch, /*double_q=*/true);
  EXPECT_NEAR(found[0], 10 + 0.9 * worth.row(0).tail(2).maxCoeff(), 1e-12);
}

TEST(Duelling, IsTheValuePlusAdvantagesMinusTheirMean) {
  hw::Rng rng(3);
  for (const int actions : {3, 0}) {
    const PolicyShape shape{.observation = 2,
                            .actions = actions,
                            .action_features = 2,
                            .embedding = actions > 0 ? 0 : 3,
                            .hidden = {4}};
    Vector parameters(shape.num_parameters());
    for (auto& value : parameters) value = rng.normal();
    const Matrix observations = (Matrix(2, 2) << 0.5, -1, 2, 0.3).finished();
    Matrix small(2, 2), large(4, 2);
    small << 1, 0, 0, 1;
    large << 1, 0, 0, 1, 1, 1, -1, 2;
    std::vector<ActionSet> sets(2);
    if (actions == 0) sets = {std::make_shared<const Matrix>(small), std::make_shared<const Matrix>(large)};
    const Matrix found = action_values(shape, parameters, observations, sets);

    const auto score_size = static_cast<Eigen::Index>(shape.scores().num_parameters());
    const learners::Mlp<double> scores(shape.scores(), parameters.head(score_size));
    const learners::Mlp<double> values(
        shape.values(), parameters.tail(static_cast<Eigen::Index>(shape.values().num_parameters())));
    for (Eigen::Index row = 0; row < 2; ++row) {
      Vector advantages;
      if (actions > 0) {
        advantages = scores.forward(observations.row(row)).transpose();
      } else {
        const Matrix& set = *sets[static_cast<std::size_t>(row)];
        const learners::Mlp<double> rows(
            shape.rows(),
            parameters.segment(score_size, static_cast<Eigen::Index>(shape.rows().num_parameters())));
        advantages = rows.forward(set) * scores.forward(observations.row(row)).transpose() / std::sqrt(3);
      }
      const double value = values.forward(observations.row(row))(0, 0);
      for (Eigen::Index a = 0; a < advantages.size(); ++a)
        EXPECT_NEAR(found(row, a), value + advantages[a] - advantages.mean(), tests::kParity);
    }
    if (actions == 0) {
      EXPECT_LT(found(0, 2), -1e8);
    }
  }
}

TEST(Dqn, GradientsEqualCentralDifferences) {
  hw::Rng rng(4);
  for (const bool duelling : {false, true}) {
    const PolicyShape shape{.observation = 1, .actions = 3, .hidden = {4}, .with_values = duelling};
    Vector at(shape.num_parameters());
    for (auto& value : at) value = rng.normal();
    const Vector targets = (Vector(2) << 0.3, 40).finished();  // near one, and beyond the Huber loss's 1
    const auto batch = two_transitions();
    const auto loss = [&](const Vector& p) { return dqn_gradient(shape, p, batch, targets).loss; };
    EXPECT_LE(tests::gradient_error(loss, at, dqn_gradient(shape, at, batch, targets).gradient),
              tests::kGradient);
  }
}

}  // namespace rl_dqn_test
}  // namespace fewwatt::meta
