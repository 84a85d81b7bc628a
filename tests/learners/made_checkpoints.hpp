#pragma once

#include "learners/ensemble.hpp"
#include "learners/factor.hpp"
#include "learners/fine_tune.hpp"
#include "learners/gp.hpp"
#include "learners/physics.hpp"
#include "learners/proto.hpp"
#include "learners/registry.hpp"
#include "learners/ridge.hpp"
#include "learners/sim_prior.hpp"
#include "learners/transfer.hpp"
#include "tests/learners/example_model.hpp"

namespace fewwatt::tests {

// A fine_tune checkpoint for a space, with random weights.
inline learners::Checkpoint random_fine_tune(const hw::PowerModeSpace& space) {
  using namespace learners;
  FineTuneModel model;
  model.trained_by = "random-init";
  model.knobs = roles_text(space);
  const auto features = encode(model.features, space, space.modes());
  model.scaler = Scaler::fit(features);
  model.shape = {{static_cast<int>(features.cols()), 16, 16, 1}, Activation::silu, {}};
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    hw::Rng rng(static_cast<std::uint64_t>(t) + 1);
    model.targets[static_cast<std::size_t>(t)] =
        Initializer{random_parameters(model.shape, rng), 0.5, {Optimizer::adam, 100, 1e-2, 0}};
  }
  return model.to_checkpoint();
}

inline learners::Checkpoint random_transfer(const hw::PowerModeSpace& space, bool log_targets) {
  using namespace learners;
  TransferModel model;
  model.log_targets = log_targets;
  model.knobs = roles_text(space);
  model.reference = "board/reference";
  const auto inputs = encode(FeatureSet::raw, space, space.modes());
  for (auto& target : model.targets) {
    hw::Rng rng(5);
    target = ReferenceNet{random_parameters(published_shape(static_cast<int>(inputs.cols())), rng),
                          Scaler::fit(inputs)};
  }
  return model.to_checkpoint();
}

// A proto checkpoint for a space, with a random embedding and the random heads of three workloads.
inline learners::ProtoModel random_proto(const hw::PowerModeSpace& space) {
  using namespace learners;
  ProtoModel model;
  model.trained_by = "proto";
  model.knobs = roles_text(space);
  const auto modes = space.modes();
  model.features = Scaler::fit(encode(FeatureSet::physical, space, modes));
  model.log_settings = Scaler::fit(encode(FeatureSet::raw, space, modes).array().log().matrix());
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    hw::Rng rng(static_cast<std::uint64_t>(t) + 1);
    ProtoTarget target;
    target.workloads = {"board/a", "board/b", "other board/c"};
    target.shape = {{2 * static_cast<int>(model.features.mean.size()) + 1, 8, 4}, Activation::silu, {}};
    target.embedding = random_parameters(target.shape, rng);
    target.deviation_scale = 0.2;
    target.prototypes.resize(3, 4);
    for (auto& value : target.prototypes.reshaped()) value = rng.normal();
    const auto terms = physics_features(static_cast<tasks::Target>(t), space, modes).cols();
    target.heads.resize(3, terms);
    for (auto& value : target.heads.reshaped()) value = rng.normal();
    target.curve_knobs = model.log_settings.mean.transpose().replicate(2, 1);
    target.curve_knobs(1, 0) += 1;
    target.curve_weights = Matrix::Constant(2, 3, 0.5);
    target.curve_weights(0, 1) = -1;
    target.kernel = TermKernel::medians(model.log_settings.mean.size(), terms);
    model.targets[static_cast<std::size_t>(t)] = std::move(target);
  }
  return model;
}

// Eight workloads of a space that state their flops and batch size. The more flops the longer they take, and the less the
// first knob matters to them; their power is the same but for a random factor.
inline learners::StatedWorkloads made_stated_workloads(const hw::PowerModeSpace& space) {
  using namespace learners;
  StatedWorkloads stated;
  const Eigen::Index w = 8;
  stated.characteristics = Matrix::Constant(w, 4, std::nan(""));
  stated.time_of.assign(w, static_cast<int>(datasets::TimeOf::minibatch));
  for (std::size_t k = 0; k < space.knobs().size(); ++k) stated.highest.push_back(space.max_level(k));
  const auto modes = space.modes();
  const Matrix x = encode(FeatureSet::raw, space, modes);
  stated.lowest = x.colwise().minCoeff().transpose();
  const Matrix features = curve_features(space, modes, stated.lowest);
  for (auto& curves : stated.curves) curves.resize(w, features.cols());
  hw::Rng rng(3);
  for (Eigen::Index i = 0; i < w; ++i) {
    const double steps = static_cast<double>(i);
    stated.characteristics.row(i) << 16, std::nan(""), std::nan(""), 1e9 * std::pow(4, steps);
    const Vector time = 1 + steps + 0.2 * rng.normal() - (1 - 0.1 * steps) * x.col(0).array().log(),
                 power = 2 + 0.2 * rng.normal() + 0.5 * x.col(1).array().log();
    stated.curves[tasks::kTimeMs].row(i) = fit_curve(features, time).coefficients.transpose();
    stated.curves[tasks::kPowerW].row(i) = fit_curve(features, power).coefficients.transpose();
  }
  stated.curve_errors.fill(0.01);
  return stated;
}

// A sim_prior model for a space, as if trained on workloads that were measured in all of its modes.
inline learners::SimPriorModel usual_sim_prior(const hw::PowerModeSpace& space) {
  using namespace learners;
  SimPriorModel model;
  model.knobs = roles_text(space);
  model.modes = space.modes();
  model.stated = made_stated_workloads(space);
  for (auto& target : model.targets) {
    target.emplace();
    target->residual = usual_residual(static_cast<Eigen::Index>(space.knobs().size()), sim_features(space));
    target->training =
        Vector::LinSpaced(static_cast<Eigen::Index>(model.modes.size()), 0.5, -0.5).transpose();
  }
  return model;
}

// A factor model for a space, as if trained on three workloads that were measured in all of its modes.
inline learners::FactorModel made_factor(const hw::PowerModeSpace& space) {
  using namespace learners;
  FactorModel model;
  model.knobs = roles_text(space);
  model.modes = space.modes();
  const auto knobs = static_cast<Eigen::Index>(space.knobs().size());
  const auto g = static_cast<Eigen::Index>(model.modes.size());
  Matrix logs(3, g);
  logs << Vector::LinSpaced(g, 0.5, -0.5).transpose(), Vector::LinSpaced(g, 0.3, -0.4).transpose(),
      Vector::LinSpaced(g, 0.4, -0.6).array().sin().matrix().transpose();
  const auto factors = factors_of(logs);
  for (auto& target : model.targets)
    target = FactorTarget{factors.mean,
                          factors.roots,
                          3,
                          std::log(0.1),
                          Vector::Constant(knobs, std::log(2.0)),
                          std::log(tasks::kUsualNoise)};
  return model;
}

// With weights that are independent a priori, or depend on each other.
inline learners::RidgeModel random_ridge(const hw::PowerModeSpace& space, bool dependent = false) {
  using namespace learners;
  RidgeModel model;
  model.trained_by = "ridge";
  model.knobs = roles_text(space);
  model.scaler = Scaler::fit(encode(FeatureSet::physical, space, space.modes()));
  const auto f = static_cast<int>(model.scaler.mean.size());
  model.shape = {{f, 8, 5}, Activation::tanh, {}};
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    hw::Rng rng(static_cast<std::uint64_t>(t) + 1);
    RidgeTarget target;
    target.weights = random_parameters(model.shape, rng);
    target.target_scale = 0.4;
    target.prior_mean.resize(dependent ? 5 : f + 5);
    for (auto& value : target.prior_mean) value = 0.1 * rng.normal();
    target.log_spreads = Vector::Constant(target.prior_mean.size(), -1.5);
    if (dependent) {
      target.lower = Matrix::Zero(5, 5);
      for (Eigen::Index row = 1; row < 5; ++row)
        for (Eigen::Index col = 0; col < row; ++col) target.lower(row, col) = rng.normal();
    }
    model.targets[static_cast<std::size_t>(t)] = std::move(target);
  }
  return model;
}

inline learners::Checkpoint random_ensemble(const hw::PowerModeSpace& space,
                                            learners::Combination combination) {
  auto checkpoint =
      learners::checkpoint_of_members("ensemble", {{"sim_prior", usual_sim_prior(space).to_checkpoint()},
                                                   {"ridge.0", random_ridge(space).to_checkpoint()},
                                                   {"gp"}});
  checkpoint.texts["combination"] = learners::to_string(combination);
  return checkpoint;
}

// With a net of two outputs, or none.
inline learners::GpModel random_gp(const hw::PowerModeSpace& space, bool with_net = true) {
  using namespace learners;
  GpModel model;
  model.trained_by = "deep-kernel";
  model.knobs = roles_text(space);
  model.scaler = Scaler::fit(encode(FeatureSet::physical, space, space.modes()));
  const auto f = static_cast<int>(model.scaler.mean.size());
  model.shape = {{f}, Activation::tanh, {}};
  if (with_net) model.shape.sizes = {f, 6, 2};
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    hw::Rng rng(static_cast<std::uint64_t>(t) + 1);
    GpTarget target;
    target.weights = random_parameters(model.shape, rng);
    target.mean.resize(f);
    for (auto& value : target.mean) value = 0.02 * rng.normal();
    target.kernel = TermKernel::medians(model.columns(), f);
    target.kernel.log_spreads.setConstant(-2);
    target.kernel_spreads = TermKernel::prior_spreads(model.columns(), f).flat();
    target.fine_tune = {10, 0.5};
    model.targets[static_cast<std::size_t>(t)] = std::move(target);
  }
  return model;
}

// The checkpoint of a learner that takes a support without rows.
inline learners::Checkpoint checkpoint_without_rows(std::string_view name, const hw::PowerModeSpace& space) {
  const auto sim_prior = usual_sim_prior(space).to_checkpoint();
  if (name == "auto")
    return learners::checkpoint_of_members("auto", {{"sim_prior", sim_prior},
                                                    {"factor", made_factor(space).to_checkpoint()},
                                                    {"proto", random_proto(space).to_checkpoint()}});
  return sim_prior;
}

// A learner of every name in the registry, with a made-up checkpoint where it needs one, or can have one and is `trained`.
inline std::unique_ptr<const learners::Learner> learner_for(std::string_view name,
                                                            const hw::PowerModeSpace& space,
                                                            bool trained = false) {
  if (trained && name == "gp") return learners::make_learner(random_gp(space).to_checkpoint());
  if (!learners::find_learner(name).needs_checkpoint) return learners::make_learner(name);
  if (name == "fine_tune") return learners::make_learner(random_fine_tune(space));
  if (name == "proto") return learners::make_learner(random_proto(space).to_checkpoint());
  if (name == "factor") return learners::make_learner(made_factor(space).to_checkpoint());
  if (name == "ridge") return learners::make_learner(random_ridge(space).to_checkpoint());
  if (name == "ensemble")
    return learners::make_learner(random_ensemble(space, learners::Combination::product));
  if (name == "sim_prior") return learners::make_learner(usual_sim_prior(space).to_checkpoint());
  return learners::make_learner(random_transfer(space, name == "transfer-log"));
}

}  // namespace fewwatt::tests
