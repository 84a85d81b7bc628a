#include "learners/samplers/sampler.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <set>

#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace sampler_test {

hw::Measurement example_cost(const hw::PowerMode& mode) {
  hw::Measurement m;
  m.time_ms = tests::example_time_ms(mode);
  m.power_w = tests::example_power_w(mode);
  return m;
}

std::shared_ptr<const Learner> shared_learner(std::string_view name) {
  return make_learner(name);
}

// ---- every sampler of the registry ----

class SamplerContract : public testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<tasks::ModeSampler> make(std::uint64_t seed = 1, std::size_t planned = 8) const {
    SamplerOptions options;
    options.planned = planned;
    options.seed = seed;
    options.designed = 4;
    return make_sampler(GetParam(), tests::example_space(),
                        builtin().samplers.find(GetParam()).needs_learner ? shared_learner("gp") : nullptr,
                        options);
  }
};

TEST_P(SamplerContract, AsksForEveryModeOnce) {
  const auto sampler = make();
  std::set<hw::PowerMode> asked;
  while (const auto mode = sampler->ask()) {
    EXPECT_TRUE(tests::example_space()->index_of(*mode));
    EXPECT_TRUE(asked.insert(*mode).second);
    sampler->tell(*mode, example_cost(*mode));
  }
  EXPECT_EQ(asked.size(), tests::example_space()->size());
}

TEST_P(SamplerContract, ASeedGivesTheSameModes) {
  const auto a = make(3), b = make(3);
  for (int i = 0; i < 10; ++i) {
    const auto mode = a->ask();
    EXPECT_EQ(mode, b->ask());
    a->tell(*mode, example_cost(*mode));
    b->tell(*mode, example_cost(*mode));
  }
}

TEST_P(SamplerContract, MeasurementsThatFailedAreNoReasonToStop) {
  const auto sampler = make();
  std::set<hw::PowerMode> asked;
  hw::Measurement spoiled;
  for (int i = 0; i < 12; ++i) {
    const auto mode = sampler->ask();
    ASSERT_TRUE(mode);
    EXPECT_TRUE(asked.insert(*mode).second);
    if (i % 2 == 0) {
      spoiled = example_cost(*mode);
      spoiled.throttled = true;
    } else {
      spoiled = {};
    }
    sampler->tell(*mode, spoiled);
  }
}

TEST_P(SamplerContract, EqualMeasurementsAreFine) {
  const auto sampler = make();
  hw::Measurement same;
  same.time_ms = 5;
  same.power_w = 3;
  for (int i = 0; i < 12; ++i) {
    const auto mode = sampler->ask();
    ASSERT_TRUE(mode);
    sampler->tell(*mode, same);
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, SamplerContract, testing::ValuesIn(builtin().samplers.names()),
                         [](const auto& of) {
                           std::string name(of.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Samplers, UnknownNamesAndBadOptionsAreRefused) {
  const auto refusal = [](std::string_view name, const SamplerOptions& options, bool with_learner = true) {
    try {
      make_sampler(name, tests::example_space(), with_learner ? shared_learner("gp") : nullptr, options);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  EXPECT_NE(refusal("best", {}).find("known are: random, latin-hypercube, maximin, alc"), std::string::npos);
  EXPECT_EQ(refusal("alc", {}, false), "sampler alc needs a learner");
  SamplerOptions options;
  options.designed = 0;
  EXPECT_EQ(refusal("alc", options), "SamplerOptions: designed must be > 0");
  options = {};
  options.cost.settle_s = -1;
  EXPECT_EQ(refusal("alc-cost", options), "MeasuringCost: all numbers must be >= 0");
}

TEST(Samplers, WhatWasToldIsNotAskedFor) {
  SamplerOptions options;
  options.designed = 2;
  const auto sampler = make_sampler("alc", tests::example_space(), shared_learner("gp"), options);
  std::set<hw::PowerMode> told;
  for (const auto& mode : tests::example_space()->modes()) {
    if (told.size() == 8) break;
    sampler->tell(mode, example_cost(mode));
    told.insert(mode);
  }
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(told.insert(sampler->ask().value()).second);
  EXPECT_FALSE(sampler->ask());
}

// ---- variance reduction ----

LogCovariance random_covariance(Eigen::Index n, std::uint64_t seed) {
  hw::Rng rng(seed);
  Matrix root(n, n);
  for (auto& x : root.reshaped()) x = rng.normal();
  return {root * root.transpose(), 0.3};
}

TEST(VarianceReduction, GainIsWhatTheTraceLoses) {
  const std::vector<LogCovariance> targets = {random_covariance(6, 1), random_covariance(6, 2)};
  const Vector gains = VarianceReduction(targets).gains();
  for (Eigen::Index j = 0; j < 6; ++j) {
    double lost = 0;
    for (const auto& [p, noise] : targets) {
      Matrix after = p - p.col(j) * p.row(j) / (p(j, j) + noise);
      lost += 1 - after.trace() / p.trace();
    }
    EXPECT_NEAR(gains[j], lost, 1e-9);
  }
}

TEST(VarianceReduction, WeightedGainIsWhatTheWeightedTraceLoses) {
  const auto [p, noise] = random_covariance(6, 4);
  Vector weights(6);
  weights << 1, 0, 0.2, 3, 0, 1;
  const Vector gains = VarianceReduction({{p, noise}}, weights).gains();
  for (Eigen::Index j = 0; j < 6; ++j) {
    const Matrix after = p - p.col(j) * p.row(j) / (p(j, j) + noise);
    EXPECT_NEAR(gains[j], 1 - weights.dot(after.diagonal()) / weights.dot(p.diagonal()), 1e-9);
  }
}

TEST(VarianceReduction, OneAfterTheOtherIsAllTogether) {
  const auto prior = random_covariance(7, 3);
  VarianceReduction steps({prior});
  const std::vector<Eigen::Index> measured = {2, 5, 0};
  for (const auto j : measured) steps.measure(j);
  Eigen::MatrixXd among = prior.latent(measured, measured);
  among.diagonal().array() += prior.noise_variance;
  const Eigen::MatrixXd cross = prior.latent(Eigen::all, measured);
  const Eigen::MatrixXd posterior = prior.latent - cross * among.llt().solve(cross.transpose());
  const Vector expected = posterior.diagonal() / posterior.trace();
  EXPECT_LE((steps.variances() - expected).cwiseAbs().maxCoeff(), 1e-9);
}

TEST(VarianceReduction, TheFirstDesignedModeIsNoCorner) {
  const auto space = tests::simulated_space();
  const auto sampler = make_sampler("alc", space, shared_learner("gp"), {});
  const auto mode = sampler->ask().value();
  int extremes = 0;
  for (std::size_t k = 0; k < mode.size(); ++k)
    if (mode[k] == space->knobs()[k].levels.front() || mode[k] == space->max_level(k)) ++extremes;
  EXPECT_LE(extremes, 1);
}

// ---- what they are for ----

double mean_error(std::string_view name, std::size_t shots) {
  const auto learner = shared_learner("sim_only");
  double sum = 0;
  int count = 0;
  for (const std::size_t workload : {3, 11, 20}) {
    const auto made = tests::simulated_workload(workload, 1);
    for (std::uint64_t seed = 0; seed < 2; ++seed) {
      SamplerOptions options;
      options.planned = shots;
      options.seed = seed;
      const auto sampler = make_sampler(name, tests::simulated_space(), learner, options);
      hw::Rng noise(seed);
      Samples support{tests::simulated_space(), {}, Matrix(static_cast<Eigen::Index>(shots), 2)};
      for (std::size_t i = 0; i < shots; ++i) {
        const auto mode = sampler->ask().value();
        const auto row = static_cast<Eigen::Index>(tests::simulated_space()->index_of(mode).value());
        hw::Measurement m;
        m.time_ms = made.truth(row, 0) * std::exp(0.01 * noise.normal());
        m.power_w = made.truth(row, 1) * std::exp(0.01 * noise.normal());
        support.targets.row(static_cast<Eigen::Index>(i)) << m.time_ms, m.power_w;
        support.modes.push_back(mode);
        sampler->tell(mode, m);
      }
      const auto predicted = learner->adapt(support)->predict(made.modes).median();
      sum += (predicted.array() / made.truth.array() - 1).abs().mean();
      ++count;
    }
  }
  return sum / count;
}

TEST(Samplers, ReducingVarianceBeatsChance) {
  EXPECT_LT(mean_error("alc", 8), 0.9 * mean_error("random", 8));
}

TEST(Samplers, TheFrontIsWhereItMatters) {
  // How much slower the measured modes are than the fastest that draws no more, on average.
  const auto space = tests::simulated_space();
  const auto slowness = [&](std::string_view name) {
    double sum = 0;
    for (std::uint64_t w = 0; w < 4; ++w) {
      const auto made = tests::simulated_workload(3, w);
      SamplerOptions options;
      options.planned = 12;
      options.seed = w;
      const auto sampler = make_sampler(name, space, shared_learner("sim_only"), options);
      for (std::size_t i = 0; i < options.planned; ++i) {
        const auto mode = sampler->ask().value();
        const auto row = static_cast<Eigen::Index>(space->index_of(mode).value());
        double front = made.truth(row, 0);
        for (Eigen::Index j = 0; j < made.truth.rows(); ++j)
          if (made.truth(j, 1) <= made.truth(row, 1)) front = std::min(front, made.truth(j, 0));
        sum += std::log(made.truth(row, 0) / front);
        hw::Measurement m;
        m.time_ms = made.truth(row, 0);
        m.power_w = made.truth(row, 1);
        sampler->tell(mode, m);
      }
    }
    return sum;
  };
  EXPECT_LT(slowness("alc-front"), 0.9 * slowness("alc"));
}

TEST(Samplers, CostDecidesWhatIsMeasured) {
  const auto space = tests::simulated_space();
  const auto made = tests::simulated_workload(3, 1);
  const auto seconds = [&](std::string_view name) {
    SamplerOptions options;
    options.planned = 15;
    options.cost.cores_s = 20;
    options.cost.memory_s = 20;
    const auto sampler = make_sampler(name, space, shared_learner("gp"), options);
    double sum = 0;
    std::optional<hw::PowerMode> before;
    for (std::size_t i = 0; i < options.planned; ++i) {
      const auto mode = sampler->ask().value();
      const auto row = static_cast<Eigen::Index>(space->index_of(mode).value());
      hw::Measurement m;
      m.time_ms = made.truth(row, 0);
      m.power_w = made.truth(row, 1);
      sum += options.cost.seconds(*space, before.value_or(mode), mode, m.time_ms);
      before = mode;
      sampler->tell(mode, m);
    }
    return sum;
  };
  EXPECT_LT(seconds("alc-cost"), 0.8 * seconds("alc"));
}

TEST(MeasuringCost, SwitchingSomeKnobsTakesLonger) {
  const auto space = tests::simulated_space();
  const auto a = space->at(0);
  const MeasuringCost cost{.settle_s = 2, .units = 10, .cores_s = 3, .memory_s = 5};
  EXPECT_DOUBLE_EQ(cost.seconds(*space, a, a, 100), 3);
  for (const auto& [role, extra] : {std::pair{hw::KnobRole::cpu_cores, 3.0},
                                    {hw::KnobRole::mem_khz, 5.0},
                                    {hw::KnobRole::gpu_khz, 0.0}}) {
    const auto knob = space->knob_with(role).value();
    for (const auto& b : space->modes()) {
      bool only = b[knob] != a[knob];
      for (std::size_t k = 0; k < a.size(); ++k) only = only && (k == knob || a[k] == b[k]);
      if (only) {
        EXPECT_DOUBLE_EQ(cost.seconds(*space, a, b, 100), 3 + extra);
      }
    }
  }
}

}  // namespace sampler_test
}  // namespace fewwatt::learners
