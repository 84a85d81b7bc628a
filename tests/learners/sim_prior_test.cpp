#include "learners/sim_prior.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace {

using tests::simulated_space;
using tests::simulated_workload;

TEST(SimPrior, TenModesOfAWorkloadLikeTheSimulatedOnesAreEnough) {
  const SimPrior only, prior(tests::usual_sim_prior(*simulated_space()));
  for (const auto* learner : {&only, &prior}) {
    Eigen::Array2d mean_error = Eigen::Array2d::Zero();
    double inside = 0;
    constexpr int kWorkloads = 8;
    for (std::size_t w = 0; w < kWorkloads; ++w) {
      const auto m = simulated_workload(w, 10);
      const auto p = learner->adapt(m.support)->predict(m.modes);
      const Matrix error = (p.mean - m.truth).cwiseAbs();
      for (Eigen::Index t = 0; t < 2; ++t) {
        mean_error[t] += error.col(t).cwiseQuotient(m.truth.col(t)).mean() / kWorkloads;
        inside +=
            (error.col(t).array() < 1.645 * p.stddev.col(t).array()).cast<double>().mean() / (2 * kWorkloads);
      }
    }
    EXPECT_LT(mean_error[0], 0.06);
    EXPECT_LT(mean_error[1], 0.05);
    EXPECT_GT(inside, 0.8);
  }
}

TEST(SimPrior, IsSurestWhereItMeasuredAndSurerWithMore) {
  const SimPrior learner;
  const auto few = simulated_workload(3, 10), many = simulated_workload(3, 40);
  const auto of_few = learner.adapt(few.support), of_many = learner.adapt(many.support);
  const auto there = of_few->predict(few.support.modes), all = of_few->predict(few.modes);
  EXPECT_LT(there.stddev.col(0).cwiseQuotient(there.mean.col(0)).mean(),
            all.stddev.col(0).cwiseQuotient(all.mean.col(0)).mean());
  const auto surer = of_many->predict(few.modes);
  EXPECT_LT(surer.stddev.col(0).cwiseQuotient(surer.mean.col(0)).mean(),
            all.stddev.col(0).cwiseQuotient(all.mean.col(0)).mean());
}

TEST(SimPrior, AModesPredictionDoesNotDependOnTheOthers) {
  const auto m = simulated_workload(5, 12);
  const auto predictor = SimPrior(tests::usual_sim_prior(*simulated_space())).adapt(m.support);
  const auto together = predictor->predict(m.modes);
  for (std::size_t i = 0; i < m.modes.size(); i += 60) {
    const auto alone = predictor->predict(std::span(m.modes).subspan(i, 1));
    const auto row = static_cast<Eigen::Index>(i);
    for (Eigen::Index t = 0; t < 2; ++t) {
      EXPECT_NEAR(alone.mean(0, t) / together.mean(row, t), 1, tests::kFloat);
      EXPECT_NEAR(alone.stddev(0, t) / together.stddev(row, t), 1, 100 * tests::kFloat);
    }
  }
}

TEST(SimPrior, MeasuredTimeTellsOfPower) {
  double with = 0, without = 0;
  for (std::size_t w = 0; w < 12; ++w) {
    auto m = simulated_workload(w, 6);
    for (Eigen::Index i = 3; i < 6; ++i) m.support.targets(i, tasks::kPowerW) = std::nan("");
    const auto error = [&] {
      const Vector predicted = SimPrior().adapt(m.support)->predict(m.modes).mean.col(tasks::kPowerW);
      return ((predicted - m.truth.col(1)).cwiseAbs().cwiseQuotient(m.truth.col(1))).mean();
    };
    with += error();
    m.support.targets.col(tasks::kTimeMs).setConstant(std::nan(""));
    without += error();
  }
  EXPECT_LT(with, without);
}

TEST(SimPrior, WhatTrainingWorkloadsHaveInCommonHelpsThoseThatHaveItToo) {
  // Times with a step at the lowest memory clock that no simulated workload has.
  auto m = simulated_workload(2, 10);
  auto model = tests::usual_sim_prior(*simulated_space());
  Vector step(static_cast<Eigen::Index>(m.modes.size()));
  for (std::size_t i = 0; i < m.modes.size(); ++i)
    step[static_cast<Eigen::Index>(i)] = m.modes[i][3] < 700000 && m.modes[i][0] > 4 ? 0.6 : 0;
  const auto with_step = [&](hw::PowerMode mode) {
    return std::exp(step[static_cast<Eigen::Index>(*simulated_space()->index_of(mode))]);
  };
  model.targets[0]->training = (m.truth.col(0).array().log() + step.array()).transpose();
  for (std::size_t i = 0; i < 10; ++i)
    m.support.targets(static_cast<Eigen::Index>(i), 0) *= with_step(m.support.modes[i]);
  const Vector truth = m.truth.col(0).array() * step.array().exp();
  const auto error = [&](const SimPriorModel& known) {
    const Vector predicted = SimPrior(known).adapt(m.support)->predict(m.modes).mean.col(0);
    return (predicted - truth).cwiseAbs().cwiseQuotient(truth).mean();
  };
  const double helped = error(model);
  model.targets[0]->training.resize(0, 0);
  EXPECT_LT(helped, 0.8 * error(model));
}

TEST(SimPrior, TwoOfManyTrainingWorkloadsOneAfterTheOtherAreRecognised) {
  // Each training workload has times and powers of its own kind, that no simulated one has.
  const auto modes = simulated_space()->modes();
  const auto g = static_cast<Eigen::Index>(modes.size());
  auto model = tests::usual_sim_prior(*simulated_space());
  const auto training = [&](Eigen::Index workloads, int target) {
    Matrix logs(workloads, g);
    for (Eigen::Index w = 0; w < workloads; ++w)
      for (Eigen::Index i = 0; i < g; ++i)
        logs(w, i) = 0.4 * std::sin(static_cast<double>((w + 1) * (i % 17) + 5 * w + 3 * target)) + target;
    return logs;
  };
  for (int t = 0; t < 2; ++t) {
    auto& target = *model.targets[t];
    target.training = training(kMixedFrom, t);
    target.mixed.emplace().residual = target.residual;
  }
  Matrix truth(g, 2);
  for (Eigen::Index i = 0; i < g; ++i) {
    const auto value = [&](int t, Eigen::Index w) { return std::exp(model.targets[t]->training(w, i)); };
    truth(i, 0) = 0.7 * value(0, 2) + 0.3 * value(0, 5);
    truth(i, 1) = (0.7 * value(0, 2) * value(1, 2) + 0.3 * value(0, 5) * value(1, 5)) / truth(i, 0);
  }
  tasks::Samples support{simulated_space(), {}, Matrix(6, 2)};
  for (Eigen::Index i = 0; i < 6; ++i) {
    support.modes.push_back(modes[static_cast<std::size_t>(11 * i)]);
    support.targets.row(i) = truth.row(11 * i);
  }
  const auto errors = [&](const SimPriorModel& known) {
    const auto prediction = SimPrior(known).adapt(support)->predict(modes);
    return ((prediction.mean - truth).cwiseAbs().array() / truth.array()).colwise().mean().eval();
  };
  const auto many = errors(model);
  for (auto& target : model.targets) target->mixed.reset();
  const auto few = errors(model);
  for (int t = 0; t < 2; ++t) {
    EXPECT_LT(many[t], 0.5 * few[t]) << t;
  }
}

TEST(SimPrior, CovarianceIsOneOfAGaussianProcess) {
  const auto modes = simulated_space()->modes();
  const auto inputs = SimEncoder(*simulated_space())(std::span(modes).first(80));
  EXPECT_EQ(inputs.psi.cols(), sim_features(*simulated_space()));
  EXPECT_EQ(inputs.psi.cols(), 10);
  const auto residual = usual_residual(4, 10);
  const Matrix k = sim_covariance(residual, inputs, inputs);
  EXPECT_LT((k - k.transpose()).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_GT(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(k).eigenvalues().minCoeff(), -1e-9);
  EXPECT_EQ(SimResidual::from_flat(residual.flat(), 4).flat(), residual.flat());
}

TEST(SimPrior, CheckpointIsTheModel) {
  auto model = tests::usual_sim_prior(*simulated_space());
  model.targets[1]->training.resize(0, 0);
  model.targets[0]->log_scale = 0.25;
  model.targets[0]->mixed = *model.targets[1];
  model.targets[0]->mixed->log_noise = -5;
  model.targets[0]->mixed_share = 0.75;
  const auto again = SimPriorModel::from_checkpoint(model.to_checkpoint());
  EXPECT_EQ(again.knobs, model.knobs);
  EXPECT_EQ(again.modes, model.modes);
  EXPECT_EQ(again.targets[0]->training, model.targets[0]->training);
  EXPECT_EQ(again.targets[0]->log_scale, 0.25);
  ASSERT_TRUE(again.targets[0]->mixed);
  EXPECT_EQ(again.targets[0]->mixed->residual.flat(), model.targets[0]->mixed->residual.flat());
  EXPECT_EQ(again.targets[0]->mixed->log_noise, -5);
  EXPECT_EQ(again.targets[0]->mixed_share, 0.75);
  EXPECT_FALSE(again.targets[1]->mixed);
  EXPECT_EQ(again.targets[1]->training.size(), 0);
  EXPECT_EQ(again.targets[1]->residual.flat(), model.targets[1]->residual.flat());
}

TEST(SimPrior, BadModelsAreRefused) {
  const auto refused = [](auto change) {
    auto model = tests::usual_sim_prior(*simulated_space());
    change(model);
    EXPECT_THROW(SimPrior{model}, std::invalid_argument);
  };
  refused([](auto& m) { m.targets[0]->training.conservativeResize(1, 5); });
  refused([](auto& m) { m.targets[0]->log_noise = std::nan(""); });
  refused([](auto& m) { m.targets[0]->mixed_share = 1; });
  refused([](auto& m) { m.targets[0]->mixed.emplace(); });
  refused([](auto& m) { m.targets[1]->residual.log_widths.resize(2); });
  refused([](auto& m) { m.knobs = "gpu_khz"; });
  refused([](auto& m) { std::swap(m.modes[0], m.modes[1]); });
  auto slopes = tests::usual_sim_prior(*simulated_space());
  slopes.targets[0]->residual.log_slopes.resize(3);
  EXPECT_THROW(SimPrior(slopes).adapt(simulated_workload(1, 5).support), std::invalid_argument);
  EXPECT_THROW(SimPrior(std::nullopt, {.population = 0}), std::invalid_argument);
  EXPECT_THROW(SimPrior(std::nullopt, {.temper = 0}), std::invalid_argument);
  auto short_residual = tests::usual_sim_prior(*simulated_space()).to_checkpoint();
  short_residual.tensors.at("time/residual").conservativeResize(1, 4);
  EXPECT_THROW(SimPriorModel::from_checkpoint(short_residual), std::invalid_argument);
}

TEST(SimPrior, EqualRowsAndFewRowsAreFine) {
  auto m = simulated_workload(4, 6);
  m.support.targets.col(0).setConstant(7);
  EXPECT_TRUE(SimPrior().adapt(m.support)->predict(m.modes).mean.allFinite());
  const std::vector<std::size_t> one = {2};
  EXPECT_TRUE(SimPrior().adapt(m.support.subset(one))->predict(m.modes).mean.allFinite());
}

}  // namespace
}  // namespace fewwatt::learners
