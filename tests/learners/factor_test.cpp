#include "learners/factor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "learners/matern.hpp"
#include "tests/dense.hpp"
#include "tests/gradient_check.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace factor_test {

using Index = Eigen::Index;

Vector normals(Index n, double sd, std::uint64_t seed) {
  hw::Rng rng(seed);
  Vector values(n);
  for (auto& value : values) value = sd * rng.normal();
  return values;
}

FactorRows some_rows(Index n, Index directions = 3) {
  FactorRows rows;
  rows.knobs.resize(n, 2);
  for (Index j = 0; j < 2; ++j) rows.knobs.col(j) = normals(n, 1, 10 + static_cast<std::uint64_t>(j));
  rows.factors.resize(directions, n);
  for (Index i = 0; i < directions; ++i)
    rows.factors.row(i) = normals(n, 0.2, 20 + static_cast<std::uint64_t>(i)).transpose();
  rows.mean = normals(n, 0.3, 30);
  rows.logs = normals(n, 0.4, 40).array() + 3;
  return rows;
}

Vector some_parameters() {
  return (Vector(6) << 0.7, -0.3, -1.5, 0.4, 0.8, -2.5).finished();
}

double matern_of(double r) {
  const double s = std::sqrt(5.0) * r;
  return (1 + s + s * s / 3) * std::exp(-s);
}

// The covariance of the rows as the header says it, entry by entry.
Eigen::MatrixXd dense_covariance(const FactorParameters& p, const FactorRows& rows) {
  const auto n = rows.logs.size();
  Eigen::MatrixXd sum(n, n);
  const Matrix factors = rows.factors.colwise() - rows.factors.rowwise().mean();
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      double shared = 0, squared = 0;
      for (Index r = 0; r < factors.rows(); ++r) shared += factors(r, i) * factors(r, j);
      for (Index k = 0; k < rows.knobs.cols(); ++k)
        squared += std::pow((rows.knobs(i, k) - rows.knobs(j, k)) / std::exp(p.log_lengths[k]), 2);
      sum(i, j) = kSimLevelVariance + std::exp(2 * p.log_scale) * shared +
                  std::exp(2 * p.log_signal) * matern_of(std::sqrt(squared)) +
                  (i == j ? std::exp(2 * p.log_noise) : 0);
    }
  return sum;
}

TEST(FactorObjective, IsTheDenseLikelihood) {
  const auto rows = some_rows(12);
  const auto p = FactorParameters::from_flat(some_parameters());
  const auto covariance = dense_covariance(p, rows);
  const double share = 1 / (1 + std::exp(-p.log_mean));
  Eigen::MatrixXd left = rows.logs - share * rows.mean;
  left.array() -= left.mean();
  const Eigen::MatrixXd solved = tests::least_squares(covariance, left);
  const double value =
      0.5 * left.col(0).dot(solved.col(0)) + 0.5 * tests::eigenvalues(covariance).array().log().sum();
  EXPECT_NEAR(factor_objective(p, rows, nullptr), value, 1e-7 * std::abs(value));
}

TEST(FactorObjective, GradientIsThatOfTheObjective) {
  for (const Index directions : {0, 3}) {
    const auto rows = some_rows(15, directions);
    const Vector at = some_parameters();
    const auto loss = [&](const Eigen::VectorXd& flat) {
      return factor_objective(FactorParameters::from_flat(flat), rows, nullptr);
    };
    Vector gradient;
    EXPECT_EQ(factor_objective(FactorParameters::from_flat(at), rows, &gradient), loss(at));
    EXPECT_LT(tests::gradient_error(loss, at, gradient), tests::kGradient);
  }
}

TEST(FactorParameters, FlatIsReadBack) {
  const auto p = FactorParameters::from_flat(some_parameters());
  EXPECT_EQ(p.flat(), some_parameters());
  EXPECT_EQ(FactorParameters::medians(2, 3).flat().size(), FactorParameters::spreads(2).flat().size());
}

TEST(Matern, IsTheFunctionAndItsSlopes) {
  const auto rows = some_rows(7);
  const Vector lengths = Vector::LinSpaced(2, -0.4, 0.6);
  const MaternOf of(rows.knobs, lengths);
  EXPECT_LT((of.value() - matern(rows.knobs, rows.knobs, lengths)).cwiseAbs().maxCoeff(), 1e-12);
  const double dx = (rows.knobs(0, 0) - rows.knobs(3, 0)) / std::exp(lengths[0]),
               dy = (rows.knobs(0, 1) - rows.knobs(3, 1)) / std::exp(lengths[1]);
  EXPECT_NEAR(of.value()(0, 3), matern_of(std::hypot(dx, dy)), 1e-12);
  Eigen::MatrixXd weight(7, 7);
  for (Index i = 0; i < 7; ++i) weight.row(i) = normals(7, 1, 50 + static_cast<std::uint64_t>(i)).transpose();
  weight = (weight + weight.transpose()).eval();
  const auto sum = [&](const Eigen::VectorXd& at) {
    return matern(rows.knobs, rows.knobs, at).cwiseProduct(weight).sum();
  };
  EXPECT_LT(tests::gradient_error(sum, lengths, of.slopes(weight)), tests::kGradient);
}

// Mean and covariance of the rows, each less its level.
TEST(Factors, AreMeanAndCovarianceOfTheWorkloads) {
  Matrix logs(4, 6);
  for (Index i = 0; i < 4; ++i)
    logs.row(i) = normals(6, 0.5, static_cast<std::uint64_t>(i)).array().transpose() + i;
  const auto found = factors_of(logs);
  Matrix off = logs.colwise() - logs.rowwise().mean();
  EXPECT_LT((found.mean.transpose() - off.colwise().mean()).cwiseAbs().maxCoeff(), 1e-12);
  off.rowwise() -= off.colwise().mean().eval();
  const Matrix covariance = 1.25 / 3 * off.transpose() * off;
  EXPECT_EQ(found.roots.rows(), 3);
  EXPECT_LT((found.roots.transpose() * found.roots - covariance).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_EQ(factors_of(logs.topRows(1)).roots.rows(), 0);
}

// Workloads on a grid: log y = level + x curve + noise, a curve of each of two knobs, so many of each.
struct Family {
  std::shared_ptr<const hw::PowerModeSpace> space = tests::example_space();
  std::vector<hw::PowerMode> modes = space->modes();
  double noise = 0;

  Vector logs(std::uint64_t seed) const {
    hw::Rng rng(seed);
    const double a = 0.3 + 0.4 * rng.uniform(), b = 0.8 - a, level = rng.normal();
    Vector values(static_cast<Index>(modes.size()));
    for (std::size_t i = 0; i < modes.size(); ++i)
      values[static_cast<Index>(i)] = level - a * std::log(modes[i][0]) - b * std::log(modes[i][1]) +
                                      0.3 * std::sin(3 * std::log(modes[i][0])) + noise * rng.normal();
    return values;
  }
  FactorModel model(std::uint64_t workloads) const {
    Matrix all(static_cast<Index>(workloads), static_cast<Index>(modes.size()));
    for (std::uint64_t w = 0; w < workloads; ++w) all.row(static_cast<Index>(w)) = logs(w).transpose();
    const auto factors = factors_of(all);
    FactorModel model;
    model.knobs = roles_text(*space);
    model.modes = modes;
    for (auto& target : model.targets)
      target = FactorTarget{factors.mean,
                            factors.roots,
                            static_cast<int>(workloads),
                            std::log(0.02),
                            Vector::Constant(2, std::log(2.0)),
                            std::log(0.01)};
    return model;
  }
  Samples support(const Vector& logs, std::size_t rows) const {
    Samples support{space, {}, Matrix(static_cast<Index>(rows), 2)};
    hw::Rng rng(1);
    for (const auto i : rng.sample(modes.size(), rows)) {
      support.targets.row(static_cast<Index>(support.modes.size()))
          .setConstant(std::exp(logs[static_cast<Index>(i)]));
      support.modes.push_back(modes[i]);
    }
    return support;
  }
};

double worst_error(const Learner& learner, const Samples& support, const Vector& logs,
                   const std::vector<hw::PowerMode>& modes) {
  return (learner.adapt(support)->predict(modes).log_mean.col(0).array() - logs.array()).abs().maxCoeff();
}

TEST(Factor, TwoRowsTellAWorkloadThatIsAMixtureOfOthers) {
  const Family family;
  const Factor factor(family.model(5));
  const auto logs = family.logs(99);
  EXPECT_LT(worst_error(factor, family.support(logs, 2), logs, family.modes), 0.05);
  EXPECT_GT(worst_error(Gp(), family.support(logs, 2), logs, family.modes), 0.1);
}

TEST(Factor, AWorkloadLikeNoneOfThemIsLearnedFromItsRows) {
  const Family family;
  const Factor factor(family.model(5));
  Vector flat = Vector::Constant(static_cast<Index>(family.modes.size()), 2);
  for (Index i = 0; i < flat.size(); ++i) flat[i] += 0.005 * (i % 2 == 0 ? 1 : -1);
  EXPECT_LT(worst_error(factor, family.support(flat, 5), flat, family.modes), 0.02);
  const Vector against = -family.logs(3);
  EXPECT_LT(worst_error(factor, family.support(against, 10), against, family.modes), 0.1);
}

TEST(Factor, AKnobThatDoesNotMatterIsRecognised) {
  const Family family;
  auto model = family.model(5);
  for (auto& target : model.targets) target->log_signal = std::log(0.5);
  const Factor factor(model);
  Vector flat(static_cast<Index>(family.modes.size()));
  for (Index i = 0; i < flat.size(); ++i)
    flat[i] = -0.8 * std::log(family.modes[static_cast<std::size_t>(i)][1]);
  EXPECT_LT(worst_error(factor, family.support(flat, 6), flat, family.modes), 0.05);
}

// What is averaged over is normal, one by one: predictions are those of the dense average.
TEST(Factor, PredictsWhatTheDenseAverageDoes) {
  const Family family;
  const auto model = family.model(4);
  const Factor factor(model);
  const auto logs = family.logs(7);
  const auto support = family.support(logs, 5);
  const auto rows = rows_of(support, tasks::kTimeMs);
  std::vector<Index> at;
  for (const auto& mode : rows.modes)
    at.push_back(std::lower_bound(family.modes.begin(), family.modes.end(), mode) - family.modes.begin());
  const auto encoded = [&](std::span<const hw::PowerMode> modes) -> Matrix {
    return encode(FeatureSet::raw, *family.space, modes).array().log().matrix();
  };
  const auto scaler = Scaler::fit(encoded(family.modes));
  const auto& target = *model.targets[0];
  const auto g = static_cast<Index>(family.modes.size()), k = static_cast<Index>(at.size());
  const Matrix knobs = scaler(encoded(family.modes));
  const Matrix smooth = std::exp(2 * target.log_signal) * matern(knobs, knobs, target.log_lengths);
  Matrix rough = smooth;
  for (Index j = 0; j < 2; ++j)
    rough += 0.05 * 0.05 / 2 * matern(knobs.col(j), knobs.col(j), Vector::Constant(1, std::log(0.5)));
  std::vector<Matrix> owns = {smooth, rough};
  for (Index j = 0; j < 2; ++j)
    owns.push_back(std::exp(2 * target.log_signal) *
                   matern(knobs.col(1 - j), knobs.col(1 - j), target.log_lengths.segment(1 - j, 1)));
  Matrix f = target.factors.colwise() - target.factors(Eigen::all, at).rowwise().mean();
  Vector mean = target.mean.array() - target.mean(at).mean();
  Vector y = rows.values.array().log();
  const double level = y.mean();
  y.array() -= level;
  Vector sum = Vector::Zero(g), second = Vector::Zero(g);
  double weights = 0, noise_sum = 0;
  const double unlike = -std::log(5.0);
  for (const double a : {0.0, std::exp(-2), 1.0, std::exp(2)})
    for (const double own_step : {-2, -1, 0, 1, 2})
      for (const double noise_step : {-1, 0, 1, 2})
        for (const int kind : {0, 1, 2, 3, 4, 5, 6, 7}) {  // smooth, rough, flat in either knob; with a mean
          const bool with_mean = kind % 2 == 1, is_rough = kind / 2 == 1, is_flat = kind >= 4;
          if (is_rough && (std::abs(own_step) > 1 || noise_step < 0 || noise_step > 1)) continue;
          if (is_flat && (a > 0 || noise_step > 1)) continue;
          const double b = std::exp(2 * own_step), q = std::exp(2 * (target.log_noise + 0.6 * noise_step));
          Eigen::MatrixXd all = a * f.transpose() * f + b * owns[static_cast<std::size_t>(kind / 2)];
          all.array() += kSimLevelVariance;
          Eigen::MatrixXd among = all(at, at);
          among.diagonal().array() += q;
          const Vector prior = with_mean ? mean : Vector(Vector::Zero(g));
          const Vector left = y - prior(at);
          const Eigen::LLT<Eigen::MatrixXd> llt(among);
          const double evidence = -0.5 * left.dot(llt.solve(left)) -
                                  llt.matrixLLT().diagonal().array().log().sum() +
                                  (a == 0      ? unlike
                                   : with_mean ? -0.5 * std::pow(0.5 * std::log(a), 2)
                                               : unlike - 0.5 * std::pow(0.5 * std::log(a), 2)) +
                                  (is_rough && a > 0 ? unlike : 0) - (is_flat ? std::log(2) : 0) -
                                  0.5 * own_step * own_step - 0.5 * noise_step * noise_step;
          const double w = std::exp(evidence);
          const Eigen::MatrixXd cross = all(Eigen::all, at);
          const Vector predicted = prior + cross * llt.solve(left);
          const Vector variance =
              all.diagonal() - (cross * llt.solve(cross.transpose())).diagonal() + Vector::Constant(g, q);
          sum += w * predicted;
          second += w * (variance + predicted.cwiseAbs2());
          weights += w;
          noise_sum += w * q;
        }
  const Vector expected = sum.array() / weights + level;
  const Vector variance = second.array() / weights - (sum.array() / weights).square();
  const auto p = factor.adapt(support)->predict(family.modes);
  for (Index i = 0; i < g; ++i) {
    EXPECT_NEAR(p.log_mean(i, 0), expected[i], 1e-3);  // those of little weight are left out
    const double found = p.log_variance(i, 0);
    EXPECT_NEAR(found / variance[i], 1, 0.05);
    const double latent = p.latent_log_variance(i, 0);
    EXPECT_NEAR((found - latent) / (noise_sum / weights), 1, 0.02);
  }
  EXPECT_EQ(k, 5);
}

TEST(Factor, InASpaceWithOtherModesItIsASmoothFunction) {
  const Family family;
  const Factor factor(family.model(5));
  const auto space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(
      {{hw::KnobRole::cpu_khz, {300'000, 600'000, 900'000}}, {hw::KnobRole::gpu_khz, {300'000, 600'000}}}));
  const auto modes = space->modes();
  Samples support{space, {modes[0], modes[3], modes[5]}, Matrix(3, 2)};
  support.targets << 8, 2, 5, 4, 3, 6;
  const auto p = factor.adapt(support)->predict(modes);
  EXPECT_TRUE(p.median().allFinite() && p.log_variance.allFinite());
  EXPECT_LT(p.median(5, 0), p.median(0, 0));
}

TEST(Factor, ACheckpointIsReadBack) {
  const auto model = Family().model(3);
  const auto again = FactorModel::from_checkpoint(model.to_checkpoint());
  EXPECT_EQ(again.modes, model.modes);
  EXPECT_EQ(again.targets[1]->factors, model.targets[1]->factors);
  EXPECT_EQ(again.targets[1]->mean, model.targets[1]->mean);
  EXPECT_EQ(again.targets[1]->log_lengths, model.targets[1]->log_lengths);
  EXPECT_EQ(again.targets[1]->workloads, 3);
}

TEST(Factor, ABadModelIsRefused) {
  const auto refused = [](auto change) {
    auto model = Family().model(3);
    change(model);
    EXPECT_THROW(Factor{model}, std::invalid_argument);
  };
  refused([](auto& m) { m.modes.pop_back(); });
  refused([](auto& m) { m.knobs = "cpu_khz"; });
  refused([](auto& m) { std::swap(m.modes[0], m.modes[1]); });
  refused([](auto& m) { m.targets[0]->mean[2] = std::nan(""); });
  refused([](auto& m) { m.targets[0]->factors(0, 0) = 1e9; });
  refused([](auto& m) { m.targets[1]->log_lengths.conservativeResize(1); });
  refused([](auto& m) { m.targets[1]->workloads = 0; });
  refused([](auto& m) { m.targets[1]->log_noise = -1e3; });
}

}  // namespace factor_test
}  // namespace fewwatt::learners
