#include "meta/factor_fit.hpp"

#include <gtest/gtest.h>

#include "learners/gp.hpp"
#include "tests/meta/made_up_family.hpp"

namespace fewwatt::meta {
namespace factor_fit_test {

using tasks::Vector;

TEST(FactorFit, IsTheSameEachTimeAndKnowsTheCommonModes) {
  auto training = tests::family(4);
  const auto model = fit_factor(training, {.steps = 5}, 1), again = fit_factor(training, {.steps = 5}, 1);
  EXPECT_EQ(model.modes, training[0].modes);
  EXPECT_EQ(model.to_checkpoint().tensors, again.to_checkpoint().tensors);
  ASSERT_TRUE(model.targets[0] && model.targets[1]);
  EXPECT_EQ(model.targets[0]->factors.rows(), 3);
  EXPECT_EQ(model.targets[0]->workloads, 4);

  training[1].modes.erase(training[1].modes.begin() + 3);
  training[1].measurements.erase(training[1].measurements.begin() + 3);
  EXPECT_EQ(fit_factor(training, {.steps = 0}, 1).modes, training[1].modes);  // those that all have
}

TEST(FactorFit, LearnsAFamilyFromFewRows) {
  const learners::Factor factor(fit_factor(tests::family(8), {}, 1));
  const learners::Gp gp;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    double of_factor = 0, of_gp = 0;
    for (int w = 20; w < 28; ++w) {
      const auto all = tasks::samples_of(tests::family_profile(w));
      hw::Rng rng(static_cast<std::uint64_t>(w));
      const auto support = all.subset(rng.sample(all.size(), 5));
      const auto error = [&](const learners::Learner& learner) {
        const Vector predicted = learner.adapt(support)->predict(all.modes).median().col(t);
        return ((predicted - all.targets.col(t)).cwiseAbs().cwiseQuotient(all.targets.col(t))).mean();
      };
      of_factor += error(factor);
      of_gp += error(gp);
    }
    EXPECT_LT(of_factor, 0.5 * of_gp) << "target " << t;
  }
}

TEST(FactorFit, NoiseHasAFloorThatFewSmoothWorkloadsDoNotPass) {
  const auto model = fit_factor(tests::family(3), {}, 1);  // without noise
  for (const auto& target : model.targets) EXPECT_GE(target->log_noise, std::log(0.001) - 1e-12);
}

TEST(FactorFit, WorkloadsOfOtherBoardsShareTheSmoothFunctionAlone) {
  auto training = tests::family(3);
  auto& other = training[2];
  other.device = "other";
  std::vector<hw::Knob> knobs = other.space->knobs();
  for (auto& knob : knobs)
    for (auto& level : knob.levels) level += 1000;
  other.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(knobs));
  other.modes = other.space->modes();
  const auto model = fit_factor(training, {.steps = 10}, 1);
  EXPECT_TRUE(model.modes.empty());
  EXPECT_EQ(model.targets[0]->factors.size(), 0);
  EXPECT_EQ(model.error(), "");
}

TEST(FactorFit, OneWorkloadIsAMeanWithoutFactors) {
  const auto model = fit_factor(tests::family(1), {.steps = 5}, 1);
  EXPECT_EQ(model.targets[0]->factors.rows(), 0);
  EXPECT_GT(model.targets[0]->mean.cwiseAbs().maxCoeff(), 0);
  EXPECT_EQ(model.error(), "");
}

TEST(FactorFit, LearnsATargetThatOnlySomeHave) {
  auto training = tests::family(2, false);
  EXPECT_FALSE(fit_factor(training, {.steps = 1}, 1).targets[tasks::kPowerW]);
  training.push_back(tests::family_profile(5));
  EXPECT_TRUE(fit_factor(training, {.steps = 1}, 1).targets[tasks::kPowerW]);
}

TEST(FactorFit, EndsWhenToldToAndRefusesBadRequests) {
  int asked = 0;
  EXPECT_THROW(
      fit_factor(tests::family(3), {.steps = 1'000'000, .interrupted = [&] { return ++asked > 20; }}, 1),
      Interrupted);
  EXPECT_THROW(fit_factor({}, {}, 1), std::invalid_argument);
  EXPECT_THROW(fit_factor(tests::family(1), {.rate = 0}, 1), std::invalid_argument);
  EXPECT_THROW(fit_factor(tests::family(1), {.rows = 1}, 1), std::invalid_argument);
  auto training = tests::family(2);
  training[1].space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {400000, 800000}}}));
  EXPECT_THROW(fit_factor(training, {}, 1), std::invalid_argument);
}

}  // namespace factor_fit_test
}  // namespace fewwatt::meta
