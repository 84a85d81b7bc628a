#include "learners/sim_prior/evidence.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "learners/sim_prior.hpp"
#include "learners/sim_prior/predictor.hpp"
#include "tests/dense.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace evidence_test {

using tests::simulated_space;

// Time of a workload in some modes, and simulated workloads that are like it.
struct Known {
  tests::SimulatedSupport measured;
  TargetSupports targets;
  Retrieved retrieved;
  SimInputs inputs;

  explicit Known(std::size_t rows) : measured(tests::simulated_workload(3, rows)) {
    const SimPrior simulator(std::nullopt, {.population = 200});
    targets = targets_of(measured.support);
    retrieved = retrieve({std::make_shared<const SimPopulation>(200, 0), nullptr, nullptr, nullptr},
                         {.kept = 50}, measured.support.space, targets, simulator.simulate(measured.support));
    inputs = SimEncoder(*simulated_space())(time().rows.modes);
  }
  const TargetSupport& time() const { return *targets[tasks::kTimeMs]; }
  TargetFit fit(const Hypotheses& hypotheses) const {
    return fit_of(tasks::kTimeMs, time(), inputs, hypotheses, retrieved, {}, {.temper = 1});
  }
};

Hypotheses one_hypothesis(const Scale& scale) {
  Hypotheses h;
  h.all.push_back({kRetrieved, Mean::cloud, 1, 0, 0});
  h.groups.push_back({usual_residual(4, sim_features(*simulated_space())), {scale}});
  return h;
}

// What a Gaussian process predicts of each row from the others, computed without those shortcuts.
TEST(Evidence, RowsLeftOutArePredictedFromTheOthers) {
  const Known known(7);
  const Scale scale{0.8, 0.5, 4e-4, 0};
  const auto h = one_hypothesis(scale);
  const auto fit = known.fit(h);
  const auto& logs = known.retrieved.logs[tasks::kTimeMs][kRetrieved];
  const auto cloud = at_modes(known.retrieved.clouds[kRetrieved], logs, logs.rowwise().mean());
  Eigen::MatrixXd covariance = scale.a * (cloud.root.transpose() * cloud.root).cast<double>() +
                               scale.b * sim_covariance(h.groups[0].residual, known.inputs, known.inputs);
  covariance.array() += kSimLevelVariance;
  covariance.diagonal().array() += scale.noise;
  const Vector left = known.time().logs.array() - (cloud.mean.array() - cloud.mean.mean());
  for (Eigen::Index i = 0; i < 7; ++i) {
    std::vector<Eigen::Index> others;
    for (Eigen::Index j = 0; j < 7; ++j)
      if (j != i) others.push_back(j);
    const Vector cross = covariance(others, i);
    const Vector weights = tests::least_squares(covariance(others, others), cross);
    EXPECT_NEAR(fit.left_out.error[i], left[i] - weights.dot(left(others)), 1e-6);
    EXPECT_NEAR(fit.left_out.variance[i], covariance(i, i) - weights.dot(cross), 1e-6);
  }
}

TEST(Evidence, TheLikelierHypothesisDecides) {
  const Known known(12);
  auto h = one_hypothesis({1, 0.01, 1e-4, 0});
  // That time is the same in all modes, with next to no noise.
  h.all.push_back({kAll, Mean::flat, 1e-6, 0, 0});
  const auto fit = known.fit(h);
  ASSERT_EQ(fit.components.size(), 1U);
  EXPECT_EQ(fit.components[0].cloud, kRetrieved);
  EXPECT_NEAR(fit.noise_variance, 1e-4, 1e-12);
  h.all.back().log_prior = 1e6;  // unless it was known before
  EXPECT_EQ(known.fit(h).components.at(0).cloud, kAll);
}

TEST(Evidence, WithoutACovarianceThatIsPositiveDefiniteItThrows) {
  EXPECT_THROW(Known(5).fit(one_hypothesis({1, 1, -100, 0})), std::runtime_error);
}

// More rows than workloads: the workloads' own coordinates stand for the covariances with the rows.
TEST(Evidence, ShortRootsChangeNothing) {
  const Known known(60);
  const auto h = one_hypothesis({1, 0.1, 1e-4, 0});
  const auto fit = known.fit(h);
  EXPECT_TRUE(fit.has_short_roots(kRetrieved));
  std::array<std::optional<TargetFit>, tasks::kNumTargets> fits;
  fits[tasks::kTimeMs] = fit;
  const auto p = predictor_of(known.retrieved, {}, std::move(fits))->predict(known.time().rows.modes);
  const auto& logs = known.retrieved.logs[tasks::kTimeMs][kRetrieved];
  const auto cloud = at_modes(known.retrieved.clouds[kRetrieved], logs, logs.rowwise().mean());
  Eigen::MatrixXd smooth = (cloud.root.transpose() * cloud.root).cast<double>() +
                           0.1 * sim_covariance(h.groups[0].residual, known.inputs, known.inputs);
  smooth.array() += kSimLevelVariance;
  Eigen::MatrixXd noisy = smooth;
  noisy.diagonal().array() += 1e-4;
  const Vector mean = cloud.mean.array() - cloud.mean.mean();
  const Vector alpha = tests::least_squares(noisy, known.time().logs - mean);
  const Vector expected = (mean + smooth * alpha).array() + known.time().level;
  EXPECT_LT((p.log_mean.col(0) - expected).cwiseAbs().maxCoeff(), 1e-4);
}

}  // namespace evidence_test
}  // namespace fewwatt::learners
