#include "meta/kernel_transfer.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <cmath>

#include "meta/train.hpp"
#include "tasks/episode_source.hpp"
#include "tests/gradient_check.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace kernel_transfer_test {

KernelTransferOptions small(BaseKernel kernel, int embedding) {
  KernelTransferOptions options;
  options.kernel = kernel;
  options.hidden = {4};
  options.embedding = embedding;
  options.activation = learners::Activation::tanh;
  options.mixtures = 2;
  return options;
}

// Waves of one frequency.
class Waves final : public tasks::EpisodeSource {
 public:
  Episode draw(std::uint64_t step, std::uint64_t number) const override {
    auto rng = tasks::episode_rng(4, "waves", step, number);
    const double amplitude = rng.uniform(0.5, 2), phase = rng.uniform(0, 6);
    const auto rows = [&](Eigen::Index n) {
      Matrix x(n, 1);
      for (auto& value : x.reshaped()) value = rng.uniform(-3, 3);
      return x;
    };
    const Matrix support = rows(6), query = rows(5);
    const auto wave = [&](const Matrix& x) -> Matrix { return amplitude * (2 * x.array() - phase).sin(); };
    return {support, wave(support), query, wave(query), "wave"};
  }
};

TEST(KernelTransfer, GradientEqualsCentralDifferences) {
  for (const auto kernel : {BaseKernel::rbf, BaseKernel::spectral}) {
    for (const int embedding : {0, 2}) {
      KernelTransfer learner("dkt", 1, small(kernel, embedding), 1);
      const auto batch = Waves().batch(0, 3);
      const Vector at = learner.parameters();
      const auto found = learner.gradient(batch);
      const auto loss = [&](const Vector& parameters) {
        learner.set_parameters(parameters);
        return learner.gradient(batch).loss;
      };
      EXPECT_LE(tests::gradient_error(loss, at, found.gradient), tests::kGradient);
      EXPECT_NEAR(found.loss, (found.task_losses[0] + found.task_losses[1] + found.task_losses[2]) / 3,
                  1e-12);
    }
  }
}

// Without a net: log variance, log length and log noise variance are all log(log 2) at the start.
TEST(KernelTransfer, PredictsAsAGaussianProcessDoes) {
  const KernelTransfer learner("dkt", 1, small(BaseKernel::rbf, 0), 1);
  const auto episode = Waves().draw(0, 0);
  const double variance = std::log(2.0), length = std::log(2.0), noise = std::log(2.0);
  const auto kernel = [&](const Matrix& a, const Matrix& b) {
    Eigen::MatrixXd k(a.rows(), b.rows());
    for (Eigen::Index i = 0; i < a.rows(); ++i)
      for (Eigen::Index j = 0; j < b.rows(); ++j)
        k(i, j) = variance * std::exp(-std::pow((a(i, 0) - b(j, 0)) / length, 2) / 2);
    return k;
  };
  Eigen::MatrixXd among = kernel(episode.support_x, episode.support_x);
  among.diagonal().array() += noise + 1e-6;
  const Eigen::MatrixXd cross = kernel(episode.query_x, episode.support_x);
  const Eigen::LLT<Eigen::MatrixXd> llt(among);
  const auto found = learner.predict(episode);
  const Vector mean = cross * llt.solve(Vector(episode.support_y.col(0)));
  const Vector left = (cross * llt.solve(cross.transpose())).diagonal();
  EXPECT_LT((found.mean.col(0) - mean).cwiseAbs().maxCoeff(), tests::kParity);
  EXPECT_LT((found.variance.col(0).array() - (variance - left.array() + noise)).abs().maxCoeff(),
            tests::kParity);
}

TEST(KernelTransfer, ASpectralKernelLearnsWavesAndNamesWhatDoesNotFit) {
  auto options = small(BaseKernel::spectral, 0);
  options.max_steps = 400;
  options.outer_rate = 0.02;
  KernelTransfer learner("dkt", 1, options, 1);
  const auto error = [&] {
    double sum = 0;
    for (const auto& episode : Waves().batch(1'000'000, 20))
      sum += (learner.predict(episode).mean - episode.query_y).squaredNorm();
    return sum;
  };
  const double before = error();
  train(learner, Waves(), {}, {.steps = options.max_steps, .meta_batch = 4, .validate_every = 400});
  EXPECT_LT(error(), 0.1 * before);
  auto other = Waves().draw(0, 0);
  other.support_y.resize(6, 2);
  other.query_y.resize(5, 2);
  EXPECT_THROW(learner.predict(other), std::invalid_argument);
}

TEST(KernelTransfer, BadOptionsThrow) {
  const auto refused = [](auto change) {
    auto options = small(BaseKernel::rbf, 2);
    change(options);
    EXPECT_THROW(KernelTransfer("dkt", 1, options, 1), std::invalid_argument);
  };
  refused([](auto& o) { o.hidden = {0}; });
  refused([](auto& o) { o.embedding = -1; });
  refused([](auto& o) { o.mixtures = 0; });
  refused([](auto& o) { o.outer_rate = std::nan(""); });
  refused([](auto& o) { o.max_steps = -1; });
  refused([](auto& o) { o.clip_norm = 0; });
}

}  // namespace kernel_transfer_test
}  // namespace fewwatt::meta
