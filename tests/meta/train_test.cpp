#include "meta/train.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "learners/registry.hpp"
#include "meta/maml.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"

namespace fewwatt::meta {
namespace train_test {

using tests::family;

struct ModeMaml : tests::OnTasks<Maml, learners::FineTuneModel> {
  ModeMaml(const std::vector<datasets::Profile>& training, const MamlOptions& options, std::uint64_t seed)
      : OnTasks(maml_on_modes("maml", training, options, seed)) {}
};

MamlOptions small() {
  MamlOptions options;
  options.net.hidden = {8};
  options.max_steps = 60;
  return options;
}

ModeEpisodes source(const std::vector<datasets::Profile>& profiles, std::uint64_t seed = 0) {
  return ModeMaml(profiles, small(), 1)
      .episodes_of(
          tasks::TaskSource(profiles, {.min_shots = 5, .max_shots = 10, .query = 20, .augmentation = {}}),
          seed);
}

std::vector<tasks::Task> tasks_of(const datasets::Profile& profile, int count) {
  hw::Rng rng(9);
  std::vector<tasks::Task> tasks;
  for (int i = 0; i < count; ++i) tasks.push_back(tasks::sample_task(profile, 8, rng));
  return tasks;
}

TEST(Train, WithoutValidationTheLastSnapshotIsKept) {
  const auto profiles = family(2);
  ModeMaml maml(profiles, small(), 1);
  const auto summary = train(maml, source(profiles), {}, {.steps = 3, .meta_batch = 2});
  EXPECT_EQ(summary.best_step, 3);
  EXPECT_EQ(summary.best.tensors, maml.snapshot().tensors);
}

// Gets worse with every step; until step 3 its weights are `early` times as large.
class Spoiler final : public MetaLearner {
 public:
  explicit Spoiler(const std::vector<datasets::Profile>& profiles, double early = 1)
      : maml_(profiles, small(), 1), early_(early) {}
  StepReport step(std::span<const tasks::Episode>) override {
    ++steps_;
    return {};
  }
  learners::Checkpoint snapshot() const override {
    auto checkpoint = maml_.snapshot();
    for (const char* target : {"time", "power"}) {
      checkpoint.numbers[std::string(target) + "/fine_tune/steps"] = {0};
      checkpoint.tensors[std::string(target) + "/weights"] *= steps_ < 3 ? steps_ * early_ : steps_;
    }
    return checkpoint;
  }
  learners::Checkpoint state() const override { return {}; }
  void set_state(const learners::Checkpoint&) override {}

 private:
  ModeMaml maml_;
  double early_, steps_ = 0;
};

TEST(Train, TheBestSnapshotIsKept) {
  const auto profiles = family(2);
  Spoiler spoiler(profiles);
  const auto summary = train(spoiler, source(profiles), validation_on(tasks_of(profiles[0], 2)),
                             {.steps = 8, .meta_batch = 1, .validate_every = 2});
  EXPECT_EQ(summary.best_step, 2);
  EXPECT_EQ(summary.steps, 8);
}

TEST(Train, SnapshotThatPredictsNothingGivesWayToOneThatDoes) {
  const auto profiles = family(2);
  const double infinity = std::numeric_limits<double>::infinity();
  Spoiler spoiler(profiles, 1e30);  // until step 3: finite weights whose products overflow
  const auto tasks = tasks_of(profiles[0], 2);
  std::vector<double> errors;
  const auto summary = train(spoiler, source(profiles), validation_on(tasks),
                             {.steps = 4, .meta_batch = 1, .validate_every = 2},
                             {.progress = [&](const Progress& p) { errors.push_back(p.validation_error); }});
  EXPECT_EQ(errors[1], infinity);
  EXPECT_EQ(summary.best_step, 4);
  EXPECT_TRUE(std::isfinite(summary.best_error));
}

TEST(Train, StopsWhenPatienceIsOver) {
  const auto profiles = family(2);
  Spoiler spoiler(profiles);
  const auto summary = train(spoiler, source(profiles), validation_on(tasks_of(profiles[0], 2)),
                             {.steps = 50, .meta_batch = 1, .validate_every = 2, .patience = 3});
  EXPECT_EQ(summary.stop, Stop::patience);
  EXPECT_EQ(summary.best_step, 2);
  EXPECT_EQ(summary.steps, 8);
}

TEST(Train, InterruptedKeepsTheBestSoFar) {
  const auto profiles = family(2);
  Spoiler spoiler(profiles);
  int done = 0;
  const auto summary = train(
      spoiler, source(profiles), validation_on(tasks_of(profiles[0], 2)),
      {.steps = 50, .meta_batch = 1, .validate_every = 2},
      {.progress = [&](const Progress& now) { done = now.step; }, .interrupted = [&] { return done >= 7; }});
  EXPECT_EQ(summary.stop, Stop::interrupted);
  EXPECT_EQ(summary.steps, 7);
  EXPECT_EQ(summary.best_step, 2);
}

TEST(Train, AValidationThatIsInterruptedIsDoneAgain) {
  const auto profiles = family(2);
  ModeMaml maml(profiles, small(), 1);
  const auto validation = validation_on(tasks_of(profiles[0], 2));
  std::optional<TrainState> state;
  int asked = 0;
  const auto summary =
      train(maml, source(profiles), validation, {.steps = 4, .meta_batch = 2, .validate_every = 2},
            {.interrupted = [&] { return ++asked > 3; },  // two updates and a task
             .save = [&](const TrainState& s) { state = s; }});
  EXPECT_EQ(summary.stop, Stop::interrupted);
  EXPECT_EQ(summary.steps, 1);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->step, 1);
  EXPECT_EQ(state->learner.tensors, maml.state().tensors);
}

TEST(Train, InterruptedAtOnceHasNothing) {
  const auto profiles = family(2);
  ModeMaml maml(profiles, small(), 1);
  const auto summary =
      train(maml, source(profiles), {}, {.steps = 3, .meta_batch = 2}, {.interrupted = [] { return true; }});
  EXPECT_EQ(summary.stop, Stop::interrupted);
  EXPECT_EQ(summary.best_step, -1);
  EXPECT_TRUE(summary.best.tensors.empty());
}

TEST(Train, ResumedEqualsUninterrupted) {
  const auto profiles = family(3);
  const auto validation = validation_on(tasks_of(profiles[2], 2));
  const TrainOptions options{.steps = 9, .meta_batch = 2, .validate_every = 2};
  ModeMaml whole(profiles, small(), 1);
  const auto expected = train(whole, source(profiles, 5), validation, options);
  for (const int stop_after : {1, 3, 4, 5, 9, 12}) {  // between updates, and within validations
    ModeMaml first(profiles, small(), 1), second(profiles, small(), 2);
    TrainState state;
    int asked = 0;
    train(first, source(profiles, 5), validation, options,
          {.interrupted = [&] { return ++asked > stop_after; },
           .save = [&](const TrainState& s) { state = s; }});
    EXPECT_LT(state.step, options.steps);
    const auto summary = train(second, source(profiles, 5), validation, options, {}, &state);
    EXPECT_EQ(summary.best_step, expected.best_step);
    EXPECT_EQ(summary.best_error, expected.best_error);
    EXPECT_EQ(summary.best.tensors, expected.best.tensors);
    EXPECT_EQ(second.snapshot().tensors, whole.snapshot().tensors);
  }
}

// Diverges in step `at`.
class Diverging final : public MetaLearner {
 public:
  Diverging(const std::vector<datasets::Profile>& profiles, int at) : maml_(profiles, small(), 1), at_(at) {}
  StepReport step(std::span<const tasks::Episode> batch) override {
    if (++steps_ == at_) throw Diverged("made up: step " + std::to_string(steps_) + ", task t");
    return maml_.step(batch);
  }
  learners::Checkpoint snapshot() const override { return maml_.snapshot(); }
  learners::Checkpoint state() const override { return maml_.state(); }
  void set_state(const learners::Checkpoint& state) override { maml_.set_state(state); }

 private:
  ModeMaml maml_;
  int at_, steps_ = 0;
};

TEST(Train, DivergedKeepsTheBestSoFar) {
  const auto profiles = family(2);
  for (const bool validated : {true, false}) {
    Diverging learner(profiles, 6);
    const auto validation = validation_on(validated ? tasks_of(profiles[0], 2) : std::vector<tasks::Task>{});
    const auto summary =
        train(learner, source(profiles), validation, {.steps = 9, .meta_batch = 2, .validate_every = 2});
    EXPECT_EQ(summary.stop, Stop::diverged);
    EXPECT_EQ(summary.steps, 5);
    EXPECT_GE(summary.best_step, 2);
    EXPECT_LE(summary.best_step, 4);
    EXPECT_NE(summary.message.find("step 6, task t"), std::string::npos);
    EXPECT_FALSE(summary.best.tensors.empty());
  }
}

TEST(Train, DivergedBeforeThereIsAnythingToKeepIsAnError) {
  const auto profiles = family(2);
  Diverging learner(profiles, 1);
  EXPECT_THROW(train(learner, source(profiles), {}, {.steps = 9, .meta_batch = 2}), Diverged);
}

// Its snapshots have weights that predict nothing finite.
class Exploded final : public MetaLearner {
 public:
  explicit Exploded(const std::vector<datasets::Profile>& profiles) : maml_(profiles, small(), 1) {}
  StepReport step(std::span<const tasks::Episode> batch) override { return maml_.step(batch); }
  learners::Checkpoint snapshot() const override {
    auto snapshot = maml_.snapshot();
    for (auto& [name, tensor] : snapshot.tensors)
      if (name.ends_with("/weights")) tensor *= 1e300;
    return snapshot;
  }
  learners::Checkpoint state() const override { return maml_.state(); }
  void set_state(const learners::Checkpoint& state) override { maml_.set_state(state); }

 private:
  ModeMaml maml_;
};

TEST(Train, SnapshotsThatPredictNothingFiniteAreNotKept) {
  const auto profiles = family(2);
  Exploded learner(profiles);
  const auto validation = tasks_of(profiles[0], 2);
  ASSERT_TRUE(std::isinf(validation_error(*learners::make_learner(learner.snapshot()), validation)));
  EXPECT_THROW(train(learner, source(profiles), validation_on(validation),
                     {.steps = 4, .meta_batch = 2, .validate_every = 2}),
               Diverged);
}

TEST(Train, RefusesBadOptions) {
  const auto profiles = family(2);
  ModeMaml maml(profiles, small(), 1);
  for (const TrainOptions& options : {TrainOptions{.steps = -1}, TrainOptions{.meta_batch = 0},
                                      TrainOptions{.validate_every = 0}, TrainOptions{.patience = -1}}) {
    EXPECT_THROW(train(maml, source(profiles), {}, options), std::invalid_argument);
  }
}

}  // namespace train_test
}  // namespace fewwatt::meta
