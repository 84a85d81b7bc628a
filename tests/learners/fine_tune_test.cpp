#include "learners/fine_tune.hpp"

#include <gtest/gtest.h>

#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::learners {
namespace fine_tune_test {

FineTuneModel model() {
  return FineTuneModel::from_checkpoint(tests::random_fine_tune(*tests::example_space()));
}

struct Rows {
  Matrix features, targets;
};

Rows rows() {
  hw::Rng rng(1);
  Rows made{Matrix(9, model().shape.sizes.front()), Matrix(9, 1)};
  for (auto& value : made.features.reshaped()) value = rng.normal();
  for (auto& value : made.targets.reshaped()) value = rng.normal();
  return made;
}

TEST(FineTune, CheckpointRoundTripKeepsEverySetting) {
  auto before = model();
  before.targets[0]->fine_tune = {Optimizer::sgd, 17, 0.25, 0.01};
  const auto after = FineTuneModel::from_checkpoint(before.to_checkpoint());
  EXPECT_EQ(after.trained_by, before.trained_by);
  EXPECT_EQ(after.shape.sizes, before.shape.sizes);
  EXPECT_EQ(after.targets[0]->weights, before.targets[0]->weights);
  EXPECT_EQ(after.targets[0]->fine_tune.optimizer, Optimizer::sgd);
  EXPECT_EQ(after.targets[0]->fine_tune.steps, 17);
  EXPECT_EQ(after.targets[0]->fine_tune.rate, 0.25);
  EXPECT_EQ(after.targets[0]->fine_tune.stop_rms, 0.01);
}

TEST(FineTune, OneSgdStepIsTheGradientTimesTheRate) {
  const auto m = model();
  const auto data = rows();
  const Vector& start = m.targets[0]->weights;
  const auto tuned =
      fine_tune<double>(m.shape, start, {Optimizer::sgd, 1, 0.1, 0}, 1, data.features, data.targets);
  Vector gradient;
  Mlp<double>(m.shape, start).loss(data.features, data.targets, gradient);
  EXPECT_LT((tuned.parameters() - (start - 0.1 * gradient)).norm(), 1e-14);
}

TEST(FineTune, StopsOnceTheResidualIsBelowTheNoise) {
  const auto m = model();
  const auto data = rows();
  const FineTuneOptions until{Optimizer::adam, 5000, 1e-2, 0.3};
  Vector ignored;
  auto net = fine_tune<double>(m.shape, m.targets[0]->weights, until, 1, data.features, data.targets);
  const double stopped = std::sqrt(net.loss(data.features, data.targets, ignored));
  EXPECT_LT(stopped, 0.3);
  EXPECT_GT(stopped, 0.2);  // not much further
}

TEST(FineTune, ZeroStepsReturnTheInitializer) {
  const auto m = model();
  const auto data = rows();
  const auto net = fine_tune<double>(m.shape, m.targets[0]->weights, {Optimizer::adam, 0, 1e-3, 0}, 1,
                                     data.features, data.targets);
  EXPECT_EQ(net.parameters(), m.targets[0]->weights);
}

TEST(FineTune, RefusesACheckpointWithAMissingOrMisshapenEntry) {
  auto c = tests::random_fine_tune(*tests::example_space());
  c.tensors.at("time/weights").conservativeResize(1, 10);
  EXPECT_THROW(make_learner(c), std::invalid_argument);
  c = tests::random_fine_tune(*tests::example_space());
  c.numbers.erase("time/fine_tune/rate");
  try {
    make_learner(c);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("time/fine_tune/rate"), std::string::npos) << e.what();
  }
}

TEST(FineTuneOptions, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(FineTuneOptions{}.error(), "");
  EXPECT_NE((FineTuneOptions{Optimizer::adam, -1, 1, 0}).error().find("steps"), std::string::npos);
  EXPECT_NE((FineTuneOptions{Optimizer::adam, 1, 0, 0}).error().find("rate"), std::string::npos);
  EXPECT_NE((FineTuneOptions{Optimizer::adam, 1, 1, -1}).error().find("stop_rms"), std::string::npos);
}

}  // namespace fine_tune_test
}  // namespace fewwatt::learners
