#include "learners/sim_prior.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <numeric>
#include <sstream>

#include "hw/text.hpp"
#include "tests/dense.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/paths.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace sim_prior_test {

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
      const Matrix error = (p.median() - m.truth).cwiseAbs(),
                   log_error = (p.log_mean.array() - m.truth.array().log()).abs();
      for (Eigen::Index t = 0; t < 2; ++t) {
        mean_error[t] += error.col(t).cwiseQuotient(m.truth.col(t)).mean() / kWorkloads;
        inside +=
            (log_error.col(t).array() < 1.645 * p.log_variance.col(t).array().sqrt()).cast<double>().mean() /
            (2 * kWorkloads);
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
  EXPECT_LT(there.log_variance.col(0).cwiseSqrt().mean(), all.log_variance.col(0).cwiseSqrt().mean());
  const auto surer = of_many->predict(few.modes);
  EXPECT_LT(surer.log_variance.col(0).cwiseSqrt().mean(), all.log_variance.col(0).cwiseSqrt().mean());
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
      EXPECT_NEAR(alone.log_variance(0, t) / together.log_variance(row, t), 1, 100 * tests::kFloat);
    }
  }
}

TEST(SimPrior, WhatOneSimulatesDoesForAnotherAndForFewerValues) {
  const SimPrior larger(tests::usual_sim_prior(*simulated_space())),
      smaller(std::nullopt, {.population = 500});
  auto m = simulated_workload(5, 12);
  const auto simulated = larger.simulate(m.support);
  m.support.targets(3, tasks::kPowerW) = m.support.targets(7, tasks::kTimeMs) = std::nan("");
  for (const auto* learner : {&larger, &smaller})
    EXPECT_EQ(learner->adapt(m.support, simulated)->predict(m.modes).median(),
              learner->adapt(m.support)->predict(m.modes).median());
}

TEST(SimPrior, MeasuredTimeTellsOfPower) {
  double with = 0, without = 0;
  for (std::size_t w = 0; w < 12; ++w) {
    auto m = simulated_workload(w, 6);
    for (Eigen::Index i = 3; i < 6; ++i) m.support.targets(i, tasks::kPowerW) = std::nan("");
    const auto error = [&] {
      const Vector predicted = SimPrior().adapt(m.support)->predict(m.modes).median().col(tasks::kPowerW);
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
    const Vector predicted = SimPrior(known).adapt(m.support)->predict(m.modes).median().col(0);
    return (predicted - truth).cwiseAbs().cwiseQuotient(truth).mean();
  };
  const double helped = error(model);
  model.targets[0]->training.resize(0, 0);
  EXPECT_LT(helped, 0.8 * error(model));
}

// What training workloads taught may be wrong for the next: a residual that never saw them competes.
TEST(SimPrior, AResidualThatIsWrongForTheWorkloadHardlyHurtsTime) {
  auto model = tests::usual_sim_prior(*simulated_space());
  for (auto& target : model.targets) {
    target->residual.log_signal = std::log(2.0);
    target->residual.log_lengths.setConstant(std::log(0.05));  // nothing is learned from one mode of the next
    target->log_noise = std::log(0.5);
  }
  const SimPrior only, wrong(model);
  const auto error = [&](const SimPrior& learner, int t) {
    double sum = 0;
    for (std::size_t w = 0; w < 8; ++w) {
      const auto m = simulated_workload(w, 12);
      const Vector predicted = learner.adapt(m.support)->predict(m.modes).median().col(t);
      sum += (predicted - m.truth.col(t)).cwiseAbs().cwiseQuotient(m.truth.col(t)).mean() / 8;
    }
    return sum;
  };
  EXPECT_LT(error(wrong, 0), 1.3 * error(only, 0));
  EXPECT_GT(error(wrong, 1), 1.3 * error(only, 1));
}

// Eight rows of a workload that waits for memory far longer than simulated ones do, and is nothing but what clocks cost.
TEST(SimPrior, PhysicsIsAPriorWithoutTrainingToo) {
  auto m = simulated_workload(2, 8);
  const auto& space = *simulated_space();
  const auto time_of = [&](const hw::PowerMode& mode) {
    const auto slowness = [&](std::size_t k) { return static_cast<double>(space.max_level(k)) / mode[k]; };
    return 40 * slowness(3) + 2 * slowness(2) + 0.1 * slowness(1);
  };
  for (std::size_t i = 0; i < m.support.modes.size(); ++i)
    m.support.targets(static_cast<Eigen::Index>(i), 0) = time_of(m.support.modes[i]);
  const auto predicted = SimPrior().adapt(m.support)->predict(m.modes);
  double error = 0;
  for (std::size_t i = 0; i < m.modes.size(); ++i)
    error += std::abs(predicted.median(static_cast<Eigen::Index>(i), 0) / time_of(m.modes[i]) - 1);
  EXPECT_LT(error / static_cast<double>(m.modes.size()), 0.033);  // 0.042 without
}

// Time and power go up and down along one clock, as nothing simulated does, nor any residual of the family.
TEST(SimPrior, ManyRowsTellWhatAWorkloadHasOfItsOwn) {
  const auto modes = simulated_space()->modes();
  const auto factor = [&](const hw::PowerMode& mode) {
    return std::exp(0.15 *
                    std::sin(9 * std::log(static_cast<double>(mode[2]) / simulated_space()->max_level(2))));
  };
  std::array<double, 2> with{}, without{};
  for (std::size_t w = 0; w < 4; ++w) {
    auto m = simulated_workload(w, 40);
    for (std::size_t i = 0; i < m.support.modes.size(); ++i)
      m.support.targets.row(static_cast<Eigen::Index>(i)) *= factor(m.support.modes[i]);
    for (std::size_t i = 0; i < modes.size(); ++i)
      m.truth.row(static_cast<Eigen::Index>(i)) *= factor(modes[i]);
    const auto add_errors = [&](const SimPriorOptions& options, std::array<double, 2>& to) {
      const auto p = SimPrior(std::nullopt, options).adapt(m.support)->predict(modes);
      for (Eigen::Index t = 0; t < 2; ++t)
        to[static_cast<std::size_t>(t)] +=
            ((p.median() - m.truth).cwiseAbs().array() / m.truth.array()).col(t).mean() / 4;
    };
    add_errors({}, with);
    add_errors({.fitted = false}, without);
  }
  for (std::size_t t = 0; t < 2; ++t) EXPECT_LT(with[t], 0.4 * without[t]) << t;
}

// Trained on workloads that each are of their own kind, that no simulated one is of.
SimPriorModel trained_on(Eigen::Index workloads) {
  auto model = tests::usual_sim_prior(*simulated_space());
  for (int t = 0; t < 2; ++t) {
    auto& target = *model.targets[t];
    target.training.resize(workloads, static_cast<Eigen::Index>(simulated_space()->size()));
    for (Eigen::Index w = 0; w < workloads; ++w)
      for (Eigen::Index i = 0; i < target.training.cols(); ++i)
        target.training(w, i) = 0.4 * std::sin(static_cast<double>((w + 1) * (i % 17) + 5 * w + 3 * t)) + t;
    target.mixed.emplace().residual = target.residual;
  }
  return model;
}

TEST(SimPrior, TwoOfManyTrainingWorkloadsAreRecognised) {
  const auto modes = simulated_space()->modes();
  const auto g = static_cast<Eigen::Index>(modes.size());
  const auto model = trained_on(8);
  auto without = model;
  for (auto& target : without.targets) target->mixed.reset();
  for (const bool overlapping : {false, true}) {  // or one after the other
    Matrix truth(g, 2);
    for (Eigen::Index i = 0; i < g; ++i) {
      const auto value = [&](int t, Eigen::Index w) { return std::exp(model.targets[t]->training(w, i)); };
      const double first = 0.6 * value(0, 2), second = 0.4 * value(0, 5);
      const double least = std::exp(model.targets[1]->training.col(i).minCoeff());
      truth(i, 0) = overlapping ? std::max(first, second) : first + second;
      truth(i, 1) = least + (first * (value(1, 2) - least) + second * (value(1, 5) - least)) / truth(i, 0);
    }
    tasks::Samples support{simulated_space(), {}, Matrix(6, 2)};
    for (Eigen::Index i = 0; i < 6; ++i) {
      support.modes.push_back(modes[static_cast<std::size_t>(11 * i)]);
      support.targets.row(i) = truth.row(11 * i);
    }
    const auto errors = [&](const SimPriorModel& known) {
      const auto prediction = SimPrior(known).adapt(support)->predict(modes);
      return ((prediction.median() - truth).cwiseAbs().array() / truth.array()).colwise().mean().eval();
    };
    const auto many = errors(model), few = errors(without);
    for (int t = 0; t < 2; ++t) EXPECT_LT(many[t], 0.3 * few[t]) << t << " overlapping " << overlapping;
  }
}

TEST(SimPrior, ATrainingWorkloadBesideWhatNoneHasIsRecognised) {
  const auto modes = simulated_space()->modes();
  const auto model = trained_on(2);
  std::array<double, 2> with{}, without{};
  constexpr std::size_t kWorkloads = 6;
  for (std::size_t w = 0; w < kWorkloads; ++w) {
    auto m = simulated_workload(w, 10);
    const double level = m.truth.col(0).array().log().mean(), watts = m.truth.col(1).array().log().mean();
    Matrix truth(m.truth.rows(), 2);
    for (Eigen::Index i = 0; i < truth.rows(); ++i) {
      const auto value = [&](int t, Eigen::Index of) { return std::exp(model.targets[t]->training(of, i)); };
      const double first = 0.5 * value(0, 0), second = 0.5 * m.truth(i, 0) / std::exp(level);
      const double least = std::min(value(1, 0), value(1, 1)),
                   other = std::max(least, std::exp(1 - watts) * m.truth(i, 1));
      truth(i, 0) = first + second;
      truth(i, 1) = least + (first * (value(1, 0) - least) + second * (other - least)) / truth(i, 0);
    }
    for (std::size_t i = 0; i < m.support.modes.size(); ++i)
      m.support.targets.row(static_cast<Eigen::Index>(i)) =
          truth.row(static_cast<Eigen::Index>(*simulated_space()->index_of(m.support.modes[i])));
    const auto add_errors = [&](const SimPriorOptions& options, std::array<double, 2>& to) {
      const auto prediction = SimPrior(model, options).adapt(m.support)->predict(modes);
      for (Eigen::Index t = 0; t < 2; ++t)
        to[static_cast<std::size_t>(t)] +=
            ((prediction.median() - truth).cwiseAbs().array() / truth.array()).col(t).mean() / kWorkloads;
    };
    add_errors({}, with);
    add_errors({.blends = 0}, without);
  }
  for (std::size_t t = 0; t < 2; ++t) EXPECT_LT(with[t], 0.5 * without[t]) << t;
}

// No training workload and hardly a simulated one is like this.
TEST(SimPrior, PowerThatIsTheSameInEveryModeIsRecognised) {
  const SimPrior learner(trained_on(8));
  for (std::size_t w = 0; w < 4; ++w) {
    auto m = simulated_workload(w, 6);
    for (Eigen::Index i = 0; i < 6; ++i) m.support.targets(i, tasks::kPowerW) = i % 2 == 0 ? 9.98 : 10.02;
    const auto p = learner.adapt(m.support)->predict(m.modes);
    const Eigen::ArrayXd watts = p.median().col(tasks::kPowerW);
    EXPECT_LT((watts / 10 - 1).abs().mean(), 0.01) << w;
    EXPECT_LT(p.log_variance.col(tasks::kPowerW).cwiseSqrt().mean(), 0.05) << w;
  }
}

TEST(SimPrior, CovariancesGoWithTheStandardDeviationsOfMixturesToo) {
  const SimPrior learner(trained_on(2));
  const auto m = simulated_workload(1, 8);
  const auto predictor = learner.adapt(m.support);
  const auto some = std::span(m.modes).first(50);
  const auto p = predictor->predict(some);
  for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto covariance = predictor->covariance(t, some);
    const Vector latent = p.latent_log_variance.col(t);
    ASSERT_EQ(covariance.latent.rows(), latent.size());
    EXPECT_LT((covariance.latent.diagonal() - latent).cwiseAbs().maxCoeff(),
              100 * tests::kFloat * latent.maxCoeff());
  }
}

// From 101 rows on there are more than a cloud has workloads, and its roots stand for its covariances.
TEST(SimPrior, OneRowMoreThanACloudHasChangesLittle) {
  const SimPrior learner(std::nullopt, {.kept = 100});
  const auto m = simulated_workload(4, 101);
  std::vector<std::size_t> rows(100);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const auto of_all = learner.adapt(m.support)->predict(m.modes),
             of_fewer = learner.adapt(m.support.subset(rows))->predict(m.modes);
  EXPECT_LT((of_all.log_mean.array() - of_fewer.log_mean.array()).abs().maxCoeff(), 0.02);
  EXPECT_LT((of_all.log_variance.array() / of_fewer.log_variance.array() - 1).abs().maxCoeff(), 0.1);
  EXPECT_LT((of_all.median().array() / m.truth.array() - 1).abs().mean(), 0.01);
}

TEST(SimPrior, CovarianceIsOneOfAGaussianProcess) {
  const auto modes = simulated_space()->modes();
  const auto inputs = SimEncoder(*simulated_space())(std::span(modes).first(80));
  EXPECT_EQ(inputs.psi.cols(), sim_features(*simulated_space()));
  EXPECT_EQ(inputs.psi.cols(), 10);
  const auto residual = usual_residual(4, 10);
  const Matrix k = sim_covariance(residual, inputs, inputs);
  EXPECT_LT((k - k.transpose()).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_GT(tests::eigenvalues(k).minCoeff(), -1e-9);
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

TEST(SimPrior, CheckpointHoldsWhatTrainingWorkloadsState) {
  auto model = tests::usual_sim_prior(*simulated_space());
  model.stated->curves[1].resize(0, 0);
  const auto checkpoint = model.to_checkpoint();
  const auto again = SimPriorModel::from_checkpoint(checkpoint).stated;
  ASSERT_TRUE(again);
  EXPECT_EQ(again->characteristics.col(3), model.stated->characteristics.col(3));
  EXPECT_TRUE(again->characteristics.col(1).array().isNaN().all());
  EXPECT_EQ(again->time_of, model.stated->time_of);
  EXPECT_EQ(again->highest, model.stated->highest);
  EXPECT_EQ(again->lowest, model.stated->lowest);
  EXPECT_EQ(again->curves[0], model.stated->curves[0]);
  EXPECT_EQ(again->curve_errors[0], model.stated->curve_errors[0]);
  EXPECT_EQ(again->curves[1].size(), 0);
  model.stated.reset();
  EXPECT_FALSE(SimPriorModel::from_checkpoint(model.to_checkpoint()).stated);
}

// As many workloads as the usual model states, but simulated ones; what is stated of them is the length of time.
SimPriorModel trained_on_simulated(Eigen::Index workloads) {
  auto model = tests::usual_sim_prior(*simulated_space());
  auto& stated = *model.stated;
  stated.characteristics = Matrix::Constant(workloads, 4, std::nan(""));
  stated.time_of.assign(static_cast<std::size_t>(workloads), 0);
  for (int t = 0; t < 2; ++t) stated.curves[t].resize(workloads, stated.curves[t].cols());
  for (Eigen::Index w = 0; w < workloads; ++w) {
    const auto m = simulated_workload(100 + static_cast<std::size_t>(w), 1);
    const Matrix features = curve_features(*simulated_space(), m.modes, stated.lowest);
    for (int t = 0; t < 2; ++t)
      stated.curves[t].row(w) = fit_curve(features, m.truth.col(t).array().log()).coefficients.transpose();
    stated.characteristics(w, 3) = m.truth.col(0).mean();
  }
  model.modes.clear();  // another grid
  for (auto& target : model.targets) target->training.resize(0, 0);
  return model;
}

TEST(SimPrior, ToldWhatAWorkloadIsItNeedsNoRows) {
  const auto model = trained_on_simulated(12);
  const SimPrior learner(model);
  double told = 0, guessed = 0, inside = 0;
  constexpr int kWorkloads = 80;
  for (std::size_t w = 0; w < kWorkloads; ++w) {
    auto m = simulated_workload(w, 1);
    m.support = m.support.subset({});
    m.support.characteristics = {.flops = m.truth.col(0).mean(), .time_of = datasets::TimeOf::minibatch};
    const auto p = learner.adapt(m.support)->predict(m.modes);
    const Eigen::ArrayXd off = (p.median().col(0).array() / m.truth.col(0).array()).log().abs();
    told += off.mean() / kWorkloads;
    inside += ((p.log_mean.array() - m.truth.array().log()).abs() < 1.645 * p.log_variance.array().sqrt())
                  .cast<double>()
                  .mean() /
              kWorkloads;
    Eigen::ArrayXd mean = Eigen::ArrayXd::Zero(off.size());
    for (Eigen::Index i = 0; i < 12; ++i)
      mean += (curve_features(*simulated_space(), m.modes, model.stated->lowest) *
               model.stated->curves[0].row(i).transpose())
                  .array() /
              12;
    guessed += (mean - m.truth.col(0).array().log()).abs().mean() / kWorkloads;
  }
  EXPECT_LT(told, 0.5 * guessed);
  EXPECT_GT(inside, 0.8);
  EXPECT_LT(inside, 0.985);
}

TEST(SimPrior, WhatIsWronglyStatedHardlyHurts) {
  const SimPrior learner(trained_on_simulated(12));
  for (const std::size_t rows : {3u, 10u}) {
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      std::vector<double> without, wrong;
      for (std::size_t w = 0; w < 15; ++w) {
        auto m = simulated_workload(w, rows);
        const auto error = [&] {
          const Vector predicted = learner.adapt(m.support)->predict(m.modes).median().col(t);
          return (predicted - m.truth.col(t)).cwiseAbs().cwiseQuotient(m.truth.col(t)).mean();
        };
        without.push_back(error());
        m.support.characteristics = {.flops = m.truth.col(0).mean() * (w % 2 == 0 ? 100 : 0.01),
                                     .time_of = datasets::TimeOf::minibatch};
        wrong.push_back(error());
      }
      if (rows == 3) {
        EXPECT_NE(wrong, without);
      }
      std::nth_element(without.begin(), without.begin() + 7, without.end());
      std::nth_element(wrong.begin(), wrong.begin() + 7, wrong.end());
      EXPECT_LT(wrong[7], 1.2 * without[7]) << rows << " rows, target " << t;
    }
  }
}

TEST(SimPrior, WithoutRowsItSaysWhatIsMissing) {
  auto model = tests::usual_sim_prior(*simulated_space());
  Samples support{simulated_space(), {}, Matrix(0, 2)};
  const auto expect_error = [&](const SimPrior& learner, const std::string& part) {
    try {
      learner.adapt(support);
      FAIL();
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  expect_error(SimPrior(), "needs at least 1 measured mode");
  expect_error(SimPrior(model), "at least one of batch_size, layers, parameters, flops");
  model.stated.reset();
  expect_error(SimPrior(model), "trained on at least 3 workloads");
}

// Every kind of hypothesis, and none: what is predicted of some modes, against tests/golden/sim_prior.csv. Where a prediction is meant to
// change, FEWWATT_WRITE_GOLDEN=1 writes the file anew.
TEST(SimPrior, PredictsWhatItAlwaysDid) {
  std::vector<std::pair<std::string, Prediction>> all;
  const auto add = [&](const std::string& name, const SimPrior& learner, const Samples& support) {
    std::vector<hw::PowerMode> some;
    for (std::size_t i = 0; i < simulated_space()->size(); i += 49) some.push_back(simulated_space()->at(i));
    all.emplace_back(name, learner.adapt(support)->predict(some));
  };
  const SimPrior only, usual(tests::usual_sim_prior(*simulated_space())), eight(trained_on(8)),
      elsewhere(trained_on_simulated(12));
  for (const std::size_t rows : {3u, 10u, 25u})
    add("only " + std::to_string(rows), only, simulated_workload(1, rows).support);
  for (const std::size_t rows : {1u, 6u, 160u})
    add("trained on one " + std::to_string(rows), usual, simulated_workload(2, rows).support);
  for (const std::size_t rows : {5u, 12u})
    add("trained on eight " + std::to_string(rows), eight, simulated_workload(3, rows).support);
  auto stated = simulated_workload(4, 5).support;
  stated.characteristics = {.flops = 30, .time_of = datasets::TimeOf::minibatch};
  add("stated 5", elsewhere, stated);
  add("stated 0", elsewhere, stated.subset({}));

  const std::string path = tests::source_dir() + "/tests/golden/sim_prior.csv";
  std::ostringstream text;
  text << "case,row,target,log_mean,log_variance\n" << std::setprecision(17);
  for (const auto& [name, p] : all)
    for (Eigen::Index i = 0; i < p.rows(); ++i)
      for (int t = 0; t < 2; ++t)
        text << name << ',' << i << ',' << t << ',' << p.log_mean(i, t) << ',' << p.log_variance(i, t)
             << '\n';
  if (std::getenv("FEWWATT_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text.str();
  std::istringstream found(text.str());
  std::ifstream expected(path);
  ASSERT_TRUE(expected) << path;
  const auto cut = [](const std::string& line) {
    const auto pieces = hw::split(line, ',');
    return std::vector<std::string>(pieces.begin(), pieces.end());
  };
  std::string a, b;
  for (int line = 1; std::getline(expected, a); ++line) {
    ASSERT_TRUE(std::getline(found, b)) << path << " has more lines";
    const auto of_a = cut(a), of_b = cut(b);
    ASSERT_EQ(of_b.size(), of_a.size());
    for (std::size_t i = 0; i < of_a.size(); ++i) {
      if (line == 1 || i < 3)
        EXPECT_EQ(of_b[i], of_a[i]) << path << ':' << line;
      else  // other processors round differently
        EXPECT_NEAR(std::stod(of_b[i]), std::stod(of_a[i]),
                    10 * tests::kFloat * (0.01 + std::abs(std::stod(of_a[i]))))
            << path << ':' << line;
    }
  }
  EXPECT_FALSE(std::getline(found, b)) << path << " has fewer lines";
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
  refused([](auto& m) { m.stated->highest.pop_back(); });
  refused([](auto& m) { m.stated->curve_errors[0] = std::nan(""); });
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
  EXPECT_TRUE(SimPrior().adapt(m.support)->predict(m.modes).median().allFinite());
  const std::vector<std::size_t> one = {2};
  EXPECT_TRUE(SimPrior().adapt(m.support.subset(one))->predict(m.modes).median().allFinite());
}

}  // namespace sim_prior_test
}  // namespace fewwatt::learners
