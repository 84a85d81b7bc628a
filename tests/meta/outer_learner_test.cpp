#include "meta/outer_learner.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <tuple>

#include "meta/columns.hpp"
#include "meta/deep_kernel.hpp"
#include "meta/maml.hpp"
#include "meta/reptile.hpp"
#include "meta/ridge_meta.hpp"
#include "meta/train.hpp"
#include "tasks/episode_source.hpp"

// Meta-learners on plain episodes that no power mode is in.
namespace fewwatt::meta {
namespace outer_learner_test {

// Planes that meet at x = 0, y = 3 + x slope: two inputs, and so many targets.
class Planes final : public tasks::EpisodeSource {
 public:
  explicit Planes(Eigen::Index targets, Eigen::Index support = 5) : targets_(targets), support_(support) {}
  Episode draw(std::uint64_t step, std::uint64_t number) const override {
    auto rng = tasks::episode_rng(1, "planes", step, number);
    const auto random = [&](Eigen::Index rows, Eigen::Index cols) {
      Matrix m(rows, cols);
      for (auto& value : m.reshaped()) value = rng.normal();
      return m;
    };
    const Matrix slope = random(2, targets_), support = random(support_, 2), query = random(6, 2);
    const auto plane = [&](const Matrix& x) -> Matrix { return (x * slope).array() + 3; };
    return {support, plane(support), query, plane(query), "plane " + std::to_string(number)};
  }

 private:
  Eigen::Index targets_, support_;
};

MamlOptions maml_options() {
  MamlOptions options;
  options.inner.steps = 2;
  options.max_steps = 100;
  return options;
}
std::unique_ptr<OuterLearner> maml(Eigen::Index targets, const MamlOptions& options = maml_options()) {
  const auto shape = net_shape(2, {8}, static_cast<int>(targets), learners::Activation::tanh);
  return std::make_unique<Maml>("maml", shape, initial_weights(shape, 1, 0), options);
}
std::unique_ptr<OuterLearner> reptile(Eigen::Index targets) {
  ReptileOptions options;
  options.max_steps = 100;
  const auto shape = net_shape(2, {8}, static_cast<int>(targets), learners::Activation::tanh);
  return std::make_unique<Reptile>("reptile", shape, initial_weights(shape, 1, 0), options, 1);
}
std::unique_ptr<OuterLearner> ridge() {
  RidgeMetaOptions options;
  options.max_steps = 100;
  const auto shape = net_shape(2, {8}, 4, options.activation);
  return std::make_unique<RidgeMeta>("ridge", shape, RidgeMeta::untrained(shape, 1, 0), options);
}
std::unique_ptr<OuterLearner> deep_kernel() {
  DeepKernelOptions options;
  options.max_steps = 100;
  const auto shape = net_shape(2, {8}, 2, options.activation);
  return std::make_unique<DeepKernel>("deep-kernel", shape, DeepKernel::untrained(shape, 2, 1, 0), 0,
                                      options);
}

// Each of one target.
std::vector<std::unique_ptr<OuterLearner>> all() {
  std::vector<std::unique_ptr<OuterLearner>> learners;
  learners.push_back(maml(1));
  learners.push_back(reptile(1));
  learners.push_back(ridge());
  learners.push_back(deep_kernel());
  return learners;
}

TEST(OuterLearner, LearnsAFamilyThatIsNoPowerMode) {
  for (const auto& learner : all()) {
    double first = 0, last = 0;
    train(*learner, Planes(1), {}, {.steps = 100, .meta_batch = 8}, {.progress = [&](const Progress& now) {
      if (now.step <= 10) first += now.loss / 10;
      if (now.step > 90) last += now.loss / 10;
    }});
    EXPECT_LT(last, first - 0.2 * std::abs(first)) << learner->snapshot().learner;
  }
}

TEST(OuterLearner, NetsHaveAnyNumberOfTargets) {
  for (const auto& learner : {maml(3), reptile(3)}) {
    const auto report = learner->step(Planes(3).batch(0, 4));
    EXPECT_EQ(report.episodes, 4u);
    EXPECT_GT(report.loss, 0);
    EXPECT_EQ(learner->shape().sizes, (std::vector<int>{2, 8, 3}));
  }
}

TEST(OuterLearner, EpisodeThatDoesNotFitIsNamedAndChangesNothing) {
  for (const auto& learner : all()) {
    const auto before = learner->state();
    const auto refused = [&](const std::function<void(Episode&)>& change, const std::string& part) {
      auto batch = Planes(1).batch(0, 3);
      change(batch[1]);
      try {
        learner->step(batch);
        ADD_FAILURE() << "accepted, expected " << part;
      } catch (const std::invalid_argument& e) {
        EXPECT_NE(std::string(e.what()).find("plane 1"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
      }
      EXPECT_EQ(learner->state().tensors, before.tensors);
      EXPECT_EQ(learner->state().numbers, before.numbers);
    };
    refused([](auto& e) { e.support_x.resize(0, 2), e.support_y.resize(0, 1); },
            "at least one support row, found none");
    refused([](auto& e) { e.support_x.resize(5, 3), e.query_x.resize(6, 3); },
            "2 inputs and 1 targets, found 3 and 1");
    refused([](auto& e) { e.support_y.resize(5, 2), e.query_y.resize(6, 2); },
            "2 inputs and 1 targets, found 2 and 2");
  }
}

TEST(OuterLearner, TargetThatIsTheSameInAllRowsIsLearnedFrom) {
  for (const auto& learner : all()) {
    auto batch = Planes(1).batch(0, 3);
    batch[0].support_y.setConstant(2);
    batch[1].support_y.setZero();
    batch[1].query_y.setZero();
    EXPECT_TRUE(std::isfinite(learner->step(batch).loss));
    EXPECT_TRUE(learner->snapshot().tensor("parameters").allFinite());
  }
}

TEST(OuterLearner, EpisodesMayDifferInRowsAndInWhatIsKnown) {
  for (const auto& learner : all()) {
    std::vector<Episode> batch = {Planes(1, 1).draw(0, 0), Planes(1, 7).draw(0, 1), Planes(1, 4).draw(0, 2)};
    batch[1].support_y(0, 0) = std::nan("");
    batch[2].query_y.setConstant(std::nan(""));
    const auto report = learner->step(batch);
    EXPECT_EQ(report.episodes, 2u);
    EXPECT_TRUE(std::isfinite(report.loss));
  }
}

TEST(OuterLearner, WithoutEpisodesAStepLearnsNothing) {
  for (const auto& learner : all()) {
    const auto before = learner->snapshot();
    EXPECT_EQ(learner->step({}).episodes, 0u);
    EXPECT_EQ(learner->snapshot().tensors, before.tensors);
    EXPECT_EQ(learner->state().number("step"), 1);
  }
}

TEST(OuterLearner, SnapshotIsGoneBackTo) {
  for (const auto& learner : all()) {
    const auto before = learner->snapshot();
    learner->step(Planes(1).batch(0, 4));
    EXPECT_NE(learner->snapshot().tensors, before.tensors);
    learner->restore(before);
    EXPECT_EQ(learner->snapshot().tensors, before.tensors);
    auto other = before;
    other.learner = "another";
    EXPECT_THROW(learner->restore(other), std::invalid_argument);
  }
}

TEST(OuterLearner, ValidationOfOnesOwnChoosesTheSnapshot) {
  const auto learner = ridge();
  std::vector<learners::Checkpoint> seen;
  const auto summary = train(*learner, Planes(1),
                             [&](const learners::Checkpoint& snapshot, const StopCheck&) {
                               seen.push_back(snapshot);
                               return seen.size() == 2 ? 1.0 : 2.0;
                             },
                             {.steps = 6, .meta_batch = 2, .validate_every = 2});
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(summary.best_step, 4);
  EXPECT_EQ(summary.best.tensors, seen[1].tensors);
}

// Almost no inner loop, ANIL: Raghu et al. 2020.
TEST(Maml, AdaptedLayersAloneTakeInnerSteps) {
  auto options = maml_options();
  options.adapted_layers = 1;
  const auto anil = maml(1, options);
  const Matrix rates = dynamic_cast<const Maml&>(*anil).rates();
  const auto body = static_cast<Eigen::Index>(anil->shape().offset(1));
  EXPECT_TRUE((rates.leftCols(body).array() == 0).all());
  EXPECT_TRUE((rates.rightCols(rates.cols() - body).array() == options.inner.rate).all());
  const Matrix before = anil->snapshot().tensor("parameters");
  anil->step(Planes(1).batch(0, 4));
  const Matrix after = anil->snapshot().tensor("parameters");
  EXPECT_NE(before.leftCols(body), after.leftCols(body));  // the outer loop trains all
  options.adapted_layers = 3;
  EXPECT_THROW(maml(1, options), std::invalid_argument);
}

// Points around three centres, which differ from episode to episode.
class Centres final : public tasks::EpisodeSource {
 public:
  Episode draw(std::uint64_t step, std::uint64_t number) const override {
    auto rng = tasks::episode_rng(1, "centres", step, number);
    const auto random = [&](Eigen::Index rows) {
      Matrix m(rows, 2);
      for (auto& value : m.reshaped()) value = rng.normal();
      return m;
    };
    const Matrix centres = 2 * random(3);
    Episode episode;
    episode.name = "centres " + std::to_string(number);
    for (auto [x, y, each] :
         {std::tuple(&episode.support_x, &episode.support_y, 4), {&episode.query_x, &episode.query_y, 5}}) {
      *y = Matrix::Identity(3, 3).replicate(each, 1);
      *x = *y * centres + 0.3 * random(3 * each);
    }
    return episode;
  }
};

TEST(Maml, CrossEntropyLearnsToTellClassesApart) {
  auto options = maml_options();
  options.inner.loss = EpisodeLoss::cross_entropy;
  options.inner.rate = 0.02;  // too small for a net that is not trained
  options.max_steps = 200;
  const auto shape = net_shape(2, {16}, 3, learners::Activation::tanh);
  Maml maml("maml", shape, initial_weights(shape, 1, 0), options);
  const auto share_right = [&] {
    Eigen::Index right = 0, rows = 0;
    for (const auto& episode : Centres().batch(1'000'000, 20)) {
      const Matrix z =
          learners::Mlp<double>(shape, maml.adapted(episode, options.inner.steps)).forward(episode.query_x);
      for (Eigen::Index row = 0; row < z.rows(); ++row, ++rows) {
        Eigen::Index found = 0;
        z.row(row).maxCoeff(&found);
        if (episode.query_y(row, found) == 1) ++right;
      }
    }
    return static_cast<double>(right) / static_cast<double>(rows);
  };
  const double before = share_right();
  train(maml, Centres(), {}, {.steps = 200, .meta_batch = 8});
  EXPECT_GT(share_right(), before + 0.1);
}

TEST(Maml, CrossEntropyNeedsClasses) {
  auto options = maml_options();
  options.inner.loss = EpisodeLoss::cross_entropy;
  EXPECT_THROW(maml(1, options), std::invalid_argument);
  const auto of_planes = maml(2, options);
  const auto before = of_planes->state();
  EXPECT_THROW(of_planes->step(Planes(2).batch(0, 3)), std::invalid_argument);
  EXPECT_EQ(of_planes->state().tensors, before.tensors);
}

Columns two_columns() {
  std::vector<Columns::Column> columns;
  columns.push_back({"a", ridge()});
  columns.push_back({"b", maml(1)});
  return Columns(std::move(columns));
}

TEST(Columns, EachLearnsItsTarget) {
  auto columns = two_columns();
  auto alone = ridge();
  const auto batch = Planes(2).batch(0, 4);
  std::vector<Episode> first;
  for (const auto& episode : batch) first.push_back(tasks::with_target(episode, 0));
  EXPECT_EQ(columns.step(batch).episodes, 4u);
  alone->step(first);
  EXPECT_EQ(columns.snapshot().tensor("a/parameters"), alone->snapshot().tensor("parameters"));
  EXPECT_EQ(columns.column(0)->snapshot().tensors, alone->snapshot().tensors);
}

TEST(Columns, ATargetThatIsUnknownIsNotLearnedFrom) {
  auto columns = two_columns();
  const auto before = columns.snapshot();
  auto batch = Planes(2).batch(0, 3);
  for (auto& episode : batch) episode.support_y.col(1).setConstant(std::nan(""));
  columns.step(batch);
  EXPECT_NE(columns.snapshot().tensor("a/parameters"), before.tensor("a/parameters"));
  EXPECT_EQ(columns.snapshot().tensor("b/parameters"), before.tensor("b/parameters"));
}

TEST(Columns, WhenOneDivergesNoneHasMoved) {
  auto columns = two_columns();
  const auto before = columns.state();
  auto batch = Planes(2).batch(0, 3);
  batch[2].query_y(0, 1) = std::numeric_limits<double>::infinity();
  EXPECT_THROW(columns.step(batch), Diverged);
  EXPECT_EQ(columns.state().tensors, before.tensors);
  EXPECT_EQ(columns.state().numbers, before.numbers);
}

TEST(Columns, StateGoesOnBitForBitAndThatOfOthersIsRefused) {
  auto whole = two_columns(), before = two_columns(), after = two_columns();
  const Planes planes(2);
  for (std::uint64_t i = 0; i < 4; ++i) whole.step(planes.batch(i, 3));
  for (std::uint64_t i = 0; i < 2; ++i) before.step(planes.batch(i, 3));
  after.set_state(before.state());
  for (std::uint64_t i = 2; i < 4; ++i) after.step(planes.batch(i, 3));
  EXPECT_EQ(whole.snapshot().tensors, after.snapshot().tensors);

  const auto now = after.state();
  auto bad = before.state();
  bad.texts["b/learner"] = "reptile-state";
  EXPECT_THROW(after.set_state(bad), std::invalid_argument);
  EXPECT_EQ(after.state().tensors, now.tensors);
  EXPECT_THROW(after.step(Planes(1).batch(0, 2)), std::invalid_argument);
}

}  // namespace outer_learner_test
}  // namespace fewwatt::meta
