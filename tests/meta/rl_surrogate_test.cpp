#include "meta/rl/surrogate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "hw/random.hpp"
#include "learners/mlp.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace rl_surrogate_test {

using learners::Activation;

const PolicyShape kFixed{.observation = 3, .actions = 4, .action_features = 2, .hidden = {5, 4}};
const PolicyShape kScored{
    .observation = 3, .action_features = 2, .embedding = 3, .hidden = {5}, .activation = Activation::silu};
const PolicyShape kMemory{.observation = 3, .actions = 4, .action_features = 2, .memory = 4, .hidden = {5}};
const PolicyShape kScoredMemory{
    .observation = 3, .action_features = 2, .memory = 4, .embedding = 3, .hidden = {5}};

Matrix normal(Eigen::Index rows, Eigen::Index cols, hw::Rng& rng) {
  Matrix m(rows, cols);
  for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = rng.normal();
  return m;
}

Vector made_up_parameters(const PolicyShape& shape) {
  hw::Rng rng(5);
  return 0.5 * normal(1, shape.num_parameters(), rng).transpose();
}

// Four steps of three trials, the second of which is over after two. Where actions are scored, there are 4, 2 and 3 of them.
PolicyBatch made_up_batch(const PolicyShape& shape, bool with_spent = false) {
  hw::Rng rng(7);
  PolicyBatch batch;
  batch.side_by_side = 3;
  batch.inputs = normal(12, shape.memory > 0 ? shape.memory_inputs() : shape.observation, rng);
  std::vector<ActionSet> sets(3);
  if (shape.actions == 0)
    for (std::size_t i = 0; i < 3; ++i)
      sets[i] = std::make_shared<const Matrix>(normal(std::array{4, 2, 3}[i], shape.action_features, rng));
  batch.weights = Vector::Ones(12);
  batch.weights[7] = batch.weights[10] = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    batch.sets.push_back(sets[i % 3]);
    const auto actions = shape.actions > 0 ? 4 : static_cast<std::size_t>(sets[i % 3]->rows());
    const auto action = rng.below(actions);
    batch.actions.push_back(static_cast<std::int64_t>(action));
    if (with_spent) batch.spent.push_back({(action + 1) % actions});
  }
  batch.advantages = normal(12, 1, rng);
  batch.returns = normal(12, 1, rng);
  batch.log_probabilities = normal(12, 1, rng).array() * 0.3 - 1.4;
  return batch;
}

void expect_exact_gradient(const Surrogate& surrogate) {
  for (const bool with_spent : {false, true})
    for (const auto& shape : {kFixed, kScored, kMemory, kScoredMemory}) {
      const auto batch = made_up_batch(shape, with_spent);
      const Vector at = made_up_parameters(shape);
      const auto loss = [&](const Vector& p) { return surrogate_gradient(shape, p, batch, surrogate).loss; };
      EXPECT_LE(tests::gradient_error(loss, at, surrogate_gradient(shape, at, batch, surrogate).gradient),
                tests::kGradient);
    }
}

TEST(Surrogate, PolicyGradientsEqualCentralDifferences) {
  expect_exact_gradient({.entropy_weight = 0.1});
}

TEST(Surrogate, PposGradientsEqualCentralDifferences) {
  expect_exact_gradient({.clip = 0.2, .entropy_weight = 0.1});
}

// Scores and value of a row by the board's net, for a shape with fixed actions and no memory.
Vector scores_of(const PolicyShape& shape, const Vector& parameters, const Vector& row) {
  const auto size = static_cast<Eigen::Index>(shape.scores().num_parameters());
  return learners::Mlp<double>(shape.scores(), parameters.head(size)).forward(row.transpose()).transpose();
}
double value_of(const PolicyShape& shape, const Vector& parameters, const Vector& row) {
  const auto size = static_cast<Eigen::Index>(shape.values().num_parameters());
  return learners::Mlp<double>(shape.values(), parameters.tail(size)).forward(row.transpose())(0, 0);
}

TEST(Surrogate, LossesAreTheirDefinition) {
  const auto batch = made_up_batch(kFixed);
  const Vector parameters = made_up_parameters(kFixed);
  for (const double clip : {0.0, 0.2}) {
    double expected = 0;
    int clipped = 0;
    for (Eigen::Index row = 0; row < 12; ++row) {
      if (batch.weights[row] == 0) continue;
      const Vector logits = scores_of(kFixed, parameters, batch.inputs.row(row).transpose());
      const Vector logs = logits.array() - std::log(logits.array().exp().sum());
      const double log_p = logs[batch.actions[static_cast<std::size_t>(row)]];
      const double ratio = std::exp(log_p - batch.log_probabilities[row]), advantage = batch.advantages[row];
      const double limited = std::min(std::max(ratio, 1 - clip), 1 + clip);
      const double gain = clip > 0 ? std::min(ratio * advantage, limited * advantage) : log_p * advantage;
      if (clip > 0 && gain != ratio * advantage) ++clipped;
      const double entropy = -(logs.array().exp() * logs.array()).sum();
      const double error =
          value_of(kFixed, parameters, batch.inputs.row(row).transpose()) - batch.returns[row];
      expected -= (gain + 0.1 * entropy - 0.7 * error * error) / 10;
    }
    if (clip > 0) {
      EXPECT_GT(clipped, 0);
    }
    EXPECT_NEAR(surrogate_gradient(kFixed, parameters, batch, {clip, 0.1, 0.7}).loss, expected,
                tests::kParity);
  }
}

TEST(Surrogate, WhatIsSpentHasNoProbability) {
  const auto all = made_up_batch(kFixed);
  auto some = all;
  some.spent.assign(12, {});
  const Vector at = made_up_parameters(kFixed);
  EXPECT_EQ(surrogate_gradient(kFixed, at, some, {}).loss, surrogate_gradient(kFixed, at, all, {}).loss);
  // Only the action that was taken is left: it has probability 1, and its log does not depend on the parameters.
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t action = 0; action < 4; ++action)
      if (static_cast<std::int64_t>(action) != all.actions[i]) some.spent[i].push_back(action);
  const auto found = surrogate_gradient(kFixed, at, some, {.entropy_weight = 0.1, .value_weight = 0});
  EXPECT_NEAR(found.loss, 0, 1e-12);
  EXPECT_LE(found.gradient.norm(), 1e-12);
}

TEST(Surrogate, WithoutAStepOfThePolicyPposGradientIsThePolicyGradient) {
  auto batch = made_up_batch(kFixed);
  const Vector at = made_up_parameters(kFixed);
  for (Eigen::Index row = 0; row < batch.size(); ++row) {
    const Vector logits = scores_of(kFixed, at, batch.inputs.row(row).transpose());
    batch.log_probabilities[row] =
        logits[batch.actions[static_cast<std::size_t>(row)]] - std::log(logits.array().exp().sum());
  }
  const Vector ppo = surrogate_gradient(kFixed, at, batch, {.clip = 0.2}).gradient;
  const Vector plain = surrogate_gradient(kFixed, at, batch, {}).gradient;
  EXPECT_LE((ppo - plain).norm(), 1e-9 * plain.norm());
}

TEST(Surrogate, RowsThatAreNotThereChangeNothing) {
  for (const auto& shape : {kScored, kScoredMemory}) {
    auto batch = made_up_batch(shape);
    const Vector at = made_up_parameters(shape);
    const auto before = surrogate_gradient(shape, at, batch, {.clip = 0.2});
    batch.inputs.row(10).setConstant(3);
    batch.advantages[7] = batch.returns[10] = 50;
    const auto after = surrogate_gradient(shape, at, batch, {.clip = 0.2});
    EXPECT_EQ(after.loss, before.loss);
    EXPECT_EQ(after.gradient, before.gradient);
  }
}

TEST(PolicyBatch, PartsHaveAllStepsOfTheirTrials) {
  const auto batch = made_up_batch(kScoredMemory);
  const std::vector<std::size_t> which = {2, 0};
  const auto part = batch.part(which);
  ASSERT_EQ(part.size(), 8);
  for (Eigen::Index step = 0; step < 4; ++step) {
    for (Eigen::Index i = 0; i < 2; ++i) {
      const auto from = 3 * step + (i == 0 ? 2 : 0), to = 2 * step + i;
      EXPECT_EQ(part.inputs.row(to), batch.inputs.row(from));
      EXPECT_EQ(part.sets[static_cast<std::size_t>(to)], batch.sets[static_cast<std::size_t>(from)]);
      EXPECT_EQ(part.actions[static_cast<std::size_t>(to)], batch.actions[static_cast<std::size_t>(from)]);
      EXPECT_EQ(part.returns[to], batch.returns[from]);
    }
  }
}

}  // namespace rl_surrogate_test
}  // namespace fewwatt::meta
