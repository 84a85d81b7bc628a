#include "meta/rl/maml_policy.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/gradient_check.hpp"
#include "tests/meta/small_environments.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace rl_maml_policy_test {

constexpr int kPulls = 5;
const MakeEnvironment kArms = [](std::uint64_t seed) { return std::make_unique<tests::Arms>(seed, kPulls); };
const MakeEnvironment kNearest = [](std::uint64_t seed) { return std::make_unique<tests::Nearest>(seed); };

Vector made_up(const PolicyShape& shape) {
  hw::Rng rng(8);
  Vector all(shape.num_parameters());
  for (auto& value : all) value = 0.5 * rng.normal();
  return all;
}

std::vector<AdaptedTask> tasks_of(const MakeEnvironment& make, const PolicyShape& shape, const Vector& at,
                                  const PolicyAdaptation& how) {
  std::vector<AdaptedTask> tasks;
  for (std::uint64_t i = 0; i < 2; ++i) tasks.push_back(adapt_policy(make, shape, at, how, 0.9, 3, i).task);
  return tasks;
}

TEST(MamlPolicy, SecondOrderGradientsEqualCentralDifferences) {
  for (const auto& make : {kArms, kNearest}) {
    for (const int steps : {1, 2}) {
      const PolicyAdaptation how{.steps = steps, .rate = 0.3, .episodes = 3, .entropy_weight = 0.05};
      const auto shape = policy_shape(*example_of(make), {4}, learners::Activation::tanh, 0, true);
      const Vector at = made_up(shape);
      const auto tasks = tasks_of(make, shape, at, how);
      const auto loss = [&](const Vector& p) {
        return maml_policy_gradient(shape, p, tasks, how, false).loss;
      };
      EXPECT_LE(tests::gradient_error(loss, at, maml_policy_gradient(shape, at, tasks, how, false).gradient),
                tests::kGradient);
    }
  }
}

TEST(MamlPolicy, FirstOrderIsTheGradientAtTheAdaptedParameters) {
  const PolicyAdaptation how{.steps = 2, .rate = 0.3, .episodes = 3};
  const auto shape = policy_shape(*example_of(kArms), {4}, learners::Activation::tanh, 0, true);
  const Vector at = made_up(shape);
  const auto adapted = adapt_policy(kArms, shape, at, how, 0.9, 3, 0);
  const auto found = maml_policy_gradient(shape, at, std::vector{adapted.task}, how, true);
  const auto expected =
      surrogate_gradient(shape, adapted.parameters, adapted.task.after,
                         {.entropy_weight = how.entropy_weight, .value_weight = how.value_weight});
  EXPECT_NEAR(found.loss, expected.loss, tests::kParity);
  EXPECT_LE((found.gradient - expected.gradient).norm(), tests::kParity * expected.gradient.norm());
  const auto second = maml_policy_gradient(shape, at, std::vector{adapted.task}, how, false);
  EXPECT_GT((second.gradient - expected.gradient).norm(), 1e-3 * expected.gradient.norm());
}

TEST(MamlPolicy, ReadsTheNetsOfItsSnapshot) {
  MamlPolicy maml(kArms, {.net = {.hidden = {4}}}, 1);
  const auto [shape, parameters] = read_policy(maml.snapshot());
  EXPECT_EQ(parameters, maml.parameters());
  EXPECT_EQ(shape.hidden, maml.shape().hidden);
  auto of_learner = maml.snapshot();
  of_learner.learner = "fine_tune";
  EXPECT_THROW(read_policy(of_learner), std::invalid_argument);
}

// Before it adapts a policy without a memory cannot know which arm is good, and gets half of the pulls.
TEST(MamlPolicy, LearnsWhatAdaptsInOneStep) {
  for (const bool first_order : {false, true}) {
    const MamlPolicyOptions options{.net = {.hidden = {8}, .rate = 2e-2, .updates = 120, .environments = 10},
                                    .adaptation = {.rate = 0.5, .episodes = 10},
                                    .first_order = first_order};
    MamlPolicy maml(kArms, options, 1);
    const auto after = adapted_return_in(kArms, options, 40, 9);
    auto unadapted = options;
    unadapted.adaptation.steps = 0;
    const auto before = adapted_return_in(kArms, unadapted, 40, 9);
    const double at_first = after(maml.snapshot(), {});
    for (int i = 0; i < options.net.updates; ++i) maml.update();
    EXPECT_LT(before(maml.snapshot(), {}), 0.6 * kPulls);
    EXPECT_GT(after(maml.snapshot(), {}), at_first + 0.1 * kPulls);
    EXPECT_GT(after(maml.snapshot(), {}), 0.7 * kPulls);
  }
}

TEST(MamlPolicy, ResumedEqualsUninterrupted) {
  const MamlPolicyOptions options{.net = {.hidden = {4}, .environments = 2}, .adaptation = {.episodes = 3}};
  MamlPolicy whole(kNearest, options, 1), rest(kNearest, options, 1);
  whole.update();
  rest.set_state(whole.state());
  EXPECT_EQ(rest.update().loss, whole.update().loss);
  EXPECT_EQ(rest.parameters(), whole.parameters());
}

TEST(MamlPolicy, RefusesBadOptions) {
  EXPECT_EQ(MamlPolicyOptions{}.error(), "");
  EXPECT_THROW(MamlPolicy(kArms, {.adaptation = {.rate = 0}}, 1), std::invalid_argument);
  EXPECT_THROW(MamlPolicy(kArms, {.adaptation = {.episodes = 0}}, 1), std::invalid_argument);
  EXPECT_THROW(MamlPolicy(kArms, {.net = {.discount = -1}}, 1), std::invalid_argument);
}

}  // namespace rl_maml_policy_test
}  // namespace fewwatt::meta
