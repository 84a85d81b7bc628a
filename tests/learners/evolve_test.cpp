#include "learners/optimize/evolve.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/modules.hpp"
#include "tests/learners/schedule_instances.hpp"
#include "tests/learners/simulated_model.hpp"

namespace fewwatt::learners {
namespace evolve_test {

// Shares of instances that are found exactly, and the largest loss in the others.
struct Found {
  int instances = 0, exact = 0;
  double worst = 1;

  void add(const std::pair<double, double>& best, const Totals& totals) {
    ++instances;
    // Where nothing fits, what counts is by how much.
    const double ratio = best.first > 1  ? totals.excess / best.first
                         : totals.fits() ? totals.score / best.second
                                         : INFINITY;
    EXPECT_GE(ratio, 1 - 1e-12);
    exact += ratio < 1 + 1e-9;
    worst = std::max(worst, ratio);
  }
};

Found compare(std::uint64_t first_seed, int instances, std::size_t least, std::size_t most) {
  Found found;
  for (std::uint64_t seed = first_seed; seed < first_seed + static_cast<std::uint64_t>(instances); ++seed) {
    const auto asked = tests::random_instance(seed, least, most);
    const auto problem =
        turns_problem(asked.turns, asked.objective, asked.budget, asked.switching, asked.one_setting);
    found.add(tests::brute_force(problem), totals_of(problem, evolve_turns(problem, {.seed = seed})));
  }
  return found;
}

TEST(EvolveTurns, FindsWhatEnumerationFinds) {
  const auto few = compare(0, 25, 2, 4), more = compare(5000, 10, 5, 6);
  EXPECT_GE(few.exact, 24);
  EXPECT_LT(few.worst, 1.02);
  EXPECT_GE(more.exact, 9);
  EXPECT_LT(more.worst, 1.05);
}

// Four networks in the 4368 modes that PowerTrain profiled: 4e14 schedules.
TEST(EvolveTurns, ComesWithinHalfAPercentOfTheExactScheduleOfABoard) {
  const auto& board = hw::find_simulated_board("orin-agx-64");
  const auto space =
      std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64", "powertrain"));
  std::vector<Model> models;
  for (const char* workload : {"resnet18", "mobilenetv3", "yolov8n", "lstm"})
    models.push_back(tests::simulated_model(board, hw::find_simulated_workload(workload), space));
  std::vector<Turn> turns;
  for (const auto& model : models) turns.push_back({{&model}, 0.25});
  const Switching switching{.fast_ms = 50, .slow_ms = 1000, .units = 100};
  const auto frugal = turns_problem(turns, Objective::energy, {.max_power_w = 30}, switching, false);
  const double least_j = totals_of(frugal, best_turns(frugal)).energy_j;
  const struct {
    const char* objective;
    PowerBudget budget;
  } questions[] = {{"time", {.max_power_w = 25}},
                   {"edp", {.max_power_w = 30}},
                   {"energy", {.max_power_w = 30, .max_time_ms = 130}},
                   {"time", {.max_power_w = 30, .max_energy_j = 1.05 * least_j}}};
  for (const auto& [objective, budget] : questions) {
    const auto problem = turns_problem(turns, parse_objective(objective), budget, switching, false);
    const auto exact = totals_of(problem, best_turns(problem));
    const auto evolved = totals_of(problem, evolve_turns(problem));
    EXPECT_TRUE(exact.fits() && evolved.fits()) << objective;
    EXPECT_GE(evolved.score, exact.score * (1 - 1e-12)) << objective;
    EXPECT_LT(evolved.score, exact.score * 1.005) << objective;
  }
}

TEST(EvolveTurns, SameSeedSamePicksAndBadOptionsAreNamed) {
  const auto asked = tests::random_instance(3, 5, 5);
  const auto problem =
      turns_problem(asked.turns, asked.objective, asked.budget, asked.switching, asked.one_setting);
  EXPECT_EQ(evolve_turns(problem, {.seed = 4}), evolve_turns(problem, {.seed = 4}));
  EXPECT_THROW(best_turns(problem), std::invalid_argument);  // more than it takes
  EXPECT_THROW(evolve_turns(problem, {.population = 5}), std::invalid_argument);
  EXPECT_THROW(evolve_turns(problem, {.generations = 0}), std::invalid_argument);
  EXPECT_THROW(evolve_turns(problem, {.restarts = 0}), std::invalid_argument);
}

}  // namespace evolve_test
}  // namespace fewwatt::learners
