#include "meta/reptile.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "learners/registry.hpp"
#include "meta/train.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"

namespace fewwatt::meta {
namespace reptile_test {

using tests::family;
using tests::family_profile;

struct ModeReptile : tests::OnTasks<Reptile, learners::FineTuneModel> {
  ModeReptile(const std::vector<datasets::Profile>& training, const ReptileOptions& options,
              std::uint64_t seed)
      : OnTasks(reptile_on_modes("reptile", training, options, seed)) {}
};

ReptileOptions small() {
  ReptileOptions options;
  options.net.hidden = {16, 16};
  options.inner_steps = 5;
  options.max_steps = 80;
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

// Rows of one task in the net's units.
struct Rows {
  Matrix x, y;
};
Rows rows_of(const ModeReptile& reptile, const tasks::Task& task) {
  const auto episode = reptile.episodes(tasks::kTimeMs, std::span(&task, 1))[0];
  Rows rows{Matrix(episode.support_x.rows() + episode.query_x.rows(), episode.support_x.cols()),
            Matrix(episode.support_x.rows() + episode.query_x.rows(), 1)};
  rows.x << episode.support_x, episode.query_x;
  rows.y << episode.support_y, episode.query_y;
  return rows;
}

// With all rows in each inner step, the inner loop is the board's own fine-tuning.
TEST(Reptile, UpdateIsTheMeanDisplacement) {
  const auto profiles = family(3, false);
  for (const auto optimizer : {learners::Optimizer::sgd, learners::Optimizer::adam}) {
    auto options = small();
    options.inner_batch = 1000;
    options.inner_optimizer = optimizer;
    options.inner_rate = 0.01;
    options.outer_rate = 0.5;
    options.inner_clip = std::numeric_limits<double>::infinity();
    ModeReptile reptile(profiles, options, 1);
    const std::vector<tasks::Task> batch = {tasks_of(profiles[0], 1)[0], tasks_of(profiles[1], 1)[0],
                                            tasks_of(profiles[2], 1)[0]};
    const auto before = reptile.model();
    const Vector start = before.targets[tasks::kTimeMs]->weights;
    Vector mean = Vector::Zero(start.size());
    for (const auto& task : batch) {
      const auto rows = rows_of(reptile, task);
      mean += (learners::fine_tune<double>(before.shape, start, {optimizer, 5, 0.01, 0}, 1, rows.x, rows.y)
                   .parameters() -
               start) /
              3.0;
    }
    reptile.step(batch);
    const Vector moved = reptile.model().targets[tasks::kTimeMs]->weights - start;
    EXPECT_LE((moved - 0.5 * mean).norm(), 1e-12 * mean.norm()) << learners::to_string(optimizer);
  }
}

TEST(Reptile, OneInnerStepIsGradientDescent) {
  const auto profiles = family(2, false);
  ModeReptile reptile(profiles, small(), 1);
  const auto rows = rows_of(reptile, tasks_of(profiles[0], 1)[0]);
  const auto& model = reptile.model();
  const Vector start = model.targets[tasks::kTimeMs]->weights;
  auto options = small();
  options.inner_steps = 1;
  options.inner_rate = 0.1;
  options.inner_batch = 1000;
  Vector gradient;
  const double loss = learners::Mlp<double>(model.shape, start).loss(rows.x, rows.y, gradient);
  const auto found = reptile_displacement(model.shape, start, rows.x, rows.y, options, hw::Rng(1));
  EXPECT_LE((found.value + 0.1 * gradient).norm(), 1e-12 * gradient.norm());
  EXPECT_NEAR(found.loss, loss, 1e-12 * loss);
}

TEST(Reptile, LongInnerGradientsAreClipped) {
  const auto profiles = family(2, false);
  auto options = small();
  options.inner_steps = 1;
  options.inner_rate = 0.1;
  ModeReptile reptile(profiles, options, 1);
  const auto rows = rows_of(reptile, tasks_of(profiles[0], 1)[0]);
  const auto& model = reptile.model();
  const Vector start = model.targets[tasks::kTimeMs]->weights;
  const auto displacement = [&](double clip) {
    options.inner_clip = clip;
    return reptile_displacement(model.shape, start, rows.x, rows.y, options, hw::Rng(1)).value;
  };
  const Vector whole = displacement(1e9), clipped = displacement(0.5 * whole.norm() / 0.1);
  EXPECT_LE((clipped - 0.5 * whole).norm(), 1e-12 * whole.norm());
  options.inner_clip = 0;
  EXPECT_THROW(ModeReptile(profiles, options, 1), std::invalid_argument);
}

TEST(Reptile, InnerBatchesAreDrawnAnewAndRepeatably) {
  const auto profiles = family(2, false);
  ModeReptile reptile(profiles, small(), 1);
  const auto rows = rows_of(reptile, tasks_of(profiles[0], 1)[0]);
  const Vector start = reptile.model().targets[tasks::kTimeMs]->weights;
  auto options = small();
  options.inner_batch = 4;
  const auto go = [&](std::uint64_t seed) {
    return reptile_displacement(reptile.model().shape, start, rows.x, rows.y, options, hw::Rng(seed)).value;
  };
  EXPECT_EQ(go(1), go(1));
  EXPECT_NE(go(1), go(2));
}

TEST(Reptile, LossFallsOnAFamilyOfWorkloads) {
  const auto profiles = family(6);
  ModeReptile reptile(profiles, small(), 1);
  const auto tasks = tasks_of(family_profile(20), 6);
  const double before = validation_error(*learners::make_learner(reptile.snapshot()), tasks);
  double first = 0, last = 0;
  const auto summary =
      train(reptile, reptile.episodes_of(source(profiles)), validation_on(tasks),
            {.steps = 80, .meta_batch = 8, .validate_every = 40}, {.progress = [&](const Progress& p) {
              if (p.step <= 10) first += p.loss;
              if (p.step > 70) last += p.loss;
            }});
  EXPECT_LT(last, 0.5 * first);
  EXPECT_LT(summary.best_error, before);
}

TEST(Reptile, StateGoesOnBitForBit) {
  const auto profiles = family(3);
  const auto tasks = source(profiles);
  hw::Rng rng(4);
  std::vector<std::vector<tasks::Task>> batches;
  for (int i = 0; i < 6; ++i) batches.push_back(tasks.next(4, rng));
  ModeReptile whole(profiles, small(), 1), before(profiles, small(), 1), after(profiles, small(), 1);
  for (const auto& batch : batches) whole.step(batch);
  for (int i = 0; i < 3; ++i) before.step(batches[i]);
  after.set_state(before.state());
  for (int i = 3; i < 6; ++i) after.step(batches[i]);
  EXPECT_EQ(whole.snapshot().tensors, after.snapshot().tensors);
  EXPECT_NE(before.snapshot().tensors, after.snapshot().tensors);
}

TEST(Reptile, LossThatIsNotFiniteNamesStepAndTask) {
  const auto profiles = family(2);
  auto options = small();
  options.inner_rate = 1e200;
  ModeReptile reptile(profiles, options, 1);
  const auto before = reptile.state();
  try {
    reptile.step(tasks_of(profiles[1], 2));
    FAIL() << "no error";
  } catch (const Diverged& e) {
    EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("board/w1"), std::string::npos) << e.what();
  }
  EXPECT_EQ(reptile.state().tensors, before.tensors);
}

TEST(Reptile, RefusesBadOptionsProfilesAndStates) {
  const auto with = [](auto change) {
    auto options = small();
    change(options);
    return options;
  };
  for (const auto& options :
       {with([](auto& o) { o.inner_steps = 0; }), with([](auto& o) { o.inner_rate = 0; }),
        with([](auto& o) { o.inner_batch = 0; }), with([](auto& o) { o.outer_rate = -1; }),
        with([](auto& o) { o.max_steps = -1; }), with([](auto& o) { o.net.hidden = {0}; })}) {
    EXPECT_THROW(ModeReptile(family(1), options, 1), std::invalid_argument);
  }
  EXPECT_THROW(ModeReptile({}, small(), 1), std::invalid_argument);
  auto wider = small();
  wider.net.hidden = {32};
  EXPECT_THROW(ModeReptile(family(1), wider, 1).set_state(ModeReptile(family(1), small(), 1).state()),
               std::invalid_argument);
}

}  // namespace reptile_test
}  // namespace fewwatt::meta
