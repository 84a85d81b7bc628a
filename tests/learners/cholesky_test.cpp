#include "learners/cholesky.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace fewwatt::learners {
namespace cholesky_test {

TEST(Cholesky, OfAGoodMatrixIsExact) {
  const Eigen::MatrixXd a = (Eigen::MatrixXd(2, 2) << 4, 2, 2, 3).finished();
  EXPECT_EQ(Eigen::MatrixXd(cholesky(a, "it").matrixL()),
            Eigen::MatrixXd(Eigen::LLT<Eigen::MatrixXd>(a).matrixL()));
}

TEST(Cholesky, RoundingIsMadeGoodWithAsLittleAsDoes) {
  Eigen::MatrixXd a = Eigen::MatrixXd::Ones(3, 3);
  a(2, 2) -= 1e-9;
  ASSERT_NE(Eigen::LLT<Eigen::MatrixXd>(a).info(), Eigen::Success);
  const Eigen::MatrixXd lower = cholesky(a, "it").matrixL();
  EXPECT_LT((lower * lower.transpose() - a).cwiseAbs().maxCoeff(), 1e-7);
}

TEST(Cholesky, WhatIsFarFromPositiveDefiniteIsNamed) {
  const auto message = [](const Eigen::MatrixXd& a) {
    try {
      cholesky(a, "gp: the covariance of 2 rows");
    } catch (const std::runtime_error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(message((Eigen::MatrixXd(2, 2) << 1, 2, 2, 1).finished()),
            "gp: the covariance of 2 rows is not positive definite");
  EXPECT_NE(message(Eigen::MatrixXd::Constant(2, 2, std::nan(""))), "");
  EXPECT_NE(message(-Eigen::MatrixXd::Identity(2, 2)), "");
}

TEST(Cholesky, InverseOfAFactorSquaredIsThatOfTheMatrix) {
  for (const Eigen::Index n : {1, 2, 16, 17, 50}) {
    std::srand(static_cast<unsigned>(n));
    const Eigen::MatrixXd root = Eigen::MatrixXd::Random(n, n);
    const Eigen::MatrixXd a = root * root.transpose() + Eigen::MatrixXd::Identity(n, n);
    const Eigen::MatrixXd inverse = inverse_of_squared(cholesky(a, "it").matrixLLT());
    EXPECT_EQ(inverse, inverse.transpose());
    EXPECT_LT((a * inverse - Eigen::MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff(), 1e-12);
  }
}

}  // namespace cholesky_test
}  // namespace fewwatt::learners
