#include "learners/sim_prior/hypotheses.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/physics.hpp"
#include "learners/sim_prior.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace hypotheses_test {

using tasks::Characteristics;
using tests::simulated_space;

// Hypotheses of a target of `rows` modes, with a model or without. The model's modes, where it has any, are the space's.
struct Made {
  Hypotheses hypotheses;

  Made(int target, std::size_t rows, std::optional<SimPriorModel> model = std::nullopt,
       const SimPriorOptions& options = {}, const Characteristics& stated = {}) {
    auto support = tests::simulated_workload(1, rows).support;
    support.characteristics = stated;
    Sources sources{std::make_shared<const SimPopulation>(200, 0), nullptr, nullptr, nullptr};
    if (model) sources.model = std::make_shared<const SimPriorModel>(*model);
    const auto means = mean_functions_of(support, model && !model->modes.empty() ? &*model : nullptr);
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
  auto of_cloud(CloudName cloud) const {
    return std::count_if(hypotheses.all.begin(), hypotheses.all.end(),
                         [&](const Hypothesis& h) { return h.cloud == cloud; });
  }
};

TEST(Hypotheses, MoreRowsAllowMoreResidualsWithoutTraining) {
  const auto groups = [](std::size_t rows, const std::optional<SimPriorModel>& model,
                         const SimPriorOptions& options = {}) {
    return Made(tasks::kTimeMs, rows, model, options).hypotheses.groups.size();
  };
  EXPECT_EQ(groups(7, {}), 1U);
  EXPECT_GT(groups(8, {}), 3U);
  EXPECT_EQ(groups(19, {}), groups(8, {}));
  EXPECT_EQ(groups(20, {}), groups(19, {}) + 1);  // one is fitted to the rows
  EXPECT_EQ(groups(20, {}, {.fitted = false}), 1U);
  // What training has found, and one residual that knows nothing of the training workloads.
  EXPECT_EQ(groups(20, tests::usual_sim_prior(*simulated_space())), 2U);
}

TEST(Hypotheses, PhysicsIsOfTimeWithoutTrainingAndFlatIsOfPower) {
  for (const bool trained : {false, true}) {
    std::optional<SimPriorModel> model;
    if (trained) model = tests::usual_sim_prior(*simulated_space());
    const Made time(tasks::kTimeMs, 6, model), power(tasks::kPowerW, 6, model);
    EXPECT_EQ(time.with_mean(Mean::physics), trained ? 0 : 1);
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

TEST(Hypotheses, WhatIsStatedIsOneWhereTheWorkloadStatesItToo) {
  const auto model = tests::usual_sim_prior(*simulated_space());
  const Made nothing(tasks::kTimeMs, 6, model),
      something(tasks::kTimeMs, 6, model, {}, {.flops = 1e12, .time_of = datasets::TimeOf::minibatch});
  EXPECT_EQ(nothing.of_cloud(kStated), 0);
  EXPECT_EQ(nothing.hypotheses.stated_logs.size(), 0);
  EXPECT_EQ(something.of_cloud(kStated), 1);
  EXPECT_EQ(something.hypotheses.stated_logs.cols(), 6);
}

TEST(Hypotheses, ScalesAreAboutWhatTrainingFound) {
  auto model = tests::usual_sim_prior(*simulated_space());
  model.targets[0]->log_noise = std::log(0.03);
  const Made time(tasks::kTimeMs, 6, model);
  const auto& scales = time.hypotheses.groups[0].scales;
  const auto likeliest = std::max_element(
      scales.begin(), scales.end(), [](const Scale& a, const Scale& b) { return a.log_prior < b.log_prior; });
  EXPECT_NEAR(likeliest->noise, 0.03 * 0.03, 1e-12);
}

TEST(Hypotheses, TheMeanOfTrainingWorkloadsIsOfLogsLessTheirLevels) {
  auto model = tests::usual_sim_prior(*simulated_space());
  const auto g = static_cast<Eigen::Index>(model.modes.size());
  model.targets[0]->training.resize(2, g);
  model.targets[0]->training << Vector::LinSpaced(g, 6, 8).transpose(),
      Vector::LinSpaced(g, -1, 3).transpose();
  const auto means = mean_functions_of(tests::simulated_workload(1, 6).support, &model);
  EXPECT_LT((means.curves[0] - Vector::LinSpaced(g, -1.5, 1.5)).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_EQ(means.curve_modes, model.modes);
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

}  // namespace hypotheses_test
}  // namespace fewwatt::learners
