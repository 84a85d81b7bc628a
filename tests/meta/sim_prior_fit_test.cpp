#include "meta/sim_prior_fit.hpp"

#include <gtest/gtest.h>

#include "learners/registry.hpp"
#include "tests/meta/made_up_family.hpp"

namespace fewwatt::meta {
namespace sim_prior_fit_test {

using tasks::Vector;

TEST(SimPriorFit, MoreStepsFitTheTrainingWorkloadsBetter) {
  const auto training = tests::family(4);
  const auto noise = [&](int steps) {
    return fit_sim_prior(training, {.steps = steps}, 1).targets[tasks::kTimeMs]->log_noise;
  };
  EXPECT_LT(noise(60), noise(0) - 0.5);  // the family has no noise
}

TEST(SimPriorFit, KnowsWhatTrainingWorkloadsHaveInCommon) {
  const auto training = tests::family(3);
  const auto model = fit_sim_prior(training, {.steps = 0}, 1);
  EXPECT_EQ(model.modes, training[0].modes);
  ASSERT_EQ(model.targets[0]->training.rows(), 3);
  for (Eigen::Index w = 0; w < 3; ++w) {
    const auto& profile = training[static_cast<std::size_t>(w)];
    const Vector logs = tasks::samples_of(profile).targets.col(0).array().log();
    EXPECT_LT((model.targets[0]->training.row(w).transpose() - logs).cwiseAbs().maxCoeff(), 1e-12);
  }

  auto fewer = training;
  fewer[1].modes.pop_back();
  fewer[1].measurements.pop_back();
  EXPECT_EQ(fit_sim_prior(fewer, {.steps = 0}, 1).targets[0]->training.size(), 0);
}

TEST(SimPriorFit, MixesTrainingWorkloadsWhereThereAreSome) {
  for (const auto& target : fit_sim_prior(tests::family(1), {.steps = 1}, 1).targets)
    EXPECT_FALSE(target->mixed);
  for (const auto& target : fit_sim_prior(tests::family(2), {.steps = 1}, 1).targets)
    EXPECT_TRUE(target->mixed);
  for (const auto& target : fit_sim_prior(tests::family(8), {.steps = 20}, 1).targets) {
    ASSERT_TRUE(target->mixed);
    EXPECT_GT(target->mixed_share, 0.5);  // the family has a form of its own
    EXPECT_LT(target->mixed_share, 1);
    EXPECT_LT(target->mixed->log_noise, learners::kUsualLogNoise);
  }
}

TEST(SimPriorFit, LearnsATargetThatOnlySomeHave) {
  auto training = tests::family(2, false);
  EXPECT_FALSE(fit_sim_prior(training, {.steps = 1}, 1).targets[tasks::kPowerW]);
  training.push_back(tests::family_profile(5));
  const auto model = fit_sim_prior(training, {.steps = 1}, 1);
  EXPECT_TRUE(model.targets[tasks::kPowerW]);
}

TEST(SimPriorFit, EndsWhenToldTo) {
  int asked = 0;
  EXPECT_THROW(
      fit_sim_prior(tests::family(3), {.steps = 1'000'000, .interrupted = [&] { return ++asked > 20; }}, 1),
      Interrupted);
}

TEST(SimPriorFit, BadRequestsThrow) {
  EXPECT_THROW(fit_sim_prior({}, {}, 1), std::invalid_argument);
  const auto training = tests::family(1);
  EXPECT_THROW(fit_sim_prior(training, {.rate = 0}, 1), std::invalid_argument);
  EXPECT_THROW(fit_sim_prior(training, {.rows = 0}, 1), std::invalid_argument);
  EXPECT_THROW(fit_sim_prior(training, {.pull = -1}, 1), std::invalid_argument);
}

}  // namespace sim_prior_fit_test
}  // namespace fewwatt::meta
