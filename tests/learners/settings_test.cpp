// Checkpoints come from other people: whatever a number in one is, it is named or does no harm.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::learners {
namespace settings_test {

using tests::example_space;
using tests::example_support;

// Of workloads that were measured in all modes, with mixtures of them.
Checkpoint sim_prior_with_mixtures() {
  auto model = tests::usual_sim_prior(*example_space());
  for (auto& target : model.targets) {
    Matrix two(2, target->training.cols());
    two << target->training, 0.5 * target->training;
    target->training = two;
    target->mixed.emplace().residual = target->residual;
  }
  return model.to_checkpoint();
}

std::vector<Checkpoint> all_kinds() {
  const auto of_example = example_space();
  const auto& space = *of_example;
  return {tests::random_fine_tune(space),
          tests::random_transfer(space, false),
          tests::random_transfer(space, true),
          tests::random_proto(space).to_checkpoint(),
          tests::random_ridge(space).to_checkpoint(),
          tests::random_ridge(space, true).to_checkpoint(),
          tests::random_gp(space).to_checkpoint(),
          tests::random_gp(space, false).to_checkpoint(),
          sim_prior_with_mixtures(),
          tests::made_factor(space).to_checkpoint(),
          tests::random_ensemble(space, Combination::stacking),
          tests::checkpoint_without_rows("auto", space)};
}

// What entries of a combination's members have of their own is tried with the member.
bool is_of_member(const Checkpoint& checkpoint, const std::string& entry) {
  return (checkpoint.learner == "auto" || checkpoint.learner == "ensemble") &&
         entry.find("power/") != std::string::npos;
}

Prediction predicted(const Checkpoint& checkpoint) {
  const auto modes = example_space()->modes();
  return make_learner(checkpoint)->adapt(example_support(6, 1))->predict(modes);
}

TEST(Settings, EachKindThatNeedsACheckpointIsTried) {
  const auto kinds = all_kinds();
  for (const auto& facts : builtin().learners) {
    if (!facts.needs_checkpoint) continue;
    EXPECT_TRUE(std::any_of(kinds.begin(), kinds.end(), [&](const auto& c) {
      return c.learner == facts.name;
    })) << facts.name;
  }
}

TEST(Settings, ANumberOutOfBoundsIsNamedOrDoesNoHarm) {
  const double bad[] = {std::nan(""), HUGE_VAL, -HUGE_VAL, -1, 0, 2147483648.0, 1e300};
  std::size_t tried = 0, named = 0;
  for (const auto& good : all_kinds()) {
    ASSERT_TRUE(predicted(good).log_mean.allFinite()) << good.learner;
    for (const auto& [entry, values] : good.numbers) {
      if (is_of_member(good, entry)) continue;
      for (const double value : bad) {
        const std::string what = good.learner + ": " + entry + " = " + std::to_string(value);
        auto c = good;
        c.numbers[entry].back() = value;
        ++tried;
        try {
          const auto p = predicted(c);
          EXPECT_TRUE(p.median().allFinite() && p.median().minCoeff() > 0 && p.log_variance.allFinite())
              << what;
          EXPECT_TRUE(std::isfinite(value)) << what;
        } catch (const std::invalid_argument& e) {
          ++named;
          EXPECT_NE(std::string(e.what()).find(entry.substr(entry.rfind('/') + 1)), std::string::npos)
              << what << ": " << e.what();
        }
      }
    }
  }
  EXPECT_GT(tried, 300u);
  EXPECT_GT(named, tried / 2);
}

// What a tensor holds may make a prediction useless, but nothing worse.
TEST(Settings, ATensorOutOfBoundsIsRefusedOrPredictsSomething) {
  for (const auto& good : all_kinds()) {
    if (good.learner == "auto" || good.learner == "ensemble") continue;  // of the same members
    for (const auto& [entry, tensor] : good.tensors) {
      if (tensor.size() == 0 || entry.starts_with("power/")) continue;
      for (const double value : {std::nan(""), HUGE_VAL, -1.0, 1e300}) {
        auto c = good;
        c.tensors[entry](0, tensor.cols() - 1) = value;
        try {
          const auto p = predicted(c);
          EXPECT_EQ(p.median().rows(), 12) << good.learner << ": " << entry;
        } catch (const std::exception& e) {
          EXPECT_STRNE(e.what(), "") << entry;
        }
      }
      auto shorter = good;
      shorter.tensors[entry] = Matrix(tensor.leftCols(tensor.cols() - 1));
      EXPECT_THROW(predicted(shorter), std::exception) << good.learner << ": " << entry;
    }
  }
}

TEST(Settings, SizesOfANetAreMultipliedIn64Bits) {
  EXPECT_EQ((MlpShape{{65536, 65536, 1}, Activation::silu, {}}.num_parameters()), 65537ull * 65536 + 65537);
  auto c = tests::random_fine_tune(*example_space());
  for (const auto& hidden : {std::vector<double>{65536, 65536}, std::vector<double>{4096, 4096},
                             std::vector<double>(17, 1), std::vector<double>(100'000, 4096)}) {
    c.numbers["hidden"] = hidden;
    EXPECT_THROW(make_learner(c), std::invalid_argument) << hidden.size();
  }
  c.numbers["hidden"] = {};
  EXPECT_THROW(make_learner(c), std::invalid_argument);
}

TEST(Settings, StepsAreBoundedByWhatTheNetCosts) {
  auto c = tests::random_fine_tune(*example_space());
  c.numbers["time/fine_tune/steps"] = {2e9};
  EXPECT_THROW(make_learner(c), std::invalid_argument);
  FineTuneModel model = FineTuneModel::from_checkpoint(tests::random_fine_tune(*example_space()));
  const int f = model.shape.sizes.front();
  model.shape.sizes = {f, 256, 256, 1};
  for (auto& target : model.targets) {
    target->weights = Vector::Zero(static_cast<Eigen::Index>(model.shape.num_parameters()));
    target->fine_tune.steps = kMostFineTuneSteps;
  }
  EXPECT_THROW(FineTune{model}, std::invalid_argument);
  for (auto& target : model.targets) target->fine_tune.steps = 1000;
  EXPECT_NO_THROW(FineTune{model});
}

// Of each, a table would have the square of it, or it times all modes.
TEST(Settings, WorkloadsAndCurvesHaveBounds) {
  auto stated = sim_prior_with_mixtures();
  stated.tensors["stated/characteristics"] = Matrix::Ones(100'000, 4);
  stated.numbers["stated/time_of"].assign(100'000, 0);
  for (const std::string target : {"time/", "power/"}) {
    auto& curves = stated.tensors[target + "stated/curves"];
    curves = Matrix::Zero(100'000, curves.cols());
  }
  EXPECT_THROW(make_learner(stated), std::invalid_argument);
  auto proto = tests::random_proto(*example_space()).to_checkpoint();
  proto.tensors["time/curve_knobs"] = Matrix::Zero(kMostCurveModes + 1, 2);
  proto.tensors["time/curve_weights"] = Matrix::Zero(kMostCurveModes + 1, 3);
  EXPECT_THROW(make_learner(proto), std::invalid_argument);
}

TEST(Settings, ACandidateStandsOnce) {
  auto c = tests::checkpoint_without_rows("auto", *example_space());
  c.texts["candidates"] += " sim_prior";
  EXPECT_THROW(make_learner(c), std::invalid_argument);
}

TEST(Settings, HyperParametersOfAModelAreChecked) {
  const auto learner = make_learner(std::string_view("gp"));
  const auto support = example_support(6, 1);
  auto fitted = learner->adapt(support)->fitted();
  for (const double value : {std::nan(""), HUGE_VAL, 1e300}) {
    auto bad = fitted;
    bad.at("time/gp")[0] = value;
    EXPECT_THROW(learner->update(support, bad), std::invalid_argument) << value;
  }
}

}  // namespace settings_test
}  // namespace fewwatt::learners
