#include "learners/sim_prior/hypotheses.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "learners/physics.hpp"
#include "learners/sim_prior.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace {

using tests::simulated_space;

// Hypotheses of a target of `rows` modes, with a model or without; same_grid: the model's modes are the space's.
struct Made {
  Samples support;
  MeanFunctions means;
  Hypotheses hypotheses;

  Made(int target, std::size_t rows, std::optional<SimPriorModel> model = std::nullopt,
       const SimPriorOptions& options = {})
      : support(tests::simulated_workload(1, rows).support) {
    Sources sources{std::make_shared<const SimPopulation>(200, 0), nullptr, nullptr, nullptr};
    if (model) sources.model = std::make_shared<const SimPriorModel>(*model);
    if (model) means.curve_modes = model->modes;
    const auto targets = targets_of(support);
    const SimPrior simulator(std::nullopt, {.population = 200});
    const auto retrieved = retrieve(sources, options, support.space, targets, simulator.simulate(support));
    const auto& known = *targets[static_cast<std::size_t>(target)];
    hypotheses = hypotheses_of(target, support, known, SimEncoder(*support.space)(known.rows.modes),
                               retrieved, options, means);
  }
  auto with_mean(Mean mean) const {
    return std::count_if(hypotheses.all.begin(), hypotheses.all.end(),
                         [&](const Hypothesis& h) { return h.mean == mean; });
  }
};

TEST(Hypotheses, MoreRowsAllowMoreResidualsWithoutTraining) {
  const Made few(tasks::kTimeMs, 7), some(tasks::kTimeMs, 8), many(tasks::kTimeMs, 20);
  EXPECT_EQ(few.hypotheses.groups[0].to, 1U);
  EXPECT_GT(some.hypotheses.groups[0].to, 3U);
  EXPECT_EQ(many.hypotheses.groups.size(), some.hypotheses.groups.size() + 1);  // one is fitted to the rows
  EXPECT_EQ(Made(tasks::kTimeMs, 20, {}, {.family = false, .fitted = false}).hypotheses.groups[0].to, 1U);
}

TEST(Hypotheses, PhysicsIsOfTimeAndFlatIsOfPower) {
  for (const bool trained : {false, true}) {
    std::optional<SimPriorModel> model;
    if (trained) model = tests::usual_sim_prior(*simulated_space());
    const Made time(tasks::kTimeMs, 6, model), power(tasks::kPowerW, 6, model);
    EXPECT_EQ(time.with_mean(Mean::physics), 1) << trained;
    EXPECT_EQ(time.with_mean(Mean::flat), 0) << trained;
    EXPECT_EQ(power.with_mean(Mean::physics), 0) << trained;
    EXPECT_EQ(power.with_mean(Mean::flat), 1) << trained;
  }
}

TEST(Hypotheses, TheMeanOfTrainingWorkloadsIsForTheirModes) {
  auto model = tests::usual_sim_prior(*simulated_space());
  EXPECT_EQ(Made(tasks::kTimeMs, 6, model).with_mean(Mean::training), 1);
  model.modes.clear();
  for (auto& target : model.targets) target->training.resize(0, 0);
  EXPECT_EQ(Made(tasks::kTimeMs, 6, model).with_mean(Mean::training), 0);
}

TEST(Hypotheses, MeanFunctionsAreWhatTheySay) {
  const auto m = tests::simulated_workload(2, 10);
  MeanFunctions means{Physics().adapt(m.support), {m.modes.begin(), m.modes.begin() + 3}, {}};
  means.curves[0] = Vector{{1, 2, 3}};
  const auto some = std::span(m.modes).subspan(2, 2);
  const Vector cloud = Vector{{7, 8}};
  EXPECT_EQ(means(0, Mean::cloud, some, cloud), cloud);
  EXPECT_EQ(means(0, Mean::flat, some, cloud), Vector::Zero(2));
  EXPECT_EQ(means(0, Mean::training, some, cloud), (Vector{{3, 8}}));  // the second mode was not trained in
  EXPECT_EQ(means(0, Mean::physics, some, cloud), Vector(means.physics->predict(some).log_mean.col(0)));
}

}  // namespace
}  // namespace fewwatt::learners
