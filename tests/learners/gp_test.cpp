#include "learners/gp.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "hw/random.hpp"
#include "tests/gradient_check.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace gp_test {

TEST(Gp, GradientOfThePosteriorEqualsCentralDifferences) {
  hw::Rng rng(6);
  Matrix inputs(12, 3);
  for (auto& value : inputs.reshaped()) value = rng.normal();
  Vector values(12);
  for (auto& value : values) value = rng.normal();
  Vector at(5);
  at << -0.3, 0.2, 0.9, -0.4, -1.5;
  const auto unpack = [](const Vector& v) { return GpParameters{v[0], v.segment(1, 3), v[4]}; };
  Vector gradient;
  gp_objective({}, unpack(at), inputs, values, &gradient);
  EXPECT_LT(tests::gradient_error(
                [&](const Vector& v) { return gp_objective({}, unpack(v), inputs, values, nullptr); }, at,
                gradient),
            tests::kGradient);
}

TEST(Gp, IsSurerAtMeasuredModesThanElsewhere) {
  const auto support = tests::example_support(6, 3);
  const auto all = support.space->modes();
  const auto predictor = Gp().adapt(support);
  const auto there = predictor->predict(support.modes), everywhere = predictor->predict(all);
  for (int t = 0; t < 2; ++t) {
    EXPECT_GT(everywhere.log_variance.col(t).minCoeff(), 0);
    const auto relative = [&](const Prediction& p) { return p.log_variance.col(t).cwiseSqrt().mean(); };
    EXPECT_LT(relative(there), 0.8 * relative(everywhere));
  }
}

TEST(Gp, RecoversASmoothWorkload) {
  const auto support = tests::example_support(9, 3);
  const auto modes = support.space->modes();
  const auto p = Gp().adapt(support)->predict(modes);
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    EXPECT_NEAR(p.median(row, 0) / tests::example_time_ms(modes[i]), 1, 0.1);
    EXPECT_NEAR(p.median(row, 1) / tests::example_power_w(modes[i]), 1, 0.1);
  }
}

TEST(Gp, AdaptsToMoreRowsThanItFitsHyperParametersTo) {
  GpOptions options;
  options.max_fit_rows = 5;
  EXPECT_NO_THROW(Gp(options).adapt(tests::example_support(11, 3)));
}

TEST(Gp, RefusesOptionsThatMakeNoSense) {
  GpOptions options;
  options.noise_median = 0;
  EXPECT_THROW(Gp{options}, std::invalid_argument);
}

// ---- with a model ----

using tests::example_space;
using tests::random_gp;

GpInputs inputs_of(const GpModel& model, tasks::Target t, std::span<const hw::PowerMode> modes) {
  return gp_inputs(model.shape, model.targets[t]->weights,
                   model.scaler(encode(FeatureSet::physical, *example_space(), modes)));
}

TEST(GpModel, KernelActsOnLogKnobsAndTheNet) {
  const auto model = random_gp(*example_space());
  const auto modes = example_space()->modes();
  const auto inputs = inputs_of(model, tasks::kTimeMs, modes);
  EXPECT_EQ(inputs.columns.cols(), 4);
  EXPECT_EQ(model.columns(), 4);
  const Matrix raw = encode(FeatureSet::raw, *example_space(), modes).array().log();
  EXPECT_LT((inputs.columns.leftCols(2) - Scaler::fit(raw)(raw)).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_EQ(Matrix(inputs.columns.rightCols(2)),
            Mlp<double>(model.shape, model.targets[0]->weights).forward(inputs.terms));
  EXPECT_EQ(inputs_of(random_gp(*example_space(), false), tasks::kTimeMs, modes).columns.cols(), 2);
}

TEST(GpModel, FeaturesFarOutsideTrainingCountAsAtItsEdge) {
  const auto model = random_gp(*example_space());
  Matrix features = Matrix::Zero(2, model.scaler.mean.size());
  features(0, 1) = 50;
  features(1, 1) = -50;
  const auto inputs = gp_inputs(model.shape, model.targets[0]->weights, features);
  EXPECT_EQ(inputs.terms(0, 1), kGpFarthest);
  EXPECT_EQ(inputs.terms(1, 1), -kGpFarthest);
}

TEST(GpModel, GradientOfThePosteriorEqualsCentralDifferences) {
  for (const bool with_net : {true, false}) {
    const auto model = random_gp(*example_space(), with_net);
    const auto rows = rows_of(tests::example_support(9, 3), tasks::kTimeMs);
    const auto& target = *model.targets[tasks::kTimeMs];
    const auto inputs = inputs_of(model, tasks::kTimeMs, rows.modes);
    const Vector logs = rows.values.array().log() - 2;
    Vector at = target.kernel.flat(), gradient;
    hw::Rng rng(3);
    for (auto& value : at) value += 0.2 * rng.normal();
    const auto kernel = [&](const Vector& flat) { return TermKernel::from_flat(flat, model.columns()); };
    gp_objective(target, kernel(at), inputs, logs, &gradient);
    EXPECT_LT(tests::gradient_error(
                  [&](const Vector& v) { return gp_objective(target, kernel(v), inputs, logs, nullptr); }, at,
                  gradient),
              tests::kGradient);
  }
}

TEST(GpModel, PredictionIsThatOfALinearModelWhereTheKernelIsNone) {
  auto model = random_gp(*example_space(), false);
  auto& target = *model.targets[tasks::kTimeMs];
  target.fine_tune.steps = 0;
  target.kernel.log_signal = -30;
  target.kernel.log_amplitudes.setConstant(-30);
  const auto support = tests::example_support(7, 3);
  const auto rows = rows_of(support, tasks::kTimeMs);
  const auto modes = example_space()->modes();
  const Vector logs = rows.values.array().log();
  const double level = logs.mean();
  const auto features = [&](std::span<const hw::PowerMode> of) {
    const Matrix terms = inputs_of(model, tasks::kTimeMs, of).terms;
    Matrix all(terms.rows(), 1 + terms.cols());
    all << Vector::Ones(terms.rows()), terms;
    return all;
  };
  Vector mean(1 + target.mean.size()), variance(mean.size());
  mean << 0, target.mean;
  variance << kGpLevel * kGpLevel, (2 * target.kernel.log_spreads.array()).exp().matrix();
  const double noise = std::exp(2 * target.kernel.log_noise);
  const auto posterior = ridge_posterior(features(rows.modes), logs.array() - level, mean, variance, noise);
  const Matrix x = features(modes);
  const auto found = Gp(model).adapt(support)->predict(modes);
  const Eigen::ArrayXd expected = (x * posterior.mean).array() + level,
                       spread = noise + (x * posterior.covariance).cwiseProduct(x).rowwise().sum().array();
  EXPECT_LT((found.log_mean.col(0).array() - expected).abs().maxCoeff(), 1e-9);
  EXPECT_LT((found.log_variance.col(0).array() - spread).abs().maxCoeff(), 1e-9);
}

TEST(GpModel, FreedomIsHowFarTheKernelMayGo) {
  const auto model = random_gp(*example_space());
  const auto rows = rows_of(tests::example_support(9, 3), tasks::kTimeMs);
  const auto inputs = inputs_of(model, tasks::kTimeMs, rows.modes);
  const Vector logs = rows.values.array().log();
  const Vector centred = logs.array() - logs.mean();
  const auto moved = [&](GpFineTune fine_tune) {
    auto target = *model.targets[tasks::kTimeMs];
    target.fine_tune = fine_tune;
    return (fit_gp_kernel(target, inputs, centred).flat() - target.kernel.flat()).norm();
  };
  EXPECT_EQ(moved({0, 1}), 0);
  EXPECT_GT(moved({100, 1}), 2 * moved({100, 0.2}));
}

TEST(GpModel, RowsLeftOutArePredictedAsFromTheOthers) {
  const auto support = tests::example_support(9, 3);
  auto model = random_gp(*example_space());
  for (auto& target : model.targets) target->fine_tune.steps = 0;
  const auto all = Gp(model).adapt(support)->left_out(tasks::kTimeMs);
  const auto rows = rows_of(support, tasks::kTimeMs);
  ASSERT_EQ(all.error.size(), 9);
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<std::size_t> others;
    for (std::size_t j = 0; j < 9; ++j)
      if (support.modes[j] != rows.modes[i]) others.push_back(j);
    const auto one = Gp(model).adapt(support.subset(others))->predict(std::span(&rows.modes[i], 1));
    const auto at = static_cast<Eigen::Index>(i);
    const double error = std::log(rows.values[at]) - one.log_mean(0, tasks::kTimeMs);
    // The level is nearly free, not free.
    EXPECT_NEAR(all.error[at], error, 0.02 * std::abs(error) + 1e-4);
  }
}

TEST(GpModel, CheckpointIsTheModel) {
  for (const bool with_net : {true, false}) {
    auto model = random_gp(*example_space(), with_net);
    model.targets[1].reset();
    const auto again = GpModel::from_checkpoint(model.to_checkpoint());
    EXPECT_EQ(again.trained_by, "deep-kernel");
    EXPECT_EQ(again.knobs, model.knobs);
    EXPECT_EQ(again.shape.sizes, model.shape.sizes);
    EXPECT_EQ(again.shape.activation, Activation::tanh);
    EXPECT_EQ(again.targets[0]->weights, model.targets[0]->weights);
    EXPECT_EQ(again.targets[0]->mean, model.targets[0]->mean);
    EXPECT_EQ(again.targets[0]->kernel.flat(), model.targets[0]->kernel.flat());
    EXPECT_EQ(again.targets[0]->kernel_spreads, model.targets[0]->kernel_spreads);
    EXPECT_EQ(again.targets[0]->fine_tune.steps, 10);
    EXPECT_EQ(again.targets[0]->fine_tune.freedom, 0.5);
    EXPECT_FALSE(again.targets[1]);
  }
}

TEST(GpModel, BadOnesAreNamed) {
  const auto refused = [](const std::string& what, auto change) {
    auto model = random_gp(*example_space());
    change(model);
    try {
      Gp gp(model);
      ADD_FAILURE() << what;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  };
  refused("time/weights", [](auto& m) { m.targets[0]->weights.conservativeResize(3); });
  refused("time/mean", [](auto& m) { m.targets[0]->mean.conservativeResize(3); });
  refused("power/kernel", [](auto& m) { m.targets[1]->kernel.log_spreads.conservativeResize(2); });
  refused("power/kernel", [](auto& m) { m.targets[1]->kernel.log_lengths.conservativeResize(2); });
  refused("must be finite", [](auto& m) { m.targets[1]->kernel.log_noise = std::nan(""); });
  refused("kernel_spreads", [](auto& m) { m.targets[1]->kernel_spreads[0] = 0; });
  refused("steps", [](auto& m) { m.targets[1]->fine_tune.steps = -1; });
  refused("freedom", [](auto& m) { m.targets[1]->fine_tune.freedom = 0; });
  refused("feature_stddev", [](auto& m) { m.scaler.mean.conservativeResize(2); });
  refused("hidden", [](auto& m) { m.shape.sizes[1] = 0; });
  auto checkpoint = random_gp(*example_space()).to_checkpoint();
  checkpoint.tensors["time/kernel"].conservativeResize(1, 3);
  EXPECT_THROW(GpModel::from_checkpoint(checkpoint), std::invalid_argument);
}

TEST(Gp, ManyModesArePredictedAsFewAre) {
  std::vector<int> levels;
  for (int i = 1; i <= 100; ++i) levels.push_back(10'000 * i);
  const auto space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, levels}, {hw::KnobRole::gpu_khz, levels}}));
  Samples support{space, {}, Matrix(450, 2)};
  for (std::size_t i = 0; i < 450; ++i) {
    support.modes.push_back(space->at(22 * i));
    const auto& mode = support.modes.back();
    support.targets.row(static_cast<Eigen::Index>(i)) << 1e6 / mode[0] + 1e6 / mode[1], 1e-5 * mode[0];
  }
  const auto predictor = Gp().adapt(support);
  const auto modes = space->modes();
  const auto all = predictor->predict(modes), last = predictor->predict(std::span(modes).last(1500));
  EXPECT_LE((all.log_mean.bottomRows(1500) - last.log_mean).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_LE((all.log_variance.bottomRows(1500) - last.log_variance)
                .cwiseQuotient(last.log_variance)
                .cwiseAbs()
                .maxCoeff(),
            1e-6);
}

}  // namespace gp_test
}  // namespace fewwatt::learners
