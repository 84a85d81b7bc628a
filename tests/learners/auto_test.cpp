#include "learners/auto.hpp"

#include <gtest/gtest.h>

#include "learners/gp.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace auto_test {

using tests::simulated_space;
using tests::simulated_workload;

Checkpoint trained() {
  return checkpoint_of_members("auto",
                               {{"sim_prior", tests::usual_sim_prior(*simulated_space()).to_checkpoint()},
                                {"factor", tests::made_factor(*simulated_space()).to_checkpoint()},
                                {"proto", tests::random_proto(*simulated_space()).to_checkpoint()}});
}

double error_of(const Learner& learner, const tests::SimulatedSupport& m, int target) {
  const Vector predicted = learner.adapt(m.support)->predict(m.modes).median().col(target);
  const Vector truth = m.truth.col(target);
  return ((predicted - truth).cwiseAbs().cwiseQuotient(truth)).mean();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

TEST(Auto, CandidatesAreThoseOfTheCheckpointAndGp) {
  const auto checkpoint = trained();
  const auto m = simulated_workload(1, 12);
  const auto names = [&](const Auto& learner) {
    std::string all;
    for (const auto& one : learner.adapt(m.support)->chosen()) all += one.learner + " ";
    return all;
  };
  EXPECT_EQ(names(Auto()), "sim_only gp ");
  EXPECT_EQ(names(Auto(&checkpoint)), "sim_prior factor proto sim_only gp ");
}

TEST(Auto, WeightsSumToOneAndFavourWhatPredictsTheRows) {
  const auto checkpoint = trained();
  const auto m = simulated_workload(2, 20);
  const auto chosen = Auto(&checkpoint).adapt(m.support)->chosen();
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    double sum = 0;
    for (const auto& one : chosen) sum += one.weights[t];
    EXPECT_NEAR(sum, 1, 1e-12);
    EXPECT_GT(chosen[0].weights[t], chosen[2].weights[t]);  // a random proto knows nothing
  }
  auto no_power = m.support;
  no_power.targets.col(tasks::kPowerW).setConstant(std::nan(""));
  const auto without = Auto(&checkpoint).adapt(no_power)->chosen();
  EXPECT_TRUE(std::isnan(without[0].weights[tasks::kPowerW]));
  EXPECT_FALSE(std::isnan(without[0].weights[tasks::kTimeMs]));
}

TEST(Auto, OneRowWrongByAFactorOfTenHardlyHurts) {
  const auto checkpoint = trained();
  const Auto only, with_training(&checkpoint);
  for (const auto* learner : {&only, &with_training}) {
    for (const std::size_t rows : {10u, 25u}) {
      for (int t = 0; t < tasks::kNumTargets; ++t) {
        std::vector<double> clean, wrong;
        for (std::size_t w = 0; w < 7; ++w) {
          auto m = simulated_workload(w, rows);
          clean.push_back(error_of(*learner, m, t));
          m.support.targets(static_cast<Eigen::Index>(w), t) *= w % 2 == 0 ? 10 : 0.1;
          wrong.push_back(error_of(*learner, m, t));
        }
        EXPECT_LT(median(wrong), 1.2 * median(clean)) << rows << " rows, target " << t;
      }
    }
  }
}

TEST(Auto, TheRowThatIsLeftOutIsNamed) {
  const auto checkpoint = trained();
  const Auto only, with_training(&checkpoint);
  for (const auto* learner : {&only, &with_training}) {
    for (const double wrong : {1e-3, 0.1, 10.0, 1e3}) {  // seconds among milliseconds, and the like
      for (int t = 0; t < tasks::kNumTargets; ++t) {
        auto m = simulated_workload(3, 10);
        m.support.targets(4, t) *= wrong;
        const auto doubted = learner->adapt(m.support)->doubted();
        ASSERT_EQ(doubted.size(), 1U) << wrong << ", target " << t;
        EXPECT_EQ(doubted[0], (Doubted{m.support.modes[4], static_cast<tasks::Target>(t)}));
      }
    }
    EXPECT_TRUE(learner->adapt(simulated_workload(3, 10).support)->doubted().empty());
  }
}

// It fits five hyper-parameters to the rows by which it is judged.
TEST(Auto, GpHasNoWeightBelowSevenRows) {
  const auto checkpoint = trained();
  for (const std::size_t rows : {1u, 6u}) {
    const auto chosen = Auto(&checkpoint).adapt(simulated_workload(1, rows).support)->chosen();
    EXPECT_EQ(chosen.back().learner, "gp");
    EXPECT_EQ(chosen.back().weights[0], 0) << rows;
  }
}

// Power that no knob changes, and a clock that nothing depends on.
TEST(Auto, NearlyConstantPowerIsRecognisedFromFiveModes) {
  const auto checkpoint = trained();
  const Auto only, with_training(&checkpoint);
  for (const auto* learner : {&only, &with_training}) {
    std::vector<double> errors, of_gp;
    for (std::size_t w = 0; w < 5; ++w) {
      auto m = simulated_workload(w, 5);
      hw::Rng rng(w);
      for (auto& power : m.support.targets.col(tasks::kPowerW)) power = 9 * std::exp(0.01 * rng.normal());
      m.truth.col(tasks::kPowerW).setConstant(9);
      errors.push_back(error_of(*learner, m, tasks::kPowerW));
      of_gp.push_back(error_of(Gp(), m, tasks::kPowerW));
    }
    EXPECT_LT(median(errors), std::max(0.01, 1.05 * median(of_gp)));
  }
}

TEST(Auto, ABadCheckpointIsRefused) {
  const auto refused = [](auto change) {
    auto checkpoint = trained();
    change(checkpoint);
    EXPECT_THROW(Auto{&checkpoint}, std::invalid_argument);
  };
  refused([](auto& c) { c.texts.erase("candidates"); });
  refused([](auto& c) { c.texts["candidates"] = "proto sim_prior"; });
  refused([](auto& c) { c.texts["candidates"] = "sim_prior physics"; });
  refused([](auto& c) { c.texts["candidates"] = "sim_prior auto"; });
  refused([](auto& c) { c.texts["candidates"] = "sim_prior magic"; });
  refused([](auto& c) { c.tensors.erase("proto/time/heads"); });
  EXPECT_THROW(Auto(nullptr, {.ensemble = {.temper = 0}}), std::invalid_argument);
  EXPECT_THROW(Auto(nullptr, {.doubt = 0}), std::invalid_argument);
}

TEST(Auto, ACheckpointOfOtherKnobsIsRefused) {
  const auto checkpoint = trained();
  EXPECT_THROW(Auto(&checkpoint).adapt(tests::example_support(6, 1)), std::invalid_argument);
}

// What is left out is what would have been predicted, where the hyper-parameters do not move.
TEST(LeftOut, OfAGaussianProcessIsThePredictionWithoutTheRow) {
  const auto support = simulated_workload(3, 8).support;
  const Gp gp({.steps = 0});
  const auto left_out = gp.adapt(support)->left_out(tasks::kTimeMs);
  const auto rows = rows_of(support, tasks::kTimeMs);
  ASSERT_EQ(left_out.error.size(), 8);
  for (std::size_t i = 0; i < 8; ++i) {
    Samples others = support;
    for (std::size_t j = 0; j < 8; ++j)
      if (support.modes[j] == rows.modes[i]) others.targets(static_cast<Eigen::Index>(j), 0) = std::nan("");
    const auto p = gp.adapt(others)->predict({&rows.modes[i], 1});
    const auto row = static_cast<Eigen::Index>(i);
    EXPECT_NEAR(std::log(rows.values[row] / p.median(0, 0)), left_out.error[row],
                0.02);  // the level moves a little
    EXPECT_NEAR(p.log_variance(0, 0) / left_out.variance[row], 1, 0.05);
  }
}

TEST(LeftOut, IsGivenByLearnersWithUncertainty) {
  const auto support = simulated_workload(4, 7).support;
  for (const auto& facts : builtin().learners) {
    const auto left_out =
        tests::learner_for(facts.name, *simulated_space())->adapt(support)->left_out(tasks::kPowerW);
    EXPECT_EQ(left_out.error.size(), facts.gives_uncertainty ? 7 : 0) << facts.name;
    if (left_out.error.size() > 0) {
      EXPECT_GT(left_out.variance.minCoeff(), 0) << facts.name;
    }
  }
}

}  // namespace auto_test
}  // namespace fewwatt::learners
