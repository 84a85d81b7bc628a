#include "tasks/mode_environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "hw/simulated_device.hpp"
#include "tasks/simulated_world.hpp"
#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace mode_environment_test {

using hw::KnobRole;
using hw::PowerModeSpace;

std::unique_ptr<World> replayed(const datasets::Profile& profile, double budget_w, double noise = 0) {
  return std::make_unique<ReplayWorld>(
      profile, ReplayOptions{.budget_w = budget_w, .noise = noise, .measured_noise = false});
}

std::unique_ptr<World> made_up(double budget_w, double noise = 0) {
  return replayed(tests::made_up_profile("board", "net"), budget_w, noise);
}

// Boards and knobs that differ from episode to episode.
std::unique_ptr<World> population() {
  SimulatedWorldOptions options;
  for (std::uint64_t i = 0; i < 6; ++i) {
    auto random = hw::random_board(1, i);
    options.places.push_back({random.board, std::make_shared<const PowerModeSpace>(std::move(random.space))});
    options.workloads.push_back(hw::random_workload(1, i));
  }
  options.steps = 20;
  options.changes = 4;
  options.rejected = 0.1;
  return std::make_unique<SimulatedWorld>(options);
}

ModeMdpOptions options_of(ModeTask task, ModeActionKind actions, std::size_t measurements = 10) {
  ModeMdpOptions options;
  options.task = task;
  options.actions = actions;
  options.measurements = measurements;
  return options;
}

// What every environment must keep: sizes that do not change, the same course from the same seed and actions, an end, finite numbers,
// and errors before the beginning and after the end.
struct Course {
  std::vector<Vector> observations;
  std::vector<double> rewards;
};
Course random_course(Environment& environment, std::uint64_t seed) {
  Course course;
  course.observations.push_back(environment.reset(seed));
  const auto columns = environment.actions().cols();
  auto rng = hw::Rng::stream(seed, "random course");
  Step step;
  do {
    EXPECT_EQ(environment.actions().cols(), columns);
    step = environment.step(rng.below(static_cast<std::size_t>(environment.actions().rows())));
    course.observations.push_back(step.observation);
    course.rewards.push_back(step.reward);
    EXPECT_FALSE(step.terminated && step.truncated);
    EXPECT_TRUE(std::isfinite(step.reward));
  } while (!step.ended() && course.rewards.size() < 1000);
  EXPECT_TRUE(step.ended());
  EXPECT_THROW(environment.step(0), std::logic_error);
  for (const auto& one : course.observations) {
    EXPECT_EQ(one.size(), static_cast<Eigen::Index>(environment.observation_size()));
    EXPECT_TRUE(one.allFinite());
  }
  return course;
}

TEST(ModeEnvironment, KeepsWhatEnvironmentsKeep) {
  for (const auto task : {ModeTask::find, ModeTask::run})
    for (const auto actions : {ModeActionKind::jump, ModeActionKind::move})
      for (const auto reward : {RewardForm::scaled, RewardForm::posed})
        for (const bool simulated : {false, true}) {
          auto options = options_of(task, actions);
          options.reward = reward;
          options.candidates = simulated ? 40 : 0;
          const auto make = [&] {
            return ModeEnvironment(simulated ? population() : made_up(6, 0.02), options);
          };
          auto one = make(), other = make();
          EXPECT_THROW(one.step(0), std::logic_error);
          EXPECT_THROW(one.actions(), std::logic_error);
          random_course(other, 9);  // what was before does not matter
          for (std::uint64_t seed = 0; seed < 6; ++seed) {
            const auto first = random_course(one, seed), again = random_course(other, seed);
            EXPECT_EQ(first.observations, again.observations);
            EXPECT_EQ(first.rewards, again.rewards);
            EXPECT_EQ(first.rewards.size(), 9u);  // and one before the first action
          }
          one.reset(0);
          EXPECT_THROW(one.step(static_cast<std::size_t>(one.actions().rows())), std::out_of_range);
        }
}

TEST(ModeEnvironment, FindTerminatesAndRunIsTruncated) {
  for (const auto task : {ModeTask::find, ModeTask::run}) {
    ModeEnvironment environment(made_up(6), options_of(task, ModeActionKind::jump, 3));
    environment.reset(0);
    EXPECT_FALSE(environment.step(1).ended());
    const auto last = environment.step(2);
    EXPECT_EQ(last.terminated, task == ModeTask::find);
    EXPECT_EQ(last.truncated, task == ModeTask::run);
  }
}

TEST(ModeEnvironment, BeginsInTheLowestModeAndGoesWhereActionsLead) {
  ModeEnvironment environment(made_up(6), options_of(ModeTask::run, ModeActionKind::jump));
  const auto space = environment.world().space();
  environment.reset(0);
  EXPECT_EQ(environment.mode(), space->lowest());
  const auto step = environment.step(17);
  EXPECT_EQ(environment.mode(), space->at(17));
  const auto cost = environment.world().truth(space->at(17)).value();
  EXPECT_EQ(environment.measured().time_ms, cost.time_ms);
  const double reference = environment.world().truth(space->lowest())->time_ms;
  EXPECT_NEAR(step.reward,
              mode_worth(options_of(ModeTask::run, ModeActionKind::jump), cost, 6, reference, true), 1e-12);
}

TEST(ModeEnvironment, ToFindAModeAJumpIsSpentOnceItsModeWasMeasured) {
  using enum ModeTask;
  using enum ModeActionKind;
  const auto spent_after = [](ModeTask task, ModeActionKind actions, std::size_t steps) {
    ModeEnvironment environment(made_up(4), options_of(task, actions, 100));
    environment.reset(1);
    for (std::size_t i = 0; i < steps; ++i) environment.step(i % environment.actions().rows());
    const auto spent = environment.spent();
    return std::vector<std::size_t>(spent.begin(), spent.end());
  };
  // The lowest mode, of action 0, comes first.
  EXPECT_EQ(spent_after(find, jump, 0), (std::vector<std::size_t>{0}));
  EXPECT_EQ(spent_after(find, jump, 3), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(spent_after(find, jump, 59).size(), 59U);
  EXPECT_TRUE(spent_after(find, jump, 60).empty());  // of 60 modes all were measured
  EXPECT_TRUE(spent_after(run, jump, 3).empty());
  EXPECT_TRUE(spent_after(find, move, 3).empty());
}

TEST(ModeEnvironment, AShieldThatIsNeverWrongKeepsEveryStepInsideTheBudget) {
  using enum ModeTask;
  for (const auto task : {find, run})
    for (const auto actions : {ModeActionKind::jump, ModeActionKind::move}) {
      // To find a mode, a jump can be taken once, and six modes are inside.
      ModeEnvironment environment(made_up(4), options_of(task, actions, 5), /*random_start=*/false,
                                  /*shielded=*/true);
      environment.reset(1);
      auto rng = hw::Rng::stream(1, "shielded");
      std::size_t most_kept_back = 0;
      for (Step step; !step.ended();) {
        std::vector<bool> may(static_cast<std::size_t>(environment.actions().rows()), true);
        for (const auto action : environment.spent()) may.at(action) = false;
        most_kept_back = std::max(most_kept_back, environment.spent().size());
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i < may.size(); ++i)
          if (may[i]) left.push_back(i);
        ASSERT_FALSE(left.empty());
        step = environment.step(left[rng.below(left.size())]);
        EXPECT_LE(environment.truth()->power_w, 4) << static_cast<int>(task);
      }
      EXPECT_GT(most_kept_back, 0U);
    }
}

TEST(ModeEnvironment, WhereAllModesAreOverTheBudgetAShieldLeavesTheOneOfLeastPower) {
  ModeEnvironment environment(made_up(0.01), options_of(ModeTask::run, ModeActionKind::jump, 5), false, true);
  environment.reset(1);
  ASSERT_EQ(environment.spent().size() + 1, static_cast<std::size_t>(environment.actions().rows()));
  std::vector<bool> may(environment.spent().size() + 1, true);
  for (const auto action : environment.spent()) may.at(action) = false;
  const auto only = static_cast<std::size_t>(std::find(may.begin(), may.end(), true) - may.begin());
  environment.step(only);
  double least_w = environment.truth()->power_w;
  const auto& space = *environment.world().space();
  for (std::size_t i = 0; i < space.size(); ++i)
    least_w = std::min(least_w, environment.world().truth(space.at(i))->power_w);
  EXPECT_EQ(environment.truth()->power_w, least_w);
}

TEST(ModeEnvironment, RewardsOfFindSumToTheBestModesWorth) {
  const auto options = options_of(ModeTask::find, ModeActionKind::jump);
  ModeEnvironment environment(made_up(6), options);
  const auto space = environment.world().space();
  const double reference = environment.world().truth(space->lowest())->time_ms;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    environment.reset(seed);
    hw::Rng rng(seed);
    const double first = mode_worth(options, environment.measured(), 6, reference, false);
    double best = first, sum = 0;
    for (int i = 0; i < 9; ++i) {
      sum += environment.step(rng.below(60)).reward;
      best = std::max(best, mode_worth(options, environment.measured(), 6, reference, false));
    }
    EXPECT_NEAR(sum, best - first, 1e-12);
  }
}

TEST(ModeEnvironment, StatesCanBeCountedWhereNothingChanges) {
  EXPECT_EQ(ModeEnvironment(made_up(6), options_of(ModeTask::run, ModeActionKind::move)).num_states(), 60u);
  EXPECT_FALSE(ModeEnvironment(made_up(6), options_of(ModeTask::find, ModeActionKind::move)).num_states());
  EXPECT_FALSE(ModeEnvironment(population(), options_of(ModeTask::run, ModeActionKind::move)).num_states());
  auto drawn = options_of(ModeTask::run, ModeActionKind::jump);
  drawn.candidates = 5;
  EXPECT_FALSE(ModeEnvironment(made_up(6), drawn).num_states());
}

TEST(ModeEnvironment, ItsFiniteProcessIsWhatHappensWithoutNoise) {
  for (const auto actions : {ModeActionKind::jump, ModeActionKind::move}) {
    auto options = options_of(ModeTask::run, actions, 200);
    options.switch_share = 0.1;
    ModeEnvironment environment(made_up(6), options, true);
    environment.reset(5);
    const auto mdp = environment.finite();
    ASSERT_TRUE(mdp);
    EXPECT_EQ(mdp->error(), "");
    hw::Rng rng(1);
    for (int i = 0; i < 199; ++i) {
      const auto state = environment.state(), action = rng.below(mdp->actions);
      const auto& outcome = mdp->outcomes[state * mdp->actions + action].front();
      EXPECT_NEAR(environment.step(action).reward, outcome.reward, 1e-12);
      EXPECT_EQ(environment.state(), outcome.next);
    }
  }
  ModeEnvironment find(made_up(6), options_of(ModeTask::find, ModeActionKind::jump));
  EXPECT_THROW(find.finite(), std::logic_error);
  find.reset(0);
  EXPECT_FALSE(find.finite());
}

TEST(ModeEnvironment, ARandomStartReachesAllModesAndKeepsTheReference) {
  ModeEnvironment environment(made_up(6), options_of(ModeTask::run, ModeActionKind::jump), true);
  std::vector<bool> began(60);
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    environment.reset(seed);
    began[environment.state()] = true;
  }
  EXPECT_EQ(std::count(began.begin(), began.end(), true), 60);
  const auto space = environment.world().space();
  const double reference = environment.world().truth(space->lowest())->time_ms;
  const auto step = environment.step(59);
  EXPECT_NEAR(
      step.reward,
      mode_worth(options_of(ModeTask::run, ModeActionKind::jump), environment.measured(), 6, reference, true),
      1e-12);
}

// ---- bad input ----

TEST(ModeEnvironment, ABudgetBelowEveryModeIsPunishedAndNothingElse) {
  for (const auto task : {ModeTask::find, ModeTask::run}) {
    ModeEnvironment environment(made_up(0.5), options_of(task, ModeActionKind::jump));
    random_course(environment, 1);
    EXPECT_FALSE(fastest_inside(environment.world()));
  }
  ModeEnvironment environment(made_up(0.5), options_of(ModeTask::run, ModeActionKind::jump));
  environment.reset(1);
  // The mode of least power is the least bad.
  const auto least = environment.step(0).reward;
  for (std::size_t a = 3; a < 10; ++a) EXPECT_LT(environment.step(a).reward, least) << a;
}

TEST(ModeEnvironment, AProfileWithoutPowerNeedsNoBudgetAndOneWithoutTimeIsRefused) {
  auto profile = tests::made_up_profile("board", "net");
  for (auto& m : profile.measurements) m.power_w = tests::kUnknown;
  EXPECT_THROW(replayed(profile, 6), std::invalid_argument);
  ModeEnvironment environment(replayed(profile, kNoBudget), options_of(ModeTask::find, ModeActionKind::jump));
  const auto course = random_course(environment, 1);
  EXPECT_GT(*std::max_element(course.rewards.begin(), course.rewards.end()), 0);
  auto timeless = tests::made_up_profile("board", "net");
  for (auto& m : timeless.measurements) m.time_ms = tests::kUnknown;
  EXPECT_THROW(replayed(timeless, 6), std::invalid_argument);
}

TEST(ModeEnvironment, ASpaceOfOneModeStaysThere) {
  const auto profile = tests::made_up_profile(
      "board", "net", 1e6,
      PowerModeSpace::grid({{KnobRole::cpu_khz, {1'000'000}}, {KnobRole::gpu_khz, {500'000}}}));
  // made_up_profile() reads a third setting, which is 0 in a mode that lacks it.
  for (const auto actions : {ModeActionKind::jump, ModeActionKind::move}) {
    ModeEnvironment environment(replayed(profile, 20), options_of(ModeTask::run, actions));
    environment.reset(0);
    const auto n = environment.actions().rows();
    EXPECT_EQ(n, actions == ModeActionKind::jump ? 1 : 5);
    for (Eigen::Index a = 0; a < n; ++a) {
      EXPECT_NEAR(environment.step(static_cast<std::size_t>(a)).reward, -1, 1e-12);
      EXPECT_EQ(environment.state(), 0u);
    }
  }
}

// A world that rejects every measurement but one.
class Rejecting final : public World {
 public:
  explicit Rejecting(std::size_t good) : good_(good) {}
  void reset(std::uint64_t) override { made_ = 0; }
  std::shared_ptr<const PowerModeSpace> space() const override { return space_; }
  double budget_w() const override { return 10; }
  hw::Measurement measure(const hw::PowerMode&) override {
    return made_++ == good_ ? hw::Measurement{20, 5} : hw::Measurement{};
  }

 private:
  std::size_t good_, made_ = 0;
  std::shared_ptr<const PowerModeSpace> space_ =
      std::make_shared<const PowerModeSpace>(tests::made_up_grid());
};

TEST(ModeEnvironment, ARejectedMeasurementIsAStepWithoutGain) {
  for (const std::size_t good : {0, 3, 100}) {
    for (const auto task : {ModeTask::find, ModeTask::run}) {
      ModeEnvironment environment(std::make_unique<Rejecting>(good), options_of(task, ModeActionKind::jump));
      const auto course = random_course(environment, 1);
      for (const double reward : course.rewards) EXPECT_EQ(reward, task == ModeTask::find ? 0 : -1);
    }
  }
}

TEST(ModeEnvironment, BadOptionsAreRefused) {
  auto negative = options_of(ModeTask::find, ModeActionKind::jump);
  negative.lambda = -1;
  EXPECT_THROW(ModeEnvironment(made_up(6), negative), std::invalid_argument);
  EXPECT_THROW(ModeEnvironment(nullptr, {}), std::invalid_argument);
}

}  // namespace mode_environment_test
}  // namespace fewwatt::tasks
