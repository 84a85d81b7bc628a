#include "meta/maml_gradient.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "learners/fine_tune.hpp"
#include "tests/gradient_check.hpp"
#include "tests/meta/maml_by_autograd.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace maml_gradient_test {

using learners::Activation;
using learners::MlpShape;

Matrix random_matrix(Eigen::Index rows, Eigen::Index cols, hw::Rng& rng) {
  Matrix m(rows, cols);
  for (auto& value : m.reshaped()) value = rng.normal();
  return m;
}

std::vector<Episode> random_episodes(int count, int k, int q, int features, std::uint64_t seed = 1,
                                     int targets = 1) {
  hw::Rng rng(seed);
  std::vector<Episode> episodes;
  for (int i = 0; i < count; ++i) {
    episodes.push_back({random_matrix(k, features, rng), random_matrix(k, targets, rng),
                        random_matrix(q, features, rng), random_matrix(q, targets, rng)});
  }
  return episodes;
}

// The same with three classes: of each row the targets are their probabilities, mostly 0, 1, 0.
std::vector<Episode> random_classes(int count, int k, int q, int features) {
  auto episodes = random_episodes(count, k, q, features, 6, 3);
  for (auto& episode : episodes)
    for (auto* y : {&episode.support_y, &episode.query_y})
      for (Eigen::Index row = 0; row < y->rows(); ++row) {
        Eigen::Index own = 0;
        y->row(row).maxCoeff(&own);
        y->row(row) = Matrix::Identity(3, 3).row(own);
        if (row == 1) y->row(row) << 0.2, 0.7, 0.1;
      }
  return episodes;
}

Vector random_start(const MlpShape& shape) {
  hw::Rng rng(3);
  return learners::random_parameters(shape, rng);
}

// Central differences over all parameters against the gradient, relative.
double gradient_error(const MlpShape& shape, const InnerLoop& inner) {
  const auto episodes = random_episodes(3, 5, 4, 3);
  const Vector start = random_start(shape);
  const Vector gradient = maml_gradient(shape, start, episodes, inner).gradient;
  Vector numeric(start.size());
  const double h = 1e-5;
  for (Eigen::Index i = 0; i < start.size(); ++i) {
    Vector up = start, down = start;
    up[i] += h;
    down[i] -= h;
    numeric[i] =
        (maml_gradient(shape, up, episodes, inner).loss - maml_gradient(shape, down, episodes, inner).loss) /
        (2 * h);
  }
  return (gradient - numeric).norm() / gradient.norm();
}

TEST(MamlGradient, EqualsCentralDifferences) {
  for (const auto activation : {Activation::tanh, Activation::silu}) {
    const MlpShape shape{{3, 8, 8, 1}, activation, {}};
    for (int steps = 1; steps <= 5; ++steps) {
      EXPECT_LE(gradient_error(shape, {.steps = steps, .rate = 0.1}), tests::kGradient)
          << to_string(activation) << ", " << steps << " inner steps";
    }
  }
}

// One row of rates or one per step; and the loss of every step or of the last.
TEST(MamlGradient, OfLearnedRatesAndMultiStepLossEqualsCentralDifferences) {
  const MlpShape shape{{3, 6, 5, 1}, Activation::tanh, {}};
  const auto episodes = random_episodes(3, 5, 4, 3);
  const Vector start = random_start(shape);
  hw::Rng rng(8);
  for (const int rows : {1, 3}) {
    for (const auto& weights : {std::vector<double>{}, std::vector<double>{0.2, 0.3, 0.5}}) {
      InnerLoop inner{.steps = 3, .rate = 0.1, .step_weights = weights};
      inner.rates = Matrix::Constant(rows, start.size(), 0.1);
      for (double& rate : inner.rates.reshaped()) rate *= rng.uniform(0.5, 1.5);
      const auto found = maml_gradient(shape, start, episodes, inner);
      EXPECT_LE(tests::gradient_error(
                    [&](const Vector& x) { return maml_gradient(shape, x, episodes, inner).loss; }, start,
                    found.gradient),
                tests::kGradient)
          << rows;
      const Vector rates = inner.rates.reshaped<Eigen::RowMajor>();
      const Vector analytic = found.rate_gradient.reshaped<Eigen::RowMajor>();
      EXPECT_LE(tests::gradient_error(
                    [&](const Vector& x) {
                      auto changed = inner;
                      changed.rates.reshaped<Eigen::RowMajor>() = x;
                      return maml_gradient(shape, start, episodes, changed).loss;
                    },
                    rates, analytic),
                tests::kGradient)
          << rows;
    }
  }
}

TEST(MamlGradient, OfCrossEntropyEqualsCentralDifferences) {
  const auto episodes = random_classes(3, 6, 5, 3);
  for (const auto activation : {Activation::tanh, Activation::silu}) {
    const MlpShape shape{{3, 7, 6, 3}, activation, {}};
    const Vector start = random_start(shape);
    for (const auto& weights : {std::vector<double>{}, std::vector<double>{0.2, 0.3, 0.5}}) {
      InnerLoop inner{.steps = 3, .rate = 0.3, .step_weights = weights, .loss = EpisodeLoss::cross_entropy};
      inner.rates = Matrix::Constant(1, start.size(), 0.3);
      const auto found = maml_gradient(shape, start, episodes, inner);
      EXPECT_LE(tests::gradient_error(
                    [&](const Vector& x) { return maml_gradient(shape, x, episodes, inner).loss; }, start,
                    found.gradient),
                tests::kGradient);
      EXPECT_LE(tests::gradient_error(
                    [&](const Vector& x) {
                      auto changed = inner;
                      changed.rates.row(0) = x.transpose();
                      return maml_gradient(shape, start, episodes, changed).loss;
                    },
                    inner.rates.row(0).transpose(), found.rate_gradient.row(0).transpose()),
                tests::kGradient);
    }
  }
}

TEST(MamlGradient, EqualRatesAreOneRate) {
  const MlpShape shape{{3, 8, 1}, Activation::silu, {}};
  const auto episodes = random_episodes(2, 5, 4, 3);
  const Vector start = random_start(shape);
  const auto one = maml_gradient(shape, start, episodes, {.steps = 3, .rate = 0.2});
  const auto all = maml_gradient(shape, start, episodes,
                                 {.steps = 3, .rate = 0.1, .rates = Matrix::Constant(1, start.size(), 0.2)});
  EXPECT_NEAR(one.loss, all.loss, 1e-12);
  EXPECT_LE((one.gradient - all.gradient).norm() / one.gradient.norm(), 1e-12);
}

// With S = 1 the multi-step loss is the ordinary one; with all weight on the first step it is that of one step.
TEST(MamlGradient, StepWeightsChooseTheSteps) {
  const MlpShape shape{{3, 8, 1}, Activation::silu, {}};
  const auto episodes = random_episodes(2, 5, 4, 3);
  const Vector start = random_start(shape);
  const auto one = maml_gradient(shape, start, episodes, {.steps = 1, .rate = 0.1});
  const auto first =
      maml_gradient(shape, start, episodes, {.steps = 3, .rate = 0.1, .step_weights = {1, 0, 0}});
  EXPECT_NEAR(one.loss, first.loss, 1e-12);
  EXPECT_LE((one.gradient - first.gradient).norm() / one.gradient.norm(), 1e-12);
}

TEST(MamlGradient, FirstOrderIsNotTheWholeGradient) {
  const MlpShape shape{{3, 8, 8, 1}, Activation::tanh, {}};
  EXPECT_GT(gradient_error(shape, {.steps = 3, .rate = 0.1, .first_order = true}), 1e-3);
}

TEST(MamlGradient, FirstOrderIsTheQueryGradientAtTheAdaptedParameters) {
  const MlpShape shape{{3, 8, 1}, Activation::silu, {}};
  const auto episodes = random_episodes(2, 5, 4, 3);
  const Vector start = random_start(shape);
  Vector expected = Vector::Zero(start.size());
  for (const auto& episode : episodes) {
    const auto net = learners::fine_tune<double>(shape, start, {learners::Optimizer::sgd, 3, 0.1, 0}, 1,
                                                 episode.support_x, episode.support_y);
    Vector gradient;
    net.loss(episode.query_x, episode.query_y, gradient);
    expected += gradient / 2;
  }
  const auto found = maml_gradient(shape, start, episodes, {.steps = 3, .rate = 0.1, .first_order = true});
  EXPECT_LE((found.gradient - expected).norm() / expected.norm(), tests::kParity);
}

// y = w x + b, one support row (x, y), one query row (u, v), one step of rate a:
//   r = w x + b - y,  w' = w - 2 a r x,  b' = b - 2 a r,  s = w' u + b' - v
//   dL/dw = 2 s (u - 2 a x (x u + 1)),   dL/db = 2 s (1 - 2 a (x u + 1))
TEST(MamlGradient, LinearModelEqualsTheDerivationByHand) {
  const MlpShape shape{{1, 1}, Activation::tanh, {}};
  const double w = 0.7, b = -0.2, x = 1.3, y = 0.4, u = -0.6, v = 0.9, a = 0.1;
  const auto one = [](double value) { return Matrix::Constant(1, 1, value); };
  const std::vector<Episode> episodes = {{one(x), one(y), one(u), one(v)}};
  const auto found = maml_gradient(shape, Eigen::Vector2d(w, b), episodes, {.steps = 1, .rate = a});
  const double r = w * x + b - y, s = (w - 2 * a * r * x) * u + (b - 2 * a * r) - v;
  EXPECT_NEAR(found.loss, s * s, 1e-12);
  EXPECT_NEAR(found.gradient[0], 2 * s * (u - 2 * a * x * (x * u + 1)), 1e-12);
  EXPECT_NEAR(found.gradient[1], 2 * s * (1 - 2 * a * (x * u + 1)), 1e-12);
}

// One task after the other, by hand, against all in one bmm, recorded by LibTorch.
TEST(MamlGradient, EqualsAutogradOverTheBatchOfTasks) {
  hw::Rng rng(5);
  for (const auto& [activation, loss] : {std::pair(Activation::relu, EpisodeLoss::squared),
                                         {Activation::silu, EpisodeLoss::squared},
                                         {Activation::tanh, EpisodeLoss::squared},
                                         {Activation::relu, EpisodeLoss::cross_entropy},
                                         {Activation::tanh, EpisodeLoss::cross_entropy}}) {
    const bool classes = loss == EpisodeLoss::cross_entropy;
    const auto episodes = classes ? random_classes(4, 6, 7, 3) : random_episodes(4, 6, 7, 3, 2, 2);
    const MlpShape shape{{3, 9, 8, classes ? 3 : 2}, activation, {}};
    const Vector start = random_start(shape);
    Matrix rates = Matrix::Constant(3, start.size(), 0.1);
    for (double& rate : rates.reshaped()) rate *= rng.uniform(0.5, 1.5);
    for (const bool first_order : {false, true}) {
      const InnerLoop plain{.steps = 3, .rate = 0.1, .first_order = first_order, .loss = loss};
      InnerLoop learned = plain, every_step = plain;
      learned.rates = rates;
      every_step.rates = rates.topRows(1);
      every_step.step_weights = {0.2, 0.3, 0.5};
      for (const auto& inner : {plain, learned, every_step}) {
        const auto found = maml_gradient(shape, start, episodes, inner);
        const auto expected = tests::maml_by_autograd(shape, start, episodes, inner);
        EXPECT_LE((found.gradient - expected.gradient).norm() / expected.gradient.norm(), tests::kBatched);
        EXPECT_EQ(found.rate_gradient.rows(), inner.rates.rows());
        EXPECT_LE((found.rate_gradient - expected.rate_gradient).norm(),
                  tests::kBatched * expected.rate_gradient.norm());
        for (std::size_t i = 0; i < episodes.size(); ++i)
          EXPECT_NEAR(found.task_losses[i], expected.task_losses[i],
                      tests::kBatched * expected.task_losses[i]);
      }
    }
  }
}

TEST(MamlGradient, BatchEqualsOneTaskAtATime) {
  const MlpShape shape{{3, 16, 16, 1}, Activation::silu, {}};
  auto episodes = random_episodes(3, 5, 7, 3);
  episodes.push_back(random_episodes(1, 3, 4, 3)[0]);  // sizes may differ
  const Vector start = random_start(shape);
  const InnerLoop inner{.steps = 4, .rate = 0.1};
  const auto batch = maml_gradient(shape, start, episodes, inner);
  Vector mean = Vector::Zero(start.size());
  double loss = 0;
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    const auto one = maml_gradient(shape, start, std::span(&episodes[i], 1), inner);
    EXPECT_NEAR(batch.task_losses[i], one.loss, tests::kBatched * one.loss);
    mean += one.gradient / 4;
    loss += one.loss / 4;
  }
  EXPECT_NEAR(batch.loss, loss, tests::kBatched * loss);
  EXPECT_LE((batch.gradient - mean).norm() / mean.norm(), tests::kBatched);
}

TEST(MamlGradient, QueryLossEqualsThatOfFineTuning) {
  for (const auto activation : {Activation::relu, Activation::silu, Activation::tanh}) {
    const MlpShape shape{{13, 64, 64, 1}, activation, {}};
    const auto episodes = random_episodes(2, 10, 20, 13);
    const Vector start = random_start(shape);
    const auto found = maml_gradient(shape, start, episodes, {.steps = 5, .rate = 0.05});
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      const auto net = learners::fine_tune<double>(shape, start, {learners::Optimizer::sgd, 5, 0.05, 0}, 1,
                                                   episodes[i].support_x, episodes[i].support_y);
      const double loss = (net.forward(episodes[i].query_x) - episodes[i].query_y).squaredNorm() / 20;
      EXPECT_NEAR(found.task_losses[i], loss, tests::kParity * loss) << to_string(activation);
    }
  }
}

// What a new task gets: the same weights as in training, and with one rate the board's.
TEST(MamlGradient, QueryLossIsThatOfTheAdaptedParameters) {
  const MlpShape shape{{3, 8, 3}, Activation::silu, {}};
  const auto episode = random_classes(1, 6, 5, 3)[0];
  const Vector start = random_start(shape);
  InnerLoop inner{.steps = 4, .rate = 0.5, .loss = EpisodeLoss::cross_entropy};
  const auto of_classes = maml_gradient(shape, start, std::span(&episode, 1), inner);
  const Matrix z =
      learners::Mlp<double>(shape, adapted(shape, start, episode, inner)).forward(episode.query_x);
  const Matrix p = (z.array().exp().colwise() / z.array().exp().rowwise().sum());
  EXPECT_NEAR(of_classes.loss, -(episode.query_y.array() * p.array().log()).sum() / 5, tests::kBatched);

  inner = {.steps = 4, .rate = 0.1};
  const auto net = learners::fine_tune<double>(shape, start, {learners::Optimizer::sgd, 4, 0.1, 0}, 1,
                                               episode.support_x, episode.support_y);
  EXPECT_LE((adapted(shape, start, episode, inner) - net.parameters()).norm(),
            tests::kParity * net.parameters().norm());
}

TEST(MamlGradient, FloatIsCloseToDouble) {
  const MlpShape shape{{13, 64, 64, 1}, Activation::silu, {}};
  const auto episodes = random_episodes(2, 10, 20, 13);
  const InnerLoop inner{.steps = 5, .rate = 0.05};
  const Vector exact = maml_gradient(shape, random_start(shape), episodes, inner).gradient;
  const Vector fast = maml_gradient(shape, random_start(shape), episodes, inner, Precision::float32).gradient;
  EXPECT_LE((fast - exact).norm() / exact.norm(), 1e-4);
}

TEST(MamlGradient, TwoThreadsGetWhatOneGets) {
  const MlpShape shape{{13, 64, 64, 1}, Activation::silu, {}};
  const auto episodes = random_episodes(4, 50, 64, 13);
  const Vector start = random_start(shape);
  const Vector alone = maml_gradient(shape, start, episodes, {}, Precision::float32).gradient;
  Vector first, second;
  std::thread other([&] { first = maml_gradient(shape, start, episodes, {}, Precision::float32).gradient; });
  second = maml_gradient(shape, start, episodes, {}, Precision::float32).gradient;
  other.join();
  EXPECT_EQ(alone, first);
  EXPECT_EQ(alone, second);
}

TEST(MamlGradient, NoInnerStepsIsThePlainGradient) {
  const MlpShape shape{{3, 8, 1}, Activation::tanh, {}};
  const auto episodes = random_episodes(1, 5, 4, 3);
  const Vector start = random_start(shape);
  Vector expected;
  learners::Mlp<double>(shape, start).loss(episodes[0].query_x, episodes[0].query_y, expected);
  const auto found = maml_gradient(shape, start, episodes, {.steps = 0});
  EXPECT_LE((found.gradient - expected).norm() / expected.norm(), tests::kParity);
}

TEST(MamlGradient, RefusesSizesThatDoNotFit) {
  const MlpShape shape{{3, 8, 1}, Activation::tanh, {}};
  auto episodes = random_episodes(2, 5, 4, 3);
  EXPECT_THROW(maml_gradient(shape, Vector::Zero(7), episodes, {}), std::invalid_argument);
  EXPECT_THROW(maml_gradient(shape, random_start(shape), {}, {}), std::invalid_argument);
  EXPECT_THROW(maml_gradient(shape, random_start(shape), episodes, {.rate = 0}), std::invalid_argument);
  episodes[1].support_y.resize(4, 1);
  EXPECT_THROW(maml_gradient(shape, random_start(shape), episodes, {}), std::invalid_argument);
}

TEST(MamlGradient, CrossEntropyRefusesTargetsThatAreNoProbabilities) {
  const MlpShape shape{{3, 8, 3}, Activation::tanh, {}};
  const InnerLoop inner{.loss = EpisodeLoss::cross_entropy};
  const auto good = random_classes(2, 5, 4, 3);
  EXPECT_NO_THROW(maml_gradient(shape, random_start(shape), good, inner));
  const auto refused = [&](auto change) {
    auto episodes = good;
    change(episodes[1]);
    EXPECT_THROW(maml_gradient(shape, random_start(shape), episodes, inner), std::invalid_argument);
  };
  refused([](Episode& e) { e.query_y(0, 0) += 0.5; });
  refused([](Episode& e) { e.support_y.row(2) << 1.5, -0.5, 0; });
  refused([](Episode& e) { e.support_y(2, 0) = std::nan(""); });
}

}  // namespace maml_gradient_test
}  // namespace fewwatt::meta
