#include "learners/sim_residual.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>

#include "tests/gradient_check.hpp"
#include "tests/learners/simulated_support.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace sim_residual_test {

using tests::simulated_space;
using Index = Eigen::Index;

// Rows in modes drawn from a space; simulated workloads of three directions, and values that are independent.
SimPriorRows some_rows(std::size_t n) {
  hw::Rng rng(4);
  std::vector<hw::PowerMode> modes;
  for (const auto i : rng.sample(simulated_space()->size(), n)) modes.push_back(simulated_space()->at(i));
  SimPriorRows rows;
  rows.inputs = SimEncoder(*simulated_space())(modes);
  Matrix root(3, static_cast<Index>(n));
  for (auto& value : root.reshaped()) value = 0.2 * rng.normal();
  rows.simulated = root.transpose() * root;
  rows.left.resize(static_cast<Index>(n));
  for (auto& value : rows.left) value = 0.3 * rng.normal();
  return rows;
}

TEST(SimResidual, GradientIsThatOfTheObjective) {
  for (const bool factors : {false, true}) {
    auto rows = some_rows(20);
    if (factors) rows.noise_factors = Vector::LinSpaced(20, 0.3, 2);
    SimPriorFitted target;
    target.residual = usual_residual(rows.inputs.knobs.cols(), rows.inputs.psi.cols());
    hw::Rng rng(6);
    Vector at = sim_prior_parameters(target);
    for (auto& value : at) value += 0.3 * rng.normal();
    const auto loss = [&](const Eigen::VectorXd& parameters) {
      auto moved = target;
      set_sim_prior_parameters(moved, parameters);
      return sim_prior_objective(moved, rows, nullptr);
    };
    auto moved = target;
    set_sim_prior_parameters(moved, at);
    Vector gradient;
    EXPECT_EQ(sim_prior_objective(moved, rows, &gradient), loss(at));
    EXPECT_LT(tests::gradient_error(loss, at, gradient), tests::kGradient);
  }
}

TEST(SimResidual, ASupportsOwnResidualIsFound) {
  auto rows = some_rows(60);
  const auto d = rows.inputs.knobs.cols(), p = rows.inputs.psi.cols();
  SimPriorFitted truth;  // 15 % along the last knob, 3 % of noise
  truth.residual = {
      {std::log(0.01), Vector::Constant(d, 0.5), Vector::Constant(d, std::log(0.01)), Vector::Zero(d)},
      Vector::Constant(p, std::log(0.01))};
  truth.residual.log_amplitudes[d - 1] = std::log(0.15);
  truth.log_noise = std::log(0.03);
  Eigen::MatrixXd sum = rows.simulated + sim_covariance(truth.residual, rows.inputs, rows.inputs);
  sum.diagonal().array() += std::exp(2 * truth.log_noise);
  hw::Rng rng(8);
  Vector z(rows.left.size());
  for (auto& value : z) value = rng.normal();
  rows.left = Eigen::LLT<Eigen::MatrixXd>(sum).matrixL() * z;
  rows.left.array() -= rows.left.mean();

  const auto found = fit_to_support(rows);
  EXPECT_EQ(found.log_scale, 0);
  EXPECT_LT(found.log_prior, 0);
  EXPECT_NEAR(found.log_noise, truth.log_noise, 0.4);
  Index most = 0;
  found.residual.log_amplitudes.maxCoeff(&most);
  EXPECT_EQ(most, d - 1);
  // As likely as the truth, all but.
  EXPECT_LT(sim_prior_objective(found, rows, nullptr), sim_prior_objective(truth, rows, nullptr) + 0.1);
}

TEST(SimResidual, RowsThatSayNothingLeaveItWhereItIs) {
  auto rows = some_rows(1);
  rows.left.setZero();
  const auto found = fit_to_support(rows);
  EXPECT_TRUE(sim_prior_parameters(found).allFinite());
  EXPECT_LT(std::abs(found.log_prior), 0.1);
}

}  // namespace sim_residual_test
}  // namespace fewwatt::learners
