// What every controller must keep, for any knobs and whatever is measured.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <ostream>

#include "learners/control/bandit.hpp"
#include "learners/control/controllers.hpp"
#include "learners/control/dyna.hpp"
#include "learners/control/mdp_options.hpp"
#include "learners/registry.hpp"
#include "tasks/mode_environment.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_policies.hpp"

namespace fewwatt::learners {
namespace controller_contract_test {

using hw::KnobRole;
using hw::PowerModeSpace;
using Space = std::shared_ptr<const PowerModeSpace>;

constexpr std::size_t kPlanned = 8;

std::shared_ptr<const Learner> learner() {
  static const auto made = std::shared_ptr<const Learner>(make_learner("sim_only"));
  return made;
}

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Controller>(const Space&)> make;
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

std::unique_ptr<Controller> search(const std::string& name, const Space& space, bool stays) {
  SearchOptions options;
  options.planned = kPlanned;
  const bool needs = builtin().searches.find(name).needs_learner;
  return std::make_unique<SearchController>(
      space, make_search(name, space, needs ? learner() : nullptr, {}, options), Goal{}, stays);
}

std::unique_ptr<Controller> policy(const Space& space, tasks::ModeTask task, tasks::ModeActionKind actions,
                                   int memory, bool shielded) {
  auto model = tests::made_mode_policy(*space, memory);
  model.mdp->task = task;
  model.mdp->actions = actions;
  model.mdp->measurements = kPlanned;
  return policy_controller(model, space, {}, 1,
                           shielded ? std::make_unique<Shield>(space, learner()) : nullptr);
}

std::vector<Kind> kinds() {
  using tasks::ModeActionKind;
  using tasks::ModeTask;
  std::vector<Kind> all;
  for (const auto& entry : builtin().searches)
    all.push_back(
        {entry.name + "_stays", [name = entry.name](const Space& s) { return search(name, s, true); }});
  for (const auto& entry : builtin().controllers)
    all.push_back({entry.name, [name = entry.name](const Space& s) {
                     return make_controller(
                         name,
                         {.space = s, .learner = learner(), .measurements = kPlanned, .switch_share = 0.1},
                         {}, builtin());
                   }});
  for (const auto& [task_name, task] : tasks::kModeTasks)
    for (const auto& [action_name, action] : tasks::kModeActionKinds)
      for (const bool shielded : {false, true})
        all.push_back({"policy_" + std::string(task_name) + '_' + std::string(action_name) +
                           (shielded ? "_shielded" : ""),
                       [task = task, action = action, shielded](const Space& s) {
                         return policy(s, task, action, shielded ? 0 : 5, shielded);
                       }});
  return all;
}

// From one mode to six knobs.
std::vector<Space> spaces() {
  const auto grid = [](std::vector<hw::Knob> knobs) {
    return std::make_shared<const PowerModeSpace>(PowerModeSpace::grid(std::move(knobs)));
  };
  const auto list = PowerModeSpace::list(tests::example_space()->knobs(),
                                         {{250'000, 1'000'000}, {500'000, 250'000}, {1'000'000, 500'000}});
  return {tests::example_space(), std::make_shared<const PowerModeSpace>(list),
          grid({{KnobRole::gpu_khz, {500'000}}}),
          grid({{KnobRole::power_limit_mw, {10'000, 20'000, 30'000}}}),
          grid({{KnobRole::cpu_cores, {1, 4}},
                {KnobRole::cpu_khz, {500'000, 1'000'000}},
                {KnobRole::gpu_khz, {500'000, 1'000'000}},
                {KnobRole::mem_khz, {800'000, 1'600'000}},
                {KnobRole::power_limit_mw, {10'000, 20'000}},
                {KnobRole::batch_size, {8, 16}}})};
}

// A made-up cost in any space: faster and more power with each setting, with noise.
class Board {
 public:
  explicit Board(const PowerModeSpace& space, std::uint64_t seed = 1) : space_(&space), rng_(seed) {}
  hw::Measurement operator()(const hw::PowerMode& mode) {
    double share = 1;
    for (std::size_t k = 0; k < mode.size(); ++k)
      share *= std::pow(static_cast<double>(mode[k]) / space_->max_level(k),
                        1.0 / static_cast<double>(mode.size()));
    return {10 / share * std::exp(0.01 * rng_.normal()), 8 * share * std::exp(0.01 * rng_.normal())};
  }

 private:
  const PowerModeSpace* space_;
  hw::Rng rng_;
};

class ControllerContract : public testing::TestWithParam<Kind> {
 protected:
  using Measure = std::function<hw::Measurement(const hw::PowerMode&)>;
  // Asks and tells for at most so many measurements. Every mode must be of the space.
  static std::vector<hw::PowerMode> run(Controller& controller, const PowerModeSpace& space,
                                        const Measure& measure, std::size_t most = kPlanned,
                                        const std::function<double(std::size_t)>& budget_w = {}) {
    std::vector<hw::PowerMode> asked;
    while (true) {
      const double budget = budget_w ? budget_w(asked.size()) : 6.0;
      const auto mode =
          controller.next({budget, static_cast<double>(most) - static_cast<double>(asked.size())});
      if (!mode) break;
      EXPECT_TRUE(space.index_of(*mode)) << hw::describe(space, *mode);
      if (!space.index_of(*mode) || asked.size() > most) break;
      controller.tell(*mode, measure(*mode));
      asked.push_back(*mode);
    }
    EXPECT_LE(asked.size(), most);
    return asked;
  }
};

TEST_P(ControllerContract, AsksForModesOfTheSpaceAndEndsWithAnyKnobs) {
  for (const auto& space : spaces()) {
    const auto controller = GetParam().make(space);
    const auto asked = run(*controller, *space, Board(*space));
    EXPECT_FALSE(asked.empty());
    EXPECT_EQ(controller->next({6, 0}), std::nullopt);
    if (const auto answer = controller->answer()) {
      EXPECT_TRUE(space->index_of(answer->mode));
      if (answer->measured) {
        EXPECT_TRUE(std::find(asked.begin(), asked.end(), answer->mode) != asked.end());
        EXPECT_LE(answer->power_w, 6);
      }
    }
  }
}

TEST_P(ControllerContract, TheSameMeasurementsGiveTheSameModes) {
  const auto space = tests::example_space();
  const auto one = GetParam().make(space), other = GetParam().make(space);
  EXPECT_EQ(run(*one, *space, Board(*space)), run(*other, *space, Board(*space)));
}

TEST_P(ControllerContract, SurvivesWhateverIsMeasured) {
  const double nan = std::nan("");
  const std::vector<hw::Measurement> bad = {{nan, nan},      {HUGE_VAL, 5.0},   {5.0, nan},
                                            {nan, 5.0},      {-HUGE_VAL, -3.0}, {0.0, 0.0},
                                            {1e-300, 1e300}, {1e300, 1e-300}};
  const auto survives = [&](const Space& space, const std::function<hw::Measurement(std::size_t)>& bad_one) {
    Board board(*space);
    std::size_t count = 0;
    const auto controller = GetParam().make(space);
    run(*controller, *space, [&](const hw::PowerMode& mode) {
      return ++count % 2 == 0 ? bad_one(count / 2 - 1) : board(mode);  // every other one is good
    });
  };
  for (const auto& space : {tests::example_space(), spaces()[2]}) {
    survives(space, [&](std::size_t) { return bad[0]; });
    // Two runs see each kind.
    for (const std::size_t first : {std::size_t{0}, bad.size() / 2})
      survives(space, [&](std::size_t i) { return bad[(first + i) % bad.size()]; });
  }
}

TEST_P(ControllerContract, EndsWhereEveryMeasurementIsRejectedAndKnowsNoAnswer) {
  for (const bool throttled : {false, true}) {
    const auto space = tests::example_space();
    const auto controller = GetParam().make(space);
    Board board(*space);
    run(*controller, *space, [&](const hw::PowerMode& mode) {
      if (!throttled) return hw::Measurement{};
      auto measured = board(mode);
      measured.throttled = true;
      return measured;
    });
    EXPECT_FALSE(controller->answer());
  }
}

TEST_P(ControllerContract, ABudgetBelowEveryModeHasNoMeasuredAnswer) {
  const auto space = tests::example_space();
  const auto controller = GetParam().make(space);
  run(*controller, *space, Board(*space), kPlanned, [](std::size_t) { return 0.01; });
  const auto answer = controller->answer();
  EXPECT_FALSE(answer && answer->measured);
}

TEST_P(ControllerContract, TakesBudgetsThatChangeOrAreMissing) {
  const auto space = tests::example_space();
  const auto controller = GetParam().make(space);
  run(*controller, *space, Board(*space), kPlanned, [](std::size_t i) {
    return i % 3 == 0 ? 4.0 : i % 3 == 1 ? 7.0 : tasks::kNoBudget;
  });
}

TEST_P(ControllerContract, TakesMeasurementsThatItDidNotAskFor) {
  const auto space = tests::example_space();
  const auto controller = GetParam().make(space);
  Board board(*space);
  for (const std::size_t i : {7, 2, 7}) controller->tell(space->at(i), board(space->at(i)));
  run(*controller, *space, board);
  EXPECT_THROW(controller->tell({1, 2}, {10, 1}), std::invalid_argument);
}

TEST_P(ControllerContract, ABudgetThatIsNotPositiveIsRefused) {
  const auto controller = GetParam().make(tests::example_space());
  for (const double budget_w : {0.0, -1.0, std::nan("")})
    EXPECT_THROW(controller->next({budget_w}), std::invalid_argument) << budget_w;
}

INSTANTIATE_TEST_SUITE_P(All, ControllerContract, testing::ValuesIn(kinds()), [](const auto& tested) {
  auto name = tested.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// ---- what is special to each ----

TEST(SearchController, AimsAtTheBudgetOfNowAndStaysWithItsAnswer) {
  const auto space = tests::example_space();
  const auto controller = search("designed-ei", space, true);
  Board board(*space);
  std::vector<hw::PowerMode> after;
  for (std::size_t i = 0; i < kPlanned + 5; ++i) {
    const auto mode = controller->next({5}).value();
    controller->tell(mode, board(mode));
    if (i >= kPlanned) after.push_back(mode);
  }
  EXPECT_EQ(controller->answer()->mode, after.back());
  EXPECT_LE(controller->answer()->power_w, 5);
  controller->next({3.5});
  EXPECT_LE(controller->answer()->power_w, 3.5);
}

TEST(GovernorController, IsTheGovernor) {
  const auto space = tests::example_space();
  GovernorController controller(space, learner(), {}, 0.1);
  Governor governor(space, learner());
  Board one(*space), other(*space);
  std::optional<hw::PowerMode> before;
  for (int i = 0; i < 25; ++i) {
    const double left = 25 - i;
    const auto mode = controller.next({5, left}).value();
    EXPECT_EQ(mode, governor.next(5, left).mode);
    controller.tell(mode, one(mode));
    if (before && *before != mode) governor.moved(0.1);
    governor.tell(mode, other(mode));
    before = mode;
  }
}

// On a board, an agent sees and does what it does in the environment that it is trained in.
TEST(PolicyController, ActsAsInTheEnvironment) {
  const auto space = tests::example_space();
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "net";
  profile.space = space;
  profile.modes = space->modes();
  for (const auto& mode : profile.modes)
    profile.measurements.push_back({tests::example_time_ms(mode), tests::example_power_w(mode)});
  for (const auto& [name, actions] : tasks::kModeActionKinds)
    for (const auto& [task_name, task] : tasks::kModeTasks) {
      auto model = tests::made_mode_policy(*space);
      model.mdp->actions = actions;
      model.mdp->task = task;
      model.mdp->measurements = 10;
      const auto world = [&] {
        return std::make_unique<tasks::ReplayWorld>(
            profile, tasks::ReplayOptions{.budget_w = 5.3, .noise = 0, .measured_noise = false});
      };
      tasks::ModeEnvironment environment(world(), *model.mdp);
      NetPolicy policy(model);
      auto seen = environment.reset(3);
      policy.begin(environment.actions(), 3);
      std::vector<hw::PowerMode> expected = {environment.mode()};
      double reward = 0;
      for (tasks::Step step; !step.ended();) {
        step = environment.step(policy.act(seen, reward, allowed_in(environment)));
        seen = step.observation;
        reward = step.reward;
        expected.push_back(environment.mode());
      }
      const auto controller = policy_controller(model, space, {}, 3);
      auto board = world();
      board->reset(3);
      std::vector<hw::PowerMode> visited;
      run_controller(*controller, *board, 10, [&](const Visit& visit) { visited.push_back(visit.mode); });
      EXPECT_EQ(visited, expected) << name << ' ' << task_name;
      EXPECT_EQ(expected.size(), 10u);
    }
}

TEST(PolicyController, AShieldKeepsItInsideTheBudget) {
  const auto space = tests::example_space();
  std::size_t over = 0, over_with_shield = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (const bool shielded : {false, true}) {
      auto model = tests::made_mode_policy(*space, 5, seed);
      model.mdp->task = tasks::ModeTask::run;
      const auto controller = policy_controller(
          model, space, {}, seed, shielded ? std::make_unique<Shield>(space, learner(), 0.95) : nullptr);
      for (std::size_t i = 0; i < 10; ++i) {
        const auto mode = controller->next({4}).value();
        const bool is_over = tests::example_power_w(mode) > 4;
        (shielded ? over_with_shield : over) += is_over ? 1 : 0;
        controller->tell(mode, {tests::example_time_ms(mode), tests::example_power_w(mode)});
      }
    }
  EXPECT_GT(over, 20u);
  EXPECT_LE(over_with_shield, 10u);  // of 100, where 5 are expected of a learner that is right
}

TEST(MdpOptions, HaveBoundsAndNames) {
  tasks::ModeMdpOptions options;
  const auto each = [&](OptionVisitor& on) { visit_options(options, on); };
  set_options({{"task", "run"}, {"actions", "move"}, {"reward", "posed"}, {"lambda", "2.5"}}, "mdp", each);
  EXPECT_EQ(options.task, tasks::ModeTask::run);
  EXPECT_EQ(options.actions, tasks::ModeActionKind::move);
  EXPECT_EQ(options.reward, tasks::RewardForm::posed);
  EXPECT_EQ(options.lambda, 2.5);
  for (const auto& bad :
       {std::pair("lambda", "-1"), {"lambda", "nan"}, {"measurements", "1"}, {"task", "win"}})
    EXPECT_THROW(set_options({{bad.first, bad.second}}, "mdp", each), std::invalid_argument) << bad.first;
}

// A controller that asks for a mode that there is not.
class Astray final : public Controller {
 public:
  std::optional<hw::PowerMode> next(const Context&) override { return hw::PowerMode{1, 2}; }
  void tell(const hw::PowerMode&, const hw::Measurement&) override {}
  std::optional<Answer> answer() override { return std::nullopt; }
};

TEST(RunController, TellsEachMeasurementAndRefusesModesThatThereAreNot) {
  class Listed final : public hw::Device {
   public:
    const PowerModeSpace& space() const override { return *space_; }
    hw::Measurement measure(const hw::PowerMode& mode) override {
      return {tests::example_time_ms(mode), tests::example_power_w(mode)};
    }

   private:
    Space space_ = tests::example_space();
  } device;
  tasks::DeviceWorld world(device, 5.3);
  Astray astray;
  EXPECT_THROW(run_controller(astray, world, 3), std::logic_error);
  const auto controller = search("designed-ei", tests::example_space(), false);
  std::size_t visits = 0;
  run_controller(*controller, world, 100, [&](const Visit& visit) {
    EXPECT_EQ(visit.budget_w, 5.3);
    EXPECT_EQ(visit.measured.time_ms, tests::example_time_ms(visit.mode));
    ++visits;
  });
  EXPECT_EQ(visits, kPlanned);
}

}  // namespace controller_contract_test
}  // namespace fewwatt::learners
