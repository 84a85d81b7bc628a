#include "meta/prototypes.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "learners/mlp.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace prototypes_test {

PrototypesOptions small() {
  PrototypesOptions options;
  options.hidden = {4};
  options.embedding = 3;
  options.activation = learners::Activation::tanh;
  return options;
}

// Two classes of two support rows and three query rows each.
std::vector<Episode> episodes(int count) {
  hw::Rng rng(3);
  std::vector<Episode> all;
  for (int i = 0; i < count; ++i) {
    Episode e{Matrix(4, 2), Matrix::Zero(4, 2), Matrix(6, 2), Matrix::Zero(6, 2), "classes"};
    for (auto* x : {&e.support_x, &e.query_x})
      for (auto& value : x->reshaped()) value = rng.normal();
    for (Eigen::Index row = 0; row < 4; ++row) e.support_y(row, row % 2) = 1;
    for (Eigen::Index row = 0; row < 6; ++row) e.query_y(row, row % 2) = 1;
    all.push_back(std::move(e));
  }
  return all;
}

TEST(Prototypes, GradientEqualsCentralDifferences) {
  Prototypes learner("prototypes", 2, 2, small(), 1);
  const auto batch = episodes(3);
  const Vector at = learner.parameters();
  const auto found = learner.gradient(batch);
  const auto loss = [&](const Vector& weights) {
    learner.set_parameters(weights);
    return learner.gradient(batch).loss;
  };
  EXPECT_LE(tests::gradient_error(loss, at, found.gradient), tests::kGradient);
}

// Snell et al. 2017, eq. 1 and 2, with Eigen's net.
TEST(Prototypes, ProbabilitiesAreASoftmaxOfDistancesToMeanEmbeddings) {
  const Prototypes learner("prototypes", 2, 2, small(), 1);
  const auto episode = episodes(1)[0];
  const learners::Mlp<double> net(learner.shape(), learner.parameters());
  const Matrix support = net.forward(episode.support_x), query = net.forward(episode.query_x);
  const Matrix found = learner.predict(episode);
  double loss = 0;
  for (Eigen::Index row = 0; row < 6; ++row) {
    const double first = (query.row(row) - (support.row(0) + support.row(2)) / 2).squaredNorm();
    const double second = (query.row(row) - (support.row(1) + support.row(3)) / 2).squaredNorm();
    const double p = 1 / (1 + std::exp(first - second));
    EXPECT_NEAR(found(row, 0), p, tests::kParity);
    EXPECT_NEAR(found.row(row).sum(), 1, tests::kParity);
    loss -= std::log(row % 2 == 0 ? p : 1 - p) / 6;
  }
  EXPECT_NEAR(learner.gradient(std::span(&episode, 1)).loss, loss, tests::kParity);
}

TEST(Prototypes, ClassWithoutASupportRowIsNamed) {
  Prototypes learner("prototypes", 2, 2, small(), 1);
  auto batch = episodes(2);
  batch[1].support_y.col(1).setZero();
  try {
    learner.step(batch);
    ADD_FAILURE() << "accepted";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("found none of class 1"), std::string::npos) << e.what();
  }
}

TEST(Prototypes, BadOptionsThrow) {
  const auto refused = [](auto change) {
    auto options = small();
    change(options);
    EXPECT_THROW(Prototypes("prototypes", 2, 2, options, 1), std::invalid_argument);
  };
  refused([](auto& o) { o.hidden = {0}; });
  refused([](auto& o) { o.embedding = 0; });
  refused([](auto& o) { o.outer_rate = 0; });
  refused([](auto& o) { o.max_steps = -1; });
  refused([](auto& o) { o.clip_norm = std::nan(""); });
}

}  // namespace prototypes_test
}  // namespace fewwatt::meta
