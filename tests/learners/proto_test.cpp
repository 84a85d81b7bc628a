#include "learners/proto.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/checkpoint_io.hpp"
#include "tests/gradient_check.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/run_program.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::learners {
namespace proto_test {

using tests::example_space;
using tests::example_support;
using tests::random_proto;

// The support of one target as the posterior takes it.
struct Rows {
  ProtoModel model = random_proto(*example_space());
  ProtoTarget target = *model.targets[tasks::kTimeMs];
  ProtoInputs inputs;
  Vector logs;

  explicit Rows(std::size_t shots) {
    const auto rows = rows_of(example_support(shots, 3), tasks::kTimeMs);
    inputs = proto_inputs(model, tasks::kTimeMs, *rows.space, rows.modes);
    logs = rows.values.array().log();
  }
  ProtoPosterior posterior(ProtoFineTune fine_tune = {}, ProtoParts parts = {}) const {
    return {parts,  target.kernel, fine_tune, head_prior(target, Eigen::Vector3d(0.5, 0.3, 0.2)),
            inputs, logs};
  }
};

double rms(const Vector& v) {
  return std::sqrt(v.squaredNorm() / static_cast<double>(v.size()));
}

TEST(Proto, KernelIsWhatItsFlatFormSays) {
  Vector flat(3 * 2 + 2 + 5);
  for (Eigen::Index i = 0; i < flat.size(); ++i) flat[i] = static_cast<double>(i);
  EXPECT_EQ(TermKernel::from_flat(flat, 2).flat(), flat);
}

TEST(Proto, HeadIsTheLogOfASum) {
  const Matrix log_terms = (Matrix(2, 2) << 0, std::log(2.0), std::log(3.0), std::log(5.0)).finished();
  const Vector beta = Eigen::Vector2d(std::log(10.0), std::log(100.0));
  const Vector value = head(log_terms, beta);
  EXPECT_NEAR(value[0], std::log(210.0), 1e-12);
  EXPECT_NEAR(value[1], std::log(530.0), 1e-12);
}

TEST(Proto, MixedHeadIsTheLogOfTheMixture) {
  const Rows rows(8);
  const Vector weights = Eigen::Vector3d(0.2, 0.5, 0.3);
  Vector sum = Vector::Zero(rows.logs.size());
  for (Eigen::Index w = 0; w < 3; ++w) {
    sum +=
        weights[w] * head(rows.inputs.log_terms, rows.target.heads.row(w).transpose()).array().exp().matrix();
  }
  const Vector mixed = head(rows.inputs.log_terms, mix_heads(rows.target.heads, weights));
  EXPECT_LT((mixed - sum.array().log().matrix()).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(Proto, HeadPriorIsAsUncertainAsTheTrainingWorkloadsDisagree) {
  Rows rows(6);
  const Vector weights = Eigen::Vector3d(0.2, 0.5, 0.3);
  const auto prior = head_prior(rows.target, weights);
  Matrix sum = Matrix::Zero(prior.beta_0.size(), prior.beta_0.size());
  for (Eigen::Index w = 0; w < 3; ++w) {
    const Vector off = rows.target.heads.row(w).transpose() - prior.beta_0;
    sum += weights[w] * off * off.transpose();
  }
  EXPECT_LT((prior.deviations.transpose() * prior.deviations - sum).cwiseAbs().maxCoeff(), 1e-12);

  const auto wide = rows.posterior().predict(rows.inputs).variance;
  rows.target.head_share = 0;
  const auto narrow = rows.posterior().predict(rows.inputs).variance;
  EXPECT_GT((wide - narrow).maxCoeff(), 0);
}

TEST(Proto, PrototypeIsTheMeanEmbedding) {
  const Rows rows(7);
  const Matrix embedded = embedding_inputs(rows.target, rows.inputs, rows.logs, rows.logs.size());
  Vector sum = Vector::Zero(4);
  for (Eigen::Index i = 0; i < embedded.rows(); ++i) sum += prototype(rows.target, embedded.row(i));
  EXPECT_LT((prototype(rows.target, embedded) - sum / 7).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(Proto, EmbeddingSeesNoLevel) {
  const Rows rows(7);
  const Matrix before = embedding_inputs(rows.target, rows.inputs, rows.logs, 5),
               after = embedding_inputs(rows.target, rows.inputs, rows.logs.array() + 3.0, 5);
  EXPECT_LT((before - after).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_NEAR(before.col(rows.inputs.features.cols()).head(5).sum(), 0, 1e-12);  // u
}

TEST(Proto, WeightsAreTheGeometricMeansOfTheRowsOwn) {
  const Rows rows(6);
  const Matrix embedded = embedding_inputs(rows.target, rows.inputs, rows.logs, 6);
  Vector logs = Vector::Zero(3);
  for (Eigen::Index i = 0; i < 6; ++i) {
    logs +=
        prototype_weights(rows.target, prototype(rows.target, embedded.row(i))).array().log().matrix() / 6;
  }
  const Vector expected = logs.array().exp() / logs.array().exp().sum();
  const Vector weights = prototype_weights(rows.target, prototype(rows.target, embedded));
  EXPECT_LT((weights - expected).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_NEAR(weights.sum(), 1, 1e-12);
}

TEST(Proto, NearestPrototypeWeighsMost) {
  auto target = Rows(3).target;
  const Vector p = target.prototypes.row(1);
  const double soft = prototype_weights(target, p)[1];
  EXPECT_GT(soft, 1.0 / 3);
  target.log_sharpness = 6;
  EXPECT_GT(prototype_weights(target, p)[1], std::max(soft, 0.999));
}

TEST(Proto, GradientOfTheKernelEqualsCentralDifferences) {
  const Rows rows(9);
  for (const auto parts : {ProtoParts{}, ProtoParts{true, false, true}, ProtoParts{true, true, false}}) {
    const auto posterior = rows.posterior({.head_steps = 4, .kernel_freedom = 0.7}, parts);
    hw::Rng rng(2);
    Vector at = rows.target.kernel.flat();
    for (auto& value : at) value += 0.3 * rng.normal();
    const auto kernel = [](const Vector& flat) { return TermKernel::from_flat(flat, 2); };
    Vector gradient;
    posterior.objective(kernel(at), &gradient);
    EXPECT_LT(
        tests::gradient_error([&](const Vector& flat) { return posterior.objective(kernel(flat), nullptr); },
                              at, gradient),
        tests::kGradient);
  }
}

TEST(Proto, KernelStepsRaiseItsPosterior) {
  const Rows rows(9);
  const auto before = rows.posterior({.head_steps = 20}),
             after = rows.posterior({.head_steps = 20, .kernel_steps = 40});
  EXPECT_LT(after.objective(after.kernel(), nullptr), before.objective(before.kernel(), nullptr));
}

// With the residual integrated out, the coefficients are where the log posterior has no slope.
TEST(Proto, HeadStepsEndWhereTheCoefficientsAreMostProbable) {
  const Rows rows(9);
  const auto posterior = rows.posterior({.head_steps = 60}), again = rows.posterior({.head_steps = 61});
  EXPECT_LT((posterior.coefficients() - again.coefficients()).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_GT((posterior.coefficients() - rows.target.heads.row(0).transpose()).cwiseAbs().maxCoeff(), 0.1);
}

TEST(Proto, HeadsFollowAWorkloadThatIsASumOfItsTerms) {
  const Rows rows(9);
  const auto all = example_space()->modes();
  const auto query = proto_inputs(rows.model, tasks::kTimeMs, *example_space(), all);
  const auto error = [&](const ProtoPosterior& posterior) {
    Vector truth(query.knobs.rows());
    for (std::size_t i = 0; i < all.size(); ++i)
      truth[static_cast<Eigen::Index>(i)] = std::log(tests::example_time_ms(all[i]));
    return rms(posterior.predict(query).mean - truth);
  };
  EXPECT_LT(error(rows.posterior({.head_steps = 30}, {true, true, false})), 0.03);
  EXPECT_LT(error(rows.posterior({.head_steps = 30})), 0.03);
}

TEST(Proto, IsSurerAtMeasuredModesThanElsewhere) {
  const auto support = example_support(6, 3);
  const auto predictor = Proto(random_proto(*example_space())).adapt(support);
  const auto there = predictor->predict(support.modes),
             everywhere = predictor->predict(support.space->modes());
  for (int t = 0; t < 2; ++t) {
    const auto relative = [&](const Prediction& p) { return p.log_variance.col(t).cwiseSqrt().mean(); };
    EXPECT_GT(everywhere.log_variance.col(t).minCoeff(), 0);
    EXPECT_LT(relative(there), relative(everywhere));
  }
}

TEST(Proto, NamesTheWorkloadsItBehavesLike) {
  const auto model = random_proto(*example_space());
  auto support = example_support(6, 3);
  const auto check = [&](const std::vector<Similarity>& similar) {
    ASSERT_EQ(similar.size(), 3);
    double sum = 0;
    for (const auto& [workload, weight] : similar) {
      EXPECT_GE(weight, 0);
      EXPECT_NE(std::find(model.targets[0]->workloads.begin(), model.targets[0]->workloads.end(), workload),
                model.targets[0]->workloads.end());
      sum += weight;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
    EXPECT_GE(similar[0].weight, similar[1].weight);
    EXPECT_GE(similar[1].weight, similar[2].weight);
  };
  check(Proto(model).adapt(support)->behaves_like());
  support.targets.col(tasks::kPowerW).setConstant(std::nan(""));
  check(Proto(model).adapt(support)->behaves_like());
}

TEST(Proto, WithoutTheEmbeddingAllWorkloadsWeighTheSame) {
  auto model = random_proto(*example_space());
  model.parts.embedding = false;
  for (const auto& similar : Proto(model).adapt(example_support(6, 3))->behaves_like())
    EXPECT_NEAR(similar.weight, 1.0 / 3, 1e-12);
}

TEST(Proto, OneTrainingWorkloadWeighsAll) {
  auto model = random_proto(*example_space());
  for (auto& target : model.targets) {
    target->workloads.resize(1);
    target->prototypes.conservativeResize(1, Eigen::NoChange);
    target->heads.conservativeResize(1, Eigen::NoChange);
    target->curve_weights.conservativeResize(Eigen::NoChange, 1);
  }
  const auto predictor = Proto(model).adapt(example_support(1, 3));
  ASSERT_EQ(predictor->behaves_like().size(), 1);
  EXPECT_EQ(predictor->behaves_like()[0].weight, 1);
  EXPECT_TRUE(predictor->predict(example_space()->modes()).median().allFinite());
}

TEST(Proto, CurvesAreExpectedWhereNothingIsMeasured) {
  const auto support = example_support(3, 3);
  const auto modes = example_space()->modes();
  auto model = random_proto(*example_space());
  const Matrix half = Proto(model).adapt(support)->predict(modes).median();
  for (auto& target : model.targets) target->curve_share = 0;
  const Matrix none = Proto(model).adapt(support)->predict(modes).median();
  EXPECT_GT((half.array() / none.array()).log().abs().maxCoeff(), 0.001);
  for (auto& target : model.targets) {
    target->curve_share = 0.5;
    target->curve_weights.setZero();
  }
  EXPECT_EQ(Proto(model).adapt(support)->predict(modes).median(), none);
}

TEST(Proto, EachPartMatters) {
  const auto support = example_support(6, 3);
  const auto modes = example_space()->modes();
  auto model = random_proto(*example_space());
  const Matrix whole = Proto(model).adapt(support)->predict(modes).median();
  for (bool ProtoParts::*part : {&ProtoParts::embedding, &ProtoParts::heads, &ProtoParts::residual}) {
    auto less = model;
    less.parts.*part = false;
    EXPECT_NE(Proto(less).adapt(support)->predict(modes).median(), whole);
  }
}

TEST(Proto, KernelOfManyRowsIsFittedToSomeOfThem) {
  std::vector<int> levels;
  for (int i = 1; i <= 14; ++i) levels.push_back(100'000 * i);
  const auto space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, levels}, {hw::KnobRole::gpu_khz, levels}}));
  Samples support{space, space->modes(), Matrix(196, 2)};
  for (std::size_t i = 0; i < 196; ++i) {
    support.targets.row(static_cast<Eigen::Index>(i)) << tests::example_time_ms(support.modes[i]),
        tests::example_power_w(support.modes[i]);
  }
  auto model = random_proto(*space);
  for (auto& target : model.targets) target->fine_tune.kernel_steps = 3;
  const Matrix p = Proto(model).adapt(support)->predict(support.modes).median();
  EXPECT_LT(((p - support.targets).array() / support.targets.array()).abs().maxCoeff(), 0.05);
}

TEST(Proto, CheckpointGoesThroughAFile) {
  const tests::TempDir dir;
  auto model = random_proto(*example_space());
  model.parts.residual = false;
  model.targets[0]->fine_tune = {.head_steps = 4, .kernel_steps = 3, .kernel_rate = 0.1, .kernel_freedom = 2};
  model.targets[1].reset();
  const auto checkpoint = model.to_checkpoint();
  write_checkpoint(dir / "proto.h5", checkpoint);
  const auto back = ProtoModel::from_checkpoint(read_checkpoint(dir / "proto.h5")).to_checkpoint();
  EXPECT_EQ(back.tensors, checkpoint.tensors);
  EXPECT_EQ(back.numbers, checkpoint.numbers);
  EXPECT_EQ(back.texts, checkpoint.texts);
}

TEST(Proto, RefusesACheckpointThatDoesNotFit) {
  const auto refused = [](const std::function<void(Checkpoint&)>& spoil, const std::string& name) {
    auto c = random_proto(*example_space()).to_checkpoint();
    spoil(c);
    try {
      make_learner(c);
      ADD_FAILURE() << name << ": no error";
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  refused([](auto& c) { c.tensors.at("time/kernel").conservativeResize(1, 3); }, "time/kernel");
  refused([](auto& c) { c.tensors.at("time/prototypes").conservativeResize(2, 4); }, "time/prototypes");
  refused([](auto& c) { c.tensors.at("power/heads")(0, 0) = std::nan(""); }, "power/");
  refused([](auto& c) { c.tensors.at("time/curve_weights").conservativeResize(1, 3); }, "time/curve_knobs");
  refused([](auto& c) { c.tensors.at("power/embedding").conservativeResize(1, 3); }, "power/embedding");
  refused([](auto& c) { c.numbers.at("time/deviation_scale") = {0}; }, "time/deviation_scale");
  refused([](auto& c) { c.numbers.at("time/fine_tune/head_steps") = {0}; }, "head_steps");
  refused([](auto& c) { c.texts.erase("time/workloads"); }, "time/workloads");
}

}  // namespace proto_test
}  // namespace fewwatt::learners
