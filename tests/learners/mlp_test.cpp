#include "learners/mlp.hpp"

#include <gtest/gtest.h>

#include "learners/optimizer.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace mlp_test {

using Matrix = Mlp<double>::Matrix;

Matrix random_matrix(Eigen::Index rows, Eigen::Index cols, hw::Rng& rng) {
  Matrix m(rows, cols);
  for (auto& value : m.reshaped()) value = rng.normal();
  return m;
}

TEST(Mlp, GradientEqualsCentralDifferencesOverAllParameters) {
  for (const auto activation : {Activation::silu, Activation::tanh}) {
    hw::Rng rng(3);
    const MlpShape shape{{3, 6, 5, 2}, activation, {}};
    const Eigen::VectorXd start = random_parameters(shape, rng);
    const Matrix x = random_matrix(7, 3, rng), y = random_matrix(7, 2, rng);
    Eigen::VectorXd gradient, ignored;
    Mlp<double>(shape, start).loss(x, y, gradient);
    const double error = tests::gradient_error(
        [&](const Eigen::VectorXd& p) { return Mlp<double>(shape, p).loss(x, y, ignored); }, start, gradient);
    EXPECT_LT(error, tests::kGradient) << to_string(activation);
  }
}

TEST(Mlp, GradientWithDropoutEqualsCentralDifferencesForTheSameMask) {
  hw::Rng rng(4);
  const MlpShape shape{{2, 8, 8, 1}, Activation::tanh, {0.4, 0.3}};
  const Eigen::VectorXd start = random_parameters(shape, rng);
  const Matrix x = random_matrix(5, 2, rng), y = random_matrix(5, 1, rng);
  Eigen::VectorXd gradient, ignored;
  const auto loss = [&](const Eigen::VectorXd& p, Eigen::VectorXd& g) {
    hw::Rng mask(9);
    return Mlp<double>(shape, p).loss(x, y, g, &mask);
  };
  loss(start, gradient);
  EXPECT_LT(
      tests::gradient_error([&](const Eigen::VectorXd& p) { return loss(p, ignored); }, start, gradient),
      tests::kGradient);
}

TEST(Mlp, GradientOfTheLastLayersAloneIsTheirPartOfAll) {
  hw::Rng rng(5);
  const MlpShape shape{{2, 8, 6, 1}, Activation::relu, {0.4, 0.3}};
  const Mlp<double> net(shape, random_parameters(shape, rng));
  const Matrix x = random_matrix(5, 2, rng), y = random_matrix(5, 1, rng);
  for (std::size_t layer = 0; layer < shape.num_layers(); ++layer) {
    hw::Rng mask(9), same_mask(9);
    Eigen::VectorXd all, part;
    const auto first = shape.offset(layer);
    const auto loss = net.loss(x, y, all, &mask);
    EXPECT_EQ(net.loss(x, y, part, &same_mask, first), loss);
    const auto count = all.size() - static_cast<Eigen::Index>(first);
    EXPECT_EQ(part.tail(count), all.tail(count)) << "from layer " << layer;
  }
}

TEST(Mlp, DropoutLeavesTheMeanOfAHiddenUnitAsItIs) {
  // One hidden unit that is always 1: the output's mean over masks is 1, and each output 0 or 1 / (1 - p).
  const MlpShape shape{{1, 1, 1}, Activation::relu, {0.25}};
  Eigen::VectorXd parameters(4);
  parameters << 0, 1, 1, 0;
  const Mlp<double> net(shape, parameters);
  hw::Rng rng(1);
  const Matrix x = Matrix::Zero(20000, 1), y = Matrix::Zero(20000, 1);
  Eigen::VectorXd gradient;
  // loss = mean of output^2 = (1-p) / (1-p)^2
  EXPECT_NEAR(net.loss(x, y, gradient, &rng), 1 / 0.75, 0.02);
  // gradient of the output bias = 2 mean(output)
  EXPECT_NEAR(gradient[3], 2.0, 0.03);
}

TEST(Mlp, ForwardOfAHandMadeNet) {
  const MlpShape shape{{2, 2, 1}, Activation::relu, {}};
  Eigen::VectorXd p(9);
  p << 1, -1, 2, 0.5,  // weights [in,out]: hidden0 = x0 + 2 x1 + 1, hidden1 = -x0 + 0.5 x1
      1, 0,            // bias
      3, 4,            // output weights
      -1;
  Matrix x(2, 2);
  x << 1, 2, -1, -2;
  const Matrix y = Mlp<double>(shape, p).forward(x);
  EXPECT_DOUBLE_EQ(y(0, 0), 3 * 6 + 4 * 0 - 1);
  EXPECT_DOUBLE_EQ(y(1, 0), 3 * 0 + 4 * 0 - 1);
}

TEST(Mlp, RefusesParametersOfAnotherShape) {
  const MlpShape shape{{2, 3, 1}, Activation::relu, {}};
  EXPECT_THROW(Mlp<double>(shape, Eigen::VectorXd::Zero(12)), std::invalid_argument);
  EXPECT_NO_THROW(Mlp<double>(shape, Eigen::VectorXd::Zero(13)));
  EXPECT_THROW(Mlp<double>({{2, 3, 1}, Activation::relu, {0.1, 0.1}}, Eigen::VectorXd::Zero(13)),
               std::invalid_argument);
}

TEST(Activation, NamesRoundTripAndUnknownOnesThrow) {
  for (const auto a : {Activation::relu, Activation::silu, Activation::tanh})
    EXPECT_EQ(parse_activation(to_string(a)), a);
  EXPECT_THROW(parse_activation("gelu"), std::invalid_argument);
}

TEST(Adam, FirstStepIsTheRateAgainstTheGradientsSign) {
  Adam<double> adam(2, 0.1);
  Eigen::VectorXd x(2), g(2);
  x << 1, 1;
  g << 1e-3, -50;
  adam.step(x, g);
  EXPECT_NEAR(x[0], 0.9, 1e-5);
  EXPECT_NEAR(x[1], 1.1, 1e-5);
}

TEST(Adam, StateOfAnotherGoesOnTheSame) {
  Adam<double> whole(2, 0.1), after(2, 0.5);
  Eigen::VectorXd x(2), g(2);
  x << 1, 1;
  g << 1, -2;
  whole.step(x, g);
  after.set_state(whole.state());
  after.set_rate(0.1);
  Eigen::VectorXd y = x;
  whole.step(x, Eigen::VectorXd(-g));
  after.step(y, Eigen::VectorXd(-g));
  EXPECT_EQ(x, y);
  EXPECT_EQ(after.state().steps, 2);
}

TEST(Adam, FindsTheMinimumOfAQuadratic) {
  Adam<double> adam(2, 0.05);
  Eigen::VectorXd x(2), target(2);
  x << 3, -2;
  target << -1, 5;
  for (int i = 0; i < 2000; ++i) adam.step(x, Eigen::VectorXd(x - target));
  EXPECT_LT((x - target).norm(), 1e-3);
}

}  // namespace mlp_test
}  // namespace fewwatt::learners
