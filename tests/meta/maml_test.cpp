#include "meta/maml.hpp"

#include <gtest/gtest.h>

#include "learners/registry.hpp"
#include "meta/fine_tune_search.hpp"
#include "meta/train.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::meta {
namespace maml_test {

using tests::family;
using tests::family_profile;

struct ModeMaml : tests::OnTasks<Maml, learners::FineTuneModel> {
  ModeMaml(const std::string& name, const std::vector<datasets::Profile>& training,
           const MamlOptions& options, std::uint64_t seed)
      : OnTasks(maml_on_modes(name, training, options, seed)) {}
};

MamlOptions small() {
  MamlOptions options;
  options.net.hidden = {16, 16};
  options.max_steps = 60;
  options.outer_rate = 5e-3;
  return options;
}

tasks::TaskSource source(const std::vector<datasets::Profile>& profiles) {
  return tasks::TaskSource(profiles, {.min_shots = 5, .max_shots = 10, .query = 20, .augmentation = {}});
}

std::vector<tasks::Task> tasks_of(const datasets::Profile& profile, int count) {
  hw::Rng rng(9);
  std::vector<tasks::Task> tasks;
  for (int i = 0; i < count; ++i) tasks.push_back(tasks::sample_task(profile, 8, rng));
  return tasks;
}

TEST(Maml, SnapshotAdaptsWithTheBoardsLearner) {
  const auto profiles = family(3);
  const ModeMaml maml("maml", profiles, small(), 1);
  const auto task = tasks_of(family_profile(7), 1)[0];
  const auto predicted =
      learners::make_learner(maml.snapshot())->adapt(task.support)->predict(task.query.modes).median();
  EXPECT_TRUE((predicted.array() > 0).all());
}

TEST(Maml, LossFallsOnAFamilyOfWorkloads) {
  const auto profiles = family(6);
  ModeMaml maml("maml", profiles, small(), 1);
  const auto tasks = tasks_of(family_profile(20), 6);
  const double before = validation_error(*learners::make_learner(maml.snapshot()), tasks);
  double first = 0, last = 0;
  const auto summary =
      train(maml, maml.episodes_of(source(profiles)), validation_on(tasks),
            {.steps = 60, .meta_batch = 8, .validate_every = 30}, {.progress = [&](const Progress& p) {
              if (p.step <= 10) first += p.loss;
              if (p.step > 50) last += p.loss;
            }});
  EXPECT_LT(last, 0.5 * first);
  EXPECT_LT(summary.best_error, before);
  EXPECT_EQ(summary.steps, 60);
}

TEST(Maml, TrainsOnlyTheTargetsThatProfilesHave) {
  const auto profiles = family(2, false);
  ModeMaml maml("maml", profiles, small(), 1);
  EXPECT_TRUE(maml.model().targets[tasks::kTimeMs]);
  EXPECT_FALSE(maml.model().targets[tasks::kPowerW]);
  EXPECT_GT(maml.step(tasks_of(profiles[0], 2)).loss, 0);
}

TEST(Maml, RowsWithoutAPowerAreLeftOut) {
  auto profiles = family(2);
  for (std::size_t i = 0; i < profiles[1].measurements.size(); i += 3) {
    profiles[1].measurements[i].power_w = std::nan("");
  }
  ModeMaml maml("maml", profiles, small(), 1);
  auto batch = tasks_of(profiles[0], 2);
  for (auto& task : tasks_of(profiles[1], 2)) batch.push_back(task);
  EXPECT_TRUE(std::isfinite(maml.step(batch).loss));
}

TEST(Maml, LoadedStateGoesOnBitForBit) {
  const auto profiles = family(3);
  const auto tasks = source(profiles);
  hw::Rng rng(4);
  std::vector<std::vector<tasks::Task>> batches;
  for (int i = 0; i < 6; ++i) batches.push_back(tasks.next(4, rng));

  ModeMaml whole("maml", profiles, small(), 1), before("maml", profiles, small(), 1),
      after("maml", profiles, small(), 2);
  for (const auto& batch : batches) whole.step(batch);
  for (int i = 0; i < 3; ++i) before.step(batches[i]);
  after.set_state(before.state());
  for (int i = 3; i < 6; ++i) after.step(batches[i]);
  EXPECT_EQ(whole.snapshot().tensors, after.snapshot().tensors);
  EXPECT_NE(before.snapshot().tensors, after.snapshot().tensors);
}

TEST(Maml, RefusesAStateOfAnotherNet) {
  const auto profiles = family(2);
  const auto state = ModeMaml("maml", profiles, small(), 1).state();
  auto wider = small();
  wider.net.hidden = {32};
  EXPECT_THROW(ModeMaml("maml", profiles, wider, 1).set_state(state), std::invalid_argument);
  auto other = state;
  other.learner = "reptile-state";
  EXPECT_THROW(ModeMaml("maml", profiles, small(), 1).set_state(other), std::invalid_argument);
}

TEST(Maml, LossThatIsNotFiniteNamesStepAndTask) {
  const auto profiles = family(2);
  auto options = small();
  options.inner.rate = 1e30;
  ModeMaml maml("maml", profiles, options, 1);
  try {
    maml.step(tasks_of(profiles[1], 2));
    FAIL() << "no error";
  } catch (const Diverged& e) {
    EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("board/w1"), std::string::npos) << e.what();
  }
}

TEST(Maml, RefusesBadOptionsAndProfiles) {
  auto options = small();
  options.clip_norm = 0;
  EXPECT_THROW(ModeMaml("maml", family(1), options, 1), std::invalid_argument);
  EXPECT_THROW(ModeMaml("maml", {}, small(), 1), std::invalid_argument);
  options = small();
  options.inner.loss = EpisodeLoss::cross_entropy;  // time and power are no classes
  EXPECT_THROW(ModeMaml("maml", family(1), options, 1), std::invalid_argument);
  auto mixed = family(2);
  mixed[1].space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::power_limit_mw, {1000, 2000}}}));
  mixed[1].modes = mixed[1].space->modes();
  mixed[1].measurements.resize(2);
  EXPECT_THROW(ModeMaml("maml", mixed, small(), 1), std::invalid_argument);
}

TEST(Maml, LearnedRatesAreTrainedAndStayInTheirClamp) {
  const auto profiles = family(4);
  for (const auto rates : {LearnedRates::per_parameter, LearnedRates::per_layer_and_step}) {
    auto options = small();
    options.learned_rates = rates;
    options.rate_clamp = 1.2;
    options.outer_rate = 0.05;
    ModeMaml maml("maml", profiles, options, 1);
    const auto tasks = source(profiles);
    hw::Rng rng(4);
    for (int i = 0; i < 10; ++i) maml.step(tasks.next(4, rng));
    const Matrix learned = learners::FineTuneModel::from_checkpoint(maml.snapshot()).targets[0]->rates;
    EXPECT_EQ(learned.rows(), rates == LearnedRates::per_parameter ? 1 : options.inner.steps);
    EXPECT_EQ(learned.cols(), maml.model().targets[0]->weights.size());
    EXPECT_NE(learned.minCoeff(), learned.maxCoeff());
    EXPECT_GE(learned.minCoeff(), options.inner.rate / 1.2 * (1 - 1e-12));
    EXPECT_LE(learned.maxCoeff(), options.inner.rate * 1.2 * (1 + 1e-12));
  }
}

TEST(Maml, LearnedRatesPerLayerAreEqualWithinALayer) {
  const auto profiles = family(3);
  auto options = small();
  options.learned_rates = LearnedRates::per_layer_and_step;
  options.multi_step_until = 2;
  ModeMaml maml("maml++", profiles, options, 1);
  maml.step(tasks_of(profiles[0], 3));
  const auto model = learners::FineTuneModel::from_checkpoint(maml.snapshot());
  const auto& rates = model.targets[0]->rates;
  const auto first = static_cast<Eigen::Index>(model.shape.offset(1));
  for (Eigen::Index step = 0; step < rates.rows(); ++step) {
    EXPECT_EQ(rates.row(step).head(first).minCoeff(), rates.row(step).head(first).maxCoeff());
    EXPECT_NE(rates(step, 0), rates(step, first));
  }
  EXPECT_NE(rates(0, 0), rates(1, 0));
}

// What a clamp is for: rates ten times as large as they may become still give finite losses.
TEST(Maml, ClampedRatesDoNotDiverge) {
  const auto profiles = family(4);
  auto options = small();
  options.learned_rates = LearnedRates::per_parameter;
  options.outer_rate = 10;
  options.rate_clamp = 2;
  options.clip_norm = 1e-3;
  ModeMaml maml("meta-sgd", profiles, options, 1);
  maml.step(tasks_of(profiles[0], 4));
  const Matrix rates = learners::FineTuneModel::from_checkpoint(maml.snapshot()).targets[0]->rates;
  EXPECT_LE(rates.maxCoeff(), 0.2 * (1 + 1e-12));
  EXPECT_GE(rates.minCoeff(), 0.05 * (1 - 1e-12));
}

TEST(Maml, LearnedRatesGoOnBitForBit) {
  const auto profiles = family(3);
  const auto batch = tasks_of(profiles[0], 3), next = tasks_of(profiles[1], 3);
  auto options = small();
  options.learned_rates = LearnedRates::per_layer_and_step;
  options.multi_step_until = 4;
  ModeMaml whole("maml++", profiles, options, 1), before("maml++", profiles, options, 1),
      after("maml++", profiles, options, 2);
  whole.step(batch);
  whole.step(next);
  before.step(batch);
  after.set_state(before.state());
  after.step(next);
  EXPECT_EQ(whole.snapshot().tensors, after.snapshot().tensors);
}

TEST(Maml, WithoutInnerStepsItIsJointPreTraining) {
  const auto profiles = family(3);
  auto options = small();
  options.inner.steps = 0;
  ModeMaml joint("joint", profiles, options, 1);
  const auto task = tasks_of(profiles[1], 1);
  const auto initializer = *joint.model().targets[tasks::kTimeMs];
  const auto episode = joint.episodes(tasks::kTimeMs, task)[0];
  Vector gradient;
  const double loss = learners::Mlp<double>(joint.model().shape, initializer.weights)
                          .loss(episode.query_x, episode.query_y, gradient);
  const auto outer =
      maml_gradient(joint.model().shape, initializer.weights, std::span(&episode, 1), options.inner);
  EXPECT_NEAR(outer.loss, loss, 1e-12);
  EXPECT_LE((outer.gradient - gradient).norm(), 1e-12);
}

TEST(FineTuneSearch, DivergedTrainingHasAnInfiniteError) {
  const auto profiles = family(3);
  const ModeMaml maml("maml", profiles, small(), 1);
  const FineTuneGrid grid{.steps = {20, 60}, .rates = {3e-3, 1e30}, .stop_rms = {0}};
  const auto errors = try_fine_tuning(maml.model(), tasks::kTimeMs, tasks_of(family_profile(7), 1)[0], grid);
  EXPECT_TRUE(std::isfinite(errors[0]) && std::isfinite(errors[1]));
  EXPECT_EQ(errors[2], std::numeric_limits<double>::infinity());
  EXPECT_EQ(errors[3], std::numeric_limits<double>::infinity());
}

TEST(FineTuneSearch, ErrorsAreThoseOfTheLearner) {
  const auto profiles = family(3);
  const ModeMaml maml("maml", profiles, small(), 1);
  const auto task = tasks_of(family_profile(7), 1)[0];
  const FineTuneGrid grid{.steps = {20, 60}, .rates = {3e-3, 1e-2}, .stop_rms = {0.05, 0}};
  const auto settings = grid.settings();
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto errors = try_fine_tuning(maml.model(), target, task, grid);
    ASSERT_EQ(errors.size(), settings.size());
    for (std::size_t i = 0; i < settings.size(); ++i) {
      auto model = maml.model();
      model.targets[target]->fine_tune = settings[i];
      const Matrix predicted =
          learners::FineTune(model).adapt(task.support)->predict(task.query.modes).median();
      const Vector measured = task.query.targets.col(target);
      const Vector difference = predicted.col(target) - measured;
      const double percent = 100 * (difference.array() / measured.array()).abs().mean();
      EXPECT_NEAR(errors[i], percent, 1e-3 * percent);
    }
  }
}

}  // namespace maml_test
}  // namespace fewwatt::meta
