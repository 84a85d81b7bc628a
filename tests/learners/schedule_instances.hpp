#pragma once

#include <cmath>
#include <functional>
#include <limits>

#include "hw/random.hpp"
#include "learners/optimize/schedule.hpp"
#include "tests/learners/stated.hpp"

namespace fewwatt::tests {

// A board of eight settings in four groups, where a workload may have a batch size to choose too.
inline std::shared_ptr<const hw::PowerModeSpace> small_space(bool batches) {
  std::vector<hw::Knob> knobs = {{hw::KnobRole::cpu_cores, {2, 4}},
                                 {hw::KnobRole::gpu_khz, {100, 200}},
                                 {hw::KnobRole::mem_khz, {300, 600}}};
  if (batches) knobs.push_back({hw::KnobRole::batch_size, {8, 16}});
  return std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(knobs));
}

// Times and powers are whole numbers from a small range, so that ties are common.
inline learners::Model random_model(hw::Rng& rng, bool batches = false) {
  learners::Model model;
  model.device = "board";
  model.workload = "net" + std::to_string(rng.below(1000));
  model.attributes.time_of = datasets::TimeOf::minibatch;
  model.space = small_space(batches);
  const auto n = static_cast<Eigen::Index>(model.space->size());
  Stated stated{learners::Matrix(n, 2), learners::Matrix(n, 2)};
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index t = 0; t < 2; ++t) {
      stated.median(i, t) = 2 + static_cast<double>(rng.below(20));
      stated.stddev(i, t) = 0.1 * static_cast<double>(rng.below(10));
    }
  stated.latent_stddev = stated.stddev;
  model.prediction = stated;
  model.support.space = model.space;
  return model;
}

// What a user may ask, and two to four workloads that it is asked of.
struct Instance {
  std::vector<learners::Model> models;
  std::vector<learners::Turn> turns;
  learners::Objective objective;
  learners::PowerBudget budget;
  learners::Switching switching;
  bool one_setting = false;
};

inline Instance random_instance(std::uint64_t seed, std::size_t least_workloads = 2,
                                std::size_t most_workloads = 4) {
  auto rng = hw::Rng::stream(seed, "schedule");
  Instance made;
  const std::size_t n = least_workloads + rng.below(most_workloads - least_workloads + 1);
  const bool batches = n < 4 && rng.below(3) == 0;
  std::vector<double> shares;
  for (std::size_t i = 0; i < n; ++i) shares.push_back(1 + static_cast<double>(rng.below(4)));
  shares = learners::normalised_shares(shares);
  const std::size_t variants = n < 4 && !batches && rng.below(3) == 0 ? 2 : 1;  // of the first workload
  for (std::size_t i = 0; i < n + variants - 1; ++i) made.models.push_back(random_model(rng, batches));
  for (std::size_t i = 0; i < n; ++i) made.turns.push_back({{&made.models[i]}, shares[i]});
  if (variants > 1) made.turns[0].models.push_back(&made.models.back());
  const char* objectives[] = {"time", "energy", "edp", "ed2p", "zeus"};
  made.objective = learners::parse_objective(objectives[rng.below(5)]);
  if (rng.below(2) == 0 && made.objective == learners::Objective::energy) {
    made.objective.eta = rng.uniform();
    made.objective.max_power_w = 22;
  }
  made.budget.max_power_w = rng.below(4) == 0 ? INFINITY : 3 + rng.uniform() * 19;
  if (rng.below(3) == 0) made.budget.max_time_ms = 2 + rng.uniform() * 14;
  if (rng.below(3) == 0) made.budget.max_energy_j = (10 + rng.uniform() * 120) / 1000;
  if (rng.below(3) == 0) made.budget.confidence = rng.uniform(0.5, 0.99);
  if (rng.below(4) != 0) {
    made.switching.fast_ms = rng.below(3) == 0 ? 0 : rng.uniform() * 20;
    made.switching.slow_ms =
        rng.below(3) == 0 ? made.switching.fast_ms : made.switching.fast_ms + rng.uniform() * 40;
    made.switching.units = 1 + static_cast<double>(rng.below(30));
  }
  made.one_setting = rng.below(4) == 0;
  return made;
}

// Least excess, then least score, over all picks.
inline std::pair<double, double> brute_force(const learners::TurnsProblem& problem) {
  std::pair<double, double> best(INFINITY, INFINITY);
  learners::Picks picks(problem.options.size());
  const std::function<void(std::size_t)> pick = [&](std::size_t w) {
    if (w == picks.size()) {
      for (std::size_t i = 1; problem.one_setting && i < w; ++i)
        if (problem.options[i][picks[i]].setting != problem.options[0][picks[0]].setting) return;
      const auto totals = learners::totals_of(problem, picks);
      best = std::min(best, std::pair(totals.excess, totals.score));
      return;
    }
    for (picks[w] = 0; picks[w] < problem.options[w].size(); ++picks[w]) pick(w + 1);
  };
  pick(0);
  return best;
}

}  // namespace fewwatt::tests
