#include "learners/sim_population.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "datasets/import.hpp"
#include "datasets/mapping.hpp"
#include "learners/learner.hpp"
#include "tests/data_root.hpp"
#include "tests/paths.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace sim_population_test {

using hw::Knob;
using hw::KnobRole;
using hw::PowerModeSpace;

std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

std::vector<PowerModeSpace> spaces() {
  const Knob cores{KnobRole::cpu_cores, {1, 2, 4}}, cpu{KnobRole::cpu_khz, {300000, 900000, 2000000}},
      gpu{KnobRole::gpu_khz, {100000, 400000, 1000000}}, mem{KnobRole::mem_khz, {200000, 800000, 1600000}},
      limit{KnobRole::power_limit_mw, {100000, 150000, 250000}}, batch{KnobRole::batch_size, {8, 64, 1024}};
  return {PowerModeSpace::grid({cores, cpu, gpu, mem}), PowerModeSpace::grid({gpu, mem}),
          PowerModeSpace::grid({limit, batch}), PowerModeSpace::grid({limit, gpu}),
          PowerModeSpace::grid({cores, cpu})};
}

TEST(SimPopulation, CostsAreFiniteForAnyKnobs) {
  const SimPopulation population(500, 1);
  for (const auto& space : spaces()) {
    const auto logs = population.simulate(space, space.modes(), first(500));
    EXPECT_TRUE(logs.time.allFinite());
    EXPECT_TRUE(logs.power.allFinite());
  }
}

TEST(SimPopulation, AHigherClockOrLimitIsNeverSlower) {
  const SimPopulation population(300, 2);
  for (const auto& space : spaces()) {
    const auto modes = space.modes();
    const auto logs = population.simulate(space, modes, first(300));
    for (std::size_t k = 0; k < space.knobs().size(); ++k) {
      const auto& levels = space.knobs()[k].levels;
      if (space.knobs()[k].role == KnobRole::batch_size) continue;
      for (std::size_t i = 0; i < modes.size(); ++i) {
        if (modes[i][k] == levels.back()) continue;
        auto faster = modes[i];
        faster[k] = *std::upper_bound(levels.begin(), levels.end(), modes[i][k]);
        const auto j = space.index_of(faster).value();
        EXPECT_LE((logs.time.col(static_cast<Eigen::Index>(j)) - logs.time.col(static_cast<Eigen::Index>(i)))
                      .maxCoeff(),
                  tests::kFloat);
      }
    }
  }
}

// What a limit holds down is the power of the accelerator's board, which feeds no CPU.
TEST(SimPopulation, UnderALimitCoresThatDoNotHelpDrawNothing) {
  const auto space = PowerModeSpace::grid(
      {{KnobRole::cpu_cores, {2, 4}}, {KnobRole::power_limit_mw, {100000, 150000, 250000}}});
  const auto modes = space.modes();
  const auto logs = SimPopulation(300, 3).simulate(space, modes, first(300));
  int compared = 0;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i][0] == 4) continue;
    auto more = modes[i];
    more[0] = 4;
    const auto a = static_cast<Eigen::Index>(i), b = static_cast<Eigen::Index>(*space.index_of(more));
    for (Eigen::Index w = 0; w < logs.time.rows(); ++w) {
      if (std::abs(logs.time(w, a) - logs.time(w, b)) > tests::kFloat) continue;
      EXPECT_NEAR(logs.power(w, a), logs.power(w, b), 10 * tests::kFloat);
      ++compared;
    }
  }
  EXPECT_GT(compared, 50);
}

TEST(SimPopulation, WhatAModeCostsDoesNotDependOnTheOthers) {
  const SimPopulation population(50, 3);
  for (const auto& space : spaces()) {
    const auto modes = space.modes();
    const auto together = population.simulate(space, modes, first(50));
    for (std::size_t i = 0; i < modes.size(); i += 5) {
      const auto alone = population.simulate(space, std::span(modes).subspan(i, 1), first(50));
      const auto column = static_cast<Eigen::Index>(i);
      EXPECT_LE((alone.time.col(0) - together.time.col(column)).cwiseAbs().maxCoeff(), tests::kFloat);
      EXPECT_LE((alone.power.col(0) - together.power.col(column)).cwiseAbs().maxCoeff(), tests::kFloat);
    }
  }
}

TEST(SimPopulation, IsFixedBySeedAndFewerAreTheFirstOfMore) {
  const auto space = spaces()[0];
  const auto modes = space.modes();
  const SimPopulation some(10, 4), more(20, 4), others(10, 5);
  EXPECT_EQ(some.size(), 10u);
  EXPECT_EQ(some.simulate(space, modes, first(10)).time, more.simulate(space, modes, first(10)).time);
  EXPECT_NE(some.simulate(space, modes, first(10)).time, others.simulate(space, modes, first(10)).time);
  const std::vector<std::size_t> seventh = {7};
  EXPECT_EQ(some.simulate(space, modes, seventh).power.row(0),
            some.simulate(space, modes, first(10)).power.row(7));
  const std::vector<std::size_t> missing = {10};
  EXPECT_THROW(some.simulate(space, modes, missing), std::invalid_argument);
}

// Standard deviation of each row over the modes, ascending.
std::vector<double> spreads(const SimPopulation::Rows& logs) {
  const Eigen::VectorXf sd =
      (logs.colwise() - logs.rowwise().mean()).rowwise().norm() / std::sqrt(static_cast<float>(logs.cols()));
  std::vector<double> sorted(sd.begin(), sd.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

TEST(SimPopulation, SpreadOfMeasuredWorkloadsLiesInsideItsOwn) {
  FEWWATT_SKIP_WITHOUT_DATA(root);
  constexpr std::size_t kCount = 1000, kTail = 20;
  const SimPopulation population(kCount, 0);
  for (const std::string set : {"tx2-osldvfs", "tx2-flexibo"}) {
    const auto mapping = datasets::read_mapping(tests::source_dir() + "/datasets/mappings/" + set + ".ini");
    for (const auto& profile : datasets::import_profiles(mapping, {root + "/" + set}).profiles) {
      const auto logs = population.simulate(*profile.space, profile.modes, first(kCount));
      for (int t = 0; t < tasks::kNumTargets; ++t) {
        const auto rows = rows_of(tasks::samples_of(profile), static_cast<tasks::Target>(t));
        if (rows.modes.size() != profile.modes.size()) continue;
        const auto measured = spreads(rows.values.array().log().matrix().transpose().cast<float>())[0];
        const auto simulated = spreads(t == tasks::kTimeMs ? logs.time : logs.power);
        EXPECT_GT(measured, simulated[kTail]) << set << ' ' << profile.workload;
        EXPECT_LT(measured, simulated[kCount - 1 - kTail]) << set << ' ' << profile.workload;
      }
    }
  }
}

}  // namespace sim_population_test
}  // namespace fewwatt::learners
