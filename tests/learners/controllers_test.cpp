// Controllers by name: what every one of the registry must keep, and shields around them.

#include "learners/control/controllers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "hw/modules.hpp"
#include "learners/control/tabular_controller.hpp"
#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::learners {
namespace controllers_test {

using hw::KnobRole;
using hw::Measurement;
using hw::PowerMode;
using hw::PowerModeSpace;
using tasks::ModeTask;
using Space = std::shared_ptr<const PowerModeSpace>;
using Measure = std::function<Measurement(const PowerMode&)>;

constexpr std::size_t kPlanned = 8;
constexpr double kBudgetW = 5.3;  // the fastest mode inside draws 4.75 W

std::shared_ptr<const Learner> learner() {
  static const auto made = std::shared_ptr<const Learner>(make_learner("sim_only"));
  return made;
}

ControllerRequest request_for(const Space& space, ModeTask task = ModeTask::find) {
  ControllerRequest request;
  request.space = space;
  request.learner = learner();
  request.task = task;
  request.measurements = kPlanned;
  request.budget_w = kBudgetW;
  request.seed = 3;
  return request;
}

// All names that make_controller() knows.
std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const auto name : builtin().controllers.names()) names.emplace_back(name);
  for (const auto name : builtin().searches.names()) names.emplace_back(name);
  return names;
}

Space grid(std::vector<hw::Knob> knobs) {
  return std::make_shared<const PowerModeSpace>(PowerModeSpace::grid(std::move(knobs)));
}

Space one_mode() {
  return grid({{KnobRole::gpu_khz, {500'000}}});
}

// So many knobs, 1 to 6.
Space with_knobs(std::size_t count) {
  std::vector<hw::Knob> knobs = {{KnobRole::cpu_cores, {1, 4}},
                                 {KnobRole::cpu_khz, {500'000, 1'000'000}},
                                 {KnobRole::gpu_khz, {500'000, 1'000'000}},
                                 {KnobRole::mem_khz, {800'000, 1'600'000}},
                                 {KnobRole::power_limit_mw, {10'000, 20'000}},
                                 {KnobRole::batch_size, {8, 16}}};
  knobs.resize(count);
  return grid(std::move(knobs));
}

// A made-up cost in any space: faster and more power with each setting.
Measurement cost_of(const PowerModeSpace& space, const PowerMode& mode) {
  double share = 1;
  for (std::size_t k = 0; k < mode.size(); ++k)
    share *=
        std::pow(static_cast<double>(mode[k]) / space.max_level(k), 1.0 / static_cast<double>(mode.size()));
  return {10 / share, 8 * share};
}

Measurement example(const PowerMode& mode) {
  return {tests::example_time_ms(mode), tests::example_power_w(mode)};
}

// Asks and tells, at most so often. Every mode must be of the space.
std::vector<PowerMode> visited(Controller& controller, const PowerModeSpace& space, const Measure& measure,
                               std::size_t most = kPlanned, double budget_w = kBudgetW) {
  std::vector<PowerMode> modes;
  while (modes.size() < most) {
    const auto mode = controller.next({budget_w, static_cast<double>(most - modes.size())});
    if (!mode) break;
    EXPECT_TRUE(space.index_of(*mode)) << hw::describe(space, *mode);
    if (!space.index_of(*mode)) break;
    controller.tell(*mode, measure(*mode));
    modes.push_back(*mode);
  }
  return modes;
}

class ControllersByName : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Controller> make(const ControllerRequest& request) {
    return make_controller(GetParam(), request, {}, builtin());
  }
  static std::vector<ModeTask> tasks_of_it() {
    const auto* entry = builtin().controllers.look_up(GetParam());
    if (entry != nullptr && !entry->runs) return {ModeTask::find};
    return {ModeTask::find, ModeTask::run};
  }
};

TEST_P(ControllersByName, AsksForModesOfTheSpaceWithAnyNumberOfKnobs) {
  for (const std::size_t knobs : {1, 4, 6})
    for (const auto task : tasks_of_it()) {
      const auto space = with_knobs(knobs);
      const auto controller = make(request_for(space, task));
      const auto modes =
          visited(*controller, *space, [&](const auto& mode) { return cost_of(*space, mode); });
      EXPECT_FALSE(modes.empty()) << knobs;
      EXPECT_EQ(controller->next({kBudgetW, 0}), std::nullopt) << knobs;
      if (const auto answer = controller->answer()) {
        EXPECT_TRUE(space->index_of(answer->mode)) << knobs;
      }
    }
}

TEST_P(ControllersByName, GoesOnInTheTaskRun) {
  if (tasks_of_it().size() < 2) return;  // it is only for the task find
  const auto space = tests::example_space();
  const auto controller = make(request_for(space, ModeTask::run));
  EXPECT_EQ(visited(*controller, *space, example, kPlanned + 5).size(), kPlanned + 5);
}

TEST_P(ControllersByName, ASpaceOfOneModeIsFine) {
  for (const auto task : tasks_of_it()) {
    const auto space = one_mode();
    const auto controller = make(request_for(space, task));
    const auto modes = visited(
        *controller, *space,
        [](const auto&) {
          return Measurement{10, 4};
        },
        3);
    ASSERT_FALSE(modes.empty());
    EXPECT_EQ(modes.front(), space->at(0));
    EXPECT_EQ(controller->answer().value().mode, space->at(0));
  }
}

TEST_P(ControllersByName, KnowsNoAnswerWhereAllWasRejected) {
  for (const auto task : tasks_of_it()) {
    const auto space = tests::example_space();
    const auto controller = make(request_for(space, task));
    visited(*controller, *space, [](const PowerMode& mode) {
      auto measured = example(mode);
      measured.throttled = true;
      return measured;
    });
    EXPECT_FALSE(controller->answer());
  }
}

TEST_P(ControllersByName, ABudgetBelowEveryModeHasNoMeasuredAnswer) {
  for (const auto task : tasks_of_it()) {
    const auto space = tests::example_space();
    auto request = request_for(space, task);
    request.budget_w = 0.01;
    const auto controller = make(request);
    visited(*controller, *space, example, kPlanned, request.budget_w);
    const auto answer = controller->answer();
    EXPECT_FALSE(answer && answer->measured);
  }
}

TEST_P(ControllersByName, TheSameSeedGivesTheSameModes) {
  for (const auto task : tasks_of_it()) {
    const auto space = tests::example_space();
    const auto one = make(request_for(space, task)), other = make(request_for(space, task));
    EXPECT_EQ(visited(*one, *space, example), visited(*other, *space, example));
  }
}

TEST_P(ControllersByName, SettingsThatItDoesNotHaveAreRefused) {
  EXPECT_THROW(make_controller(GetParam(), request_for(tests::example_space()), {{"hope", "1"}}, builtin()),
               std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Registry, ControllersByName, testing::ValuesIn(all_names()), [](const auto& tested) {
  auto name = tested.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// ---- making them ----

template <class Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(Controllers, WhatCannotBeMadeIsNamed) {
  const auto space = tests::example_space();
  const auto refused = [&](const std::string& name, const ControllerRequest& request,
                           const Settings& settings = {}) {
    return refusal([&] { make_controller(name, request, settings, builtin()); });
  };
  const auto unknown = refused("nobody", request_for(space));
  EXPECT_EQ(unknown.find("unknown controller nobody, known are: governor, linucb, "), 0u) << unknown;
  EXPECT_NE(unknown.find("designed-ei"), std::string::npos) << unknown;
  auto request = request_for(space);
  request.learner = nullptr;
  for (const std::string name : {"governor", "dyna", "designed-ei"})
    EXPECT_EQ(refused(name, request), "controller " + name + ": it needs a learner");
  request.learner = make_learner("physics");
  EXPECT_EQ(refused("governor", request), "controller governor: the learner must give its uncertainty");
  EXPECT_EQ(refused("random", request_for(space), {{"pool", "9"}}), "search random does not go by pool");
  EXPECT_NE(refused("linucb", request_for(space), {{"alpha", "-1"}}).find("alpha must be in"),
            std::string::npos);
  request.space = nullptr;
  EXPECT_EQ(refused("lowest", request), "controller lowest: the space has no modes");
}

TEST(Controllers, SettingsChangeWhatTheyDo) {
  const auto space = tests::example_space();
  const auto modes = [&](const Settings& settings) {
    const auto made = make_controller("linucb", request_for(space), settings, builtin());
    return visited(*made, *space, example);
  };
  EXPECT_NE(modes({{"alpha", "0"}}), modes({{"alpha", "100"}}));
}

TEST(Controllers, TablesHaveABoundOfModes) {
  std::vector<int> levels;
  for (int level = 1; level <= 400; ++level) levels.push_back(level);
  const auto large = grid({{KnobRole::cpu_khz, levels}, {KnobRole::gpu_khz, levels}});
  for (const std::string name : {"q-learning", "dyna-table", "dyna"})
    EXPECT_NE(refusal([&] { make_controller(name, request_for(large), {}, builtin()); }).find("found 160000"),
              std::string::npos)
        << name;
}

TEST(Controllers, ARegistryTakesOthers) {
  auto registry = builtin();
  ControllerEntry entry{.name = "mine", .runs = false};
  EXPECT_EQ(refusal([&] { registry.controllers.add(entry); }), "controller mine: it has no function make");
  entry.make = [](const ControllerRequest& request, const Settings&) {
    return make_controller("lowest", request, {}, builtin());
  };
  registry.controllers.add(entry);
  EXPECT_EQ(refusal([&] { registry.controllers.add(entry); }), "there is a controller mine already");
  const auto space = tests::example_space();
  EXPECT_EQ(make_controller("mine", request_for(space), {}, registry)->next({5}), space->lowest());
  EXPECT_EQ(refusal([&] { make_controller("mine", request_for(space, ModeTask::run), {}, registry); }),
            "controller mine: it cannot be used for the task run");
}

TEST(Controllers, LowestAndHighestAreTheEndsOfTheSpace) {
  const auto list = std::make_shared<const PowerModeSpace>(PowerModeSpace::list(
      tests::example_space()->knobs(), {{250'000, 1'000'000}, {750'000, 1'000'000}, {1'000'000, 250'000}}));
  const auto first = [](const std::string& name, const Space& space) {
    return make_controller(name, request_for(space), {}, builtin())->next({5}).value();
  };
  EXPECT_EQ(first("highest", list), (PowerMode{750'000, 1'000'000}));
  const auto space = tests::example_space();
  EXPECT_EQ(first("highest", space), (PowerMode{1'000'000, 1'000'000}));
  EXPECT_EQ(first("lowest", space), (PowerMode{250'000, 250'000}));
}

// ---- tables of values ----

// The mean worth of so many steps, after others.
double mean_worth(const std::string& name, std::uint64_t seed, std::size_t before, std::size_t steps) {
  const auto space = tests::example_space();
  auto request = request_for(space, ModeTask::run);
  request.seed = seed;
  const auto controller = make_controller(name, request, {}, builtin());
  const double reference_ms = tests::example_time_ms(space->lowest());
  double sum = 0;
  for (std::size_t i = 0; i < before + steps; ++i) {
    const auto mode = controller->next({kBudgetW}).value();
    const auto measured = example(mode);
    controller->tell(mode, measured);
    if (i >= before) sum += tasks::mode_worth({}, measured, kBudgetW, reference_ms, false);
  }
  return sum / static_cast<double>(steps);
}

TEST(TabularController, LearnsWhatModesAreWorthAndMoreOfItByPlanning) {
  double late_without = 0, late_with = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    for (const std::string name : {"q-learning", "dyna-table"})
      EXPECT_GT(mean_worth(name, seed, 700, 100), mean_worth(name, seed, 0, 100) + 0.2) << name << seed;
    late_without += mean_worth("q-learning", seed, 700, 100);
    late_with += mean_worth("dyna-table", seed, 700, 100);
  }
  EXPECT_GT(late_with, late_without);
}

TEST(TabularController, BeginsInTheLowestModeAndMovesOneKnobByOneLevel) {
  const auto space = tests::example_space();
  TabularController controller(space, {});
  auto before = controller.next({kBudgetW}).value();
  EXPECT_EQ(before, space->lowest());
  for (int i = 0; i < 50; ++i) {
    controller.tell(before, example(before));
    const auto mode = controller.next({kBudgetW}).value();
    EXPECT_LE((mode[0] != before[0] ? 1 : 0) + (mode[1] != before[1] ? 1 : 0), 1);
    EXPECT_LE(std::abs(mode[0] - before[0]), 250'000);
    before = mode;
  }
}

TEST(TabularController, BadOptionsAreRefused) {
  TabularControllerOptions options;
  options.lambda = -1;
  EXPECT_EQ(refusal([&] { TabularController(tests::example_space(), options); }),
            "TabularControllerOptions: lambda must be in [0, 1e6], got -1.000000");
  options = {};
  options.discount = 1;
  EXPECT_THROW(TabularController(tests::example_space(), options), std::invalid_argument);
}

// ---- shields ----

// Always the same mode; keeps what it was told.
class Stubborn final : public Controller {
 public:
  Stubborn(const PowerMode& mode, std::vector<PowerMode>& told) : mode_(mode), told_(&told) {}
  std::optional<PowerMode> next(const Context&) override { return mode_; }
  void tell(const PowerMode& mode, const Measurement&) override { told_->push_back(mode); }
  std::optional<Answer> answer() override { return std::nullopt; }

 private:
  PowerMode mode_;
  std::vector<PowerMode>* told_;
};

TEST(ShieldedController, MeasuresTheNearestModeThatIsAllowed) {
  const auto space = tests::example_space();
  const PowerMode highest{1'000'000, 1'000'000};
  std::vector<PowerMode> told;
  ShieldedController controller(space, std::make_unique<Stubborn>(highest, told),
                                std::make_unique<Shield>(space, learner()));
  Shield same(space, learner());
  for (const std::size_t i : {0, 4, 8}) {
    controller.tell(space->at(i), example(space->at(i)));
    same.tell(space->at(i), example(space->at(i)));
  }
  EXPECT_EQ(controller.next({tasks::kNoBudget}), highest);
  const auto mode = controller.next({kBudgetW}).value();
  const auto modes = space->modes();
  const auto allowed = same.allowed(modes, kBudgetW);
  const auto levels_away = [&](const PowerMode& from) {
    int sum = 0;
    for (std::size_t k = 0; k < from.size(); ++k) {
      const auto& levels = space->knobs()[k].levels;
      sum += static_cast<int>(levels.end() - std::find(levels.begin(), levels.end(), from[k])) - 1;
    }
    return sum;
  };
  int least = 100;
  for (std::size_t i = 0; i < modes.size(); ++i)
    if (allowed[i] != 0) least = std::min(least, levels_away(modes[i]));
  ASSERT_GT(least, 0);
  ASSERT_LT(least, 100);
  EXPECT_EQ(levels_away(mode), least);
  EXPECT_NE(allowed[space->index_of(mode).value()], 0);
  controller.tell(mode, example(mode));
  EXPECT_EQ(told.back(), mode);
}

TEST(ShieldedController, KeepsAnyControllerInsideTheBudget) {
  const auto space = tests::example_space();
  for (const std::string name : {"random", "q-learning", "linear-thompson", "highest"}) {
    std::size_t over = 0, over_with_shield = 0;
    for (const bool shielded : {false, true}) {
      auto controller = make_controller(name, request_for(space, ModeTask::run), {}, builtin());
      if (shielded)
        controller = std::make_unique<ShieldedController>(space, std::move(controller),
                                                          std::make_unique<Shield>(space, learner(), 0.95));
      for (const auto& mode : visited(*controller, *space, example, 30, 4.1))
        (shielded ? over_with_shield : over) += tests::example_power_w(mode) > 4.1 ? 1 : 0;
    }
    EXPECT_GT(over, 0u) << name;
    EXPECT_LT(over_with_shield, over) << name;
    EXPECT_LE(over_with_shield, 3u) << name;
  }
}

TEST(ShieldedController, LooksAtPartOfALargeSpaceTheSameEachTime) {
  const auto space = std::make_shared<const PowerModeSpace>(hw::module_space("orin-agx-64"));
  const auto gp = std::shared_ptr<const Learner>(make_learner("gp"));
  const auto measure = [&](const PowerMode& mode) { return cost_of(*space, mode); };
  const auto modes = [&] {
    ShieldedController controller(space, make_controller("highest", request_for(space), {}, builtin()),
                                  std::make_unique<Shield>(space, gp));
    controller.tell(space->lowest(), measure(space->lowest()));
    return visited(controller, *space, measure, 3, 3);
  };
  const auto once = modes();
  EXPECT_EQ(once.size(), 3u);
  EXPECT_EQ(once, modes());
}

TEST(ShieldedController, NeedsAControllerAndAShield) {
  const auto space = tests::example_space();
  EXPECT_THROW(ShieldedController(space, nullptr, std::make_unique<Shield>(space, learner())),
               std::invalid_argument);
  EXPECT_THROW(
      ShieldedController(space, make_controller("lowest", request_for(space), {}, builtin()), nullptr),
      std::invalid_argument);
}

}  // namespace controllers_test
}  // namespace fewwatt::learners
