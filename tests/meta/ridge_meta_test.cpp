#include "meta/ridge_meta.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "meta/train.hpp"
#include "tests/gradient_check.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace ridge_meta_test {

using tests::family;
using tests::family_profile;

// R2D2, ALPaCA with independent weights, and ALPaCA.
struct Kind {
  RidgeLoss loss;
  RidgePrior prior;
};
constexpr auto kKinds = {Kind{RidgeLoss::likelihood, RidgePrior::diagonal},
                         Kind{RidgeLoss::squared, RidgePrior::diagonal},
                         Kind{RidgeLoss::likelihood, RidgePrior::full}};

struct ModeRidge : tests::OnTasks<RidgeMeta, learners::RidgeModel> {
  ModeRidge(const std::string& name, const std::vector<datasets::Profile>& training,
            const RidgeMetaOptions& options, std::uint64_t seed)
      : OnTasks(ridge_on_modes(name, training, options, seed)) {}
};

RidgeMetaOptions small(const Kind& kind) {
  RidgeMetaOptions options;
  options.hidden = {5};
  options.features = 3;
  options.loss = kind.loss;
  options.prior = kind.prior;
  options.max_steps = 60;
  return options;
}

std::vector<tasks::Task> tasks_of(std::initializer_list<int> workloads) {
  hw::Rng rng(9);
  std::vector<tasks::Task> tasks;
  for (const int i : workloads) tasks.push_back(tasks::sample_task(family_profile(i), 6, rng, 7));
  return tasks;
}

// A target some steps away from where training starts.
learners::RidgeTarget moved(const ModeRidge& meta, tasks::Target t) {
  auto target = *meta.model().targets[t];
  hw::Rng rng(3);
  Vector parameters = ridge_parameters(target);
  for (auto& value : parameters) value += 0.2 * rng.normal();
  set_ridge_parameters(target, parameters);
  return target;
}

TEST(RidgeGradient, EqualsCentralDifferences) {
  for (const auto& kind : kKinds) {
    const auto loss = kind.loss;
    const ModeRidge meta("ridge", family(3), small(kind), 1);
    for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto episodes = meta.episodes(t, tasks_of({0, 1, 4}));
      const auto at = moved(meta, t);
      const auto value = [&](const Vector& parameters) {
        auto target = at;
        set_ridge_parameters(target, parameters);
        if (loss == RidgeLoss::squared) target.log_noise = at.log_noise;
        return ridge_gradient(meta.model().shape, target, episodes, loss, 0.01).loss;
      };
      const auto found = ridge_gradient(meta.model().shape, at, episodes, loss, 0.01);
      EXPECT_LE(tests::gradient_error(value, ridge_parameters(at), found.gradient), tests::kGradient);
    }
  }
}

TEST(RidgeGradient, BatchIsTheMeanOfItsTasks) {
  for (const auto& kind : kKinds) {
    const auto loss = kind.loss;
    const ModeRidge meta("ridge", family(3), small(kind), 1);
    const auto target = moved(meta, tasks::kTimeMs);
    const auto episodes = meta.episodes(tasks::kTimeMs, tasks_of({0, 1, 2, 7}));
    const auto batch = ridge_gradient(meta.model().shape, target, episodes, loss, 0);
    Vector mean = Vector::Zero(batch.gradient.size());
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      const auto one = ridge_gradient(meta.model().shape, target, std::span(&episodes[i], 1), loss, 0);
      EXPECT_NEAR(one.loss, batch.task_losses[i], 1e-12);
      mean += one.gradient / static_cast<double>(episodes.size());
    }
    EXPECT_LT((mean - batch.gradient).cwiseAbs().maxCoeff(),
              1e-12 * std::max(1.0, mean.cwiseAbs().maxCoeff()));
  }
}

TEST(RidgeGradient, PredictionIsThatOfTheBoard) {
  for (const auto& [prior, t] : {std::pair(RidgePrior::diagonal, tasks::kTimeMs),
                                 {RidgePrior::diagonal, tasks::kPowerW},
                                 {RidgePrior::full, tasks::kTimeMs},
                                 {RidgePrior::full, tasks::kPowerW}}) {
    const ModeRidge meta("ridge", family(3), small({RidgeLoss::likelihood, prior}), 1);
    const auto shape = meta.model().shape;
    const auto target = moved(meta, t);
    const auto episodes = meta.episodes(t, tasks_of({5, 7, 8}));
    const auto found = ridge_gradient(shape, target, episodes, RidgeLoss::likelihood, 0);
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      const auto& e = episodes[i];
      const Matrix support = learners::ridge_features(shape, target, e.support_x),
                   query = learners::ridge_features(shape, target, e.query_x);
      const double noise = std::exp(2 * target.log_noise);
      const auto posterior = learners::ridge_posterior(target, support, e.support_y.col(0));
      const Vector predicted = query * posterior.mean,
                   spread =
                       (query * posterior.covariance).cwiseProduct(query).rowwise().sum().array() + noise;
      const auto row = static_cast<Eigen::Index>(i);
      EXPECT_LT((found.means.row(row).transpose() - predicted).cwiseAbs().maxCoeff(), tests::kParity);
      EXPECT_LT((found.variances.row(row).transpose() - spread).cwiseAbs().maxCoeff(), tests::kParity);
      const double loss =
          0.5 *
          (spread.array().log() + (e.query_y.col(0) - predicted).array().square() / spread.array()).mean();
      EXPECT_NEAR(found.task_losses[i], loss, tests::kParity * std::max(1.0, std::abs(loss)));
    }
  }
}

TEST(RidgeGradient, SquaredLossHasNoPriorMeanAndOneSpread) {
  const ModeRidge meta("r2d2", family(3), small({RidgeLoss::squared, RidgePrior::diagonal}), 1);
  auto target = moved(meta, tasks::kTimeMs);
  const auto episodes = meta.episodes(tasks::kTimeMs, tasks_of({0, 1}));
  const auto losses = [&] {
    return ridge_gradient(meta.model().shape, target, episodes, RidgeLoss::squared, 0).task_losses;
  };
  const auto before = losses();
  target.prior_mean.array() += 1;
  target.log_spreads[0] += 0.5;
  target.log_spreads[1] -= 0.5;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(losses()[i], before[i], 1e-12);
  target.log_spreads.array() += 0.5;
  EXPECT_GT(std::abs(losses()[0] - before[0]), 1e-9);
}

TEST(RidgeGradient, RefusesSizesThatDoNotFit) {
  const ModeRidge meta("ridge", family(2), small({RidgeLoss::likelihood, RidgePrior::diagonal}), 1);
  const auto target = *meta.model().targets[0];
  const auto good = meta.episodes(tasks::kTimeMs, tasks_of({0, 1}));
  const auto refused = [&](auto change) {
    auto episodes = good;
    auto bad = target;
    change(episodes, bad);
    EXPECT_THROW(ridge_gradient(meta.model().shape, bad, episodes, RidgeLoss::likelihood, 0),
                 std::invalid_argument);
  };
  refused([](auto& e, auto&) { e.clear(); });
  refused([](auto& e, auto&) { e[1].query_x.conservativeResize(3, Eigen::NoChange); });
  refused([](auto& e, auto&) { e[0].support_y.conservativeResize(2, Eigen::NoChange); });
  refused([](auto& e, auto&) {
    for (auto& one : e) one.support_x.conservativeResize(Eigen::NoChange, 2);
  });
  refused([](auto&, auto& t) { t.prior_mean.conservativeResize(1); });
  refused([](auto&, auto& t) { t.weights.conservativeResize(1); });
  refused([](auto&, auto& t) { t.lower = Matrix::Zero(3, 3); });  // with a prior of features too
}

TEST(RidgeMeta, LearnsTheFamily) {
  for (const auto& kind : kKinds) {
    auto options = small(kind);
    options.hidden = {16};
    options.features = 8;
    options.max_steps = 150;
    ModeRidge meta("ridge", family(6), options, 1);
    const auto test = tasks_of({11, 12, 13, 14});
    const auto error = [&] {
      double sum = 0;
      for (const auto& task : test) sum += try_ridge(meta.snapshot(), 1, tasks::kTimeMs, task) / 4;
      return sum;
    };
    const double before = error();
    const tasks::TaskSource source(family(6),
                                   {.min_shots = 5, .max_shots = 10, .query = 12, .augmentation = {}});
    train(meta, meta.episodes_of(source, 1), {},
          {.steps = options.max_steps, .meta_batch = 8, .validate_every = 50});
    EXPECT_LT(error(), 0.7 * before);
  }
}

TEST(RidgeMeta, TrainingGoesOnFromOneOfTheSamePriorOnly) {
  const auto trained = ModeRidge("ridge", family(2), small({RidgeLoss::likelihood, RidgePrior::full}), 1);
  const auto init = trained.snapshot();
  const auto on = [&](RidgePrior prior) {
    return ridge_on_modes("ridge", family(2), small({RidgeLoss::likelihood, prior}), 2, &init);
  };
  EXPECT_EQ(
      learners::RidgeModel::from_checkpoint(on(RidgePrior::full).learner->snapshot()).targets[0]->weights,
      trained.model().targets[0]->weights);
  EXPECT_THROW(on(RidgePrior::diagonal), std::invalid_argument);
}

TEST(RidgeMeta, PriorIsAnOptionOfTheLikelihoodOnly) {
  const auto has_prior = [](RidgeLoss loss) {
    RidgeMetaOptions options;
    options.loss = loss;
    const auto all = learners::options_of([&](learners::OptionVisitor& on) { options.each(on); });
    return std::any_of(all.begin(), all.end(), [](const auto& option) { return option.name == "prior"; });
  };
  EXPECT_TRUE(has_prior(RidgeLoss::likelihood));
  EXPECT_FALSE(has_prior(RidgeLoss::squared));
}

TEST(RidgeMeta, BadOptionsThrow) {
  const auto refused = [](auto change) {
    RidgeMetaOptions options;
    change(options);
    EXPECT_THROW(ModeRidge("ridge", family(2), options, 1), std::invalid_argument);
  };
  refused([](auto& o) { o.hidden = {0}; });
  refused([](auto& o) { o.features = 0; });
  refused([](auto& o) { o.outer_rate = 0; });
  refused([](auto& o) { o.pull = -1; });
  refused([](auto& o) { o.max_steps = -1; });
  refused([](auto& o) { o.clip_norm = std::nan(""); });
  refused([](auto& o) {
    o.loss = RidgeLoss::squared;
    o.prior = RidgePrior::full;
  });
  EXPECT_THROW(ModeRidge("ridge", {}, {}, 1), std::invalid_argument);
}

}  // namespace ridge_meta_test
}  // namespace fewwatt::meta
