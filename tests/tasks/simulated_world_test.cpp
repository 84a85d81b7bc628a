#include "tasks/simulated_world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hw/modules.hpp"

namespace fewwatt::tasks {
namespace simulated_world_test {

using hw::PowerMode;
using hw::PowerModeSpace;

std::shared_ptr<const PowerModeSpace> orin() {
  const auto grid = hw::module_space("orin-agx-64", "powertrain");
  std::vector<PowerMode> modes;
  for (std::size_t i = 0; i < grid.size(); i += 23) modes.push_back(grid.at(i));
  modes.push_back(grid.at(grid.size() - 1));
  std::sort(modes.begin(), modes.end());
  modes.erase(std::unique(modes.begin(), modes.end()), modes.end());
  return std::make_shared<const PowerModeSpace>(PowerModeSpace::list(grid.knobs(), modes));
}

SimulatedWorldOptions usual() {
  SimulatedWorldOptions options;
  options.places = {{hw::find_simulated_board("orin-agx-64"), orin()}};
  options.workloads = {hw::find_simulated_workload("lstm"), hw::find_simulated_workload("resnet18-gld23k")};
  return options;
}

// What happens when the highest mode is measured so many times.
struct Course {
  std::vector<double> budgets, times;
  std::vector<std::string> workloads;
  bool operator==(const Course&) const = default;
};
Course course(SimulatedWorld& world, std::uint64_t seed, std::size_t steps) {
  world.reset(seed);
  const auto top = world.space()->at(world.space()->size() - 1);
  Course course;
  for (std::size_t i = 0; i < steps; ++i) {
    course.budgets.push_back(world.budget_w());
    course.workloads.push_back(world.conditions().workload.name);
    course.times.push_back(world.measure(top).time_ms);
    world.advance();
  }
  return course;
}

TEST(SimulatedWorld, TheSameSeedGivesTheSameCourse) {
  auto options = usual();
  options.steps = 40;
  options.changes = 6;
  SimulatedWorld one(options), other(options);
  course(other, 3, 7);  // what was before does not matter
  EXPECT_EQ(course(one, 1, 40), course(other, 1, 40));
  EXPECT_NE(course(one, 1, 40), course(one, 2, 40));
}

TEST(SimulatedWorld, WithoutChangesAllStaysButTheNoise) {
  SimulatedWorld world(usual());
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto all = course(world, seed, 30);
    EXPECT_EQ(std::set<double>(all.budgets.begin(), all.budgets.end()).size(), 1u);
    EXPECT_EQ(std::set<std::string>(all.workloads.begin(), all.workloads.end()).size(), 1u);
    EXPECT_EQ(std::set<double>(all.times.begin(), all.times.end()).size(), 30u);
  }
}

TEST(SimulatedWorld, AModeAlwaysFitsTheBudgetHoweverItChanges) {
  auto options = usual();
  options.steps = 60;
  options.changes = 20;
  for (const bool in_watts : {false, true}) {
    if (in_watts) {
      options.first_w = 10;
      options.last_w = 30;
    }
    SimulatedWorld world(options);
    std::set<double> budgets;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      world.reset(seed);
      for (std::size_t i = 0; i < 60; ++i) {
        ASSERT_TRUE(fastest_inside(world)) << seed << ' ' << i;
        budgets.insert(world.budget_w());
        world.measure(world.space()->at(i % world.space()->size()));
        world.advance();
      }
    }
    EXPECT_GE(budgets.size(), 4u * 10);
    if (in_watts) {
      EXPECT_GE(*budgets.begin(), 10);
      EXPECT_LE(*budgets.rbegin(), 30);
    }
  }
}

TEST(SimulatedWorld, ABudgetByShareLiesBetweenThosePowers) {
  auto options = usual();
  options.workloads.resize(1);
  options.low_share = 0.2;
  options.high_share = 0.4;
  SimulatedWorld world(options);
  world.reset(0);
  std::vector<double> powers;
  for (const auto& mode : world.space()->modes()) powers.push_back(world.truth(mode)->power_w);
  std::sort(powers.begin(), powers.end());
  ASSERT_LE(powers.size(), kBudgetModes);  // then all of them are looked at
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    world.reset(seed);
    const auto below = std::upper_bound(powers.begin(), powers.end(), world.budget_w()) - powers.begin();
    const double share = static_cast<double>(below) / static_cast<double>(powers.size());
    EXPECT_GE(share, 0.2);
    EXPECT_LE(share, 0.41);
  }
}

TEST(SimulatedWorld, RejectsMeasurementsAsOftenAsAsked) {
  auto options = usual();
  options.rejected = 0.25;
  SimulatedWorld world(options);
  world.reset(1);
  int rejected = 0;
  for (int i = 0; i < 1000; ++i) rejected += std::isnan(world.measure(world.space()->at(0)).time_ms) ? 1 : 0;
  EXPECT_NEAR(rejected, 250, 5 * std::sqrt(1000 * 0.25 * 0.75));
}

TEST(SimulatedWorld, BadOptionsAreNamed) {
  const auto error = [](auto change) {
    auto options = usual();
    change(options);
    const auto text = options.error();
    EXPECT_THROW(SimulatedWorld{options}, std::invalid_argument);
    return text;
  };
  EXPECT_NE(error([](auto& o) { o.places.clear(); }).find("place"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.places[0].space = nullptr; }).find("space"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.workloads.clear(); }).find("workload"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.first_w = 10; }).find("last_w"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.low_share = 0.95; }).find("low_share"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.time_noise = std::nan(""); }).find("time_noise"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.rejected = 1; }).find("rejected"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.changes = 1; }).find("changes"), std::string::npos);
  auto hopeless = usual();
  hopeless.first_w = hopeless.last_w = 0.1;
  SimulatedWorld world(hopeless);
  EXPECT_THROW(world.reset(0), std::runtime_error);
}

TEST(RandomPopulation, HasBoardsAndWorkloadsThatDifferFromSeedToSeed) {
  const auto space = orin();
  const auto one = random_population(space, 20, 30, 1), same = random_population(space, 20, 30, 1),
             other = random_population(space, 20, 30, 2);
  EXPECT_EQ(one.error(), "");
  ASSERT_EQ(one.places.size(), 20u);
  ASSERT_EQ(one.workloads.size(), 30u);
  std::set<double> times;
  const auto time_ms = [&](const SimulatedWorldOptions& in, std::size_t place, std::size_t workload) {
    return cost_under(in.places[place], uncapped(*space, in.workloads[workload]), space->at(0)).time_ms;
  };
  for (std::size_t i = 0; i < 20; ++i) {
    times.insert(time_ms(one, i, i));
    EXPECT_EQ(time_ms(one, i, i), time_ms(same, i, i));
    EXPECT_NE(time_ms(one, i, i), time_ms(other, i, i));
  }
  EXPECT_EQ(times.size(), 20u);
}

// ---- changes ----

TEST(Changes, DoWhatTheirNamesSay) {
  const auto options = usual();
  const auto& place = options.places[0];
  hw::Rng rng(1);
  const auto from = uncapped(*place.space, hw::find_simulated_workload("resnet18-gld23k"));
  const auto top = place.space->at(place.space->size() - 1);
  const auto change = [&](const std::string& kind) {
    return changed(place, options.workloads, from, kind, top, rng);
  };
  EXPECT_EQ(change("batch-half").workload.batch_size, from.workload.batch_size / 2);
  EXPECT_EQ(change("batch-double").workload.batch_size, from.workload.batch_size * 2);
  EXPECT_EQ(change("crossed").workload.name, "mobilenetv3-imagenet");
  const auto cpu = place.space->knob_with(hw::KnobRole::cpu_khz).value(),
             gpu = place.space->knob_with(hw::KnobRole::gpu_khz).value();
  const auto capped = change("gpu-capped");
  EXPECT_LT(capped.caps[gpu], top[gpu]);
  EXPECT_EQ(capped.caps[cpu], top[cpu]);
  EXPECT_GT(cost_under(place, capped, top).time_ms, cost_under(place, from, top).time_ms);
  // A mode below the cap costs what it did.
  auto low = top;
  low[gpu] = place.space->knobs()[gpu].levels.front();
  EXPECT_EQ(cost_under(place, capped, low).time_ms, cost_under(place, from, low).time_ms);
  EXPECT_THROW(change("else"), std::invalid_argument);
  const auto back = changed(place, options.workloads, capped, "workload", top, rng);
  EXPECT_EQ(back.caps, from.caps);
}

TEST(Changes, ACapThatCannotBeChangesNothing) {
  const auto options = usual();
  const auto& place = options.places[0];
  hw::Rng rng(1);
  const auto from = uncapped(*place.space, options.workloads[0]);
  auto bottom = place.space->at(0);
  for (std::size_t k = 0; k < bottom.size(); ++k) bottom[k] = place.space->knobs()[k].levels.front();
  for (const auto& kind : {"cpu-capped", "gpu-capped", "memory-capped"})
    EXPECT_EQ(changed(place, options.workloads, from, kind, bottom, rng).caps, from.caps) << kind;
  const SimulatedPlace card{place.board, std::make_shared<const PowerModeSpace>(PowerModeSpace::grid(
                                             {{hw::KnobRole::gpu_khz, {306000, 612000}}}))};
  const auto there = uncapped(*card.space, options.workloads[0]);
  EXPECT_EQ(changed(card, options.workloads, there, "cpu-capped", {612000}, rng).caps, there.caps);
}

TEST(Changes, EachKindIsMade) {
  const auto options = usual();
  const auto& place = options.places[0];
  const auto from = uncapped(*place.space, options.workloads[0]);
  const auto top = place.space->at(place.space->size() - 1);
  hw::Rng rng(2);
  for (const auto& kind : change_kinds()) {
    const auto to = changed(place, {options.workloads[1]}, from, kind, top, rng);
    EXPECT_NE(cost_under(place, to, top).time_ms, cost_under(place, from, top).time_ms) << kind;
  }
}

}  // namespace simulated_world_test
}  // namespace fewwatt::tasks
