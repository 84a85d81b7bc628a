#include "learners/sim_prior/retrieve.hpp"

#include <gtest/gtest.h>

#include "learners/sim_prior.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace retrieve_test {

using tests::simulated_space;

TEST(Retrieve, TargetsAreCentredAndThoseThatWereNotMeasuredAreLeftOut) {
  auto support = tests::simulated_workload(1, 6).support;
  support.targets.col(tasks::kPowerW).setConstant(std::nan(""));
  support.targets(2, tasks::kTimeMs) = std::nan("");
  const auto targets = targets_of(support);
  EXPECT_FALSE(targets[tasks::kPowerW]);
  ASSERT_TRUE(targets[tasks::kTimeMs]);
  const auto& time = *targets[tasks::kTimeMs];
  ASSERT_EQ(time.logs.size(), 5);
  EXPECT_NEAR(time.logs.sum(), 0, 1e-12);
  EXPECT_NEAR(time.logs[0] + time.level, std::log(time.rows.values[0]), 1e-12);
}

TEST(Retrieve, MisfitsSeeNoLevelAndLessOfNoisyRows) {
  SimPopulation::Rows logs(2, 4);
  logs << 0, 1, 2, 3, 0, 1, 2, 5;
  const Vector centred = Vector{{-1.5, -0.5, 0.5, 1.5}};
  const Vector usual = misfits(logs, centred, Vector::Ones(4)),
               noisy = misfits(logs, centred, Vector{{1, 1, 1, 9}});
  EXPECT_NEAR(usual[0], 0, 1e-6);  // it differs by its level alone
  EXPECT_NEAR(usual[1], 3, 1e-6);  // 0.5, 0.5, 0.5 and 1.5 off
  EXPECT_LT(noisy[1], 0.2 * usual[1]);
}

TEST(Retrieve, WeightsAreOfAsManyWorkloadsAsAsked) {
  const Vector q = Vector::LinSpaced(200, 0, 40);
  for (const double effective : {5.0, 50.0}) {
    const auto weights = retrieval_weights(q, effective);
    EXPECT_NEAR(weights.sum(), 1, 1e-5);
    EXPECT_NEAR(1 / weights.squaredNorm(), effective, 0.01 * effective);
    EXPECT_EQ(weights.maxCoeff(), weights[0]);
  }
  EXPECT_NEAR(retrieval_weights(Vector::Zero(10), 3).maxCoeff(), 0.1, 1e-6);  // none fits better than another
}

TEST(Retrieve, TheWorkloadThatWasMeasuredIsFound) {
  const SimPrior learner(std::nullopt, {.population = 200, .population_seed = 77});
  const auto m = tests::simulated_workload(5, 8, 0);  // the sixth of that population
  const Sources sources{std::make_shared<const SimPopulation>(200, 77), nullptr, nullptr, nullptr};
  const auto retrieved =
      retrieve(sources, {.kept = 20}, simulated_space(), targets_of(m.support), learner.simulate(m.support));
  ASSERT_EQ(retrieved.clouds[kRetrieved].which.size(), 20U);
  EXPECT_EQ(retrieved.clouds[kRetrieved].which.front(), 5U);
  EXPECT_NEAR(retrieved.clouds[kRetrieved].weights.sum(), 1, 1e-5);
  EXPECT_EQ(retrieved.clouds[kAll].which.size(), SimPriorOptions().unweighted);
  for (const auto& of_target : retrieved.logs) EXPECT_EQ(of_target[kRetrieved].rows(), 20);

  std::array<bool, kNumClouds> wanted{};
  wanted[kRetrieved] = true;
  const auto at = retrieved.at(m.modes, wanted);
  EXPECT_EQ(at[kAll].time.size(), 0);
  const Vector off =
      at[kRetrieved].time.row(0).transpose().cast<double>().array() - m.truth.col(0).array().log();
  EXPECT_LT((off.array() - off.mean()).abs().maxCoeff(), 1e-5);  // but for the unit of time
}

}  // namespace retrieve_test
}  // namespace fewwatt::learners
